"""Failed runs, told once for each cause until the job works again, and that it does.

Here: which ended runs are news. Not here: why a run failed (`aelp_assets.run_failures`), telling
(`aelp_assets.alerts`).

A cursor over ended runs and not Dagster's run-failure sensor: that one knows neither healing nor runs begun
in a shell.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.tags import WILL_RETRY_TAG

from aelp_assets.alerts import event_id, run_link, scrubber, tell
from aelp_assets.run_failures import (
    AD_HOC,
    MONEY_JOBS,
    RunFailure,
    newest_part,
    read_failure,
    what,
)
from resources.clock import Clock
from resources.notifier import Message
from resources.settings import Environment, Settings

RUNS_PER_TICK = 100
CAUSES_PER_JOB = 5
"""A job that fails in ever new words is told of so often; the rest stands in the UI."""
_OVERLAP = timedelta(minutes=1)  # a run may be stored a little later than it says
_LOOK_BACK = timedelta(days=1)
_FORGOTTEN_AFTER = timedelta(days=30)
_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]


@dataclass
class Ill:
    """A job that fails: since which run, how often, for which causes."""

    job: str
    assets: list[str]
    first_run: str
    first_at: float
    last_at: float
    newest_part: str
    failures: int = 0
    causes: list[str] = field(default_factory=list)


@dataclass
class Cursor:
    """How far runs were looked at, and what is ill. `since`: seconds; 0 before the first look."""

    since: float = 0.0
    seen: list[str] = field(default_factory=list)
    ill: dict[str, Ill] = field(default_factory=dict)


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of every failed run, once for each cause until its job works again; and that it does.",
)
def run_outcomes(
    context: dg.SensorEvaluationContext,
    environment: dg.ResourceParam[Environment],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult:
    """Looks at runs that ended since the last tick, the first time at those of the last day."""
    cursor = read_cursor(context.cursor)
    records = _ended(context.instance, cursor)
    scrub = scrubber(environment)
    news: dict[str, list[Message]] = {}
    told_before = set(cursor.ill)
    for record in sorted(records, key=lambda record: (record.end_time or 0.0, record.storage_id)):
        run = record.dagster_run
        if run.run_id in cursor.seen or record.end_time is None:
            continue
        if run.is_success:
            for key in _healed(cursor, run, record.end_time):
                ill = cursor.ill.pop(key)
                news.pop(key, None)  # what fell ill and healed between two ticks need not be told
                if key in told_before:
                    news[f"{key} healed"] = [_healing(ill, run, record.end_time, settings)]
        elif run.tags.get(WILL_RETRY_TAG) != "true":
            failure = read_failure(context.instance, run, scrub)
            key = _illness(run, failure)
            if _note(cursor, key, run, failure, record.end_time):
                news.setdefault(key, []).append(_shout(key, run, failure, record.end_time, settings))
    if records:
        newest = max(record.update_timestamp for record in records)
        cursor.since = max(cursor.since, newest.replace(tzinfo=UTC).timestamp())
        edge = cursor.since - 2 * _OVERLAP.total_seconds()
        cursor.seen = sorted(
            record.dagster_run.run_id
            for record in records
            if record.update_timestamp.replace(tzinfo=UTC).timestamp() >= edge
        )
        forgotten = cursor.since - _FORGOTTEN_AFTER.total_seconds()
        cursor.ill = {key: ill for key, ill in cursor.ill.items() if ill.last_at > forgotten}
    messages = [message for some in news.values() for message in some]
    tell(environment, clock, context.log, messages)
    said = f"{len(cursor.ill)} jobs fail, and people know" if cursor.ill else "no job fails"
    return dg.SensorResult(
        skip_reason=f"told of {len(messages)}" if messages else said,
        cursor=json.dumps(asdict(cursor), sort_keys=True),
    )


def read_cursor(text: str | None) -> Cursor:
    """The cursor; unreadable: a first tick. What was told keeps its event id, so is not told again."""
    try:
        told = json.loads(text or "{}")
        ill = {str(key): Ill(**one) for key, one in told.get("ill", {}).items()}
        return Cursor(float(told.get("since", 0.0)), [str(run) for run in told.get("seen", [])], ill)
    except (AttributeError, TypeError, ValueError):
        return Cursor()


def _ended(instance: dg.DagsterInstance, cursor: Cursor) -> list[RunRecord]:
    if cursor.since:
        since = datetime.fromtimestamp(cursor.since, UTC) - _OVERLAP
    else:
        newest = instance.get_run_records(
            dg.RunsFilter(statuses=_ENDED), limit=1, order_by="update_timestamp"
        )
        if not newest:
            return []
        since = newest[0].update_timestamp.replace(tzinfo=UTC) - _LOOK_BACK
    return list(
        instance.get_run_records(
            dg.RunsFilter(statuses=_ENDED, updated_after=since),
            limit=RUNS_PER_TICK + len(cursor.seen),
            order_by="update_timestamp",
            ascending=True,
        )
    )


def _illness(run: dg.DagsterRun, failure: RunFailure) -> str:
    """What is ill: a job; of runs asked for by their assets, the step."""
    return f"{run.job_name} {' '.join(failure.steps)}" if run.job_name == AD_HOC else run.job_name


def _note(cursor: Cursor, key: str, run: dg.DagsterRun, failure: RunFailure, ended: float) -> bool:
    """Remember a failure; whether its cause is news."""
    part = newest_part(run)
    ill = cursor.ill.setdefault(key, Ill(run.job_name, list(failure.assets), run.run_id, ended, ended, part))
    ill.failures += 1
    ill.last_at = max(ill.last_at, ended)
    ill.newest_part = max(ill.newest_part, part)
    if failure.cause_hash in ill.causes or len(ill.causes) >= CAUSES_PER_JOB:
        return False
    ill.causes.append(failure.cause_hash)
    return True


def _healed(cursor: Cursor, run: dg.DagsterRun, ended: float) -> list[str]:
    """What a success heals: not a newer morning than its own, nor assets it did not make."""
    made = {".".join(key.path) for key in run.asset_selection or ()}
    return [
        key
        for key, ill in cursor.ill.items()
        if ill.job == run.job_name
        and ended >= ill.last_at
        and newest_part(run) >= ill.newest_part
        and (run.job_name != AD_HOC or made >= set(ill.assets))
    ]


def _shout(key: str, run: dg.DagsterRun, failure: RunFailure, ended: float, settings: Settings) -> Message:
    return Message(
        event_id("run_failed", key, failure.cause_hash, run.run_id),
        "critical" if run.job_name in MONEY_JOBS else "warning",
        failure.sentence(ended, settings.timezone),
        f"{failure.remedy}. Told once until it works again.",
    )


def _healing(ill: Ill, run: dg.DagsterRun, ended: float, settings: Settings) -> Message:
    times = "once" if ill.failures == 1 else f"{ill.failures} times"
    since, at = (
        f"{datetime.fromtimestamp(moment, settings.timezone):%d %b %H:%M}" for moment in (ill.first_at, ended)
    )
    return Message(
        event_id("run_healed", ill.job, ill.first_run),
        "warning",
        f"{what(run)} works again ({at}); it had failed {times} since {since}.",
        f"Nothing is left to do: {run_link(run.run_id)}",
    )
