"""Moments a person asks about.

Here: reading one. Not here: what was known at it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from resources.settings import SettingsError


def read_moment(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """A moment in UTC: ISO 8601 with its zone, or a day, which stands for its end in `zone`.

    Today's end has not come: `now` stands for it. A whole second stands for its end too: what lands while a
    clock stands still is numbered just after it, microsecond by microsecond (`Ledger.next_moment`).

    Raises:
        SettingsError: neither, or it lies ahead.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is not None:
        if day == now.astimezone(zone).date():
            return _end_of_second(now.astimezone(UTC))
        moment = _end_of(day, zone)
    else:
        moment = _exact(text, zone)
    if moment > now:
        raise SettingsError(
            f"{text}: lies ahead; it is {now.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key}). "
            "What will be known then nobody knows."
        )
    return _end_of_second(moment)


def _exact(text: str, zone: ZoneInfo) -> datetime:
    example = "2026-06-30, or with its zone 2026-06-30T09:00:00-04:00"
    try:
        moment = datetime.fromisoformat(text)
        exact = moment.astimezone(zone).astimezone(UTC)  # told in one, looked up in the other
    except (ValueError, OverflowError):  # at either end of the calendar there is no next day
        raise SettingsError(f"{text}: no moment; write it as {example}") from None
    if moment.tzinfo is None:
        raise SettingsError(f"{text}: needs a zone, or only the day; write it as {example}")
    return exact


def _end_of_second(moment: datetime) -> datetime:
    return moment if moment.microsecond else moment.replace(microsecond=999_999)


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    if day == date.max:
        raise SettingsError(f"{day}: lies ahead")
    midnight = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)
    return midnight.astimezone(UTC) - timedelta(microseconds=1)
