"""Launch proposals: rendered paused, approved like any other, within a fifth of the cap, and never sent."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs, unquote

import pytest
import sqlalchemy as sa
from facebook_business.adobjects.adcreative import AdCreative
from facebook_business.adobjects.adset import AdSet

from resources.control.counter_proposals import with_budget
from resources.control.launch_payloads import CALLS_TO_ACTION, Launch, launch_payload
from resources.control.payloads import Unwritable
from resources.control.records import Refused
from resources.control.store import CHANGES, PROPOSALS
from resources.control.writer import Writer
from tests.resources.control.proposing import (
    LAUNCH,
    NINE,
    TEN,
    governing,
    lever,
    proposed,
    put_launches,
    states_of,
    status_of,
)


def other(name: str, **changes) -> Launch:
    return replace(LAUNCH, launch_id=f"launch_{name}", **changes)


def test_a_launch_is_one_call_that_makes_creative_ad_set_and_ad_paused():
    payload = launch_payload(LAUNCH)
    batch = json.loads(payload["request"]["form"]["batch"])
    forms = {call["name"]: parse_qs(call["body"]) for call in batch}
    assert [call["relative_url"] for call in batch] == [
        f"v26.0/act_a1/{kind}" for kind in ("adcreatives", "adsets", "ads")
    ]
    adset, ad = forms["adset"], forms["ad"]
    assert (adset["daily_budget"], adset["campaign_id"], adset["status"]) == (["12001"], ["77"], ["PAUSED"])
    assert ad["status"] == ["PAUSED"]
    assert json.loads(adset["targeting"][0]) == {
        "geo_locations": {"countries": ["US"]},
        "age_min": 18,
        "age_max": 65,
        "publisher_platforms": ["facebook", "instagram"],
    }
    only = json.loads(launch_payload(replace(LAUNCH, audiences=("88",)))["request"]["form"]["batch"])[1][
        "body"
    ]
    assert json.loads(parse_qs(only)["targeting"][0])["custom_audiences"] == [{"id": "88"}]
    link_data = json.loads(forms["creative"]["object_story_spec"][0])["link_data"]
    assert (link_data["link"], link_data["name"]) == (LAUNCH.link, "Calm & safe")
    # Meta fills these in before it decodes the form.
    assert "adset_id={result=adset:$.id}" in batch[2]["body"]
    assert '"creative_id": "{result=creative:$.id}"' in unquote(batch[2]["body"])
    assert payload["after"] == {"budget": "120.01", "status": "paused"}
    assert payload["inverse"]["form"] == {"status": "DELETED"}


def test_every_word_of_the_call_is_meta_s_own():
    buttons = set(vars(AdCreative.CallToActionType).values())
    assert set(CALLS_TO_ACTION.values()) <= buttons
    for launch in (LAUNCH, other("t", lane="test", pixel_id=None)):
        form = parse_qs(json.loads(launch_payload(launch)["request"]["form"]["batch"])[1]["body"])
        assert form["optimization_goal"][0] in vars(AdSet.OptimizationGoal).values()
        assert form["billing_event"][0] in vars(AdSet.BillingEvent).values()
        assert form["bid_strategy"][0] in vars(AdSet.BidStrategy).values()
        assert set(form) <= set(vars(AdSet.Field).values())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"platform": "google_ads"}, "by hand"),
        ({"parent_campaign_id": None}, "no campaign"),
        ({"page_id": None}, "not known: page_id"),
        ({"pixel_id": None}, "not known: pixel_id"),
        ({"link": None, "headline": ""}, "not known: link, headline"),
        ({"format": "video"}, "this is video"),
        ({"call_to_action": "Start free trial"}, "no button"),
        ({"daily_budget": Decimal("1.001")}, "no whole number"),
    ],
)
def test_what_no_call_makes_is_left_out_and_named(engine, changes, said):
    with pytest.raises(Unwritable, match=said):
        launch_payload(replace(LAUNCH, **changes))
    outcome = put_launches(governing(engine), replace(LAUNCH, **changes))
    assert outcome.new == []
    assert said in outcome.left_out[0]


def test_a_launch_is_approved_into_the_outbox_and_rolled_back_without_being_sent(engine):
    governance = governing(engine)
    (one,) = put_launches(governance, LAUNCH).new
    (row,) = governance.proposals(NINE)
    assert (row["type"], row["current_budget"], row["proposed_budget"]) == ("launch", "0.00", "120.01")
    assert put_launches(governance, LAUNCH).known == [one]
    assert governance.approve(one, "jo", "worth a try", TEN) == "awaiting_second", "it adds more than jo may"
    assert governance.approve(one, "sam", "agreed", TEN) == "approved"
    assert governance.is_approved(one, TEN)
    (change,) = governance.changes()
    assert (change["status"], change["outbox_status"], change["sent_at"]) == ("shadow", "shadow", None)
    assert json.loads(change["request"]) == launch_payload(LAUNCH)["request"]
    assert put_launches(governance, LAUNCH, at=TEN).left_out == [
        f"{LAUNCH.launch_id}: already decided this morning"
    ]
    governance.roll_back(change["change_id"], "sam", "no", TEN)
    assert status_of(governance, one) == "rolled_back"


def test_a_launch_the_newest_plan_no_longer_has_is_superseded(engine):
    governance = governing(engine)
    gone, kept = put_launches(governance, other("a"), other("b")).new
    assert put_launches(governance, other("b")).superseded == [gone]
    assert (status_of(governance, gone), status_of(governance, kept)) == ("superseded", "pending")


def test_launches_of_a_morning_stay_within_a_fifth_of_the_cap_and_below_it(engine):
    governance = governing(engine)
    half = Decimal(3_500)
    first, second = put_launches(governance, other("a", daily_budget=half), other("b", daily_budget=half)).new
    governance.approve(first, "sam", "fine", TEN)
    with pytest.raises(Refused, match="launch_share"):
        governance.approve(second, "sam", "fine", TEN)
    assert "launch_share" in put_launches(governance, other("c", daily_budget=half)).left_out[0]
    full = states_of(lever("l1", current_budget=Decimal(23_950)))
    assert (
        "security cap"
        in put_launches(governance, other("d", daily_budget=Decimal(60)), states=full).left_out[0]
    )
    unknown = states_of(lever("l1", current_budget=None))
    assert "unknown" in put_launches(governance, other("e"), states=unknown).left_out[0]
    assert "no track" in put_launches(governance, other("f", track="none")).left_out[0]


def test_what_is_stored_is_judged_again_when_it_is_signed(engine):
    governance = governing(engine)
    (one,) = put_launches(governance, LAUNCH).new
    awake = json.loads(governance.proposals(NINE)[0]["payload"])
    awake["after"]["status"] = "active"
    with engine.begin() as connection:
        connection.execute(sa.update(PROPOSALS).values(payload=json.dumps(awake)))
    assert "starts paused" in governance.objections(governance.proposals(NINE)[0], NINE)[0].message
    with pytest.raises(Refused, match="starts paused"):
        governance.approve(one, "sam", "fine", TEN)


def test_an_approved_launch_does_not_stand_in_the_way_of_an_edit(engine):
    governance = governing(engine)
    (launch,) = put_launches(governance, LAUNCH).new
    governance.approve(launch, "sam", "fine", TEN)
    (edit,) = proposed(governance, lever("l1"))
    assert governance.approve(edit, "sam", "fine", TEN) == "approved"


def test_launches_are_refused_outside_shadow_and_by_the_writer(engine):
    sandbox = governing(engine, mode="sandbox")
    (one,) = put_launches(sandbox, LAUNCH).new
    with pytest.raises(Refused, match="never sent"):
        sandbox.approve(one, "sam", "fine", TEN)
    shadow = governing(engine)
    shadow.approve(one, "sam", "fine", TEN)
    with engine.begin() as connection:  # as if somebody had put it there by hand
        connection.execute(sa.update(CHANGES).values(mode="sandbox", status="prepared", finished_at=None))

    def never(platform: str):
        raise AssertionError(f"{platform} was asked")

    (outcome,) = Writer(engine, sandbox, never, lambda: TEN).apply()
    assert (outcome.status, "never sent" in str(outcome.message)) == ("blocked", True)


def test_a_launch_takes_no_number_by_hand_and_runs_out(engine):
    governance = governing(engine)
    (one,) = put_launches(governance, LAUNCH).new
    with pytest.raises(Refused, match="slate's budget"):
        with_budget(governance.open_proposal(one, NINE), Decimal(50))
    late = NINE + timedelta(hours=25)
    assert status_of(governance, one, late) == "expired"
