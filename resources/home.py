"""What the last morning in an AELP_HOME was run with, so that the UI opens on the same business and day.

Here: the settings file, drop folder and clock of a run, remembered as variables. Not here: secrets and
endpoints (`resources.connectors.saved_credentials`, where a person asks for it).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping

from resources.settings import Environment

REMEMBERED = ("AELP_SETTINGS", "AELP_DROP", "AELP_CLOCK")
_FILE = "context.json"


def remember_context(environment: Environment, variables: Mapping[str, str] | None = None) -> None:
    """Write down what this run uses; without AELP_CLOCK the system's clock is meant."""
    set_now = os.environ if variables is None else variables
    context = {
        "AELP_SETTINGS": str(environment.settings_path.absolute()),
        "AELP_DROP": environment.drop_folder if set_now.get("AELP_DROP") else "",
        "AELP_CLOCK": set_now.get("AELP_CLOCK") or "",
    }
    environment.home.mkdir(parents=True, exist_ok=True)
    partial = environment.home / f".{_FILE}.{os.getpid()}"
    partial.write_text(json.dumps(context, indent=1) + "\n")
    partial.replace(environment.home / _FILE)


def recall_context(
    environment: Environment, variables: MutableMapping[str, str] | None = None
) -> dict[str, str]:
    """Set what the last run was run with, except what the variables already say; returns what was set.

    A home without a run, or whose note cannot be read, sets nothing.
    """
    set_now = os.environ if variables is None else variables
    try:
        context = json.loads((environment.home / _FILE).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(context, dict):
        return {}
    recalled = {
        name: str(context[name]) for name in REMEMBERED if context.get(name) and not set_now.get(name)
    }
    set_now.update(recalled)
    return recalled
