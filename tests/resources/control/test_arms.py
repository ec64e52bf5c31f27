"""Switches of arms: proposed, signed, sent and undone like any change; split tests recorded; never money."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from google.ads.googleads.v26.services.types.ad_group_ad_service import MutateAdGroupAdsRequest
from google.ads.googleads.v26.services.types.ad_group_criterion_service import MutateAdGroupCriteriaRequest
from google.ads.googleads.v26.services.types.ad_group_service import MutateAdGroupsRequest

from models.guardrails import FreezeWindow
from resources.connectors.errors import ErrorClass
from resources.control.arm_payloads import ArmTarget, arm_payload
from resources.control.counter_proposals import with_budget
from resources.control.external_edits import withdraw_overtaken
from resources.control.payloads import LeverValue, Unwritable
from resources.control.records import Refused
from resources.control.signing import canonical, content_hash
from resources.control.store import ARM_EVIDENCE, CHANGES, OUTBOX, PROPOSALS
from resources.control.writer import Outcome, Writer
from tests.resources.control.arm_mornings import (
    FAILED,
    LOSING,
    OFF,
    ON,
    PROVEN,
    arm,
    decided_on,
    put_arms,
    put_one,
)
from tests.resources.control.paper_platform import PaperPlatform, failure, running
from tests.resources.control.proposing import (
    LIMITS,
    MORNING,
    NINE,
    TEN,
    governing,
    lever,
    proposed,
    status_of,
)

SOON = TEN + timedelta(minutes=5)
FROZEN = replace(LIMITS, freeze_windows=(FreezeWindow("the sale", MORNING, MORNING),))
DESIGN = json.dumps({"arms": ["b", "c"], "metric": "cvr", "days": 14, "power": 0.8})


def meta_ad(**changes: Any) -> ArmTarget:
    return ArmTarget(**{
        **{"platform": "meta", "account_id": "a1", "lever_id": "l1", "arm_kind": "ad"},
        **{"arm_id": "120", "entity_name": "Ad", "adgroup_id": "7"},
    } | changes)  # fmt: skip


def sending(engine: sa.Engine, platform: Any, at=SOON, **changes: Any) -> list[Outcome]:
    governance = governing(engine, **({"mode": "sandbox"} | changes))
    return Writer(engine, governance, platform, lambda: at).apply()


def the_change(engine: sa.Engine, kind: str = "apply") -> Mapping[str, Any]:
    (found,) = [row for row in governing(engine, mode="sandbox").changes() if row["kind"] == kind]
    return found


# --- rendering ----------------------------------------------------------------------------------------


def test_meta_s_switch_is_one_form_at_the_object_itself_and_the_way_back_is_its_mirror():
    payload = arm_payload(meta_ad(), "pause")
    assert (payload["before"], payload["after"]) == ({"status": "active"}, {"status": "paused"})
    assert payload["request"] == {"method": "POST", "path": "/v26.0/120", "form": {"status": "PAUSED"}}
    assert payload["inverse"] == {"method": "POST", "path": "/v26.0/120", "form": {"status": "ACTIVE"}}
    assert arm_payload(meta_ad(arm_kind="adgroup"), "enable")["request"]["form"] == {"status": "ACTIVE"}


@pytest.mark.parametrize(
    ("kind", "arm_id", "message", "resource"),
    [
        ("ad", "9", MutateAdGroupAdsRequest, "customers/4721189034/adGroupAds/7~9"),
        ("adgroup", "7", MutateAdGroupsRequest, "customers/4721189034/adGroups/7"),
        ("keyword", "7~31", MutateAdGroupCriteriaRequest, "customers/4721189034/adGroupCriteria/7~31"),
    ],
)
def test_google_s_switch_is_one_update_of_the_status_alone_in_its_own_messages(
    kind, arm_id, message, resource
):
    google = meta_ad(platform="google_ads", account_id="472-118-9034", arm_kind=kind, arm_id=arm_id)
    request = arm_payload(google, "pause")["request"]
    assert request["method"] == message.__name__.removesuffix("Request")
    read = message({name: request[name] for name in ("customer_id", "operations")})
    (operation,) = read.operations
    assert (operation.update.resource_name, operation.update.status.name) == (resource, "PAUSED")
    assert list(operation.update_mask.paths) == ["status"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"platform": "tiktok"}, "by hand"),
        ({"arm_kind": "keyword"}, "by hand"),
        ({"platform": "google_ads", "adgroup_id": None}, "ad group is not known"),
    ],
)
def test_what_no_call_switches_is_left_out_and_named(engine, changes, said):
    with pytest.raises(Unwritable, match=said):
        arm_payload(meta_ad(**changes), "pause")
    governance = governing(engine)
    outcome = put_arms(governance, arm("a", **LOSING, **changes), arm("b", **changes))
    assert outcome.new == []
    assert said in outcome.left_out[0]


# --- proposing and deciding -----------------------------------------------------------------------------


def test_a_morning_s_switches_become_one_proposal_per_arm_that_adds_nothing(engine):
    governance = governing(engine)
    decided_on(governance)
    morning = arm("a", **LOSING), arm("b"), arm("c", **PROVEN), arm("d", type="pause", advisory=True)
    outcome = put_arms(governance, *morning)
    assert len(outcome.new) == 2
    assert put_arms(governance, *morning).known == outcome.new
    rows = {row["lever_id"]: row for row in governance.proposals(NINE)}
    assert {name: row["type"] for name, row in rows.items()} == {"ad:a": "pause", "ad:c": "enable"}
    pause = rows["ad:a"]
    assert (pause["entity_name"], pause["reason"]) == ("Ad a", LOSING["reason"])
    assert (pause["current_budget"], pause["proposed_budget"]) == ("0.00", "0.00")
    assert pause["expires_at"] == (NINE + timedelta(hours=24)).timestamp()
    assert governance.approve(pause["proposal_id"], "jo", "it loses", TEN) == "approved", "one signs alone"
    assert governance.left_to_add("jo", MORNING) == Decimal(30), "and nothing of their limit is used"
    assert put_arms(governance, *morning, at=TEN).left_out == ["ad:a: already decided this morning"]


def test_newer_knowledge_supersedes_an_open_switch_and_leaves_levers_alone(engine):
    governance = governing(engine)
    (edit,) = proposed(governance, lever("l1"))
    old = put_one(governance, arm("a", **LOSING), arm("b"))
    tomorrow = NINE + timedelta(hours=23)
    new = put_one(governance, arm("a", **LOSING), arm("b"), at=tomorrow)
    assert (status_of(governance, old, tomorrow), status_of(governance, new, tomorrow)) == (
        "superseded",
        "pending",
    )
    assert put_arms(governance, arm("a"), arm("b"), at=tomorrow).superseded == [new]
    assert status_of(governance, edit, tomorrow) == "pending"


def test_a_rejected_switch_is_not_asked_for_again_that_morning_an_unanswered_pause_is(engine):
    governance = governing(engine)
    morning = arm("a", **LOSING), arm("b")
    first = put_one(governance, *morning)
    with pytest.raises(Refused, match="needs a reason"):
        governance.reject(first, "jo", " ", TEN)
    governance.reject(first, "jo", "a new landing page", TEN)
    assert put_arms(governance, *morning, at=TEN).known == [first]
    late = NINE + timedelta(hours=25)
    second = put_one(governance, *morning, at=late)
    assert status_of(governance, second, late + timedelta(hours=25)) == "expired"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"p_cac_above_cap": 0.9}, "without its evidence"),
        ({"spend": Decimal("959.99")}, "without its evidence"),
        ({"status": "paused"}, "starts from active, not paused"),
        ({"status": None}, "starts from active, not None"),
        ({"track": "none"}, "known_track"),
    ],
)
def test_a_pause_without_its_evidence_is_not_put_before_people(engine, changes, said):
    outcome = put_arms(governing(engine), arm("a", **{**LOSING, **changes}), arm("b"))
    assert outcome.new == []
    assert said in outcome.left_out[0]


@pytest.mark.parametrize(
    ("mine", "its_lever", "said"),
    [
        ({"p_cac_above_cap": 0.21}, {}, "own evidence"),
        ({"spend": Decimal(100)}, {}, "own evidence"),
        ({"p_ctr_below": 0.96}, {}, "own evidence"),
        ({}, {"p_cac_above_cap": 0.51}, "freeze"),
        ({}, {"track_p_cac_above_cap": 0.21}, "track_evidence"),
        ({}, {"learning_state": "learning"}, "learning"),
        ({}, {"last_edited_at": NINE - timedelta(hours=71)}, "cooldown"),
        ({}, {"track_contribution": -0.1}, "contribution"),
        ({}, {"decision_eligible": False}, "account_audit"),
        ({"lever_id": "unknown"}, {}, "no such lever"),
    ],
)
def test_enabling_counts_as_a_raise_of_its_lever(engine, mine, its_lever, said):
    governance = governing(engine)
    decided_on(governance, lever("l1", **{"thompson_budget": 500.0} | its_lever))
    outcome = put_arms(governance, arm("a", **{**PROVEN, **mine}), arm("b"))
    assert outcome.new == []
    assert said in outcome.left_out[0]


def test_a_switch_on_needs_its_levers_to_have_been_decided_on(engine):
    assert "no such lever" in put_arms(governing(engine), arm("a", **PROVEN)).left_out[0]


def test_the_last_ad_that_delivers_is_never_paused_however_the_pauses_are_signed(engine):
    governance = governing(engine)
    assert "last_running" in put_arms(governance, arm("a", **LOSING), arm("z", status="paused")).left_out[0]
    first, second = put_arms(governance, arm("a", **LOSING), arm("b", **LOSING)).new
    governance.approve(first, "sam", "it loses", TEN)
    with pytest.raises(Refused, match="last_running"):
        governance.approve(second, "sam", "it loses, too", TEN)


def test_an_ad_group_and_the_ads_beside_it_are_not_switched_off_together(engine):
    governance = governing(engine)
    group = {"arm_kind": "adgroup"}
    put_arms(
        governance,
        *(arm("s1", **group, adgroup_id="s1"), arm("s2", **group, adgroup_id="s2", **LOSING)),
        *(arm("a", **LOSING), arm("b", adgroup_id="s2")),
    )
    ids = {row["lever_id"]: row["proposal_id"] for row in governance.proposals(NINE)}
    governance.approve(ids["ad:a"], "sam", "it loses", TEN)
    with pytest.raises(Refused, match="last_running"):
        governance.approve(ids["adgroup:s2"], "sam", "it loses, and nothing would run", TEN)


def test_an_ad_that_failed_its_click_test_is_paused_although_it_is_its_lever_s_only_one(engine):
    governance = governing(engine)
    only = put_one(governance, arm("a", **FAILED))
    assert governance.approve(only, "jo", "nobody clicks", TEN) == "approved"


def test_an_approved_split_test_is_a_record_of_its_design_and_no_call(engine):
    governance = governing(engine, mode="sandbox")
    morning = arm("a"), arm("b", type="split_test", design=DESIGN), arm("c")
    test = put_one(governance, *morning)
    assert governance.approve(test, "jo", "settle it", TEN) == "approved"
    assert governance.is_approved(test, TEN)
    (row,) = governance.proposals(TEN)
    assert json.loads(row["payload"])["design"]["days"] == 14
    assert governance.changes() == []
    assert sending(engine, PaperPlatform()) == []
    stale = arm("b", type="split_test", design=DESIGN), arm("c", status="paused")
    assert "two running arms" in put_arms(governing(engine), *stale, at=NINE + timedelta(days=1)).left_out[0]


def test_what_is_stored_is_judged_again_when_it_is_signed(engine):
    governance = governing(engine)
    one = put_one(governance, arm("a", **LOSING), arm("b"))
    (row,) = governance.proposals(NINE)
    with engine.begin() as connection:
        connection.execute(sa.update(PROPOSALS).values(proposed_budget="500.00"))
    with pytest.raises(Refused, match="never given one"):
        governance.approve(one, "sam", "fine", TEN)
    forged = json.loads(row["payload"]) | {"after": {"status": "active"}}
    with engine.begin() as connection:
        connection.execute(sa.update(PROPOSALS).values(proposed_budget="0.00", payload=canonical(forged)))
    with pytest.raises(Refused, match="does not describe"):
        governance.approve(one, "sam", "fine", TEN)
    with engine.begin() as connection:
        connection.execute(sa.update(PROPOSALS).values(payload=row["payload"]))
        connection.execute(sa.update(ARM_EVIDENCE).values(document=b"other evidence"))
    with pytest.raises(Refused, match="were changed"):
        governance.approve(one, "sam", "fine", TEN)


def test_an_arm_takes_no_number_by_hand_and_no_lever_s_edit_withdraws_it(engine):
    governance = governing(engine)
    one = put_one(governance, arm("a", **LOSING), arm("b"))
    with pytest.raises(Refused, match="no budget of its own"):
        with_budget(governance.open_proposal(one, NINE), Decimal(50))
    edited = {("meta", "a1", "l1"): LeverValue(Decimal(10), "active")}
    assert withdraw_overtaken(engine, [], edited, TEN) == {}


# --- sending and the way back ---------------------------------------------------------------------------


def switched(engine: sa.Engine, *arms: dict[str, Any], **changes: Any) -> PaperPlatform:
    """The morning's first switch, approved and sent."""
    governance = governing(engine, mode="sandbox", **changes)
    decided_on(governance)
    one = put_one(governance, *arms)
    governance.approve(one, "sam", "on its evidence", TEN)
    platform = PaperPlatform(a=OFF if arms[0]["type"] == "enable" else ON)
    assert [each.status for each in sending(engine, platform, **changes)] == ["applied"]
    return platform


