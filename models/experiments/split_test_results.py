"""What a split test's arms did: rates, lifts with intervals that hold at every look, and a verdict.

Here: outcomes by arm and metric, their noise, corrections for several arms and for having picked the winner.
Not here: whether a test may be judged at all (`split_test_validity`), the rows (the assets).

The estimate is the log ratio δ of two arms' rates, each a ratio of sums. Its noise is the larger of what
counts alone have and what days show (a day's ups and downs that both arms share cancel):

    Poisson: 1/n_arm + 1/n_control,    days: Σ_d z_d² · D/(D - 1), z_d = e_d,arm/n_arm - e_d,control/n_control

with e the day's outcome beyond the arm's rate (the ratio estimator's variance, days as clusters; Cochran
1977, section 6.3). An arm's moods are taken to be a day's: where they last (a day's correlated with the one
before by 0.3, or 0.6), intervals meant to fail in 5 % of tests failed in 3 to 6 %, or 18 to 23 %.

In information I = 1/se², the score δ̂ I is Brownian motion with drift δ as data grow (Scharfstein, Tsiatis,
Robins 1997, JASA 92), so the normal mixture of Robbins (1970), which is the mixture SPRT of Johari et al.
(2022, Operations Research 70(3)) and the asymptotic confidence sequence of Waudby-Smith et al. (2024, Annals
of Statistics 52(6)), holds at all looks at once:

    |δ̂ - δ| < √((I + η) log((I + η) / (η α²))) / I,     p = √((I + η)/η) e^(-(δ̂ I)² / 2(I + η))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from models.experiments.split_test_validity import TEST

MIXED_LIFT = 0.3
"""Spread of the log ratios that the interval mixes over: fixed before any data, valid whatever is true, and
within a tenth of the narrowest possible where standard errors are 0.04 to 0.25."""
TYPICAL_LIFT = 0.1
"""Spread of true log ratios where few tests tell of it."""
SMALLEST_COUNT = 30
"""Outcomes, and exposures, an arm needs before its log rate is close to normal; no lift is told below. A user
may order twice, so enough outcomes need not come of enough users."""
SMALLEST_DAYS = 7
"""Days a test must have run before a lift is told: weekdays differ, and fewer days tell no noise."""
SMALLEST_PERIODS = 7
"""Periods from which they tell noise beyond that of counts; a test of fewer, longer ones is taken to have
none."""
PRIOR_LIFTS = 10
"""Lifts that the prior of their spread is worth."""
CONTROL_NAMES = ("control", "holdout", "baseline", "original")
_BOUNDARY_SIGMAS = 3.0  # about where intervals end; few days are made up for there


@dataclass(frozen=True)
class Metric:
    """A rate: outcomes per exposure, by the columns that hold them."""

    name: str
    outcomes: str
    exposures: str


METRICS = (
    Metric("link_ctr", "link_clicks", "impressions"),
    Metric("orders_per_user", "orders", "users"),
    Metric("click_conversions_per_user", "conversions_click", "users"),
    Metric("view_conversions_per_user", "conversions_view", "users"),
    Metric("positive_answer_share", "positive_answers", "answers"),
)

_ARM = [*TEST, "metric", "arm"]
_METRIC = [*TEST, "metric"]

RESULT_COLUMNS = (
    *("platform", "account_id", "test_id", "metric", "arm", "is_control", "days"),
    *("outcomes", "exposures", "rate", "rate_low", "rate_high", "lift", "lift_low", "lift_high"),
    *("log_lift", "standard_error", "dispersion", "p_value", "p_adjusted"),
)


def split_test_results(cells: pl.DataFrame, *, alpha: float) -> pl.DataFrame:
    """Each arm's rates, and its lift over the test's control; one row per test, metric and arm.

    The control is the arm said to be (`is_control`), else one called as in `CONTROL_NAMES`, else the first by
    name. Several arms: intervals hold for all of them together (Bonferroni), p_adjusted is Holm's (1979).

    Args:
        cells: TEST, arm, period_start, period_end, is_control (null: not told), and the columns of `METRICS`,
            null where the test does not tell. Rows may be cut further, such as by segment.
        alpha: chance that any of a test and metric's lift intervals ever leaves out the true lift.
    Returns:
        `RESULT_COLUMNS`, sorted by test, metric and arm. lift is a fraction (0.1: a tenth more); it, its
        interval and p are null for the control and where an arm has fewer than `SMALLEST_COUNT` outcomes or
        exposures.
        dispersion is the variance of the log ratio over that of Poisson counts; null where days do not tell.
    Raises:
        ValueError: alpha outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie in (0, 1) (found {alpha:g})")
    days = _metric_days(cells)
    outcomes = pl.col("outcomes").sum().over(_ARM)
    rate = outcomes / pl.col("exposures").sum().over(_ARM)
    residual = (pl.col("outcomes") - rate * pl.col("exposures")) / outcomes
    days = days.with_columns(pl.when(outcomes > 0).then(residual).alias("residual"))
    arms = days.group_by(_ARM).agg(
        pl.col("outcomes", "exposures").sum(),
        pl.len().alias("periods"),
        pl.col("days").sum(),
        (pl.col("residual") ** 2).sum().alias("spread"),
    )
    controls = _controls(cells, arms)
    arms = arms.join(controls, on=[*_METRIC, "arm"], how="left").with_columns(
        pl.col("is_control").fill_null(False)
    )
    against = days.join(controls, on=_ARM).select(*_METRIC, "period_start", control_residual="residual")
    paired = (
        days.join(against, on=[*_METRIC, "period_start"])
        .group_by(_ARM)
        .agg(((pl.col("residual") - pl.col("control_residual")) ** 2).sum().alias("paired_spread"))
    )
    reference = arms.filter("is_control").select(
        *_METRIC, control_outcomes="outcomes", control_exposures="exposures"
    )
    found = arms.join(paired, on=_ARM, how="left").join(reference, on=_METRIC).sort(_ARM)
    own = _variance(pl.lit(1.0) / pl.col("outcomes"), "spread", found)
    poisson = pl.lit(1.0) / pl.col("outcomes") + pl.lit(1.0) / pl.col("control_outcomes")
    variance = _variance(poisson, "paired_spread", found)
    told = _has_enough("outcomes", "exposures") & (pl.col("days") >= SMALLEST_DAYS)
    against_enough = _has_enough("control_outcomes", "control_exposures")
    compared = told & ~pl.col("is_control") & against_enough
    rate = pl.col("outcomes") / pl.col("exposures")
    ratio = rate / (pl.col("control_outcomes") / pl.col("control_exposures"))
    found = found.with_columns(
        rate.alias("rate"),
        pl.when(told).then(own.sqrt()).alias("rate_error"),
        pl.when(compared).then(ratio.log()).alias("log_lift"),
        pl.when(compared).then(variance.sqrt()).alias("standard_error"),
        pl.when(compared & (pl.col("periods") >= SMALLEST_PERIODS))
        .then(variance / poisson)
        .alias("dispersion"),
    )
    comparisons = pl.col("log_lift").count().over(_METRIC).clip(lower_bound=1)
    radius = _radius(pl.col("standard_error"), alpha / comparisons)
    of_rate = _radius(pl.col("rate_error"), pl.lit(alpha))
    lift = pl.col("log_lift")
    return (
        found.with_columns(
            (pl.col("rate") * (-of_rate).exp()).alias("rate_low"),
            (pl.col("rate") * of_rate.exp()).alias("rate_high"),
            (lift.exp() - 1).alias("lift"),
            ((lift - radius).exp() - 1).alias("lift_low"),
            ((lift + radius).exp() - 1).alias("lift_high"),
            _always_valid_p(lift, pl.col("standard_error")).alias("p_value"),
        )
        .sort("p_value", nulls_last=True)
        .with_columns(_holm().alias("p_adjusted"))
        .select(RESULT_COLUMNS)
        .sort(_ARM)
    )


