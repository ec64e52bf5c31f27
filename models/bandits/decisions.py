"""The day's decisions end to end: snapshots and evidence in, guarded proposals out.

Here: what a lever's state is today, and the one function that runs belief, request and guardrails in a row.
Not here: the rules (`models.guardrails`), hashes, seeds and run ids (the asset's).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from models.bandits.elasticities import elasticities_of
from models.bandits.evidence import LEVER_KEY
from models.bandits.half_life import choose_half_lives
from models.bandits.learning_cost import LearningCost, unpaid_edits
from models.bandits.posteriors import lever_posteriors, posterior_evidence, track_posteriors
from models.bandits.thompson import thompson_budgets
from models.guardrails import STATE_SCHEMA, GuardrailLimits, plan_decisions
from models.rewards import RewardDefinition, expected_loss_rate, mean_signups_per_dollar

_KEY = list(LEVER_KEY)
_ACCOUNT = ["platform", "account_id"]
_LEARNING = LearningCost()


@dataclass(frozen=True)
class DecisionDay:
    """What a day's decision saw, believed, wished and proposed.

    posteriors: `bandit_posteriors` rows. tracks: of `track_posteriors`. half_lives: of `choose_half_lives`.
    requests: of `thompson_budgets`.
    states: all levers, the input of `plan_decisions` and `verify_decisions`. decisions: `bandit_decisions`
    rows without decision_id, seed, hashes, code version and run id; one per lever of an eligible account in
    a configured track (the others only count towards the caps).
    """

    posteriors: pl.DataFrame
    tracks: pl.DataFrame
    half_lives: pl.DataFrame
    requests: pl.DataFrame
    states: pl.DataFrame
    decisions: pl.DataFrame


def decide(
    *,
    lever_history: pl.DataFrame,
    lever_days: pl.DataFrame,
    accounts: pl.DataFrame,
    as_of_date: date,
    now: datetime,
    limits: GuardrailLimits,
    contribution_per_signup: Mapping[str, float],
    window_days: int,
    prior_conversions: float,
    elasticity: float,
    reward: RewardDefinition,
    draws: int,
    rng: np.random.Generator,
    half_life_candidates: Sequence[float | None] = (None,),
    learning: LearningCost = _LEARNING,
    curves: pl.DataFrame | None = None,
) -> DecisionDay:
    """Posteriors, Thompson requests and guarded decisions of one morning.

    Args:
        lever_history: rows of `budget_levers` up to `as_of_date`, at least eight days of snapshots.
        lever_days: rows of `reward_daily` covering the evidence window, and four weeks more where there is a
            half-life to choose.
        accounts: platform, account_id, maturity_days, eligible.
        as_of_date: the morning, account-local.
        now: the moment, with a time zone.
        limits: the guardrails; its tracks are the tracks decided on.
        contribution_per_signup: dollars before advertising cost, by track.
        window_days: cohort days judged.
        prior_conversions: worth of the prior, conversions.
        elasticity: of signups on budget, in (0, 1), of levers without a curve.
        reward: the reward definition.
        draws: joint draws.
        rng: the only source of randomness.
        half_life_candidates: days; None: nothing is forgotten. One of them is chosen for each track.
        learning: what an edit costs while the platform learns; one that does not repay it is held.
        curves: see `elasticities_of`; None: every lever has the configured elasticity, and decisions name
            neither cluster nor elasticity.

    Raises:
        ValueError: as `choose_half_lives`, `lever_posteriors`, `thompson_budgets` and `plan_decisions`.
    """
    levers = levers_today(lever_history, as_of_date)
    eligible = accounts.filter("eligible")
    judged = levers.join(eligible, on=_ACCOUNT, how="semi").filter(pl.col("track").is_in(list(limits.tracks)))
    caps = {track: float(bounds.cac_cap) for track, bounds in limits.tracks.items()}
    chosen = choose_half_lives(
        lever_days,
        eligible,
        as_of_date=as_of_date,
        window_days=window_days,
        prior_conversions=prior_conversions,
        caps=caps,
        candidates=half_life_candidates,
    )
    half_lives: dict[str, float | None] = dict(chosen.select("track", "half_life_days").iter_rows())
    posteriors = lever_posteriors(
        lever_days,
        judged,
        eligible,
        as_of_date=as_of_date,
        window_days=window_days,
        prior_conversions=prior_conversions,
        caps=caps,
        reward=reward,
        draws=draws,
        rng=rng,
        half_lives=half_lives,
    )
    tracks = track_posteriors(
        lever_days,
        eligible,
        as_of_date=as_of_date,
        window_days=window_days,
        prior_conversions=prior_conversions,
        caps=caps,
        reward=reward,
        half_lives=half_lives,
    )

    movable = judged.filter(
        (pl.col("status") == "active") & (pl.col("budget_type") == "daily") & (pl.col("current_budget") > 0)
    )
    committed = levers.filter(pl.col("status").ne_missing("paused")).join(movable, on=_KEY, how="anti")
    taken = dict(committed.group_by("track").agg(pl.col("current_budget").sum()).iter_rows())
    requests = thompson_budgets(
        posteriors,
        movable,
        envelopes={
            track: max(0.0, float(limits.envelope(bounds.daily_cap) - taken.get(track, 0)))
            for track, bounds in limits.tracks.items()
        },
        total_envelope=max(0.0, float(limits.envelope(limits.total_daily_cap) - sum(taken.values()))),
        contribution_per_signup=contribution_per_signup,
        elasticity=elasticity,
        reward=reward,
        draws=draws,
        rng=rng,
        step_limit=limits.edit_limit,
        learning=learning,
        curves=curves,
        channels=_channels(limits, committed),
    )
    states = lever_states(
        levers,
        posteriors,
        tracks,
        requests,
        accounts,
        limits=limits,
        contribution_per_signup=contribution_per_signup,
        elasticity=elasticity,
        reward=reward,
        curves=curves,
    )
    plan = _repaid_plan(states, requests, limits, now, learning).join(posteriors, on=_KEY, how="semi")
    plan = _with_elasticity(plan, curves, elasticity)
    decisions = _with_expected_signups(plan, posteriors, as_of_date, reward)
    return DecisionDay(
        posteriors=posteriors,
        tracks=tracks,
        half_lives=chosen,
        requests=requests,
        states=states,
        decisions=_with_directions(decisions, requests, learning),
    )


def _channels(limits: GuardrailLimits, committed: pl.DataFrame) -> pl.DataFrame | None:
    """What each channel's envelope leaves to levers that can be moved, a row per lever; None without any.

    Args:
        committed: platform, account_id, lever_id, current_budget of running levers that stay as they are.
    """
    if not limits.channel_envelopes:
        return None
    rows = [
        (*lever, envelope.track, envelope.channel, float(envelope.daily))
        for envelope in limits.channel_envelopes
        for lever in sorted(envelope.levers)
    ]
    channels = pl.DataFrame(
        rows, schema=[*_KEY, "track", "channel", ("channel_envelope", pl.Float64)], orient="row"
    )
    taken = (
        channels.join(committed.select(*_KEY, "current_budget"), on=_KEY)
        .group_by("track", "channel")
        .agg(pl.col("current_budget").cast(pl.Float64).sum().alias("taken"))
    )
    left = (pl.col("channel_envelope") - pl.col("taken").fill_null(0.0)).clip(lower_bound=0.0)
    return channels.join(taken, on=["track", "channel"], how="left").with_columns(
        left.alias("channel_envelope")
    )


def levers_today(lever_history: pl.DataFrame, as_of_date: date) -> pl.DataFrame:
    """Each account's levers in its newest snapshot, beside what their budgets were seven days before.

    A lever missing from its account's newest snapshot is gone. Where an account has no snapshot seven or
    more days old, all its levers count as new, so its drift allowance is nil until there is a week of them.
    A lever that was paused then had nothing to spend: 0, or idle levers would dilute the drift.
    The snapshot is the day's first reading, so midnight's budget is the budget in it. Where the platform does
    not say when it was last edited, the last change between snapshots counts, at the end of its day; so does
    the last time it was paused or started, everywhere.

    Args:
        lever_history: rows of `budget_levers` (one per date and lever).
        as_of_date: later snapshots are ignored.

    Returns:
        The columns of `guardrails.STATE_SCHEMA` that describe the lever itself, except decision_eligible.
    """
    known = lever_history.filter(pl.col("date") <= as_of_date)
    newest = known.filter(pl.col("date") == pl.col("date").max().over(_ACCOUNT))
    switched = pl.col("status") != pl.col("status").shift().over(_KEY, order_by="date")
    week_old = known.filter(pl.col("date") <= as_of_date - timedelta(days=7))
    before = week_old.filter(pl.col("date") == pl.col("date").max().over(_ACCOUNT)).select(
        *_KEY,
        pl.when(pl.col("status").ne_missing("paused"))
        .then("current_budget")
        .otherwise(0)
        .alias("budget_7_days_ago"),
    )
    changed = pl.col("current_budget") != pl.col("current_budget").shift().over(_KEY, order_by="date")
    of_platforms = known.filter(pl.col("lever_source") == "platform")
    end_of_day = pl.col("date").max().dt.offset_by("1d").cast(pl.Datetime("us", "UTC"))
    seen_edits = of_platforms.filter(changed).group_by(_KEY).agg(end_of_day.alias("seen_edit"))
    seen_switches = of_platforms.filter(switched).group_by(_KEY).agg(end_of_day.alias("seen_switch"))
    return (
        newest.join(before, on=_KEY, how="left")
        .join(seen_edits, on=_KEY, how="left")
        .join(seen_switches, on=_KEY, how="left")
        .select(
            *_KEY,
            "track",
            "lever_level",
            "lever_source",
            pl.lit(value=True).alias("has_lever"),
            "is_shared",
            "status",
            "learning_state",
            "budget_type",
            "currency",
            "current_budget",
            pl.col("current_budget").alias("midnight_budget"),
            "budget_7_days_ago",
            "minimum_budget",
            "budget_increment",
            # Platforms date the last budget edit; that somebody paused it or started it again, none of them.
            pl.max_horizontal(pl.col("last_edited_at").fill_null(pl.col("seen_edit")), "seen_switch").alias(
                "last_edited_at"
            ),
        )
        .sort(_KEY)
    )


def lever_states(
    levers: pl.DataFrame,
    posteriors: pl.DataFrame,
    tracks: pl.DataFrame,
    requests: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    limits: GuardrailLimits,
    contribution_per_signup: Mapping[str, float],
    elasticity: float,
    reward: RewardDefinition,
    curves: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Everything the guardrails may look at, one row per lever (`guardrails.STATE_SCHEMA`).

    marginal_contribution = contribution per signup * E[λ] * elasticity - 1, the worth of the next dollar at
    the budget in force; a lever that may not rise is not assumed to bring anything for it, so it is -1, which
    forbids every raise. track_contribution = contribution per signup * E[λ of the track] - 1.

    Args:
        levers: of `levers_today` (or the same columns from elsewhere).
        posteriors: of `lever_posteriors`; a lever without one can neither rise nor be stopped.
        tracks: of `track_posteriors`.
        requests: of `thompson_budgets`; a lever without one asks for no change.
        accounts: platform, account_id, eligible; an account not named is not eligible.
        limits: its tracks' CAC caps.
        contribution_per_signup: dollars before advertising cost, by track.
        elasticity: of signups on budget, of levers without a curve.
        reward: the reward definition.
        curves: see `elasticities_of`.
    """
    evidence = posterior_evidence(posteriors, reward)
    worth = posteriors["track"].replace_strict(dict(contribution_per_signup), return_dtype=pl.Float64)
    caps = [float(limits.tracks[track].cac_cap) for track in posteriors["track"]]
    per_dollar = pl.Series(mean_signups_per_dollar(*evidence, reward))
    answers = elasticities_of(posteriors, curves, elasticity)
    slope = pl.Series(np.where(answers.may_rise, answers.of_levers, 0.0), dtype=pl.Float64)
    beliefs = posteriors.select(
        *_KEY,
        pl.col("spend").alias("matured_spend"),
        "p_cac_above_cap",
        pl.Series("expected_loss_rate", expected_loss_rate(np.array(caps), *evidence, reward)),
        (worth * per_dollar * slope - 1).alias("marginal_contribution"),
    )
    track_worth = tracks["track"].replace_strict(dict(contribution_per_signup), return_dtype=pl.Float64)
    of_track = tracks.select(
        "track",
        pl.col("p_cac_above_cap").alias("track_p_cac_above_cap"),
        (track_worth * tracks["signups_per_dollar"] - 1).alias("track_contribution"),
    )
    return (
        levers.join(beliefs, on=_KEY, how="left")
        .join(requests.select(*_KEY, "thompson_budget"), on=_KEY, how="left")
        .join(of_track, on="track", how="left")
        .join(
            accounts.select(*_ACCOUNT, pl.col("eligible").alias("decision_eligible")),
            on=_ACCOUNT,
            how="left",
        )
        .with_columns(pl.col("decision_eligible").fill_null(value=False))
        .select(STATE_SCHEMA.names())
        .cast(dict(STATE_SCHEMA.items()))
        .sort(_KEY)
    )


