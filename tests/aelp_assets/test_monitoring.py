"""The review's glue: which mornings are forecast anew, and who is told of which morning."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from aelp_assets import forecast_review, safety
from resources.clock import FixedClock
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from resources.warehouse.tables import SAFETY_EVENTS

MORNING = date(2026, 6, 30)
ACCOUNTS = pl.DataFrame({"maturity_days": [7, 14]})
EVENT = {
    **{"as_of_date": MORNING, "event_id": "e1", "happened_on": MORNING, "kind": "stop_proposed"},
    **{"severity": "critical", "track": None, "subject": "L", "sentence": "Stop L.", "remedy": "Decide."},
}


def days_ago(*days):
    return sorted(MORNING - timedelta(days=count) for count in days)


def test_mornings_nobody_forecast_are_yesterday_and_matured_weeks_with_history_behind_them():
    long_ago = date(2025, 1, 1)
    found = forecast_review.hindcast_mornings(MORNING, ACCOUNTS, set(), long_ago)
    assert found == days_ago(1, 15, 22, 29, 36, 43)
    decided = set(days_ago(1, 22))
    assert forecast_review.hindcast_mornings(MORNING, ACCOUNTS, decided, long_ago) == days_ago(15, 29, 36, 43)
    young = MORNING - timedelta(days=45)
    assert forecast_review.hindcast_mornings(MORNING, ACCOUNTS, set(), young) == days_ago(1, 15)
    assert forecast_review.hindcast_mornings(MORNING, ACCOUNTS, set(), None) == []


def notified(tmp_path, monkeypatch, morning=MORNING, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    outcome = safety.notifications(
        context=dg.build_asset_context(partition_key=morning.isoformat()),
        safety_events=pl.DataFrame([EVENT], schema=SAFETY_EVENTS.polars_schema),
        settings=load_settings(PROJECT_ROOT / "aelp.yaml"),
        environment=read_environment({"AELP_HOME": str(tmp_path)}),
        clock=FixedClock(datetime(2026, 6, 30, 13, tzinfo=UTC)),
    )
    return outcome.value, outcome.check_results[0]


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.delenv("AELP_CONTROL_URL", raising=False)


def test_a_misspelt_channel_ends_no_run_and_does_not_silence_the_log(tmp_path, monkeypatch):
    rows, told = notified(tmp_path, monkeypatch, AELP_NOTIFY_WEBHOOK="hooks.example/very-secret")
    assert rows.select("channel", "status").rows() == [("log", "sent")]
    assert not told.passed
    assert "AELP_NOTIFY_WEBHOOK" in told.description
    assert "very-secret" not in told.description


def test_a_review_repeated_for_an_old_morning_is_told_to_nobody(tmp_path, monkeypatch):
    rows, told = notified(tmp_path, monkeypatch, morning=MORNING - timedelta(days=1))
    assert rows.is_empty()
    assert told.passed
