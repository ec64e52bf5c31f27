"""Failed runs, told once for each cause until the job works again, and that it does.

Here: which ended runs are news. Not here: why a run failed (`aelp_assets.run_failures`), telling
(`aelp_assets.alerts`).

A cursor over ended runs and not Dagster's run-failure sensor: that one knows neither healing nor runs begun
in a shell.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.tags import WILL_RETRY_TAG

from aelp_assets.alerts import event_id, run_link, scrubber, tell
from aelp_assets.run_failures import (
    AD_HOC,
    MONEY_JOBS,
    RunFailure,
    made_since,
    read_failure,
    what,
)
from aelp_assets.runs import Part, part_of
from resources.notifier import Message
from resources.settings import Environment, Settings

RUNS_PER_TICK = 100
CAUSES_PER_JOB = 5
"""A job that fails in ever new words is told of so often; the rest stands in the UI."""
# A run may be stored a little later than it says, by a machine whose clock goes a little behind.
_OVERLAP = timedelta(minutes=10)
_LOOK_BACK = timedelta(days=1)
_FORGOTTEN_AFTER = timedelta(days=30)
_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]


@dataclass
class Ill:
    """A job that fails: since which run, how often, for which causes.

    Attributes:
        what: its first failed run as people call it; empty where a cursor of before holds the illness.
        assets: what failed runs were to make or to check and did not; empty where that is unknown.
        parts: what each failed run was about, until a success covers it.
    """

    job: str
    assets: list[str]
    first_run: str
    first_at: float
    last_at: float
    what: str = ""
    parts: list[Part] = field(default_factory=list)
    failures: int = 0
    causes: list[str] = field(default_factory=list)


@dataclass
class Cursor:
    """How far runs were looked at, and what is ill.

    Attributes:
        since: seconds; 0 before the first look.
        left: failures of which Dagster had not yet said whether it tries them again.
    """

    since: float = 0.0
    seen: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
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
) -> dg.SensorResult:
    """Looks at runs that ended since the last tick, the first time at those of the last day."""
    cursor = read_cursor(context.cursor)
    records = _ended(context.instance, cursor)
    scrub = scrubber(environment)
    news: dict[str, list[Message]] = {}
    told_before = set(cursor.ill)
    waiting, left = set[str](), list[RunRecord]()
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
        elif _is_tried_again(run):
            waiting.add(run.run_id)
        elif _is_undecided(context.instance, run) and run.run_id not in cursor.left:
            left.append(record)
        else:
            failure = read_failure(context.instance, run, scrub)
            assets = failure.missing or _selected(run)
            key = _illness(run, failure.steps or assets)
            if _note(cursor, key, run, failure, assets, record.end_time):
                news.setdefault(key, []).append(_shout(key, run, failure, record.end_time, settings))
    if records:
        for key in _made_up(context.instance, cursor):
            ill = cursor.ill.pop(key)
            news.pop(key, None)
            if key in told_before:
                news[f"{key} healed"] = [_making_up(ill, settings)]
        newest = max(_stored(record) for record in records)
        # Not beyond what was left: the next tick must find it.
        cursor.since = max(cursor.since, min([newest, *map(_stored, left)]))
        cursor.left = sorted(record.dagster_run.run_id for record in left)
        edge = cursor.since - 2 * _OVERLAP.total_seconds()
        cursor.seen = sorted(
            {record.dagster_run.run_id for record in records if _stored(record) >= edge}
            - {*waiting, *cursor.left}
        )
        forgotten = cursor.since - _FORGOTTEN_AFTER.total_seconds()
        cursor.ill = {key: ill for key, ill in cursor.ill.items() if ill.last_at > forgotten}
    messages = [message for some in news.values() for message in some]
    tell(environment, context.log, messages)
    said = f"{len(cursor.ill)} jobs fail, and people know" if cursor.ill else "no job fails"
    return dg.SensorResult(
        skip_reason=f"told of {len(messages)}" if messages else said,
        cursor=json.dumps(asdict(cursor), sort_keys=True),
    )


def read_cursor(text: str | None) -> Cursor:
    """The cursor; unreadable: a first tick.

    What failed within the last day keeps its event ids and is not told again. What fell ill before is
    forgotten: its next failure is told anew, and its healing only after that.
    """
    try:
        told = json.loads(text or "{}")
        ill = {str(key): _read_ill(one) for key, one in told.get("ill", {}).items()}
        seen, left = ([str(run) for run in told.get(name, [])] for name in ("seen", "left"))
        return Cursor(float(told.get("since", 0.0)), seen, left, ill)
    except (AttributeError, TypeError, ValueError):
        return Cursor()


def _read_ill(one: dict[str, Any]) -> Ill:
    # Cursors used to hold the two ends alone.
    parts = [Part(first, last, any(said) or first != last) for first, last, *said in one.get("parts", [])]
    return Ill(**{**one, "parts": parts})


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


def _stored(record: RunRecord) -> float:
    return record.update_timestamp.replace(tzinfo=UTC).timestamp()


def _is_tried_again(run: dg.DagsterRun) -> bool:
    """Whether Dagster tries the run again. It says so of runs begun in a shell too, and cannot."""
    return run.tags.get(WILL_RETRY_TAG) == "true" and run.remote_job_origin is not None


def _is_undecided(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Dagster stores a failure, and a moment later whether it tries again: never, where it dies between."""
    return instance.run_retries_enabled and WILL_RETRY_TAG not in run.tags


