"""Bandit assets: belief per lever and the morning's guarded decision.

Here: reading levers and evidence, calling `models.bandits`, storing what a replay needs. Not here: the
mathematics (`models/bandits`), the rules (`models/guardrails`), approvals and writing.
"""

import hashlib
import os
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.artifacts import content_hash, store_frames, store_text
from aelp_assets.channel_envelopes import channel_envelopes, channel_levers, envelopes_frame
from aelp_assets.decision_records import keep_decisions
from aelp_assets.metadata import asset_key, check, markdown_table, picture, result, table_out
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import (
    LEVER_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    derived_seed,
    morning_of,
    same_morning,
    seeded_rng,
)
from models import bandits
from models.guardrails import (
    STATE_SCHEMA,
    ChannelEnvelope,
    FreezeWindow,
    GuardrailLimits,
    TrackLimits,
    verify_decisions,
)
from models.response_curves import curves_of_levers
from models.rewards import RewardDefinition
from resources.clock import Clock
from resources.code_version import module_hash, used_by
from resources.control.launch_reserves import reserved
from resources.control.records import BUDGET, LEVER, killed
from resources.control.store import control_url, open_control_store
from resources.ledger import slices_seen
from resources.settings import MOST_ENVELOPE_DAYS, Environment, Settings
from resources.warehouse.interface import Warehouse
from resources.warehouse.retrying import tried_again_while_locked
from resources.warehouse.tables import LEVER_STATES

SNAPSHOT_DAYS = 15  # a week-old snapshot must be among them even after a few missed mornings
_POSTERIORS_SHOWN = [
    *("track", "lever_id", "spend", "reward_mean"),
    *("cac_p10", "cac_p50", "cac_p90", "p_cac_above_cap", "p_best"),
]
_STATES_SHOWN = [
    *("track", "lever_id", "status", "learning_state", "current_budget", "last_edited_at"),
    *("matured_spend", "p_cac_above_cap", "expected_loss_rate"),
]
_RUNS_SHOWN = ["track", "levers", "draws", "half_life_days", "log_score_gain"]
CODE = module_hash(*used_by(__name__, "aelp_assets.channel_envelopes"))
# The raw tables behind the frames a decision is made from; a test holds it against dbt's manifest.
DECISION_STREAMS = (
    *("meta_ads_insights", "meta_ads_insights_by_placement"),
    *("google_ads_ad_performance", "google_ads_campaign_performance"),
    *("tiktok_ads_report", "linkedin_ad_analytics", "file_ad_performance", "file_period_performance"),
    "levers",
)


def guardrail_limits(
    settings: Settings,
    kill_reason: str | None = None,
    reserved: Mapping[str, Decimal] | None = None,
    envelopes: tuple[ChannelEnvelope, ...] = (),
) -> GuardrailLimits:
    """The settings' money limits in the guardrails' own type.

    Args:
        kill_reason: who pulled the kill switch and why; None while nobody has.
        reserved: dollars a day by track that approved launches hold; None: none.
        envelopes: what the media mix gives each channel.
    """
    rules = settings.guardrails
    return GuardrailLimits(
        tracks={
            name: TrackLimits(
                daily_cap=track.daily_cap,
                cac_cap=track.cac_cap,
                weekly_loss_budget=rules.weekly_loss_budget[name],
            )
            for name, track in settings.tracks.items()
        },
        freeze_windows=freeze_windows(settings),
        timezone=settings.timezone,
        kill_switch=kill_reason is not None,
        kill_reason=kill_reason or "",
        reserved=reserved or {},
        channel_envelopes=envelopes,
        **rules.model_dump(exclude={"weekly_loss_budget", "freeze_windows"}),
    )


def freeze_windows(settings: Settings) -> tuple[FreezeWindow, ...]:
    """The days on which nothing rises and nothing is launched."""
    windows = settings.guardrails.freeze_windows
    return tuple(FreezeWindow(window.name, *window.days, window.track) for window in windows)