def shrunk_lifts(log_lift: pl.Series, standard_error: pl.Series) -> pl.Series:
    """What lifts are to be expected after all, as log ratios: pulled to where lifts of this metric lie.

    Of many tests, those that win had luck too (the winner's curse; Lee and Shen 2018, KDD). With lifts normal
    around μ with spread τ, the expectation of one given its estimate is μ + τ²/(τ² + se²) (δ̂ - μ), whichever
    was picked. τ is fitted by maximum likelihood and counts beside a prior of `TYPICAL_LIFT` worth
    `PRIOR_LIFTS` lifts. Arms of one test share its control; that they then err together is left out.

    Args:
        log_lift, standard_error: of valid tests and one metric, without nulls, shape (lifts,).
    """
    lift, noise = log_lift.to_numpy(), standard_error.to_numpy() ** 2
    spread, centre = TYPICAL_LIFT**2, 0.0
    for _ in range(200):
        weight = 1 / (spread + noise)
        centre = float((weight * lift).sum() / (weight.sum() + PRIOR_LIFTS / TYPICAL_LIFT**2))
        # The EM step: each lift's expected squared distance from the centre, the prior's beside them.
        kept = spread * weight
        expected = (kept * (lift - centre)) ** 2 + kept * noise
        following = float((PRIOR_LIFTS * TYPICAL_LIFT**2 + expected.sum()) / (PRIOR_LIFTS + len(lift)))
        if abs(following - spread) < 1e-10:
            break
        spread = following
    return pl.Series("shrunk", centre + spread / (spread + noise) * (lift - centre), dtype=pl.Float64)


