"""How signups answer to spend: one elasticity per overlap cluster, learnt from the account's own history.

Here: evidence of budgets that were changed, belief about each cluster's elasticity. Not here: which levers
share a cluster (`overlap`), rates and levels (`forecasting`), what is then asked for (`bandits`).

Levers that share an auction and an audience are added up: a lever raised beside its neighbour takes some of
the neighbour's signups, so levers one by one would each promise them.

Log signups are followed in pairs of days a week apart (weekdays and slow levels cancel), added up by weeks.
Spend is no experiment: platforms deliver more on days that sell. Where budgets are known, only what budgets
changed of the spend is evidence: signups on the change of the log budget, over what share of it is spent
(near all of it; estimated freely, its chance errors are those of sales, and the ratio would be biased
towards what spend alone suggests). Where no budget is known, spend itself is evidence, with a bias of
unknown sign allowed for. Days around a change are left out, and days on which the platform said it was
learning. Drift of the level and more than Poisson noise are integrated over a grid; a pair far off counts
less.

Beliefs are normal. Elasticities of clusters are alike: half the prior's variance is common to them, so what
one cluster teaches moves the others part of the way. Without variation the belief is the prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

RANGE = (0.05, 0.95)
"""Elasticities outside are not believed: spend that brings nothing at all, or no diminishing returns."""
COMMON_SHARE = 0.5
"""Share of the prior's variance that all clusters have in common."""
SPEND_BIAS_SD = 0.25
"""How far spend that nobody moved may mislead: platforms spend where it sells."""
DAYS_LEFT_OUT = 2
"""Days from a budget's change on: a day split between two budgets, and the platform's first adjustment."""
CHANGE_SHARE = 0.05
"""A day counts as one of a change when more than this share of the cluster's budget was added or taken."""
LEARNING_SHARE = 0.5
"""A day is left out when levers with more than this share of the cluster's spend were learning."""
PASS_THROUGH_SD = 0.1
"""Prior sd of how much of a budget's change is spent, around all of it."""
LEAST_PASS_THROUGH = 0.3
"""Where less of a change is spent, budgets do not bind, and changing them says nothing of spend."""
_WEEK = 7
_LEAST_DAYS = 3
_LEAST_SIGNUPS = 10.0
_DRIFTS = (0.01, 0.03, 0.08, 0.2)
_DISPERSIONS = (1.0, 2.0, 5.0, 12.0)
_FAR = 2.0
_LEAST_VARIATION = 1e-4


def held_inside(elasticity: FloatArray) -> FloatArray:
    """Elasticities held inside RANGE."""
    return np.asarray(np.clip(elasticity, *RANGE), dtype=np.float64)


@dataclass(frozen=True)
class Prior:
    """Belief before any evidence; brand search has one of its own, apart from the others.

    Raises:
        ValueError: a mean outside (0, 1), a standard deviation that is not positive.
    """

    mean: float = 0.7
    sd: float = 0.15
    brand_mean: float = 0.3
    brand_sd: float = 0.15

    def __post_init__(self) -> None:
        if not (0 < self.mean < 1 and 0 < self.brand_mean < 1 and self.sd > 0 and self.brand_sd > 0):
            raise ValueError("prior: needs means strictly between 0 and 1, and positive standard deviations")


@dataclass(frozen=True)
class Evidence:
    """What a cluster's history says by itself.

    Attributes:
        estimate: of the elasticity; anything where information is 0.
        information: inverse variance of the estimate, 0 where nothing was learnt.
        basis: budgets (changed budgets moved spend), spend (no budget is known) or none.
        days: pairs of days behind it.
    """

    estimate: float
    information: float
    basis: str
    days: int


@dataclass(frozen=True)
class _Weeks:
    """Changes of log signups, spend and budget from week to week, with what noise to expect of each."""

    signups: FloatArray
    spend: FloatArray
    budget: FloatArray
    noise_now: FloatArray
    noise_before: FloatArray
    follows: NDArray[np.bool_]
    days: int


