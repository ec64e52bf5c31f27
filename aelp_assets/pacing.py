"""Spend within a day: its course per lever, levers that pass their worst case, the stop put before people.

Here: reading today's landed spend, calling `models.pacing`, proposing. Not here: the mathematics, and
stopping anything: an urgent stop waits for an approver like any other proposal.
"""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl

from aelp_assets.external_edits import values_in_force
from aelp_assets.governance import SUBMISSION, URGENT_STOPS, lever_targets, open_governance
from aelp_assets.metadata import asset_key, check, markdown_table, result, table_out
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, days_before, decision_days, morning_of, same_morning
from models import pacing as spend_pacing
from models.guardrails import STATE_SCHEMA
from resources.clock import Clock
from resources.code_version import module_hash
from resources.control.payloads import LeverValue
from resources.control.records import LEVER, LeverKey, Refused, key_of
from resources.settings import Environment, Settings
from resources.warehouse.tables import PACING, PACING_TABLES

HISTORY_DAYS = 56
_CODE = module_hash("models.pacing")
_ACCOUNT = ["platform", "account_id"]
_SHOWN = ["track", "lever_id", "hour", "budget", "worst_case", "expected_spend", "spend", "day_end_p50"]
_ALARMS_SHOWN = ["track", "lever_id", "kind", "hour", "spend", "worst_case", "p_above_worst_case"]


