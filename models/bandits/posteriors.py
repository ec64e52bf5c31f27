"""Belief about each lever's and each track's signups per dollar.

Here: the prior, the posterior frame. Not here: which days are evidence (`evidence`), the closed-form tails
(`rewards`), what the belief is used for (`thompson`, `models.guardrails`).

Prior. Per track, the track's own pooled rate worth `prior_conversions` conversions; the pooled rate is itself
held to the CAC cap by the same weight, so a track without data starts exactly at its cap. Two conversions
are enough to keep an unlucky first week from stopping a good lever (14 looks at a lever 15 % below the cap:
12 % false stops with a prior of two at the cap against 75 % for the daily P > 0.5 rule) and few enough that a
lever with 20 conversions speaks for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import polars as pl

from models.bandits.evidence import LEVER_KEY, SUMS, WEIGHTED, evidence_windows, weighted_days
from models.rewards import (
    FloatArray,
    RewardDefinition,
    cac_quantiles,
    draw_signups_per_dollar,
    mean_signups_per_dollar,
    probability_cac_above,
)

_NOTHING_FORGOTTEN: Mapping[str, float | None] = {}


def lever_posteriors(
    lever_days: pl.DataFrame,
    levers: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    as_of_date: date,
    window_days: int,
    prior_conversions: float,
    caps: Mapping[str, float],
    reward: RewardDefinition,
    draws: int,
    rng: np.random.Generator,
    half_lives: Mapping[str, float | None] = _NOTHING_FORGOTTEN,
) -> pl.DataFrame:
    """One posterior row per lever of a track that has a cap.

    An account's window is [as_of - maturity - window, as_of - maturity - 1], account-local days; spend,
    click_conversions, view_conversions and reward_mean are its plain sums. What the posterior rests on
    besides (younger cohorts, weights by age) is in exposure, young_exposure and evidence_*.

    Args:
        lever_days: date, platform, account_id, track, lever_id, cost, conversions_click, conversions_view,
            and completion, completion_sd where younger cohorts shall count. Levers no longer in `levers`
            still count towards their track's pooled rate.
        levers: platform, account_id, track, lever_id, unique; levers without data get the prior. Tracks
            absent from `caps` (such as `unassigned`) are left out.
        accounts: platform, account_id, maturity_days; days of any other account are no evidence.
        as_of_date: the morning of the decision.
        window_days: cohort days judged.
        prior_conversions: the prior's worth, conversions.
        caps: account currency per signup, by track.
        reward: the reward definition.
        draws: joint draws behind p_best.
        rng: its state decides p_best; nothing else is random.
        half_lives: days, by track (`choose_half_lives`); None or absent: nothing is forgotten.

    Returns:
        The columns of `gaelp_training.bandit_posteriors`, sorted by track and lever key.

    Raises:
        ValueError: negative cost or conversions, duplicate levers, an account of `levers` that is not in
            `accounts`, non-positive caps or prior.
    """
    known = levers.select("platform", "account_id", "track", "lever_id").filter(
        pl.col("track").is_in(list(caps))
    )
    if known.select(LEVER_KEY).is_duplicated().any():
        raise ValueError("levers: (platform, account_id, lever_id) must be unique")
    windows = evidence_windows(accounts, as_of_date, window_days)
    days = weighted_days(lever_days, accounts, as_of_date, window_days, half_lives)
    rows = (
        known.join(windows, on=["platform", "account_id"], how="left")
        .join(days.group_by(LEVER_KEY).agg(pl.col(*SUMS, *WEIGHTED).sum()), on=list(LEVER_KEY), how="left")
        .with_columns(pl.col(*SUMS, *WEIGHTED).fill_null(0))
        .sort("track", *LEVER_KEY)
    )
    if rows["window_start"].null_count():
        missing = rows.filter(pl.col("window_start").is_null()).select("platform", "account_id").unique()
        raise ValueError(f"accounts: no maturity_days for {missing.sort(missing.columns).rows()}")

    cap, prior_rate = _prior_rates(rows["track"].to_list(), days, prior_conversions, caps, reward)
    facts = _evidence(rows, reward)
    priors = (np.full(len(rows), prior_conversions), prior_rate)
    evidence_reward = reward.mean_reward(facts[1], facts[2])
    exposure = _expected_exposure(rows)
    above = probability_cac_above(cap, *facts, *priors, reward)
    quantiles = cac_quantiles((0.1, 0.5, 0.9), *facts, *priors, reward)
    rates = draw_signups_per_dollar(*facts, *priors, reward, draws, rng)
    half_life = pl.col("track").replace_strict(
        {track: days for track, days in half_lives.items() if days is not None},
        default=None,
        return_dtype=pl.Float64,
    )
    return rows.select(
        pl.lit(as_of_date).alias("as_of_date"),
        "platform",
        "account_id",
        "track",
        "lever_id",
        "window_start",
        "window_end",
        "spend",
        pl.col("click_conversions", "view_conversions").cast(pl.Float64),
        pl.Series("reward_mean", _matured_reward(rows, reward), dtype=pl.Float64),
        pl.lit(reward.version).alias("reward_version"),
        half_life.alias("half_life_days"),
        pl.Series("exposure", exposure, dtype=pl.Float64),
        pl.col(WEIGHTED[1:]).cast(pl.Float64),
        pl.Series("evidence_reward", evidence_reward, dtype=pl.Float64),
        pl.Series("posterior_shape", prior_conversions + evidence_reward, dtype=pl.Float64),
        pl.Series("posterior_rate", prior_rate + exposure, dtype=pl.Float64),
        *(
            pl.Series(f"cac_p{level}", finite_or_none(values), dtype=pl.Float64)
            for level, values in zip((10, 50, 90), quantiles, strict=True)
        ),
        pl.Series("p_cac_above_cap", above, dtype=pl.Float64),
        pl.Series("p_best", _p_best(rates, rows["track"]), dtype=pl.Float64),
        pl.Series("p_meets_cap", 1 - above, dtype=pl.Float64),
    )


def track_posteriors(
    lever_days: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    as_of_date: date,
    window_days: int,
    prior_conversions: float,
    caps: Mapping[str, float],
    reward: RewardDefinition,
    half_lives: Mapping[str, float | None] = _NOTHING_FORGOTTEN,
) -> pl.DataFrame:
    """P(CAC > cap) of each track as a whole: the evidence that an increase needs.

    All levers' evidence under a prior at the cap worth `prior_conversions`. Arguments and errors as in
    `lever_posteriors`.

    Returns:
        track, spend, click_conversions, view_conversions, reward_mean (plain sums of matured cohorts),
        exposure, signups_per_dollar (posterior mean),
        cac_p10/p50/p90 (null when infinite), p_cac_above_cap; one row per key of `caps`, sorted.
    """
    days = weighted_days(lever_days, accounts, as_of_date, window_days, half_lives)
    rows = (
        pl.DataFrame({"track": sorted(caps)}, schema={"track": pl.String})
        .join(days.group_by("track").agg(pl.col(*SUMS, *WEIGHTED).sum()), on="track", how="left")
        .with_columns(pl.col(*SUMS, *WEIGHTED).fill_null(0))
        .sort("track")
    )
    cap = np.array([float(caps[track]) for track in rows["track"]])
    facts = _evidence(rows, reward)
    priors = (np.full(len(rows), prior_conversions), prior_conversions * cap)
    quantiles = cac_quantiles((0.1, 0.5, 0.9), *facts, *priors, reward)
    return rows.select(
        "track",
        "spend",
        pl.col("click_conversions", "view_conversions").cast(pl.Float64),
        pl.Series("reward_mean", _matured_reward(rows, reward), dtype=pl.Float64),
        pl.Series("exposure", _expected_exposure(rows), dtype=pl.Float64),
        pl.Series("signups_per_dollar", mean_signups_per_dollar(*facts, *priors, reward), dtype=pl.Float64),
        *(
            pl.Series(f"cac_p{level}", finite_or_none(values), dtype=pl.Float64)
            for level, values in zip((10, 50, 90), quantiles, strict=True)
        ),
        pl.Series("p_cac_above_cap", probability_cac_above(cap, *facts, *priors, reward), dtype=pl.Float64),
    )


def posterior_evidence(
    posteriors: pl.DataFrame, reward: RewardDefinition
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Exposure, clicks, views, prior shape and prior rate back from a posterior frame, each (levers,).

    They are the arguments every function of `models.rewards` takes, in its order; exposure is (levers, nodes)
    where young cohorts make it uncertain.
    """
    exposure = posteriors["exposure"]
    settled = posteriors.with_columns((exposure - posteriors["young_exposure"]).alias("settled_exposure"))
    shape = posteriors["posterior_shape"].to_numpy() - posteriors["evidence_reward"].to_numpy()
    rate = posteriors["posterior_rate"].to_numpy() - exposure.to_numpy()
    spend, clicks, views = _evidence(settled.with_columns(pl.col("settled_exposure").clip(0.0)), reward)
    return spend, clicks, views, shape, rate


