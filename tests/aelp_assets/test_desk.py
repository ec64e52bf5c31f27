"""The review desk as a browser meets it: every button, every refusal in words, and who may press at all."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import httpx
import psutil
import pytest

from aelp_assets.desk.application import Desk, create_application, open_desk
from aelp_assets.desk.cards import signups_change
from aelp_assets.desk.figures import forecast_at
from resources.clock import FixedClock
from resources.control.external_edits import withdraw_overtaken
from resources.control.governance import Governance
from resources.control.holds import HoldRule
from resources.control.payloads import LeverValue
from resources.control.records import Refused
from resources.control.signing import ApproverKeys
from resources.control.store import open_control_store
from resources.settings import PROJECT_ROOT, Environment, load_settings
from resources.warehouse import open_warehouse, publish_analyst_copy, warehouses_to_look_into
from resources.warehouse.interface import ReplaceTable
from resources.warehouse.schema import POLARS_TYPES, Table
from resources.warehouse.tables import BANDIT_DECISIONS, BANDIT_POSTERIORS, FORECAST_RESULTS
from tests.resources.control.arm_mornings import LOSING, PROVEN, arm, decided_on, put_arms, put_one
from tests.resources.control.proposing import (
    KEYS,
    LAUNCH,
    LIMITS,
    MORNING,
    NINE,
    TEN,
    governing,
    lever,
    proposed,
    put_launches,
    status_of,
)

PORT = 3001
ORIGIN = f"http://127.0.0.1:{PORT}"
HOSTILE = '<script>alert("l1")</script>'


class Browser:
    """A browser with its cookies, on the desk and in this process."""

    def __init__(self, desk: Desk) -> None:
        self._transport = httpx.ASGITransport(app=create_application(desk))
        self.cookies = httpx.Cookies()

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def sent() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self._transport, base_url=ORIGIN, cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **options)
                self.cookies.update(client.cookies)
                return answer

        return asyncio.run(sent())

    def get(self, path: str = "/") -> str:
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def token(self) -> str:
        return re.findall(r'name="token" value="([^"]+)"', self.get())[0]

    def post(self, path: str, **fields: str) -> str:
        """Send a form of the desk's own page and follow it: what the person sees then."""
        answer = self.send("POST", path, data={"token": self.token(), **fields}, headers={"Origin": ORIGIN})
        assert answer.status_code == 303, answer.text
        return self.followed(answer)

    def followed(self, answer: httpx.Response) -> str:
        while answer.status_code == 303:
            answer = self.send("GET", answer.headers["location"])
        assert answer.status_code == 200, answer.text
        return answer.text


def said(page: str) -> str:
    """The words of the notice."""
    found = re.search(r'<section class="banner (?:done|refused)" role="status"><p>(.*?)</p>', page)
    assert found, page
    return html.unescape(re.sub("<[^>]+>", "", found[1]))


def words(page: str) -> str:
    """The page without its tags, spaces collapsed."""
    return html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page)))


def explained(about: str, _now: Any) -> list[str]:
    if about == "nothing":
        raise Refused("No decision, proposal or change 'nothing' is kept here.")
    return [f"Proposal {about}: {HOSTILE}", "Raw meta_ads_insights: 3 rows"]


def desk_of(governance: Governance, **changes: Any) -> Desk:
    told: dict[str, Any] = {
        "governance": governance,
        "approver": "jo",
        "limits": LIMITS,
        "settings_hash": "s",
        "elasticity": 0.7,
        "clock": FixedClock(TEN),
        "zone": TEN.tzinfo,
        "warehouses": list,
        "keyless": None,
        "port": PORT,
        "explain": explained,
    }
    return Desk(**told | changes)


@pytest.fixture
def governance(tmp_path: Path) -> Iterator[Governance]:
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield governing(engine)
    engine.dispose()


@pytest.fixture
def browser(governance: Governance) -> Browser:
    return Browser(desk_of(governance))


def test_a_launch_is_shown_with_its_call_and_takes_no_other_number(governance, browser):
    (one,) = put_launches(governance, LAUNCH).new
    page = browser.get()
    assert "0.00 → 120.01 USD a day" in words(page)
    assert "Launch creative c1 at 120.01 a day, in the main lane, paused." in words(page)
    assert "act_a1/adsets" in page
    assert f"/proposals/{one}/counter" not in page
    assert f"/proposals/{one}/approve" in page


