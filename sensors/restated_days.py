"""Changed slices wake the marts: each restated report day is rebuilt once, in as few runs as possible.

Here: from the ledger to run requests. Not here: how a day is built (`aelp_assets.transform`).
"""

import hashlib
import json
from datetime import date

import dagster as dg

from aelp_assets.jobs import transform_days
from aelp_assets.runner import stale_ranges
from aelp_assets.runs import RANGE_END_TAG, RANGE_START_TAG
from resources import ledger
from resources.clock import Clock
from resources.code_version import source_hash
from resources.settings import Settings
from resources.warehouse.interface import Warehouse, WarehouseLocked
from resources.warehouse.tables import TRANSFORMED_DAYS
from sensors.attempts import (
    MAX_ATTEMPTS,
    RUN_KEY_TAG,
    attempt_key,
    is_under_way,
    newest_run,
    what_became_of,
)

MAX_RUNS_PER_TICK = 3


@dg.sensor(
    job=transform_days,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests the marts of every report day whose slices changed.",
)
def restated_days(
    context: dg.SensorEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult:
    """One run per contiguous range of stale days, again while it fails, at most `MAX_ATTEMPTS` times."""

    def skip(reason: str) -> dg.SensorResult:
        return dg.SensorResult(skip_reason=reason, cursor=context.cursor)

    if is_under_way(context.instance, transform_days.name):
        return skip("marts are being built")
    try:
        if not warehouse.exists(TRANSFORMED_DAYS.name):
            return skip("nothing has been landed yet")
        ranges = stale_ranges(warehouse, clock.now().astimezone(settings.timezone).date())
        states = {span: _state(warehouse, span) for span in ranges}
    except WarehouseLocked as busy:
        return skip(f"warehouse busy: {busy}")
    if not ranges:
        return skip("marts follow the ledger")

    requested = read_cursor(context.cursor)
    attempts = {
        span: made if state == states[span] else 0
        for span in ranges
        for state, made in [requested.get(_name(span), ("", 0))]
    }
    given_up = {span: reason for span in ranges if (reason := _given_up(context, span, states, attempts))}
    # What was never asked for goes first: a range that fails again and again must not keep others waiting.
    waiting = sorted((span for span in ranges if span not in given_up), key=lambda span: attempts[span])
    asked = waiting[:MAX_RUNS_PER_TICK]
    for reason in given_up.values():
        context.log.warning(reason)
    for span in asked:
        attempts[span] += 1
    # Ranges cut off by the limit stay out of the cursor: the next tick after these runs asks for them.
    cursor = {
        _name(span): {"attempts": attempts[span], "state": states[span]} for span in ranges if attempts[span]
    }
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=attempt_key(f"{_name(span)}@{states[span]}", attempts[span]),
                tags={RANGE_START_TAG: span[0].isoformat(), RANGE_END_TAG: span[1].isoformat()},
            )
            for span in asked
        ],
        skip_reason=None if asked else "; ".join(given_up.values()),
        cursor=json.dumps(cursor, sort_keys=True),
    )


def _given_up(
    context: dg.SensorEvaluationContext,
    span: tuple[date, date],
    states: dict[tuple[date, date], str],
    attempts: dict[tuple[date, date], int],
) -> str | None:
    """Why a stale range is not asked for any more; None while it is."""
    if not attempts[span]:
        return None
    key = attempt_key(f"{_name(span)}@{states[span]}", attempts[span])
    last = newest_run(context.instance, transform_days.name, {RUN_KEY_TAG: key})
    canceled = last is not None and last.status == dg.DagsterRunStatus.CANCELED
    if attempts[span] < MAX_ATTEMPTS and not canceled:
        return None
    return (
        f"the last build of {_name(span)} {what_became_of(last)}; {attempts[span]} of {MAX_ATTEMPTS} "
        "attempts; fix the cause its log names and relaunch it: until then these marts are behind the ledger"
    )


def read_cursor(text: str | None) -> dict[str, tuple[str, int]]:
    """State and attempts of each range asked for; an unreadable cursor is a first tick (run keys dedupe)."""
    try:
        cursor = json.loads(text or "{}")
    except json.JSONDecodeError:
        return {}
    if not isinstance(cursor, dict):
        return {}
    return {
        name: (str(asked["state"]), int(asked["attempts"]))
        for name, asked in cursor.items()
        if isinstance(asked, dict) and isinstance(asked.get("attempts"), int) and "state" in asked
    }


def _name(span: tuple[date, date]) -> str:
    return f"{span[0]}..{span[1]}"


def _state(warehouse: Warehouse, span: tuple[date, date]) -> str:
    """What a build of the range would see now: its slices, the period rows, and the SQL itself.

    Without the last two, new period rows on the same day or an edited model would look already asked for.
    """
    dated = ledger.ledger_state(warehouse, *span)["ledger_completed_at"].max()
    undated = ledger.undated_state(warehouse)["ledger_completed_at"].max()
    facts = f"{dated!s}|{undated!s}|{source_hash('dbt_project')}"
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