def split_test_verdicts(tests: pl.DataFrame, results: pl.DataFrame, *, alpha: float) -> pl.DataFrame:
    """One verdict per test on its primary metric; an invalid test never has a winner.

    winner: of the arms with `SMALLEST_COUNT` outcomes and exposures, the one with the highest rate, shown to
    beat the control, or the control, shown to beat each other one. A smaller arm is never best, and does not
    keep another from it: it is named, and three lucky orders would. no_difference: nothing of the kind is
    shown. too_little_data: fewer than `SMALLEST_DAYS` days, or no arm to hold against the control. invalid:
    it has reasons against it.
    Other metrics are shown and never judged, so several of them are no further chances to win.

    Args:
        tests: TEST, primary_metric (null: its first of `METRICS`), reasons (against it).
        results: of `split_test_results`.
    Returns:
        TEST, metric (null: none is told), control_arm, verdict, winner (null without one), verdict_reasons
        (list of text); one row per test, in their order.
    """
    order = pl.DataFrame({"metric": [metric.name for metric in METRICS], "rank": range(len(METRICS))})
    wanted = tests.select(*TEST, "primary_metric")
    judged = (
        results.join(order, on="metric")
        .join(wanted, on=TEST)
        .filter(pl.col("primary_metric").is_null() | (pl.col("primary_metric") == pl.col("metric")))
        .filter(pl.col("rank") == pl.col("rank").min().over(TEST))
    )
    better = (pl.col("p_adjusted") <= alpha) & (pl.col("log_lift") > 0)
    worse = (pl.col("p_adjusted") <= alpha) & (pl.col("log_lift") < 0)
    enough = _has_enough("outcomes", "exposures")
    best = pl.when(enough).then("rate").arg_max()
    others = ~pl.col("is_control")
    control = pl.col("arm").filter("is_control").first()
    found = judged.group_by(TEST).agg(
        pl.col("metric").first(),
        control.alias("control_arm"),
        pl.len().alias("arms_told"),
        pl.col("days").max(),
        pl.col("arm").filter(~enough).sort().alias("small"),
        pl.col("log_lift").count().alias("compared"),
        pl.col("arm").filter(worse.fill_null(False)).sort().alias("worse"),
        pl.when(better.fill_null(False).get(best))
        .then(pl.col("arm").get(best))
        .when((worse.fill_null(False) | ~others | ~enough).all())
        .then(control)
        .alias("best"),
    )
    untold = pl.col("arms_told") < 2
    short = pl.col("days").fill_null(0) < SMALLEST_DAYS
    little = untold | short | (pl.col("compared") == 0)
    table = tests.join(found, on=TEST, how="left", maintain_order="left").with_columns(
        pl.col("small", "worse").fill_null([]), pl.col("arms_told", "compared").fill_null(0)
    )
    verdict = (
        pl.when(pl.col("reasons").list.len() > 0)
        .then(pl.lit("invalid"))
        .when(little)
        .then(pl.lit("too_little_data"))
        .when(pl.col("best").is_not_null())
        .then(pl.lit("winner"))
        .otherwise(pl.lit("no_difference"))
    )
    words = [
        (untold, pl.lit("fewer than two arms tell its primary metric")),
        (short & ~untold, pl.format("it has run for {} days; {} are needed", "days", pl.lit(SMALLEST_DAYS))),
        (
            pl.col("small").list.len() > 0,
            pl.format(
                "fewer than {} outcomes or exposures in {}",
                pl.lit(SMALLEST_COUNT), pl.col("small").list.join(", "),
            ),
        ),
        (
            ~little & pl.col("best").is_null() & (pl.col("worse").list.len() > 0),
            pl.format(
                "no arm beats the others; {} did worse than the control", pl.col("worse").list.join(", ")
            ),
        ),
    ]  # fmt: skip
    told = pl.concat_list(
        [pl.when(ground).then(text.cast(pl.String)) for ground, text in words]
    ).list.drop_nulls()
    return table.with_columns(verdict.alias("verdict")).select(
        *TEST,
        "metric",
        "control_arm",
        "verdict",
        pl.when(pl.col("verdict") == "winner").then("best").alias("winner"),
        pl.concat_list("reasons", told).alias("verdict_reasons"),
    )