def test_a_pause_is_sent_once_and_its_rollback_starts_the_arm_again(engine):
    platform = switched(engine, arm("a", **LOSING), arm("b"))
    assert platform.values["a"] == OFF
    assert sending(engine, platform) == []
    change = the_change(engine)
    assert (change["lever_id"], change["before"], change["after"]) == (
        "ad:a",
        '{"status":"active"}',
        '{"status":"paused"}',
    )
    tomorrow = NINE + timedelta(days=1)
    governance = governing(engine, mode="sandbox")
    with pytest.raises(Refused, match="still demands the pause"):
        governance.roll_back(change["change_id"], "jo", "I miss it", SOON)
    put_arms(governance, arm("a", status="paused", p_cac_above_cap=0.5), arm("b"), at=tomorrow)
    (undone,) = governance.roll_back(change["change_id"], "jo", "restated", tomorrow)
    assert [each.change_id for each in sending(engine, platform, at=tomorrow)] == [undone]
    assert platform.values["a"] == ON
    assert [write["form"]["status"] for write in platform.writes] == ["PAUSED", "ACTIVE"]
    assert governance.roll_back(change["change_id"], "jo", "again", tomorrow) == [undone]


def test_an_enabled_arm_is_rolled_back_at_once_unless_nothing_else_runs(engine):
    platform = switched(engine, arm("a", **PROVEN), arm("b"))
    assert platform.values["a"] == ON
    governance, change = governing(engine, mode="sandbox"), the_change(engine)
    put_arms(governance, arm("a"), arm("b", status="paused"), at=SOON)
    with pytest.raises(Refused, match="last_running"):
        governance.roll_back(change["change_id"], "jo", "not yet", SOON)
    put_arms(governance, arm("a"), arm("b"), at=SOON)
    governance.roll_back(change["change_id"], "jo", "not yet", SOON)
    assert [each.status for each in sending(engine, platform)] == ["applied"]
    assert platform.values["a"] == OFF