def test_an_arm_is_shown_apart_with_what_waiting_costs_and_is_approved_and_undone(governance, browser):
    decided_on(governance)
    pause, enable = put_arms(
        governance, arm("a", **LOSING, reward_mean=3.0), arm("b"), arm("c", **PROVEN)
    ).new
    page = browser.get()
    seen = words(page)
    for told in (
        "Ads, ad groups and keywords 2 waiting",
        "meta · Ad a ad of l1 · security · morning of 30 Jun 2026 active → paused",
        "P(CAC > 240) is 97.0% after 2,400.",
        "CAC, good end to bad end 150 to 260 cap 240",
        "P(CAC > cap) 97 %",
        "Matured spend 2,400 28 days",
        "Waiting costs a day 60",  # (2,400 - 240 x 3) / 28
        "Approving moves no budget; your signature is enough.",
        '"status": "PAUSED"',
    ):
        assert told in seen, told
    assert "In force" not in seen, "no lever's sum is shown where none is proposed"
    assert f"/proposals/{pause}/counter" not in page
    assert page.index(f"p-{pause}") < page.index(f"p-{enable}")
    assert "no budget of its own" in said(
        browser.followed(browser.send("GET", f"/proposals/{pause}/counter"))
    )
    assert said(browser.post(f"/proposals/{pause}/approve", reason="it loses")).startswith("Approved: change")
    assert said(browser.post(f"/proposals/{enable}/reject", reason="an old offer")) == f"Rejected: {enable}."
    assert "meta · Ad a: active → paused · jo: it loses · shadow" in words(browser.get())
    (change,) = governance.changes()
    assert "still demands the pause" in said(
        browser.post(f"/changes/{change['change_id']}/rollback", reason="no")
    )
    put_arms(governance, arm("a", p_cac_above_cap=0.5), arm("b"), at=TEN)
    back = browser.post(f"/changes/{change['change_id']}/rollback", reason="restated")
    assert said(back).startswith("Rolled back:")


def test_a_split_test_is_approved_as_a_design_that_a_person_sets_up(governance, browser):
    design = {"arms": ["a", "b"], "metric": "cvr", "days": 14, "budget_share": 0.8, "power": 0.81}
    told = {"type": "split_test", "design": json.dumps(design), "reason": "P(best) is 50%."}
    one = put_one(governance, arm("a", **told), arm("b"))
    seen = words(browser.get())
    assert "split test meta · Ad a" in seen
    assert "a against b, 80 % of the lever's money, power 81 %." in seen
    assert "no call makes the test, a person sets it up." in seen
    assert "No call makes a split test" in said(browser.post(f"/proposals/{one}/approve", reason="settle it"))
    assert governance.changes() == []


def row_of(table: Table, **values: Any) -> dict[str, Any]:
    """A row of a table in which only `values` say anything."""
    nothing = {"STRING": "", "INT64": 0, "FLOAT64": 0.0, "NUMERIC": Decimal(0), "BOOL": False}
    row = {column.name: nothing.get(column.type, MORNING) for column in table.columns}
    return row | {"as_of_date": MORNING, "platform": "meta", "account_id": "a1", "track": "security"} | values