def response_curves(
    days: pl.DataFrame,
    budgets: pl.DataFrame,
    clusters: pl.DataFrame,
    *,
    as_of_date: date,
    prior: Prior,
    brand_may_rise: bool = False,
) -> pl.DataFrame:
    """Belief about the elasticity of signups on spend, by cluster.

    Args:
        days: date, platform, account_id, lever_id, cost (dollars), conversions (signups, may be fractional):
            matured days before `as_of_date`, ordinary ones alone.
        budgets: date, platform, account_id, lever_id, lever_source, current_budget (dollars a day; null where
            unknown), status, learning_state. A declared lever's budget is what it spent, and no evidence.
        clusters: platform, account_id, lever_id (unique), cluster, is_brand_search. Levers absent from it
            are left out.
        as_of_date: later days are ignored.
        prior: belief before any evidence.
        brand_may_rise: whether an experiment showed that more brand search brings more.

    Returns:
        as_of_date, cluster, is_brand_search, may_rise, levers, usual_spend (dollars a day, last 28 days),
        elasticity_mean and elasticity_sd (of the normal belief, not held inside RANGE), elasticity_p10,
        elasticity_p50, elasticity_p90 (held inside), estimate and estimate_sd (of the history alone; null
        where it says nothing), prior_mean, prior_sd, prior_share (elasticity_sd² / prior_sd²), basis,
        evidence_days; sorted by cluster.

    Raises:
        ValueError: a lever of two clusters, or a cluster that is brand search only in part.
    """
    if clusters.select("platform", "account_id", "lever_id").is_duplicated().any():
        raise ValueError("clusters: (platform, account_id, lever_id) must be unique")
    known = clusters.group_by("cluster").agg(
        pl.col("is_brand_search").first(),
        pl.col("is_brand_search").n_unique().alias("kinds"),
        pl.len().cast(pl.Int64).alias("levers"),
    )
    if (known["kinds"] > 1).any():
        mixed = known.filter(pl.col("kinds") > 1)["cluster"].sort().to_list()
        raise ValueError(f"clusters {mixed} are brand search only in part")
    known = known.drop("kinds").sort("cluster")
    daily = cluster_days(days.filter(pl.col("date") < as_of_date), budgets, clusters)
    by_cluster = daily.partition_by("cluster", as_dict=True)
    found = []
    usual = []
    for cluster in known["cluster"]:
        rows = by_cluster.get((cluster,), daily.clear())
        found.append(cluster_evidence(rows, prior.mean))
        usual.append(_usual_spend(rows))
    is_brand = known["is_brand_search"].to_numpy().astype(np.bool_)
    mean, sd = _beliefs(found, is_brand, prior)
    prior_mean = np.where(is_brand, prior.brand_mean, prior.mean)
    prior_sd = np.where(is_brand, prior.brand_sd, prior.sd)
    spread = NormalDist().inv_cdf(0.9)
    return known.select(
        pl.lit(as_of_date).alias("as_of_date"),
        "cluster",
        "is_brand_search",
        (~pl.col("is_brand_search") | brand_may_rise).alias("may_rise"),
        "levers",
        pl.Series("usual_spend", usual, dtype=pl.Float64),
        pl.Series("elasticity_mean", mean),
        pl.Series("elasticity_sd", sd),
        pl.Series("elasticity_p10", held_inside(mean - spread * sd)),
        pl.Series("elasticity_p50", held_inside(mean)),
        pl.Series("elasticity_p90", held_inside(mean + spread * sd)),
        pl.Series("estimate", [e.estimate if e.information > 0 else None for e in found], dtype=pl.Float64),
        pl.Series(
            "estimate_sd",
            [e.information**-0.5 if e.information > 0 else None for e in found],
            dtype=pl.Float64,
        ),
        pl.Series("prior_mean", prior_mean),
        pl.Series("prior_sd", prior_sd),
        pl.Series("prior_share", (sd / prior_sd) ** 2),
        pl.Series("basis", [e.basis for e in found], dtype=pl.String),
        pl.Series("evidence_days", [e.days for e in found], dtype=pl.Int64),
    )


