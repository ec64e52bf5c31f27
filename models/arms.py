"""Arms without a budget of their own: belief about each, and whether to switch it on, off, or test it.

Here: ads inside an ad set's or campaign's budget, ad sets inside a campaign's, keywords: posteriors pooled
to their lever, and one of enable, pause, split_test or hold. Not here: budgets (`bandits`, `guardrails`);
nothing decided here moves one.

Money inside a lever goes where the platform sends it, so a comparison of its arms is confounded by delivery:
an arm is paused for what it costs itself, never for being second. Which of two is better, a split test says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from models.bandits.evidence import SUMS, evidence_windows, matured_days
from models.bandits.posteriors import finite_or_none, pooled_rate
from models.rewards import (
    FloatArray,
    RewardDefinition,
    cac_quantiles,
    draw_signups_per_dollar,
    probability_cac_above,
)
from models.split_designs import ArmTraffic, shortest_design

ADVICE = ("exclude_placement", "adjust_bid")  # of contexts (`context_arms`): for people, never sent
ARM = ("platform", "account_id", "arm_kind", "arm_id")
GROUP = ("platform", "account_id", "lever_id", "arm_kind")
TYPES = ("enable", "pause", "split_test", "hold", *ADVICE)
# Where the platform can show two arms to separate people; keywords share one auction.
SPLITTABLE = {("meta", "ad"), ("meta", "adgroup"), ("tiktok", "adgroup")}

ARM_SCHEMA = pl.Schema(
    {
        "as_of_date": pl.Date(),
        **dict.fromkeys(("track", "platform", "account_id", "lever_id"), pl.String()),
        **dict.fromkeys(("arm_kind", "arm_id", "arm_name", "status"), pl.String()),
        "advisory": pl.Boolean(),
        **dict.fromkeys(("type", "reason", "design"), pl.String()),
        "spend": pl.Decimal(38, 9),
        **dict.fromkeys(("clicks", "impressions"), pl.Int64()),
        "reward_mean": pl.Float64(),
        **dict.fromkeys(("cac_p10", "cac_p50", "cac_p90"), pl.Float64()),
        **dict.fromkeys(("p_cac_above_cap", "p_best", "p_ctr_below"), pl.Float64()),
    }
)


@dataclass(frozen=True)
class ArmRules:
    """When an arm is switched or tested.

    stop_probability, stop_spend_caps: as the safety stop of levers. enable_probability: P(CAC <= cap) needed
    to switch a paused arm on, at the same weight of evidence. settled: p_best above which a lever's best arm
    needs no test. power, durations (days): of a split test. minimum_ctr: the fast-fail line, for its reason.

    Raises:
        ValueError: a probability outside (0, 1], or no durations.
    """

    stop_probability: float
    stop_spend_caps: float
    enable_probability: float = 0.8
    settled: float = 0.9
    power: float = 0.8
    durations: tuple[int, ...] = (7, 14, 21, 28)
    minimum_ctr: float = 0.005

    def __post_init__(self) -> None:
        chances = (self.stop_probability, self.enable_probability, self.settled, self.power)
        if any(not 0 < chance <= 1 for chance in chances) or not self.durations:
            raise ValueError("needs probabilities in (0, 1] and at least one duration")


def decide_arms(
    arms: pl.DataFrame,
    arm_days: pl.DataFrame,
    tests: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    as_of_date: date,
    window_days: int,
    prior_conversions: float,
    caps: Mapping[str, float],
    rules: ArmRules,
    reward: RewardDefinition,
    draws: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Belief and one decision per arm; never a budget.

    An arm's prior is its lever's pooled rate over arms of its kind, worth `prior_conversions`.

    Args:
        arms: rows of `int_arms`; removed arms, and those of tracks without a cap or of accounts that are not
            given, are left out.
        arm_days: rows of `int_arm_daily`; of arms that are not given, nothing is read.
        tests: of `fast_fail.failing_ads`.
        accounts: platform, account_id, maturity_days of the accounts that may be decided on.
        as_of_date: the morning.
        window_days: matured cohort days judged.
        caps: account currency per signup, by track.
        draws: joint draws behind p_best, per lever and kind.

    Returns:
        `ARM_SCHEMA`, sorted by track, lever, kind and arm. p_best sums to 1 over a lever's arms of one kind.
    Raises:
        ValueError: negative measures.
    """
    windows = evidence_windows(accounts, as_of_date, window_days)
    known = (
        arms.filter(
            pl.col("status").is_null() | (pl.col("status") != "removed"), pl.col("track").is_in(list(caps))
        )
        .join(accounts.select("platform", "account_id"), on=["platform", "account_id"], how="semi")
        .sort(*GROUP, "arm_id")
    )
    evidence = _evidence(known, arm_days, windows)
    failing = tests.rename({"ad_id": "arm_id"}).select(
        "platform",
        "account_id",
        pl.lit("ad").alias("arm_kind"),
        "arm_id",
        "p_ctr_below",
        "fails",
        pl.col("impressions").alias("test_impressions"),
        pl.col("unique_link_clicks").alias("test_clicks"),
    )
    joined = evidence.join(failing, on=list(ARM), how="left", maintain_order="left")
    parts = []
    for _, group in joined.group_by(GROUP, maintain_order=True):
        believed = _believed(group, caps, prior_conversions, reward, draws, rng)
        parts += _decided(believed, caps, window_days, rules)
    rows = [{**row, "as_of_date": as_of_date} for row in parts]
    frame = pl.DataFrame(
        [{name: row[name] for name in ARM_SCHEMA.names()} for row in rows], schema=ARM_SCHEMA
    )
    return frame.sort("track", *GROUP, "arm_id")


