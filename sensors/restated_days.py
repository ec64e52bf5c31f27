"""Changed slices wake the marts: each restated report day is rebuilt once, in as few runs as possible.

Here: from the ledger to run requests. Not here: how a day is built (`aelp_assets.transform`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

import dagster as dg

from aelp_assets.jobs import transform_days
from aelp_assets.runner import stale_days
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


@dataclass(frozen=True)
class Asked:
    """Days of one run that it asked for equally often: those of first … last that landed by `seen`.

    Attributes:
        seen: seconds since 1970; a day that landed since is another.
        state: what else the run saw (`_state`).
        attempts: this run's among them.
        run_key: the run's, which may have asked for other days too.
    """

    first: date
    last: date
    seen: float
    state: str
    attempts: int
    run_key: str

    def has(self, day: date, landed: float, state: str) -> bool:
        """Whether the day was asked for as it is now."""
        return self.first <= day <= self.last and landed <= self.seen and state == self.state


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
    """One run per contiguous range of stale days, again while it fails, no day over `MAX_ATTEMPTS` times.

    A day's attempts are its own, until it changes: today beside it does so every hour, and must neither renew
    them nor wait for a day that is given up.
    """

    def skip(reason: str) -> dg.SensorResult:
        return dg.SensorResult(skip_reason=reason, cursor=context.cursor)

    if is_under_way(context.instance, transform_days.name):
        return skip("marts are being built")
    try:
        if not warehouse.exists(TRANSFORMED_DAYS.name):
            return skip("nothing has been landed yet")
        days = stale_days(warehouse, clock.now().astimezone(settings.timezone).date())
        if not days:
            return skip("marts follow the ledger")
        landed, state = _landed(warehouse, days), _state(warehouse)
    except WarehouseLocked as busy:
        return skip(f"warehouse busy: {busy}")

    before = _asked_before(read_cursor(context.cursor), landed, state)
    given_up = {
        asked: reason
        for asked in dict.fromkeys(before.values())
        if (reason := _given_up(context, asked)) is not None
    }
    for reason in given_up.values():
        context.log.warning(reason)
    left = {day for day, asked in before.items() if asked in given_up}
    attempts = {day: before[day].attempts if day in before else 0 for day in days if day not in left}
    ranges = {
        (first, last): {day: made for day, made in attempts.items() if first <= day <= last}
        for first, last in ledger.contiguous(list(attempts), apart=left)
    }
    # What was never asked for goes first: a range that fails again and again must not keep others waiting.
    waiting = sorted(ranges, key=lambda span: max(ranges[span].values()))
    asked_now = {span: _asked(ranges[span], landed, state) for span in waiting[:MAX_RUNS_PER_TICK]}
    # Ranges cut off by the limit are remembered as they were: the next tick after these runs asks for them.
    asked_for = {day for span in asked_now for day in ranges[span]}
    kept = dict.fromkeys(asked for day, asked in before.items() if day not in asked_for)
    cursor = [asdict(asked) for group in (kept, *asked_now.values()) for asked in group]
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=asked[0].run_key,
                tags={RANGE_START_TAG: first.isoformat(), RANGE_END_TAG: last.isoformat()},
            )
            for (first, last), asked in asked_now.items()
        ],
        skip_reason=None if asked_now else "; ".join(given_up.values()),
        cursor=json.dumps({"asked": cursor}, sort_keys=True, default=str),
    )


def _asked_before(known: Sequence[Asked], landed: Mapping[date, float], state: str) -> dict[date, Asked]:
    """The last request for each stale day, of those it was asked for in as it is now."""
    return {
        day: asked
        for asked in sorted(known, key=lambda asked: asked.attempts)
        for day, at in landed.items()
        if asked.has(day, at, state)
    }


def _asked(made: Mapping[date, int], landed: Mapping[date, float], state: str) -> list[Asked]:
    """What a run for these days leaves to remember: a group for each number of attempts made so far."""
    facts = hashlib.sha256(f"{max(landed[day] for day in made)}|{state}".encode()).hexdigest()[:16]
    key = attempt_key(f"{min(made)}..{max(made)}@{facts}", max(made.values()) + 1)
    groups = {count: [day for day in made if made[day] == count] for count in dict.fromkeys(made.values())}
    return [
        Asked(min(days), max(days), max(landed[day] for day in days), state, count + 1, key)
        for count, days in groups.items()
    ]


def _given_up(context: dg.SensorEvaluationContext, asked: Asked) -> str | None:
    """Why these days are not asked for any more; None while they are."""
    last = newest_run(context.instance, transform_days.name, {RUN_KEY_TAG: asked.run_key})
    canceled = last is not None and last.status == dg.DagsterRunStatus.CANCELED
    if asked.attempts < MAX_ATTEMPTS and not canceled:
        return None
    return (
        f"the last build of {asked.first}..{asked.last} {what_became_of(last)}; {asked.attempts} of "
        f"{MAX_ATTEMPTS} attempts; fix the cause its log names and relaunch it: until then these marts are "
        "behind the ledger"
    )


def read_cursor(text: str | None) -> list[Asked]:
    """What was asked for; an unreadable cursor is a first tick (run keys dedupe)."""
    try:
        return [
            Asked(
                date.fromisoformat(asked["first"]),
                date.fromisoformat(asked["last"]),
                float(asked["seen"]),
                str(asked["state"]),
                int(asked["attempts"]),
                str(asked["run_key"]),
            )
            for asked in json.loads(text or "{}").get("asked", [])
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def _landed(warehouse: Warehouse, days: Sequence[date]) -> dict[date, float]:
    """When each day's newest changed slice landed; 0 for a day of which none did."""
    rows = ledger.ledger_state(warehouse, min(days), max(days)).iter_rows()
    found = {day: at.timestamp() for day, at in rows}
    return {day: found.get(day, 0.0) for day in days}


def _state(warehouse: Warehouse) -> str:
    """What a build sees beside its days: the period rows and the SQL itself.

    Without them, new period rows on the same day or an edited model would look already asked for.
    """
    undated = ledger.undated_state(warehouse)["ledger_completed_at"].max()
    return hashlib.sha256(f"{undated!s}|{source_hash('dbt_project')}".encode()).hexdigest()[:16]
