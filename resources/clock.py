"""What time it is, injected: tests, replays and simulated accounts bring their own.

Here: the clock and how the environment chooses it. Not here: time zones of accounts (mappings, settings).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from resources.settings import SettingsError


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, with its zone."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class FixedClock:
    """Always the same moment.

    Raises:
        ValueError: a moment without a zone.
    """

    moment: datetime

    def __post_init__(self) -> None:
        if self.moment.tzinfo is None:
            raise ValueError(f"a clock needs a moment with its zone (found {self.moment.isoformat()})")

    def now(self) -> datetime:
        return self.moment


def clock_from_environment(variables: Mapping[str, str] | None = None) -> Clock:
    """The moment in `AELP_CLOCK` (ISO 8601 with zone, e.g. 2026-07-01T06:00:00-04:00), else the system's.

    Raises:
        SettingsError: AELP_CLOCK is not such a moment.
    """
    text = (os.environ if variables is None else variables).get("AELP_CLOCK")
    if not text:
        return SystemClock()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"AELP_CLOCK: must be an ISO 8601 moment with its zone, such as 2026-06-30T09:00:00-04:00 "
            f"(found {text!r})"
        ) from None
    if moment.tzinfo is None:
        raise SettingsError(f"AELP_CLOCK: needs a zone, such as {moment.isoformat()}+00:00 (found {text!r})")
    return FixedClock(moment)
