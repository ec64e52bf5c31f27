"""What a placement usually costs and yields: PLACEMENT_BASELINES.

Here: p10/p50/p90 of daily CPM, CTR and CVR by track and placement. Not here: forecasts
(`models.forecasting`), which learn their own rates; `forecasting.identity` holds the two together.

Rules:
  * Rates are ratios of sums. Track `unassigned` has no baseline.
  * Only days older than `maturity_days` feed CVR and `conversions`: younger cohorts still gain.
  * Outlier: a day whose log CPM, CTR or CVR lies more than `outlier_mad` robust standard deviations
    (1.4826 · median absolute deviation, widened by the day's own counting noise) from the cell's
    median **and** from the median of its weekday, so that dear Mondays are a pattern, not a fault.
    Outlier days are counted in `outlier_days` and leave the quantiles; the sums keep them. A day of an
    event in the calendar is none: it was dear for a reason.
  * A day's rate is noisy where counts are small: one conversion on 40 clicks is not a CVR of 2.5 %.
    Quantiles are of the latent rate: each day is drawn to the cell's mean by
    √(between / (between + 1 / expected counts)), which gives the days the spread of the latent rates, neither
    the raw days' (too wide) nor that of posterior means (too narrow).
  * A cell leans on its parent (placement → track → all tracks). Its median moves by sampling variance /
    (sampling variance + variance between cells), estimated for each rate, and `parent_weight` is the
    mean of the three shares; its spread by 3 / (3 + days that say more than noise). On the log scale.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.maturity import is_matured
from models.quantiles import LEVELS

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ALL = "all"
UNASSIGNED = "unassigned"
RATES = ("cpm", "ctr", "cvr")
WEIGHTINGS = ("equal", "spend")
_SMALLEST_DEVIATION = 0.02
"""A fixed price has no spread; without a floor its first small change would be an outlier."""
_FEWEST_WEEKDAYS = 3
_BETWEEN_PRIOR_VARIANCE = 0.25
_BETWEEN_PRIOR_CELLS = 3.0
_DAY_PRIOR_VARIANCE = 0.1
_SPREAD_DAYS = 3.0


@dataclass(frozen=True)
class _Days:
    """One rate of one cell, by day with delivery; arrays of shape (days,).

    `log_rate` is NaN on days that say nothing about the rate; `noise` is its counting variance.
    """

    log_rate: FloatArray
    noise: FloatArray


@dataclass(frozen=True)
class _Spread:
    """One rate of a cell on the log scale.

    Attributes:
        quantiles: shape (weightings, 3); NaN where the cell says nothing.
        mean, sampling: mean of the days and its sampling variance (infinite where there are none).
        telling: how many days' worth of spread is more than counting noise.
    """

    quantiles: FloatArray
    mean: float
    sampling: float
    telling: float


def placement_baselines(
    placement_days: pl.DataFrame,
    as_of_date: date,
    *,
    window_days: int,
    maturity_days: int | Mapping[tuple[str, str], int],
    outlier_mad: float,
    click_incrementality: float,
    view_incrementality: float,
    event_days: Collection[tuple[date, str | None]] = (),
) -> pl.DataFrame:
    """Baselines by track × placement, by track (`all`), each day counted once and by dollars.

    Args:
        placement_days: date, platform, account_id, track, placement, impressions, clicks, cost,
            conversions_click, conversions_view (int_placement_daily).
        as_of_date: the window is the `window_days` days before it.
        maturity_days: of `models.maturity`; one number or by (platform, account_id).
        outlier_mad: robust standard deviations.
        click_incrementality, view_incrementality: signups per platform conversion (mean of the
            reward definition).
        event_days: days of events and the track each concerns (None: all); never outliers.
    Returns:
        PLACEMENT_BASELINES, sorted by its grain; empty without rows in the window. A rate never
        seen in a cell or above it is NULL.
    Raises:
        ValueError: window or outlier_mad not positive.
    """
    if window_days <= 0 or outlier_mad <= 0:
        raise ValueError("window_days and outlier_mad must be positive")
    rows = _window(placement_days, as_of_date, window_days, maturity_days)
    rows = rows.with_columns(
        conversions=click_incrementality * pl.col("conversions_click")
        + view_incrementality * pl.col("conversions_view")
    ).with_columns(
        matured_clicks=pl.when("matured").then("clicks").otherwise(0.0),
        matured_conversions=pl.when("matured").then("conversions").otherwise(0.0),
    )
    everything = _Cell(rows, outlier_mad, [day for day, _ in event_days], parent=None)
    of_track = _parts(rows, "track")
    exempt = {track: [day for day, of in event_days if of in (None, track)] for track in of_track}
    tracks = [_Cell(own, outlier_mad, exempt[track], everything) for track, own in of_track.items()]
    results: list[dict[str, object]] = []
    for track, cell, (quantiles, weight) in zip(of_track, tracks, _shrink(tracks, everything), strict=True):
        results += cell.rows(track, ALL, quantiles, weight)
        of_placement = _parts(of_track[track], "placement")
        placements = [_Cell(own, outlier_mad, exempt[track], cell) for own in of_placement.values()]
        for placement, inner, (narrowed, share) in zip(
            of_placement, placements, _shrink(placements, cell), strict=True
        ):
            results += inner.rows(track, placement, narrowed, share)
    frame = pl.DataFrame(results, schema=_SCHEMA)
    return frame.with_columns(
        pl.lit(as_of_date).alias("as_of_date"), pl.lit(window_days, dtype=pl.Int64).alias("window_days")
    ).sort("track", "placement", "weighting")


_SCHEMA: dict[str, pl.DataType] = {
    "track": pl.String(),
    "placement": pl.String(),
    "weighting": pl.String(),
    "days": pl.Int64(),
    "outlier_days": pl.Int64(),
    "impressions": pl.Int64(),
    "clicks": pl.Int64(),
    "conversions": pl.Float64(),
    "cost": pl.Decimal(38, 9),
    **{rate: pl.Float64() for rate in RATES},
    **{f"{rate}_p{level}": pl.Float64() for rate in RATES for level in (10, 50, 90)},
    "parent_weight": pl.Float64(),
}


def _window(
    placement_days: pl.DataFrame,
    as_of_date: date,
    window_days: int,
    maturity_days: int | Mapping[tuple[str, str], int],
) -> pl.DataFrame:
    """Rows of the window with floats to count with, the exact cost beside, and whether they are matured."""
    counted = ("impressions", "clicks", "cost", "conversions_click", "conversions_view")
    rows = placement_days.filter(
        (pl.col("date") < as_of_date)
        & (pl.col("date") >= as_of_date - timedelta(days=window_days))
        & (pl.col("track") != UNASSIGNED)
    ).with_columns(
        pl.col("cost").cast(pl.Decimal(38, 9)).fill_null(0).alias("exact_cost"),
        *(pl.col(name).cast(pl.Float64).fill_null(0.0) for name in counted),
        # `all` is the track's own row; a platform's placement of that name must not collide with it.
        pl.when(pl.col("placement") == ALL)
        .then(pl.lit("all (placement)"))
        .otherwise("placement")
        .alias("placement"),
    )
    if isinstance(maturity_days, int):
        return rows.with_columns(matured=is_matured(pl.col("date"), as_of_date, maturity_days))
    known = pl.DataFrame(
        [(*key, days) for key, days in maturity_days.items()],
        schema={"platform": pl.String, "account_id": pl.String, "maturity": pl.Int64},
        orient="row",
    )
    return rows.join(known, on=["platform", "account_id"], how="left").with_columns(
        matured=is_matured(pl.col("date"), as_of_date, pl.col("maturity")).fill_null(False)
    )


def _parts(rows: pl.DataFrame, column: str) -> dict[str, pl.DataFrame]:
    """Rows by the value of a column, sorted by it."""
    parts = rows.partition_by(column, as_dict=True)
    return {str(key[0]): parts[key] for key in sorted(parts, key=lambda key: str(key[0]))}


class _Cell:
    """A track × placement, a track, or everything: its sums and the spread of its days."""

    def __init__(
        self, rows: pl.DataFrame, outlier_mad: float, exempt: Collection[date], parent: _Cell | None
    ) -> None:
        counted_names = ("impressions", "clicks", "cost", "matured_clicks", "matured_conversions")
        sums = rows.select(
            *(pl.col(name).sort().sum() for name in counted_names),  # sorted: float sums depend on order
            pl.col("exact_cost").sum(),
        ).row(0, named=True)
        self.sums = sums
        by_day = (
            rows.group_by("date")
            .agg(pl.col(name).sort().sum() for name in counted_names)
            .filter(pl.col("impressions") > 0)
            .sort("date")
        )
        self.day_cost = by_day["cost"].to_numpy()
        weekday = by_day["date"].dt.weekday().to_numpy()
        counted = {name: by_day[name].to_numpy() for name in by_day.columns if name != "date"}
        above = dict.fromkeys(RATES) if parent is None else parent.level
        self.level: dict[str, float | None] = {
            "cpm": _ratio(1000.0 * sums["cost"], sums["impressions"], 0.0, above["cpm"]),
            "ctr": _ratio(sums["clicks"], sums["impressions"], 1.0, above["ctr"]),
            "cvr": _ratio(sums["matured_conversions"], sums["matured_clicks"], 1.0, above["cvr"]),
        }
        days = {
            "cpm": _days(1000.0 * counted["cost"], counted["impressions"], 0.0, self.level["cpm"]),
            "ctr": _days(counted["clicks"], counted["impressions"], 0.5, self.level["ctr"]),
            "cvr": _days(counted["matured_conversions"], counted["matured_clicks"], 0.5, self.level["cvr"]),
        }
        outlying = np.zeros(weekday.size, dtype=bool)
        for of_rate in days.values():
            outlying |= _outliers(of_rate, weekday, outlier_mad)
        self.outliers = outlying & ~by_day["date"].is_in(list(exempt)).to_numpy()
        self.spread = {
            rate: _spread(of_rate, ~self.outliers, self.day_cost) for rate, of_rate in days.items()
        }

    def rows(
        self, track: str, placement: str, quantiles: Mapping[str, FloatArray], parent_weight: float
    ) -> list[dict[str, object]]:
        """PLACEMENT_BASELINES rows, one per weighting; log quantiles of shape (weightings, 3)."""
        sums = self.sums
        shared = {
            "track": track,
            "placement": placement,
            "days": self.day_cost.size,
            "outlier_days": int(self.outliers.sum()),
            "impressions": round(sums["impressions"]),
            "clicks": round(sums["clicks"]),
            "conversions": sums["matured_conversions"],
            "cost": sums["exact_cost"],
            "cpm": 1000.0 * sums["cost"] / sums["impressions"] if sums["impressions"] else None,
            "ctr": sums["clicks"] / sums["impressions"] if sums["impressions"] else None,
            "cvr": sums["matured_conversions"] / sums["matured_clicks"] if sums["matured_clicks"] else None,
            "parent_weight": parent_weight,
        }
        rows = []
        for index, weighting in enumerate(WEIGHTINGS):
            row = shared | {"weighting": weighting}
            for rate in RATES:
                found = np.exp(quantiles[rate][index])
                for level, value in zip((10, 50, 90), found, strict=True):
                    row[f"{rate}_p{level}"] = float(value) if np.isfinite(value) else None
            rows.append(row)
        return rows


def _ratio(numerator: float, denominator: float, borrowed: float, parent: float | None) -> float | None:
    """Ratio of sums with `borrowed` counts at the parent's rate; None where nothing is known."""
    if parent is None:
        return (numerator + 0.5 * borrowed) / denominator if denominator > 0 else None
    exposure = denominator + (borrowed / parent if parent > 0 else 0.0)
    return (numerator + borrowed) / exposure if exposure > 0 else None


