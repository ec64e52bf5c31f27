"""From decisions to people and back: proposals put before them, and what they made of them.

Here: submitting a morning's edits to the control store, its read-only mirror in `ops`, sending what was
approved. Not here: who may decide what (`resources.control`), what to propose (`models`).
"""

import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import sqlalchemy as sa

from aelp_assets.bandits import guardrail_limits
from aelp_assets.launches import policy_profiles
from aelp_assets.metadata import asset_key, check, markdown_table, numbers, result, table_out
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, days_before, decision_days, morning_of, same_morning
from models.guardrails import STATE_SCHEMA
from models.policy import review
from resources.clock import Clock
from resources.code_version import module_hash, used_by
from resources.connectors.registry import Sources
from resources.control.arm_rules import ArmLimits
from resources.control.authority import Approver
from resources.control.governance import Governance
from resources.control.holds import HoldRule
from resources.control.launch_payloads import Launch
from resources.control.payloads import LeverTarget
from resources.control.records import OPEN, Record, Refused
from resources.control.signing import ApproverKeys
from resources.control.store import control_url, open_control_store
from resources.control.writer import Asked, Outcome, Writer
from resources.platform_writers.opening import PlatformWriters
from resources.settings import Environment, Settings, SettingsError
from resources.warehouse import tables
from resources.warehouse.schema import Table

_SHOWN = ["track", "entity_name", "type", "current_budget", "proposed_budget", "status", "proposal_id"]
_OF_THE_PLAN = [
    *(
        "launch_id",
        "track",
        "platform",
        "account_id",
        "creative_id",
        "entity_name",
        "lever_level",
        "currency",
    ),
    *("parent_campaign_id", "daily_budget", "lane", "link"),
    *("headline", "body", "call_to_action", "image_hash", "format"),
]
_CODE = module_hash(
    *used_by(__name__),
    "resources.control.governance",
    "resources.control.payloads",
    "resources.control.launch_payloads",
)
SUBMISSION = dg.AssetKey(["governance", "submission"])
LAUNCH_SUBMISSION = dg.AssetKey(["governance", "launch_submission"])
ARM_SUBMISSION = dg.AssetKey(["governance", "arm_submission"])
URGENT_STOPS = dg.AssetKey(["governance", "urgent_stops"])
_EXTERNAL_EDITS = asset_key(str(tables.EXTERNAL_EDITS.name))
_SUBMISSIONS = (SUBMISSION, LAUNCH_SUBMISSION, ARM_SUBMISSION, URGENT_STOPS)
_PROPOSED, _APPROVED, _CHANGED = (
    asset_key(str(table.name)) for table in (tables.PROPOSALS, tables.APPROVALS, tables.CANARY_CHANGES)
)
# What leads to what: put before people, signed, changed, sent. One mirror reads them all at once.
_LED_BY = {
    "proposals": {*_SUBMISSIONS, _EXTERNAL_EDITS},
    "approvals": {_PROPOSED},
    "canary_changes": {_PROPOSED, _APPROVED},
    "canary_budgets_snapshot": {_PROPOSED, _CHANGED},
    "outbox": {_PROPOSED, _CHANGED},
    "apply_hold_assignments": {_PROPOSED, _APPROVED, _CHANGED},
}


def open_governance(environment: Environment, settings: Settings) -> Governance:
    """The decisions of this environment's control store, under the settings' guardrails and approvers.

    Raises:
        SettingsError: mode live by another clock than the system's, by which approvals would not run out.
    """
    if settings.governance.mode == "live" and os.environ.get("AELP_CLOCK"):
        raise SettingsError(
            "governance.mode is live: unset AELP_CLOCK, and use an AELP_HOME no simulated morning ran in. "
            "Approvals of real money run out by the real time."
        )
    return Governance(
        control_engine(environment),
        approvers=[
            Approver(approver.name, approver.daily_limit, simulated=approver.kind == "simulated")
            for approver in settings.governance.approvers
        ],
        limits=guardrail_limits(settings),
        keys=ApproverKeys(os.environ),
        mode=settings.governance.mode,
        valid_for=timedelta(hours=settings.governance.valid_hours),
        hold=HoldRule(settings.governance.hold_share, settings.governance.hold_days, settings.seed),
        arm_limits=ArmLimits(
            enable_probability=settings.arms.enable_probability,
            fast_fail_probability=settings.launches.test_lane.fast_fail_probability,
        ),
    )