@dg.multi_asset(
    name="pacing",
    ins={
        "stg_meta__hourly_spend": dg.AssetIn(key=["staging", "stg_meta__hourly_spend"]),
        "stg_ops__accounts": dg.AssetIn(key=["staging", "stg_ops__accounts"]),
        "ads_campaign_daily": dg.AssetIn(
            key=["gaelp_training", "ads_campaign_daily"],
            partition_mapping=days_before(HISTORY_DAYS),
            metadata={"columns": ["date", *_ACCOUNT, "cost"]},
        ),
        "budget_levers": dg.AssetIn(
            key=["gaelp_training", "budget_levers"], partition_mapping=days_before(7, and_the_morning=True)
        ),
    },
    outs={
        table.name.table: table_out(str(table.name), CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS, _CODE)
        for table in PACING_TABLES
    },
    check_specs=[
        dg.AssetCheckSpec(
            "every_day_is_whole",
            asset=asset_key(str(PACING.name)),
            description="24 hours per lever, and expected shares that rise to 1.",
        ),
        dg.AssetCheckSpec(
            "nothing_overspends",
            asset=asset_key("ops.spend_alarms"),
            description="No lever passes what its platform may spend on a day.",
        ),
    ],
    group_name="pacing",
    partitions_def=decision_days,
    pool=WAREHOUSE_POOL,
)
def pacing(
    context: dg.AssetExecutionContext,
    stg_meta__hourly_spend: pl.DataFrame,
    stg_ops__accounts: pl.DataFrame,
    ads_campaign_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> tuple[dg.MaterializeResult, dg.MaterializeResult]:
    """The plan of the day beside what was landed of it, and the levers that pass their worst case."""
    day = morning_of(context)
    hourly = hours_that_are_over(stg_meta__hourly_spend, stg_ops__accounts)
    levers = running_levers(budget_levers)
    plan = spend_pacing.pacing_plan(
        levers.select(*LEVER, "track", pl.col("current_budget").alias("budget")),
        of_levers(hourly.filter(pl.col("date") == day), levers),
        with_day_totals(hourly.filter(pl.col("date") < day), ads_campaign_daily),
        day=day,
        overdelivery={str(name): above for name, above in settings.pacing.overdelivery.items()},
        other_overdelivery=settings.guardrails.overdelivery,
        delivery_mean=settings.forecast.delivery_mean,
    )
    found = spend_pacing.overspends(plan, settings.pacing.alarm_probability)
    alarms = described(found, day)
    whole = plan.group_by(LEVER).agg(
        pl.len() == spend_pacing.HOURS, (pl.col("expected_share").max() - 1).abs()
    )
    broken = whole.filter(~pl.col("len") | (pl.col("expected_share") > 1e-9)).height
    planned = result(
        plan.select(pl.lit(day).alias("as_of_date"), pl.all()),
        checks=[
            check(
                "every_day_is_whole",
                not broken,
                f"{broken} levers have no whole day.",
                str(PACING.name),
                {
                    "levers": whole.height,
                    "levers_read_today": plan.filter(pl.col("hour") == 0)["spend"].count(),
                },
            )
        ],
        columns=_SHOWN,
        key=str(PACING.name),
    )
    alarmed = result(
        alarms,
        checks=[
            check(
                "nothing_overspends",
                alarms.is_empty(),
                "\n".join(alarms["reason"]),
                "ops.spend_alarms",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        columns=_ALARMS_SHOWN,
        key="ops.spend_alarms",
    )
    return planned, alarmed


def hours_that_are_over(hourly: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Landed spend by hour, without the hour in which a day was read, and how many hours were over then."""
    known = accounts.select(*_ACCOUNT, "timezone").drop_nulls()
    zones = {(platform, account): zone for platform, account, zone in known.iter_rows()}
    reads = hourly.group_by(*_ACCOUNT, "date").agg(pl.col("_ingested_at").max().alias("read_at"))
    over = [
        _hours_over(row["date"], row["read_at"], zones.get((row["platform"], row["account_id"]), "UTC"))
        for row in reads.iter_rows(named=True)
    ]
    return (
        hourly.join(reads.with_columns(pl.Series("hours_over", over, dtype=pl.Int64)), on=[*_ACCOUNT, "date"])
        .with_columns(pl.col("hour").cast(pl.Int64), pl.col("spend").cast(pl.Float64).fill_null(0.0))
        .filter(pl.col("hour") < pl.col("hours_over"))
        .select(*_ACCOUNT, "date", "campaign_id", "adset_id", "hour", "spend", "hours_over")
    )


def _hours_over(day: date, read_at: datetime, zone: str) -> int:
    local = read_at.astimezone(ZoneInfo(zone))
    return local.hour if local.date() == day else spend_pacing.HOURS


def running_levers(budget_levers: pl.DataFrame) -> pl.DataFrame:
    """Levers of the newest snapshot that spend a daily budget of their own."""
    newest = pl.col("date") == pl.col("date").max().over(_ACCOUNT)
    return budget_levers.filter(
        newest,
        pl.col("lever_source") == "platform",
        pl.col("status") == "active",
        pl.col("budget_type") == "daily",
        pl.col("current_budget") > 0,
    )


def with_own_changes(levers: pl.DataFrame, in_force: Mapping[LeverKey, LeverValue]) -> pl.DataFrame:
    """Running levers at the budgets in force, without those that were paused since the snapshot.

    A stop is sent only where the platform still says what it starts from: after a raise of ours, which the
    snapshot does not show for hours, that is the raised budget.

    Args:
        levers: of `running_levers`.
        in_force: of `external_edits.values_in_force`; levers it does not name keep the snapshot's.
    """
    rows = levers.select(*LEVER, "current_budget").iter_rows(named=True)
    known = [in_force.get(key_of(row), LeverValue(row["current_budget"], "active")) for row in rows]
    budgets = pl.Series("current_budget", [value.budget for value in known], dtype=pl.Decimal(38, 9))
    running = pl.Series([value.status == "active" for value in known], dtype=pl.Boolean)
    return levers.with_columns(budgets).filter(running)


def of_levers(hourly: pl.DataFrame, levers: pl.DataFrame) -> pl.DataFrame:
    """Hourly spend by lever: an ad set's own, or of all ad sets of a campaign that carries the budget."""
    entity = pl.when(pl.col("lever_level") == "campaign").then("campaign_id").otherwise("entity_id")
    named = levers.select(*LEVER, "lever_level", entity.alias("entity_id"))
    parts = [
        hourly.join(
            named.filter((pl.col("lever_level") == "campaign") == is_campaign),
            left_on=[*_ACCOUNT, column],
            right_on=[*_ACCOUNT, "entity_id"],
        ).select(*LEVER, "hour", "spend", "hours_over")
        for column, is_campaign in (("campaign_id", True), ("adset_id", False))
    ]
    return pl.concat(parts).group_by(*LEVER, "hour", "hours_over").agg(pl.col("spend").sum())


def with_day_totals(hourly: pl.DataFrame, daily: pl.DataFrame) -> pl.DataFrame:
    """Accounts' hourly spend of past days beside the whole day's, which the daily report tells."""
    totals = daily.group_by(*_ACCOUNT, "date").agg(pl.col("cost").cast(pl.Float64).sum().alias("day_spend"))
    of_account = hourly.group_by(*_ACCOUNT, "date", "hour", "hours_over").agg(pl.col("spend").sum())
    return of_account.join(totals, on=[*_ACCOUNT, "date"]).sort(*_ACCOUNT, "date", "hour")


def described(found: pl.DataFrame, day: date) -> pl.DataFrame:
    """Alarms with their ids and a sentence each."""
    most = "{worst_case:,.2f}, the most the platform may spend on a day at a budget of {budget:,.2f}"
    said = {
        "spend_above_worst_case": "{spend:,.2f} were spent by {hour}:00, above " + most,
        "day_end_above_worst_case": "after {spend:,.2f} by {hour}:00 it ends at about {day_end_p50:,.2f}; "
        "with P = {p_above_worst_case:.1%} above " + most,
    }
    rows = list(found.iter_rows(named=True))
    names = ["|".join([str(day), *(row[part] for part in LEVER), row["kind"]]) for row in rows]
    ids = [hashlib.sha256(name.encode()).hexdigest()[:16] for name in names]
    reasons = [said[row["kind"]].format_map({**row, "hour": row["hour"] + 1}) for row in rows]
    return found.with_columns(
        pl.lit(day).alias("as_of_date"),
        pl.Series("alarm_id", ids, dtype=pl.String),
        pl.Series("reason", reasons, dtype=pl.String),
    ).select([column.name for column in PACING_TABLES[1].columns])


@dg.asset(
    key=URGENT_STOPS,
    ins={
        "spend_alarms": dg.AssetIn(key=["ops", "spend_alarms"], partition_mapping=same_morning),
        # Before nine the newest morning is yesterday's.
        "lever_states": dg.AssetIn(
            key=["ops", "lever_states"], partition_mapping=days_before(1, and_the_morning=True)
        ),
        "budget_levers": dg.AssetIn(
            key=["gaelp_training", "budget_levers"], partition_mapping=days_before(7, and_the_morning=True)
        ),
        "stg_levers__levers": dg.AssetIn(key=["staging", "stg_levers__levers"]),
    },
    deps=[SUBMISSION],  # the morning's own proposals come first, so that a stop takes their place
    group_name="governance",
    kinds={"sqlalchemy"},
    owners=CAMPAIGN_MANAGEMENT,
    freshness_policy=DECISION_FRESHNESS,
    partitions_def=decision_days,
    code_version=module_hash("resources.control.governance", "resources.control.payloads"),
    pool=WAREHOUSE_POOL,
)
def urgent_stops(
    context: dg.AssetExecutionContext,
    spend_alarms: pl.DataFrame,
    lever_states: pl.DataFrame,
    budget_levers: pl.DataFrame,
    stg_levers__levers: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """A stop per lever that passes its worst case today, put before people; nothing is stopped here."""
    day, now = morning_of(context), clock.now()
    if day < now.astimezone(settings.timezone).date():
        return dg.MaterializeResult(metadata={"new": 0, "left_out": "A past day is put before nobody."})
    governance = open_governance(environment, settings)
    in_force = values_in_force(stg_levers__levers, governance.changes())
    running = with_own_changes(running_levers(budget_levers), in_force)
    states, stops = stops_for(spend_alarms, lever_states, running)
    if stops.is_empty():
        return dg.MaterializeResult(metadata={"new": 0, "left_out": "none"})
    if (killed := governance.killed()) is not None:  # it outranks a stop: nothing is proposed until it is off
        return dg.MaterializeResult(metadata={"new": 0, "left_out": killed})
    try:
        outcome = governance.propose(
            stops,
            states,
            lever_targets(budget_levers),
            as_of_date=day,
            settings_hash=settings.content_hash,
            now=now,
        )
    except Refused as refused:
        raise dg.Failure(str(refused)) from None
    return dg.MaterializeResult(
        metadata={
            "preview": markdown_table(stops.select("track", "lever_id", "current_budget", "reason")),
            "new": len(outcome.new),
            "unchanged": len(outcome.known),
            "superseded": len(outcome.superseded),
            "left_out": dg.MetadataValue.md("\n".join(f"- {said}" for said in outcome.left_out) or "none"),
        }
    )


def stops_for(
    alarms: pl.DataFrame, lever_states: pl.DataFrame, levers: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The newest lever states with today's overspending in them, and a stop for each lever that does.

    Args:
        alarms: rows of `ops.spend_alarms`.
        lever_states: rows of `ops.lever_states`; the newest morning counts.
        levers: running ones, with the budget in force now.
    """
    newest = lever_states.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
    in_force = levers.select(*LEVER, pl.col("current_budget").alias("in_force"))
    first = alarms.sort("hour", "kind").unique(LEVER, keep="first", maintain_order=True)
    alarmed = first.join(in_force, on=LEVER).select(*LEVER, "alarm_id", "reason", "in_force")
    states = (
        newest.select(STATE_SCHEMA.names())
        .cast(dict(STATE_SCHEMA.items()))
        .join(alarmed, on=LEVER, how="left")
        .with_columns(
            pl.col("in_force").fill_null(pl.col("current_budget")).alias("current_budget"),
            pl.col("alarm_id").is_not_null().alias("overspends"),
        )
    )
    stops = states.filter("overspends", pl.col("status") == "active", pl.col("has_lever")).select(
        *LEVER,
        "track",
        pl.lit("stop").alias("type"),
        (pl.col("lever_source") != "platform").alias("advisory"),
        pl.col("alarm_id").alias("decision_id"),
        ("Stop, now at " + pl.col("current_budget").cast(pl.Decimal(38, 2)).cast(pl.String)
         + " a day: " + pl.col("reason") + ".").alias("reason"),
        "current_budget",
        pl.lit(Decimal(0)).cast(pl.Decimal(38, 9)).alias("proposed_budget"),
    )  # fmt: skip
    return states.select(*STATE_SCHEMA.names(), "overspends"), stops
