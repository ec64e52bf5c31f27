"""What wakes the graph, and when it must not: the calendar's today is no morning of a past account."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from aelp_assets.definitions import build_defs, decides_today
from aelp_assets.runner import LOCATION_TAG
from resources.clock import FixedClock, SystemClock
from resources.settings import PROJECT_ROOT, load_settings

pytestmark = pytest.mark.dbt

INJECTED = FixedClock(datetime(2026, 6, 30, 13, tzinfo=UTC))
BUSINESS = load_settings(PROJECT_ROOT / "aelp.yaml")
HISTORIC = load_settings(PROJECT_ROOT / "aelp.real.yaml")


def running(defs):
    """Names of what the daemon evaluates unless a person says otherwise."""
    on = (dg.DefaultScheduleStatus.RUNNING, dg.DefaultSensorStatus.RUNNING)
    return {waking.name for waking in [*defs.schedules, *defs.sensors] if waking.default_status in on}


def test_everything_is_awake_by_the_system_s_clock():
    defs = build_defs({"clock": SystemClock(), "settings": BUSINESS})
    everything = {waking.name for waking in [*defs.schedules, *defs.sensors]}
    assert everything - running(defs) == {"approved_changes"}, "what sends is switched on by a person"
    assert {"daily_decision", "weekly_backtest", "model_refresh"} <= running(defs)


@pytest.mark.parametrize(("clock", "settings"), [(INJECTED, BUSINESS), (SystemClock(), HISTORIC)])
def test_a_simulated_or_historic_account_decides_no_calendar_day_by_itself(clock, settings):
    assert not decides_today(clock, settings)
    asleep = build_defs({"clock": clock, "settings": settings})
    # What reads creatives decides no day.
    assert running(asleep) == {
        "dropped_files",
        "restated_days",
        "decided_proposals",
        "creative_refresh",
        "run_outcomes",
        "failing_ticks",
        "unsigned_proposals",
    }
    awake = build_defs({"clock": SystemClock(), "settings": BUSINESS})
    assert "model_refresh" in running(awake), "the one is a copy of the other"


def test_runs_of_the_shell_name_the_code_location_the_ui_loads():
    import tomllib

    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    repository = build_defs().get_repository_def().name
    assert {".dagster/repository": f"{repository}@{project['code_location_name']}"} == LOCATION_TAG
