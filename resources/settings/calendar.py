"""Days unlike the others, as people write them: with a year, or of every year.

Here: freeze windows and events. Not here: what follows from them (`guardrails.py`, `media_mix.py`).
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from resources.settings.values import Section, TrackName


def _calendar_day(value: object) -> object:
    """A date, or "12-27" for the day of every year; [12, 27], as it was stored before, is the same."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(part, int) for part in value):
        value = "{:02}-{:02}".format(*value)
    yearly = isinstance(value, str) and re.fullmatch(r"\d\d-\d\d", value)
    try:  # 2024 has a 29 February
        found = date.fromisoformat(f"2024-{value}" if yearly else f"{value}")
    except ValueError:
        raise ValueError("must be a date such as 2026-11-27, or a day of every year such as 12-27") from None
    return value if yearly else found


CalendarDay = Annotated[date | str, BeforeValidator(_calendar_day)]


def _require_alike(first: date | str, last: date | str) -> None:
    if isinstance(first, date) != isinstance(last, date):
        raise ValueError("first_day and last_day: write both with a year or both without")


class FreezeWindow(Section):
    """Days on which nothing rises, in one track or in all: dates, or "12-20" for the day of every year."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    first_day: CalendarDay
    last_day: CalendarDay
    track: TrackName | None = None

    @model_validator(mode="after")
    def _is_a_span(self) -> FreezeWindow:
        first, last = self.first_day, self.last_day
        _require_alike(first, last)
        if isinstance(first, date) and isinstance(last, date) and last < first:
            raise ValueError("last_day: must not lie before first_day")
        return self

    @property
    def days(self) -> tuple[date | tuple[int, int], date | tuple[int, int]]:
        """First and last day; a day of every year as (month, day)."""
        return _month_and_day(self.first_day), _month_and_day(self.last_day)


def _month_and_day(day: date | str) -> date | tuple[int, int]:
    return day if isinstance(day, date) else (int(day[:2]), int(day[3:]))


class CalendarEvent(Section):
    """Days unlike the others, from `first_day` to `last_day`, on one track or on all.

    Either both are dates, once, or both are days of every year. Entries of one name teach about each other,
    so a sale whose date moves has an entry a year.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    first_day: CalendarDay
    last_day: CalendarDay
    track: TrackName | None = None

    @field_validator("first_day", "last_day")
    @classmethod
    def _comes_every_year(cls, day: date | str) -> date | str:
        if day == "02-29":
            raise ValueError("not every year has this day; write 02-28 or 03-01")
        return day

    @model_validator(mode="after")
    def _can_be_meant(self) -> CalendarEvent:
        _require_alike(self.first_day, self.last_day)
        first, last = self._from(2001)
        if not 0 <= (last - first).days < 60:
            raise ValueError("last_day: must lie less than 60 days after first_day, or on it")
        return self

    def occurrences(self, first: date, last: date) -> list[tuple[date, date]]:
        """First and last day of each occurrence that touches the days from `first` to `last`."""
        years = (2001,) if isinstance(self.first_day, date) else range(first.year - 1, last.year + 1)
        return [found for year in years if (found := self._from(year))[0] <= last and found[1] >= first]

    def _from(self, year: int) -> tuple[date, date]:
        first, last = (
            day if isinstance(day, date) else _in_year(day, year) for day in (self.first_day, self.last_day)
        )
        if isinstance(self.last_day, str) and last < first:
            last = _in_year(self.last_day, year + 1)
        return first, last


def _in_year(day: str, year: int) -> date:
    return date.fromisoformat(f"{year}-{day}")
