"""Live sources as assets: a pull of what is due, days by request, and the days of raw tables they changed.

Here: plan → fetch → publish as ops, a fetch per account. Not here: how a platform is called
(`resources.connectors`), when (`sensors/`).
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import dagster as dg
import polars as pl

from aelp_assets.alerts import event_id, tell
from aelp_assets.ingest.file_drop import mark_landed
from aelp_assets.metadata import asset_key, markdown_table, table_metadata
from aelp_assets.ownership import DATA_ENGINEERING, DATA_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, report_days
from aelp_assets.status import source_status
from resources.clock import Clock
from resources.code_version import module_hash
from resources.connectors.fetching import FetchedAccount
from resources.connectors.planning import Span
from resources.connectors.publishing import AccountPublisher, PublishedReport
from resources.connectors.pulling import Skipped
from resources.connectors.registry import Sources
from resources.control.ingestion import Stop
from resources.landing.ledger import Ledger, read_ledger
from resources.notifier import Message
from resources.settings import Environment, Settings, SourceName
from resources.warehouse import tables
from resources.warehouse.interface import Warehouse
from resources.warehouse.retrying import tried_again_while_locked
from resources.warehouse.schema import Table

_BETWEEN_STEPS = "step_io_manager"
# Of the steps that are ready: what an account brought is landed before the next one is asked. A run killed
# for its length loses that one account, and no account waits until all the others are read.
_FIRST = {"dagster/priority": "1"}

_COMMON: Mapping[str, Any] = {
    "group_name": "ingest",
    "kinds": {"api", "polars"},
    "owners": DATA_ENGINEERING,
    "metadata": table_metadata("ops.source_pulls"),
}

# What pulls every source, and what speaks to it where that is no module of its name.
_PULLING = ("resources.connectors.pulling", "resources.connectors.publishing")
_SPEAKING: Mapping[SourceName, tuple[str, ...]] = {
    "meta": ("resources.connectors.meta.source",),
    "google_ads": ("resources.connectors.google_ads.source",),
    "ga4": ("resources.connectors.ga4", "resources.connectors.ga4_export"),
}

# What each source lands; the raw tables hang on its pull.
LANDS: Mapping[SourceName, tuple[Table, ...]] = {
    "meta": (
        tables.META_ADS_INSIGHTS,
        tables.META_ADS_INSIGHTS_BY_PLACEMENT,
        tables.META_ENTITIES,
        tables.META_ACTIVITIES,
        tables.META_HOURLY_SPEND,
        tables.META_ADS_INSIGHTS_BY_HOUR,
        tables.META_ADS_INSIGHTS_BY_SEGMENT,
        tables.CREATIVES,
        tables.CREATIVE_ASSETS,
        tables.LEVERS,
    ),
    "google_ads": (
        tables.GOOGLE_ADS_AD_PERFORMANCE,
        tables.GOOGLE_ADS_CAMPAIGN_PERFORMANCE,
        tables.GOOGLE_ADS_CAMPAIGN_BY_HOUR,
        tables.GOOGLE_ADS_DEMOGRAPHICS,
        tables.GOOGLE_ADS_CONVERSIONS,
        tables.GOOGLE_ADS_KEYWORDS,
        tables.GOOGLE_ADS_ENTITIES,
        tables.GOOGLE_ADS_CHANGES,
        tables.GOOGLE_ADS_RECOMMENDATIONS,
        tables.INTRADAY_SPEND,
        tables.CREATIVES,
        tables.LEVERS,
    ),
    "tiktok": (tables.TIKTOK_ADS_REPORT, tables.INTRADAY_SPEND, tables.LEVERS),
    "linkedin": (tables.LINKEDIN_AD_ANALYTICS, tables.INTRADAY_SPEND, tables.LEVERS),
    "impact": (tables.IMPACT_ACTIONS,),
    "ga4": (tables.GA4_REPORTS, tables.GA4_EVENTS),
    "orders": (tables.ORDERS,),
    "vendor_files": (tables.VENDOR_CREATIVES,),
    "ad_library": (tables.AD_LIBRARY,),
}


def source_assets(source: SourceName, accounts: list[str]) -> list[dg.AssetsDefinition]:
    """A source's two assets, of the same ops, for all its configured accounts.

    `ops/source_pulls/<source>` reads what is due; `ops/source_backfills/<source>` exactly the report days of
    its partitions, a range of them in one run.
    """
    pulled = _pull(source, accounts)
    pulls = dg.graph_asset(
        key=pull_key(source),
        description=f"A pull of {source}: every due day of every account, and what became of it.",
        **_COMMON,
    )(pulled)
    backfills = dg.graph_asset(
        key=backfill_key(source),
        description=f"Days of {source} read again because a person asked for them, due or not.",
        partitions_def=report_days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        **_COMMON,
    )(pulled)
    code = module_hash(*_PULLING, *_SPEAKING.get(source, (f"resources.connectors.{source}",)))
    return [
        pulls.map_asset_specs(
            lambda spec: spec.replace_attributes(freshness_policy=DATA_FRESHNESS, code_version=code)
        ),
        backfills.map_asset_specs(lambda spec: spec.replace_attributes(code_version=code)),
    ]


def _pull(source: SourceName, accounts: list[str]) -> Callable[[], Any]:
    """How a pull's steps follow each other: plan, a fetch per account, publish."""

    @dg.op(
        name=f"plan_{source}",
        pool=WAREHOUSE_POOL,
        out=dg.Out(dagster_type=dg.Any, io_manager_key=_BETWEEN_STEPS),
    )
    def plan(
        warehouse: dg.ResourceParam[Warehouse], clock: dg.ResourceParam[Clock]
    ) -> tuple[Ledger, datetime]:
        """Read what the ledger knows of the source."""
        with tried_again_while_locked():
            ledger = read_ledger(warehouse, source)
        return ledger, ledger.next_moment(clock.now())

    # Account by account: where one breaks, the others' rows land all the same.
    steps = {account: (_fetch_op(source, account), _publish_op(source, account)) for account in accounts}

    @dg.op(
        name=f"report_{source}",
        ins={_op_name(account): dg.In() for account in accounts},
        out=dg.Out(dagster_type=dg.Nothing),
        tags=_FIRST,
    )
    def report(
        context: dg.OpExecutionContext,
        sources: dg.ResourceParam[Sources],
        environment: dg.ResourceParam[Environment],
        **published: Any,
    ) -> None:
        """What became of every account, in one table; a source that stopped is told of, once."""
        outcomes = [published[_op_name(account)] for account in accounts]
        reports = [told for outcome in outcomes if not isinstance(outcome, Skipped) for told in outcome]
        table = [
            row
            for account, outcome in zip(accounts, outcomes, strict=True)
            for row in (
                [{"account": account, "report": "", "outcome": outcome.reason}]
                if isinstance(outcome, Skipped)
                else [_told(account, told) for told in outcome]
            )
        ]
        context.add_output_metadata(
            {
                "accounts": markdown_table(pl.DataFrame(table)),
                "rows_appended": sum(told.rows for told in reports),
                "days_changed": sum(len(told.changed) for told in reports),
                "days_failed": sum(len(told.failed) for told in reports),
                "days_left": sum(len(told.left) for told in reports),
            }
        )
        if (stop := sources.stopped(source)) is not None:
            tell(environment, context.log, [_stopped(source, stop)])

    def pulled() -> Any:
        planned = plan()
        return report(
            **{_op_name(account): publish(fetch(planned)) for account, (fetch, publish) in steps.items()}
        )

    return pulled


