"""How Dagster does: its daemon, what wakes runs, the last run of each job, checks that fail now.

Here: reading the instance. Not here: what of it needs a person (`health`), tables that are late (`lateness`).
Its records carry the machine's clock, whatever AELP_CLOCK says.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.dagster_run import RunRecord
from dagster._utils.schedules import cron_string_iterator

from aelp_assets.instance import URL_VARIABLE, is_on_postgresql, require_postgresql
from aelp_assets.run_failures import AD_HOC, MONEY_JOBS, made_since, read_failure, what
from aelp_assets.runs import UNFINISHED, part_of
from resources.settings import Environment

_TICKS = 4  # the newest may be under way
_FAILED_WITHIN = timedelta(days=7)
_FAILED_RUNS = 100  # of each job


@dataclass(frozen=True)
class Daemon:
    """Whether the daemon lives. `last_heartbeat` None: it never ran here."""

    is_alive: bool
    last_heartbeat: datetime | None
    silent: tuple[str, ...]


@dataclass(frozen=True)
class Waking:
    """A sensor or schedule: on or off, its last ended tick and what went wrong in it.

    `can_wait`: looks again within the hour, so that a tick is no loss; a clock that begins one of MONEY_JOBS
    cannot. `failures`: how many of its newest ticks failed in a row, of the four newest, and are not tried
    again by Dagster itself.
    """

    name: str
    can_wait: bool
    is_on: bool
    last_tick: datetime | None = None
    error: str | None = None
    failures: int = 0


@dataclass(frozen=True)
class JobRun:
    """A job's newest run and when it is next due. `outcome`: never, success, failure, canceled, under way."""

    job: str
    outcome: str
    about: str
    at: datetime | None
    next_due: datetime | None


@dataclass(frozen=True)
class FailedCheck:
    """A blocking check whose newest evaluation failed."""

    check: str
    table: str
    said: str
    at: datetime


def existing_instance(environment: Environment) -> dg.DagsterInstance | None:
    """The instance of this home as it stands, nothing created or changed; None where nothing has run yet.

    Raises:
        SettingsError: it is on a PostgreSQL that is not named, or cannot be reached.
    """
    if not (environment.dagster_home / "dagster.yaml").is_file():
        return None
    if is_on_postgresql(environment):
        require_postgresql(environment, os.environ.get(URL_VARIABLE))
    os.environ["DAGSTER_HOME"] = str(environment.dagster_home)  # where the event log looks for its files
    return dg.DagsterInstance.from_config(str(environment.dagster_home))


def daemon_of(instance: dg.DagsterInstance) -> Daemon:
    """Alive where every part of it gave a sign in the last half hour, as Dagster itself reckons."""
    statuses = instance.get_daemon_statuses()
    beats = [status.last_heartbeat.timestamp for status in statuses.values() if status.last_heartbeat]
    silent = sorted(kind.lower() for kind, status in statuses.items() if not status.healthy)
    return Daemon(
        is_alive=bool(beats) and not silent,
        last_heartbeat=datetime.fromtimestamp(max(beats), UTC) if beats else None,
        silent=tuple(silent),
    )


def wakings_of(instance: dg.DagsterInstance, wakings: Iterable[object]) -> list[Waking]:
    """Each schedule and sensor among `wakings` with its newest tick, by name."""
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    found = [one for one in wakings if isinstance(one, dg.ScheduleDefinition | dg.SensorDefinition)]
    return [
        _waking(instance, waking, states.get(waking.name))
        for waking in sorted(found, key=lambda one: one.name)
    ]


def _waking(
    instance: dg.DagsterInstance,
    waking: dg.ScheduleDefinition | dg.SensorDefinition,
    state: InstigatorState | None,
) -> Waking:
    can_wait = isinstance(waking, dg.SensorDefinition) or (
        str(waking.cron_schedule).split()[1] == "*" and waking.job_name not in MONEY_JOBS
    )
    by_default = waking.default_status in (
        dg.DefaultScheduleStatus.RUNNING,
        dg.DefaultSensorStatus.RUNNING,
    )
    if state is None:
        return Waking(waking.name, can_wait, by_default)
    is_on = by_default if state.status is InstigatorStatus.DECLARED_IN_CODE else state.is_running
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=_TICKS)
    ended = [tick for tick in ticks if tick.status is not TickStatus.STARTED]
    if not ended:
        return Waking(waking.name, can_wait, is_on)
    failed = list(takewhile(lambda tick: tick.status is TickStatus.FAILURE, ended))
    error = failed[0].error if failed else None
    said = None if error is None else " ".join((error.cause or error).message.split())
    at = datetime.fromtimestamp(ended[0].timestamp, UTC)
    # Where the code could not be reached, Dagster tries a tick again for ever and counts no failure.
    failures = sum(tick.tick_data.failure_count > 0 for tick in failed)
    return Waking(waking.name, can_wait, is_on, at, said, failures)


