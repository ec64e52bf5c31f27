"""What to expect of a creative on a placement: CREATIVE_RATES, pooled creative ⊂ placement ⊂ track.

Here: predictive CPM, CTR and CVR of creatives, new ones included. Not here: the placements' own baselines
(`models.baselines`, which pool them to their track), which creatives to run (`models.slates`).

A placement's predictive for a creative has the baseline's median and, on the log scale, the variance
    P² = max(S², variance between creatives of the placement beyond their noise),
S being the baseline's spread of days (whose skewness is kept). A new creative starts exactly there. With k
counts where the placement's rate lets e expect, thinned by the creative's own day-to-day luck to d k and d e,
a gamma prior of shape α = 1/P² gives
    log rate = log median + log((α + d k) / (α + d e)),   variance 1 / (α + d k).
CPM has no counts: its log moves by w = P² / (P² + S²/days). A score moves the median that a creative starts
from, on CTR and CVR; how wide it starts is found beyond the scores, so that useless ones narrow nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import polars as pl

from models.forecasting.panel import FloatArray
from models.maturity import is_matured

RATES = ("cpm", "ctr", "cvr")
_CREATIVE = ["track", "platform", "account_id", "creative_id"]
_CELL = [*_CREATIVE, "placement"]
_MULTIPLIERS = ["ctr_multiplier", "cvr_multiplier"]
_SCORED = pl.Schema(dict.fromkeys(_CELL, pl.String()) | dict.fromkeys(_MULTIPLIERS, pl.Float64()))
_Z90 = 1.2815515655446004
_BETWEEN_PRIOR_VARIANCE = 0.25
_BETWEEN_PRIOR_CREATIVES = 3.0
_SMALLEST_VARIANCE = 0.02**2


def creative_rates(
    creative_days: pl.DataFrame,
    baselines: pl.DataFrame,
    as_of_date: date,
    *,
    window_days: int,
    maturity_days: Mapping[tuple[str, str], int],
    click_incrementality: float,
    view_incrementality: float,
    multipliers: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """p10, p50, p90 of CPM, CTR and CVR per creative and placement of its platform.

    Args:
        creative_days: date, platform, account_id, track, creative_id, placement, impressions, clicks, cost,
            conversions_click, conversions_view (int_creative_placement_daily).
        baselines: PLACEMENT_BASELINES of the same morning; the rows that count each day once are used.
        as_of_date: the window is the `window_days` days before it.
        maturity_days: of `models.maturity`, by (platform, account_id): younger days do not feed CVR.
        click_incrementality, view_incrementality: signups per platform conversion.
        multipliers: of `models.ranking.multipliers.multipliers_in_force`; None: no creative is scored.
    Returns:
        CREATIVE_RATES, sorted by its grain: every creative scored or delivered in the window, on every
        placement where its account's track delivered. NULL where the placement has no baseline of a rate.
    Raises:
        ValueError: window_days not positive, or a negative measure.
    """
    if window_days <= 0:
        raise ValueError("window_days must be positive")
    sums = _sums(
        creative_days, as_of_date, window_days, maturity_days, click_incrementality, view_incrementality
    )
    places = sums.select("track", "platform", "account_id", "placement").unique()
    scored = pl.DataFrame(schema=_SCORED) if multipliers is None else multipliers.select(_SCORED.names())
    cells = (
        pl.concat([sums.select(_CREATIVE), scored.select(_CREATIVE)])
        .unique()
        .join(places, on=["track", "platform", "account_id"])
        .join(sums, on=_CELL, how="left")
        .with_columns(pl.col(_MEASURES).fill_null(0.0))
        .join(scored, on=_CELL, how="left")
        .with_columns(pl.col(_MULTIPLIERS).fill_null(1.0))
        .join(
            baselines.filter(pl.col("weighting") == "equal").select(
                "track", "placement", pl.col(f"^({'|'.join(RATES)})_p(10|50|90)$")
            ),
            on=["track", "placement"],
            how="left",
        )
        .sort(_CELL)
    )
    found, weights = {}, []
    for rate in RATES:
        quantiles, weight = _pooled(cells, rate)
        weights.append(weight)
        for level, values in zip((10, 50, 90), quantiles, strict=True):
            found[f"{rate}_p{level}"] = pl.Series(values).fill_nan(None)
    return cells.select(
        pl.lit(as_of_date).alias("as_of_date"),
        *_CELL,
        pl.col("impressions", "clicks").round().cast(pl.Int64),
        "conversions",
        *(values.alias(name) for name, values in found.items()),
        (pl.col("ctr_multiplier") * pl.col("cvr_multiplier")).alias("score_multiplier"),
        pl.Series("own_weight", np.mean(weights, axis=0)),
    )


_MEASURES = ["impressions", "clicks", "cost", "matured_clicks", "conversions", "days"]
_FRACTIONS = {
    "cpm": ("cost", "impressions", 1000.0),
    "ctr": ("clicks", "impressions", 1.0),
    "cvr": ("conversions", "matured_clicks", 1.0),
}
"""Per rate: numerator, denominator, factor."""


def _sums(
    creative_days: pl.DataFrame,
    as_of_date: date,
    window_days: int,
    maturity_days: Mapping[tuple[str, str], int],
    click_incrementality: float,
    view_incrementality: float,
) -> pl.DataFrame:
    """Sums over the window per creative and placement that delivered; conversions of matured days only."""
    counted = ["impressions", "clicks", "cost", "conversions_click", "conversions_view"]
    rows = creative_days.filter(
        (pl.col("date") < as_of_date) & (pl.col("date") >= as_of_date - timedelta(days=window_days))
    ).with_columns(pl.col(counted).cast(pl.Float64).fill_null(0.0))
    if rows.filter(pl.any_horizontal(pl.col(name) < 0 for name in counted)).height:
        raise ValueError("creative_days: measures must not be negative")
    known = pl.DataFrame(
        [(*key, days) for key, days in maturity_days.items()],
        schema={"platform": pl.String, "account_id": pl.String, "maturity": pl.Int64},
        orient="row",
    )
    known_by_now = is_matured(pl.col("date"), as_of_date, pl.col("maturity"))
    matured = known_by_now.fill_null(value=False).cast(pl.Float64)
    conversions = click_incrementality * pl.col("conversions_click") + view_incrementality * pl.col(
        "conversions_view"
    )
    return (
        rows.join(known, on=["platform", "account_id"], how="left")
        .with_columns(conversions=conversions * matured, matured_clicks=pl.col("clicks") * matured)
        .filter(pl.col("impressions") > 0)
        .group_by(_CELL)
        .agg(
            *(pl.col(name).sort().sum() for name in _MEASURES[:-1]),
            pl.col("date").n_unique().cast(pl.Float64).alias("days"),
        )
    )


def _pooled(cells: pl.DataFrame, rate: str) -> tuple[FloatArray, FloatArray]:
    """Quantiles of one rate, shape (3, cells), and the weight of each creative's own evidence."""
    numerator, denominator, factor = _FRACTIONS[rate]
    with np.errstate(divide="ignore"):
        low, centre, high = (
            np.log(cells[f"{rate}_p{level}"].cast(pl.Float64).to_numpy()) for level in (10, 50, 90)
        )
    below, above = (centre - low) / _Z90, (high - centre) / _Z90
    if rate != "cpm":
        centre = centre + np.log(cells[f"{rate}_multiplier"].to_numpy())
    spread = ((below + above) / 2.0) ** 2
    of_days = np.maximum(spread, _SMALLEST_VARIANCE) / np.maximum(cells["days"].to_numpy(), 1.0)
    happened, exposed = factor * cells[numerator].to_numpy(), cells[denominator].to_numpy()
    expected = np.nan_to_num(exposed * np.exp(centre))
    if rate == "cpm":
        told = (happened > 0) & (expected > 0)
        deviation = np.log(np.where(told, happened, 1.0) / np.where(told, expected, 1.0))
        evidence = np.where(told, 1.0 / (_BETWEEN_PRIOR_VARIANCE + of_days), 0.0)
        between = _by_placement(cells, evidence * (deviation**2 - of_days), evidence, evidence)
        prior = np.maximum(spread, between) + _SMALLEST_VARIANCE * (spread == 0)
        weight = np.where(told, prior / (prior + of_days), 0.0)
        mean, variance = centre + weight * deviation, (1.0 - weight) * prior
    else:
        # E (k - e)² = e + e² (variance between): right for few counts, where logarithms are not.
        trust = 1.0 / (1.0 + _BETWEEN_PRIOR_VARIANCE * expected) ** 2
        excess = trust * ((happened - expected) ** 2 - expected)
        between = _by_placement(
            cells, excess, trust * expected**2, expected * np.sqrt(trust) * _BETWEEN_PRIOR_VARIANCE
        )
        prior = np.maximum(spread, between)
        shape, thinned = 1.0 / prior, 1.0 / (1.0 + expected * of_days)
        weight = thinned * expected / (shape + thinned * expected)
        mean = centre + np.log((shape + thinned * happened) / (shape + thinned * expected))
        variance = 1.0 / (shape + thinned * happened)
    # A skewed baseline stays skewed: both sides widen and shrink alike.
    deviation = np.sqrt(variance)
    skew = [
        np.where(spread > 0, side / np.sqrt(np.where(spread > 0, spread, 1.0)), 1.0)
        for side in (below, above)
    ]
    sides = [side * deviation for side in skew]
    return np.exp(np.stack([mean - _Z90 * sides[0], mean, mean + _Z90 * sides[1]])), weight


def _by_placement(
    cells: pl.DataFrame, excess: FloatArray, unit: FloatArray, evidence: FloatArray
) -> FloatArray:
    """Variance between creatives, Σ excess / Σ unit of a placement's cells, shrunk to a usual one.

    `evidence` says how much each creative's counts tell of the variance; its effective number weighs against
    the prior's.
    """
    found = np.full(cells.height, _BETWEEN_PRIOR_VARIANCE)
    places = cells.select(pl.struct("track", "placement").rank("dense")).to_series().to_numpy()
    for place in np.unique(places):
        inside = places == place
        told = float((evidence[inside] ** 2).sum())
        if told <= 0.0:
            continue
        creatives = float(evidence[inside].sum() ** 2) / told
        beyond = max(float(excess[inside].sum() / unit[inside].sum()), 0.0)
        found[inside] = (_BETWEEN_PRIOR_CREATIVES * _BETWEEN_PRIOR_VARIANCE + creatives * beyond) / (
            _BETWEEN_PRIOR_CREATIVES + creatives
        )
    return found
