"""The clock's part, in the business's zone: each day's loop, each hour's pull, each week's studies.

Here: cron and which morning is meant. Not here: what a morning runs (`aelp_assets.jobs`).
"""

import inspect
from collections.abc import Callable, Iterator
from datetime import UTC

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from aelp_assets.jobs import (
    MODELS,
    backtest,
    decide,
    fit_media_mix,
    guard_spend,
    judge_experiments,
    rank_creatives,
    refresh_models,
    review,
    test_creatives,
    watch,
)
from aelp_assets.partitions import decision_days
from aelp_assets.runner import FINGERPRINT_TAG, fingerprint, rested_on
from aelp_assets.runs import PARTITION_TAG, UNFINISHED
from resources.clock import Clock
from resources.settings import Environment, Settings, load_settings, read_environment
from resources.warehouse.interface import Warehouse, WarehouseLocked
from sensors.attempts import is_under_way, newest_run
from sensors.late_decision import days_behind

_ON = dg.DefaultScheduleStatus.RUNNING
_timezone = load_settings(read_environment().settings_path).business_timezone


_Tick = Callable[..., Iterator[dg.RunRequest] | dg.RunRequest | dg.SkipReason]


def _clocked(cron: str, job: UnresolvedAssetJobDefinition) -> Callable[[_Tick], dg.ScheduleDefinition]:
    """A schedule in the business's zone, on by default; its docstring describes it in the UI."""

    def schedule(tick: _Tick) -> dg.ScheduleDefinition:
        return dg.schedule(
            job=job,
            cron_schedule=cron,
            execution_timezone=_timezone,
            default_status=_ON,
            description=inspect.getdoc(tick),
        )(tick)

    return schedule


def _morning(context: dg.ScheduleEvaluationContext) -> str:
    # The scheduled moment already carries the business time zone: its date is the morning's name, DST or not.
    return context.scheduled_execution_time.date().isoformat()


@_clocked("0 6 * * *", refresh_models)
def daily_refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Before the review, ask once more for what of today's models the night has not brought.

    A change that fails is not asked for again before the next one (`sensors.automation`): what ended at two
    in the morning for a passing reason would else be missing until the marts change.
    """
    morning = _morning(context)
    if behind := _not_there(context.instance, morning):
        context.log.info(f"asking again for {', '.join(behind)}")
        return dg.RunRequest(run_key=f"refresh-{morning}", partition_key=morning)
    return dg.SkipReason("today's models are there")


def _not_there(instance: dg.DagsterInstance, morning: str) -> list[str]:
    """Models of the morning that were never made, or whose newest run failed."""
    there = dg.AssetPartitionStatus.MATERIALIZED, dg.AssetPartitionStatus.IN_PROGRESS
    behind = []
    for key in MODELS:
        status = instance.get_status_by_partition(key, [morning], decision_days) or {}
        if status.get(morning) not in there:
            behind.append(key.to_user_string())
    return behind


@_clocked("0 9 * * *", decide)
def daily_decision(
    context: dg.ScheduleEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    environment: dg.ResourceParam[Environment],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.RunRequest | dg.SkipReason:
    """Decide at 09:00 on what was known that morning; while marts are behind, as soon as they follow.

    Left to `undecided_morning` then, and where another program holds the warehouse. What a run decides or
    has decided on the same evidence, as of `aelp run` before nine, is not decided beside it or again.
    """
    morning = context.scheduled_execution_time.date()
    try:
        if behind := days_behind(warehouse, morning):
            return dg.SkipReason(f"marts are behind the ledger: {behind}; decided as soon as they follow")
        inputs = fingerprint(warehouse, settings, morning, environment, clock)
    except WarehouseLocked as busy:
        return dg.SkipReason(f"warehouse busy: {busy}")
    last = newest_run(context.instance, decide.name, {PARTITION_TAG: morning.isoformat()})
    if last is not None and (last.status in UNFINISHED or (last.is_success and rested_on(last, inputs))):
        return dg.SkipReason(f"run {last.run_id[:8]} decides {morning}, or has on the same evidence")
    tags = {FINGERPRINT_TAG: inputs}
    return dg.RunRequest(run_key=f"decide-{morning}", partition_key=morning.isoformat(), tags=tags)


@_clocked("0 5 * * 2", backtest)
def weekly_backtest(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Score the forecaster every Tuesday before work begins."""
    morning = _morning(context)
    yield dg.RunRequest(run_key=f"backtest-{morning}", partition_key=morning)


@_clocked("30 5 * * 2", rank_creatives)
def weekly_ranking(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Train and judge who ranks new ads every Tuesday, and score every creative."""
    morning = _morning(context)
    yield dg.RunRequest(run_key=f"ranking-{morning}", partition_key=morning)


@_clocked("0 5 * * 3", fit_media_mix)
def weekly_media_mix(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Fit the media mix every Wednesday before the day's decision."""
    morning = _morning(context)
    yield dg.RunRequest(run_key=f"media-mix-{morning}", partition_key=morning)


@_clocked("0 5 * * 4", judge_experiments)
def weekly_experiments(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Judge the split tests every Thursday before creative work begins."""
    morning = _morning(context)
    yield dg.RunRequest(run_key=f"experiments-{morning}", partition_key=morning)


@_clocked("0 14 * * *", test_creatives)
def daily_creative_tests(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """At 14:00, how the running split tests stand: early enough to stop a harmful arm the same day."""
    morning = _morning(context)
    yield dg.RunRequest(run_key=f"creative-tests-{morning}", partition_key=morning)


@_clocked("0 7 * * *", review)
def daily_review(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Look back at 07:00: what happened yesterday, and whether it was foreseen."""
    morning = _morning(context)
    yield dg.RunRequest(run_key=f"review-{morning}", partition_key=morning)


@_clocked("30 9 * * *", watch)
def daily_watch(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Half an hour after the decision, tell of what it proposes: a stop unsigned for a day runs out."""
    morning = _morning(context)
    yield dg.RunRequest(run_key=f"watch-{morning}", partition_key=morning)


@_clocked("30 * * * *", guard_spend)
def spend_every_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Half an hour after each pull, today's spend is held against its course."""
    if is_under_way(context.instance, guard_spend.name):
        return dg.SkipReason("the last look is still queued or running")
    hour = context.scheduled_execution_time.astimezone(UTC)
    return dg.RunRequest(run_key=f"spend-{hour:%Y-%m-%dT%H:%M}", partition_key=_morning(context))


def pulls_every_hour(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Ask live sources for what is due, unless the last asking is still under way.

    Planning knows what that is (today's spend every hour, the last week every four, the retry queue whenever
    a wait is over), and an hour in which nothing is due costs no call.
    """

    @_clocked("0 * * * *", job)
    def pulls_every_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Ask live sources for what is due; an hour in which nothing is due costs no call."""
        # A run whose process died unseen is ended by run monitoring (dagster.yaml).
        if is_under_way(context.instance, job.name):
            return dg.SkipReason("the last pull is still queued or running; this hour's is left to the next")
        # In UTC: the hour a clock is put back comes twice, and both are pulled.
        hour = context.scheduled_execution_time.astimezone(UTC)
        return dg.RunRequest(run_key=f"pull-{hour:%Y-%m-%dT%H:%M}")

    return pulls_every_hour


SCHEDULES = [
    daily_review,
    daily_decision,
    daily_watch,
    daily_creative_tests,
    weekly_backtest,
    weekly_ranking,
    weekly_media_mix,
    weekly_experiments,
]
