"""Spend within a day: its course per lever, levers that pass their worst case, the stop put before people.

Here: today's landed spend of every platform with budgets, calling `models.spend_readings` and
`models.pacing`, proposing. Not here: the mathematics, and stopping anything: an urgent stop waits for an
approver like any other proposal.
"""

import hashlib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg
import polars as pl

from aelp_assets.external_edits import values_in_force
from aelp_assets.governance import SUBMISSION, URGENT_STOPS, lever_targets, open_governance
from aelp_assets.metadata import asset_key, check, markdown_table, result, table_out
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, days_before, decision_days, morning_of, same_morning
from models import pacing as spend_pacing
from models import spend_readings
from models.guardrails import STATE_SCHEMA
from resources.clock import Clock
from resources.code_version import module_hash, used_by
from resources.control.payloads import LeverValue
from resources.control.records import LEVER, LeverKey, Refused, key_of
from resources.settings import Environment, Settings
from resources.warehouse.tables import PACING, PACING_TABLES

HISTORY_DAYS = 56
COVERED = ("meta", "google_ads", "tiktok", "linkedin")  # whose spend is read within the day
_DAY_TOTALS = ("linkedin",)  # which reports by nothing finer than the day
_WHOLE_DAY = "__none__"
_CODE = module_hash(*used_by(__name__))
_ACCOUNT = ["platform", "account_id"]
_BUDGET = pl.coalesce("budget_id", "lever_id")  # Google's campaigns may share one, which is then an object
_SHOWN = ["track", "lever_id", "hour", "budget", "worst_case", "expected_spend", "spend", "day_end_p50"]
_ALARMS_SHOWN = ["track", "lever_id", "kind", "hour", "spend", "worst_case", "p_above_worst_case"]