def stored_figures(environment: Environment, name: str = "l1") -> None:
    """A belief, a raise from 500 to 525, and forecasts of three budgets on two days."""
    import polars as pl

    rows = {
        BANDIT_POSTERIORS: [
            row_of(
                BANDIT_POSTERIORS,
                lever_id=name,
                **{"cac_p10": 181.0, "cac_p50": 210.0, "cac_p90": 287.0, "p_meets_cap": 0.804},
            )
        ],
        BANDIT_DECISIONS: [
            row_of(
                BANDIT_DECISIONS,
                lever_id=name,
                type="raise",
                current_budget=Decimal(500),
                proposed_budget=Decimal(525),
                binding_rules='["pace"]',
                expected_signups_change=0.25,
                elasticity=None,
                learning_cost=36.75,
            ),
            row_of(BANDIT_DECISIONS, lever_id="l7", type="stop"),
        ],
        FORECAST_RESULTS: [
            row_of(
                FORECAST_RESULTS,
                lever_id=name,
                target_date=day,
                budget=Decimal(budget),
                is_current_budget=budget == 500,
                signups_p10=budget / 40,
                signups_p50=budget / 20,
                signups_p90=budget / 10,
                cac_p10=90.0,
                cac_p50=200.0,
                cac_p90=None if budget == 550 else 300.0,
                p_cac_within_cap=0.75,
                platform_cac_p50=150.0,
                backend_cac_p50=None,
                incremental_cac_p50=budget / 2 - 50,
            )
            for day in (MORNING, MORNING + timedelta(days=1))
            for budget in (450, 500, 550)
        ],
    }
    warehouse = open_warehouse(environment)
    warehouse.ensure_tables(list(rows))
    for table, told in rows.items():
        schema = {column.name: POLARS_TYPES[column.type] for column in table.columns}
        warehouse.write(ReplaceTable(table, pl.DataFrame(told, schema=schema, orient="row")))


# --- what is shown ------------------------------------------------------------------------------------


def test_a_proposal_is_shown_with_its_evidence_its_limit_and_its_call(governance, tmp_environment):
    (proposal_id,) = proposed(governance, lever("l1", expected_loss_rate=0.01))
    stored_figures(tmp_environment)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    page = Browser(desk).get()
    seen = words(page)
    for told in (
        "security morning of 30 Jun 2026 · 1 waiting",
        "In force 500.00 a day → if all of this is approved 525.00 · cap 30,000.00 , for budgets 24,000.00",
        "meta · Ad set l1 500.00 → 525.00 USD a day, +5.0 %",
        "Raise from 500.00 to 525.00 a day: the sampler asks for 1,000.00",
        "CAC, good end to bad end 181 to 287 cap 240",
        "P(CAC ≤ cap) 80 %",
        # Halfway between the forecasts of 500 and 550; the store's orders are not known.
        "CAC forecast: 150 as platforms claim, – as the store books, 212 as caused by advertising.",
        "Signups a day +0.25",
        "Expected loss a week 37 now 35",
        "Learning cost 37",
        "Rules that bind pace",
        "Runs out 01 Jul 13:00",
        "Approving adds 25.00 a day; your signature is enough.",
        '"daily_budget": "52500"',
        proposal_id,
        "You decide as jo",
        "nothing is sent",
    ):
        assert told in seen, told
    assert 'href="http://127.0.0.1:3000/assets/gaelp_training/bandit_decisions' in page
    assert 'class="cac doubtful"' in page, "the bad end lies above the cap"
    assert "nobody can approve it here: meta · l7: stop." in seen


def test_stops_stand_first_and_what_is_beyond_the_limit_says_so(governance):
    proposed(
        governance,
        lever("l1"),
        lever(
            "l2", **dict.fromkeys(("current_budget", "midnight_budget", "budget_7_days_ago"), Decimal(2000))
        ),
        lever("l3", p_cac_above_cap=0.95, thompson_budget=None),
    )
    seen = words(Browser(desk_of(governance)).get())
    assert seen.index("Ad set l3") < seen.index("Ad set l1")
    assert "500.00 → stop" in seen
    assert "Approve the stop" in seen
    assert "Approving adds nothing" in seen


def test_a_proposal_an_edit_on_the_platform_overtook_is_named_and_offers_nothing(
    tmp_path, browser, governance
):
    (proposal,) = proposed(governance, lever("l1"))
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    withdraw_overtaken(engine, [], {("meta", "a1", "l1"): LeverValue(Decimal(650), "active")}, TEN)
    engine.dispose()
    page = browser.get()
    assert "the raise was withdrawn. The platform says 650.00 active, not 500.00 active" in words(page)
    assert f"/proposals/{proposal}" not in page


def test_an_empty_desk_says_so(browser):
    assert "Nothing waits for a decision." in browser.get()


