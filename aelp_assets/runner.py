"""One whole morning, run through Dagster in this process: land → marts → decisions.

Here: the order of jobs and what can be reused. Not here: what the jobs do, and unattended running
(the daemon with `sensors/`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypeVar

import dagster as dg
import polars as pl

from aelp_assets.bandits import kill_switch_frame
from aelp_assets.ingest.connectors import pull_key
from aelp_assets.instance import install_instance, instance_variables
from aelp_assets.metadata import asset_key
from aelp_assets.partitions import report_days
from aelp_assets.runs import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from resources import ledger
from resources.clock import Clock, clock_from_environment
from resources.code_version import source_hash
from resources.connectors.registry import Sources
from resources.history.written import MOMENT_TAG
from resources.run_processes import PROCESS_TAG, is_lost, this_process
from resources.settings import Environment, Settings, read_environment
from resources.warehouse.interface import Warehouse
from resources.warehouse.schema import TableName
from resources.warehouse.tables import PYTHON_TABLES

FINGERPRINT_TAG = "aelp/inputs"
# What the daemon writes on its own runs: the UI lists a run under its job only with it. The repository's
# name is Dagster's for a module with one Definitions, the location's that of [tool.dg.project].
LOCATION_TAG = {".dagster/repository": "__repository__@aelp"}

Say = Callable[[str], None]
Outcome = TypeVar("Outcome")


class MorningFailed(RuntimeError):
    """A job of the morning failed; the message names it and where to look."""


@dataclass
class Morning:
    """What a run did: seconds per stage, mornings decided, what was reused."""

    seconds: dict[str, float] = field(default_factory=dict)
    transformed: list[tuple[date, date]] = field(default_factory=list)
    decided: list[date] = field(default_factory=list)
    reused: list[date] = field(default_factory=list)


def open_instance(environment: Environment) -> dg.DagsterInstance:
    """The Dagster instance of this AELP_HOME, its settings installed.

    Raises:
        SettingsError: AELP_DAGSTER_URL names a database that cannot be used.
    """
    install_instance(environment)
    os.environ.update(instance_variables(environment))
    instance = dg.DagsterInstance.get()
    bury_killed_runs(instance)
    return instance


def bury_killed_runs(instance: dg.DagsterInstance) -> None:
    """Fail the runs whose process is gone and give back their place in the pools.

    A killed run cannot say so itself; its slot of the warehouse pool would keep every later run waiting.
    """
    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
        ]
    )
    for run in instance.get_runs(filters=unfinished):
        if is_lost(instance, run):
            instance.report_run_failed(run, message="The process of this run is gone.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _moment() -> dict[str, str]:
    """What says later when a run's rows were known, where it does not go by the system's clock."""
    return {MOMENT_TAG: clock_from_environment().now().isoformat()} if os.environ.get("AELP_CLOCK") else {}


def prepare_warehouse(warehouse: Warehouse) -> None:
    """Create every schema and Python-written table that is missing, empty."""
    warehouse.ensure_tables(list(PYTHON_TABLES.values()))


def run_morning(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    settings: Settings,
    clock: Clock,
    say: Say,
    sources: Sources | None = None,
) -> Morning:
    """Land what was dropped, rebuild the marts of changed days, decide each morning that changed.

    Live sources that have credentials are pulled first.

    Raises:
        MorningFailed: a job failed; earlier stages keep what they published.
    """
    morning = Morning()
    environment = read_environment()
    prepare_warehouse(warehouse)

    ready = [] if sources is None else sources.with_credentials()
    if ready:
        say(f"Pulling {', '.join(ready)}")
        keys = [pull_key(source) for source in ready]
        pulled = _timed(morning, "pull", lambda: _execute(defs, instance, "pull_sources", {}, keys))
        for line in _brought(pulled):
            say(line)
    say("Landing the drop folder")
    _timed(morning, "land", lambda: _execute(defs, instance, "land_files", {}))

    for first, last in stale_ranges(warehouse, clock.now().astimezone(settings.timezone).date()):
        say(f"Building marts for {first} to {last}")
        tags = {RANGE_START_TAG: first.isoformat(), RANGE_END_TAG: last.isoformat()}
        _timed(morning, "marts", lambda tags=tags: _execute(defs, instance, "transform_days", tags))  # type: ignore[misc]
        morning.transformed.append((first, last))

    if warehouse.exists(TableName("gaelp_training", "creative_objects")):
        say("Reading what is new in creatives")
        try:
            _timed(morning, "creatives", lambda: _execute(defs, instance, "read_creatives", {}))
        except MorningFailed as failure:  # no decision rests on it
            say(str(failure))

    mornings = decision_mornings(warehouse, settings, clock)
    if not mornings:
        say("Nothing to decide: no account with daily data has a campaign in a configured track")
        if warehouse.exists(TableName("intermediate", "int_account_days")):
            today = clock.now().astimezone(settings.timezone).date()
            tags = {PARTITION_TAG: today.isoformat()}
            _timed(morning, "audit", lambda: _execute(defs, instance, "audit", tags))
    for as_of in mornings:
        inputs = fingerprint(warehouse, settings, as_of, environment, clock)
        if _already_decided(instance, as_of, inputs):
            say(f"Morning of {as_of}: nothing changed, decisions stand")
            morning.reused.append(as_of)
            continue
        say(f"Deciding the morning of {as_of}")
        tags = {PARTITION_TAG: as_of.isoformat(), FINGERPRINT_TAG: inputs}
        _timed(morning, "decide", lambda tags=tags: _execute(defs, instance, "decide", tags))  # type: ignore[misc]
        morning.decided.append(as_of)
    return morning


def stale_ranges(warehouse: Warehouse, today: date) -> list[tuple[date, date]]:
    """Ranges of report days whose marts must be rebuilt."""
    return ledger.contiguous(stale_days(warehouse, today))


def stale_days(warehouse: Warehouse, today: date) -> list[date]:
    """Report days whose marts must be rebuilt, oldest first.

    Period rows ride along with any day; where only they changed, yesterday's marts are rebuilt with them.
    Days before `history_start` are left out: they landed before it was moved, or were pulled before pulls
    kept to it, and a build that names one fails, with every day it names beside.
    """
    first = report_days.start.date()
    stale = ledger.stale_report_days(warehouse, source_hash("dbt_project"))
    days = [day for day in stale if day >= first]
    if not days and ledger.UNDATED in stale:
        days = [max(today - timedelta(days=1), first)]
    return days


def decision_mornings(warehouse: Warehouse, settings: Settings, clock: Clock) -> list[date]:
    """The mornings to decide: today, or with `as_of: last_report_date` the day after each account's last.

    Only accounts with a campaign in a configured track count; without any, nothing is decided.
    """
    if not warehouse.exists(TableName("intermediate", "int_campaign_tracks")):
        return []  # nothing has ever been landed
    lasts = warehouse.query(
        """
        select tracks.track, daily.platform, daily.account_id, max(daily.date) as last_report_date
        from gaelp_training.ads_campaign_daily as daily
        inner join intermediate.int_campaign_tracks as tracks
            on tracks.platform = daily.platform
            and tracks.account_id = daily.account_id
            and tracks.campaign_id = daily.campaign_id
        group by tracks.track, daily.platform, daily.account_id
        """
    ).filter(pl.col("track").is_in(list(settings.tracks)))
    if lasts.is_empty():
        return []
    if settings.as_of == "wall":
        return [clock.now().astimezone(settings.timezone).date()]
    by_account = lasts.group_by("platform", "account_id").agg(pl.col("last_report_date").max())
    return sorted({day + timedelta(days=1) for day in by_account["last_report_date"]})


def fingerprint(
    warehouse: Warehouse, settings: Settings, as_of: date, environment: Environment, clock: Clock
) -> str:
    """Everything a morning's decision depends on: slices marts hold, settings, code and the kill switch.

    What was landed of spend within a day follows a "+": it may call for a stop, and is no evidence.
    """
    seen = warehouse.query(
        """
        select
            slices.stream in ('meta_hourly_spend', 'intraday_spend') as is_within_day,
            count(*) as number,
            max(slices.completed_at) as newest
        from ops.ingest_slices as slices
        inner join ops.transformed_days as built
            on built.report_date = coalesce(slices.report_date, date '1970-01-01')
        where slices.status = 'complete' and slices.data_batch_id = slices.batch_id
            and slices.completed_at <= built.ledger_completed_at
            and (slices.report_date is null or slices.report_date <= $as_of)
        group by is_within_day
        """,
        {"as_of": as_of},
    )
    held = {within: f"{number}-{newest:%Y%m%dT%H%M%S%f}" for within, number, newest in seen.iter_rows()}
    code = source_hash("models", "dbt_project", "aelp_assets", "resources")
    is_killed = not kill_switch_frame(environment, settings, as_of, clock.now()).is_empty()
    evidence = f"{held.get(False, 'empty')}-{settings.content_hash[:12]}-{code}{'-killed' * is_killed}"
    return f"{evidence}+{held.get(True, 'empty')}"


def rested_on(run: dg.DagsterRun, inputs: str) -> bool:
    """Whether the run began with the evidence of this fingerprint; one that carries none did not."""
    return run.tags.get(FINGERPRINT_TAG, "").partition("+")[0] == inputs.partition("+")[0]


def _already_decided(instance: dg.DagsterInstance, as_of: date, inputs: str) -> bool:
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(
            asset_key=asset_key("gaelp_training.slates"), asset_partitions=[as_of.isoformat()]
        ),
        limit=1,
    ).records
    if not records:
        return False
    run = instance.get_run_by_id(records[0].run_id)
    return run is not None and run.tags.get(FINGERPRINT_TAG) == inputs and run.is_success


def _execute(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    tags: dict[str, str],
    selection: list[dg.AssetKey] | None = None,
) -> dg.ExecuteInProcessResult:
    outcome = defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        tags={**tags, **LOCATION_TAG, PROCESS_TAG: this_process(), **_moment()},
        raise_on_error=False,
        asset_selection=selection,
    )
    if not outcome.success:
        failures = [event for event in outcome.all_events if event.is_step_failure]
        steps = ", ".join(str(event.step_key) for event in failures)
        error = failures[0].step_failure_data.error if failures else None
        cause = (error.cause or error).message.strip() if error else ""
        gates = "".join(
            f"\n{check.check_name}: {check.description}"
            for check in outcome.get_asset_check_evaluations()
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
        )
        raise MorningFailed(
            f"{job} failed at {steps or 'a blocking check'} (run {outcome.run_id}). {cause}{gates}\n"
            "`make ui` shows the run with its checks and logs."
        )
    return outcome


def _brought(pulled: dg.ExecuteInProcessResult) -> list[str]:
    """What a pull brought, in a line, and a line per source that is down."""
    rows = {
        event.materialization.asset_key.path[-1]: event.materialization.metadata["rows_appended"].value
        for event in pulled.get_asset_materialization_events()
        if "rows_appended" in event.materialization.metadata
    }
    down = [check.description or "" for check in pulled.get_asset_check_evaluations() if not check.passed]
    return ["Pulled " + ", ".join(f"{count:,} rows of {source}" for source, count in rows.items()), *down]


def _timed(morning: Morning, stage: str, work: Callable[[], Outcome]) -> Outcome:
    started = time.monotonic()
    outcome = work()
    morning.seconds[stage] = morning.seconds.get(stage, 0.0) + time.monotonic() - started
    return outcome


# Jobs of their own after a morning: the stage they are timed as, and what is said of each.
_AFTER = {
    "backtest": ("backtest", "Scoring the forecaster as of"),
    "fit_media_mix": ("media mix", "Fitting the media mix as of"),
    "rank_creatives": ("ranking", "Ranking creatives as of"),
    "review": ("review", "Reviewing the day before"),
}


def judge_split_tests(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    morning: Morning,
    today: date,
    say: Say,
) -> None:
    """Judge the split tests as of each morning just decided, and as of today: archives are of any time.

    Raises:
        MorningFailed: the job failed.
    """
    is_new = bool(morning.transformed or morning.decided)
    if not is_new or not warehouse.exists(TableName("intermediate", "int_experiment_cells")):
        return
    for as_of in sorted({*morning.decided, today}):
        say(f"Judging split tests as of {as_of}")
        tags = {PARTITION_TAG: as_of.isoformat()}
        _timed(morning, "experiments", lambda tags=tags: _execute(defs, instance, "judge_experiments", tags))  # type: ignore[misc]


def run_after(
    job: str, defs: dg.Definitions, instance: dg.DagsterInstance, morning: Morning, say: Say
) -> None:
    """Run a job of `_AFTER` (fit_media_mix bounds the mornings after it) for every morning just decided.

    Raises:
        MorningFailed: the job failed.
    """
    stage, saying = _AFTER[job]
    for as_of in morning.decided:
        say(f"{saying} {as_of}")
        tags = {PARTITION_TAG: as_of.isoformat()}
        _timed(morning, stage, lambda tags=tags: _execute(defs, instance, job, tags))  # type: ignore[misc]
