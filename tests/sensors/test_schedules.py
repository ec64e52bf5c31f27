"""The clock's part across a year: one decision per local morning, whatever the clocks do."""

import uuid
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator  # what the daemon itself walks

from aelp_assets.jobs import MODELS, pull_sources
from aelp_assets.partitions import decision_days
from aelp_assets.runner import prepare_warehouse
from resources.clock import FixedClock
from resources.settings import load_settings, read_environment
from resources.warehouse.duckdb import DuckDBWarehouse
from sensors.schedules import (
    SCHEDULES,
    daily_decision,
    daily_refresh,
    pulls_every_hour,
    spend_every_hour,
    weekly_backtest,
)

NEW_YORK = ZoneInfo("America/New_York")
HOURLY = pulls_every_hour(pull_sources(["tiktok"]))
YEAR = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
SPRING_FORWARD, FALL_BACK = date(2026, 3, 8), date(2026, 11, 1)


def moments(schedule, start, end):
    walked = schedule_execution_time_iterator(
        start.timestamp(), schedule.cron_schedule, schedule.execution_timezone
    )
    return list(takewhile(lambda moment: moment < end, walked))


@pytest.fixture(scope="module")
def requests(tmp_path_factory):
    """What a schedule asks for at a moment, in a home before its first landing."""
    environment = read_environment({"AELP_HOME": str(tmp_path_factory.mktemp("home"))})
    warehouse = DuckDBWarehouse.from_environment(environment)
    prepare_warehouse(warehouse)
    settings = load_settings(environment.settings_path)
    with dg.instance_for_test() as instance:

        def requests(schedule, moment):
            known = {"warehouse": warehouse, "environment": environment, "settings": settings}
            known["clock"] = FixedClock(moment)
            resources = {key: known[key] for key in schedule.required_resource_keys}
            with dg.build_schedule_context(
                instance, scheduled_execution_time=moment, resources=resources
            ) as context:
                asked = schedule(context)
                return [asked] if isinstance(asked, dg.RunRequest) else list(asked)

        yield requests


def test_every_morning_of_a_year_is_decided_exactly_once(requests):
    mornings = moments(daily_decision, *YEAR)
    assert [moment.date() for moment in mornings] == [date(2026, 1, 1) + timedelta(n) for n in range(365)]
    asked = {moment.date(): requests(daily_decision, moment) for moment in mornings[::20]}
    assert all([str(day)] == [request.partition_key for request in made] for day, made in asked.items())


@pytest.mark.parametrize("changed", [SPRING_FORWARD, FALL_BACK])
def test_the_decision_stays_at_nine_local_on_both_sides_of_a_clock_change(changed, requests):
    start = datetime(changed.year, changed.month, changed.day, tzinfo=NEW_YORK) - timedelta(days=1)
    found = moments(daily_decision, start, start + timedelta(days=3))
    assert [moment.astimezone(NEW_YORK).hour for moment in found] == [9, 9, 9]
    assert len({moment.astimezone(UTC).hour for moment in found}) == 2  # 13:00 and 14:00 UTC
    days = [requests(daily_decision, moment)[0].partition_key for moment in found]
    assert days == [str(changed + timedelta(days=step)) for step in (-1, 0, 1)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
def test_a_tick_evaluated_twice_has_the_same_run_key_and_two_days_differ(schedule, requests):
    first, second = moments(schedule, *YEAR)[:2]
    keys = [requests(schedule, moment)[0].run_key for moment in (first, first, second)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
def test_the_partition_asked_for_exists_at_the_moment_it_is_asked_for(schedule, requests):
    for moment in moments(schedule, *YEAR)[::13]:
        (request,) = requests(schedule, moment)
        assert decision_days.get_partition_keys(current_time=moment)[-1] == request.partition_key


def test_the_backtest_runs_on_tuesdays(requests):
    days = [requests(weekly_backtest, moment)[0].partition_key for moment in moments(weekly_backtest, *YEAR)]
    assert len(days) == 52
    assert {date.fromisoformat(day).strftime("%A") for day in days} == {"Tuesday"}


def pull_tick(instance, moment):
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=moment)
    return HOURLY.evaluate_tick(context)


def test_every_hour_asks_once_also_where_the_clock_is_put_back():
    start = datetime(2026, 11, 1, tzinfo=NEW_YORK)
    hours = moments(HOURLY, start, start.astimezone(UTC) + timedelta(hours=25))
    assert len(hours) == 25
    with dg.instance_for_test() as instance:
        keys = [request.run_key for hour in hours for request in pull_tick(instance, hour).run_requests]
        assert len(set(keys)) == 25
        again = [request.run_key for request in pull_tick(instance, hours[0]).run_requests]
    assert again == keys[:1]


def test_spend_is_looked_at_every_hour_of_the_day_it_belongs_to_and_never_twice_at_once():
    start = datetime(2026, 11, 1, tzinfo=NEW_YORK)
    hours = moments(spend_every_hour, start, start.astimezone(UTC) + timedelta(hours=25))
    with dg.instance_for_test() as instance:

        def ticked(moment):
            return spend_every_hour(
                dg.build_schedule_context(instance=instance, scheduled_execution_time=moment)
            )

        asked = [ticked(hour) for hour in hours]
        assert {request.partition_key for request in asked} == {"2026-11-01"}
        assert len({request.run_key for request in asked}) == 25
        started = dg.DagsterRunStatus.STARTED
        instance.add_run(dg.DagsterRun("guard_spend", run_id=str(uuid.uuid4()), status=started))
        assert isinstance(ticked(hours[0]), dg.SkipReason)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_a_pull_under_way_is_not_overtaken_by_the_next(status):
    hour = datetime(2026, 6, 30, 9, tzinfo=UTC)
    with dg.instance_for_test() as instance:
        run = instance.add_run(dg.DagsterRun("pull_sources", run_id=str(uuid.uuid4()), status=status))
        tick = pull_tick(instance, hour)
        assert tick.run_requests == []
        assert "still queued or running" in tick.skip_message
        instance.report_run_canceled(run)
        assert len(pull_tick(instance, hour + timedelta(hours=1)).run_requests) == 1


def test_a_run_of_another_job_does_not_hold_the_pull():
    with dg.instance_for_test() as instance:
        instance.add_run(
            dg.DagsterRun("decide", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED)
        )
        assert pull_tick(instance, datetime(2026, 6, 30, 9, tzinfo=UTC)).run_requests


def test_at_six_whatever_of_today_s_models_is_missing_or_failed_is_asked_for_again():
    six, today = datetime(2026, 7, 1, 6, tzinfo=NEW_YORK), "2026-07-01"
    with dg.instance_for_test() as instance:

        def ticked():
            context = dg.build_schedule_context(instance=instance, scheduled_execution_time=six)
            return daily_refresh(context)

        assert ticked().partition_key == today
        for key in MODELS[1:]:
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=today))
        assert ticked().run_key == f"refresh-{today}"
        instance.report_runless_asset_event(dg.AssetMaterialization(MODELS[0], partition=today))
        assert isinstance(ticked(), dg.SkipReason)
