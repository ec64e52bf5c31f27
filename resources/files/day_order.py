"""Whether a file writes days before months where its format expects months before days, or the reverse.

Here: judging all dates of a file together; one alone (01/06/2026) cannot tell. Not here: reading single
dates (`values.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import polars as pl

from resources.files.mapping import DateColumn, Mapping, PeriodColumn
from resources.files.values import read_day

# 01/06/2026, 1-6-26, 01.06.2026 00:00; where the year comes first, the month always follows it.
_NUMERIC_DAY = r"^\s*\d{1,2}[/.\-]\d{1,2}[/.\-]\d{2,4}\b"
# More distinct days than any export has; a column of moments would grow without end.
_MOST_TEXTS = 20_000


class DayOrder:
    """Collects the dates of one file and says whether they can be trusted.

    A mapping with a single format, or with both orders, has said how its dates are meant and is believed.
    """

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._texts: set[str] = set()
        dated = mapping.date or mapping.period
        self._formats: list[str] = []
        if isinstance(dated, DateColumn | PeriodColumn) and len(dated.formats) > 1:
            self._formats = [
                p
                for p in dated.formats
                if _swapped(p) not in dated.formats and not p.startswith(("%Y", "%y"))
            ]
        self._step = timedelta(days=dated.days if isinstance(dated, PeriodColumn) else 1)

    def add(self, texts: pl.Series | None) -> None:
        """Take up dates as the file writes them."""
        if texts is not None and self._formats and len(self._texts) < _MOST_TEXTS:
            distinct = texts.unique().drop_nulls()
            self._texts.update(distinct.filter(distinct.str.contains(_NUMERIC_DAY)).to_list())

    def fault(self) -> str | None:
        """Why the dates cannot be trusted; None where they can.

        A date that reads in the format's own order only (06/13/2026) settles it. Without one, days of an
        export follow each other, and swapped ones lie a month apart. Where that does not tell, a date that
        reads in the other order only decides.
        """
        other_formats = [_swapped(pattern) for pattern in self._formats]
        as_said = {text: read_day(text, self._formats) for text in self._texts}
        other = {text: read_day(text, other_formats) for text in self._texts}
        if any(day is not None and other[text] is None for text, day in as_said.items()):
            return None
        impossible = sorted(text for text, day in as_said.items() if day is None and other[text] is not None)
        days, other_days = _days(as_said.values()), _days(other.values())
        lead = self._neighbours(days) - self._neighbours(other_days)
        if lead > 0 or (lead == 0 and not impossible):
            return None
        why = f"{impossible[0]} is no day that way, and" if impossible else "that way they lie apart, while"
        text = min(
            (text for text, day in other.items() if day is not None), key=lambda text: str(other[text])
        )
        pattern = next(p for p in self._formats if read_day(text, [_swapped(p)]) is not None)
        return (
            f"The dates, such as {text}, are read as {pattern} here: {why} read as {_swapped(pattern)} they "
            f"run from {min(other_days)} to {max(other_days)}. Days and months would be swapped. Say "
            f'`formats: ["{_swapped(pattern)}"]`, or `["{pattern}"]` if that is true, under the date of a '
            f"mapping file: a copy of {self._mapping.name} in _mappings/ will do."
        )

    def _neighbours(self, days: set[date]) -> int:
        return sum(day + self._step in days for day in days)


def _days(read: Iterable[date | None]) -> set[date]:
    return {day for day in read if day is not None}


def _swapped(pattern: str) -> str:
    """The format with day and month in each other's place; itself where it does not hold both as numbers."""
    if "%d" not in pattern or "%m" not in pattern:
        return pattern
    return pattern.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")
