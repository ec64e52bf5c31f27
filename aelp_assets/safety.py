"""What a person must hear of, and telling them.

Here: events from this review, the last decisions and the control store; channels opened and asked. Not here:
what makes an event (`models.monitoring.safety`), the channels themselves (`resources.notifier`).
"""

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import polars as pl

from aelp_assets.governance import mirror, open_governance
from aelp_assets.metadata import FRAME, asset_key, check, result, table_metadata
from aelp_assets.monitoring import NEWEST_BACKTEST, newest, of_this_review, with_signups
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, REVIEW_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, days_before, decision_days, morning_of
from models.monitoring import safety
from resources.clock import Clock
from resources.code_version import module_hash, used_by
from resources.control.records import FAILED, Record
from resources.control.store import control_url, open_control_store
from resources.notifier import Message, Notifier, open_channels
from resources.settings import Environment, Settings
from resources.warehouse import tables

_ACCOUNT = ["platform", "account_id"]
_MESSAGE = ["event_id", "severity", "sentence", "remedy"]
_AS_MEANT = ("withdrawn", "held")
_RECENT = days_before(1, and_the_morning=True)
_WEEKLY_DAYS = 6  # what is found on Tuesdays is told until the next


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "safety_events"],
    ins={
        # Yesterday's decisions too: the review at seven comes before this morning's.
        "bandit_decisions": dg.AssetIn(key=["gaelp_training", "bandit_decisions"], partition_mapping=_RECENT),
        # Mornings without a verdict are bridged: what an account was before is its newest one.
        "decision_accounts": dg.AssetIn(
            key=["ops", "decision_accounts"],
            partition_mapping=days_before(3, and_the_morning=True),
            metadata={"columns": ["as_of_date", *_ACCOUNT, "eligible", "reason"]},
        ),
        "lever_states": dg.AssetIn(key=["ops", "lever_states"], partition_mapping=_RECENT),
        "int_lever_daily": dg.AssetIn(
            key=["intermediate", "int_lever_daily"], partition_mapping=days_before(2)
        ),
        "budget_levers": dg.AssetIn(
            key=["gaelp_training", "budget_levers"], partition_mapping=days_before(2)
        ),
        "forecast_accuracy": NEWEST_BACKTEST,
        "forecast_drift": of_this_review("forecast_drift"),
        "reconciliations": of_this_review("reconciliations"),
        "creative_drift": dg.AssetIn(
            key=["gaelp_training", "creative_drift"],
            partition_mapping=days_before(_WEEKLY_DAYS, and_the_morning=True),
        ),
        "spend_alarms": dg.AssetIn(
            key=["ops", "spend_alarms"], partition_mapping=days_before(2, and_the_morning=True)
        ),
        "pacing": dg.AssetIn(
            key=["ops", "pacing"],
            partition_mapping=_RECENT,
            metadata={"columns": ["date", *_ACCOUNT, "hour", "reading", "reading_reason"]},
        ),
    },
    deps=[asset_key(str(tables.EXTERNAL_EDITS.name))],  # it withdraws proposals in the control store
    check_specs=[
        dg.AssetCheckSpec(
            "nothing_critical",
            asset=asset_key("gaelp_training.safety_events"),
            description="Nothing happened that a person must act on today.",
        )
    ],
    group_name="monitoring",
    kinds={"polars"},
    owners=CAMPAIGN_MANAGEMENT,
    partitions_def=decision_days,
    freshness_policy=REVIEW_FRESHNESS,
    metadata=table_metadata("gaelp_training.safety_events"),
    code_version=module_hash(*used_by(__name__)),
    pool=WAREHOUSE_POOL,
)
def safety_events(
    context: dg.AssetExecutionContext,
    bandit_decisions: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    lever_states: pl.DataFrame,
    int_lever_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    forecast_accuracy: pl.DataFrame,
    forecast_drift: pl.DataFrame,
    reconciliations: pl.DataFrame,
    creative_drift: pl.DataFrame,
    spend_alarms: pl.DataFrame,
    pacing: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """What a person must hear of this morning: stops, refusals, lost accounts, drift, money, undone work."""
    morning = morning_of(context)
    governance = open_governance(environment, settings)
    spent = with_signups(int_lever_daily, settings).select("date", *_ACCOUNT, "track", "lever_id", "cost")
    # A declared budget is the mean of recent spend: no limit that a day could break.
    is_limit = (pl.col("lever_source") == "platform") & (pl.col("budget_type") == "daily")
    budgets = budget_levers.filter(is_limit).select(
        "date", *_ACCOUNT, "lever_id", "budget_id", pl.col("current_budget").cast(pl.Float64)
    )
    told_by_the_hour = spend_alarms.select("date", *_ACCOUNT, "lever_id").unique()
    changes = governance.changes()
    rows = safety.collect(
        [
            *safety.stops_proposed(bandit_decisions),
            *safety.kill_switch_pulled(_pulls(governance.kill_switch_log(), morning, settings)),
            *safety.decisions_refused(lever_states, bandit_decisions),
            *safety.changes_failed(_failures(changes, morning, settings)),
            *safety.changes_rolled_back(_rollbacks(changes, morning, settings)),
            *safety.proposals_overtaken(_overtaken(governance.proposals(clock.now()), morning)),
            *safety.spend_alarms(spend_alarms),
            *safety.spend_unread(pacing),
            *safety.accounts_set_aside(decision_accounts),
            *safety.drift_alarms(forecast_drift, as_of_date=morning),
            *safety.creative_drift_alarms(newest(creative_drift)),
            *safety.reconciliations_broken(reconciliations, as_of_date=morning),
            *safety.coverage_broken(newest(forecast_accuracy)),
            *safety.overspent(
                on_their_budgets(spent, budgets).join(
                    told_by_the_hour, on=["date", *_ACCOUNT, "lever_id"], how="anti"
                ),
                overdelivery=settings.guardrails.overdelivery,
            ),
        ],
        as_of_date=morning,
    )
    critical = rows.filter(pl.col("severity") == "critical")
    return result(
        rows,
        None,
        [
            check(
                "nothing_critical",
                critical.is_empty(),
                f"{critical.height} critical events; the first: {critical['sentence'].head(1).to_list()}",
                "gaelp_training.safety_events",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        ["severity", "kind", "track", "sentence", "remedy"],
        critical=critical.height,
    )


def on_their_budgets(spent: pl.DataFrame, budgets: pl.DataFrame) -> pl.DataFrame:
    """Each lever's day with what its budget paid for: of a shared one, what all levers spent that draw on it.

    Args:
        spent: date, platform, account_id, lever_id, cost and what else is kept.
        budgets: date, platform, account_id, lever_id, budget_id (null: the lever's own), current_budget.

    Returns:
        spent, with current_budget and sharing, how many levers draw on it.
    """
    of_budget = ["date", *_ACCOUNT, pl.coalesce("budget_id", "lever_id")]
    counted = budgets.with_columns(pl.len().over(of_budget).alias("sharing"))
    drawn = spent.join(counted, on=["date", *_ACCOUNT, "lever_id"])
    return drawn.with_columns(pl.col("cost").sum().over(of_budget)).drop("budget_id")


def _is_recent(seconds: float, morning: date, settings: Settings) -> date | None:
    """The business day of a moment, if it is this morning's or the one before."""
    day = datetime.fromtimestamp(seconds, UTC).astimezone(settings.timezone).date()
    return day if morning - timedelta(days=1) <= day <= morning else None


def _pulls(log: Iterable[Record], morning: date, settings: Settings) -> list[tuple[date, str, str]]:
    """Recent pulls of the kill switch: day, moment, and who did it why."""
    found = []
    for row in log:
        if row["is_on"] and (day := _is_recent(row["at"], morning, settings)) is not None:
            said = f"{row['person']} stopped everything: {row['reason']}"
            found.append((day, f"{row['at']:.0f}", said))
    return found


def _failures(
    feed: Iterable[Record], morning: date, settings: Settings
) -> list[tuple[date, str, str, str, str]]:
    """Recent changes that a platform or a rule refused; what a person took back or the draw holds is none."""
    found = []
    for row in feed:
        if row["status"] not in FAILED or row["status"] in _AS_MEANT or row["finished_at"] is None:
            continue
        if (day := _is_recent(row["finished_at"], morning, settings)) is not None:
            subject = f"{row['platform']}/{row['account_id']}/{row['lever_id']}"
            found.append((day, row["change_id"], subject, row["status"], row["message"] or "no reason given"))
    return found


def _rollbacks(feed: Iterable[Record], morning: date, settings: Settings) -> list[tuple[date, str, str, str]]:
    """Recent rollbacks with who undid what and why; one that failed is told of as that."""
    found = []
    for row in feed:
        if row["kind"] != "rollback" or row["status"] in FAILED:
            continue
        if (day := _is_recent(row["created_at"], morning, settings)) is not None:
            subject = f"{row['platform']}/{row['account_id']}/{row['lever_id']}"
            said = f"{row['person']} rolled back change {row['undoes']} of {subject}: {row['reason']}"
            found.append((day, row["change_id"], subject, said))
    return found


def _overtaken(proposals: Iterable[Record], morning: date) -> list[tuple[date, str, str, str, str]]:
    """Proposals of this morning or the one before that an edit on the platform withdrew."""
    found = []
    for row in proposals:
        if row["status"] == "withdrawn" and morning - timedelta(days=1) <= row["as_of_date"] <= morning:
            subject = f"{row['platform']}/{row['account_id']}/{row['lever_id']}"
            found.append((row["as_of_date"], row["proposal_id"], row["track"], subject, row["message"]))
    return found


@dg.asset(
    dagster_type=FRAME,
    key=["ops", "notifications"],
    ins={"safety_events": of_this_review("safety_events")},
    check_specs=[
        dg.AssetCheckSpec(
            "everybody_was_told",
            asset=asset_key("ops.notifications"),
            description="No event waits for a channel that did not take it, or missed a recipient.",
        )
    ],
    group_name="monitoring",
    kinds={"polars"},
    owners=CAMPAIGN_MANAGEMENT,
    partitions_def=decision_days,
    freshness_policy=REVIEW_FRESHNESS,
    metadata=table_metadata("ops.notifications"),
    code_version=module_hash(*used_by(__name__), "resources.notifier"),
    pool=WAREHOUSE_POOL,
)
def notifications(
    context: dg.AssetExecutionContext,
    safety_events: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """This morning's events told once through every channel, and what waits from before tried again."""
    engine = open_control_store(control_url(environment.home, os.environ))
    channels, faults = open_channels(os.environ, context.log)
    notifier = Notifier(engine, channels, clock.now)
    is_past = morning_of(context) < clock.now().astimezone(settings.timezone).date()
    if not is_past:  # a review repeated for an old morning is told to nobody
        notifier.announce([Message(**row) for row in safety_events.select(_MESSAGE).iter_rows(named=True)])
    told = notifier.deliver()
    rows = mirror(tables.NOTIFICATIONS, notifier.told())  # all of them: the store knows no morning
    untold = notifier.untold()
    faults += sorted({row["message"] for row in untold if row["message"]})
    return result(
        rows,
        None,
        [
            check(
                "everybody_was_told",
                not untold and not faults,
                f"{len(untold)} notifications did not reach everybody. {'; '.join(faults)}",
                "ops.notifications",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        ["channel", "severity", "sentence", "status", "attempts", "message"],
        told_now=told,
    )