def curves_of_levers(clusters: pl.DataFrame, curves: pl.DataFrame) -> pl.DataFrame:
    """Each lever with its cluster's curve.

    Args:
        clusters: platform, account_id, lever_id, cluster.
        curves: rows of `response_curves`.

    Returns:
        platform, account_id, lever_id, cluster, elasticity_mean, elasticity_sd, may_rise.
    """
    beliefs = curves.select("cluster", "elasticity_mean", "elasticity_sd", "may_rise")
    return clusters.select("platform", "account_id", "lever_id", "cluster").join(beliefs, on="cluster")


def cluster_days(days: pl.DataFrame, budgets: pl.DataFrame, clusters: pl.DataFrame) -> pl.DataFrame:
    """Each cluster's days: cost, conversions, budget, and whether the day is left out.

    A budget is null on days on which that of a lever that spent is unknown. A day is left out within
    DAYS_LEFT_OUT of a change of CHANGE_SHARE of the cluster's budget (in a large cluster some lever changes
    every day), or while LEARNING_SHARE of it was learning.
    """
    key = ["platform", "account_id", "lever_id"]
    of_lever = clusters.select(*key, "cluster")
    spent = days.select(
        "date", *key, pl.col("cost").cast(pl.Float64), pl.col("conversions").cast(pl.Float64)
    ).join(of_lever, on=key)
    set_by_people = pl.col("lever_source") == "platform"
    limits = (
        budgets.join(of_lever.select(key), on=key, how="semi")
        .select(
            "date",
            *key,
            pl.when(set_by_people)
            .then(pl.when(pl.col("status") == "active").then(pl.col("current_budget")).otherwise(0))
            .cast(pl.Float64)
            .alias("budget"),
            (pl.col("learning_state") == "learning").fill_null(value=False).alias("is_learning"),
        )
        .sort(*key, "date")
        .with_columns(
            (pl.col("budget") - pl.col("budget").shift()).over(key).abs().fill_null(0.0).alias("changed")
        )
    )
    rows = (
        spent.join(limits, on=["date", *key], how="full", coalesce=True)
        .drop("cluster")
        .join(of_lever, on=key)
        .with_columns(pl.col("cost", "conversions").fill_null(0.0))
        .sort("cluster", "date", *key)
    )
    whole = rows.group_by("cluster", "date", maintain_order=True).agg(
        pl.col("cost").sum(),
        pl.col("conversions").sum(),
        pl.when(pl.col("budget").is_null().and_(pl.col("cost") > 0).any())
        .then(None)
        .otherwise(pl.col("budget").sum())
        .alias("budget"),
        (pl.col("changed").sum() > CHANGE_SHARE * pl.col("budget").sum()).alias("changed"),
        (pl.col("cost") * pl.col("is_learning").fill_null(value=False)).sum().alias("learning_cost"),
    )
    last = days["date"].max()
    if last is None:
        nothing = whole.clear().with_columns(pl.lit(value=False).alias("left_out"))
        return nothing.drop("changed", "learning_cost")
    changes = whole.filter("changed").select("cluster", "date")
    around = pl.concat(
        [
            changes.with_columns(pl.col("date") + timedelta(days=day), pl.lit(value=True).alias("near"))
            for day in range(DAYS_LEFT_OUT)
        ]
    ).unique()
    return (
        whole.join(around, on=["cluster", "date"], how="left")
        .filter(pl.col("date") <= last)
        .select(
            "cluster",
            "date",
            "cost",
            "conversions",
            "budget",
            (
                pl.col("near").fill_null(value=False)
                | (pl.col("learning_cost") > LEARNING_SHARE * pl.col("cost"))
            ).alias("left_out"),
        )
        .sort("cluster", "date")
    )


