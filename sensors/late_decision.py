"""A morning that could not be decided at 09:00, or whose decision failed, is decided once it can be.

Here: noticing, and how often. Not here: the decision at 09:00 (`schedules`), what one rests on (`runner`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, ScheduleInstigatorData, TickStatus

from aelp_assets.bandits import decision_moment
from aelp_assets.jobs import decide, transform_days
from aelp_assets.run_failures import read_failure
from aelp_assets.runner import FINGERPRINT_TAG, fingerprint, rested_on, stale_ranges
from aelp_assets.runs import PARTITION_TAG
from resources.clock import Clock
from resources.settings import Environment, Settings
from resources.warehouse.interface import Warehouse, WarehouseLocked
from resources.warehouse.tables import TRANSFORMED_DAYS
from sensors.attempts import MAX_ATTEMPTS, RUN_KEY_TAG, attempt_key, is_under_way, what_became_of

DECISION_SCHEDULE = "daily_decision"


@dg.sensor(
    job=decide,
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for today's decision where marts were behind at nine, and again where it failed and "
    "data, settings or code changed since; once more as they are where no check had stopped it.",
)
def undecided_morning(
    context: dg.SensorEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    environment: dg.ResourceParam[Environment],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.RunRequest | dg.SkipReason:
    """One run per state of what the morning rests on, at most `MAX_ATTEMPTS` a morning after the first.

    A gate that refused stale data at 09:00 refuses them at 09:02 too; asked for again is only what may end
    otherwise. What no check stopped may have met a held file or a full disk: it is tried once more on the
    same. Each run carries what it rested on. A person's own run, for which the schedule may have stood back
    at nine, can end because they interrupted it: the morning is then decided once without them.
    """
    today = clock.now().astimezone(settings.timezone).date()
    if is_under_way(context.instance, decide.name):
        return dg.SkipReason("a decision is under way")
    runs = context.instance.get_runs(
        dg.RunsFilter(job_name=decide.name, tags={PARTITION_TAG: today.isoformat()})
    )
    last = runs[0] if runs else None
    fate = f"the decision of {today} {what_became_of(last)}"
    if last is not None and not _is_open(last):
        return dg.SkipReason(fate)
    if wait := _left_to_schedule(context.instance, today, settings, clock):
        return dg.SkipReason(wait)
    if is_under_way(context.instance, transform_days.name):
        return dg.SkipReason("marts are being built")
    try:
        if behind := days_behind(warehouse, today):
            return dg.SkipReason(f"marts are behind the ledger: {behind}")
        inputs = fingerprint(warehouse, settings, today, environment, clock)
    except WarehouseLocked as busy:
        return dg.SkipReason(f"warehouse busy: {busy}")
    tried = [run for run in runs if _is_unattended(run) and rested_on(run, inputs)]
    if tried and not _may_pass(context.instance, tried):
        return dg.SkipReason(f"{fate}; nothing it rests on has changed since")
    asked = {run.tags.get(RUN_KEY_TAG) for run in runs}
    attempts = [0] if last is None else range(1, MAX_ATTEMPTS + 1)
    keys = [key for attempt in attempts if (key := attempt_key(f"decide-{today}", attempt)) not in asked]
    if not keys:
        return dg.SkipReason(
            f"{fate} after {MAX_ATTEMPTS} further attempts; fix the cause its log names and relaunch it"
        )
    return dg.RunRequest(keys[0], partition_key=today.isoformat(), tags={FINGERPRINT_TAG: inputs})


def _is_unattended(run: dg.DagsterRun) -> bool:
    return RUN_KEY_TAG in run.tags


def _is_open(run: dg.DagsterRun) -> bool:
    """Whether the morning is undecided after this run: it failed, or who started it themselves ended it."""
    was_ended = run.status == dg.DagsterRunStatus.CANCELED and not _is_unattended(run)
    return run.status == dg.DagsterRunStatus.FAILURE or was_ended


def _may_pass(instance: dg.DagsterInstance, tried: Sequence[dg.DagsterRun]) -> bool:
    """Whether what failed on the same evidence was asked for once only, and failed without a check.

    A run that Dagster or a person executed again has the key of the one before it.
    """
    return len({run.tags[RUN_KEY_TAG] for run in tried}) == 1 and all(
        run.status == dg.DagsterRunStatus.FAILURE and not read_failure(instance, run, str).checks
        for run in tried
    )


def _left_to_schedule(
    instance: dg.DagsterInstance, today: date, settings: Settings, clock: Clock
) -> str | None:
    """Why an undecided morning is `daily_decision`'s still; None: it has looked, or cannot any more.

    The two tick beside each other: until the tick of nine has ended, its run may be about to begin, also
    where a daemon that was down makes up for it. Where no tick was ever kept there is nothing to wait for,
    nor where the schedule was switched on after nine.
    """
    nine = decision_moment(today, settings)
    kept = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    states = [state for state in kept if state.instigator_name == DECISION_SCHEDULE]
    running = [state for state in states if state.is_running]
    if states and not running:
        return f"{DECISION_SCHEDULE} is switched off"
    newest = [
        instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        for state in running
        if _switched_on(state) <= nine.timestamp()
    ]
    ticks = [tick for tick, *_ in filter(None, newest)]
    has_looked = not ticks or any(
        tick.timestamp >= nine.timestamp() and tick.status is not TickStatus.STARTED for tick in ticks
    )
    return None if has_looked and clock.now() >= nine else f"the decision of {today} is not asked for yet"


def _switched_on(schedule: InstigatorState) -> float:
    """When, in seconds; Dagster makes up for no tick of before. 0: by its code, from the beginning."""
    data = schedule.instigator_data
    return (isinstance(data, ScheduleInstigatorData) and data.start_timestamp) or 0.0


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
