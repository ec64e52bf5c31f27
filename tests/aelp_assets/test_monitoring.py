"""The review's glue: which mornings are forecast anew, and who is told of which morning."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from aelp_assets import forecast_review, safety
from resources.clock import FixedClock
from resources.control.external_edits import ExternalEdit, withdraw_overtaken
from resources.control.holds import HoldRule
from resources.control.store import control_url, open_control_store
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from resources.warehouse import tables
from tests.resources.control.proposing import TEN, governing, lever, proposed

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
        safety_events=pl.DataFrame([EVENT], schema=tables.SAFETY_EVENTS.polars_schema),
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


LEVER_KEY = {"date": pl.Date, **dict.fromkeys(("platform", "account_id", "track", "lever_id"), pl.String)}
LEVER_DAY = LEVER_KEY | dict.fromkeys(("cost", "conversions_click", "conversions_view"), pl.Decimal(38, 9))
BUDGET = LEVER_KEY | {
    **dict.fromkeys(("lever_source", "budget_type", "budget_id"), pl.String),
    "current_budget": pl.Decimal(38, 9),
}
DAY = {"date": MORNING - timedelta(days=1), "platform": "meta", "account_id": "a1", "track": "security"}


def events(tmp_path, spent=(), alarmed=(), drifted=(), verdicts=()):
    """What the morning tells of levers that spent 300 of 100, some of them alarmed of on the day."""
    alarms = [
        {**DAY, "as_of_date": DAY["date"], "lever_id": name, "alarm_id": name, "kind": "k", "hour": 3}
        | {"budget": 100, "worst_case": 175.0, "spend": 90.0, "day_end_p50": 300.0, "reason": "it runs away"}
        | {"p_above_worst_case": 1.0, "read_at": TEN, "reporting_delay_hours": 3.0}
        for name in alarmed
    ]
    days = [DAY | {"lever_id": name, "cost": 300} for name in spent]
    budgets = [
        DAY | {"lever_id": name, "current_budget": 100, "lever_source": "platform", "budget_type": "daily"}
        for name in spent
    ]
    outcome = safety.safety_events(
        context=dg.build_asset_context(partition_key=MORNING.isoformat()),
        bandit_decisions=pl.DataFrame(schema=tables.BANDIT_DECISIONS.polars_schema),
        decision_accounts=pl.DataFrame(verdicts, schema=tables.DECISION_ACCOUNTS.polars_schema),
        lever_states=pl.DataFrame(schema=tables.LEVER_STATES.polars_schema),
        int_lever_daily=pl.DataFrame(days, schema=LEVER_DAY).with_columns(pl.col("^conv.*$").fill_null(0)),
        budget_levers=pl.DataFrame(budgets, schema=BUDGET),
        forecast_accuracy=pl.DataFrame(schema=tables.FORECAST_ACCURACY.polars_schema),
        forecast_drift=pl.DataFrame(schema=tables.FORECAST_DRIFT.polars_schema),
        reconciliations=pl.DataFrame(schema=tables.RECONCILIATIONS.polars_schema),
        creative_drift=pl.DataFrame(drifted, schema=tables.CREATIVE_DRIFT.polars_schema),
        spend_alarms=pl.DataFrame(alarms, schema=tables.SPEND_ALARMS.polars_schema),
        pacing=pl.DataFrame(schema=tables.PACING.polars_schema),
        settings=load_settings(PROJECT_ROOT / "aelp.yaml"),
        environment=read_environment({"AELP_HOME": str(tmp_path)}),
        clock=FixedClock(TEN),
    )
    assert tables.SAFETY_EVENTS.conform(outcome.value).height == outcome.value.height
    return outcome.value.select("kind", "subject").rows()


def test_money_an_alarm_told_of_on_the_day_is_not_told_of_again_as_spent(tmp_path):
    assert sorted(events(tmp_path, spent=("told", "untold"), alarmed=("told",))) == [
        ("spend_alarm", "meta/a1/told"),
        ("spend_over_worst_case", "meta/a1/untold"),
    ]


def test_creatives_that_drift_are_told_once_of_their_newest_judgement(tmp_path):
    def judged(days_ago, kind, name, is_drift):
        found = {"as_of_date": MORNING - timedelta(days=days_ago), "kind": kind, "name": name}
        sizes = {"value": 0.41, "drift_limit": 0.25, "learnt": 60, "since": 20, "cases": 20}
        return found | sizes | {"is_drift": is_drift}

    drifted = [
        judged(6, "ranking", "ctr", True),  # healed since
        judged(0, "ranking", "ctr", False),
        judged(0, "novelty", "text", True),
        judged(0, "trait", "faces", True),
    ]
    assert events(tmp_path, drifted=drifted) == [("creative_drift", "new creatives")]


def test_an_account_that_drops_out_of_decisions_is_told_of(tmp_path):
    verdict = {"platform": "meta", "account_id": "a1", "maturity_days": 7, "reason": "stale"}
    fine = verdict | {"as_of_date": DAY["date"], "eligible": True}
    out = verdict | {"as_of_date": MORNING, "eligible": False}
    assert events(tmp_path, verdicts=[fine, out]) == [("account_set_aside", "meta/a1")]


def test_levers_on_one_budget_overspend_together_or_not_at_all():
    """60 and 70 of a shared 100; 70 of a budget of one's own; yesterday 60 of the shared one."""
    key = {"platform": "google_ads", "account_id": "a1"}
    days = [
        (DAY["date"], "c1", 60.0, "77"),
        (DAY["date"], "c2", 70.0, "77"),
        (DAY["date"], "c3", 70.0, None),
        (DAY["date"] - timedelta(days=1), "c1", 60.0, "77"),
    ]
    spent = pl.DataFrame([key | {"date": day, "lever_id": name, "cost": cost} for day, name, cost, _ in days])
    budgets = [
        key | {"date": day, "lever_id": name, "budget_id": budget, "current_budget": 100.0}
        for day, name, _, budget in days
    ]
    found = safety.on_their_budgets(spent, pl.DataFrame(budgets, schema_overrides={"budget_id": pl.String}))
    assert found.select("lever_id", "cost", "sharing").rows() == [
        ("c1", 130.0, 2),
        ("c2", 130.0, 2),
        ("c3", 70.0, 1),
        ("c1", 60.0, 1),
    ]


def test_what_people_undo_or_overtake_is_told_and_what_the_draw_holds_is_not(tmp_path):
    engine = open_control_store(control_url(tmp_path, {}))
    everyone = HoldRule(share=0.999, days=7, seed=1)
    proposed(governing(engine), lever("l1"), lever("l2"), lever("l3"))
    of_lever = {row["lever_id"]: row["proposal_id"] for row in governing(engine).proposals(TEN)}
    governing(engine).approve(of_lever["l1"], "sam", "it pays", TEN)
    governing(engine, hold=everyone).approve(of_lever["l2"], "sam", "it pays", TEN)
    (change,) = [row for row in governing(engine).changes() if row["lever_id"] == "l1"]
    governing(engine).roll_back(change["change_id"], "sam", "it did not", TEN)
    at_l3 = ExternalEdit(("meta", "a1", "l3"), TEN, "budget", "500.00", "650.00", "Pat Lee")
    assert set(withdraw_overtaken(engine, [at_l3], {}, TEN)) == {of_lever["l3"]}
    assert {row["status"] for row in governing(engine).changes() if row["lever_id"] == "l2"} == {"held"}
    assert sorted(events(tmp_path)) == [
        ("change_rolled_back", "meta/a1/l1"),
        ("proposal_overtaken", "meta/a1/l3"),
    ]