def test_an_arm_somebody_switched_meanwhile_is_left_as_it_is_and_named(engine):
    governance = governing(engine, mode="sandbox")
    decided_on(governance)
    one = put_one(governance, arm("a", **PROVEN), arm("b"))
    governance.approve(one, "sam", "it had paid", TEN)
    platform = PaperPlatform(a=ON)
    (outcome,) = sending(engine, platform)
    assert outcome.status == "conflict"
    assert "meta says active for ad:a, not paused" in str(outcome.message)
    assert platform.writes == []


def test_a_switch_whose_answer_was_lost_is_looked_up_and_not_repeated(engine):
    governance = governing(engine, mode="sandbox")
    one = put_one(governance, arm("a", **LOSING), arm("b"))
    governance.approve(one, "sam", "it loses", TEN)
    platform = PaperPlatform(a=ON)
    platform.lost_answers = [failure(ErrorClass.TRANSIENT, "HTTP 503")]
    assert [each.status for each in sending(engine, platform)] == ["sending"]
    assert [each.status for each in sending(engine, platform)] == ["applied"]
    assert len(platform.writes) == 1


def test_a_freeze_lets_pauses_through_and_holds_switches_on_there_and_back(engine):
    platform = switched(engine, arm("a", **LOSING), arm("b"), limits=FROZEN)
    assert platform.values["a"] == OFF
    frozen = governing(engine, mode="sandbox", limits=FROZEN)
    put_arms(frozen, arm("a", status="paused", p_cac_above_cap=0.5), arm("b"), at=SOON)
    with pytest.raises(Refused, match="nothing rises during the sale"):
        frozen.roll_back(the_change(engine)["change_id"], "jo", "no", SOON)
    assert "nothing rises" in put_arms(frozen, arm("c", **PROVEN), arm("b"), at=SOON).left_out[0]
    calm = governing(engine, mode="sandbox")
    calm.approve(put_one(calm, arm("c", **PROVEN), arm("b"), at=SOON), "sam", "it had paid", SOON)
    (outcome,) = sending(engine, PaperPlatform(c=OFF), limits=FROZEN)
    assert (outcome.status, "nothing rises" in str(outcome.message)) == ("blocked", True)


