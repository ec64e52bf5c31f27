"""The file drop as assets: one landing, and the raw tables it fills day by day.

Here: plan → fetch → publish as ops, and the report as metadata. Not here: how files are read and what
counts as changed (`resources.files`).
"""

from collections.abc import Mapping
from datetime import date
from uuid import uuid4

import dagster as dg
import polars as pl
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata

from aelp_assets.metadata import asset_key, markdown_table, table_metadata
from aelp_assets.ownership import DATA_ENGINEERING, WEEKLY_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, report_days
from resources.clock import Clock
from resources.code_version import module_hash
from resources.files.drop import FileDrop
from resources.files.fetched import FetchedFile
from resources.files.landing import LandingPlan, LandingReport, fetch_landing, plan_landing, publish_landing
from resources.ledger import landed_contents
from resources.media_mix import channel_rule_rows, media_week_rows
from resources.settings import Environment, Settings
from resources.warehouse.content import content_version
from resources.warehouse.interface import Append, Warehouse, WarehouseError
from resources.warehouse.retrying import tried_again_while_locked, waited_for
from resources.warehouse.schema import Table
from resources.warehouse.tables import (
    ACCOUNTS,
    CHANNEL_RULES,
    EXPERIMENT_ARMS,
    FILE_LANDINGS,
    FILE_PERIOD_PERFORMANCE,
    INGEST_SLICES,
    MEDIA_HISTORY,
    MEDIA_WEEKS,
    QUARANTINE,
    RAW_TABLES,
    REWARD_DEFINITIONS,
    SOURCE_PULLS,
    TRACK_RULES,
)

FETCH_POOL = "file_drop"
_FROM_SETTINGS = (TRACK_RULES, REWARD_DEFINITIONS, CHANNEL_RULES, MEDIA_WEEKS)
_UNDATED = (FILE_PERIOD_PERFORMANCE, MEDIA_HISTORY, EXPERIMENT_ARMS)
_CODE = module_hash("resources.files.landing", "resources.files.publishing")
_BETWEEN_STEPS = "step_io_manager"


def open_drop(environment: Environment, settings: Settings, clock: Clock) -> FileDrop:
    """The drop folder of this environment."""
    return FileDrop(
        folder=environment.drop_folder,
        work_dir=environment.home / "work" / "file_drop",
        clock=clock,
        history_start=settings.history_start,
        business_timezone=settings.business_timezone,
        week_starts_on=settings.media_mix.first_weekday,
    )


@dg.op(pool=WAREHOUSE_POOL, out=dg.Out(io_manager_key=_BETWEEN_STEPS))
def plan_files(drop: dg.ResourceParam[FileDrop], warehouse: dg.ResourceParam[Warehouse]) -> LandingPlan:
    """List the drop folder and choose the files whose bytes are new."""
    with tried_again_while_locked():
        return plan_landing(drop, warehouse)


@dg.op(pool=FETCH_POOL, out=dg.Out(io_manager_key=_BETWEEN_STEPS))
def fetch_files(drop: dg.ResourceParam[FileDrop], plan: LandingPlan) -> list[FetchedFile]:
    """Read and check every planned file into Parquet pages; touches no warehouse."""
    return fetch_landing(drop, plan)


@dg.op(pool=WAREHOUSE_POOL, out=dg.Out(dagster_type=dg.Nothing))
def publish_files(
    context: dg.OpExecutionContext,
    drop: dg.ResourceParam[FileDrop],
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[Settings],
    plan: LandingPlan,
    fetched: list[FetchedFile],
) -> None:
    """Rows, ledger, quarantine and accounts in one transaction; then which days of which table changed."""
    with tried_again_while_locked():
        before = {table: warehouse.read(table.name) for table in _FROM_SETTINGS}
        report = publish_landing(
            drop, plan, fetched, warehouse, settings.track_rules, settings_rows(settings, drop.clock)
        )
    # From here on a second attempt would find everything landed, and say that nothing had changed.
    landings = landing_rows(report)
    mark_landed(context, warehouse, report.changed)
    for line in report.lines():
        context.log.info(line)
    waited_for(lambda: warehouse.write(Append(FILE_LANDINGS, landings)))
    waited_for(lambda: mark_bookkeeping(context, warehouse, report, before))
    context.add_output_metadata(
        {
            "files": markdown_table(landings.drop("landed_at"), rows=60),
            "dagster/row_count": landings.height,
            "rows_appended": int(landings["rows"].sum()),
            "refused_rows": int(landings["refused_rows"].sum()),
        }
    )


def mark_landed(context: dg.OpExecutionContext, warehouse: Warehouse, changed: pl.DataFrame) -> None:
    """Note every raw table and day whose rows are new (columns stream, report_date) as materialised.

    What `context.log_event` does, but the days of a stream as one batch: a first landing of a year and a half
    marks four thousand of them. What a day now holds is its data version.
    """
    if changed.is_empty():
        return
    step = context.get_step_execution_context()
    contents = _contents(context, warehouse, changed)
    for (stream,), slices in changed.group_by("stream", maintain_order=True):
        days = slices["report_date"].unique().sort().to_list()
        batch = str(uuid4())
        for place, day in enumerate(days, start=1):
            content = contents.get((str(stream), day))
            materialization = dg.AssetMaterialization(
                asset_key(f"raw.{stream}"),
                partition=None if day is None else day.isoformat(),
                tags={} if content is None else {DATA_VERSION_TAG: content},
            )
            DagsterEvent.asset_materialization(
                step, materialization, DagsterEventBatchMetadata(batch, is_end=place == len(days))
            )