def test_whatever_a_lever_is_called_stays_text(governance, tmp_environment):
    proposed(governance, lever(HOSTILE))
    stored_figures(tmp_environment, HOSTILE)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    browser = Browser(desk)
    (proposal,) = governance.proposals(TEN)
    refused = browser.post(f"/proposals/{proposal['proposal_id']}/approve", reason="")
    typed = browser.post("/changes/none/rollback", reason=f'">{HOSTILE}')
    number = browser.get(f"/proposals/{proposal['proposal_id']}/counter?budget={HOSTILE}")
    for page in (browser.get(), refused, typed, number):
        assert "<script" not in page
        assert " style=" not in page, "the policy would drop it"
    assert "&lt;script&gt;" in refused
    browser.post(f"/proposals/{proposal['proposal_id']}/approve", reason=HOSTILE)
    page = browser.get()
    assert "<script" not in page
    assert "rollback" in page


# --- deciding -----------------------------------------------------------------------------------------


def test_approve_then_roll_back(governance, browser):
    (proposal_id,) = proposed(governance, lever("l1"))
    page = browser.post(f"/proposals/{proposal_id}/approve", reason="it pays")
    (change,) = governance.changes()
    assert said(page) == (
        f"Approved: change {change['change_id']} (shadow). Nothing is sent. It can be rolled back below."
    )
    assert "500.00 → 525.00 · jo: it pays · shadow" in words(page)
    assert 'role="status"' not in browser.get(), "told once"
    undone = browser.post(f"/changes/{change['change_id']}/rollback", reason="it did not")
    newest = governance.changes()[0]
    assert said(undone) == f"Rolled back: {newest['change_id']}."
    assert f"Undone by {newest['change_id']}." in words(undone)
    assert status_of(governance, proposal_id) == "rolled_back"


def test_reject(governance, browser):
    (proposal_id,) = proposed(governance, lever("l1"))
    assert said(browser.post(f"/proposals/{proposal_id}/reject", reason="a launch")) == (
        f"Rejected: {proposal_id}."
    )
    assert status_of(governance, proposal_id) == "rejected"
    assert governance.changes() == []


def test_a_second_approver_completes_what_is_beyond_the_first_one_s_limit(governance, browser):
    first, second = proposed(governance, lever("l1"), lever("l2"))
    browser.post(f"/proposals/{first}/approve", reason="25 of my 30")
    assert "beyond your daily limit: a second approver must sign too." in words(browser.get())
    page = browser.post(f"/proposals/{second}/approve", reason="50 in all")
    assert said(page).startswith("Signed by jo. It is beyond jo's daily limit")
    assert "Signed by jo (50 in all); a second approver must sign too." in words(page)
    assert f"/proposals/{second}/approve" not in page, "jo has no button to press again"
    other = Browser(desk_of(governance, approver="sam"))
    assert "your signature completes it" in words(other.get())
    assert said(other.post(f"/proposals/{second}/approve", reason="agreed")).startswith("Approved")


def test_a_later_change_is_undone_first_when_it_is_ticked(governance):
    later = NINE + timedelta(days=4)
    (first,) = proposed(governance, lever("l1"))
    governance.approve(first, "sam", "one", TEN)
    raised = dict.fromkeys(("current_budget", "midnight_budget"), Decimal(525))
    (second,) = proposed(governance, lever("l1", **raised), at=later)
    governance.approve(second, "sam", "two", later)
    newer, older = governance.changes()
    browser = Browser(desk_of(governance, clock=FixedClock(later)))
    assert f"undo {newer['change_id']} first" in words(browser.get())
    path = f"/changes/{older['change_id']}/rollback"
    assert "undo these first" in said(browser.post(path, reason="undo"))
    assert said(browser.post(path, reason="undo", cascade="on")).count(",") == 1
    assert len(governance.changes()) == 4


