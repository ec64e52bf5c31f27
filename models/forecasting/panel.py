"""Daily series as arrays: one row per series, one column per day, sorted so that input order is irrelevant.

Here: turning a long frame of daily sums into aligned arrays, and cutting them at an as-of day.
Not here: any statistics (`dynamics`, `response`, `rates`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

KEYS = ("platform", "account_id", "track", "lever_id")
MEASURES = ("cost", "impressions", "clicks", "conversions")
UNASSIGNED = "unassigned"


@dataclass(frozen=True)
class Panel:
    """Aligned daily sums of many levers.

    Attributes:
        series: KEYS, one row per series, sorted.
        first_day: account-local day of column 0.
        cost: dollars, shape (series, days); absent days are 0.
        impressions, clicks, conversions: counts (conversions may be fractional), same shape.
        account: index of (platform, account_id) per series.
        group: index of (platform, account_id, track) per series; who lends strength to whom.
    """

    series: pl.DataFrame
    first_day: date
    cost: FloatArray
    impressions: FloatArray
    clicks: FloatArray
    conversions: FloatArray
    account: IntArray
    group: IntArray

    @property
    def days(self) -> int:
        return int(self.cost.shape[1])

    @property
    def next_day(self) -> date:
        """The day after the last column: the first that can be forecast."""
        return self.first_day + timedelta(days=self.days)

    def before(self, day_index: int) -> Panel:
        """The same panel as it stood before column `day_index`; later days are gone, not hidden."""
        return replace(
            self,
            cost=self.cost[:, :day_index].copy(),
            impressions=self.impressions[:, :day_index].copy(),
            clicks=self.clicks[:, :day_index].copy(),
            conversions=self.conversions[:, :day_index].copy(),
        )


def build_panel(
    daily: pl.DataFrame,
    as_of_date: date,
    *,
    window_days: int | None = None,
    levers: pl.DataFrame | None = None,
) -> Panel:
    """Align daily sums before `as_of_date`.

    Args:
        daily: date, KEYS, MEASURES: dollars and counts. Several rows of a series and day are added
            up. Rows of track `unassigned`, and rows dated `as_of_date` or later, are left out.
        as_of_date: the morning the numbers were known; the panel ends the day before.
        window_days: keep only this many days; None keeps all.
        levers: KEYS of levers that must be in the panel even without any history.
    Raises:
        ValueError: a missing column, a negative or non-finite measure.
    """
    missing = [name for name in ("date", *KEYS, *MEASURES) if name not in daily.columns]
    if missing:
        raise ValueError(f"daily rows lack the columns {missing}")
    rows = daily.select("date", *KEYS, *(pl.col(name).cast(pl.Float64).fill_null(0.0) for name in MEASURES))
    rows = rows.filter((pl.col("date") < as_of_date) & (pl.col("track") != UNASSIGNED))
    if window_days is not None:
        rows = rows.filter(pl.col("date") >= as_of_date - timedelta(days=window_days))
    faulty = rows.filter(
        pl.any_horizontal(
            (pl.col(name) < 0) | pl.col(name).is_infinite() | pl.col(name).is_nan() for name in MEASURES
        )
    )
    if faulty.height:
        raise ValueError(
            f"{faulty.height} daily rows hold a negative or non-finite measure, first: {faulty.row(0)}"
        )

    known = [rows.select(KEYS)]
    if levers is not None:
        known.append(levers.select(KEYS).filter(pl.col("track") != UNASSIGNED))
    series = pl.concat(known).unique().sort(KEYS)
    first_day: date = as_of_date if rows.is_empty() else rows["date"].min()  # type: ignore[assignment]
    days = (as_of_date - first_day).days
    indexed = (
        rows.group_by("date", *KEYS)
        .agg(pl.col(name).sort().sum() for name in MEASURES)  # sorted: float sums depend on order
        .join(series.with_row_index("series_index"), on=KEYS)
        .with_columns(day_index=(pl.col("date") - pl.lit(first_day)).dt.total_days())
    )
    rows_at, days_at = indexed["series_index"].to_numpy(), indexed["day_index"].to_numpy()
    arrays = {}
    for name in MEASURES:
        values = np.zeros((series.height, days))
        values[rows_at, days_at] = indexed[name].to_numpy()
        arrays[name] = values
    return Panel(
        series=series,
        first_day=first_day,
        account=_codes(series, ["platform", "account_id"]),
        group=_codes(series, ["platform", "account_id", "track"]),
        **arrays,
    )


def _codes(series: pl.DataFrame, columns: list[str]) -> IntArray:
    """Dense integer codes of the sorted distinct key values."""
    distinct = series.select(columns).unique().sort(columns).with_row_index("code")
    coded = series.join(distinct, on=columns, how="left", maintain_order="left")
    return coded["code"].cast(pl.Int64).to_numpy()
