"""Approved changes on every platform that has levers: sent to its server, read back by its connector."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from resources.platform_writers.opening import PlatformWriters
from resources.sandbox.servers.faults import Fault, FaultKind
from resources.settings import SettingsError
from tests.resources.connectors.test_budget_writes import PLATFORMS, TOKEN
from tests.resources.control.proposing import NINE, decisions_of, lever, states_of
from tests.resources.platform_writers.loopback import SOON, sources_at
from tests.resources.platform_writers.written_lever import account


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_budget_is_written_shown_by_the_next_pull_and_restored_exactly(name, served, tmp_path):
    with account(name, served, tmp_path) as here:
        before = here.shown()
        here.propose()
        done = here.write()
        assert (done.status, done.message) == ("applied", None)
        (change,) = here.governance.changes()
        raised, status = here.shown()
        assert status == "active"
        assert before[0] < raised <= before[0] * Decimal("1.05")
        here.governance.roll_back(change["change_id"], "jo", "it did not pay", SOON)
        assert here.write().status == "applied"
        assert here.shown() == before
        assert here.calls() == 2


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_lever_is_paused_with_its_budget_and_started_again(name, served, tmp_path):
    with account(name, served, tmp_path) as here:
        before = here.shown()
        here.propose(p_cac_above_cap=0.95, thompson_budget=None)
        done = here.write()
        assert done.status == "applied"
        assert here.shown() == (before[0], "paused")
        tomorrow = NINE + timedelta(days=1)
        with here.engine.begin() as connection:  # a morning that found no evidence against it any more
            connection.exec_driver_sql("delete from lever_states where as_of_date < '2026-07-01'")
        other = states_of(
            lever(here.row["lever_id"], platform=name, account_id=here.platform.account_id, status="paused")
        )
        here.governance.propose(
            decisions_of(other), other, {}, as_of_date=tomorrow.date(), settings_hash="s", now=tomorrow
        )
        here.governance.roll_back(done.change_id, "sam", "restated", tomorrow)
        assert here.write(tomorrow).status == "applied"
        assert here.shown() == before


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_person_s_edit_is_respected_before_a_change_and_before_its_rollback(name, served, tmp_path):
    with account(name, served, tmp_path) as here:
        here.propose()
        done = here.write()
        assert here.platform.budget(here.server, here.row, "777")
        here.governance.roll_back(done.change_id, "jo", "undo", SOON)
        undone = here.write()
        assert undone.status == "conflict"
        assert "777.00 active" in undone.message
        assert here.shown() == (Decimal(777), "active")
        here.propose(at=NINE + timedelta(days=4))  # made from numbers that were read before the edit
        assert here.write(NINE + timedelta(days=4)).status == "conflict"
        assert here.shown() == (Decimal(777), "active")


# The writer's own read of LinkedIn has the same address as its write.
FIRST_WRITE = {"linkedin": 2}
BROKEN = (FaultKind.THROTTLE, FaultKind.SERVER_ERROR, FaultKind.EXPIRED_TOKEN, FaultKind.STALL)


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("name", PLATFORMS)
def test_a_write_that_meets_a_fault_waits_and_the_next_round_finishes_it(name, kind, served, tmp_path):
    endpoint = PLATFORMS[name].endpoints[0]
    fault = Fault(kind, endpoint, nth=FIRST_WRITE.get(name, 1))
    with account(name, served, tmp_path, fault, timeout_seconds=1.0) as here:
        before = here.shown()
        here.propose()
        waits = here.write()
        assert waits.status == "sending"
        assert waits.message
        assert TOKEN not in waits.message
        assert here.shown() == before
        assert here.write().status == "applied"
        assert here.shown()[0] > before[0]
        assert here.calls() == 2


@pytest.mark.parametrize("name", ["meta", "tiktok"])
def test_a_write_whose_answer_breaks_off_is_recognised_and_not_repeated(name, served, tmp_path):
    fault = Fault(FaultKind.TRUNCATED, PLATFORMS[name].endpoints[0])
    with account(name, served, tmp_path, fault) as here:
        here.propose()
        assert here.write().status == "sending"
        assert here.write().status == "applied"
        assert here.calls() == 1


@pytest.mark.parametrize("name", PLATFORMS)
def test_what_a_platform_refuses_is_told_in_its_words_without_the_token(name, served, tmp_path, monkeypatch):
    with account(name, served, tmp_path) as here:
        before = here.shown()
        here.propose()
        writer = here.writers(name)
        send = writer.send
        monkeypatch.setattr(writer, "send", lambda request: send(too_low(name, request)))
        outcome = here.write()
        assert outcome.status == "refused"
        assert TOKEN not in outcome.message
        assert "low" in outcome.message.lower() or "at least" in outcome.message.lower()
        assert here.shown() == before


def too_low(name: str, request: dict[str, Any]) -> dict[str, Any]:
    """The same call with an amount no platform takes."""
    match name:
        case "meta":
            return request | {"form": {"daily_budget": "10"}}
        case "google_ads":
            (operation,) = request["operations"]
            low = operation | {"update": operation["update"] | {"amount_micros": 10}}
            return request | {"operations": [low]}
        case "tiktok":
            (each,) = request["body"]["budget"]
            return request | {"body": request["body"] | {"budget": [each | {"budget": 1.0}]}}
    amount = {"dailyBudget": {"amount": "1.00", "currencyCode": "USD"}}
    return request | {"body": {"patch": {"$set": amount}}}


def test_a_campaign_that_draws_on_another_budget_now_is_a_conflict(served, tmp_path):
    with account("google_ads", served, tmp_path) as here:
        here.propose()
        other = f"customers/{here.platform.account_id.replace('-', '')}/campaignBudgets/5"
        here.server.edit_campaign(here.row["campaign_id"], campaign__campaign_budget=other)
        outcome = here.write()
        assert outcome.status == "conflict"
        assert "draws on budget 5 now" in outcome.message
        assert here.calls() == 0


# --- which platforms may be written to at all -------------------------------------------------------------


ALL_HERE = {f"AELP_{name.upper()}_ENDPOINT": "http://127.0.0.1:9" for name in PLATFORMS}


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize(
    "endpoint",
    [None, "https://api.example.com", "http://127.0.0.1@example.com", "https://127.0.0.1.example.com"],
)
def test_the_sandbox_never_reaches_beyond_this_machine(name, endpoint, tmp_path):
    variables = {**ALL_HERE, f"AELP_{name.upper()}_ENDPOINT": endpoint or ""}
    with pytest.raises(SettingsError, match=f"AELP_{name.upper()}_ENDPOINT"):
        PlatformWriters(sources_at(tmp_path, variables), "sandbox")


def test_live_needs_its_own_yes_and_shadow_opens_nothing(tmp_path):
    sources = sources_at(tmp_path, ALL_HERE | {"AELP_META_ACCESS_TOKEN": TOKEN})
    with pytest.raises(SettingsError, match="AELP_LIVE=1"):
        PlatformWriters(sources, "live")
    with PlatformWriters(sources, "live", is_live=True) as writers:
        assert writers("meta") is writers("meta")
        with pytest.raises(SettingsError, match="no such platform"):
            writers("impact")
    with PlatformWriters(sources, "shadow") as writers, pytest.raises(SettingsError, match="shadow"):
        writers("meta")