def test_a_switch_on_waits_72_hours_after_our_own_edit_of_its_lever(engine):
    governance = governing(engine, mode="sandbox")
    (edit,) = proposed(governance, lever("l1"))
    governance.approve(edit, "sam", "it pays", TEN)
    sending(engine, PaperPlatform(id_l1=running("500")))
    assert "cooldown" in put_arms(governance, arm("a", **PROVEN), arm("b"), at=SOON).left_out[0]


def test_the_newest_evidence_stops_a_pause_although_it_was_approved(engine):
    governance = governing(engine, mode="sandbox")
    one = put_one(governance, arm("a", **LOSING), arm("b"))
    governance.approve(one, "sam", "it loses", TEN)
    put_arms(governance, arm("a", p_cac_above_cap=0.4), arm("b"), at=TEN)
    platform = PaperPlatform(a=ON)
    (outcome,) = sending(engine, platform)
    assert (outcome.status, "without its evidence" in str(outcome.message)) == ("blocked", True)
    assert (platform.writes, platform.reads) == ([], 0)


def test_the_kill_switch_holds_switches_too_and_shadow_sends_none(engine):
    governance = governing(engine, mode="sandbox")
    first, second = put_arms(governance, arm("a", **LOSING), arm("b"), arm("c", **LOSING)).new
    governance.approve(first, "sam", "it loses", TEN)
    governance.kill(is_on=True, person="eve", reason="spend explodes", now=TEN)
    with pytest.raises(Refused, match="spend explodes"):
        governance.approve(second, "sam", "it loses", TEN)
    platform = PaperPlatform(a=ON, c=ON)
    assert [each.status for each in sending(engine, platform)] == ["prepared"]
    assert platform.reads == 0
    governance.kill(is_on=False, person="sam", reason="over", now=TEN)
    shadow = governing(engine)
    shadow.approve(second, "sam", "it loses", TEN)
    assert {(row["mode"], row["outbox_status"]) for row in shadow.changes()} == {
        ("sandbox", "queued"),
        ("shadow", "shadow"),
    }
    assert sending(engine, platform, mode="shadow") == []


