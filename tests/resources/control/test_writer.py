"""What becomes of a change that was approved: sent once, exactly, or not at all."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from models.guardrails import FreezeWindow, GuardrailLimits
from resources.connectors.errors import ErrorClass, MissingCredentials
from resources.control.authority import Approver
from resources.control.governance import Governance
from resources.control.records import Refused
from resources.control.signing import ApproverKeys, MissingKey, canonical, content_hash, key_variable
from resources.control.store import (
    APPROVALS,
    CHANGES,
    KILL_SWITCH,
    OUTBOX,
    PROPOSALS,
    only_writer,
    open_control_store,
)
from resources.control.writer import Asked, Outcome, Writer
from tests.resources.control.paper_platform import PaperPlatform, failure, paused, running
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

SOON = TEN + timedelta(minutes=5)
TWO = {"id_l1": running("500"), "id_l2": running("500")}


def writing(engine: sa.Engine, platform: Any, at=SOON, **changes: Any) -> list[Outcome]:
    governance = governing(engine, **({"mode": "sandbox"} | changes))
    return Writer(engine, governance, platform, lambda: at).apply()


def approved(engine: sa.Engine, *levers: dict[str, Any], at=TEN, mode="sandbox") -> Governance:
    """A morning whose proposals `sam` approved."""
    governance = governing(engine, mode=mode)
    for proposal_id in proposed(governance, *(levers or [lever("l1")]), at=at - timedelta(hours=1)):
        governance.approve(proposal_id, "sam", "it pays", at)
    return governance


def statuses(engine: sa.Engine) -> list[tuple[str, str, str]]:
    """Kind, status and the call's status of each change, oldest first."""
    feed = governing(engine, mode="sandbox").changes()
    return [(row["kind"], row["status"], row["outbox_status"]) for row in reversed(feed)]


# --- applying -----------------------------------------------------------------------------------------


def test_an_approved_change_is_sent_once_and_its_rollback_restores_exactly(engine):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    (outcome,) = writing(engine, platform)
    assert (outcome.status, outcome.message) == ("applied", None)
    assert platform.values["id-l1"] == running("525")
    assert writing(engine, platform) == []
    (undone,) = governance.roll_back(outcome.change_id, "jo", "it did not", SOON)
    assert [each.change_id for each in writing(engine, platform)] == [undone]
    assert platform.values == {"id-l1": running("500"), "id-l2": running("500")}
    assert [write["form"] for write in platform.writes] == [
        {"daily_budget": "52500"},
        {"daily_budget": "50000"},
    ]
    assert statuses(engine) == [("apply", "applied", "sent"), ("rollback", "applied", "sent")]
    assert governance.roll_back(outcome.change_id, "jo", "again", SOON) == [undone]
    assert writing(engine, platform) == []


def test_what_waits_for_a_platform_that_is_out_of_order_keeps_no_other_from_its_turn(engine):
    governance = approved(
        engine, lever("l1"), lever("l2"), lever("l3", platform="tiktok", lever_level="adgroup")
    )
    tiktok = PaperPlatform(id_l3=running("500"))
    tiktok.faulty_sends = [failure(ErrorClass.PERMANENT)]

    def opened(platform: str) -> PaperPlatform:
        if platform == "meta":
            raise MissingCredentials("AELP_META_ACCESS_TOKEN is not set")
        return tiktok

    outcomes = Writer(engine, governance, opened, lambda: SOON).apply(Asked(at_most=2))
    assert [each.status for each in outcomes] == ["prepared", "prepared", "refused"]


def test_a_rollback_that_failed_is_sent_after_those_of_later_changes(engine):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    (first,) = writing(engine, platform)
    governance.roll_back(first.change_id, "jo", "it did not", SOON)
    platform.faulty_sends = [failure(ErrorClass.PERMANENT)]
    assert [each.status for each in writing(engine, platform)] == ["refused"]
    later = TEN + timedelta(days=4)
    raised = dict.fromkeys(("current_budget", "midnight_budget"), Decimal(525))
    approved(engine, lever("l1", **raised), at=later)
    soon = later + timedelta(minutes=5)
    assert [each.status for each in writing(engine, platform, at=soon)] == ["applied"]
    assert len(governance.roll_back(first.change_id, "jo", "all of it", soon, cascade=True)) == 2
    assert [each.status for each in writing(engine, platform, at=soon)] == ["applied", "applied"]
    assert platform.values["id-l1"] == running("500")


