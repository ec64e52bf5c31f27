"""Changed slices wake the marts: each restated report day is rebuilt once, in as few runs as possible.

Here: from the ledger to run requests. Not here: how a day is built (`aelp_assets.transform`).
"""

import hashlib
import json
from datetime import date

import dagster as dg

from aelp_assets.jobs import transform_days
from aelp_assets.runner import stale_ranges
from resources import ledger
from resources.clock import Clock
from resources.code_version import source_hash
from resources.settings import Settings
from resources.warehouse.interface import Warehouse, WarehouseLocked
from resources.warehouse.tables import TRANSFORMED_DAYS

MAX_RUNS_PER_TICK = 3
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_START, _END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


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
    """One run per contiguous range of stale days; a range already asked for is not asked for again."""
    requested = read_cursor(context.cursor)
    if context.instance.get_runs(
        filters=dg.RunsFilter(job_name=transform_days.name, statuses=_UNFINISHED), limit=1
    ):
        return dg.SensorResult(skip_reason="marts are being built", cursor=context.cursor)
    try:
        if not warehouse.exists(TRANSFORMED_DAYS.name):
            return dg.SensorResult(skip_reason="nothing has been landed yet", cursor=context.cursor)
        ranges = stale_ranges(warehouse, clock.now().astimezone(settings.timezone).date())
        states = {_name(span): _state(warehouse, span) for span in ranges}
    except WarehouseLocked as busy:
        return dg.SensorResult(skip_reason=f"warehouse busy: {busy}", cursor=context.cursor)
    waiting = [span for span in ranges if requested.get(_name(span)) != states[_name(span)]]
    asked = waiting[:MAX_RUNS_PER_TICK]
    if not asked:
        return dg.SensorResult(skip_reason="marts follow the ledger", cursor=context.cursor)
    # Ranges cut off by the limit stay out of the cursor: the next tick after these runs asks for them.
    left = {_name(span) for span in waiting[MAX_RUNS_PER_TICK:]}
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"{_name(span)}@{states[_name(span)]}",
                tags={_START: span[0].isoformat(), _END: span[1].isoformat()},
            )
            for span in asked
        ],
        cursor=json.dumps(
            {name: state for name, state in states.items() if name not in left}, sort_keys=True
        ),
    )


def read_cursor(text: str | None) -> dict[str, str]:
    """The ranges asked for last, by name; an unreadable cursor is a first tick (run keys still dedupe)."""
    try:
        cursor = json.loads(text or "{}")
    except json.JSONDecodeError:
        return {}
    return cursor if isinstance(cursor, dict) else {}


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