def _has_enough(outcomes: str, exposures: str) -> pl.Expr:
    return pl.min_horizontal(outcomes, exposures) >= SMALLEST_COUNT


def _metric_days(cells: pl.DataFrame) -> pl.DataFrame:
    """Outcomes and exposures by test, metric, arm and period: all periods of a test for each of its arms."""
    parts = []
    for metric in METRICS:
        told = pl.col(metric.outcomes).is_not_null() & pl.col(metric.exposures).is_not_null()
        parts.append(
            cells.filter(told)
            .group_by(*TEST, "arm", "period_start")
            .agg(
                pl.col(metric.outcomes).sum().cast(pl.Float64).alias("outcomes"),
                pl.col(metric.exposures).sum().cast(pl.Float64).alias("exposures"),
                ((pl.col("period_end") - pl.col("period_start")).dt.total_days() + 1).max().alias("days"),
            )
            .with_columns(pl.lit(metric.name).alias("metric"))
            .filter(pl.col("exposures").sum().over(*TEST, "arm") > 0)
        )
    rows = pl.concat(parts)
    # Arms of a test share its periods; one cut short (the last, say) is as long as its longest row.
    periods = rows.group_by(*_METRIC, "period_start").agg(pl.col("days").max())
    return (
        rows.select(_ARM)
        .unique()
        .join(periods, on=_METRIC)
        .join(rows.drop("days"), on=[*_ARM, "period_start"], how="left")
        .with_columns(pl.col("outcomes", "exposures").fill_null(0.0))
        .sort(*_ARM, "period_start")
    )


def _controls(cells: pl.DataFrame, arms: pl.DataFrame) -> pl.DataFrame:
    """The control of each test and metric, among the arms that tell the metric."""
    said = cells.group_by(*TEST, "arm").agg(pl.col("is_control").fill_null(False).any().alias("said"))
    named = pl.col("arm").str.to_lowercase().is_in(CONTROL_NAMES)
    return (
        arms.select(_ARM)
        .join(said, on=[*TEST, "arm"])
        .sort(*_METRIC, "said", named, "arm", descending=[*([False] * len(_METRIC)), True, True, False])
        .unique(_METRIC, keep="first", maintain_order=True)
        .select(*_ARM, pl.lit(True).alias("is_control"))
    )


def _variance(poisson: pl.Expr, spread: str, arms: pl.DataFrame) -> pl.Expr:
    """Of a log rate or ratio: the larger of the counts' and the days' own, with few days made up for."""
    periods = arms["periods"].to_numpy()
    freedom = np.maximum(periods - 1, 1)
    tail = stats.norm.sf(_BOUNDARY_SIGMAS)
    few = (stats.t.isf(tail, freedom) / _BOUNDARY_SIGMAS) ** 2 * periods / freedom
    shown = np.where(periods >= SMALLEST_PERIODS, few, 0.0)
    return pl.max_horizontal(poisson, pl.col(spread) * pl.Series(shown))


def _radius(error: pl.Expr, alpha: pl.Expr) -> pl.Expr:
    """Half the width of the mixture's interval, for a standard error at any look."""
    information, prior = 1 / error**2, 1 / MIXED_LIFT**2
    inside = (information + prior) * ((information + prior) / (prior * alpha**2)).log()
    return inside.sqrt() / information


def _always_valid_p(lift: pl.Expr, error: pl.Expr) -> pl.Expr:
    """The smallest alpha whose interval leaves out no lift, at this look."""
    information, prior = 1 / error**2, 1 / MIXED_LIFT**2
    exponent = -((lift * information) ** 2) / (2 * (information + prior))
    return (((information + prior) / prior).sqrt() * exponent.exp()).clip(upper_bound=1.0)


def _holm() -> pl.Expr:
    """Holm's adjusted p over a test and metric's comparisons; the rows must be sorted by p."""
    p = pl.col("p_value")
    left = p.count().over(_METRIC) - p.rank("ordinal").over(_METRIC) + 1
    return (p * left).clip(upper_bound=1.0).cum_max().over(_METRIC)