def test_what_was_sent_is_not_called_undone_in_a_mode_that_sends_nothing(engine):
    sandbox, shadow = approved(engine), governing(engine)
    platform = PaperPlatform(id_l1=running("500"))
    (change,) = sandbox.changes()
    writing(engine, platform)
    with pytest.raises(Refused, match=r"sent in mode sandbox.* set governance\.mode to sandbox"):
        shadow.roll_back(change["change_id"], "jo", "too dear", SOON)
    assert status_of(sandbox, change["proposal_id"]) == "approved"
    sandbox.roll_back(change["change_id"], "jo", "too dear", SOON)
    writing(engine, platform, at=SOON + timedelta(minutes=1))
    assert platform.values["id-l1"].budget == 500


@pytest.mark.parametrize("mode", ["shadow", "sandbox"])
def test_what_no_platform_has_seen_is_undone_in_any_mode_and_sends_nothing(engine, mode):
    other = "sandbox" if mode == "shadow" else "shadow"
    (change,) = approved(engine, mode=mode).changes()
    (undone,) = governing(engine, mode=other).roll_back(change["change_id"], "jo", "too dear", SOON)
    platform = PaperPlatform(id_l1=running("500"))
    assert writing(engine, platform) == []
    feed = {row["change_id"]: row for row in governing(engine).changes()}
    assert feed[undone]["status"] == ("shadow" if mode == "shadow" else "withdrawn")
    assert {row["mode"] for row in feed.values()} == {mode}


def test_a_stop_pauses_and_its_rollback_starts_again_with_the_same_budget(engine):
    losing = {"p_cac_above_cap": 0.95, "thompson_budget": None}
    approved(engine, lever("l1", **losing), lever("l2", thompson_budget=500.0))
    platform = PaperPlatform(**TWO)
    (stopped,) = writing(engine, platform)
    assert platform.values["id-l1"] == paused("500")
    tomorrow = NINE + timedelta(days=1)
    states = [lever("l1", status="paused"), lever("l2", thompson_budget=500.0)]
    governance = governing(engine, mode="sandbox")
    proposed(governance, *states, at=tomorrow)
    governance.roll_back(stopped.change_id, "sam", "restated", tomorrow)
    assert [each.status for each in writing(engine, platform, at=tomorrow)] == ["applied"]
    assert platform.values["id-l1"] == running("500")


def test_levers_are_independent_but_one_lever_s_changes_keep_their_order(engine):
    governance, platform = approved(engine, lever("l1"), lever("l2")), PaperPlatform(**TWO)
    platform.lost_answers = [failure(ErrorClass.TRANSIENT, "HTTP 503")]
    waits, done = writing(engine, platform)
    assert (waits.status, waits.message, done.status) == ("sending", "HTTP 503", "applied")
    governance.roll_back(waits.change_id, "jo", "too late", SOON)
    platform.faulty_reads = [failure(ErrorClass.TRANSIENT, "HTTP 503")]
    outcomes = writing(engine, platform)
    assert [each.status for each in outcomes] == ["sending", "prepared"]
    assert waits.change_id in str(outcomes[1].message)
    assert [each.status for each in writing(engine, platform)] == ["applied", "applied"]
    assert sorted(value.budget for value in platform.values.values()) == [500, 525]


def test_a_change_rolled_back_before_its_call_arrived_is_not_sent_again(engine):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    platform.faulty_sends = [failure(ErrorClass.TRANSIENT, "HTTP 503")]
    (change,) = writing(engine, platform)
    governance.roll_back(change.change_id, "jo", "never mind", SOON)
    assert [each.status for each in writing(engine, platform)] == ["withdrawn", "withdrawn"]
    assert platform.writes == []


