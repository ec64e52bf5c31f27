"""How much of a day a platform has told of so far: the share of its delivery by the hour of its own clock.

Here: the course of a simulated day, cut off where the servers' moment and the platform's delay say. Not here:
any platform's report.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

HOURS = 24
# Delivery by the hour, in proportion: people look at night.
DELIVERY = (18, 12, 8, 6, 6, 10, 20, 33, 42, 46, 48, 50, 54, 54, 52, 52, 53, 55, 58, 64, 72, 78, 65, 44)
_DAY_CURVE = np.cumsum(DELIVERY) / sum(DELIVERY)


@dataclass(frozen=True)
class ToldHour:
    """An hour of the day, perhaps told in part; `before` and `after` are shares of the whole day."""

    hour: int
    before: float
    after: float

    def part(self, total: int) -> int:
        """The hour's part of the day's total: parts add up to what was told, and never to more."""
        return int(total * self.after) - int(total * self.before)


def told_hours(day: date, now: datetime, zone: str, delay: timedelta) -> list[ToldHour]:
    """The hours of `day` a platform tells of at `now`, the one it has only begun to tell of among them.

    Args:
        now: the present moment, with its zone.
        zone: IANA zone of the platform's day.
        delay: how far the report lags behind.
    """
    local = (now - delay).astimezone(ZoneInfo(zone))
    if local.date() != day:
        return [] if local.date() < day else _until(float(HOURS))
    return _until(local.hour + local.minute / 60)


def _until(clock: float) -> list[ToldHour]:
    told = []
    for hour in range(min(HOURS, int(np.ceil(clock)))):
        before = float(_DAY_CURVE[hour - 1]) if hour else 0.0
        whole = float(_DAY_CURVE[hour])
        told.append(ToldHour(hour, before, before + (whole - before) * min(1.0, clock - hour)))
    return told