def arm_faults(decisions: pl.DataFrame) -> list[str]:
    """What is wrong with decisions, read on their own.

    Unknown types, switches that are so already, a lever left without an arm of a kind (a test-lane ad is its
    ad set's only one, and may be), a split test of arms that do not run beside each other.
    """
    faults = [f"{kind} is no decision about an arm" for kind in sorted(set(decisions["type"]) - set(TYPES))]
    moot = decisions.filter(
        ((pl.col("type") == "pause") & pl.col("status").ne_missing("active"))
        | ((pl.col("type") == "enable") & pl.col("status").ne_missing("paused"))
    )
    faults += [
        f"{row[0]}: {row[1]} of an arm that is {row[2]}"
        for row in moot.select("arm_id", "type", "status").rows()
    ]
    running = decisions.filter(pl.col("status") == "active")
    judged = running.filter(pl.col("p_ctr_below").is_null())
    stopped = judged.group_by(GROUP).agg((pl.col("type") == "pause").all())
    faults += [f"{row[2]}: every {row[3]} of it is paused" for row in stopped.filter("type").rows()]
    active = set(running.select(*GROUP, "arm_id").rows())
    for row in decisions.filter(pl.col("type") == "split_test").iter_rows(named=True):
        tested = json.loads(row["design"] or "{}").get("arms", [])
        group = tuple(row[name] for name in GROUP)
        if len(set(tested)) != 2 or any((*group, arm) not in active for arm in tested):
            faults.append(f"{row['arm_id']}: a split test needs two running arms of one lever")
    return faults