def finite_or_none(values: FloatArray) -> list[float | None]:
    """An infinite quantile is NULL, never a number that sums."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _evidence(rows: pl.DataFrame, reward: RewardDefinition) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Exposure, click and view conversions of the sums `WEIGHTED`."""
    settled, young, deviation, most, clicks, views = (
        rows[name].cast(pl.Float64).to_numpy() for name in WEIGHTED
    )
    return reward.exposures(settled, young, deviation, most), clicks, views


def _expected_exposure(rows: pl.DataFrame) -> FloatArray:
    settled, young = (rows[name].cast(pl.Float64).to_numpy() for name in WEIGHTED[:2])
    return np.asarray(settled + young, dtype=np.float64)


def _matured_reward(rows: pl.DataFrame, reward: RewardDefinition) -> FloatArray:
    clicks, views = (rows[name].cast(pl.Float64).to_numpy() for name in SUMS[1:])
    return reward.mean_reward(clicks, views)


def _prior_rates(
    tracks: list[str],
    days: pl.DataFrame,
    prior_conversions: float,
    caps: Mapping[str, float],
    reward: RewardDefinition,
) -> tuple[FloatArray, FloatArray]:
    """Cap and prior rate (dollars) of each lever, from its track."""
    if not prior_conversions > 0:
        raise ValueError("prior_conversions must be positive")
    totals = {
        row["track"]: row for row in days.group_by("track").agg(pl.col(WEIGHTED).sum()).iter_rows(named=True)
    }
    rate: dict[str, float] = {}
    for track, cap in caps.items():
        row = totals.get(track, dict.fromkeys(WEIGHTED, 0.0))
        settled, young, clicks, views = (float(row[name]) for name in (*WEIGHTED[:2], *WEIGHTED[4:]))
        pooled = pooled_rate(settled + young, clicks, views, float(cap), prior_conversions, reward)
        rate[track] = prior_conversions / pooled
    return (
        np.array([float(caps[track]) for track in tracks], dtype=np.float64),
        np.array([rate[track] for track in tracks], dtype=np.float64),
    )


def pooled_rate(
    spend: float, clicks: float, views: float, cap: float, prior_conversions: float, reward: RewardDefinition
) -> float:
    """A track's signups per dollar, held to its cap by `prior_conversions` conversions."""
    earned = float(reward.mean_reward([clicks], [views])[0])
    return (prior_conversions + earned) / (prior_conversions * cap + spend)


def _p_best(rates: FloatArray, tracks: pl.Series) -> FloatArray:
    """Share of draws in which the arm has its track's lowest CAC; sums to 1 over a track."""
    share = np.zeros(rates.shape[1])
    names = tracks.to_numpy()
    for track in dict.fromkeys(names):
        members = np.flatnonzero(names == track)
        winners = members[rates[:, members].argmax(axis=1)]
        share += np.bincount(winners, minlength=len(share)) / len(rates)
    return share