def test_what_was_not_sent_yet_is_taken_back_without_a_call(engine):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    (change,) = governance.changes()
    (undone,) = governance.roll_back(change["change_id"], "jo", "not now", SOON)
    assert statuses(engine) == [("apply", "withdrawn", "dropped"), ("rollback", "withdrawn", "dropped")]
    assert writing(engine, platform) == []
    assert (platform.writes, platform.reads) == ([], 0)
    assert governance.roll_back(change["change_id"], "jo", "again", SOON) == [undone]


# --- what the platform says -----------------------------------------------------------------------------


def test_a_lever_somebody_edited_is_left_alone_and_both_values_are_named(engine):
    governance, platform = approved(engine), PaperPlatform(id_l1=running("610"))
    (outcome,) = writing(engine, platform)
    assert outcome.status == "conflict"
    assert "610.00 active" in outcome.message
    assert "500.00 active" in outcome.message
    assert platform.writes == []
    assert writing(engine, platform) == []
    with pytest.raises(Refused, match="never took place"):
        governance.roll_back(outcome.change_id, "jo", "undo", SOON)


def test_a_prepared_change_whose_value_is_there_already_is_somebody_else_s(engine):
    approved(engine)
    platform = PaperPlatform(id_l1=running("525"))
    assert [each.status for each in writing(engine, platform)] == ["conflict"]


def test_a_rollback_does_not_overwrite_a_later_edit_and_can_be_tried_again(engine):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    (change,) = writing(engine, platform)
    platform.values["id-l1"] = running("540")
    (undone,) = governance.roll_back(change.change_id, "jo", "undo", SOON)
    (outcome,) = writing(engine, platform)
    assert (outcome.change_id, outcome.status) == (undone, "conflict")
    assert "540.00" in outcome.message
    assert platform.values["id-l1"] == running("540")
    platform.values["id-l1"] = running("525")
    assert governance.roll_back(change.change_id, "sam", "they put it back", SOON) == [undone]
    assert [each.status for each in writing(engine, platform)] == ["applied"]
    assert platform.values["id-l1"] == running("500")


@pytest.mark.parametrize(
    ("kind", "others_wait"),
    [
        (ErrorClass.TRANSIENT, False),
        (ErrorClass.THROTTLE, True),
        (ErrorClass.DEFER, True),
        (ErrorClass.AUTH, True),
    ],
)
@pytest.mark.parametrize("where", ["faulty_reads", "faulty_sends"])
def test_a_passing_fault_makes_a_change_wait_for_the_next_round(engine, kind, others_wait, where):
    approved(engine, lever("l1"), lever("l2"))
    platform = PaperPlatform(**TWO)
    setattr(platform, where, [failure(kind, "come back later")])
    first, second = writing(engine, platform)
    assert first.status == ("prepared" if where == "faulty_reads" else "sending")
    assert first.message == "come back later"
    assert second.status == ("prepared" if others_wait else "applied")
    assert {each.status for each in writing(engine, platform)} == {"applied"}
    assert len(platform.writes) == 2


def test_a_call_whose_answer_was_lost_is_not_sent_twice(engine):
    approved(engine)
    platform = PaperPlatform(**TWO)
    platform.lost_answers = [failure(ErrorClass.TRANSIENT, "no answer within 60 s")]
    assert [each.status for each in writing(engine, platform)] == ["sending"]
    assert [each.status for each in writing(engine, platform)] == ["applied"]
    assert len(platform.writes) == 1


def test_a_lost_call_meets_a_person_s_edit_and_leaves_it(engine):
    approved(engine)
    platform = PaperPlatform(**TWO)
    platform.faulty_sends = [failure(ErrorClass.TRANSIENT)]
    writing(engine, platform)
    platform.values["id-l1"] = running("480")
    (outcome,) = writing(engine, platform)
    assert (outcome.status, platform.values["id-l1"]) == ("conflict", running("480"))


def test_what_a_platform_refuses_is_over_and_its_words_are_kept(engine):
    governance = approved(engine)
    platform = PaperPlatform(**TWO)
    platform.faulty_sends = [failure(ErrorClass.PERMANENT, "your budget is too\x00 low")]
    (outcome,) = writing(engine, platform)
    assert outcome.status == "refused"
    (row,) = governance.changes()
    assert (row["status"], row["message"]) == ("refused", "your budget is too� low")
    assert writing(engine, platform) == []


