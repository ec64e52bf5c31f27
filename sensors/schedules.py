"""The clock's part: the 09:00 decision and the weekly backtest, in the business's own time zone.

Here: cron and which morning is meant. Not here: what a morning runs (`aelp_assets.jobs`).
"""

from collections.abc import Iterator

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from aelp_assets.jobs import backtest, decide
from resources.settings import load_settings, read_environment

_ON = dg.DefaultScheduleStatus.RUNNING
_timezone = load_settings(read_environment().settings_path).business_timezone


def _morning(context: dg.ScheduleEvaluationContext) -> str:
    # The scheduled moment already carries the business time zone: its date is the morning's name, DST or not.
    return context.scheduled_execution_time.date().isoformat()


@dg.schedule(job=decide, cron_schedule="0 9 * * *", execution_timezone=_timezone, default_status=_ON)
def daily_decision(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Decide at 09:00 on what was known that morning."""
    morning = _morning(context)
    yield dg.RunRequest(run_key=f"decide-{morning}", partition_key=morning)


@dg.schedule(job=backtest, cron_schedule="0 5 * * 2", execution_timezone=_timezone, default_status=_ON)
def weekly_backtest(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Score the forecaster every Tuesday before work begins."""
    morning = _morning(context)
    yield dg.RunRequest(run_key=f"backtest-{morning}", partition_key=morning)


def pulls_every_four_hours(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Ask live sources for what is due; planning knows which days that is."""
    return dg.ScheduleDefinition(
        name="pulls_every_four_hours",
        job=job,
        cron_schedule="0 */4 * * *",
        execution_timezone=_timezone,
        default_status=_ON,
    )


SCHEDULES = [daily_decision, weekly_backtest]