@pytest.mark.parametrize("forged", [{"path": "/v26.0/999"}, {"form": {"status": "ACTIVE"}}])
def test_a_call_that_is_not_the_one_signed_is_not_sent(engine, forged):
    governance = governing(engine, mode="sandbox")
    one = put_one(governance, arm("a", **LOSING), arm("b"))
    governance.approve(one, "sam", "it loses", TEN)
    request = json.loads(the_change(engine)["request"]) | forged
    with engine.begin() as connection:
        hashed = {"request": canonical(request), "request_hash": content_hash(request)}
        connection.execute(sa.update(OUTBOX).values(**hashed))
    platform = PaperPlatform(a=ON)
    (outcome,) = sending(engine, platform)
    assert (outcome.status, platform.writes) == ("blocked", [])


def test_a_pause_signed_after_an_unsent_switch_on_ends_it(engine):
    governance = governing(engine, mode="sandbox")
    decided_on(governance)
    governance.approve(put_one(governance, arm("a", **PROVEN), arm("b")), "sam", "it had paid", TEN)
    with engine.begin() as connection:  # as if it had been switched on and found losing the same morning
        connection.execute(sa.update(PROPOSALS).values(as_of_date=MORNING - timedelta(days=1)))
    pause = put_one(governance, arm("a", **LOSING), arm("b"), at=TEN)
    governance.approve(pause, "sam", "it loses", TEN)
    with engine.begin() as connection:
        rows = connection.execute(sa.select(CHANGES.c.status, CHANGES.c.message).order_by(CHANGES.c.sequence))
        assert [row.status for row in rows] == ["blocked", "prepared"]


def test_lever_budgets_are_judged_as_if_no_arm_had_been_switched(engine):
    governance = governing(engine)
    governance.approve(put_one(governance, arm("a", **LOSING), arm("b")), "sam", "it loses", TEN)
    (edit,) = proposed(governance, lever("l1"))
    assert governance.approve(edit, "sam", "fine", TEN) == "approved"
    assert pl.DataFrame(governance.proposals(TEN))["status"].to_list() == ["approved", "approved"]
