"""Arm assets: what is to be switched on, off or tested below the levers.

Here: reading arms, their days, the test lane's and rates of contexts, calling `models.arms`, `context_arms`.
Not here: levers and budgets (`bandits`), the rules (`models.arms`, `models.fast_fail`).
"""

import dagster as dg
import polars as pl

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
from models import arms as arm_models
from models import context_arms, fast_fail
from models.eligibility import of_eligible
from resources.code_version import module_hash, used_by
from resources.settings import Settings

TEST_DAYS = 28  # a test-lane ad is judged within days; older evidence is another creative's
_SHOWN = ["track", "arm_kind", "arm_name", "status", "type", "reason"]


def arm_rules(settings: Settings) -> arm_models.ArmRules:
    """The settings' arm rules, with the safety stop of levers."""
    return arm_models.ArmRules(
        stop_probability=settings.guardrails.stop_probability,
        stop_spend_caps=settings.guardrails.stop_spend_caps,
        minimum_ctr=settings.launches.test_lane.minimum_ctr,
        **settings.arms.model_dump(),
    )


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "arm_decisions"],
    ins={
        "int_arms": dg.AssetIn(key=["intermediate", "int_arms"]),
        "int_arm_daily": dg.AssetIn(
            key=["intermediate", "int_arm_daily"], partition_mapping=days_before(LEVER_DAYS)
        ),
        "int_test_lane_daily": dg.AssetIn(
            key=["intermediate", "int_test_lane_daily"], partition_mapping=days_before(TEST_DAYS)
        ),
        "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
        "context_rates": dg.AssetIn(key=["gaelp_training", "context_rates"], partition_mapping=same_morning),
    },
    # One order of gates: where a morning's launches are refused, nothing is switched either.
    deps=[dg.AssetDep(["gaelp_training", "launch_plans"], partition_mapping=same_morning)],
    check_specs=[
        dg.AssetCheckSpec(
            "arms_are_switched_or_tested_only",
            asset=asset_key("gaelp_training.arm_decisions"),
            blocking=True,
            description="An arm without its own lever is only switched or tested, a lever keeps one that "
            "runs. Decisions that break this are not stored.",
        )
    ],
    group_name="planning",
    kinds={"polars"},
    owners=CAMPAIGN_MANAGEMENT,
    partitions_def=decision_days,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata("gaelp_training.arm_decisions"),
    code_version=module_hash(*used_by(__name__)),
    pool=WAREHOUSE_POOL,
)
def arm_decisions(
    context: dg.AssetExecutionContext,
    int_arms: pl.DataFrame,
    int_arm_daily: pl.DataFrame,
    int_test_lane_daily: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    context_rates: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Enable, pause, split-test or hold for every ad, ad group and keyword without a budget of its own.

    Beside them advice on placements, segments and dayparts that lose money.
    """
    lane = settings.launches.test_lane
    tests = fast_fail.failing_ads(
        int_test_lane_daily,
        minimum_ctr=lane.minimum_ctr,
        probability=lane.fast_fail_probability,
        excluded_placements=lane.excluded_placements,
    )
    rows = arm_models.decide_arms(
        int_arms,
        int_arm_daily,
        tests,
        of_eligible(decision_accounts.select("platform", "account_id"), decision_accounts),
        as_of_date=morning_of(context),
        window_days=settings.bandit.window_days,
        prior_conversions=settings.bandit.prior_conversions,
        caps=cac_caps(settings),
        rules=arm_rules(settings),
        reward=reward_definition(settings),
        draws=settings.bandit.draws,
        rng=seeded_rng(settings.seed, "arm_decisions", morning_of(context)),
    )
    advised = context_arms.losing_contexts(
        context_rates, cac_caps(settings), arm_rules(settings), settings.contexts.probability
    )
    rows = pl.concat([rows, advised])
    faults = arm_models.arm_faults(rows)
    return result(
        # What is refused is not stored: views and people read the table whether or not a check failed.
        rows.clear() if faults else rows.sort(pl.col("type") == "hold", maintain_order=True),
        checks=[
            check(
                "arms_are_switched_or_tested_only",
                not faults,
                "; ".join(faults[:10]),
                "gaelp_training.arm_decisions",
            )
        ],
        columns=_SHOWN,
        **{f"{kind}_count": count for kind, count in rows.group_by("type").len().sort("type").rows()},
    )
