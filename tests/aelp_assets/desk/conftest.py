"""Fixtures of the desk's tests: decisions in a store of their own, and a browser on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.control.governance import Governance
from resources.control.store import open_control_store
from tests.aelp_assets.desk.browsing import Browser, desk_of
from tests.resources.control.proposing import governing


@pytest.fixture
def governance(tmp_path: Path) -> Iterator[Governance]:
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield governing(engine)
    engine.dispose()


@pytest.fixture
def browser(governance: Governance) -> Browser:
    return Browser(desk_of(governance))
