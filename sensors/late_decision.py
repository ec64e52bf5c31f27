"""A morning that could not be decided at 09:00, or whose decision failed, is decided once it can be.

Here: noticing, and how often. Not here: the decision at 09:00 (`schedules`), what one rests on (`runner`).
"""

from __future__ import annotations

import json
from datetime import date

import dagster as dg

from aelp_assets.jobs import decide, transform_days
from aelp_assets.runner import fingerprint, stale_ranges
from aelp_assets.runs import PARTITION_TAG
from resources.clock import Clock
from resources.settings import Environment, Settings
from resources.warehouse.interface import Warehouse, WarehouseLocked
from resources.warehouse.tables import TRANSFORMED_DAYS
from sensors.attempts import MAX_ATTEMPTS, attempt_key, is_under_way, newest_run, what_became_of

DECISION_HOUR = 9
"""At which a morning is decided, in the business's time zone."""


@dg.sensor(
    job=decide,
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for today's decision where marts were behind at nine, and again where it failed and "
    "data, settings or code changed since.",
)
def undecided_morning(
    context: dg.SensorEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    environment: dg.ResourceParam[Environment],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult:
    """One run per state of what the morning rests on, at most `MAX_ATTEMPTS` a morning.

    A gate that refused stale data at 09:00 refuses them at 09:02 too; asked for again is only what may end
    otherwise. The state is noted at the first tick after the failure: what changed while the decision ran is
    seen by the next change.
    """

    def skip(reason: str, cursor: str | None = context.cursor) -> dg.SensorResult:
        return dg.SensorResult(skip_reason=reason, cursor=cursor)

    today = clock.now().astimezone(settings.timezone).date()
    if is_under_way(context.instance, decide.name):
        return skip("a decision is under way")
    last = newest_run(context.instance, decide.name, {PARTITION_TAG: today.isoformat()})
    if last is None and clock.now().astimezone(settings.timezone).hour < DECISION_HOUR:
        return skip(f"the decision of {today} has not been asked for yet")
    if last is not None and last.status != dg.DagsterRunStatus.FAILURE:
        return skip(f"the decision of {today} {what_became_of(last)}")
    if is_under_way(context.instance, transform_days.name):
        return skip("marts are being built")
    try:
        if behind := days_behind(warehouse, today):
            return skip(f"marts are behind the ledger: {behind}")
        inputs = fingerprint(warehouse, settings, today, environment, clock)
    except WarehouseLocked as busy:
        return skip(f"warehouse busy: {busy}")
    if last is None:
        first = dg.RunRequest(run_key=attempt_key(f"decide-{today}", 0), partition_key=today.isoformat())
        return dg.SensorResult(run_requests=[first], cursor=_cursor(today, inputs, 0))
    seen = read_cursor(context.cursor)
    if seen is None or seen[0] != today:
        return skip(f"the decision of {today} {what_became_of(last)}", _cursor(today, inputs, 0))
    _, failed_on, attempts = seen
    if inputs == failed_on:
        return skip(f"the decision of {today} {what_became_of(last)}; nothing it rests on has changed since")
    if attempts >= MAX_ATTEMPTS:
        return skip(
            f"the decision of {today} {what_became_of(last)} after {attempts} further attempts; fix the "
            "cause its log names and relaunch it"
        )
    request = dg.RunRequest(
        run_key=attempt_key(f"decide-{today}", attempts + 1), partition_key=today.isoformat()
    )
    return dg.SensorResult(run_requests=[request], cursor=_cursor(today, inputs, attempts + 1))


def days_behind(warehouse: Warehouse, morning: date) -> str:
    """The report days before a morning whose marts wait to be built; empty where none does.

    The morning's own day is no evidence, and is behind after every hourly pull.

    Raises:
        WarehouseLocked: another program holds the warehouse.
    """
    if not warehouse.exists(TRANSFORMED_DAYS.name):
        return ""
    ranges = stale_ranges(warehouse, morning)
    return ", ".join(f"{first} to {min(last, morning)}" for first, last in ranges if first < morning)


def _cursor(today: date, inputs: str, attempts: int) -> str:
    told = {"attempts": attempts, "inputs": inputs, "morning": today.isoformat()}
    return json.dumps(told, sort_keys=True)


def read_cursor(text: str | None) -> tuple[date, str, int] | None:
    """The morning, what its failed decision rested on and the attempts so far; None: a first tick."""
    try:
        cursor = json.loads(text or "{}")
        return date.fromisoformat(cursor["morning"]), str(cursor["inputs"]), int(cursor["attempts"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