def _contents(
    context: dg.OpExecutionContext, warehouse: Warehouse, changed: pl.DataFrame
) -> dict[tuple[str, date | None], str]:
    """`landed_contents`, or none: that a day changed must be told even where nobody can say to what."""
    try:
        return waited_for(lambda: landed_contents(warehouse, changed))
    except WarehouseError as fault:
        context.log.warning(f"The changed days are marked without a data version: {fault}")
        return {}


def mark_bookkeeping(
    context: dg.OpExecutionContext,
    warehouse: Warehouse,
    report: LandingReport,
    before: Mapping[Table, pl.DataFrame],
) -> None:
    """Note what this landing wrote as materialised: ledger, accounts, quarantine, settings.

    Of settings also what they say: a landing that dies before this leaves rows that no event speaks of.
    """
    written = []
    contents = {}
    if any(
        file.slices_changed + file.slices_unchanged + file.slices_deferred + file.slices_emptied
        for file in report.files
    ):
        written += [INGEST_SLICES, ACCOUNTS]
    if report.quarantined:
        written.append(QUARANTINE)
    for table, earlier in before.items():
        order = table.column_names
        rows = warehouse.read(table.name)
        if not rows.sort(order).equals(earlier.sort(order)):
            written.append(table)
            contents[str(table.name)] = content_version(table.conform(rows))
    for name, count in warehouse.row_counts([table.name for table in written]).items():
        tags = {DATA_VERSION_TAG: contents[name]} if name in contents else {}
        told = {"dagster/row_count": count}
        context.log_event(dg.AssetMaterialization(asset_key(name), metadata=told, tags=tags))


def settings_rows(settings: Settings, clock: Clock) -> dict[Table, pl.DataFrame]:
    """What the settings alone say, as rows of the tables that dbt reads it from."""
    return {
        REWARD_DEFINITIONS: reward_definitions(settings),
        CHANNEL_RULES: channel_rule_rows(settings.media_mix.channels),
        MEDIA_WEEKS: media_week_rows(settings, clock.now().astimezone(settings.timezone).date()),
    }


def reward_definitions(settings: Settings) -> pl.DataFrame:
    """The settings' reward and maturity as the row of `ops.reward_definitions`."""
    reward = settings.reward
    row = (
        reward.version,
        reward.click_incrementality_mean,
        reward.view_incrementality_mean,
        settings.attribution.maturity_days,
    )
    return pl.DataFrame([row], schema=REWARD_DEFINITIONS.polars_schema, orient="row")


def landing_rows(report: LandingReport) -> pl.DataFrame:
    """The report as rows of `ops.file_landings`: one per file the landing saw."""
    status = {"loaded": "landed", "unchanged": "unchanged", "known": "unchanged", "refused": "refused"}
    rows = [
        (
            file.path,
            file.format,
            status[file.outcome],
            file.rows_written,
            file.slices_changed + file.slices_emptied,
            file.refused,
            file.flagged,
            file.fault or file.first_refusal,
        )
        for file in report.files
    ]
    rows += [(file.path, None, "unrecognised", 0, 0, 0, 0, file.reason) for file in report.unrecognised]
    rows += [(path, None, "unsettled", 0, 0, 0, 0, reason) for path, reason in report.unsettled.items()]
    names = ["file", "format", "status", "rows", "changed_slices", "refused_rows", "flagged_rows", "reason"]
    schema = {name: FILE_LANDINGS.polars_schema[name] for name in names}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.lit(report.moment).alias("landed_at").cast(FILE_LANDINGS.polars_schema["landed_at"])
    )


@dg.graph_asset(
    key=["ops", "file_landings"],
    group_name="ingest",
    kinds={"file", "polars"},
    owners=DATA_ENGINEERING,
    metadata=table_metadata("ops.file_landings"),
)
def _file_landings() -> None:
    """One landing of the drop folder: every file seen, and what became of it."""
    plan = plan_files()
    return publish_files(plan, fetch_files(plan))  # type: ignore[no-any-return]


file_landings = _file_landings.map_asset_specs(
    lambda spec: spec.replace_attributes(freshness_policy=WEEKLY_FRESHNESS, code_version=_CODE)
)


def _landed_table(table: Table) -> dg.AssetSpec:
    dated = table in RAW_TABLES and table not in _UNDATED
    return dg.AssetSpec(
        asset_key(str(table.name)),
        deps=[asset_key("ops.file_landings")],
        description=table.description,
        group_name="raw" if table in RAW_TABLES else "ingest",
        owners=DATA_ENGINEERING,
        kinds={"table"},
        partitions_def=report_days if dated else None,
        metadata=table_metadata(str(table.name)),
    )


# Filled by the landing above: external to Dagster's own materialisation, so that a day is marked only when
# its rows really came.
RAW_SPECS = [
    _landed_table(table)
    for table in (*RAW_TABLES, INGEST_SLICES, QUARANTINE, ACCOUNTS, *_FROM_SETTINGS, SOURCE_PULLS)
]