@dg.multi_asset(
    name="pacing",
    ins={
        "stg_meta__hourly_spend": dg.AssetIn(key=["staging", "stg_meta__hourly_spend"]),
        "stg_platforms__intraday_spend": dg.AssetIn(key=["staging", "stg_platforms__intraday_spend"]),
        "stg_ops__spend_pulls": dg.AssetIn(key=["staging", "stg_ops__spend_pulls"]),
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
            "todays_spend_is_readable",
            asset=asset_key(str(PACING.name)),
            description=f"Today's spend was read, and not long ago. Covered: {', '.join(COVERED)}.",
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
    stg_platforms__intraday_spend: pl.DataFrame,
    stg_ops__spend_pulls: pl.DataFrame,
    stg_ops__accounts: pl.DataFrame,
    ads_campaign_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> tuple[dg.MaterializeResult, dg.MaterializeResult]:
    """The plan of the day beside what was landed of it, and the levers that pass their worst case.

    A lever is judged by its budget: where several campaigns share one, each row says what all of them spend.
    """
    day, levers = morning_of(context), running_levers(budget_levers)
    delays = spend_readings.Delays(
        {str(name): hours for name, hours in settings.pacing.reporting_delay_hours.items()}, 0.0, _DAY_TOTALS
    )
    spend = spend_within_days(stg_meta__hourly_spend, stg_platforms__intraday_spend)
    accounts = levers.select(_ACCOUNT).unique().join(stg_ops__accounts, on=_ACCOUNT, how="left")
    look = spend_readings.Look(day, clock.now(), settings.timezone)
    readings = spend_readings.readings(accounts, stg_ops__spend_pulls, spend, look, delays)
    zones = {row[:2]: row[2] for row in accounts.select(*_ACCOUNT, "timezone").iter_rows()}
    plan = spend_pacing.pacing_plan(
        levers.select(*LEVER, "track", pl.col("current_budget").alias("budget")),
        of_levers(of_the_day(spend, readings), newest_levers(budget_levers)),
        readings,
        with_day_totals(
            spend_readings.past_hours(spend, stg_ops__spend_pulls, zones, delays), ads_campaign_daily
        ),
        overdelivery={str(name): above for name, above in settings.pacing.overdelivery.items()},
        other_overdelivery=settings.guardrails.overdelivery,
        delivery_mean=settings.forecast.delivery_mean,
    )
    found = spend_pacing.overspends(plan, settings.pacing.alarm_probability)
    alarms = described(found, day, newest_levers(budget_levers))
    planned = result(
        plan.select(pl.lit(day).alias("as_of_date"), pl.all()),
        checks=[_every_day_is_whole(plan), _todays_spend_is_readable(readings)],
        columns=_SHOWN,
        key=str(PACING.name),
        readings=markdown_table(
            readings.select(*_ACCOUNT, "date", "reading", "hours_over", "reading_reason")
        ),
    )
    alarmed = result(
        alarms,
        checks=[
            check(
                "nothing_overspends",
                alarms.is_empty(),
                "\n".join(alarms["reason"]),
                "ops.spend_alarms",
                {"platforms_covered": list(COVERED), "accounts_judged": _judged(readings).height},
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        columns=_ALARMS_SHOWN,
        key="ops.spend_alarms",
    )
    return planned, alarmed


def _every_day_is_whole(plan: pl.DataFrame) -> dg.AssetCheckResult:
    whole = plan.group_by(LEVER).agg(
        pl.len() == spend_pacing.HOURS, (pl.col("expected_share").max() - 1).abs()
    )
    broken = whole.filter(~pl.col("len") | (pl.col("expected_share") > 1e-9)).height
    told = {"levers": whole.height, "levers_read_today": _judged(plan)[LEVER].n_unique()}
    return check(
        "every_day_is_whole", not broken, f"{broken} levers have no whole day.", str(PACING.name), told
    )


def _todays_spend_is_readable(readings: pl.DataFrame) -> dg.AssetCheckResult:
    """Warns: where nobody can read what is spent, no alarm is no good news."""
    unread = readings.filter(pl.col("reading").is_in(spend_readings.PROBLEMS))
    return check(
        "todays_spend_is_readable",
        unread.is_empty(),
        "\n".join(unread["reading_reason"]),
        str(PACING.name),
        {
            "platforms_covered": list(COVERED),
            "accounts_by_reading": dict(readings["reading"].value_counts(sort=True).iter_rows()),
        },
        severity=dg.AssetCheckSeverity.WARN,
    )


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("reading").is_in(("read", "late")))


def spend_within_days(meta: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Landed spend of days that were not over, of all platforms alike.

    Args:
        meta: rows of `stg_meta__hourly_spend`, whose ad sets are others' ad groups.
        others: rows of `stg_platforms__intraday_spend`.

    Returns:
        platform, account_id, date, campaign_id, adgroup_id, hour (null: the day's single figure; -1: no
        number), spend (null: no number).
    """
    hour = pl.col("hour").cast(pl.Int64, strict=False).fill_null(-1)
    columns = ["date", "campaign_id", "adgroup_id", "hour", "spend"]
    return pl.concat(
        [
            rows.select(*_ACCOUNT, *columns).with_columns(
                pl.when(pl.col("hour") != _WHOLE_DAY).then(hour).alias("hour"),
                pl.col("spend").cast(pl.Float64),
            )
            for rows in (meta.rename({"adset_id": "adgroup_id"}), others)
        ]
    )


def of_the_day(spend: pl.DataFrame, readings: pl.DataFrame) -> pl.DataFrame:
    """Spend of the day each account is looked at, without accounts that cannot be read."""
    readable = readings.filter(pl.col("reading") != "not_readable")
    return spend.join(readable.select(*_ACCOUNT, "date"), on=[*_ACCOUNT, "date"], how="semi")


def newest_levers(budget_levers: pl.DataFrame) -> pl.DataFrame:
    """The platforms' own levers in each account's newest snapshot, paused ones too."""
    newest = pl.col("date") == pl.col("date").max().over(_ACCOUNT)
    return budget_levers.filter(newest, pl.col("lever_source") == "platform")


def running_levers(budget_levers: pl.DataFrame) -> pl.DataFrame:
    """Levers of the newest snapshot that spend a daily budget, be it their own or shared."""
    return newest_levers(budget_levers).filter(
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
    """Hourly spend on each lever's budget: an ad group's own, a campaign's, or of all that share one.

    Args:
        hourly: of `spend_within_days`.
        levers: of `newest_levers`; one that was paused since has spent of a shared budget, too.
    """
    entity = pl.when(pl.col("lever_level") == "campaign").then("campaign_id").otherwise("entity_id")
    named = levers.select(*LEVER, "lever_level", entity.alias("entity_id"))
    parts = [
        hourly.join(
            named.filter((pl.col("lever_level") == "campaign") == is_campaign),
            left_on=[*_ACCOUNT, column],
            right_on=[*_ACCOUNT, "entity_id"],
        ).select(*LEVER, "hour", "spend")
        for column, is_campaign in (("campaign_id", True), ("adgroup_id", False))
    ]
    budgets = levers.select(*LEVER, _BUDGET.alias("budget"))
    of_budgets = pl.concat(parts).join(budgets, on=LEVER).group_by(*_ACCOUNT, "budget", "hour")
    spent = of_budgets.agg(pl.col("spend").sum())
    return budgets.join(spent, on=[*_ACCOUNT, "budget"]).select(*LEVER, "hour", "spend")


def with_day_totals(hourly: pl.DataFrame, daily: pl.DataFrame) -> pl.DataFrame:
    """Accounts' hourly spend of past days beside the whole day's, which the daily report tells."""
    totals = daily.group_by(*_ACCOUNT, "date").agg(pl.col("cost").cast(pl.Float64).sum().alias("day_spend"))
    of_account = hourly.group_by(*_ACCOUNT, "date", "hour", "hours_over").agg(pl.col("spend").sum())
    return of_account.join(totals, on=[*_ACCOUNT, "date"]).sort(*_ACCOUNT, "date", "hour")


def described(found: pl.DataFrame, day: date, levers: pl.DataFrame) -> pl.DataFrame:
    """Alarms of a morning with their ids and a sentence each: what was read, when, and how late that is.

    Args:
        found: of `overspends`.
        levers: of `newest_levers`.
    """
    sharing = levers.select(*LEVER, pl.len().over(*_ACCOUNT, _BUDGET).alias("sharing"))
    found = found.join(sharing, on=LEVER, maintain_order="left")
    rows = list(found.iter_rows(named=True))
    names = ["|".join([str(row["date"]), *(row[part] for part in LEVER), row["kind"]]) for row in rows]
    ids = [hashlib.sha256(name.encode()).hexdigest()[:16] for name in names]
    return found.with_columns(
        pl.lit(day).alias("as_of_date"),
        pl.coalesce("spend", "spend_reported").alias("spend"),
        pl.when(pl.col("kind") == "spend_above_worst_case")
        .then(1.0)
        .otherwise("p_above_worst_case")
        .alias("p_above_worst_case"),
        pl.Series("alarm_id", ids, dtype=pl.String),
        pl.Series("reason", [_reason(row) for row in rows], dtype=pl.String),
    ).select([column.name for column in PACING_TABLES[1].columns])


def _reason(row: Mapping[str, Any]) -> str:
    until, most = (
        f"{row['hour'] + 1}:00",
        f"{row['worst_case']:,.2f}, the most the platform may spend on a day",
    )
    shared = f" that {row['sharing']} levers share" if row["sharing"] > 1 else ""
    budget = f"at a budget of {row['budget']:,.2f}{shared}"
    if row["kind"] == "day_end_above_worst_case":
        said = (
            f"after {row['spend']:,.2f} by {until} it ends at about {row['day_end_p50']:,.2f}; with "
            f"P = {row['p_above_worst_case']:.1%} above {most} {budget}"
        )
    elif row["spend"] is None:  # of an hour that is not settled yet
        said = f"at least {row['spend_reported']:,.2f} were spent by {until}, above {most} {budget}"
    else:
        said = f"{row['spend']:,.2f} were spent by {until}, above {most} {budget}"
    late = f"{row['platform']} reports up to {row['reporting_delay_hours']:g} h late"
    return f"{said} ({row['date']}, read at {row['read_at']:%H:%M} UTC; {late}: by now it may be more)"


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
    code_version=module_hash(
        *used_by(__name__), "resources.control.governance", "resources.control.payloads"
    ),
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
        levers: running ones, with the budget in force now. Switched on since that morning, they are paused
            in its states or not among them, and spend all the same.
    """
    newest = lever_states.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
    first = alarms.sort("hour", "kind").unique(LEVER, keep="first", maintain_order=True)
    alarmed = levers.join(first.select(*LEVER, "alarm_id", "reason"), on=LEVER)
    known = newest.select(STATE_SCHEMA.names()).cast(dict(STATE_SCHEMA.items()))
    # Nothing is known of them but their budgets, and so nothing but a stop is allowed.
    traits = [name for name in STATE_SCHEMA if name in levers.columns]
    unknown = alarmed.select(traits).join(known, on=LEVER, how="anti", nulls_equal=True)
    new = unknown.with_columns(has_lever=pl.lit(value=True), decision_eligible=pl.lit(value=False))
    told = alarmed.select(*LEVER, "alarm_id", "reason", pl.col("current_budget").alias("in_force"))
    is_alarmed = pl.col("alarm_id").is_not_null()
    states = (
        pl.concat([known, new.cast({name: STATE_SCHEMA[name] for name in new.columns})], how="diagonal")
        .join(told, on=LEVER, how="left")
        .with_columns(
            pl.coalesce("in_force", "current_budget").alias("current_budget"),
            pl.when(is_alarmed).then(pl.lit("active")).otherwise("status").alias("status"),
            is_alarmed.alias("overspends"),
        )
    )
    stops = states.filter("overspends", pl.col("has_lever")).select(
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