def _days(numerator: FloatArray, denominator: FloatArray, borrowed: float, level: float | None) -> _Days:
    """Daily log rates with `borrowed` counts at the cell's level, and 1 / expected counts as noise."""
    usable = (denominator > 0) & ((numerator > 0) | (borrowed > 0))
    if level is None or level <= 0:
        usable = np.zeros_like(usable)
        level = 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        log_rate = np.log((numerator + borrowed) / (denominator + borrowed / level))
    # By the counts a day should have had: borrowed ones are no evidence.
    noise = 1.0 / np.maximum(denominator * level, 1e-9) if borrowed > 0 else np.zeros_like(numerator)
    return _Days(np.where(usable, log_rate, np.nan), noise)


def _outliers(days: _Days, weekday: NDArray[np.int8], outlier_mad: float) -> BoolArray:
    """Days far from the cell's median and from their own weekday's, where that is known."""
    flagged = np.zeros(days.log_rate.size, dtype=bool)
    usable = ~np.isnan(days.log_rate)
    if not usable.any():
        return flagged
    centre = np.median(days.log_rate[usable])
    deviation = max(1.4826 * float(np.median(np.abs(days.log_rate[usable] - centre))), _SMALLEST_DEVIATION)
    limit = outlier_mad * np.sqrt(deviation**2 + days.noise)
    flagged[usable] = np.abs(days.log_rate - centre)[usable] > limit[usable]
    for day in np.unique(weekday):
        same = usable & (weekday == day)
        if same.sum() >= _FEWEST_WEEKDAYS:
            flagged[same] &= np.abs(days.log_rate[same] - np.median(days.log_rate[same])) > limit[same]
    return flagged


