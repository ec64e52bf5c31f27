"""A failed run in words a person on call can act on: what failed, why, what to do, where to look.

Here: reading one run's events, and whether other runs made up for it. Not here: which runs are told of and
when (`sensors.run_outcomes`), telling (`alerts`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster_shared.error import SerializableErrorInfo

from aelp_assets.alerts import run_link
from aelp_assets.runs import Part, part_of
from aelp_assets.words import shortened

AD_HOC = "__ASSET_JOB"
"""The job of runs that a condition or a person asked for by their assets."""
MONEY_JOBS = frozenset({"decide", "guard_spend", "send_approved"})
"""While one of them fails, budgets stand as they are and runaway spend goes unseen."""
_LONGEST_CAUSE = 400
_NAMED = 3
_READ_EVENTS = 1000
_EVENTS = {
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}
# Their messages are sentences already; of other errors the class is part of what happened.
_OWN = ("resources.", "models.", "aelp_assets.", "sensors.", "dagster")
_RULE = re.compile(r"^([\w.]+?)\.?(\w+): ", re.ASCII)
_VARYING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{7,}\b|\d+")

_REMEDIES = (
    # What the cause says → what to do; the first that fits.
    (r"No space left on device|disk is full", "Free space on the disk of AELP_HOME"),
    (
        r"WarehouseLocked|could not set lock|Conflicting lock",
        "Another process holds the warehouse: end the one it names, or wait for it",
    ),
    (
        r"MissingCredentials|credentials|unauthori[sz]ed|\b401\b",
        "Renew the credentials it names (`aelp connect SOURCE` checks them)",
    ),
    (r"SettingsError|AELP_[A-Z_]+:", "Correct the setting it names"),
    (
        r"process of this run|was interrupted|run worker|has timed out|exceeded maximum runtime|Exited",
        "Its process is gone (memory, a restart, the time limit): look at the machine first",
    ),
)


@dataclass(frozen=True)
class RunFailure:
    """Why one run failed.

    Attributes:
        what: the job and what it was about, such as "decide of 2026-06-30".
        steps: that failed, by name.
        assets: those the failed steps would have made, `schema.table`.
        missing: tables it was to make and did not, or that are unfit; `table:check` of blocking checks that
            failed and of those it was to ask and did not, though the table is there.
        checks: blocking ones that failed, "blocking check NAME of TABLE".
        cause: in words, secrets taken out.
        cause_hash: the same for the same cause, whatever numbers and ids its message holds.
    """

    run_id: str
    what: str
    steps: tuple[str, ...]
    assets: tuple[str, ...]
    missing: tuple[str, ...]
    checks: tuple[str, ...]
    cause: str
    remedy: str
    cause_hash: str

    def sentence(self, ended: float, zone: tzinfo) -> str:
        """What happened, for a notification."""
        at = f"{datetime.fromtimestamp(ended, zone):%d %b %H:%M}"
        where = self.checks or self.assets or self.steps
        return f"{self.what} failed{f' at {_list(where)}' if where else ''} ({at}): {self.cause}"


def read_failure(instance: dg.DagsterInstance, run: dg.DagsterRun, scrub: Callable[[str], str]) -> RunFailure:
    """The failure of a run from its events; a run that could not say why is told of as that."""
    events = [
        record.event_log_entry.dagster_event
        for record in instance.get_records_for_run(run.run_id, of_type=_EVENTS, limit=_READ_EVENTS).records
        if record.event_log_entry.dagster_event is not None
    ]
    checks = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    stopping = [check for check in checks if _stops(check)]
    broken = [f"blocking check {check.check_name} of {'.'.join(check.asset_key.path)}" for check in stopping]
    said = [check.description.strip() for check in stopping if check.description]
    failed = [event for event in events if event.is_step_failure]
    steps = tuple(sorted({event.step_key for event in failed if event.step_key}))
    done = {event.step_key for event in events if event.event_type == dg.DagsterEventType.STEP_SUCCESS}
    planned = _planned(instance, run)
    missing = {key for key, step in planned.items() if step not in done}
    # The checks of a table that was not made are asked when it is.
    missing -= {key for key in missing if isinstance(key, dg.AssetCheckKey) and key.asset_key in missing}
    missing |= {check.asset_check_key for check in stopping}
    missing |= {check.asset_key for check in stopping} & planned.keys()
    errors = [error for event in failed if (error := event.step_failure_data.error) is not None]
    told = dict.fromkeys(map(_in_words, errors)) or {(_said_by_the_run(events), ""): None}
    if broken:
        cause, kind = " ".join(said) or "it gave no reason", "|".join(sorted(broken))
        remedy = "Mend what the check names"
    else:
        cause = "; and: ".join(words for words, _ in told)
        kind = "|".join(sorted({f"{name}|{_VARYING.sub('#', words)[:200]}" for words, name in told}))
        otherwise = "Read the log of the failed step, and mend the cause" if steps else "Read the run's log"
        remedy = ". ".join(dict.fromkeys(_remedy(*one) or otherwise for one in told))
    return RunFailure(
        run.run_id,
        what(run),
        steps,
        tuple(
            sorted(_name(key) for key in planned if isinstance(key, dg.AssetKey) and planned[key] in steps)
        ),
        tuple(sorted(map(_name, missing))),
        tuple(broken),
        shortened(scrub(cause), _LONGEST_CAUSE),
        f"{remedy}; then re-execute it from failure: {run_link(run.run_id)}",
        hashlib.sha256("|".join((*steps, kind)).encode()).hexdigest()[:16],
    )


def _remedy(words: str, name: str) -> str | None:
    said = f"{name} {words}"
    return next((what for pattern, what in _REMEDIES if re.search(pattern, said, re.IGNORECASE)), None)


def what(run: dg.DagsterRun) -> str:
    """A run as people call it: its job, the morning or days it was about, or its assets or checks."""
    if run.job_name == AD_HOC:
        keys = sorted(map(_name, run.asset_selection or ()))
        checks = sorted(map(_name, run.asset_check_selection or ()))
        asked = f"Checking {_list(checks)}" if checks else "A run of assets"
        name = f"Materialising {_list(keys)}" if keys else asked
    else:
        name = run.job_name
    first, last, is_range = part_of(run)
    about = f"{first} to {last}" if is_range else last
    return f"{name} of {about}" if about else name


def made_since(instance: dg.DagsterInstance, missing: Sequence[str], part: Part, since: float) -> bool:
    """Whether all this was made after a moment (seconds), for a morning or for days, by whatever run.

    A newer morning makes up for an older one; each day of a range only for itself; a check is asked again,
    and stops nothing. Nothing missing: nobody knows.
    """
    return bool(missing) and all(_is_made(instance, name, part, since) for name in missing)


def _is_made(instance: dg.DagsterInstance, name: str, part: Part, since: float) -> bool:
    table, _, check = name.partition(":")
    key = dg.AssetKey(table.split("."))
    if check:
        return _is_fit(instance, dg.AssetCheckKey(key, check), since)
    later = dg.AssetRecordsFilter(key, after_timestamp=since)
    records = instance.fetch_materializations(later, limit=1, ascending=True).records
    if not records or records[0].partition_key is None:
        return bool(records)  # a table without days is made as a whole
    made = instance.get_materialized_partitions(key, after_cursor=records[0].storage_id - 1)
    if not part.is_range:
        return any(morning >= part.last for morning in made)
    first, last = date.fromisoformat(part.first), date.fromisoformat(part.last)
    return made >= {str(first + timedelta(days)) for days in range((last - first).days + 1)}


def _is_fit(instance: dg.DagsterInstance, check: dg.AssetCheckKey, since: float) -> bool:
    asked = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    newest = instance.event_log_storage.get_asset_check_execution_history(check, limit=1, status=asked)
    return any(
        record.event.timestamp > since and not _stops(record.evaluation)
        for record in newest
        if record.event is not None and record.evaluation is not None
    )


def _stops(check: AssetCheckEvaluation) -> bool:
    return bool(check.blocking) and not check.passed and check.severity == dg.AssetCheckSeverity.ERROR


def _name(key: dg.AssetKey | dg.AssetCheckKey) -> str:
    if isinstance(key, dg.AssetCheckKey):
        return f"{_name(key.asset_key)}:{key.name}"
    return ".".join(key.path)


def _planned(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[dg.AssetKey | dg.AssetCheckKey, str]:
    """What the run was to make and to check, and the step that does.

    From its plan: of a range its events are too many to read, one for each day of each table.
    """
    if run.execution_plan_snapshot_id is None:
        return {}
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    return {
        key: step.key
        for step in plan.steps
        if step.key in plan.step_keys_to_execute
        for output in step.outputs
        if output.properties is not None
        for key in (output.properties.asset_key, output.properties.asset_check_key)
        if key is not None
    }


def _in_words(error: SerializableErrorInfo) -> tuple[str, str]:
    """The message of the error that matters, and its class: Dagster's own only wraps it."""
    while error.cause is not None and (error.cls_name or "").startswith(("Dagster", "StepExecution")):
        error = error.cause
    message, _, dbt_said = error.message.strip().partition("Errors parsed from dbt logs:")
    message = dbt_said.strip() or message
    name = error.cls_name or ""
    if name == "DagsterExecutionInterruptedError":
        return "it was interrupted: somebody or something ended its process", name
    rule = _RULE.match(message)
    if rule and (rule[2] == name) and rule[1].startswith(_OWN):
        message = message[rule.end() :]
    elif rule and rule[2] == name:
        message = f"{name}: {message[rule.end() :]}"
    return " ".join(message.split()) or name or "an error without words", name


def _said_by_the_run(events: Sequence[Any]) -> str:
    for event in events:
        if event.event_type == dg.DagsterEventType.RUN_FAILURE:
            error = event.job_failure_data.error if event.event_specific_data else None
            said = _in_words(error)[0] if error is not None else event.message
            if said:
                return " ".join(said.split())
    return "its events do not say why."


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