def _selected(run: dg.DagsterRun) -> tuple[str, ...]:
    return tuple(sorted(".".join(key.path) for key in run.asset_selection or ()))


def _illness(run: dg.DagsterRun, parts: Sequence[str]) -> str:
    """What is ill: a job; of runs asked for by their assets, the steps, or the assets where none began."""
    return f"{run.job_name} {' '.join(parts)}" if run.job_name == AD_HOC else run.job_name


def _note(
    cursor: Cursor, key: str, run: dg.DagsterRun, failure: RunFailure, assets: Sequence[str], ended: float
) -> bool:
    """Remember a failure; whether its cause is news."""
    ill = cursor.ill.setdefault(key, Ill(run.job_name, [], run.run_id, ended, ended, what(run)))
    ill.assets = sorted({*ill.assets, *assets})
    ill.failures += 1
    ill.last_at = max(ill.last_at, ended)
    if (part := part_of(run)) not in ill.parts:
        ill.parts.append(part)
    if failure.cause_hash in ill.causes or len(ill.causes) >= CAUSES_PER_JOB:
        return False
    ill.causes.append(failure.cause_hash)
    return True


def _healed(cursor: Cursor, run: dg.DagsterRun, ended: float) -> list[str]:
    """What a success heals: not a newer morning than its own, days it did not cover, assets it did not make.

    Ranges of days that failed one by one heal one by one: the job is well once none is left.
    """
    healed = []
    for key, ill in cursor.ill.items():
        if ill.job != run.job_name or ended < ill.last_at or not _makes(run, ill.assets):
            continue
        ill.parts = [part for part in ill.parts if not _covers(run, part)]
        if not ill.parts:
            healed.append(key)
    return healed


def _made_up(instance: dg.DagsterInstance, cursor: Cursor) -> list[str]:
    """What is well though its own job has not run again: all it was to make came from other runs."""
    # Cursors of before hold only what the failed steps make, not what was to follow.
    for ill in (ill for ill in cursor.ill.values() if ill.what):
        ill.parts = [part for part in ill.parts if not made_since(instance, ill.assets, part, ill.last_at)]
    return [key for key, ill in cursor.ill.items() if not ill.parts]


def _makes(run: dg.DagsterRun, assets: Sequence[str]) -> bool:
    """Whether a run made these assets; none: whatever its job makes."""
    if not run.asset_selection and run.job_name != AD_HOC:
        return True
    return bool(assets) and {*_selected(run)} >= {*assets}


def _covers(run: dg.DagsterRun, part: Part) -> bool:
    """A morning covers those before it, as its job starts from all that is known; a range its own days."""
    made = part_of(run)
    is_morning = not part.is_range and not made.is_range
    return made.last >= part.last and (is_morning or made.first <= part.first)


def _shout(key: str, run: dg.DagsterRun, failure: RunFailure, ended: float, settings: Settings) -> Message:
    return Message(
        event_id("run_failed", key, failure.cause_hash, run.run_id),
        "critical" if run.job_name in MONEY_JOBS else "warning",
        failure.sentence(ended, settings.timezone),
        f"{failure.remedy}. Told once until it works again.",
    )


def _healing(ill: Ill, run: dg.DagsterRun, ended: float, settings: Settings) -> Message:
    at = f"{datetime.fromtimestamp(ended, settings.timezone):%d %b %H:%M}"
    return Message(
        event_id("run_healed", ill.job, ill.first_run),
        "warning",
        f"{what(run)} works again ({at}); it had failed {_times(ill, settings)}.",
        f"Nothing is left to do: {run_link(run.run_id)}",
    )


def _making_up(ill: Ill, settings: Settings) -> Message:
    return Message(
        event_id("run_healed", ill.job, ill.first_run),
        "warning",
        f"Other runs have done what {ill.what} was to do; it had failed {_times(ill, settings)}.",
        f"Nothing is left to do: {run_link(ill.first_run)}",
    )


def _times(ill: Ill, settings: Settings) -> str:
    times = "once" if ill.failures == 1 else f"{ill.failures} times"
    return f"{times} since {datetime.fromtimestamp(ill.first_at, settings.timezone):%d %b %H:%M}"