def _evidence(known: pl.DataFrame, arm_days: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """The arms with matured sums, and the clicks and impressions of the same days."""
    keys = ["platform", "account_id"]
    days = arm_days.join(known.select(*ARM, "track"), on=ARM).with_columns(
        pl.concat_str("arm_kind", pl.lit("|"), "arm_id").alias("arm")
    )
    sums = matured_days(days, windows, "arm").group_by(*keys, "arm").agg(pl.col(SUMS).sum())
    shown = (
        days.join(windows, on=keys)
        .filter(pl.col("is_matured"), pl.col("date").is_between("window_start", "window_end"))
        .group_by(*keys, "arm")
        .agg(pl.col("clicks", "impressions").cast(pl.Int64).sum())
    )
    return (
        known.with_columns(pl.concat_str("arm_kind", pl.lit("|"), "arm_id").alias("arm"))
        .join(sums, on=[*keys, "arm"], how="left", maintain_order="left")
        .join(shown, on=[*keys, "arm"], how="left", maintain_order="left")
        .with_columns(pl.col(*SUMS, "clicks", "impressions").fill_null(0))
    )


def _believed(
    group: pl.DataFrame,
    caps: Mapping[str, float],
    prior_conversions: float,
    reward: RewardDefinition,
    draws: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """A lever's arms of one kind with their posteriors."""
    cap = float(caps[group["track"][0]])
    spend, clicks, views = (group[name].cast(pl.Float64).to_numpy() for name in SUMS)
    pooled = pooled_rate(spend.sum(), clicks.sum(), views.sum(), cap, prior_conversions, reward)
    prior = np.full(len(group), prior_conversions), np.full(len(group), prior_conversions / pooled)
    facts = spend, clicks, views, *prior
    quantiles = cac_quantiles((0.1, 0.5, 0.9), *facts, reward)
    best = draw_signups_per_dollar(*facts, reward, draws, rng).argmax(axis=1)
    p_best = np.bincount(best, minlength=len(group)) / draws
    return group.with_columns(
        pl.Series("reward_mean", reward.mean_reward(clicks, views), dtype=pl.Float64),
        *(
            pl.Series(f"cac_p{level}", finite_or_none(values), dtype=pl.Float64)
            for level, values in zip((10, 50, 90), quantiles, strict=True)
        ),
        pl.Series("p_cac_above_cap", probability_cac_above(cap, *facts, reward), dtype=pl.Float64),
        pl.Series("p_best", p_best, dtype=pl.Float64),
        **_rates(group),
    )


def _rates(group: pl.DataFrame) -> dict[str, pl.Series]:
    """CTR and CVR per arm, each shrunk to its lever's by the worth of 20 clicks and 2 conversions."""
    shown, clicked = group["impressions"].to_numpy(), group["clicks"].to_numpy()
    bought = group["click_conversions"].cast(pl.Float64).to_numpy()
    ctr, cvr = _ratio(clicked, shown), _ratio(bought, clicked)
    return {
        "ctr": pl.Series(_shrunk(clicked, shown, ctr, 20.0), dtype=pl.Float64),
        "cvr": pl.Series(_shrunk(bought, clicked, cvr, 2.0), dtype=pl.Float64),
    }


def _ratio(hits: FloatArray, trials: FloatArray) -> float:
    return min(1.0, float(hits.sum()) / float(trials.sum())) if trials.sum() > 0 else 0.0


def _shrunk(hits: FloatArray, trials: FloatArray, pooled: float, worth: float) -> FloatArray:
    if pooled <= 0:
        return np.zeros(len(hits))
    return np.asarray(np.minimum(1.0, (hits + worth) / (trials + worth / pooled)), dtype=np.float64)


def _decided(
    group: pl.DataFrame, caps: Mapping[str, float], window_days: int, rules: ArmRules
) -> list[dict[str, Any]]:
    """One decision per arm of a lever and kind."""
    cap = float(caps[group["track"][0]])
    rows = [
        {**row, "advisory": row["lever_source"] != "platform", "design": None, **_alone(row, cap, rules)}
        for row in group.iter_rows(named=True)
    ]
    active = [row for row in rows if row["status"] == "active"]
    paused = [row for row in active if row["type"] == "pause" and not row["fails"]]
    if active and len(paused) == len(active):
        kept = min(paused, key=lambda row: (row["p_cac_above_cap"], row["arm_id"]))
        kept["type"] = "hold"
        kept["reason"] = f"The last that runs of its lever, which is the lever's to stop. {kept['reason']}"
    _propose_split(rows, window_days, rules)
    return rows


def _alone(row: Mapping[str, Any], cap: float, rules: ArmRules) -> dict[str, str]:
    """What an arm's own evidence asks for."""
    above, spend = row["p_cac_above_cap"], float(row["spend"])
    weight = f"{spend:,.0f} of matured spend, {spend / cap:.1f} caps"
    enough = spend >= rules.stop_spend_caps * cap
    if row["status"] not in ("active", "paused"):
        return _said("hold", "Whether it runs is not known: its platform's entities have not been landed.")
    if row["fails"]:
        return (
            _said(
                "pause",
                f"Fast fail: P(CTR < {rules.minimum_ctr:.1%}) is {row['p_ctr_below']:.0%} after "
                f"{row['test_impressions']:,} impressions and {row['test_clicks']:,.0f} unique link clicks.",
            )
            if row["status"] == "active"
            else _said("hold", "It failed its click test.")
        )
    if row["status"] == "active" and enough and above > rules.stop_probability:
        return _said("pause", f"P(CAC > {cap:,.0f}) is {above:.1%} after {weight}.")
    if row["status"] == "paused" and enough and 1 - above >= rules.enable_probability:
        return _said("enable", f"P(CAC <= {cap:,.0f}) is {1 - above:.1%} on {weight} before it was paused.")
    return _said("hold", f"P(CAC > {cap:,.0f}) is {above:.1%} on {weight}.")


def _said(kind: str, reason: str) -> dict[str, str]:
    return {"type": kind, "reason": reason}


def _propose_split(rows: list[dict[str, Any]], window_days: int, rules: ArmRules) -> None:
    """Have a lever's two best running arms tested where the best is unsettled and a test would settle it."""
    field = sorted(
        (row for row in rows if row["status"] == "active" and row["type"] == "hold"),
        key=lambda row: (-row["p_best"], row["arm_id"]),
    )
    if len(field) < 2 or (field[0]["platform"], field[0]["arm_kind"]) not in SPLITTABLE:
        return
    best, rival = field[:2]
    if best["p_best"] > rules.settled:
        return
    # The test takes what the two get now and divides it evenly.
    shown = (best["impressions"] + rival["impressions"]) / 2 / window_days
    traffic = [ArmTraffic(shown, row["ctr"], row["cvr"]) for row in (best, rival)]
    design = shortest_design(*traffic, durations=rules.durations, power=rules.power)
    if design is None:
        longest = max(rules.durations)
        best["reason"] += f" No test of up to {longest} days would tell it from {rival['arm_id']}."
        return
    lever_spend = float(sum(row["spend"] for row in rows))
    share = float(best["spend"] + rival["spend"]) / lever_spend if lever_spend else 0.0
    best["type"] = "split_test"
    best["reason"] = (
        f"P(best) is {best['p_best']:.0%}, that of {rival['arm_id']} {rival['p_best']:.0%}: {design.days} "
        f"days side by side show their gap in {design.metric.upper()} with {design.power:.0%} power."
    )
    best["design"] = json.dumps(
        {
            "arms": [best["arm_id"], rival["arm_id"]],
            "metric": design.metric,
            "days": design.days,
            "budget_share": round(share, 4),
            "power": round(design.power, 4),
            "impressions_per_arm_and_day": round(shown),
            "rates": [round(row[design.metric], 6) for row in (best, rival)],
        }
    )