def test_without_credentials_a_change_waits_and_says_for_what(engine):
    approved(engine)

    def nobody(platform: str) -> Any:
        raise MissingCredentials(f"{platform}: set AELP_META_ACCESS_TOKEN")

    (outcome,) = writing(engine, nobody)
    assert (outcome.status, outcome.message) == ("prepared", "meta: set AELP_META_ACCESS_TOKEN")


# --- what people and rules say --------------------------------------------------------------------------


def test_the_kill_switch_stops_what_is_prepared_and_what_is_being_sent(engine):
    governance = approved(engine, lever("l1"), lever("l2"))
    platform = PaperPlatform(**TWO)
    platform.faulty_sends = [failure(ErrorClass.TRANSIENT)]
    assert {each.status for each in writing(engine, platform)} == {"sending", "applied"}
    done = len(platform.writes)
    governance.kill(is_on=True, person="eve", reason="spend explodes", now=SOON)
    (outcome,) = writing(engine, platform)
    assert outcome.status == "sending"
    assert "eve stopped everything" in outcome.message
    assert len(platform.writes) == done
    governance.kill(is_on=False, person="jo", reason="all is well", now=SOON)
    assert [each.status for each in writing(engine, platform)] == ["applied"]


def test_a_kill_while_the_platform_is_being_read_still_stops_the_call(engine):
    governance, platform = approved(engine), PaperPlatform(**TWO)

    def pulled() -> None:
        if governance.killed() is None:
            governance.kill(is_on=True, person="eve", reason="stop", now=SOON)

    platform.between = pulled
    assert [each.status for each in writing(engine, platform)] == ["prepared"]
    assert platform.writes == []


def test_killed_after_the_call_arrived_the_change_is_still_known_as_applied(engine):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    platform.lost_answers = [failure(ErrorClass.TRANSIENT)]
    writing(engine, platform)
    governance.kill(is_on=True, person="eve", reason="stop", now=SOON)
    assert [each.status for each in writing(engine, platform)] == ["applied"]


@pytest.mark.parametrize("where", ["prepared", "sending"])
def test_an_approval_that_ran_out_sends_nothing(engine, where):
    approved(engine)
    platform = PaperPlatform(**TWO)
    if where == "sending":
        platform.faulty_sends = [failure(ErrorClass.TRANSIENT)]
        writing(engine, platform)
    (outcome,) = writing(engine, platform, at=TEN + timedelta(hours=24))
    assert outcome.status == "blocked"
    assert "No approval stands" in outcome.message
    assert platform.writes == []


def test_a_rollback_outlives_the_approval_it_stands_on(engine):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    (change,) = writing(engine, platform)
    later = TEN + timedelta(days=9)
    governance.roll_back(change.change_id, "jo", "it did not pay", later)
    assert [each.status for each in writing(engine, platform, at=later)] == ["applied"]
    assert platform.values["id-l1"] == running("500")


@pytest.mark.parametrize(
    "approvers", [[Approver("jo")], [Approver("jo"), Approver("sam", Decimal(1))]], ids=["left", "limited"]
)
def test_what_was_sent_is_undone_though_who_approved_it_may_no_longer(engine, approvers):
    approved(engine)
    platform = PaperPlatform(**TWO)
    (change,) = writing(engine, platform)
    changed = {"approvers": approvers, "mode": "sandbox"}
    governing(engine, **changed).roll_back(change.change_id, "jo", "it did not pay", SOON)
    assert [each.status for each in writing(engine, platform, **changed)] == ["applied"]
    assert platform.values["id-l1"] == running("500")


UNSIGNED = {
    "by nobody": {"signature": None},
    "by somebody else": {"person": "sam"},
    "with another reason": {"reason": "it did"},
    "by one who may not decide": {"person": "eve"},
}


