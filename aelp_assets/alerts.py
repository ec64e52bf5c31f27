"""Telling people what the machinery itself has to say: a run failed, tables are late, approvals wait.

Here: messages put before the channels and sent, links into the UI, secrets taken out. Not here: what is worth
telling (`run_failures`, `lateness`, `sensors.approvals`), the channels (`resources.notifier`), what the
marketing tables say (`safety`). Nothing here reads the warehouse: it may be what failed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import get_args
from urllib.parse import quote, unquote, urlsplit

from resources.clock import SystemClock
from resources.connectors.saved_credentials import SavedCredentials, is_key_file
from resources.connectors.scrubbing import Scrubber
from resources.control.store import control_url, open_control_store
from resources.notifier import Message, Notifier, open_channels
from resources.settings import Environment, SettingsError, SourceName

UI_VARIABLE = "AELP_UI_URL"
LOCAL_UI = "http://127.0.0.1:3000"
_SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD", "SALT", "WEBHOOK", "CREDENTIAL")
_PASSWORD = re.compile(r"(?:^|&)password=([^&]*)")
_SHORTEST_SECRET = 4  # a shorter one would take ordinary words out of sentences
_TRY_AGAIN_AFTER = timedelta(minutes=10)


def event_id(*about: str) -> str:
    """The id of what happened: the same words, the same event, told once."""
    return hashlib.sha256("|".join(about).encode()).hexdigest()[:16]


def tell(environment: Environment, log: logging.Logger, messages: Sequence[Message]) -> int:
    """Put messages before every channel, once each ever; send what waits; returns how many were taken.

    What a channel did not take is tried again by later calls, at most every ten minutes: of the system's
    clock, whatever AELP_CLOCK says, as a server that is down keeps no other.

    Raises:
        SettingsError: the control store, which remembers what was told, cannot be opened.
    """
    channels, faults = open_channels(os.environ, log)
    for fault in faults:
        log.warning(fault)
    engine = open_control_store(control_url(environment.home, os.environ))
    try:
        notifier = Notifier(engine, channels, SystemClock().now)
        notifier.announce(messages)
        return notifier.deliver(not_tried_for=_TRY_AGAIN_AFTER)
    finally:
        engine.dispose()


def ui_address(variables: Mapping[str, str]) -> str:
    """Where people open the UI: AELP_UI_URL, or this machine's where that is unset, no link or a secret."""
    told = (variables.get(UI_VARIABLE) or "").strip().rstrip("/")
    try:
        parts = urlsplit(told)
    except ValueError:
        return LOCAL_UI
    is_open = parts.username is None and parts.password is None  # it goes into every message
    return told if parts.scheme in ("http", "https") and parts.hostname and is_open else LOCAL_UI


def run_link(run_id: str) -> str:
    """The page of a run."""
    return f"{ui_address(os.environ)}/runs/{quote(run_id)}"


def automation_link() -> str:
    """The page of schedules and sensors, each with its ticks."""
    return f"{ui_address(os.environ)}/automation"


def asset_link(path: Sequence[str]) -> str:
    """The page of an asset."""
    return f"{ui_address(os.environ)}/assets/{'/'.join(map(quote, path))}"


def scrubber(environment: Environment) -> Scrubber:
    """Takes out every secret this process knows: of `AELP_*` variables and of the saved credentials."""
    return Scrubber([*_secrets(os.environ), *_secrets(_saved(environment))])


def _saved(environment: Environment) -> dict[str, str]:
    saved = SavedCredentials(environment.home)
    found: dict[str, str] = {}
    for source in get_args(SourceName):
        try:
            found |= saved.of(source)
        except SettingsError:  # what cannot be read cannot be told either
            return {}
    return found


def _secrets(variables: Mapping[str, str]) -> list[str]:
    found = []
    for name, value in variables.items():
        if not name.startswith("AELP_") or is_key_file(name):
            continue
        if any(word in name for word in _SECRET_NAMES):
            found.append(value.strip())
        elif "://" in value:
            try:
                parts = urlsplit(value)
                spelt = [parts.password or "", *_PASSWORD.findall(parts.query)]
                found += [*spelt, *map(unquote, spelt)]
            except ValueError:
                found.append(value)
    return [secret for secret in found if len(secret) >= _SHORTEST_SECRET]
