"""Sources whose retry queue is all that sensors ask for: no credentials, a clock that is told."""

from __future__ import annotations

from pathlib import Path

from resources.clock import Clock, SystemClock
from resources.connectors.registry import Sources
from resources.control.ingestion import IngestionControl
from resources.settings import Settings


def queued_sources(settings: Settings, clock: Clock, control: IngestionControl, home: Path) -> Sources:
    return Sources(
        settings,
        clock,
        SystemClock(),
        lambda _seconds: None,
        lambda: control._engine,
        home / "work",
        home,
        {},
    )