def job_runs(
    instance: dg.DagsterInstance, defs: dg.Definitions, wakings: Iterable[Waking], now: datetime
) -> list[JobRun]:
    """The newest run of each job of the graph, the soonest due first, then by name."""
    is_on = {waking.name for waking in wakings if waking.is_on}
    due: dict[str, datetime] = {}
    for schedule in defs.schedules or ():
        if isinstance(schedule, dg.ScheduleDefinition) and schedule.name in is_on:
            cron, zone = str(schedule.cron_schedule), schedule.execution_timezone
            moment = next(iter(cron_string_iterator(now.timestamp() + 1, cron, zone))).astimezone(UTC)
            due[schedule.job_name] = min(moment, due.get(schedule.job_name, moment))
    found = []
    for name in sorted(job.name for job in defs.jobs or ()):
        records = instance.get_run_records(dg.RunsFilter(job_name=name), limit=1)
        if not records:
            found.append(JobRun(name, "never", "", None, due.get(name)))
            continue
        run, ended = records[0].dagster_run, records[0].end_time or records[0].start_time
        outcome = "under way" if run.status in UNFINISHED else run.status.value.lower()
        at = datetime.fromtimestamp(ended, UTC) if ended else records[0].create_timestamp.replace(tzinfo=UTC)
        found.append(JobRun(name, outcome, part_of(run).last, at, due.get(name)))
    latest = datetime.max.replace(tzinfo=UTC)
    return sorted(found, key=lambda run: (run.next_due or latest, run.job))


def unmended_runs(instance: dg.DagsterInstance, defs: dg.Definitions, now: datetime) -> list[str]:
    """What failed: of jobs of assets the runs of the last week, of each other job its newest run.

    Left out is what other runs have made up for: all that it was to make was made since, and checked. The
    newest run alone would hide an older day, another source and a newer morning that still fail.
    """
    week = now - _FAILED_WITHIN
    makes = {job.name: isinstance(job, UnresolvedAssetJobDefinition) for job in defs.jobs or ()}
    found: dict[str, bool] = {}
    for job in [*sorted(makes), AD_HOC]:
        newest = [] if job == AD_HOC else instance.get_run_records(dg.RunsFilter(job_name=job), limit=1)
        failed = [one for one in newest if one.dagster_run.status is dg.DagsterRunStatus.FAILURE]
        if makes.get(job, True):
            lately = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE], updated_after=week)
            failed += instance.get_run_records(lately, limit=_FAILED_RUNS)
        for record in {one.storage_id: one for one in failed}.values():
            run = what(record.dagster_run)
            is_newest = not newest or record.storage_id == newest[0].storage_id
            found[run] = found.get(run) or _is_unmended(instance, record, is_newest=is_newest)
    return [run for run, is_unmended in found.items() if is_unmended]


def _is_unmended(instance: dg.DagsterInstance, record: RunRecord, *, is_newest: bool) -> bool:
    run = record.dagster_run
    missing = read_failure(instance, run, str).missing
    if not missing and not is_newest:
        return False  # it could not say what it was to make: the next run of its job stands for it
    return not made_since(instance, missing, part_of(run), record.end_time or 0.0)


def failed_checks(instance: dg.DagsterInstance, graph: AssetGraph) -> list[FailedCheck]:
    """Blocking checks that failed when they were last evaluated, the newest first."""
    keys = [key for key in graph.asset_check_keys if graph.get_check_spec(key).blocking]
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    found = []
    for key, record in newest.items():
        event = record.event.dagster_event if record.event else None
        if record.status is not AssetCheckExecutionRecordStatus.FAILED or event is None:
            continue
        evaluation = event.asset_check_evaluation_data
        if evaluation.severity == dg.AssetCheckSeverity.ERROR:
            at = datetime.fromtimestamp(record.create_timestamp, UTC)
            table = ".".join(key.asset_key.path)
            found.append(FailedCheck(key.name, table, " ".join((evaluation.description or "").split()), at))
    return sorted(found, key=lambda check: check.at, reverse=True)
