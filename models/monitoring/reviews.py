"""Forecasts beside what happened: which were outside their interval, how far off, and whether that is drift.

Here: joining forecasts with actuals, fidelity by track and horizon, the e-process for coverage. Not here:
making forecasts (`models.forecasting`) and the backtest beside naive methods (`models.accuracy`).

A lever's clicks and spend are judged the day after; signups and CAC once the day has matured. Forecasts of
the past made today (`basis` hindcast) stand in for mornings on which none was made, and are never mixed with
those that were (`live`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl

from models.forecasting.panel import FloatArray
from models.quantiles import LEVELS, NAMES

SETTLED = ("spend", "clicks")
MATURING = ("signups", "cac")
HORIZONS = (1, 7, 14, 28)
PROMISED = 0.8
# By Ville's inequality an e-process that promises hold passes 20 with a probability of 5 % at most, ever.
DRIFT_ALARM = 20.0
_BETS = np.array([0.5, 1.0, 2.0, 4.0])  # below 1 / (1 - 0.8) = 5 the capital stays positive
_LEVER = ["platform", "account_id", "lever_id"]

REVIEWS = pl.Schema(
    {
        "as_of_date": pl.Date,
        "made_on": pl.Date,
        "target_date": pl.Date,
        "basis": pl.String,
        "platform": pl.String,
        "account_id": pl.String,
        "track": pl.String,
        "lever_id": pl.String,
        "metric": pl.String,
        "p10": pl.Float64,
        "p50": pl.Float64,
        "p90": pl.Float64,
        "actual": pl.Float64,
        "inside": pl.Boolean,
    }
)
FIDELITY = pl.Schema(
    {
        "as_of_date": pl.Date,
        "track": pl.String,
        "horizon_days": pl.Int64,
        "basis": pl.String,
        "first_target_date": pl.Date,
        "last_target_date": pl.Date,
        "mornings": pl.Int64,
        "forecasts": pl.Int64,
        "mape_cac": pl.Float64,
        "mape_roas": pl.Float64,
        "ks_distance": pl.Float64,
        "coverage": pl.Float64,
    }
)
DRIFT = pl.Schema(
    {"track": pl.String, "basis": pl.String, "days": pl.Int64, "coverage": pl.Float64, "e_value": pl.Float64}
)


def judge_levers(
    forecasts: pl.DataFrame, days: pl.DataFrame, accounts: pl.DataFrame, *, as_of_date: date
) -> pl.DataFrame:
    """Lever forecasts at the budget in force beside what is known of their day, a row per metric (REVIEWS).

    Args:
        forecasts: made_on, target_date, basis, platform, account_id, track, lever_id and p10/p50/p90 of
            spend, clicks, signups and cac. A null quantile of CAC is infinite; of the others, unknown.
        days: date, platform, account_id, lever_id, cost, clicks, signups; a lever without a row on a day its
            account has reported did nothing that day.
        accounts: platform, account_id, maturity_days; other accounts are left out.
    """
    reported = days.select(pl.col("date").alias("target_date"), "platform", "account_id").unique()
    actuals = days.group_by(pl.col("date").alias("target_date"), *_LEVER).agg(
        pl.col("cost").sum().alias("actual_spend"),
        pl.col("clicks").sum().alias("actual_clicks"),
        pl.col("signups").sum().alias("actual_signups"),
    )
    joined = (
        forecasts.filter(pl.col("target_date") < as_of_date)
        .join(accounts, on=["platform", "account_id"])
        .join(reported, on=["target_date", "platform", "account_id"], how="semi")
        .join(actuals, on=["target_date", *_LEVER], how="left")
        .with_columns(pl.col("^actual_.*$").fill_null(0))
        .with_columns(actual_cac=_cac("actual_spend", "actual_signups"))
    )
    age = (pl.lit(as_of_date) - pl.col("target_date")).dt.total_days()
    matured = joined.filter(age > pl.col("maturity_days"))
    parts = [_judged(joined, metric) for metric in SETTLED] + [
        _judged(matured, metric) for metric in MATURING
    ]
    return (
        pl.concat(parts)
        .with_columns(as_of_date=pl.lit(as_of_date))
        .select(REVIEWS.names())
        .cast(REVIEWS)
        .sort("made_on", "target_date", *_LEVER, "metric")
    )


def _cac(spend: str, signups: str) -> pl.Expr:
    """Cost of a signup; infinite where money brought none, null where none was spent."""
    return (
        pl.when(pl.col(signups) > 0)
        .then(pl.col(spend) / pl.col(signups))
        .when(pl.col(spend) > 0)
        .then(float("inf"))
    )


def _judged(rows: pl.DataFrame, metric: str) -> pl.DataFrame:
    low, high = pl.col("p10"), pl.col("p90")
    infinite = float("inf")
    named = rows.select(
        *("made_on", "target_date", "basis", "platform", "account_id", "track", "lever_id"),
        pl.lit(metric).alias("metric"),
        *(pl.col(f"{metric}_{name}").cast(pl.Float64).alias(name) for name in NAMES),
        pl.col(f"actual_{metric}").cast(pl.Float64).alias("actual"),
    )
    if metric == "cac":
        inside = pl.col("actual").is_between(low.fill_null(infinite), high.fill_null(infinite))
        return named.with_columns(inside=inside).with_columns(
            actual=pl.when(pl.col("actual").is_finite()).then(pl.col("actual"))
        )
    return named.with_columns(inside=pl.col("actual").is_between(low, high))


def judge_tracks(
    outlooks: pl.DataFrame,
    forecasts: pl.DataFrame,
    days: pl.DataFrame,
    *,
    as_of_date: date,
    maturity_days: int,
) -> pl.DataFrame:
    """Matured days of each track's outlook beside the same levers' spend and signups.

    Args:
        outlooks: made_on, target_date, basis, track and p10/p50/p90 of spend, signups and cac, a row a day.
        forecasts: as in `judge_levers`; says which levers an outlook was made of.
        maturity_days: of the slowest account.
    Returns:
        The outlook's columns, actual_spend, actual_signups, days_ahead (1: the day it was made on).
    """
    levers = forecasts.select("made_on", "basis", *_LEVER, "track").unique()
    dated = days.rename({"date": "target_date"}).select("target_date", *_LEVER, "cost", "signups")
    last = (pl.lit(as_of_date) - pl.col("target_date")).dt.total_days() > maturity_days
    wanted = outlooks.filter(last)
    actuals = (
        wanted.select("made_on", "basis", "track", "target_date")
        .join(levers, on=["made_on", "basis", "track"])
        .join(dated, on=["target_date", *_LEVER])
        .sort("made_on", "basis", "track", "target_date", *_LEVER)  # sums of floats depend on the order
        .group_by("made_on", "basis", "track", "target_date")
        .agg(actual_spend=pl.col("cost").sum(), actual_signups=pl.col("signups").sum())
    )
    return (
        wanted.join(actuals, on=["made_on", "basis", "track", "target_date"])
        .with_columns(days_ahead=(pl.col("target_date") - pl.col("made_on")).dt.total_days() + 1)
        .sort("made_on", "basis", "track", "target_date")
    )


def fidelity(
    judged: pl.DataFrame, value_per_signup: Mapping[str, float], *, as_of_date: date
) -> pl.DataFrame:
    """How far a track's outlook was off, by horizon (FIDELITY).

    MAPE of CAC: mean |forecast − actual| / actual of the median, over days on which money brought a
    signup; of ROAS the same, with ROAS = signups · value / spend. KS: largest distance between the
    share of actual signups at or below a told quantile and its level, over p10, p50 and p90; so a lower
    bound of the Kolmogorov-Smirnov distance between the PIT and the uniform distribution. Days forecast on
    one morning are not independent: `mornings` says how many there were.

    Args:
        judged: from `judge_tracks`.
        value_per_signup: dollars, by track.
    """
    if judged.is_empty():
        return pl.DataFrame(schema=FIDELITY)
    bounds = [0, *HORIZONS]
    horizon = pl.coalesce(
        pl.when((pl.col("days_ahead") > low) & (pl.col("days_ahead") <= high)).then(high)
        for low, high in pairwise(bounds)
    )
    value = pl.col("track").replace_strict(value_per_signup, return_dtype=pl.Float64)
    actual_cac = _cac("actual_spend", "actual_signups")
    actual_roas = pl.col("actual_signups") * value / pl.col("actual_spend")
    told_roas = pl.col("signups_p50") * value / pl.col("spend_p50")
    comparable = (
        actual_cac.is_finite()
        & (actual_cac > 0)
        & pl.col("cac_p50").is_not_null()
        & (pl.col("spend_p50") > 0)
    )
    signups = pl.col("actual_signups")
    known = pl.col("signups_p10").is_not_null()
    return (
        judged.with_columns(horizon_days=horizon)
        .drop_nulls("horizon_days")
        .group_by("track", "horizon_days", "basis")
        .agg(
            first_target_date=pl.col("target_date").min(),
            last_target_date=pl.col("target_date").max(),
            mornings=pl.col("made_on").n_unique(),
            forecasts=known.sum(),
            mape_cac=((pl.col("cac_p50") - actual_cac).abs() / actual_cac).filter(comparable).mean(),
            mape_roas=((told_roas - actual_roas).abs() / actual_roas).filter(comparable).mean(),
            ks_distance=pl.max_horizontal(
                ((signups <= pl.col(f"signups_{name}")).filter(known).mean() - level).abs()
                for name, level in zip(NAMES, LEVELS, strict=True)
            ),
            coverage=signups.is_between(pl.col("signups_p10"), pl.col("signups_p90")).filter(known).mean(),
        )
        .with_columns(as_of_date=pl.lit(as_of_date))
        .select(FIDELITY.names())
        .cast(FIDELITY)
        .sort("track", "horizon_days", "basis")
    )


def coverage_e_value(shares: FloatArray, promised: float = PROMISED) -> float:
    """Evidence that intervals hold less than promised: the value of an e-process over days.

    Capital Π (1 + λ (promised − share)) of a gambler who bets on misses, averaged over fixed λ: a
    supermartingale while E[share | the days before] ≥ promised, whatever ties the levers of one day
    (Waudby-Smith & Ramdas 2024, JRSS B 86: betting on bounded means). It may be looked at every morning.

    Args:
        shares: of actuals inside p10–p90, day by day, each forecast made before its day; shape (days,).
    """
    capital = np.prod(1.0 + _BETS[:, None] * (promised - shares[None, :]), axis=1)
    return float(capital.mean())


def drift(reviews: pl.DataFrame) -> pl.DataFrame:
    """Coverage of clicks forecast on their own day's morning, and its e-value, by track (DRIFT).

    Clicks: they are settled the next day and depend on no conversion window.

    Args:
        reviews: from `judge_levers`, of a window of mornings.
    """
    same_day = reviews.filter((pl.col("metric") == "clicks") & (pl.col("made_on") == pl.col("target_date")))
    by_day = (
        same_day.drop_nulls("inside")
        .group_by("track", "basis", "target_date")
        .agg(pl.col("inside").mean())
        .sort("track", "basis", "target_date")
    )
    rows = [
        {
            "track": track,
            "basis": basis,
            "days": own.height,
            "coverage": own["inside"].mean(),
            "e_value": coverage_e_value(own["inside"].to_numpy()),
        }
        for (track, basis), own in by_day.group_by("track", "basis", maintain_order=True)
    ]
    return pl.DataFrame(rows, schema=DRIFT)