def _spread(days: _Days, kept: BoolArray, cost: FloatArray) -> _Spread:
    usable = kept & ~np.isnan(days.log_rate)
    if not usable.any():
        return _Spread(np.full((len(WEIGHTINGS), 3), np.nan), np.nan, np.inf, 0.0)
    rate, noise = days.log_rate[usable], days.noise[usable]
    between = _between_variance(rate, noise)
    # How sure the mean is must not rest on a spread found in one or two days.
    assumed = (between * (rate.size - 1) + _DAY_PRIOR_VARIANCE) / rate.size
    information = 1.0 / (assumed + noise)
    mean = float((information * rate).sum() / information.sum())
    drawn_in = np.sqrt(between / (between + noise)) if between > 0 else np.zeros_like(noise)
    latent = mean + drawn_in * (rate - mean)
    by_weighting = (np.ones_like(latent), cost[usable])
    return _Spread(
        quantiles=np.stack([_weighted_quantiles(latent, weights) for weights in by_weighting]),
        mean=mean,
        sampling=float(1.0 / information.sum()),
        telling=float((drawn_in**2).sum()),
    )


def _between_variance(values: FloatArray, noise: FloatArray) -> float:
    """Variance of the values beyond their noise (Paule–Mandel): Σ (x - mean)² / (between + noise) = n - 1."""
    if values.size < 2:
        return 0.0

    def excess(between: float) -> float:
        weight = 1.0 / (between + noise + 1e-12)
        mean = (weight * values).sum() / weight.sum()
        return float((weight * (values - mean) ** 2).sum()) - (values.size - 1)

    if excess(0.0) <= 0.0:
        return 0.0
    low, high = 0.0, 4.0 * float(values.var()) + 1e-6
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return 0.5 * (low + high)


