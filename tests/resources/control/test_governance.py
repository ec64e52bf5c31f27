"""Proposals, approvals, changes and rollbacks: who may do what; nothing gets round the invariants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from models.guardrails import GuardrailLimits, plan_decisions
from resources.control.authority import Approver
from resources.control.change_feed import settle
from resources.control.counter_proposals import counter_propose
from resources.control.governance import Governance
from resources.control.payloads import LeverTarget, LeverValue, Unwritable, change_payload
from resources.control.records import Refused
from resources.control.signing import ApproverKeys, MissingKey, key_variable
from resources.control.store import APPROVALS, LEVER_STATES, PROPOSALS, open_control_store
from tests.resources.control.proposing import (
    LIMITS,
    MORNING,
    NINE,
    TEN,
    decisions_of,
    governing,
    lever,
    proposed,
    states_of,
    status_of,
    targets_of,
)

# --- proposing ----------------------------------------------------------------------------------------


def test_a_morning_s_edits_become_one_proposal_each_and_again_change_nothing(engine):
    governance = governing(engine)
    levers = [lever("l1"), lever("l2"), lever("l3", thompson_budget=500.0)]
    first = proposed(governance, *levers)
    assert len(first) == 2
    assert proposed(governance, *levers) == []
    rows = governance.proposals(NINE)
    assert {row["lever_id"] for row in rows} == {"l1", "l2"}
    assert {(row["current_budget"], row["proposed_budget"]) for row in rows} == {("500.00", "525.00")}
    assert {row["status"] for row in rows} == {"pending"}


def test_a_newer_proposal_for_a_lever_takes_the_place_of_the_open_one(engine):
    governance = governing(engine)
    (old,) = proposed(governance, lever("l1"))
    (new,) = proposed(governance, lever("l1", thompson_budget=510.0))
    assert (status_of(governance, old), status_of(governance, new)) == ("superseded", "pending")
    (tomorrow,) = proposed(governance, lever("l1"), at=NINE + timedelta(hours=23))
    assert status_of(governance, new, NINE + timedelta(hours=23)) == "superseded"
    assert status_of(governance, tomorrow, NINE + timedelta(hours=23)) == "pending"


def test_what_is_open_for_a_lever_that_is_now_held_is_superseded_unless_everything_is_stopped(engine):
    governance = governing(engine)
    raised, other = proposed(governance, lever("l1"), lever("l2"))
    held = lever("l1", thompson_budget=500.0)
    governance.kill(is_on=True, person="eve", reason="spend explodes", now=TEN)
    proposed(governance, held, at=TEN)
    assert status_of(governance, raised) == "pending"
    governance.kill(is_on=False, person="jo", reason="over", now=TEN)
    proposed(governance, held, at=TEN)
    rows = {row["proposal_id"]: row for row in governance.proposals(TEN)}
    assert {name: row["status"] for name, row in rows.items()} == {
        each: "superseded" if rows[each]["lever_id"] == "l1" else "pending" for each in (raised, other)
    }


def test_a_lever_decided_on_this_morning_gets_no_second_proposal(engine):
    governance = governing(engine)
    (first,) = proposed(governance, lever("l1"))
    governance.approve(first, "sam", "fine", TEN)
    states = states_of(lever("l1", thompson_budget=510.0))
    outcome = governance.propose(
        decisions_of(states), states, targets_of(states), as_of_date=MORNING, settings_hash="s", now=TEN
    )
    assert outcome.new == []
    assert outcome.left_out == ["l1: already decided this morning"]


def test_declared_levers_are_never_proposed_and_unwritable_ones_are_named(engine):
    governance = governing(engine)
    assert proposed(governance, lever("l1", lever_source="declared")) == []
    states = states_of(lever("l1", platform="google_ads", lever_level="campaign"), lever("l2"))
    targets = targets_of(states)
    del targets["meta", "a1", "l2"]
    outcome = governance.propose(
        decisions_of(states), states, targets, as_of_date=MORNING, settings_hash="s", now=NINE
    )
    assert outcome.new == []
    assert [said.split(":")[0] for said in outcome.left_out] == ["l1", "l2"]
    assert "pull google_ads again" in outcome.left_out[0]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"proposed_budget": Decimal(900)}, "pace"),
        ({"current_budget": Decimal(100), "proposed_budget": Decimal(105)}, "stale"),
        ({"type": "stop", "proposed_budget": Decimal(0)}, "without its evidence"),
        ({"lever_id": "l9"}, "no such lever"),
        ({"proposed_budget": Decimal("524.999")}, "increment"),
    ],
)
def test_a_hand_made_proposal_that_breaks_an_invariant_is_refused_and_leaves_nothing(engine, changes, rule):
    governance = governing(engine)
    made = decisions_of(states_of(lever("l1")))
    for name, value in changes.items():
        made = made.with_columns(pl.lit(value).cast(made.schema[name]).alias(name))
    with pytest.raises(Refused, match=rule):
        proposed(governance, lever("l1"), decisions=made)
    assert governance.proposals(NINE) == []


# --- numbers by hand ----------------------------------------------------------------------------------


def countered(governance: Governance, proposal_id: str, budget: str, now=TEN, **changes: Any) -> str:
    told = {"person": "jo", "reason": "a launch is near", "settings_hash": "s"} | changes
    return counter_propose(governance, proposal_id, Decimal(budget), now=now, **told)


def row_of(governance: Governance, proposal_id: str, now: datetime = TEN) -> Mapping[str, Any]:
    (found,) = [row for row in governance.proposals(now) if row["proposal_id"] == proposal_id]
    return found


def test_a_person_s_number_stands_in_the_place_of_the_decision_it_answers(engine):
    governance = governing(engine)
    (old,) = proposed(governance, lever("l1"))
    new = countered(governance, old, "510")
    by_hand, aelp_s = row_of(governance, new), row_of(governance, old)
    assert (aelp_s["status"], aelp_s["proposed_by"]) == ("superseded", "aelp")
    assert (by_hand["proposed_by"], by_hand["proposed_budget"]) == ("jo", "510.00")
    for name in ("decision_id", "states_hash", "expires_at", "as_of_date"):
        assert by_hand[name] == aelp_s[name], name
    assert proposed(governance, lever("l1")) == [], "the same decision again does not take its place"
    assert status_of(governance, new) == "pending"
    states = states_of(lever("l1", p_cac_above_cap=0.95, thompson_budget=None))
    worse = plan_decisions(states, LIMITS, NINE).with_columns(decision_id=pl.lit("on new numbers"))
    governance.propose(worse, states, targets_of(states), as_of_date=MORNING, settings_hash="s", now=TEN)
    assert status_of(governance, new) == "superseded", "newer knowledge does"


def test_a_stop_may_be_answered_with_nothing_but_a_stop(engine):
    governance = governing(engine)
    (stop,) = proposed(governance, lever("l1", p_cac_above_cap=0.95, thompson_budget=None))
    with pytest.raises(Refused, match="demand a stop"):
        countered(governance, stop, "450")
    assert status_of(governance, stop) == "pending"


def test_going_back_to_aelp_s_number_is_a_proposal_of_one_s_own(engine):
    governance = governing(engine)
    (old,) = proposed(governance, lever("l1"))
    new = countered(governance, old, "510")
    assert countered(governance, new, "525", person="sam") == old
    assert (row_of(governance, old)["proposed_by"], status_of(governance, new)) == ("sam", "superseded")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"person": "eve"}, "may not decide"),
        ({"person": "robot"}, "sandbox only"),
        ({"reason": " "}, "reason"),
    ],
)
def test_only_an_approver_with_a_reason_names_a_number(engine, changes, told):
    governance = governing(engine)
    (old,) = proposed(governance, lever("l1"))
    with pytest.raises(Refused, match=told):
        countered(governance, old, "510", **changes)
    assert status_of(governance, old) == "pending"


def test_a_number_that_was_rejected_is_not_put_before_people_again(engine):
    governance = governing(engine)
    (old,) = proposed(governance, lever("l1"))
    new = countered(governance, old, "510")
    back = countered(governance, new, "520")
    governance.reject(back, "sam", "no", TEN)
    (again,) = proposed(governance, lever("l1"))
    assert again == old, "AELP's own waits again"
    with pytest.raises(Refused, match="not open any more"):
        countered(governance, old, "520")
    assert status_of(governance, old) == "pending"


# --- approving ----------------------------------------------------------------------------------------


def test_an_approval_signs_the_payload_and_enters_a_change_that_shadow_never_sends(engine):
    governance = governing(engine)
    (proposal_id,) = proposed(governance, lever("l1"))
    assert governance.approve(proposal_id[:6], "jo", "it pays", TEN) == "approved"
    assert governance.is_approved(proposal_id, TEN)
    (change,) = governance.changes()
    assert (change["mode"], change["status"], change["outbox_status"]) == ("shadow", "shadow", "shadow")
    assert json.loads(change["before"]) == {"budget": "500.00", "status": "active"}
    assert json.loads(change["after"]) == {"budget": "525.00", "status": "active"}
    assert json.loads(change["request"]) == {
        "method": "POST",
        "path": "/v26.0/id-l1",
        "form": {"daily_budget": "52500"},
    }


def test_beyond_a_manager_s_daily_limit_a_second_person_signs(engine):
    governance = governing(engine)
    first, second = proposed(governance, lever("l1"), lever("l2"))
    assert governance.approve(first, "jo", "25 of my 30", TEN) == "approved"
    assert governance.approve(second, "jo", "50 in all", TEN) == "awaiting_second"
    assert not governance.is_approved(second, TEN)
    assert len(governance.changes()) == 1
    with pytest.raises(Refused, match="a second person"):
        governance.approve(second, "jo", "me again", TEN)
    assert governance.approve(second, "sam", "agreed", TEN) == "approved"
    assert governance.is_approved(second, TEN)
    assert governance.is_approved(first, TEN), "what was signed within the limit stays so"


def test_a_signature_does_not_stand_under_the_same_edit_put_forward_again(engine):
    """Who signed it first has not seen what it rests on now."""
    governance = governing(engine, approvers=[Approver("jo", Decimal(20)), Approver("sam", Decimal(20))])
    (one,) = proposed(governance, lever("l1"))
    assert governance.approve(one, "jo", "25 of my 20", NINE) == "awaiting_second"
    held = NINE + timedelta(minutes=1)
    proposed(governance, lever("l1", thompson_budget=500.0), at=held)
    assert proposed(governance, lever("l1"), at=TEN) == [one]
    assert governance.approve(one, "sam", "looks good", TEN) == "awaiting_second"
    assert governance.approve(one, "jo", "still does", TEN) == "approved"
    assert governance.is_approved(one, TEN)


def test_a_stop_or_cut_never_waits_for_a_second_person(engine):
    governance = governing(engine)
    levers = [lever("l1"), lever("l2"), lever("l3", thompson_budget=100.0)]
    proposed(governance, *levers)
    ids = {row["lever_id"]: row["proposal_id"] for row in governance.proposals(NINE)}
    first, second, cut = ids["l1"], ids["l2"], ids["l3"]
    governance.approve(first, "jo", "25", TEN)
    assert governance.left_to_add("jo", MORNING) == Decimal(5)
    assert governance.approve(second, "jo", "50 of my 30", TEN) == "awaiting_second"
    assert governance.approve(cut, "jo", "it adds nothing", TEN) == "approved"
    assert governance.is_approved(cut, TEN)
    assert governance.left_to_add("jo", MORNING) == 0
    assert governance.left_to_add("sam", MORNING) is None


@pytest.mark.parametrize(
    ("who", "why", "told"),
    [
        ("eve", "hello", "may not decide"),
        ("jo", "  ", "needs a reason"),
        ("robot", "simulated", "in the sandbox only"),
    ],
)
def test_nobody_else_and_nobody_without_a_reason_decides(engine, who, why, told):
    governance = governing(engine)
    (proposal_id,) = proposed(governance, lever("l1"))
    for decide in (governance.approve, governance.reject):
        with pytest.raises(Refused, match=told):
            decide(proposal_id, who, why, TEN)
    assert status_of(governance, proposal_id) == "pending"


def test_the_simulated_approver_opens_the_sandbox_and_nothing_else(engine):
    sandbox = governing(engine, mode="sandbox")
    (proposal_id,) = proposed(sandbox, lever("l1"))
    assert sandbox.approve(proposal_id, "robot", "the loop closes", TEN) == "approved"
    assert sandbox.is_approved(proposal_id, TEN)
    (change,) = sandbox.changes()
    assert (change["mode"], change["status"], change["outbox_status"]) == ("sandbox", "prepared", "queued")
    for mode in ("shadow", "live"):
        assert not governing(engine, mode=mode).is_approved(proposal_id, TEN)
        trusting = (Approver("robot"),)
        assert not governing(engine, mode=mode, approvers=trusting).is_approved(proposal_id, TEN)


def test_without_a_key_nobody_signs(engine):
    governance = governing(engine, keys=ApproverKeys({key_variable("jo"): "short"}))
    (proposal_id,) = proposed(governance, lever("l1"))
    with pytest.raises(MissingKey, match="AELP_APPROVER_KEY_JO"):
        governance.approve(proposal_id, "jo", "fine", TEN)
    assert status_of(governance, proposal_id) == "pending"
    assert governance.changes() == []


@pytest.mark.parametrize(
    "forged",
    [
        {"amount": "0.00"},
        {"approver": "sam"},
        {"reason": "another"},
        {"expires_at": 9e12},
        {"signature": "0" * 64},
    ],
)
def test_a_forged_approval_opens_nothing(engine, forged):
    governance = governing(engine)
    (proposal_id,) = proposed(governance, lever("l1"))
    governance.approve(proposal_id, "jo", "fine", TEN)
    with engine.begin() as connection:
        connection.execute(sa.update(APPROVALS).values(**forged))
    assert not governance.is_approved(proposal_id, TEN)


def test_a_payload_changed_after_the_approval_opens_nothing(engine):
    governance = governing(engine)
    (proposal_id,) = proposed(governance, lever("l1"))
    governance.approve(proposal_id, "jo", "fine", TEN)
    with engine.begin() as connection:
        payload = connection.execute(sa.select(PROPOSALS.c.payload)).scalar_one()
        connection.execute(sa.update(PROPOSALS).values(payload=payload.replace("52500", "92500")))
    assert not governance.is_approved(proposal_id, TEN)


def test_proposals_and_approvals_run_out(engine):
    governance = governing(engine)
    late = NINE + timedelta(hours=25)
    first, second = proposed(governance, lever("l1"), lever("l2"))
    governance.approve(first, "sam", "fine", TEN)
    assert not governance.is_approved(first, TEN + timedelta(hours=24))
    with pytest.raises(Refused, match="is expired"):
        governance.approve(second, "sam", "too late", late)
    assert status_of(governance, second, late) == "expired"


def test_a_rejected_proposal_stays_so(engine):
    governance = governing(engine)
    (proposal_id,) = proposed(governance, lever("l1"))
    governance.reject(proposal_id, "jo", "a launch is coming", TEN)
    with pytest.raises(Refused, match="is rejected"):
        governance.approve(proposal_id, "sam", "no", TEN)
    assert proposed(governance, lever("l1")) == [], "the same edit is not put before them again"


def test_the_invariants_are_checked_again_when_a_person_decides(engine):
    (proposal_id,) = proposed(governing(engine), lever("l1"))
    tighter = GuardrailLimits(tracks=LIMITS.tracks, total_daily_cap=Decimal(600))
    with pytest.raises(Refused, match="exceeds the cap"):
        governing(engine, limits=tighter).approve(proposal_id, "sam", "fine", TEN)
    with engine.begin() as connection:
        connection.execute(sa.update(LEVER_STATES).values(document=b"other states"))
    with pytest.raises(Refused, match="changed after the decision"):
        governing(engine).approve(proposal_id, "sam", "fine", TEN)


def test_two_people_at_once_make_one_change(engine, url):
    (proposal_id,) = proposed(governing(engine), lever("l1"))

    def approve(name: str) -> str:
        own = open_control_store(url)
        try:
            return governing(own).approve(proposal_id, name, "at once", TEN)
        except Refused as refused:
            return str(refused)
        finally:
            own.dispose()

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(approve, ["jo", "sam"]))
    assert said[1] == "approved"
    assert "is approved" in said[0]
    assert len(governing(engine).changes()) == 1


def test_a_store_of_before_people_named_numbers_is_taken_on(url):
    engine = open_control_store(url)
    (proposal_id,) = proposed(governing(engine), lever("l1"))
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE proposals DROP COLUMN proposed_by")
        connection.exec_driver_sql("ALTER TABLE lever_states DROP COLUMN sequence")
    engine.dispose()
    for _ in range(2):
        engine = open_control_store(url)
        assert row_of(governing(engine), proposal_id)["proposed_by"] == "aelp"
        engine.dispose()


def test_an_approved_raise_above_a_cap_lowered_since_holds_up_no_cut_and_no_stop(engine):
    levers = lever("l1"), lever("l2", thompson_budget=100.0), lever("l3", thompson_budget=500.0)
    raised, cut = proposed(governing(engine), *levers)
    governing(engine).approve(raised, "sam", "it pays", TEN)
    # 1,500 a day fit below it with their overdelivery, 1,525 do not.
    tight = governing(engine, limits=GuardrailLimits(tracks=LIMITS.tracks, total_daily_cap=Decimal(1900)))
    assert tight.approve(cut, "sam", "less", TEN) == "approved"
    losing = {"p_cac_above_cap": 0.95, "thompson_budget": None}
    states = states_of(lever("l1"), lever("l2", thompson_budget=100.0), lever("l3", **losing), lever("l4"))
    outcome = tight.propose(
        decisions_of(states), states, targets_of(states), as_of_date=NINE.date(), settings_hash="s", now=TEN
    )
    (stop,) = outcome.new
    assert tight.approve(stop, "jo", "it loses", TEN) == "approved"
    assert [said for said in outcome.left_out if said.startswith("l4: ") and "exceeds the cap" in said]


# --- the way back -------------------------------------------------------------------------------------


def test_a_rollback_is_the_exact_inverse_and_happens_once(engine):
    governance = governing(engine)
    (proposal_id,) = proposed(governance, lever("l1"))
    governance.approve(proposal_id, "jo", "it pays", TEN)
    (change,) = governance.changes()
    (undone,) = governance.roll_back(change["change_id"], "jo", "it did not", TEN)
    assert governance.roll_back(change["change_id"], "sam", "again", TEN) == [undone]
    newest, _ = governance.changes()
    assert (newest["kind"], newest["undoes"]) == ("rollback", change["change_id"])
    assert (newest["before"], newest["after"]) == (change["after"], change["before"])
    assert json.loads(newest["request"])["form"] == {"daily_budget": "50000"}
    assert status_of(governance, proposal_id) == "rolled_back"


def test_a_later_change_stands_in_the_way_unless_all_are_unwound(engine):
    governance = governing(engine)
    later = NINE + timedelta(days=4)
    (first,) = proposed(governance, lever("l1"))
    governance.approve(first, "sam", "one", TEN)
    raised = dict.fromkeys(("current_budget", "midnight_budget"), Decimal(525))
    (second,) = proposed(governance, lever("l1", **raised), at=later)
    governance.approve(second, "sam", "two", later)
    newer, older = governance.changes()
    with pytest.raises(Refused, match=newer["change_id"]):
        governance.roll_back(older["change_id"], "sam", "undo", later)
    undone = governance.roll_back(older["change_id"], "sam", "undo both", later, cascade=True)
    budgets = [json.loads(row["after"])["budget"] for row in reversed(governance.changes())]
    assert budgets == ["525.00", "551.25", "525.00", "500.00"]
    assert len(undone) == 2


def test_a_later_change_whose_rollback_failed_still_stands_in_the_way_and_is_undone_again(engine):
    governance = governing(engine, mode="sandbox")
    later = NINE + timedelta(days=4)
    (first,) = proposed(governance, lever("l1"))
    governance.approve(first, "sam", "one", TEN)
    raised = dict.fromkeys(("current_budget", "midnight_budget"), Decimal(525))
    (second,) = proposed(governance, lever("l1", **raised), at=later)
    governance.approve(second, "sam", "two", later)
    newer, older = governance.changes()
    (failed,) = governance.roll_back(newer["change_id"], "sam", "undo", later)
    with engine.begin() as connection:
        settle(connection, newer["change_id"], "applied", "sent", later)
        settle(connection, older["change_id"], "applied", "sent", later)
        settle(connection, failed, "conflict", "somebody moved it", later)
    with pytest.raises(Refused, match=newer["change_id"]):
        governance.roll_back(older["change_id"], "sam", "undo", later)
    again, own = governance.roll_back(older["change_id"], "sam", "undo both", later, cascade=True)
    assert again == failed
    states = {row["change_id"]: (row["status"], row["undoes"]) for row in governance.changes()}
    assert states[failed] == ("prepared", newer["change_id"])
    assert states[own] == ("prepared", older["change_id"])


def test_undoing_a_stop_waits_until_the_evidence_is_gone(engine):
    governance = governing(engine)
    losing = {"p_cac_above_cap": 0.95, "thompson_budget": None}
    (proposal_id,) = proposed(governance, lever("l1", **losing), lever("l2", thompson_budget=500.0))
    governance.approve(proposal_id, "jo", "it loses", TEN)
    (change,) = governance.changes()
    assert json.loads(change["request"])["form"] == {"status": "PAUSED"}
    with pytest.raises(Refused, match="demand a stop"):
        governance.roll_back(change["change_id"], "sam", "I like it", TEN)
    tomorrow = NINE + timedelta(days=1)
    proposed(governance, lever("l1", status="paused", current_budget=Decimal(500)), lever("l2"), at=tomorrow)
    (undone,) = governance.roll_back(change["change_id"], "sam", "restated", tomorrow)
    (newest,) = [row for row in governance.changes() if row["change_id"] == undone]
    assert json.loads(newest["request"])["form"] == {"status": "ACTIVE"}


def test_undoing_a_cut_obeys_the_caps(engine):
    governance = governing(engine)
    (proposal_id,) = proposed(
        governance, lever("l1", thompson_budget=100.0), lever("l2", thompson_budget=500.0)
    )
    governance.approve(proposal_id, "jo", "less", TEN)
    (change,) = governance.changes()
    tight = GuardrailLimits(tracks=LIMITS.tracks, total_daily_cap=Decimal(900))
    with pytest.raises(Refused, match="exceeds the cap"):
        governing(engine, limits=tight).roll_back(change["change_id"], "jo", "more", TEN)
    assert len(governance.roll_back(change["change_id"], "jo", "more", TEN)) == 1


# --- the kill switch ----------------------------------------------------------------------------------


def test_who_signs_by_a_clock_that_is_behind_is_told_instead_of_signing_in_vain(engine):
    governance = governing(engine)
    (about,) = proposed(governance, lever("l1"), at=TEN)
    with pytest.raises(Refused, match="clock here is behind"):
        governance.approve(about, "sam", "it pays", TEN - timedelta(seconds=30))
    assert governance.approve(about, "sam", "it pays", TEN) == "approved"
    assert governance.is_approved(about, TEN)


def test_the_kill_switch_stops_approvals_and_rollbacks_in_every_mode_and_anyone_may_pull_it(engine):
    governance = governing(engine)
    first, second = proposed(governance, lever("l1"), lever("l2"))
    governance.approve(first, "sam", "fine", TEN)
    (change,) = governance.changes()
    governance.kill(is_on=True, person="eve", reason="spend explodes", now=TEN)
    for mode in ("shadow", "sandbox", "live"):
        stopped = governing(engine, mode=mode)
        with pytest.raises(Refused, match=r"eve stopped everything .* spend explodes"):
            stopped.approve(second, "sam", "fine", TEN)
        with pytest.raises(Refused, match="eve stopped everything"):
            stopped.roll_back(change["change_id"], "sam", "undo", TEN)
    with pytest.raises(Refused, match="may not decide"):
        governance.kill(is_on=False, person="eve", reason="all good", now=TEN)
    governance.kill(is_on=False, person="jo", reason="a reporting error", now=TEN)
    assert governance.killed() is None
    assert [(row["is_on"], row["person"]) for row in governance.kill_switch_log()] == [
        (True, "eve"),
        (False, "jo"),
    ]
    assert governance.approve(second, "sam", "fine", TEN) == "approved"


# --- payloads -----------------------------------------------------------------------------------------


def change(platform: str, level: str, before: LeverValue, after: LeverValue, **target: Any) -> dict[str, Any]:
    described = {"account_id": "472-118-9034", "currency": "USD", "budget_id": "77"} | target
    names = {"lever_id": f"{level}_1", "lever_level": level, "entity_id": "1", "entity_name": "x"}
    return change_payload(LeverTarget(platform, **names, **described), before, after)


FIFTY, SIXTY = LeverValue(Decimal(50), "active"), LeverValue(Decimal("60.5"), "active")
STOPPED = LeverValue(Decimal(50), "paused")


def test_every_platform_s_call_is_in_its_own_units():
    meta = change("meta", "adset", FIFTY, SIXTY)
    assert meta["request"]["form"] == {"daily_budget": "6050"}
    assert change("meta", "adset", FIFTY, LeverValue(Decimal(60), "active"), currency="JPY")["request"][
        "form"
    ] == {"daily_budget": "60"}
    google = change("google_ads", "campaign", FIFTY, SIXTY)["request"]
    assert google["customer_id"] == "4721189034"
    assert google["operations"] == [
        {
            "update": {
                "resource_name": "customers/4721189034/campaignBudgets/77",
                "amount_micros": 60_500_000,
            },
            "update_mask": {"paths": ["amount_micros"]},
        }
    ]
    tiktok = change("tiktok", "adgroup", FIFTY, STOPPED)
    assert tiktok["request"]["body"]["operation_status"] == "DISABLE"
    assert tiktok["inverse"]["body"]["operation_status"] == "ENABLE"
    linkedin = change("linkedin", "adgroup", FIFTY, SIXTY)["request"]
    assert linkedin["body"]["patch"]["$set"]["dailyBudget"] == {"amount": "60.50", "currencyCode": "USD"}


@pytest.mark.parametrize(
    ("platform", "level", "before", "after", "told"),
    [
        ("meta", "ad", FIFTY, SIXTY, "campaigns and ad sets"),
        ("meta", "adset", FIFTY, FIFTY, "either the budget or the status"),
        ("meta", "adset", FIFTY, LeverValue(Decimal(60), "paused"), "either the budget or the status"),
        ("meta", "adset", FIFTY, LeverValue(Decimal("60.005"), "active"), "whole number"),
        ("linkedin", "campaign", FIFTY, SIXTY, "not of its groups"),
        ("impact", "campaign", FIFTY, SIXTY, "cannot be written"),
    ],
)
def test_a_change_no_call_makes_is_refused(platform, level, before, after, told):
    with pytest.raises(Unwritable, match=told):
        change(platform, level, before, after)