def _repaid_plan(
    states: pl.DataFrame,
    requests: pl.DataFrame,
    limits: GuardrailLimits,
    now: datetime,
    learning: LearningCost,
) -> pl.DataFrame:
    """The plan in which every edit the sampler asked for repays its learning cost.

    A request that does not is dropped and the plan made again: what it leaves under a cap goes to others.
    Each round drops at least one, so it ends; an edit that stays without a request is a guardrail's.
    """
    unpaid: dict[tuple[str, str, str], str] = {}
    while True:
        plan = plan_decisions(states, limits, now, unpaid=unpaid)
        more = {key: why for key, why in unpaid_edits(plan, requests, learning).items() if key not in unpaid}
        if not more:
            return plan
        unpaid |= more


def _with_directions(plan: pl.DataFrame, requests: pl.DataFrame, learning: LearningCost) -> pl.DataFrame:
    """What the edit costs while the platform learns, and in how many draws it would rise, fall or hold."""
    current, proposed = (pl.col(name).cast(pl.Float64) for name in ("current_budget", "proposed_budget"))
    edited = pl.col("type").is_in(["raise", "cut"])
    return (
        plan.join(requests.select(*_KEY, "p_raise", "p_cut", "p_hold"), on=_KEY, how="left")
        .with_columns(
            # A lever nobody can move has no request: in every draw it holds.
            pl.col("p_raise", "p_cut").fill_null(0.0),
            pl.col("p_hold").fill_null(1.0),
            pl.when(edited).then(learning.of_edit(current, proposed)).otherwise(0.0).alias("learning_cost"),
        )
        .sort(_KEY)
    )