def reward_definition(settings: Settings) -> RewardDefinition:
    """The settings' reward, versioned."""
    reward = settings.reward
    return RewardDefinition(
        version=reward.version,
        click_mean=reward.click_incrementality_mean,
        click_sd=reward.click_incrementality_sd,
        view_mean=reward.view_incrementality_mean,
        view_sd=reward.view_incrementality_sd,
    )


def learning_cost(settings: Settings) -> bandits.LearningCost:
    """What the settings say an edit costs while the platform learns."""
    return bandits.LearningCost(**settings.bandit.learning.model_dump())


def decision_moment(morning: date, settings: Settings) -> datetime:
    """09:00 of the morning in the business's zone: a decision replayed next year has the same now."""
    return datetime.combine(morning, time(9), tzinfo=settings.timezone)


def cac_caps(settings: Settings) -> dict[str, float]:
    """CAC cap by track, dollars."""
    return {name: float(track.cac_cap) for name, track in settings.tracks.items()}


def contributions(settings: Settings) -> dict[str, float]:
    """Contribution of one signup before advertising, by track, dollars."""
    return {name: track.contribution_per_signup for name, track in settings.tracks.items()}


def past_moment(morning: date, settings: Settings, now: datetime) -> datetime | None:
    """When a past morning was decided: it sees the control store of then; None: it is today's."""
    is_past = morning < now.astimezone(settings.timezone).date()
    return decision_moment(morning, settings) if is_past else None


def kill_switch_frame(
    environment: Environment, settings: Settings, morning: date, now: datetime
) -> pl.DataFrame:
    """The kill switch as the planner finds it: a row that says who pulled it and why, none while it is off.

    An input like any other, so that a replay plans under the same switch. A past morning is planned under
    the switch of then: what was stopped or let go on later says nothing of it.
    """
    with open_control_store(control_url(environment.home, os.environ)).begin() as connection:
        said = killed(connection, past_moment(morning, settings, now))
    return pl.DataFrame({"said": [] if said is None else [said]}, schema={"said": pl.String})


def kill_reason(frames: Mapping[str, pl.DataFrame]) -> str | None:
    """Who pulled the kill switch and why, of a decision's stored inputs; older ones have none."""
    stored = frames.get("kill_switch")
    return None if stored is None or stored.is_empty() else str(stored["said"].item())


def reserved_launches_frame(
    environment: Environment, settings: Settings, morning: date, now: datetime, budget_levers: pl.DataFrame
) -> pl.DataFrame:
    """What approved launches hold of the room under the caps as the planner finds it: dollars a day by track.

    An input like any other, as the kill switch is: of a past morning, what was approved by then.

    Args:
        budget_levers: snapshots up to the morning; a launch that runs is a lever of the newest.
    """
    at = past_moment(morning, settings, now)
    newest = pl.col("date") == pl.col("date").max().over("platform", "account_id")
    running = budget_levers.filter(newest, pl.col("status").ne_missing("paused")).select(LEVER).rows()
    with open_control_store(control_url(environment.home, os.environ)).begin() as connection:
        held = reserved(connection, settings.governance.mode, morning, set(running), now, at=at)
    rows = sorted(held.items())
    return pl.DataFrame(rows, schema={"track": pl.String(), "reserved": BUDGET}, orient="row")


def reserved_launches(frames: Mapping[str, pl.DataFrame]) -> dict[str, Decimal]:
    """Dollars a day by track that approved launches held, of a decision's stored inputs; older ones: none."""
    stored = frames.get("reserved_launches")
    return {} if stored is None else dict(stored.select("track", "reserved").iter_rows())


def stored_limits(frames: Mapping[str, pl.DataFrame], settings: Settings) -> GuardrailLimits:
    """The money limits of a decision, of its stored inputs."""
    return guardrail_limits(
        settings, kill_reason(frames), reserved_launches(frames), channel_envelopes(frames)
    )