def _stopped(source: SourceName, stop: Stop) -> Message:
    return Message(
        event_id("source_stopped", source, stop.stopped_at.isoformat()),
        "critical",
        f"{source} refuses its credentials and is not called any more: {stop.reason}",
        f"Renew them; `aelp connect {source}` checks them and starts it again. Meanwhile decisions rest on "
        "its last complete days.",
    )


def _op_name(account: str) -> str:
    return "account_" + "".join(c if c.isalnum() else "_" for c in account)


def _fetch_op(source: SourceName, account: str) -> Callable[..., Any]:
    @dg.op(
        name=f"fetch_{source}_{_op_name(account)}",
        pool=f"{source}_{_op_name(account)}",
        out=dg.Out(dagster_type=dg.Any, io_manager_key=_BETWEEN_STEPS),  # no type for a union
    )
    def fetch(
        context: dg.OpExecutionContext,
        sources: dg.ResourceParam[Sources],
        planned: tuple[Ledger, datetime],
    ) -> FetchedAccount | Skipped:
        """Read the days of one account into Parquet pages; touches no warehouse."""
        ledger, moment = planned
        outcome = sources.puller(source).pull(account, ledger, moment, _asked_days(context))
        if isinstance(outcome, FetchedAccount):
            context.log.info(
                f"{outcome.calls} calls, {outcome.waited_seconds:.0f} s waited, "
                f"{len(outcome.failures)} pulls failed"
            )
            if outcome.left:
                days = sum(len(pull.days) for pull in outcome.left)
                context.log.warning(
                    f"{source} {account}: {days} days were left when its time was up; they stay due, and the "
                    "next pull asks for them."
                )
        return outcome

    return fetch