def test_the_kill_switch_stops_the_desk_until_it_is_let_go(governance, browser):
    first, second = proposed(governance, lever("l1"), lever("l2"))
    browser.post(f"/proposals/{first}/approve", reason="fine")
    assert "needs a reason" in said(browser.post("/kill/on", reason=" "))
    assert governance.killed() is None
    page = browser.post("/kill/on", reason="spend explodes")
    assert "jo stopped everything at 2026-06-30 14:00 UTC: spend explodes" in words(page)
    (change,) = governance.changes()
    for path in (f"/proposals/{second}/approve", f"/changes/{change['change_id']}/rollback"):
        assert "jo stopped everything" in said(browser.post(path, reason="still"))
    assert status_of(governance, second) == "pending"
    assert said(browser.post("/kill/off", reason="a reporting error")) == "Everything goes on."
    assert governance.killed() is None
    assert "on or off" in said(browser.post("/kill/perhaps", reason="why"))


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_refusal_is_said_in_words_and_what_was_typed_is_kept(governance, verb):
    (proposal_id,) = proposed(governance, lever("l1"))
    keyless = governing(governance._engine, keys=ApproverKeys({}))
    page = Browser(desk_of(keyless)).post(f"/proposals/{proposal_id}/{verb}", reason='a "long" thought')
    assert said(page).startswith("Not done. jo cannot sign: set AELP_APPROVER_KEY_JO")
    assert 'value="a &#34;long&#34; thought"' in page
    assert "needs a reason" in said(Browser(desk_of(governance)).post(f"/proposals/{proposal_id}/{verb}"))
    assert status_of(governance, proposal_id) == "pending"


def test_what_ran_out_or_was_decided_elsewhere_is_refused(governance, browser):
    first, second = proposed(governance, lever("l1"), lever("l2"))
    browser.get()
    governance.reject(first, "sam", "quicker", TEN)
    assert "is rejected" in said(browser.post(f"/proposals/{first}/approve", reason="late"))
    late = Browser(desk_of(governance, clock=FixedClock(NINE + timedelta(hours=25))))
    assert "is expired" in said(late.post(f"/proposals/{second}/approve", reason="late"))
    assert "does not name one" in said(browser.post("/proposals/0000/approve", reason="none"))


def test_a_tighter_limit_is_told_before_anybody_presses(governance):
    proposed(governance, lever("l1"))
    tight = replace(LIMITS, total_daily_cap=Decimal(600))
    page = Browser(desk_of(governing(governance._engine, limits=tight), limits=tight)).get()
    assert (
        "The guardrails would refuse it now. cap: worst-case delivery 656.25 exceeds the cap 600.00"
        in words(page)
    )


def test_who_decides_is_no_matter_of_the_request(governance, browser):
    (proposal_id,) = proposed(governance, lever("l1"))
    assert "You decide as <strong>jo</strong>" in browser.get("/?by=sam&approver=sam")
    browser.post(f"/proposals/{proposal_id}/approve?by=sam", reason="mine", by="sam", approver="sam")
    assert [row["approver"] for row in governance.approvals()] == ["jo"]


# --- another number -----------------------------------------------------------------------------------


def test_another_number_is_judged_forecast_proposed_and_approved_as_any_other(governance, tmp_environment):
    (old,) = proposed(governance, lever("l1"))
    stored_figures(tmp_environment)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    browser = Browser(desk)
    page = words(browser.get(f"/proposals/{old}/counter?budget=510"))
    assert "They allow 510.00 a day" in page
    assert "510.00 interpolated 12.8 25.5 51.0 90 200 no end 75 %" in page
    assert "Expected as the decision counts it: +0.10 signups a day" in page
    assert "approving it adds 10.00 a day, for which your signature is enough" in page
    assert "on 30 Jun, the first day forecast; CAC cap 240" in page
    done = browser.post(f"/proposals/{old}/propose", budget="510", reason="a launch is near")
    (new,) = [row for row in governance.proposals(TEN) if row["status"] == "pending"]
    assert f"Proposed by hand: {new['proposal_id']} at 510.00 a day" in said(done)
    assert (new["proposed_by"], new["reason"], new["type"]) == ("jo", "a launch is near", "raise")
    assert status_of(governance, old) == "superseded"
    seen = words(done)
    assert "By hand, jo; AELP had proposed 525.00." in seen
    assert "Signups a day +0.10" in seen, "less in proportion to what the decision expected of 25"
    assert said(browser.post(f"/proposals/{new['proposal_id']}/approve", reason="as said")).startswith("Appr")
    (change,) = governance.changes()
    assert json.loads(change["request"])["form"] == {"daily_budget": "51000"}


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ("900", "500.00 -> 900.00 is more than 5% in one edit"),
        ("510.005", "510.005 is not in whole increments of 0.01 and whole cents"),
        ("0.5", "0.50 is below the platform minimum 1.00"),
        ("500", "500.00 is in force; to leave it so, reject"),
        ("525.00", "proposes already; approve it"),
        ("1,250", "'1,250' is no budget; write it as 1250 or 1250.50"),
        ("-3", "is no budget"),
        ("١٢", "is no budget"),
        ("1e9", "is no budget"),
        ("", "is no budget"),
    ],
)
def test_a_number_that_cannot_be_is_refused_before_and_after_it_is_sent(governance, browser, budget, told):
    (old,) = proposed(governance, lever("l1"))
    if budget:
        looked = words(browser.get(str(httpx.URL(f"/proposals/{old}/counter", params={"budget": budget}))))
        assert told in looked
        assert f"Propose {budget}" not in looked
    page = browser.post(f"/proposals/{old}/propose", budget=budget, reason="my own view")
    assert told in said(page)
    assert [row["proposal_id"] for row in governance.proposals(TEN)] == [old]
    assert status_of(governance, old) == "pending"


