"""Launch assets: the policy pre-flight of a slate, and the paused launches of what passed it.

Here: reading slates, creatives and levers, calling `models.policy` and `models.launches`. Not here: the
rules, what a person approves (`governance`).
"""

import dagster as dg
import polars as pl

from aelp_assets.bandits import freeze_windows
from aelp_assets.metadata import FRAME, asset_key, check, markdown_table, result, table_metadata
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, days_before, decision_days, morning_of, same_morning
from models import launches, policy
from resources.code_version import module_hash, used_by
from resources.settings import Settings

SNAPSHOT_DAYS = 7  # levers as of the account's newest snapshot, even after a few missed mornings
_CODE = module_hash(*used_by(__name__))
_REVIEWED = ["track", "creative_id", "policy_profile", "passed", "flags"]
_PLANNED = [
    "track",
    "rank",
    "creative_name",
    "lane",
    "daily_budget",
    "parent_campaign_id",
    "starts_at",
    "link",
]
_SLATES = dg.AssetIn(key=["gaelp_training", "slates"], partition_mapping=same_morning)
_CREATIVES = dg.AssetIn(key=["gaelp_training", "creative_objects"])
_LEVERS = dg.AssetIn(
    key=["gaelp_training", "budget_levers"],
    partition_mapping=days_before(SNAPSHOT_DAYS, and_the_morning=True),
)


def launch_rules(settings: Settings) -> launches.LaunchRules:
    """The settings' launches in the planner's own type."""
    rules, lane = settings.launches, settings.launches.test_lane
    return launches.LaunchRules(
        frequency_cap=rules.frequency_cap,
        frequency_days=rules.frequency_days,
        placements=rules.placements,
        test_excluded=lane.excluded_placements,
        test_above_cap=lane.above_cap_probability,
        test_minimum=lane.minimum_daily_budget,
        test_hour=lane.start_hour,
        timezone=settings.timezone,
        utm_sources=rules.utm_sources,
        utm_mediums=rules.utm_mediums,
        freeze_windows=freeze_windows(settings),
    )


def policy_profiles(settings: Settings) -> dict[str, policy.PolicyProfile]:
    """What creatives must obey, by track."""
    rules = settings.policy
    return {
        name: policy.PolicyProfile(
            name=track.policy_profile,
            text_rules=tuple(
                policy.TextRule(**rule.model_dump())
                for rule in (rules.health if track.policy_profile == "health" else rules.standard)
            ),
            text_limits={str(name): limit for name, limit in rules.text_limits.items()},
            over_length=rules.over_length,
            fails_closed=track.policy_profile == "health",
            landing_domains=settings.launches.landing_domains,
            allows_curated_audiences=track.policy_profile != "health",
        )
        for name, track in settings.tracks.items()
    }


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "policy_reviews"],
    ins={"slates": _SLATES, "creative_objects": _CREATIVES, "budget_levers": _LEVERS},
    check_specs=[
        dg.AssetCheckSpec(
            "every_slated_creative_is_reviewed",
            asset=asset_key("gaelp_training.policy_reviews"),
            blocking=True,
            description="Each creative of the slate has one verdict.",
        )
    ],
    group_name="planning",
    kinds={"polars"},
    owners=CAMPAIGN_MANAGEMENT,
    partitions_def=decision_days,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata("gaelp_training.policy_reviews"),
    code_version=_CODE,
    pool=WAREHOUSE_POOL,
)
def policy_reviews(
    context: dg.AssetExecutionContext,
    slates: pl.DataFrame,
    creative_objects: pl.DataFrame,
    budget_levers: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """What each slated creative says and where it would lead, held against its track's policy profile."""
    slated = launches.launch_links(slates, creative_objects, budget_levers, launch_rules(settings))
    found = policy.review_creatives(slated, policy_profiles(settings), settings.launches.audiences)
    rows = found.select(pl.lit(morning_of(context)).alias("as_of_date"), pl.all())
    keys = ["track", *launches.KEY]
    missed = slates.join(rows, on=keys, how="anti").height + rows.select(keys).is_duplicated().sum()
    return result(
        rows,
        checks=[
            check(
                "every_slated_creative_is_reviewed",
                not missed,
                f"{missed} creatives of the slate have no verdict, or two.",
                "gaelp_training.policy_reviews",
            )
        ],
        columns=_REVIEWED,
        blocked=rows.filter(~pl.col("passed")).height,
    )


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "launch_plans"],
    ins={
        "slates": _SLATES,
        "policy_reviews": dg.AssetIn(
            key=["gaelp_training", "policy_reviews"], partition_mapping=same_morning
        ),
        "creative_objects": _CREATIVES,
        "budget_levers": _LEVERS,
    },
    check_specs=[
        dg.AssetCheckSpec(
            "only_reviewed_creatives_launch_paused_and_on_budget",
            asset=asset_key("gaelp_training.launch_plans"),
            blocking=True,
            description="Every launch passed the policy review, is paused, has one lever and a budget its "
            "platform takes; launches and what is left out add up to the slate. Plans that break this are "
            "not stored.",
        )
    ],
    group_name="planning",
    kinds={"polars"},
    owners=CAMPAIGN_MANAGEMENT,
    partitions_def=decision_days,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata("gaelp_training.launch_plans"),
    code_version=_CODE,
    pool=WAREHOUSE_POOL,
)
def launch_plans(
    slates: pl.DataFrame,
    policy_reviews: pl.DataFrame,
    creative_objects: pl.DataFrame,
    budget_levers: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """One paused lever per slated creative that passed: lane, budget, placements, tracking, start."""
    rules = launch_rules(settings)
    slated = launches.launch_links(slates, creative_objects, budget_levers, rules)
    plans, left_out = launches.plan_launches(slated, policy_reviews, budget_levers, rules)
    faults = launches.plan_faults(plans, left_out, slates, policy_reviews, rules)
    return result(
        # What is refused is not stored: views and people read the table whether or not a check failed.
        plans.clear() if faults else plans,
        checks=[
            check(
                "only_reviewed_creatives_launch_paused_and_on_budget",
                not faults,
                "; ".join(faults[:10]),
                "gaelp_training.launch_plans",
            )
        ],
        columns=_PLANNED,
        left_out=markdown_table(left_out),
    )
