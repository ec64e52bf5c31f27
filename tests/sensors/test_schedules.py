"""The clock's part across a year: one decision per local morning, whatever the clocks do."""

from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator  # what the daemon itself walks

from aelp_assets.partitions import decision_days
from sensors.schedules import SCHEDULES, daily_decision, weekly_backtest

NEW_YORK = ZoneInfo("America/New_York")
YEAR = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
SPRING_FORWARD, FALL_BACK = date(2026, 3, 8), date(2026, 11, 1)


def moments(schedule, start, end):
    walked = schedule_execution_time_iterator(
        start.timestamp(), schedule.cron_schedule, schedule.execution_timezone
    )
    return list(takewhile(lambda moment: moment < end, walked))


def requests(schedule, moment):
    return list(schedule(dg.build_schedule_context(scheduled_execution_time=moment)))


def test_every_morning_of_a_year_is_decided_exactly_once():
    keys = [
        request.partition_key
        for moment in moments(daily_decision, *YEAR)
        for request in requests(daily_decision, moment)
    ]
    assert keys == [str(date(2026, 1, 1) + timedelta(days=day)) for day in range(365)]


@pytest.mark.parametrize("changed", [SPRING_FORWARD, FALL_BACK])
def test_the_decision_stays_at_nine_local_on_both_sides_of_a_clock_change(changed):
    start = datetime(changed.year, changed.month, changed.day, tzinfo=NEW_YORK) - timedelta(days=1)
    found = moments(daily_decision, start, start + timedelta(days=3))
    assert [moment.astimezone(NEW_YORK).hour for moment in found] == [9, 9, 9]
    assert len({moment.astimezone(UTC).hour for moment in found}) == 2  # 13:00 and 14:00 UTC
    days = [requests(daily_decision, moment)[0].partition_key for moment in found]
    assert days == [str(changed + timedelta(days=step)) for step in (-1, 0, 1)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
def test_a_tick_evaluated_twice_has_the_same_run_key_and_two_days_differ(schedule):
    first, second = moments(schedule, *YEAR)[:2]
    keys = [requests(schedule, moment)[0].run_key for moment in (first, first, second)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
def test_the_partition_asked_for_exists_at_the_moment_it_is_asked_for(schedule):
    for moment in moments(schedule, *YEAR)[::13]:
        (request,) = requests(schedule, moment)
        assert decision_days.get_partition_keys(current_time=moment)[-1] == request.partition_key


def test_the_backtest_runs_on_tuesdays():
    days = [requests(weekly_backtest, moment)[0].partition_key for moment in moments(weekly_backtest, *YEAR)]
    assert len(days) == 52
    assert {date.fromisoformat(day).strftime("%A") for day in days} == {"Tuesday"}