def test_a_number_needs_a_reason_and_an_open_proposal(governance, browser):
    (old,) = proposed(governance, lever("l1"))
    assert "needs a reason" in said(browser.post(f"/proposals/{old}/propose", budget="510", reason=" "))
    governance.approve(old, "sam", "quicker", TEN)
    assert "is approved" in said(browser.post(f"/proposals/{old}/propose", budget="510", reason="late"))
    answer = browser.send("GET", f"/proposals/{old}/counter")
    assert answer.status_code == 303
    assert "is approved" in said(browser.get(answer.headers["location"]))


def test_outside_what_was_forecast_nothing_is_invented(governance, tmp_environment):
    (old,) = proposed(governance, lever("l1"))
    stored_figures(tmp_environment)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    page = words(Browser(desk).get(f"/proposals/{old}/counter?budget=700"))
    assert "Nothing was forecast of 700.00: the budgets end at 450.00 and 550.00." in page
    assert "interpolated" not in page.replace("A budget between", "")


def test_between_two_budgets_each_quantile_lies_on_its_line():
    names = ("signups_p10", "signups_p50", "signups_p90", "cac_p10", "cac_p50", "cac_p90", "p_cac_within_cap")
    names += ("platform_cac_p50", "backend_cac_p50", "incremental_cac_p50")
    low = {"budget": Decimal(100)} | dict.fromkeys(names, 10.0)
    high = {"budget": Decimal(200)} | dict.fromkeys(names, 20.0) | {"cac_p90": None}
    found = forecast_at([low, high], Decimal(125))
    assert found == {"budget": Decimal(125)} | dict.fromkeys(names, 12.5) | {"cac_p90": None}
    assert forecast_at([low, high], Decimal(100)) == low
    assert forecast_at([low, high], Decimal(99)) is None
    assert forecast_at([], Decimal(100)) is None


# --- a warehouse that is held ---------------------------------------------------------------------------


def test_while_a_run_holds_the_warehouse_the_published_copy_is_read(governance, tmp_environment):
    proposed(governance, lever("l1"))
    stored_figures(tmp_environment)
    publish_analyst_copy(tmp_environment)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    with duckdb.connect(str(tmp_environment.duckdb_path)):
        page = words(Browser(desk).get())
    assert "181 to 287" in page
    assert "figures are missing" not in page


def test_without_any_figures_decisions_still_work_and_the_page_says_so(governance, tmp_environment):
    (proposal_id,) = proposed(governance, lever("l1"))
    stored_figures(tmp_environment)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    with duckdb.connect(str(tmp_environment.duckdb_path)):
        browser = Browser(desk)
        page = words(browser.get())
        assert "Decisions work, figures are missing." in page
        assert "is in use by" in page
        assert "500.00 → 525.00" in page
        number = words(browser.get(f"/proposals/{proposal_id}/counter?budget=510"))
        assert "They allow 510.00 a day" in number
        assert "The forecast cannot be read now." in number
        approved = browser.post(f"/proposals/{proposal_id}/approve", reason="fine")
    assert said(approved).startswith("Approved")


