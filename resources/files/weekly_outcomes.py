"""Whether the rows of a media history agree on what their track sold in a week.

Here: the outcome of a week, which belongs to its track and is repeated on each channel's row. Not here:
checks of single rows (`validation.py`).
"""

from __future__ import annotations

import polars as pl

_OUTCOMES = ("new_customers", "revenue", "promotion_share")
_WEEK = ["track", "period"]


class WeeklyOutcomes:
    """Collects the accepted rows of one file: a few per week, track and channel."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []

    def add(self, accepted: pl.DataFrame) -> None:
        """Take up rows with line, track, period and whichever outcomes the file has, as text."""
        here = [name for name in _OUTCOMES if name in accepted.columns]
        self._parts.append(accepted.select("line", *_WEEK, *here))

    def fault(self) -> str | None:
        """Why the file cannot be used: the first line that contradicts an earlier one; None without one."""
        rows = pl.concat(self._parts).sort("line") if self._parts else pl.DataFrame()
        for name in (name for name in _OUTCOMES if name in rows.columns):
            told = rows.filter(pl.col(name).is_not_null()).with_columns(
                first=pl.col(name).first().over(_WEEK), first_line=pl.col("line").first().over(_WEEK)
            )
            contradicting = told.filter(pl.col(name) != pl.col("first"))
            if contradicting.height:
                row = contradicting.row(0, named=True)
                return (
                    f"Line {row['line']}: {name} of {row['track']} in the week {row['period']} is "
                    f"{row[name]}, and {row['first']} on line {row['first_line']}. It is the whole track's: "
                    "repeat the same number on each of its channels' rows."
                )
        return None
