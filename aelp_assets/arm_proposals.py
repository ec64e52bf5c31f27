"""From decisions about arms to people: switches and split tests put before them.

Here: the evidence each rests on, submitting a morning's to the control store. Not here: deciding about arms
(`arms`), what a switch must keep (`resources.control.arm_rules`), sending and the mirror (`governance`).
"""

import dagster as dg
import polars as pl

from aelp_assets.governance import ARM_SUBMISSION, SUBMISSION, mirror, open_governance
from aelp_assets.metadata import markdown_table
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, decision_days, morning_of, same_morning
from resources.clock import Clock
from resources.code_version import module_hash
from resources.control.arm_payloads import ARM_TYPES
from resources.control.arm_rules import EVIDENCE_SCHEMA
from resources.settings import Environment, Settings
from resources.warehouse import tables

_ARM = ["platform", "account_id", "arm_kind", "arm_id"]
_SHOWN = ["track", "platform", "entity_name", "type", "reason", "status", "proposal_id"]


@dg.asset(
    key=ARM_SUBMISSION,
    ins={
        "arm_decisions": dg.AssetIn(key=["gaelp_training", "arm_decisions"], partition_mapping=same_morning),
        # For the ad groups alone, which some platforms name an ad or keyword by.
        "int_arms": dg.AssetIn(key=["intermediate", "int_arms"]),
    },
    # Edits first: switching an arm on is judged by what is known of its lever.
    deps=[dg.AssetDep(SUBMISSION, partition_mapping=same_morning)],
    group_name="governance",
    kinds={"sqlalchemy"},
    owners=CAMPAIGN_MANAGEMENT,
    freshness_policy=DECISION_FRESHNESS,
    partitions_def=decision_days,
    code_version=module_hash(
        "resources.control.arm_proposals", "resources.control.arm_rules", "resources.control.arm_payloads"
    ),
    pool=WAREHOUSE_POOL,
)
def arm_submission(
    context: dg.AssetExecutionContext,
    arm_decisions: pl.DataFrame,
    int_arms: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """The morning's pauses, switches on and split tests put before people; a test is theirs to set up."""
    morning, now = morning_of(context), clock.now()
    if morning < now.astimezone(settings.timezone).date():
        return dg.MaterializeResult(metadata={"new": 0, "left_out": "A past morning is put before nobody."})
    governance = open_governance(environment, settings)
    outcome = governance.propose_arms(
        arm_evidence(arm_decisions, int_arms, settings.bandit.window_days),
        as_of_date=morning,
        settings_hash=settings.content_hash,
        now=now,
    )
    mine = [row for row in governance.proposals(now) if row["as_of_date"] == morning]
    shown = mirror(tables.PROPOSALS, [row for row in mine if row["type"] in ARM_TYPES])
    return dg.MaterializeResult(
        metadata={
            "preview": markdown_table(shown, columns=_SHOWN),
            "new": len(outcome.new),
            "unchanged": len(outcome.known),
            "superseded": len(outcome.superseded),
            "left_out": dg.MetadataValue.md("\n".join(f"- {said}" for said in outcome.left_out) or "none"),
        }
    )


def arm_evidence(decisions: pl.DataFrame, arms: pl.DataFrame, window_days: int) -> pl.DataFrame:
    """What people and the writer judge switches by: the morning's decisions with the ad groups of their arms.

    Args:
        decisions: rows of `arm_decisions`.
        arms: rows of `int_arms`.
        window_days: matured days the evidence was taken from.
    """
    groups = arms.select(*_ARM, "adgroup_id")
    found = decisions.join(groups, on=_ARM, how="left", maintain_order="left")
    return found.with_columns(window_days=pl.lit(window_days)).select(
        pl.col(name).cast(kind) for name, kind in EVIDENCE_SCHEMA.items()
    )