# --- who may press at all -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:3001", ""]
)
def test_another_name_of_this_machine_is_not_answered(governance, browser, host):
    proposed(governance, lever("l1"))
    answer = browser.send("GET", "/", headers={"Host": host})
    assert answer.status_code == 421
    assert "Ad set l1" not in answer.text


@pytest.mark.parametrize(
    "sender",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": f"https://127.0.0.1:{PORT}"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": f"http://localhost:{PORT}"},
        {"Referer": f"http://evil.example/{ORIGIN}"},
        {"Referer": f"http://127.0.0.1:{PORT}@evil.example/"},
        {"Origin": "http://evil.example", "Referer": f"{ORIGIN}/"},
    ],
)
def test_a_form_from_another_page_decides_nothing(governance, browser, sender):
    (proposal_id,) = proposed(governance, lever("l1"))
    fields = {"token": browser.token(), "reason": "forged"}
    answer = browser.send("POST", f"/proposals/{proposal_id}/approve", data=fields, headers=sender)
    assert answer.status_code == 403
    assert status_of(governance, proposal_id) == "pending"


def test_where_a_browser_sends_no_origin_its_own_referrer_will_do(governance, browser):
    (proposal_id,) = proposed(governance, lever("l1"))
    fields = {"token": browser.token(), "reason": "fine"}
    browser.send("POST", f"/proposals/{proposal_id}/approve", data=fields, headers={"Referer": f"{ORIGIN}/"})
    assert status_of(governance, proposal_id) == "approved"


def test_without_the_session_s_own_token_nothing_is_decided_and_nothing_typed_is_lost(governance, browser):
    (proposal_id,) = proposed(governance, lever("l1"))
    strange = Browser(desk_of(governance)).token()
    path = f"/proposals/{proposal_id}/approve"
    for fields in ({}, {"token": ""}, {"token": strange}, {"token": "é"}):
        answer = browser.send("POST", path, data={**fields, "reason": "my words"}, headers={"Origin": ORIGIN})
        page = browser.get(answer.headers["location"])
        assert "older than this desk" in said(page)
        assert 'value="my words"' in page
    token = browser.token()
    browser.cookies.clear()
    browser.send("POST", path, data={"token": token, "reason": "no cookie"}, headers={"Origin": ORIGIN})
    planted = httpx.Cookies({f"aelp_desk_{PORT}": "planted"})
    browser.cookies = planted
    browser.send("POST", path, data={"token": "planted", "reason": "mine"}, headers={"Origin": ORIGIN})
    assert status_of(governance, proposal_id) == "pending"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("text/plain", b"reason=x"),
        ("application/x-www-form-urlencoded", b"reason=" + b"x" * 20_000),
        ("application/x-www-form-urlencoded", b"reason=\xff"),
        ("application/x-www-form-urlencoded", b"reason=%ff"),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 50)),
    ],
)
def test_what_is_no_form_is_turned_away(governance, browser, kind, body):
    (proposal_id,) = proposed(governance, lever("l1"))
    headers = {"Origin": ORIGIN, "Content-Type": kind}
    path = f"/proposals/{proposal_id}/approve"
    assert browser.send("POST", path, content=body, headers=headers).status_code == 400
    assert browser.send("GET", path).status_code == 405, "a link decides nothing"


def test_every_answer_forbids_scripts_frames_and_keeping(governance, browser):
    proposed(governance, lever("l1"))
    answers = [browser.send("GET", path) for path in ("/", "/desk.css", "/absent")]
    answers.append(browser.send("POST", "/kill/on"))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "script-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
    cookie = answers[0].headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    for secret in KEYS.values():
        assert secret not in answers[0].text


# --- in this environment --------------------------------------------------------------------------------


def test_only_an_approver_of_the_settings_opens_a_desk_and_a_keyless_one_only_looks(
    governance, tmp_environment, monkeypatch
):
    monkeypatch.delenv("AELP_APPROVER_KEY_JO", raising=False)
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    with pytest.raises(Refused, match="eve may not decide"):
        open_desk(tmp_environment, settings, governance, "eve", PORT)
    with pytest.raises(Refused, match="in the sandbox only"):
        open_desk(tmp_environment, settings, governance, "robot", PORT)
    desk = open_desk(tmp_environment, settings, governance, "jo", PORT)
    assert "You can look, not decide. jo cannot sign: set AELP_APPROVER_KEY_JO" in words(Browser(desk).get())


