"""Every button of the review desk that decides, and every refusal in words."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from resources.clock import FixedClock
from resources.control.authority import Approver
from resources.control.counter_proposals import counter_propose
from resources.control.holds import HoldRule
from resources.control.records import OPEN
from resources.control.signing import ApproverKeys, key_variable
from resources.control.store import open_control_store
from resources.control.writer import Writer
from resources.warehouse import warehouses_to_look_into
from tests.aelp_assets.desk.browsing import Browser, desk_of, said, words
from tests.aelp_assets.stored_figures import running_experiments
from tests.resources.control.arm_mornings import LOSING, PROVEN, arm, decided_on, put_arms, put_one
from tests.resources.control.paper_platform import PaperPlatform, running
from tests.resources.control.proposing import (
    APPROVERS,
    KEYS,
    LIMITS,
    NINE,
    TEN,
    governing,
    lever,
    proposed,
    status_of,
)


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
    assert said(undone) == f"Undone by {newest['change_id']}."
    assert f"Undone by {newest['change_id']}." in words(undone)
    assert status_of(governance, proposal_id) == "rolled_back"


def test_reject(governance, browser):
    (proposal_id,) = proposed(governance, lever("l1"))
    assert said(browser.post(f"/proposals/{proposal_id}/reject", reason="a launch")) == (
        f"Rejected: {proposal_id}."
    )
    assert status_of(governance, proposal_id) == "rejected"
    assert governance.changes() == []


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
    assert said(back).startswith("Undone by ")


def test_a_change_is_called_undone_only_once_its_platform_says_so(tmp_path):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    governance = governing(engine, mode="sandbox")
    (about,) = proposed(governance, lever("l1"))
    governance.approve(about, "sam", "it pays", TEN)
    platform = PaperPlatform(id_l1=running("500"))
    writer = Writer(engine, governance, platform, lambda: TEN)
    assert [each.status for each in writer.apply()] == ["applied"]
    (change,) = governance.changes()
    browser, undo = Browser(desk_of(governance)), f"/changes/{change['change_id']}/rollback"
    page = browser.post(undo, reason="it did not")
    undoing = governance.changes()[0]["change_id"]
    assert said(page) == f"To be undone by {undoing}: its call waits to be sent."
    assert "Undone by" not in words(page)
    assert undo not in page
    platform.values["id-l1"] = running("700")  # somebody was faster
    assert [each.status for each in writer.apply()] == ["conflict"]
    page = browser.get()
    assert f"Not undone: {undoing} ended as conflict" in words(page)
    assert undo in page
    platform.values["id-l1"] = running("525")
    browser.post(undo, reason="now")
    assert [each.status for each in writer.apply()] == ["applied"]
    assert f"Undone by {undoing}." in words(browser.get())
    engine.dispose()


def test_an_experiment_that_the_switch_of_an_arm_would_disturb_is_named(governance, tmp_environment):
    decided_on(governance)
    put_arms(governance, arm("a", **LOSING), arm("b"))
    running_experiments(tmp_environment, {"hooks: 2 arms": "l1", "pages: 2 arms": "l2"})
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    seen = words(Browser(desk).get())
    assert "An experiment goes on here, and would tell less: hooks: 2 arms (" in seen
    assert "pages: 2 arms" not in seen


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


def test_a_signature_under_the_same_edit_put_forward_again_is_not_counted_and_may_be_given_anew(tmp_path):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    three = (*APPROVERS, Approver("max", Decimal(1)))
    keys = ApproverKeys({**KEYS, key_variable("max"): "a long secret of max"})
    governance = governing(engine, approvers=three, keys=keys)
    first, second = proposed(governance, lever("l1"), lever("l2"))
    later = [TEN + timedelta(minutes=minutes) for minutes in (1, 2, 3)]
    governance.approve(first, "jo", "25 of my 30", TEN)
    assert governance.approve(second, "jo", "50 in all", TEN) == "awaiting_second"
    for person, budget, now in (("sam", 510, later[0]), ("jo", 525, later[1])):
        (waits,) = [row for row in governance.proposals(now) if row["status"] in OPEN]
        counter_propose(
            governance,
            waits["proposal_id"],
            Decimal(budget),
            person=person,
            reason="rather",
            settings_hash="s",
            now=now,
        )
    desks = {name: desk_of(governance, approver=name, clock=FixedClock(later[2])) for name in ("jo", "max")}
    (again,) = [row["proposal_id"] for row in governance.proposals(later[2]) if row["status"] in OPEN]
    assert again == second
    page = Browser(desks["jo"]).get()
    assert "Signed by" not in words(page)
    assert f"/proposals/{again}/approve" in page
    seen = words(Browser(desks["max"]).get())
    assert "beyond your daily limit: a second approver must sign too." in seen
    engine.dispose()


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
    assert said(browser.post(path, reason="undo", cascade="on")).count("Undone by") == 2
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
