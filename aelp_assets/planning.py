"""Planning asset: the creatives each track should run next.

Here: reading creative-days and what budgets are taken, calling `models.slates`. Not here: ranking, and
launching (everything stays paused).
"""

from decimal import Decimal

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.bandits import cac_caps, reward_definition
from aelp_assets.metadata import FRAME, asset_key, check, result, table_metadata
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS
from aelp_assets.partitions import (
    LEVER_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    same_morning,
    seeded_rng,
)
from models import slates as slating
from models.eligibility import of_eligible
from resources.code_version import module_hash
from resources.settings import Settings

_SHOWN = [
    *("track", "rank", "creative_id", "role", "budget"),
    *("p_best", "p_meets_cap", "signups_p50", "cac_p50"),
]


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "slates"],
    ins={
        "int_creative_daily": dg.AssetIn(
            key=["intermediate", "int_creative_daily"], partition_mapping=days_before(LEVER_DAYS)
        ),
        "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
        "bandit_decisions": dg.AssetIn(
            key=["gaelp_training", "bandit_decisions"], partition_mapping=same_morning
        ),
    },
    deps=[["gaelp_training", "creative_objects"]],
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
    code_version=module_hash("models.slates", "models.eligibility"),
    pool=WAREHOUSE_POOL,
)
def slates(
    context: dg.AssetExecutionContext,
    int_creative_daily: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    bandit_decisions: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Top creatives per track, exploit and explore, with launch budgets that add up; all paused."""
    rules, guardrails = settings.slates, settings.guardrails
    caps = {name: track.daily_cap for name, track in settings.tracks.items()}
    budgets = slating.launch_budgets(
        committed_budgets(bandit_decisions),
        caps,
        guardrails.total_daily_cap,
        launch_share=rules.launch_share,
        overdelivery=guardrails.overdelivery,
    )
    rows = slating.build_slates(
        int_creative_daily,
        of_eligible(decision_accounts.select("platform", "account_id"), decision_accounts),
        as_of_date=morning_of(context),
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
        rng=seeded_rng(settings.seed, "slates", morning_of(context)),
    )
    launched = {
        track: Decimal(str(amount))
        for track, amount in rows.group_by("track").agg(pl.col("budget").sum()).iter_rows()
    }
    over = {t: a for t, a in launched.items() if a > caps[t] * Decimal(str(rules.launch_share))}
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
                {track: float(amount) for track, amount in launched.items()},
            )
        ],
        _SHOWN,
    )


def committed_budgets(decisions: pl.DataFrame) -> dict[str, Decimal]:
    """Daily budget spoken for by track: the larger of what is in force and what is proposed."""
    larger = pl.max_horizontal("current_budget", "proposed_budget")
    taken = decisions.group_by("track").agg(larger.sum().alias("taken"))
    return {track: Decimal(str(amount)) for track, amount in taken.iter_rows()}
