"""Planning asset: the creatives each track should run next.

Here: reading creative-days, what levers in force and earlier launches take, calling `models.slates`.
Not here: ranking, and launching (everything stays paused).
"""

import os
from datetime import date, datetime, timedelta
from decimal import Decimal

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.bandits import cac_caps, past_moment, reward_definition
from aelp_assets.metadata import FRAME, asset_key, check, markdown_table, result, table_metadata
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS
from aelp_assets.partitions import (
    LEVER_DAYS,
    RANKING_DAYS,
    SCORE_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    same_morning,
    seeded_rng,
)
from models import slates as slating
from models.creatives.contents import CREATIVE
from models.eligibility import of_eligible
from models.ranking.multipliers import multipliers_in_force
from resources.clock import Clock
from resources.code_version import module_hash, used_by
from resources.control.launch_reserves import Standing, of_earlier_mornings
from resources.control.records import BUDGET, LEVER
from resources.control.store import control_url, open_control_store
from resources.settings import Environment, Settings

_SHOWN = [
    *("track", "rank", "creative_id", "role", "budget"),
    *("score_multiplier", "p_best", "p_meets_cap", "signups_p50", "cac_p50"),
]
_CREATIVE = ["track", "platform", "account_id", "creative_id"]
_KNOWN = (pl.col("current_budget") >= 0).fill_null(value=False)
_LAUNCHED_SHOWN = ["track", "creative_id", "launch_id", "budget", "lever_id"]


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "slates"],
    ins={
        "int_creative_daily": dg.AssetIn(
            key=["intermediate", "int_creative_daily"], partition_mapping=days_before(LEVER_DAYS)
        ),
        "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
        "lever_states": dg.AssetIn(key=["ops", "lever_states"], partition_mapping=same_morning),
        "bandit_decisions": dg.AssetIn(
            key=["gaelp_training", "bandit_decisions"], partition_mapping=same_morning
        ),
        "ad_scores": dg.AssetIn(
            key=["gaelp_training", "ad_scores"],
            partition_mapping=days_before(SCORE_DAYS, and_the_morning=True),
        ),
        "creative_objects": dg.AssetIn(
            key=["gaelp_training", "creative_objects"],
            metadata={"columns": [*CREATIVE, "created_on", "first_seen"]},
        ),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "budgets_within_launch_share",
            asset=asset_key("gaelp_training.slates"),
            blocking=True,
            description="No track launches more than its share of its cap, and all of it is launched paused. "
            "A slate that breaks this is not stored.",
        )
    ],
    group_name="planning",
    kinds={"polars"},
    owners=CAMPAIGN_MANAGEMENT,
    partitions_def=decision_days,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata("gaelp_training.slates"),
    code_version=module_hash(*used_by(__name__), "resources.control.launch_reserves"),
    pool=WAREHOUSE_POOL,
)
def slates(
    context: dg.AssetExecutionContext,
    int_creative_daily: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    lever_states: pl.DataFrame,
    bandit_decisions: pl.DataFrame,
    ad_scores: pl.DataFrame,
    creative_objects: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """Top creatives per track, exploit and explore, with launch budgets that add up; all paused.

    What an earlier launch carries that still stands is left out, and so is the budget it holds.
    """
    rules, guardrails = settings.slates, settings.guardrails
    caps = {name: track.daily_cap for name, track in settings.tracks.items()}
    morning = morning_of(context)
    launched = earlier_launches(environment, settings, morning, clock.now())
    running = running_levers(lever_states)
    held = held_budgets(launched, running)
    budgets = slating.launch_budgets(
        committed_budgets(running, bandit_decisions, held),
        caps,
        guardrails.total_daily_cap,
        launch_share=rules.launch_share,
        overdelivery=guardrails.overdelivery,
    )
    rows = slating.build_slates(
        int_creative_daily,
        of_eligible(decision_accounts.select("platform", "account_id"), decision_accounts),
        as_of_date=morning,
        window_days=settings.bandit.window_days,
        prior_conversions=settings.bandit.prior_conversions,
        caps=cac_caps(settings),
        budgets=budgets,
        rules=slating.SlateRules(
            size=rules.size,
            explore_share=rules.explore_share,
            screening_impressions=rules.screening_impressions,
            stop_probability=guardrails.stop_probability,
            stop_spend_caps=guardrails.stop_spend_caps,
            freeze_probability=guardrails.freeze_probability,
        ),
        reward=reward_definition(settings),
        draws=settings.bandit.draws,
        rng=seeded_rng(settings.seed, "slates", morning),
        launched=launched,
        multipliers=_of_young(multipliers_in_force(ad_scores), creative_objects, morning),
    )
    since = morning - timedelta(days=settings.bandit.window_days)
    left_out = _delivering(int_creative_daily, since).join(launched, on=_CREATIVE, how="semi")
    budgeted = {
        track: Decimal(str(amount))
        for track, amount in rows.group_by("track").agg(pl.col("budget").sum()).iter_rows()
    }
    over = {t: a for t, a in budgeted.items() if a > caps[t] * Decimal(str(rules.launch_share))}
    awake = rows.filter(pl.col("status") != "paused").height
    broken = bool(over or awake)
    return result(
        # What is refused is not stored: views and people read the table whether or not a check failed.
        rows.clear() if broken else rows,
        plots.slate_budgets(rows, cac_caps(settings)),
        [
            check(
                "budgets_within_launch_share",
                not broken,
                f"Tracks launching more than {rules.launch_share:.0%} of their cap: {over}; "
                f"creatives not launched paused: {awake}.",
                "gaelp_training.slates",
                {track: float(amount) for track, amount in budgeted.items()},
            )
        ],
        _SHOWN,
        earlier_launches=markdown_table(launched.select(_LAUNCHED_SHOWN)),
        creatives_left_out=left_out.height,
        budget_held={track: float(amount) for track, amount in held.items()},
        launch_money={track: float(amount) for track, amount in budgets.items()},
        unknown_budgets=markdown_table(running.filter(~_KNOWN).select(*LEVER, "track")),
    )


def _of_young(multipliers: pl.DataFrame, creatives: pl.DataFrame, morning: date) -> pl.DataFrame:
    """Without creatives that did not run because they were retired before deliveries are ranked by."""
    known = pl.coalesce("created_on", "first_seen")
    young = creatives.filter(known.is_between(morning - timedelta(days=RANKING_DAYS), morning))
    return multipliers.join(
        young.select(*CREATIVE, is_young=pl.lit(value=True)), on=list(CREATIVE), how="left"
    ).filter(pl.col("has_run") | pl.col("is_young").fill_null(value=False))


def _delivering(creative_days: pl.DataFrame, since: date) -> pl.DataFrame:
    """Creatives that were shown on that day or after it."""
    return creative_days.filter(pl.col("date") >= since, pl.col("impressions") > 0).select(_CREATIVE).unique()


def earlier_launches(
    environment: Environment, settings: Settings, morning: date, now: datetime
) -> pl.DataFrame:
    """What approved launches of earlier mornings carry, as long as they are, or are to be, on the platform.

    What only waits for people is none: the newest plan takes its place (`propose_launches`).

    Returns:
        A row per launch and creative (the one chosen, and its copy once that is made): `_CREATIVE`,
        launch_id, lever_id (of its ad set; null until that is made), budget (dollars a day).
    """
    at = past_moment(morning, settings, now)
    with open_control_store(control_url(environment.home, os.environ)).begin() as connection:
        standing = of_earlier_mornings(connection, settings.governance.mode, morning, now, at=at)
    schema = dict.fromkeys((*_CREATIVE, "launch_id", "lever_id"), pl.String()) | {"budget": BUDGET}
    return pl.DataFrame([row for launch in standing for row in _carried(launch)], schema=schema)


def _carried(launch: Standing) -> list[dict[str, object]]:
    row, lever = launch.proposal, launch.lever
    about = {
        **{name: row[name] for name in ("track", "platform", "account_id")},
        "launch_id": row["lever_id"],
        "lever_id": None if lever is None else lever[-1],
        "budget": Decimal(row["proposed_budget"]),
    }
    return [about | {"creative_id": creative} for creative in sorted(launch.creatives)]


def running_levers(states: pl.DataFrame) -> pl.DataFrame:
    """Levers of `STATE_SCHEMA` that hold room under the caps: all but the paused, whoever decides on them.

    As the guardrails and `launch_limits` count them, those of accounts that are not eligible and of no
    configured track included: no launch is planned that has to be refused when it is signed.
    """
    return states.filter(pl.col("has_lever"), pl.col("status").ne_missing("paused"))


def held_budgets(launched: pl.DataFrame, running: pl.DataFrame) -> dict[str, Decimal]:
    """Dollars a day by track that earlier launches hold beside the levers that run.

    An ad set that is made and still paused is a lever whose budget counts nowhere else.
    """
    unseen = launched.unique("launch_id").join(running, on=LEVER, how="anti")
    return dict(unseen.group_by("track").agg(pl.col("budget").sum()).sort("track").iter_rows())


def committed_budgets(
    running: pl.DataFrame, decisions: pl.DataFrame, held: dict[str, Decimal]
) -> dict[str, Decimal] | None:
    """Daily budget spoken for by track: of each lever the larger of what is in force and what is proposed.

    A proposed stop frees nothing before it is signed and made.

    Args:
        running: of `running_levers`.
        decisions: the morning's; a lever without one counts as it is.
        held: of `held_budgets`, on top.

    Returns:
        None where a budget in force is unknown.
    """
    if not running.select(_KNOWN.all()).item():
        return None
    larger = pl.max_horizontal("current_budget", "proposed_budget")
    asked = running.join(decisions.select(*LEVER, "proposed_budget"), on=LEVER, how="left")
    taken: dict[str, Decimal] = dict(asked.group_by("track").agg(larger.sum()).sort("track").iter_rows())
    return {track: taken.get(track, Decimal(0)) + held.get(track, Decimal(0)) for track in taken | held}