def run_decision(
    frames: Mapping[str, pl.DataFrame], settings: Settings, morning: date
) -> bandits.DecisionDay:
    """The whole decision from its stored inputs: what the asset runs, and what a replay runs again."""
    return bandits.decide(
        lever_history=frames["budget_levers"],
        lever_days=frames["reward_daily"],
        accounts=frames["decision_accounts"],
        as_of_date=morning,
        now=decision_moment(morning, settings),
        limits=stored_limits(frames, settings),
        contribution_per_signup=contributions(settings),
        window_days=settings.bandit.window_days,
        prior_conversions=settings.bandit.prior_conversions,
        elasticity=settings.bandit.elasticity,
        reward=reward_definition(settings),
        draws=settings.bandit.draws,
        rng=seeded_rng(settings.seed, "bandit_decisions", morning),
        half_life_candidates=settings.bandit.half_lives,
        learning=learning_cost(settings),
        curves=stored_curves(frames),
    )


def stored_curves(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame | None:
    """Each lever's curve, of a decision's stored inputs; older ones have none and one elasticity for all."""
    clusters, curves = frames.get("lever_clusters"), frames.get("response_curves")
    return None if clusters is None or curves is None else curves_of_levers(clusters, curves)


@dg.multi_asset(
    name="bandit",
    ins={
        "reward_daily": dg.AssetIn(
            key=["gaelp_training", "reward_daily"], partition_mapping=days_before(LEVER_DAYS)
        ),
        "budget_levers": dg.AssetIn(
            key=["gaelp_training", "budget_levers"],
            partition_mapping=days_before(SNAPSHOT_DAYS, and_the_morning=True),
        ),
        "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
        **{
            name: dg.AssetIn(key=["gaelp_training", name], partition_mapping=same_morning)
            for name in ("lever_clusters", "response_curves")
        },
        "mmm_allocations": dg.AssetIn(
            key=["gaelp_training", "mmm_allocations"],
            partition_mapping=days_before(MOST_ENVELOPE_DAYS, and_the_morning=True),
        ),
        "int_campaign_channels": dg.AssetIn(key=["intermediate", "int_campaign_channels"]),
    },
    deps=[
        dg.AssetDep(["gaelp_training", "placement_baselines"], partition_mapping=same_morning),
        dg.AssetDep(["gaelp_training", "forecast_results"], partition_mapping=same_morning),
    ],
    outs={
        "bandit_posteriors": table_out(
            "gaelp_training.bandit_posteriors", MARKETING_SCIENCE, DECISION_FRESHNESS, CODE
        ),
        "lever_states": table_out("ops.lever_states", CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS, CODE),
        "bandit_decisions": table_out(
            "gaelp_training.bandit_decisions", CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS, CODE
        ),
        "policy_runs": table_out("gaelp_training.policy_runs", MARKETING_SCIENCE, DECISION_FRESHNESS, CODE),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "p_best_sums_to_one",
            asset=asset_key("gaelp_training.bandit_posteriors"),
            blocking=True,
            description="Over a track, the chances of being its best lever sum to 1.",
        ),
        dg.AssetCheckSpec(
            "lever_states_grain",
            asset=asset_key("ops.lever_states"),
            blocking=True,
            description="One row per morning and lever.",
        ),
        dg.AssetCheckSpec(
            "money_invariants_hold",
            asset=asset_key("gaelp_training.bandit_decisions"),
            blocking=True,
            description="An independent verifier finds no rule broken: their order, real levers, caps, stops "
            "and raises. Decisions it refuses are not stored: the morning then has none.",
        ),
        dg.AssetCheckSpec(
            "every_decision_has_its_run",
            asset=asset_key("gaelp_training.policy_runs"),
            description="Each decision belongs to a logged run, and its draws rise, fall or hold.",
        ),
    ],
    group_name="bandits",
    partitions_def=decision_days,
    pool=WAREHOUSE_POOL,
)
def bandit(
    context: dg.AssetExecutionContext,
    reward_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    lever_clusters: pl.DataFrame,
    response_curves: pl.DataFrame,
    mmm_allocations: pl.DataFrame,
    int_campaign_channels: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    warehouse: dg.ResourceParam[Warehouse],
    clock: dg.ResourceParam[Clock],
) -> tuple[dg.MaterializeResult, dg.MaterializeResult, dg.MaterializeResult, dg.MaterializeResult]:
    """Posteriors, lever states, decisions and their log of one morning, from one set of joint draws."""
    morning = morning_of(context)
    levers = channel_levers(budget_levers, int_campaign_channels, morning)
    frames = {
        "budget_levers": budget_levers,
        "reward_daily": reward_daily,
        "decision_accounts": decision_accounts,
        "lever_clusters": lever_clusters,
        "response_curves": response_curves,
        "kill_switch": kill_switch_frame(environment, settings, morning, clock.now()),
        "reserved_launches": reserved_launches_frame(
            environment, settings, morning, clock.now(), budget_levers
        ),
        "channel_envelopes": envelopes_frame(mmm_allocations, levers, settings, morning),
    }
    artifact = store_frames(environment.artifacts / "decisions", frames)
    settings_hash = store_text(environment.artifacts / "settings", settings.model_dump_json())
    upstream = store_frames(environment.artifacts / "upstream", {"slices": _upstream(warehouse, morning)})
    day = run_decision(frames, settings, morning)
    violations = verify_decisions(
        day.decisions,
        day.states,
        stored_limits(frames, settings),
        decision_moment(morning, settings),
    )
    caps = cac_caps(settings)
    shares = day.posteriors.group_by("track").agg(pl.col("p_best").sum()).sort("track")
    believed = dg.MaterializeResult(
        asset_key=asset_key("gaelp_training.bandit_posteriors"),
        value=day.posteriors,
        metadata={
            "preview": markdown_table(
                day.posteriors.sort("p_best", descending=True), columns=_POSTERIORS_SHOWN
            ),
            "tracks": markdown_table(day.tracks),
            "plot": picture(plots.cac_by_lever(day.posteriors, caps, budget_levers)),
        },
        check_results=[
            check(
                "p_best_sums_to_one",
                bool(((shares["p_best"] - 1).abs() < 1e-9).all()),
                "P(best) must add up to 1 over each track.",
                "gaelp_training.bandit_posteriors",
                {"sums": markdown_table(shares)},
            )
        ],
    )
    decisions = decision_rows(day, settings, morning, artifact.sha256, settings_hash).with_columns(
        pl.lit(upstream.sha256).alias("upstream_hash"),
        pl.lit(context.run.run_id).alias("run_id"),
    )
    if not violations:
        keep_decisions(environment, morning, decisions, day.posteriors)
    runs = policy_runs(day, settings, morning).with_columns(
        *_origin(settings, morning, artifact.sha256, settings_hash),
        pl.lit(context.run.run_id).alias("run_id"),
    )
    decided = dg.MaterializeResult(
        asset_key=asset_key("gaelp_training.bandit_decisions"),
        # Views and people read the table whether or not a check failed, so what is refused never gets there.
        value=decisions.clear() if violations else decisions,
        metadata={
            "preview": markdown_table(
                decisions.select("track", "lever_id", "type", "current_budget", "proposed_budget", "reason")
            ),
            "inputs": dg.MetadataValue.path(artifact.path),
            "plot": picture(plots.budget_moves(decisions, budget_levers)),
            **_counts(decisions),
        },
        check_results=[
            check(
                "money_invariants_hold",
                not violations,
                "\n".join(str(violation) for violation in violations[:20]),
                "gaelp_training.bandit_decisions",
                {"violations": len(violations)},
            )
        ],
    )
    states = day.states.select(pl.lit(morning).alias("as_of_date"), *STATE_SCHEMA)
    twice = states.filter(states.select(LEVER_STATES.grain).is_duplicated())
    known = result(
        states,
        checks=[
            check(
                "lever_states_grain",
                twice.is_empty(),
                f"{twice.height} rows share a lever: a cap would count its budget twice.",
                "ops.lever_states",
            )
        ],
        columns=_STATES_SHOWN,
        key="ops.lever_states",
    )
    logged = result(
        runs,
        checks=[
            check(
                "every_decision_has_its_run",
                int(runs["levers"].sum()) == decisions.height and _directions_add_up(decisions),
                "A decision of no logged run, or whose p_raise, p_cut and p_hold do not add up to 1.",
                "gaelp_training.policy_runs",
            )
        ],
        columns=_RUNS_SHOWN,
        key="gaelp_training.policy_runs",
    )
    return believed, known, decided, logged