@pytest.mark.parametrize("what", UNSIGNED)
def test_a_rollback_nobody_signed_is_not_sent_until_somebody_does(engine, what):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    (change,) = writing(engine, platform)
    (undone,) = governance.roll_back(change.change_id, "jo", "it did not pay", SOON)
    with engine.begin() as connection:
        here = CHANGES.c.change_id == undone
        connection.execute(sa.update(CHANGES).where(here).values(**UNSIGNED[what]))
    (outcome,) = writing(engine, platform)
    assert (outcome.status, platform.values["id-l1"]) == ("blocked", running("525"))
    assert governance.roll_back(change.change_id, "sam", "it did not pay", SOON) == [undone]
    assert [each.status for each in writing(engine, platform)] == ["applied"]


def test_without_a_key_nothing_is_undone_and_nothing_let_go_on(engine):
    governance, platform = approved(engine, lever("l1"), lever("l2")), PaperPlatform(**TWO)
    first, _ = writing(engine, platform)
    keyless = governing(engine, mode="sandbox", keys=ApproverKeys({}))
    with pytest.raises(MissingKey, match="AELP_APPROVER_KEY_JO"):
        keyless.roll_back(first.change_id, "jo", "too dear", SOON)
    assert [row["kind"] for row in governance.changes()] == ["apply", "apply"]
    keyless.kill(is_on=True, person="eve", reason="stop", now=SOON)
    with pytest.raises(MissingKey, match="AELP_APPROVER_KEY_JO"):
        keyless.kill(is_on=False, person="jo", reason="go", now=SOON)
    assert "eve stopped everything" in str(governance.killed())


@pytest.mark.parametrize("forged", ["unsigned", "an older release"])
def test_nothing_is_sent_on_a_release_nobody_signed(engine, forged):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    later = SOON + timedelta(minutes=1)
    for moment in (TEN, later):
        governance.kill(is_on=True, person="eve", reason="stop", now=moment)
        if moment == TEN:
            governance.kill(is_on=False, person="jo", reason="go", now=moment)
    (_, released, _) = governance.kill_switch_log()
    row = {name: value for name, value in released.items() if name != "sequence"}
    with engine.begin() as connection:
        signature = None if forged == "unsigned" else row["signature"]
        connection.execute(sa.insert(KILL_SWITCH).values(row | {"signature": signature}))
    (outcome,) = writing(engine, platform, at=later)
    assert (outcome.status, platform.reads) == ("prepared", 0)
    assert "`aelp kill off` signs it" in str(outcome.message)
    governance.kill(is_on=False, person="jo", reason="it was I", now=later)
    assert [each.status for each in writing(engine, platform, at=later)] == ["applied"]


@pytest.mark.parametrize("releasing", ["the sandbox's robot", "in another mode", "no approver any more"])
def test_nothing_is_sent_on_a_release_by_whom_this_mode_does_not_ask(engine, releasing):
    governance, platform = approved(engine, mode="live"), PaperPlatform(**TWO)
    governance.kill(is_on=True, person="eve", reason="stop", now=SOON)
    if releasing == "the sandbox's robot":
        governing(engine, mode="sandbox").kill(is_on=False, person="robot", reason="go", now=SOON)
    elif releasing == "in another mode":
        governing(engine, mode="sandbox").kill(is_on=False, person="jo", reason="go", now=SOON)
    else:
        left = (*APPROVERS, Approver("max"))
        keys = ApproverKeys({**KEYS, key_variable("max"): "a long secret of max"})
        gone = governing(engine, mode="live", approvers=left, keys=keys)
        gone.kill(is_on=False, person="max", reason="go", now=SOON)
    (outcome,) = writing(engine, platform, mode="live")
    assert (outcome.status, platform.reads) == ("prepared", 0)
    assert "No signature that stands in live lets everything go on" in str(outcome.message)
    governance.kill(is_on=False, person="jo", reason="looked into", now=SOON)
    assert [each.status for each in writing(engine, platform, mode="live")] == ["applied"]


def test_a_raise_that_did_not_arrive_is_not_sent_before_a_cut_signed_since(engine):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    platform.faulty_sends = [failure(ErrorClass.TRANSIENT)]
    assert [each.status for each in writing(engine, platform)] == ["sending"]
    later = SOON + timedelta(hours=20)  # the next morning
    (cut,) = proposed(governance, lever("l1", thompson_budget=100.0), at=later)
    governance.approve(cut, "sam", "it does not pay", later)
    raised, lowered = writing(engine, platform, at=later)
    assert (raised.status, raised.message) == ("blocked", f"overtaken by {cut}")
    assert lowered.status == "applied"
    assert platform.values["id-l1"].budget < 500