def apply_changes(
    environment: Environment,
    settings: Settings,
    sources: Sources,
    asked: Asked | None = None,
    *,
    dry_run: bool = False,
) -> list[Outcome]:
    """Send what is prepared in the settings' mode, and tell what became of each; in shadow nothing is.

    Args:
        asked: which changes; None: all.
        dry_run: only tell what would be sent, and what would hold it back; no platform is asked.
    Raises:
        Refused: another writer is at work.
        SettingsError: the mode's condition does not hold (AELP_LIVE, endpoints on this machine).
    """
    governance = open_governance(environment, settings)
    is_live = os.environ.get("AELP_LIVE") == "1"
    with PlatformWriters(sources, governance.mode, is_live=is_live) as platforms:
        writer = Writer(control_engine(environment), governance, platforms, sources.clock.now)
        return writer.preview(asked) if dry_run else writer.apply(asked)


def control_engine(environment: Environment) -> sa.Engine:
    """The control store of this environment."""
    return open_control_store(control_url(environment.home, os.environ))


@dg.asset(
    key=SUBMISSION,
    ins={
        "bandit_decisions": dg.AssetIn(
            key=["gaelp_training", "bandit_decisions"], partition_mapping=same_morning
        ),
        "lever_states": dg.AssetIn(key=["ops", "lever_states"], partition_mapping=same_morning),
        # For the names of entities alone, which the morning's own snapshot may be the first to tell.
        "budget_levers": dg.AssetIn(
            key=["gaelp_training", "budget_levers"], partition_mapping=days_before(7, and_the_morning=True)
        ),
    },
    deps=[_EXTERNAL_EDITS],  # what people overtook is withdrawn before the morning's own is put forward
    group_name="governance",
    kinds={"sqlalchemy"},
    owners=CAMPAIGN_MANAGEMENT,
    freshness_policy=DECISION_FRESHNESS,
    partitions_def=decision_days,
    code_version=_CODE,
    pool=WAREHOUSE_POOL,
)
def submission(
    context: dg.AssetExecutionContext,
    bandit_decisions: pl.DataFrame,
    lever_states: pl.DataFrame,
    budget_levers: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """The morning's edits put before people; `aelp proposals` lists them, `aelp approve` decides."""
    morning = morning_of(context)
    now = clock.now()
    if morning < now.astimezone(settings.timezone).date():
        return dg.MaterializeResult(metadata={"new": 0, "left_out": "A past morning is put before nobody."})
    governance = open_governance(environment, settings)
    try:
        outcome = governance.propose(
            bandit_decisions,
            lever_states.select(STATE_SCHEMA.names()).cast(STATE_SCHEMA),
            lever_targets(budget_levers),
            as_of_date=morning,
            settings_hash=settings.content_hash,
            now=now,
        )
    except Refused as refused:
        raise dg.Failure(str(refused)) from None
    pending = [row for row in governance.proposals(now) if row["as_of_date"] == morning]
    shown = mirror(tables.PROPOSALS, pending)
    return dg.MaterializeResult(
        metadata={
            "preview": markdown_table(shown, columns=_SHOWN),
            "new": len(outcome.new),
            "unchanged": len(outcome.known),
            "superseded": len(outcome.superseded),
            "left_out": dg.MetadataValue.md("\n".join(f"- {said}" for said in outcome.left_out) or "none"),
        }
    )


@dg.asset(
    key=LAUNCH_SUBMISSION,
    ins={
        "launch_plans": dg.AssetIn(key=["gaelp_training", "launch_plans"], partition_mapping=same_morning),
        "creative_objects": dg.AssetIn(key=["gaelp_training", "creative_objects"]),
        "lever_states": dg.AssetIn(key=["ops", "lever_states"], partition_mapping=same_morning),
    },
    # Edits first: a launch is judged beside them.
    deps=[dg.AssetDep(SUBMISSION, partition_mapping=same_morning)],
    group_name="governance",
    kinds={"sqlalchemy"},
    owners=CAMPAIGN_MANAGEMENT,
    freshness_policy=DECISION_FRESHNESS,
    partitions_def=decision_days,
    code_version=_CODE,
    pool=WAREHOUSE_POOL,
)
def launch_submission(
    context: dg.AssetExecutionContext,
    launch_plans: pl.DataFrame,
    creative_objects: pl.DataFrame,
    lever_states: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """The morning's launches put before people, each rendered as the calls that make it, paused."""
    morning, now = morning_of(context), clock.now()
    if morning < now.astimezone(settings.timezone).date():
        return dg.MaterializeResult(metadata={"new": 0, "left_out": "A past morning is put before nobody."})
    planned, blocked = reviewed_again(launches_of(launch_plans, creative_objects, settings), settings)
    outcome = open_governance(environment, settings).propose_launches(
        planned,
        lever_states.select(STATE_SCHEMA.names()).cast(STATE_SCHEMA),
        as_of_date=morning,
        settings_hash=settings.content_hash,
        now=now,
    )
    return dg.MaterializeResult(
        metadata={
            "new": len(outcome.new),
            "unchanged": len(outcome.known),
            "superseded": len(outcome.superseded),
            "left_out": dg.MetadataValue.md(
                "\n".join(f"- {said}" for said in [*blocked, *outcome.left_out]) or "none"
            ),
        }
    )


def reviewed_again(launches: Sequence[Launch], settings: Settings) -> tuple[list[Launch], list[str]]:
    """Launches whose words still pass their track's policy, and what blocks the others.

    Creatives may be restated between the review and this run, and settings edited: what is reviewed is what
    is rendered.
    """
    profiles = policy_profiles(settings)
    passed, blocked = [], []
    for launch in launches:
        profile = profiles.get(launch.track)  # of no track: that it may not be launched is told elsewhere
        flags = review(vars(launch), profile, launch.audiences) if profile else []
        rules = [flag.rule for flag in flags if flag.severity == "blocks"]
        if rules:
            blocked.append(f"{launch.launch_id}: the policy now blocks it ({', '.join(rules)}); decide again")
        else:
            passed.append(launch)
    return passed, blocked


def launches_of(plans: pl.DataFrame, creatives: pl.DataFrame, settings: Settings) -> list[Launch]:
    """The plan's launches with the texts, images and identities their platforms ask for; no advisory ones."""
    key = ["platform", "account_id", "creative_id"]
    shown = creatives.select(*key, "headline", "body", "call_to_action", "image_hash", "format")
    rows = plans.filter(~pl.col("advisory")).join(shown, on=key, how="left", maintain_order="left")
    rules = settings.launches
    return [
        Launch(
            **{name: row[name] for name in _OF_THE_PLAN},
            placements=tuple(json.loads(row["placements"])),
            starts_at=row["starts_at"].astimezone(settings.timezone).isoformat(),
            page_id=rules.meta[row["account_id"]].page_id if row["account_id"] in rules.meta else None,
            pixel_id=rules.meta[row["account_id"]].pixel_id if row["account_id"] in rules.meta else None,
            countries=rules.countries,
            ages=rules.ages,
            audiences=rules.audiences.get(row["track"], ()),
        )
        for row in rows.iter_rows(named=True)
    ]


def lever_targets(budget_levers: pl.DataFrame) -> dict[tuple[str, str, str], LeverTarget]:
    """The entity behind each lever of the newest snapshot, as its platform names it; not of declared ones."""
    newest = pl.col("date").max().over("platform", "account_id")
    current = budget_levers.filter(pl.col("lever_source") == "platform", pl.col("date") == newest)
    return {
        (row["platform"], row["account_id"], row["lever_id"]): LeverTarget(
            platform=row["platform"],
            account_id=row["account_id"],
            lever_id=row["lever_id"],
            lever_level=row["lever_level"],
            entity_id=row["entity_id"],
            entity_name=row["entity_name"] or row["entity_id"],
            currency=row["currency"],
            budget_id=row["budget_id"],
        )
        for row in current.iter_rows(named=True)
    }


@dg.multi_asset(
    name="governance_mirror",
    deps=[*_SUBMISSIONS, _EXTERNAL_EDITS],
    outs={
        table.name.table: table_out(str(table.name), CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS, _CODE)
        for table in tables.GOVERNANCE_TABLES
    },
    internal_asset_deps=_LED_BY,
    check_specs=[
        dg.AssetCheckSpec(
            f"{table.name.table}_grain",
            asset=asset_key(str(table.name)),
            description=f"One row per {', '.join(table.grain)}.",
        )
        for table in tables.GOVERNANCE_TABLES
    ],
    group_name="governance",
    pool=WAREHOUSE_POOL,
)
def governance_mirror(
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> Iterator[dg.MaterializeResult]:
    """The control store as analysts and lineage see it; decisions are made there, never here."""
    governance = open_governance(environment, settings)
    changes = governance.changes()
    calls = [{**change, "status": change["outbox_status"]} for change in changes]
    frames = {
        "proposals": governance.proposals(clock.now()),
        "approvals": governance.approvals(),
        "canary_changes": changes,
        "canary_budgets_snapshot": snapshots_of(changes),
        "outbox": calls,
        "apply_hold_assignments": governance.assignments(),
    }
    for table in tables.GOVERNANCE_TABLES:
        rows = mirror(table, frames[table.name.table])
        waiting = rows.filter(pl.col("status").is_in(OPEN)).height if table is tables.PROPOSALS else None
        yield result(rows, checks=[_each_once(table, rows)], key=str(table.name), **numbers(waiting=waiting))


def snapshots_of(changes: Sequence[Record]) -> list[dict[str, Any]]:
    """What each change started from and led to; an arm has no budget, and 0 stands for that."""
    return [
        {**change, "moment": moment, "budget": "0", **json.loads(change[moment])}
        for change in changes
        for moment in ("before", "after")
    ]


def _each_once(table: Table, rows: pl.DataFrame) -> dg.AssetCheckResult:
    twice = rows.filter(rows.select(table.grain).is_duplicated())
    return check(
        f"{table.name.table}_grain",
        twice.is_empty(),
        f"{twice.height} rows of the control store share {', '.join(table.grain)}.",
        str(table.name),
    )


def mirror(table: Table, rows: Any) -> pl.DataFrame:
    """Rows of the control store in a table's columns: money out of text, moments out of seconds."""
    kinds: dict[str, Any] = {"STRING": pl.String, "INT64": pl.Int64, "DATE": pl.Date}
    columns = {}
    for column in table.columns:
        values = [row.get(column.name) for row in rows]
        if column.type == "TIMESTAMP":
            moments = [None if v is None else datetime.fromtimestamp(v, UTC) for v in values]
            columns[column.name] = pl.Series(moments, dtype=pl.Datetime("us", "UTC"))
        elif column.type == "FLOAT64":
            columns[column.name] = pl.Series(values, dtype=pl.Float64)
        elif column.type == "NUMERIC":
            columns[column.name] = pl.Series(values, dtype=pl.String).cast(pl.Decimal(38, 9))
        else:
            columns[column.name] = pl.Series(values, dtype=kinds[column.type])
    return pl.DataFrame(columns)
