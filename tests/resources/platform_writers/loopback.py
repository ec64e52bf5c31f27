"""Sources whose platforms are all on this machine, one of them served. Imports no SDK: those are slow."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import get_args

import sqlalchemy as sa

from resources.clock import SystemClock
from resources.connectors.registry import Sources
from resources.platform_writers.opening import WritablePlatform
from resources.settings import PROJECT_ROOT, load_settings
from tests.resources.control.proposing import TEN

SOON = TEN + timedelta(minutes=5)
SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")


def sources_at(home: Path, variables: dict[str, str]) -> Sources:
    def no_store() -> sa.Engine:
        raise AssertionError("the writer has its own")

    return Sources(
        SETTINGS, SystemClock(), SystemClock(), time.sleep, no_store, home / "work", home, variables=variables
    )


def variables_at(name: str, endpoint: str, token: str) -> dict[str, str]:
    """Where the served platform is; the others are nowhere, but on this machine."""
    told = {f"AELP_{each.upper()}_ENDPOINT": "http://127.0.0.1:9" for each in get_args(WritablePlatform)}
    return told | {f"AELP_{name.upper()}_ENDPOINT": endpoint, f"AELP_{name.upper()}_ACCESS_TOKEN": token}