def tampered_request(connection: sa.Connection) -> None:
    request = json.loads(connection.execute(sa.select(OUTBOX.c.request)).scalar_one())
    request["form"]["daily_budget"] = "92500"
    hashed = {"request": canonical(request), "request_hash": content_hash(request)}
    connection.execute(sa.update(OUTBOX).values(hashed))


def tampered_after(connection: sa.Connection) -> None:
    connection.execute(sa.update(CHANGES).values(after=canonical({"budget": "925.00", "status": "active"})))


def tampered_payload(connection: sa.Connection) -> None:
    """A payload that says one budget and sends another, with every hash in order."""
    payload = json.loads(connection.execute(sa.select(PROPOSALS.c.payload)).scalar_one())
    payload["request"]["form"]["daily_budget"] = "92500"
    hashed = content_hash(payload)
    connection.execute(sa.update(PROPOSALS).values(payload=canonical(payload), payload_hash=hashed))
    connection.execute(sa.update(APPROVALS).values(payload_hash=hashed))
    tampered_request(connection)


TAMPERED = {
    "request": tampered_request,
    "value after": tampered_after,
    "payload": tampered_payload,
    "signature": lambda c: c.execute(sa.update(APPROVALS).values(signature="0" * 64)),
    "approver": lambda c: c.execute(sa.update(APPROVALS).values(approver="jo")),
    "no approval": lambda c: c.execute(sa.delete(APPROVALS)),
    "amount": lambda c: c.execute(sa.update(PROPOSALS).values(proposed_budget="925.00")),
    "lever": lambda c: c.execute(sa.update(CHANGES).values(lever_id="l2")),
    "rejected": lambda c: c.execute(sa.update(PROPOSALS).values(status="rejected")),
    "another proposal": lambda c: c.execute(sa.update(CHANGES).values(proposal_id="nobody's")),
    "expiry": lambda c: c.execute(sa.update(APPROVALS).values(expires_at=9e12)),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_behind_the_approver_s_back_is_never_sent(engine, what):
    approved(engine, lever("l1"), lever("l2", thompson_budget=500.0))
    platform = PaperPlatform(**TWO)
    with engine.begin() as connection:
        TAMPERED[what](connection)
    assert [each.status for each in writing(engine, platform)] == ["blocked"]
    assert (platform.writes, platform.reads) == ([], 0), "not even asked"


def test_a_change_signed_by_one_who_may_no_longer_decide_is_not_sent(engine):
    approved(engine)
    platform = PaperPlatform(**TWO)
    left = [person for person in APPROVERS if person.name != "sam"]
    assert [each.status for each in writing(engine, platform, approvers=left)] == ["blocked"]


def test_without_the_key_to_check_a_signature_a_change_waits(engine):
    approved(engine)
    platform = PaperPlatform(**TWO)
    (outcome,) = writing(engine, platform, keys=ApproverKeys({}))
    assert (outcome.status, platform.reads) == ("prepared", 0)
    assert "AELP_APPROVER_KEY_SAM" in outcome.message
    assert [each.status for each in writing(engine, platform)] == ["applied"]


def test_the_money_invariants_are_checked_again_with_what_is_in_force_now(engine):
    approved(engine, lever("l1"), lever("l2"))
    platform = PaperPlatform(**TWO)
    # 525 and 500 fit below it with their overdelivery, 525 twice does not.
    tight = GuardrailLimits(tracks=LIMITS.tracks, total_daily_cap=Decimal(1300))
    with engine.begin() as connection:
        kept = connection.execute(sa.select(PROPOSALS.c.proposal_id)).scalars().first()
        connection.execute(
            sa.update(PROPOSALS).where(PROPOSALS.c.proposal_id != kept).values(status="approved")
        )
    outcomes = writing(engine, platform, limits=tight)
    assert [each.status for each in outcomes] == ["blocked", "blocked"]
    assert all("exceeds the cap" in each.message for each in outcomes)
    assert platform.writes == []


@pytest.mark.parametrize(
    ("days", "edited_after", "status"),
    [(1, None, "blocked"), (2, None, "blocked"), (6, 1, "blocked"), (6, 3, "applied"), (14, None, "blocked")],
)
def test_a_raise_of_ours_counts_until_a_state_tells_of_it(engine, days, edited_after, status):
    # 525 and 500 fit below it with their overdelivery, 525 twice does not.
    tight = GuardrailLimits(tracks=LIMITS.tracks, total_daily_cap=Decimal(1300))
    approved(engine, lever("l1"), lever("l2", thompson_budget=500.0))
    platform = PaperPlatform(**TWO)
    assert [each.status for each in writing(engine, platform)] == ["applied"]
    # Since then the account of l1 cannot be read, or somebody set it back, dated so many days later.
    later = TEN + timedelta(days=days)
    edited = {"last_edited_at": SOON + timedelta(days=edited_after)} if edited_after else {}
    stale = lever("l1", thompson_budget=500.0, **edited)
    governance = governing(engine, mode="sandbox", limits=tight)
    (second,) = proposed(governance, stale, lever("l2"), at=later - timedelta(hours=1))
    governance.approve(second, "sam", "it pays", later)
    (outcome,) = writing(engine, platform, at=later + timedelta(minutes=5), limits=tight)
    assert outcome.status == status
    assert status == "applied" or "exceeds the cap" in outcome.message


FROZEN = replace(LIMITS, freeze_windows=(FreezeWindow("the sale", (6, 30), (7, 2)),))


def test_a_raise_approved_before_a_freeze_window_is_not_sent_in_it(engine):
    approved(engine)
    platform = PaperPlatform(**TWO)
    (blocked,) = writing(engine, platform, limits=FROZEN)
    assert blocked.status == "blocked"
    assert "nothing rises during the sale" in str(blocked.message)
    assert platform.writes == []


def test_a_cut_is_sent_in_a_freeze_window_and_its_way_back_waits_for_the_end(engine):
    approved(engine, lever("l1", thompson_budget=100.0))
    platform = PaperPlatform(**TWO)
    (cut,) = writing(engine, platform, limits=FROZEN)
    assert cut.status == "applied"
    with pytest.raises(Refused, match="nothing rises during the sale"):
        governing(engine, mode="sandbox", limits=FROZEN).roll_back(cut.change_id, "jo", "no", SOON)


def test_newer_evidence_against_a_raise_stops_it_although_it_was_approved(engine):
    approved(engine)
    platform = PaperPlatform(**TWO)
    tomorrow = NINE + timedelta(hours=20)
    doubtful = lever("l1", p_cac_above_cap=0.6, thompson_budget=None)
    proposed(governing(engine, mode="sandbox"), doubtful, lever("l2"), at=tomorrow)
    (outcome,) = writing(engine, platform, at=tomorrow)
    assert outcome.status == "blocked"
    assert "freeze" in outcome.message


@pytest.mark.parametrize("came_back", [False, True])
def test_the_newest_states_count_although_nothing_was_proposed_on_them(engine, came_back):
    approved(engine)
    governance, platform = governing(engine, mode="sandbox"), PaperPlatform(**TWO)
    calm, doubtful = lever("l2", thompson_budget=500.0), {"p_cac_above_cap": 0.6, "thompson_budget": None}
    assert proposed(governance, lever("l1", **doubtful), calm, at=TEN) == []
    if came_back:
        assert proposed(governance, lever("l1"), at=SOON) == []
    (outcome,) = writing(engine, platform)
    assert outcome.status == ("applied" if came_back else "blocked")


def test_our_own_edits_count_for_the_72_hours_although_no_snapshot_tells_of_them(engine):
    governance, platform = approved(engine), PaperPlatform(**TWO)
    (raised,) = writing(engine, platform)
    governance.roll_back(raised.change_id, "jo", "not yet", SOON)
    writing(engine, platform)
    for days, status in ((1, "blocked"), (4, "applied")):
        later = NINE + timedelta(days=days)
        (again,) = proposed(governance, lever("l1"), at=later)
        governance.approve(again, "sam", "now it does", later)
        (outcome,) = writing(engine, platform, at=later)
        assert outcome.status == status
        assert (outcome.message is None) or "cooldown" in outcome.message


def test_a_rollback_that_raises_spend_obeys_the_caps_when_it_is_sent(engine):
    levers = lever("l1", thompson_budget=100.0), lever("l2", thompson_budget=500.0)
    governance, platform = approved(engine, *levers), PaperPlatform(**TWO)
    (cut,) = writing(engine, platform)
    assert platform.values["id-l1"].budget < 500
    governance.roll_back(cut.change_id, "jo", "more", SOON)
    tight = GuardrailLimits(tracks=LIMITS.tracks, total_daily_cap=Decimal(900))
    assert [each.status for each in writing(engine, platform, limits=tight)] == ["blocked"]
    assert len(platform.writes) == 1
    governance.roll_back(cut.change_id, "jo", "the cap is higher now", SOON)
    assert [each.status for each in writing(engine, platform)] == ["applied"]


# --- modes ----------------------------------------------------------------------------------------------


def test_shadow_opens_no_connection_and_asks_no_platform(engine, monkeypatch):
    approved(engine, mode="shadow")

    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection was opened")

    if engine.dialect.name == "sqlite":
        monkeypatch.setattr(socket, "socket", refused)
        monkeypatch.setattr(socket, "create_connection", refused)
    assert writing(engine, refused, mode="shadow") == []
    (row,) = governing(engine).changes()
    assert (row["status"], row["outbox_status"]) == ("shadow", "shadow")


@pytest.mark.parametrize(("entered", "writes_in"), [("sandbox", "live"), ("live", "sandbox")])
def test_what_was_approved_in_one_mode_is_not_sent_in_another(engine, entered, writes_in):
    approved(engine, mode=entered)
    platform = PaperPlatform(**TWO)
    assert writing(engine, platform, mode=writes_in) == []
    with engine.begin() as connection:
        for table in (CHANGES, OUTBOX):
            connection.execute(sa.update(table).values(mode=writes_in))
    assert [each.status for each in writing(engine, platform, mode=writes_in)] == ["blocked"]
    assert platform.writes == []


@pytest.mark.parametrize("is_told_as", ["simulated", "a person"])
def test_a_simulated_approver_s_change_is_sent_in_the_sandbox_alone(engine, is_told_as):
    sandbox = governing(engine, mode="sandbox")
    (proposal_id,) = proposed(sandbox, lever("l1"))
    sandbox.approve(proposal_id, "robot", "the loop closes", TEN)
    platform = PaperPlatform(**TWO)
    with engine.begin() as connection:
        for table in (CHANGES, OUTBOX):
            connection.execute(sa.update(table).values(mode="live"))
    trusted = [*APPROVERS[:2], type(APPROVERS[2])("robot", simulated=is_told_as == "simulated")]
    assert [e.status for e in writing(engine, platform, mode="live", approvers=trusted)] == ["blocked"]
    assert platform.writes == []


# --- several writers --------------------------------------------------------------------------------------


def test_two_writers_at_once_send_each_change_once(engine, url):
    names = [f"l{number}" for number in range(6)]
    approved(engine, *map(lever, names))
    platform = PaperPlatform(**{f"id_{name}": running("500") for name in names})

    def write(_: int) -> list[Outcome]:
        own = open_control_store(url)
        try:
            return writing(own, platform)
        except Refused:
            return []
        finally:
            own.dispose()

    with ThreadPoolExecutor(4) as pool:
        outcomes = [each for done in pool.map(write, range(8)) for each in done]
    assert sorted(each.status for each in outcomes) == ["applied"] * 6
    assert len(platform.writes) == 6
    assert set(platform.values.values()) == {running("525")}


def test_while_one_writer_is_at_work_another_is_told_so(engine, url):
    approved(engine)
    platform = PaperPlatform(**TWO)
    other = open_control_store(url)
    with only_writer(other), pytest.raises(Refused, match="Another writer is at work"):
        writing(engine, platform)
    other.dispose()
    assert [each.status for each in writing(engine, platform)] == ["applied"]