def test_an_installed_desk_has_its_pages():
    package = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]
    root = PROJECT_ROOT / "aelp_assets"
    packed = {file for pattern in package["aelp_assets"] for file in root.glob(pattern)}
    needed = {file for file in (root / "desk").iterdir() if file.suffix in (".html", ".css")}
    assert needed
    assert needed <= packed


def test_a_real_browser_shows_what_waits_on_a_desk_that_only_loopback_reaches(tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium is installed to look at the page with")
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    (proposal_id,) = proposed(governing(engine), lever("l1"))
    engine.dispose()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AELP_")},
        "AELP_HOME": str(tmp_path),
        "AELP_CLOCK": TEN.isoformat(),
        "AELP_APPROVER_KEY_MAYA": "a long secret of maya",
    }
    command = [str(Path(sys.executable).parent / "aelp"), "desk", "--by", "maya", "--port", str(port)]
    served = subprocess.Popen(command, cwd=PROJECT_ROOT, env=variables)
    try:
        _wait_for(served, port)
        bound = {
            each.laddr.ip for each in psutil.Process(served.pid).net_connections() if each.status == "LISTEN"
        }
        assert bound == {"127.0.0.1"}
        picture = tmp_path / "desk.png"
        look = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
        ]
        address = f"http://127.0.0.1:{port}/"
        rendered = subprocess.run(
            [*look, "--dump-dom", address], capture_output=True, text=True, timeout=120, check=True
        ).stdout
        subprocess.run(
            [*look, "--window-size=1280,800", f"--screenshot={picture}", address],
            capture_output=True,
            timeout=120,
            check=True,
        )
    finally:
        served.terminate()
        served.wait(timeout=30)
    assert "You decide as <strong>maya</strong>" in rendered
    assert proposal_id in rendered
    assert "Ad set l1" in rendered
    assert _colours(picture) > 100, "the style sheet was not applied, or nothing was drawn"


def _colours(picture: Path) -> int:
    from PIL import Image

    with Image.open(picture) as image:
        return len(image.convert("RGB").getcolors(maxcolors=2**24) or [])


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, "the desk ended before it answered"
            assert time.monotonic() < deadline, "the desk did not answer in a minute"
            time.sleep(0.2)


def test_what_a_proposal_rests_on_is_a_page_linked_from_its_card(governance, browser):
    (about,) = proposed(governance, lever("l1"))
    assert f'href="/explain/{about}"' in browser.get()
    page = browser.get(f"/explain/{about}")
    assert "Raw meta_ads_insights: 3 rows" in page
    assert HOSTILE not in page
    assert html.escape(HOSTILE, quote=False).split("&")[1] in page
    nothing = browser.followed(browser.send("GET", "/explain/nothing"))
    assert "is kept here" in said(nothing)


def test_a_raise_that_is_drawn_to_be_held_says_so_and_offers_no_way_back(tmp_path):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    governance = governing(engine, hold=HoldRule(share=0.999999, days=7, seed=1))
    (about,) = proposed(governance, lever("l1"))
    browser = Browser(desk_of(governance))
    assert "drawn at random, are held 7 days for measurement" in words(browser.get())
    page = browser.post(f"/proposals/{about}/approve", reason="it pays")
    assert "held for measurement until 2026-07-07 14:00 UTC; the lever keeps its budget" in said(page)
    assert "/rollback" not in page
    engine.dispose()


def test_another_budget_brings_what_the_lever_s_own_curve_says():
    decided = {
        "current_budget": Decimal(500),
        "proposed_budget": Decimal(525),
        "expected_signups_change": 0.25,
    }
    own = signups_change(decided | {"elasticity": 0.3}, Decimal(600), 0.7)
    assert own == pytest.approx(0.25 * (1.2**0.3 - 1) / (1.05**0.3 - 1))
    configured = 0.25 * (1.2**0.7 - 1) / (1.05**0.7 - 1)
    assert signups_change(decided | {"elasticity": None}, Decimal(600), 0.7) == pytest.approx(configured)
    assert signups_change(decided, Decimal(600), 0.7) == pytest.approx(configured)
