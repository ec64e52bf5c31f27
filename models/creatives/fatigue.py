"""Fatigue: how fast a creative's click rate falls as people see it again, and how sure that is.

Here: the slope of log-odds CTR per creative, pooled to its placement. Not here: forecasts of a creative
(`models.forecasting`), when to replace one.

Clicks of a day are binomial with log-odds a + b x, where x is the average number of times a person reached
has seen the creative to date (its frequency), or days since its first where that is unknown. Two stages:

1. Each creative alone: maximum likelihood (iteratively reweighted least squares) gives b and its variance,
   which is multiplied by the placement's dispersion φ = max(1, Pearson χ² / degrees of freedom): days differ
   by more than binomial luck.
2. The creatives of a placement: b_i ~ N(μ, τ²), flat in μ and uniform in the shrinkage s² / (s² + τ²), s²
   the harmonic mean of their variances (Daniels 1999). The posterior of b_i is averaged over τ and taken as
   normal: with τ fixed at its best estimate 80% intervals of ten creatives held 72% of true slopes.

What else happened while a creative grew older (season, auction, audience) is in the slope too: it describes
how the click rate fell, not why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import expit, ndtr, ndtri

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FATIGUE_VERSION = "fatigue_v1"
WHERE = ("platform", "account_id", "track", "placement")
SEASON = tuple(f"season_slope_p{level}" for level in (10, 50, 90))
_KEY = ["placement", "creative_id"]
_LEVELS = (10, 50, 90)
_ROUNDS = 50
_PRECISION = 1e-9
_SHRINKAGES = 200
_FIGURES = ("slope_p10", "slope_p50", "slope_p90", "p_fatigues", "ctr_at_start")
_DAYS = tuple(f"days_to_half_p{level}" for level in _LEVELS)

FATIGUE_SCHEMA = pl.Schema(
    {
        "placement": pl.String(),
        "creative_id": pl.String(),
        "basis": pl.String(),
        "days": pl.Int64(),
        "impressions": pl.Int64(),
        "clicks": pl.Int64(),
        "exposure": pl.Float64(),
        **dict.fromkeys((*_FIGURES, *_DAYS, "placement_slope"), pl.Float64()),
        "not_enough_data": pl.String(),
    }
)


@dataclass(frozen=True)
class FatigueRules:
    """What a slope must rest on.

    least_days: with impressions. least_clicks: over all of them. least_exposure: by which frequency must have
    grown, in times seen.

    Raises:
        ValueError: fewer than 3 days (a line needs two), a negative number.
    """

    least_days: int = 7
    least_clicks: int = 30
    least_exposure: float = 0.25

    def __post_init__(self) -> None:
        if self.least_days < 3 or self.least_clicks < 1 or self.least_exposure < 0:
            raise ValueError("needs least_days >= 3, least_clicks >= 1 and least_exposure >= 0")


def creative_fatigue(daily: pl.DataFrame, rules: FatigueRules | None = None) -> pl.DataFrame:
    """The slope of each creative's click rate on each placement.

    Args:
        daily: placement, creative_id, date, impressions, clicks (on links), one row per creative, placement
            and day, and optionally reach (people reached from the first day up to that one) or frequency
            (impressions to date per person reached to date). A creative with either on all of its days is
            read by frequency, any other by days since its first.
        rules: what a slope must rest on.
    Returns:
        `FATIGUE_SCHEMA`, one row per creative and placement, sorted. basis: frequency or days. exposure:
        times seen, or days, from the first day to the last. slope_p*: change of log-odds CTR per time seen or
        day (p10 ≤ p50 ≤ p90); p_fatigues: P(slope < 0). ctr_at_start: fitted, on the first day.
        days_to_half_p*: from the first day until the click rate is half of that at the pace exposure grew so
        far; null where it never is (an infinite quantile). placement_slope: μ. All null where not_enough_data
        gives the reason.
    Raises:
        ValueError: a repeated day, or clicks that are negative or more than impressions.
    """
    rules = rules or FatigueRules()
    shown = _checked(daily).filter(pl.col("impressions") > 0).sort(*_KEY, "date")
    if shown.is_empty():
        return FATIGUE_SCHEMA.to_frame()
    rows = _with_exposure(shown)
    creatives = rows.group_by(_KEY, maintain_order=True).agg(
        pl.col("basis").first(),
        pl.len().cast(pl.Int64).alias("days"),
        pl.col("impressions").sum(),
        pl.col("clicks").sum(),
        (pl.col("x").last() - pl.col("x").first()).alias("exposure"),
        (pl.col("date").last() - pl.col("date").first()).dt.total_days().alias("lasted"),
    )
    creatives = creatives.with_columns(_reason(rules).alias("not_enough_data"))
    judged = creatives.filter(pl.col("not_enough_data").is_null()).select(_KEY).with_row_index("creative")
    fitted_rows = rows.join(judged, on=_KEY, how="inner", maintain_order="left")
    fitted = judged.with_columns(_slopes(fitted_rows, judged)) if judged.height else None
    if fitted is None:
        found = creatives.with_columns(
            pl.lit(None, dtype=pl.Float64).alias(name) for name in (*_FIGURES, *_DAYS, "placement_slope")
        )
    else:
        found = creatives.join(fitted, on=_KEY, how="left").with_columns(*_days_to_half())
    return found.select(FATIGUE_SCHEMA.names()).cast(FATIGUE_SCHEMA).sort(_KEY)


def delivered_fatigue(days: pl.DataFrame, rules: FatigueRules | None = None) -> pl.DataFrame:
    """Fatigue of an account's creatives beside what happened to everything shown in the same place.

    Each placement of an account and track is pooled by itself. season_slope_p* is the slope a day of all its
    ads together over the same days: season, auction and which ads ran. A creative that falls no faster than
    that has not tired by itself.

    Args:
        days: `WHERE`, creative_id, date, impressions, clicks (on links) and optionally reach or frequency as
            `creative_fatigue` takes them; rows of several campaigns are added up (without reach or frequency,
            which do not add). Days with more clicks than impressions are left out.
    Returns:
        `WHERE`, creative_id, the figures of `FATIGUE_SCHEMA` and `SEASON`, null where the placement has too
        few days or clicks; sorted.
    """
    keys = [*WHERE, "creative_id", "date"]
    told = [name for name in ("reach", "frequency") if name in days.columns]
    sums = [pl.col("impressions", "clicks").sum()]
    alone = [pl.when(pl.len() == 1).then(pl.col(name).first()).alias(name) for name in told]
    summed = days.group_by(keys).agg(*sums, *alone).filter(pl.col("clicks") <= pl.col("impressions"))
    places = summed.select(WHERE).unique().sort(WHERE).with_row_index("place")
    daily = summed.join(places, on=WHERE).drop(WHERE).with_columns(placement=pl.col("place").cast(pl.String))
    of_each = creative_fatigue(daily.drop("place"), rules)
    together = daily.group_by("placement", "date").agg(*sums).with_columns(creative_id=pl.lit("all"))
    # Alone in its cell, a place is not pooled with the others.
    seasons = [creative_fatigue(place, rules) for place in together.partition_by("placement")]
    season = pl.concat(seasons) if seasons else FATIGUE_SCHEMA.to_frame()
    slopes = {f"slope_p{level}": f"season_slope_p{level}" for level in _LEVELS}
    found = of_each.join(season.select("placement", *slopes).rename(slopes), on="placement", how="left")
    placed = places.with_columns(pl.col("place").cast(pl.String)).rename({"placement": "where"})
    joined = found.join(placed, left_on="placement", right_on="place").drop("placement")
    figures = [name for name in FATIGUE_SCHEMA if name not in _KEY]
    return (
        joined.rename({"where": "placement"})
        .select(*WHERE, "creative_id", *figures, *SEASON)
        .sort(*WHERE, "creative_id")
    )


def _checked(daily: pl.DataFrame) -> pl.DataFrame:
    if daily.select(*_KEY, "date").is_duplicated().any():
        raise ValueError("fatigue: a creative has a day twice on one placement; sum its rows first")
    wrong = daily.filter((pl.col("clicks") < 0) | (pl.col("clicks") > pl.col("impressions")))
    if wrong.height:
        first = wrong.row(0, named=True)
        raise ValueError(
            f"fatigue: {first['creative_id']} on {first['date']} has {first['clicks']} clicks of "
            f"{first['impressions']} impressions; clicks must lie between 0 and impressions"
        )
    missing = [name for name in ("reach", "frequency") if name not in daily.columns]
    return daily.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in missing)


def _with_exposure(shown: pl.DataFrame) -> pl.DataFrame:
    """x: by frequency where every day has one, else days since the first."""
    seen = pl.col("impressions").cum_sum().over(_KEY)
    reached = pl.when(pl.col("reach") > 0).then(seen / pl.col("reach"))
    rows = shown.with_columns(
        pl.coalesce(pl.col("frequency").cast(pl.Float64), reached).alias("seen_by_each")
    )
    by_frequency = pl.col("seen_by_each").is_not_null().all().over(_KEY)
    since = (pl.col("date") - pl.col("date").first()).dt.total_days().cast(pl.Float64).over(_KEY)
    return rows.with_columns(
        pl.when(by_frequency).then(pl.lit("frequency")).otherwise(pl.lit("days")).alias("basis"),
        pl.when(by_frequency).then(pl.col("seen_by_each")).otherwise(since).alias("x"),
    )


def _reason(rules: FatigueRules) -> pl.Expr:
    grown = pl.col("exposure").round(2).cast(pl.String)
    return (
        pl.when(pl.col("days") < rules.least_days)
        .then(pl.format("{} days with impressions; needs " + str(rules.least_days), "days"))
        .when(pl.col("clicks") < rules.least_clicks)
        .then(pl.format("{} clicks; needs " + str(rules.least_clicks), "clicks"))
        .when(pl.col("clicks") == pl.col("impressions"))
        .then(pl.lit("every impression was clicked: no click rate to fall"))
        .when((pl.col("basis") == "frequency") & (pl.col("exposure") < max(rules.least_exposure, 1e-6)))
        .then(pl.format("frequency grew by {}; needs " + str(rules.least_exposure), grown))
    )


def _slopes(rows: pl.DataFrame, judged: pl.DataFrame) -> list[pl.Series]:
    """`_FIGURES` and placement_slope of the creatives of `judged`, from their days."""
    kind = rows.group_by("creative", maintain_order=True).agg(pl.col("placement", "basis").first())
    creative = rows["creative"].to_numpy().astype(np.int64)
    fit = _fit_each(
        creative,
        rows["x"].to_numpy(),
        rows["clicks"].to_numpy().astype(float),
        rows["impressions"].to_numpy().astype(float),
        judged.height,
    )
    mean, variance, centre = fit.slope.copy(), fit.variance.copy(), fit.slope.copy()
    # A slope per time seen and one per day are different things: each is pooled with its own kind.
    cells = (
        kind.select(pl.concat_str("basis", "placement", separator=" ").rank("dense")).to_series().to_numpy()
    )
    for cell in np.unique(cells):
        members = np.flatnonzero(cells == cell)
        dispersion = max(1.0, fit.chi_square[members].sum() / fit.freedom[members].sum())
        mean[members], variance[members], centre[members] = _pooled(
            fit.slope[members], fit.variance[members] * dispersion
        )
    sd = np.sqrt(variance)
    quantiles = [pl.Series(f"slope_p{level}", mean + sd * ndtri(level / 100)) for level in _LEVELS]
    return [
        *quantiles,
        pl.Series("p_fatigues", ndtr(-mean / sd)),
        # The start moves with the slope: the fitted line turns around its centre of weight.
        pl.Series("ctr_at_start", expit(fit.level - mean * fit.centre)),
        pl.Series("placement_slope", centre),
    ]


@dataclass(frozen=True)
class _Fit:
    """Each creative alone. level: log-odds at `centre`, the weighted mean exposure since the first day."""

    slope: FloatArray
    variance: FloatArray
    level: FloatArray
    centre: FloatArray
    chi_square: FloatArray
    freedom: FloatArray


def _fit_each(creative: IntArray, x: FloatArray, clicks: FloatArray, shown: FloatArray, count: int) -> _Fit:
    """Logistic regressions of many creatives at once, by Newton's method.

    Each has a slope prior N(0, 1/ridge) of next to no weight: without it a creative whose last days have no
    click would run to minus infinity.
    """

    def total(values: FloatArray) -> FloatArray:
        return np.bincount(creative, values, minlength=count).astype(np.float64)

    first = np.full(count, np.inf)
    np.minimum.at(first, creative, x)
    since = x - first[creative]
    spread = np.zeros(count)
    np.maximum.at(spread, creative, since)
    ridge = 0.01 * spread**2  # a slope that changes the odds e^10-fold is one standard deviation
    centre = total(shown * since) / total(shown)
    level = np.log(total(clicks) / (total(shown) - total(clicks)))
    slope = np.zeros(count)
    for _ in range(_ROUNDS):
        about = since - centre[creative]
        rate = expit(level[creative] + slope[creative] * about)
        weight, surprise = shown * rate * (1 - rate), clicks - shown * rate
        w0, w1, w2 = total(weight), total(weight * about), total(weight * about**2) + ridge
        g0, g1 = total(surprise), total(surprise * about) - ridge * slope
        determinant = w0 * w2 - w1**2
        to_level, to_slope = (w2 * g0 - w1 * g1) / determinant, (w0 * g1 - w1 * g0) / determinant
        # Half a step at most of what would change odds tenfold: far from the top Newton overshoots.
        change = np.maximum(np.abs(to_level), np.abs(to_slope) * spread)
        damped = np.minimum(1.0, 2.0 / np.maximum(change, 1e-300))
        level, slope = level + damped * to_level, slope + damped * to_slope
        # Around its centre of weight the line's level and slope say nothing of each other.
        shift = w1 / w0
        centre, level = centre + shift, level + slope * shift
        if change.max() < _PRECISION:
            break
    rate = expit(level[creative] + slope[creative] * (since - centre[creative]))
    weight = shown * rate * (1 - rate)
    variance = 1 / (total(weight * (since - centre[creative]) ** 2) + ridge)
    chi_square = total((clicks - shown * rate) ** 2 / np.maximum(weight, 1e-12))
    return _Fit(slope, variance, level, centre, chi_square, total(np.ones_like(x)) - 2)


def _pooled(slope: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Posterior means, variances and the placement's mean slope; one creative alone stays as it is."""
    shrinkage = (np.arange(_SHRINKAGES) + 0.5) / _SHRINKAGES
    typical = 1 / (1 / variance).mean()
    between = (typical * (1 - shrinkage) / shrinkage)[:, None]
    weight = 1 / (variance + between)
    of_centre = 1 / weight.sum(axis=1)
    centre = (weight * slope).sum(axis=1) * of_centre
    off = slope - centre[:, None]
    log_density = (np.log(of_centre) + np.log(weight).sum(axis=1) - (weight * off**2).sum(axis=1)) / 2
    share = np.exp(log_density - log_density.max())
    share /= share.sum()
    own = between * weight
    mean = centre[:, None] + own * off
    spread = own * variance + (1 - own) ** 2 * of_centre[:, None]
    found = share @ mean
    return found, share @ (spread + (mean - found) ** 2), float(share @ centre)


def _days_to_half() -> list[pl.Expr]:
    """Days until the fitted click rate is half of the first day's, at the pace exposure grew so far.

    log-odds(p/2) - log-odds(p) = log((1 - p) / (2 - p)), about -log 2 where p is small.
    """
    start = pl.col("ctr_at_start")
    fall = ((1 - start) / (2 - start)).log()
    a_day = pl.when(pl.col("lasted") > 0).then(pl.col("exposure") / pl.col("lasted"))
    return [
        pl.when(pl.col(f"slope_p{level}") < 0)
        .then(fall / (pl.col(f"slope_p{level}") * a_day))
        .alias(f"days_to_half_p{level}")
        for level in _LEVELS
    ]