def _weighted_quantiles(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Quantiles at the midpoints of cumulated weights, linear between; shape (3,)."""
    if weights.sum() <= 0:
        weights = np.ones_like(values)
    order = np.lexsort((weights, values))
    cumulated = np.cumsum(weights[order])
    midpoints = (cumulated - 0.5 * weights[order]) / cumulated[-1]
    return np.interp(LEVELS, midpoints, values[order])


def _shrink(cells: list[_Cell], parent: _Cell) -> list[tuple[dict[str, FloatArray], float]]:
    """Log quantiles of each cell after borrowing from its parent, and the mean share borrowed."""
    quantiles: list[dict[str, FloatArray]] = [{} for _ in cells]
    shares = np.zeros((len(cells), len(RATES)))
    for column, rate in enumerate(RATES):
        spreads = [cell.spread[rate] for cell in cells]
        above = parent.spread[rate]
        seen = [spread for spread in spreads if np.isfinite(spread.mean)]
        found = _between_variance(
            np.array([spread.mean for spread in seen]), np.array([spread.sampling for spread in seen])
        )
        between = (_BETWEEN_PRIOR_CELLS * _BETWEEN_PRIOR_VARIANCE + len(seen) * found) / (
            _BETWEEN_PRIOR_CELLS + len(seen)
        )
        for row, spread in enumerate(spreads):
            known = np.isfinite(spread.mean)
            share = spread.sampling / (spread.sampling + between) if known else 1.0
            shares[row, column] = share
            own = spread.quantiles if known else above.quantiles
            lent = above.quantiles if np.isfinite(above.mean) else own
            own_median, lent_median = own[:, [1]], lent[:, [1]]
            lean = _SPREAD_DAYS / (_SPREAD_DAYS + spread.telling)
            quantiles[row][rate] = (
                (1.0 - share) * own_median
                + share * lent_median
                + (1.0 - lean) * (own - own_median)
                + lean * (lent - lent_median)
            )
    return list(zip(quantiles, shares.mean(axis=1).tolist(), strict=True))