def cluster_evidence(daily: pl.DataFrame, start: float) -> Evidence:
    """What one cluster's days say of its elasticity.

    Args:
        daily: rows of `cluster_days` of one cluster.
        start: where the search begins.
    """
    weeks = _weeks(daily)
    if weeks.signups.size < _LEAST_DAYS:
        return Evidence(start, 0.0, "none", 0)
    if np.isfinite(weeks.budget).all():
        passed = _pass_through(weeks)
        slope, variance = _response(weeks, weeks.budget, start * passed)
        if passed < LEAST_PASS_THROUGH or not np.isfinite(variance):
            return Evidence(start, 0.0, "none", 0)
        return Evidence(slope / passed, passed**2 / variance, "budgets", weeks.days)
    slope, variance = _response(weeks, weeks.spend, start)
    if not np.isfinite(variance):
        return Evidence(start, 0.0, "none", 0)
    return Evidence(slope, 1.0 / (variance + SPEND_BIAS_SD**2), "spend", weeks.days)


def _weeks(daily: pl.DataFrame) -> _Weeks:
    """Week on week: sums over the weekdays that count in both, weeks counted back from the newest day.

    A week without a known budget only counts where no week has one.
    """
    if daily.is_empty():
        nothing = np.zeros(0)
        return _Weeks(nothing, nothing, nothing, nothing, nothing, nothing.astype(np.bool_), 0)
    age = daily.select(age=(pl.col("date").max() - pl.col("date")).dt.total_days())["age"].to_numpy()
    count = int(age.max()) // _WEEK + 1
    shape = (count, _WEEK)
    series = {}
    for name in ("cost", "conversions", "budget"):
        values = np.full(count * _WEEK, np.nan)
        values[age] = daily[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        series[name] = values.reshape(shape)[::-1]
    kept = np.zeros(count * _WEEK, dtype=np.bool_)
    kept[age] = ~daily["left_out"].to_numpy() & (daily["cost"].to_numpy() > 0)
    of_week = kept.reshape(shape)[::-1]
    return _pairs(series["cost"], series["conversions"], series["budget"], of_week)


def _pairs(cost: FloatArray, signups: FloatArray, budget: FloatArray, kept: NDArray[np.bool_]) -> _Weeks:
    both = kept[1:] & kept[:-1]
    knows = both & (np.nan_to_num(budget[1:]) > 0) & (np.nan_to_num(budget[:-1]) > 0)
    has_budgets = bool(knows.any())
    both = knows if has_budgets else both

    def sums(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        return (
            np.where(both, values[1:], 0.0).sum(axis=1),
            np.where(both, values[:-1], 0.0).sum(axis=1),
        )

    signups_now, signups_before = sums(signups)
    usable = (both.sum(axis=1) >= _LEAST_DAYS) & (np.minimum(signups_now, signups_before) >= _LEAST_SIGNUPS)
    position = np.flatnonzero(usable)

    def change(values: FloatArray) -> FloatArray:
        now, before = sums(values)
        return np.asarray(np.log(now[position] / before[position]), dtype=np.float64)

    return _Weeks(
        signups=change(signups),
        spend=change(cost),
        budget=change(budget) if has_budgets else np.full(position.size, np.nan),
        noise_now=1.0 / signups_now[position],
        noise_before=1.0 / signups_before[position],
        follows=np.diff(position, prepend=-9) == 1,
        days=int(both[position].sum()),
    )


def _response(weeks: _Weeks, mover: FloatArray, start: float) -> tuple[float, float]:
    """Slope of signups on what moved the spend, with its variance; infinite where nothing moved.

    Averaged over drift and noise by how well they explain what is left over. Four rounds: pairs far off are
    found by the slope, and the slope by the pairs.
    """
    if float(mover @ mover) <= _LEAST_VARIATION:
        return start, np.inf
    answer, variance, far = start, np.inf, np.ones(mover.size)
    for _ in range(4):
        rest = weeks.signups - answer * mover
        fits = []
        for drift in _DRIFTS:
            for dispersion in _DISPERSIONS:
                covariance = _covariance(weeks, drift, dispersion, far)
                factor = np.linalg.cholesky(covariance)
                moved, signups, residual = np.linalg.solve(
                    factor, np.stack([mover, weeks.signups, rest], axis=1)
                ).T
                squares = float(moved @ moved)
                fits.append(
                    (
                        -0.5 * float(residual @ residual) - float(np.log(np.diag(factor)).sum()),
                        float(moved @ signups) / squares,
                        1.0 / squares,
                        np.sqrt(np.diag(covariance)) / far,
                    )
                )
        logs, slopes, variances = (np.array(values) for values in list(zip(*fits, strict=True))[:3])
        weight = np.exp(logs - logs.max())
        weight /= weight.sum()
        answer = float(weight @ slopes)
        variance = float(weight @ (variances + (slopes - answer) ** 2))
        typical = weight @ np.stack([fit[3] for fit in fits])
        far = np.sqrt(np.maximum(1.0, np.abs(weeks.signups - answer * mover) / (_FAR * typical)))
    return answer, variance


def _pass_through(weeks: _Weeks) -> float:
    """What share of a budget's change (in logs) becomes spend, held to all of it by PASS_THROUGH_SD."""
    squares = float(weeks.budget @ weeks.budget)
    if squares <= _LEAST_VARIATION:
        return 1.0
    slope = float(weeks.budget @ weeks.spend) / squares
    left = float(((weeks.spend - slope * weeks.budget) ** 2).sum()) / max(weeks.spend.size - 1, 1)
    trust, before = squares / max(left, 1e-9), PASS_THROUGH_SD**-2
    return (slope * trust + before) / (trust + before)


def _covariance(weeks: _Weeks, drift: float, dispersion: float, far: FloatArray) -> FloatArray:
    """Of the changes: a drifting level, and noise that neighbouring changes share with opposite signs."""
    covariance = np.diag(drift**2 + dispersion * (weeks.noise_now + weeks.noise_before))
    least = np.minimum(weeks.noise_before, np.roll(weeks.noise_now, 1))
    shared = np.where(weeks.follows, -dispersion * least, 0.0)
    index = np.arange(1, len(far))
    covariance[index, index - 1] = covariance[index - 1, index] = shared[1:]
    return np.asarray(covariance * np.outer(far, far), dtype=np.float64)


def _beliefs(
    found: list[Evidence], is_brand: NDArray[np.bool_], prior: Prior
) -> tuple[FloatArray, FloatArray]:
    """Posterior mean and sd of each cluster; brand search is pooled with nothing."""
    information = np.array([evidence.information for evidence in found])
    estimate = np.array([evidence.estimate for evidence in found])
    mean, sd = np.zeros(len(found)), np.zeros(len(found))
    for members, middle, spread, common in (
        (np.flatnonzero(~is_brand), prior.mean, prior.sd, COMMON_SHARE),
        (np.flatnonzero(is_brand), prior.brand_mean, prior.brand_sd, 0.0),
    ):
        size = members.size
        if not size:
            continue
        before = spread**2 * (np.full((size, size), common) + (1 - common) * np.eye(size))
        known = information[members]
        # Woodbury by hand: before - before (1/known + before)^-1 before, over those that know anything.
        told = np.flatnonzero(known > 0)
        gain = before[:, told]
        joint = gain[told] + np.diag(1.0 / known[told])
        pull = np.linalg.solve(joint, estimate[members][told] - middle) if told.size else np.zeros(0)
        shrink = np.linalg.solve(joint, gain.T) if told.size else np.zeros((0, size))
        mean[members] = middle + gain @ pull
        sd[members] = np.sqrt(np.diag(before) - np.einsum("ij,ji->i", gain, shrink))
    return mean, sd


def _usual_spend(daily: pl.DataFrame) -> float:
    """Mean dollars a day over the cluster's last 28 days."""
    last = daily["date"].max()
    if not isinstance(last, date):
        return 0.0
    return float(daily.filter(pl.col("date") > last - timedelta(days=28))["cost"].sum()) / 28