def _publish_op(source: SourceName, account: str) -> Callable[..., Any]:
    @dg.op(
        name=f"publish_{source}_{_op_name(account)}",
        pool=WAREHOUSE_POOL,
        out=dg.Out(dagster_type=dg.Any, io_manager_key=_BETWEEN_STEPS),
        tags=_FIRST,
    )
    def publish(
        context: dg.OpExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        sources: dg.ResourceParam[Sources],
        clock: dg.ResourceParam[Clock],
        fetched: Any,
    ) -> list[PublishedReport] | Skipped:
        """Changed days, ledger and account in one transaction; then which days changed."""
        if isinstance(fetched, Skipped):
            context.log.warning(f"{source} {account}: {fetched.reason}")
            return fetched
        puller = sources.puller(source)
        with tried_again_while_locked():
            publisher = AccountPublisher(warehouse, puller.control, puller.pace(account))
            published = publisher.publish(fetched, clock.now())
        mark_landed(context, warehouse, _changed_days(published))
        for report in published:
            told = _told(account, report)
            said = f"{source} {account} {told['report']}: {told['outcome']}"
            (context.log.error if report.failure else context.log.info)(said)
        return published

    return publish


def _asked_days(context: dg.OpExecutionContext) -> Span | None:
    """The days of the run's partitions; None, for what is due, where the run has none."""
    if not context.has_partitions:
        return None
    asked = context.partition_key_range
    return Span(date.fromisoformat(asked.start), date.fromisoformat(asked.end))


def _told(account: str, report: PublishedReport) -> dict[str, str]:
    outcome = f"{len(report.changed)} days changed, {len(report.unchanged)} as before, {report.rows:,} rows"
    if report.unconfirmed:
        outcome += f"; {len(report.unconfirmed)} days now empty, believed at the next pull"
    failure = report.failure
    if failure is not None:
        outcome += f"; {len(report.failed)} days failed ({failure.error_class}): {failure.message}"
        if report.next_attempt_at is not None:
            outcome += f"; next try {report.next_attempt_at:%d %b %H:%M} UTC"
    if report.left:
        outcome += f"; {len(report.left)} days left for the next pull"
    return {"account": account, "report": f"{report.stream}/{report.breakdown_set}", "outcome": outcome}


def _changed_days(reports: list[PublishedReport]) -> pl.DataFrame:
    rows = [(report.stream, day) for report in reports for day in report.changed]
    return pl.DataFrame(rows, schema={"stream": pl.String, "report_date": pl.Date}, orient="row")


def pull_key(source: SourceName) -> dg.AssetKey:
    """The asset key of a source's pull."""
    return dg.AssetKey(["ops", "source_pulls", source])


def backfill_key(source: SourceName) -> dg.AssetKey:
    """The asset key of a source's days by request."""
    return dg.AssetKey(["ops", "source_backfills", source])


def hung_on_pulls(spec: dg.AssetSpec, settings: Settings) -> dg.AssetSpec:
    """A landed table's spec, depending also on the pulls that write it; bookkeeping is written by all."""
    raw = {asset_key(str(table.name)): table for table in tables.RAW_TABLES}
    table = raw.get(spec.key)
    writing = [source for source in settings.source_names if table is None or table in LANDS[source]]
    keys = [key(source) for source in writing for key in (pull_key, backfill_key)]
    return spec.replace_attributes(deps=[*spec.deps, *keys])


def source_check(source: SourceName, asset: dg.AssetKey) -> dg.AssetChecksDefinition:
    """Warns while a source is down: what is decided meanwhile rests on its last complete days."""

    @dg.asset_check(
        asset=asset,
        name="nothing_waits",
        pool=WAREHOUSE_POOL,
        description="Every day that was due has been read, and the platform takes the credentials.",
    )
    def nothing_waits(
        warehouse: dg.ResourceParam[Warehouse],
        sources: dg.ResourceParam[Sources],
        clock: dg.ResourceParam[Clock],
    ) -> dg.AssetCheckResult:
        row = source_status(warehouse, sources, clock.now(), [source]).row(0, named=True)
        newest = row["newest_complete_day"]
        known = "no day is complete yet" if newest is None else f"days are complete up to {newest}"
        remedy = f"`aelp connect {source}` says what is missing."
        match row["credentials"]:
            case "missing":
                said = f"{source} has no credentials and is not pulled; {known}. {remedy}"
            case "refused":
                said = f"{source} refuses its credentials and is not called any more; {known}. {remedy}"
            case _ if row["waiting"]:
                said = f"{row['waiting']} days wait for another try ({row['error_class']}); {known}."
            case _:
                said = f"Nothing waits; {known}."
        return dg.AssetCheckResult(
            passed=row["credentials"] != "refused" and not row["waiting"],
            severity=dg.AssetCheckSeverity.WARN,
            description=said,
            metadata={"waiting": row["waiting"], "credentials": row["credentials"]},
        )

    return nothing_waits


def live_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The check of both assets of each source the settings name."""
    return [
        source_check(name, key(name)) for name in settings.source_names for key in (pull_key, backfill_key)
    ]


def live_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of each source the settings name."""
    return [
        asset
        for name in settings.source_names
        for asset in source_assets(name, settings.sources[name].accounts)
    ]