def _with_elasticity(plan: pl.DataFrame, curves: pl.DataFrame | None, configured: float) -> pl.DataFrame:
    """Cluster and elasticity each lever was judged by, both NULL without curves; `slope` is what counts."""
    answers = elasticities_of(plan, curves, configured)
    clusters = [answers.clusters[index] for index in answers.cluster]
    slope = pl.Series("slope", answers.of_levers, dtype=pl.Float64)
    stored = [None] * plan.height if curves is None else answers.of_levers
    return plan.with_columns(
        pl.Series("cluster", clusters, dtype=pl.String),
        pl.Series("elasticity", stored, dtype=pl.Float64),
        slope,
    )


def _with_expected_signups(
    plan: pl.DataFrame, posteriors: pl.DataFrame, as_of_date: date, reward: RewardDefinition
) -> pl.DataFrame:
    """Signups a day won or lost: E[λ] c ((b/c)^ε - 1), the mean over draws of λ in closed form."""
    per_dollar = posteriors.select(
        *_KEY,
        pl.Series("per_dollar", mean_signups_per_dollar(*posterior_evidence(posteriors, reward), reward)),
    )
    current = pl.col("current_budget").cast(pl.Float64)
    ratio = pl.col("proposed_budget").cast(pl.Float64) / current
    return (
        plan.join(per_dollar, on=_KEY, how="left")
        .with_columns(
            pl.when(current > 0)
            .then(pl.col("per_dollar") * current * (ratio ** pl.col("slope") - 1))
            .otherwise(0.0)
            .alias("expected_signups_change"),
            pl.lit(as_of_date).alias("as_of_date"),
        )
        .drop("per_dollar", "slope")
        .sort(_KEY)
    )
