"""When a report day's conversions have come: the one meaning of `maturity_days`.

Here: which days of an account are matured on a morning. Not here: what share of a younger day has come, for
which the count at age `maturity_days` is the whole (`forecasting.delay`).

A day counts once it is older than `maturity_days`: the last click of a day has had that many whole days only
on the morning after. So on a morning the newest matured day is that morning less `maturity_days` + 1.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl


def last_matured_day(morning: date, maturity_days: int) -> date:
    """The newest day whose conversions have come on a morning."""
    return morning - timedelta(days=maturity_days + 1)


def is_matured(day: pl.Expr, morning: date, maturity_days: pl.Expr | int) -> pl.Expr:
    """Whether a day's conversions have come on a morning; null where its account's `maturity_days` are."""
    age = pl.lit(morning, dtype=pl.Date) - day.cast(pl.Date)
    return age.dt.total_days() > maturity_days