def policy_runs(day: bandits.DecisionDay, settings: Settings, morning: date) -> pl.DataFrame:
    """Rows of `policy_runs`, one per track, without seed, hashes of what went in, code version and run id.

    Whether an edit may be judged off-policy is known once it was drawn for: `decision_summary` says so.
    """
    decided = day.decisions.group_by("track").agg(pl.len().cast(pl.Int64).alias("levers"))
    hashes = {
        track: content_hash({"bandit_posteriors": day.posteriors.filter(pl.col("track") == track)})
        for track in day.half_lives["track"]
    }
    return day.half_lives.join(decided, on="track", how="left").select(
        pl.lit(morning).alias("as_of_date"),
        "track",
        pl.lit("thompson_mean").alias("policy"),
        pl.lit(settings.reward.version).alias("reward_version"),
        pl.col("levers").fill_null(0),
        pl.lit(settings.bandit.draws, dtype=pl.Int64).alias("draws"),
        "half_life_days",
        "log_score_gain",
        "scored_lever_days",
        pl.col("track").replace_strict(hashes, return_dtype=pl.String).alias("posterior_hash"),
    )


def _directions_add_up(decisions: pl.DataFrame) -> bool:
    total = decisions["p_raise"] + decisions["p_cut"] + decisions["p_hold"]
    return bool(((total - 1).abs() < 1e-9).all())


