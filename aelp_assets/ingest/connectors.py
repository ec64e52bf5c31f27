"""Live sources as assets: one pull of each source, and the days of the raw tables it changed.

Here: plan → fetch → publish as ops, a fetch per account. Not here: how a platform is called
(`resources.connectors`), when (`sensors/`).
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import dagster as dg
import polars as pl

from aelp_assets.ingest.file_drop import mark_landed
from aelp_assets.metadata import asset_key, markdown_table, table_metadata
from aelp_assets.ownership import DATA_ENGINEERING, DATA_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL
from aelp_assets.status import source_status
from resources.clock import Clock
from resources.connectors.fetching import FetchedAccount
from resources.connectors.planning import Span
from resources.connectors.publishing import AccountPublisher, PublishedReport
from resources.connectors.pulling import Skipped
from resources.connectors.registry import Sources
from resources.landing.ledger import Ledger, read_ledger
from resources.settings import Settings, SourceName
from resources.warehouse import tables
from resources.warehouse.interface import Warehouse
from resources.warehouse.schema import Table

_BETWEEN_STEPS = "step_io_manager"

# What each source lands; the raw tables hang on its pull.
LANDS: Mapping[SourceName, tuple[Table, ...]] = {
    "meta": (
        tables.META_ADS_INSIGHTS,
        tables.META_ADS_INSIGHTS_BY_PLACEMENT,
        tables.META_ENTITIES,
        tables.META_ACTIVITIES,
        tables.META_HOURLY_SPEND,
        tables.CREATIVES,
        tables.LEVERS,
    ),
    "google_ads": (
        tables.GOOGLE_ADS_AD_PERFORMANCE,
        tables.GOOGLE_ADS_CAMPAIGN_PERFORMANCE,
        tables.GOOGLE_ADS_CONVERSIONS,
        tables.GOOGLE_ADS_KEYWORDS,
        tables.GOOGLE_ADS_ENTITIES,
        tables.GOOGLE_ADS_CHANGES,
        tables.GOOGLE_ADS_RECOMMENDATIONS,
        tables.CREATIVES,
        tables.LEVERS,
    ),
    "tiktok": (tables.TIKTOK_ADS_REPORT, tables.LEVERS),
    "linkedin": (tables.LINKEDIN_AD_ANALYTICS, tables.LEVERS),
    "impact": (tables.IMPACT_ACTIONS,),
}


class PullConfig(dg.Config):
    """Launchpad options of a pull: exactly these report days (ISO, inclusive) instead of what is due."""

    first_day: str | None = None
    last_day: str | None = None

    def span(self) -> Span | None:
        if self.first_day is None and self.last_day is None:
            return None
        if self.first_day is None or self.last_day is None:
            raise ValueError("first_day and last_day are given together, or neither")
        span = Span(date.fromisoformat(self.first_day), date.fromisoformat(self.last_day))
        if span.first > span.last:
            raise ValueError(f"first_day {span.first} lies after last_day {span.last}")
        return span


def pull_asset(source: SourceName, accounts: list[str]) -> dg.AssetsDefinition:
    """The asset `ops/source_pulls/<source>`: a pull of every configured account of one source."""

    @dg.op(
        name=f"plan_{source}",
        pool=WAREHOUSE_POOL,
        out=dg.Out(dagster_type=dg.Any, io_manager_key=_BETWEEN_STEPS),
    )
    def plan(
        warehouse: dg.ResourceParam[Warehouse], clock: dg.ResourceParam[Clock]
    ) -> tuple[Ledger, datetime]:
        """Read what the ledger knows of the source."""
        ledger = read_ledger(warehouse, source)
        return ledger, ledger.next_moment(clock.now())

    fetches = {account: _fetch_op(source, account) for account in accounts}

    @dg.op(
        name=f"publish_{source}",
        ins={_op_name(account): dg.In() for account in accounts},
        pool=WAREHOUSE_POOL,
        out=dg.Out(dagster_type=dg.Nothing),
    )
    def publish(
        context: dg.OpExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        sources: dg.ResourceParam[Sources],
        clock: dg.ResourceParam[Clock],
        **fetched: Any,
    ) -> None:
        """Changed days, ledger and accounts in a transaction per account; then which days changed."""
        puller, reports, told = sources.puller(source), [], []
        for account in accounts:
            outcome = fetched[_op_name(account)]
            if isinstance(outcome, Skipped):
                context.log.warning(f"{source} {account}: {outcome.reason}")
                told.append({"account": account, "report": "", "outcome": outcome.reason})
                continue
            publisher = AccountPublisher(warehouse, puller.control, puller.pace(account))
            published = publisher.publish(outcome, clock.now())
            reports += published
            told += [_told(context, source, account, report) for report in published]
        mark_landed(context, _changed_days(reports))
        context.add_output_metadata(
            {
                "accounts": markdown_table(pl.DataFrame(told)),
                "rows_appended": sum(report.rows for report in reports),
                "days_changed": sum(len(report.changed) for report in reports),
                "days_failed": sum(len(report.failed) for report in reports),
            }
        )

    @dg.graph_asset(
        name=source,
        key_prefix=["ops", "source_pulls"],
        group_name="ingest",
        kinds={"api", "polars"},
        owners=DATA_ENGINEERING,
        metadata=table_metadata("ops.source_pulls"),
        description=f"A pull of {source}: every due day of every account, and what became of it.",
    )
    def pulled() -> Any:
        planned = plan()
        return publish(**{_op_name(account): fetch(planned) for account, fetch in fetches.items()})

    return pulled.map_asset_specs(lambda spec: spec.replace_attributes(freshness_policy=DATA_FRESHNESS))


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
        config: PullConfig,
        sources: dg.ResourceParam[Sources],
        planned: tuple[Ledger, datetime],
    ) -> FetchedAccount | Skipped:
        """Read every due day of one account into Parquet pages; touches no warehouse."""
        ledger, moment = planned
        outcome = sources.puller(source).pull(account, ledger, moment, config.span())
        if isinstance(outcome, FetchedAccount):
            context.log.info(
                f"{outcome.calls} calls, {outcome.waited_seconds:.0f} s waited, "
                f"{len(outcome.failures)} pulls failed"
            )
        return outcome

    return fetch


def _told(
    context: dg.OpExecutionContext, source: str, account: str, report: PublishedReport
) -> dict[str, str]:
    name = f"{report.stream}/{report.breakdown_set}"
    outcome = f"{len(report.changed)} days changed, {len(report.unchanged)} as before, {report.rows:,} rows"
    if report.unconfirmed:
        outcome += f"; {len(report.unconfirmed)} days now empty, believed at the next pull"
    failure = report.failure
    if failure is not None:
        outcome += f"; {len(report.failed)} days failed ({failure.error_class}): {failure.message}"
        if report.next_attempt_at is not None:
            outcome += f"; next try {report.next_attempt_at:%d %b %H:%M} UTC"
        context.log.error(f"{source} {account} {name}: {outcome}")
    else:
        context.log.info(f"{source} {account} {name}: {outcome}")
    return {"account": account, "report": name, "outcome": outcome}


def _changed_days(reports: list[PublishedReport]) -> pl.DataFrame:
    rows = [(report.stream, day) for report in reports for day in report.changed]
    return pl.DataFrame(rows, schema={"stream": pl.String, "report_date": pl.Date}, orient="row")


def pull_key(source: SourceName) -> dg.AssetKey:
    """The asset key of a source's pull."""
    return dg.AssetKey(["ops", "source_pulls", source])


def hung_on_pulls(spec: dg.AssetSpec, settings: Settings) -> dg.AssetSpec:
    """A landed table's spec, depending also on the pulls that write it; bookkeeping is written by all."""
    raw = {asset_key(str(table.name)): table for table in tables.RAW_TABLES}
    table = raw.get(spec.key)
    writing = [source for source in settings.sources if table is None or table in LANDS[source]]
    return spec.replace_attributes(deps=[*spec.deps, *(pull_key(source) for source in writing)])


def pull_check(source: SourceName) -> dg.AssetChecksDefinition:
    """Warns while a source is down: what is decided meanwhile rests on its last complete days."""

    @dg.asset_check(
        asset=pull_key(source),
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


def pull_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """A check per source the settings name."""
    return [pull_check(name) for name in settings.sources]


def pull_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """An asset per source the settings name."""
    return [pull_asset(name, source.accounts) for name, source in settings.sources.items()]