def decision_rows(
    day: bandits.DecisionDay, settings: Settings, morning: date, input_hash: str, settings_hash: str
) -> pl.DataFrame:
    """What a replay must give again bit for bit: `bandit_decisions` without the run and its batches."""
    return day.decisions.with_columns(
        _decision_ids(day.decisions, input_hash),
        *_origin(settings, morning, input_hash, settings_hash),
    )


def _origin(settings: Settings, morning: date, input_hash: str, settings_hash: str) -> tuple[pl.Expr, ...]:
    """What a replay needs: the seed, the hashes of inputs and settings, the code."""
    return (
        pl.lit(derived_seed(settings.seed, "bandit_decisions", morning), dtype=pl.Int64).alias("seed"),
        pl.lit(input_hash).alias("input_hash"),
        pl.lit(settings_hash).alias("settings_hash"),
        pl.lit(CODE).alias("code_version"),
    )


def _upstream(warehouse: Warehouse, morning: date) -> pl.DataFrame:
    """The batches behind a morning's frames, by slice."""
    with tried_again_while_locked():
        first, last = morning - timedelta(days=LEVER_DAYS), morning - timedelta(days=1)
        return slices_seen(warehouse, DECISION_STREAMS, first, last)


def _decision_ids(decisions: pl.DataFrame, input_hash: str) -> pl.Series:
    keys = decisions.select("as_of_date", "platform", "account_id", "lever_id").iter_rows()
    names = ["|".join([*map(str, key), input_hash]) for key in keys]
    digests = [hashlib.sha256(name.encode()).hexdigest()[:16] for name in names]
    return pl.Series("decision_id", digests, dtype=pl.String)


def _counts(decisions: pl.DataFrame) -> dict[str, Any]:
    dollars = decisions.select(pl.col("current_budget", "proposed_budget").cast(pl.Float64).sum())
    return {
        f"{kind}_count": count for kind, count in decisions.group_by("type").len().sort("type").iter_rows()
    } | {f"{name}_total": total for name, total in dollars.row(0, named=True).items()}
