"""Launch proposals: rendered paused, approved like any other, within a fifth of the cap and the room left.

What becomes of approved ones on a platform stands in `tests/resources/platform_writers`.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adcreative import AdCreative
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.campaign import Campaign

from models.guardrails import FreezeWindow
from resources.control.authority import Approver
from resources.control.counter_proposals import with_budget
from resources.control.launch_payloads import CALLS_TO_ACTION, Launch, filled, launch_payload, read_launch
from resources.control.payloads import Unwritable
from resources.control.records import Refused
from resources.control.store import OUTBOX, PROPOSALS
from resources.control.writer import Writer
from tests.resources.control.proposing import (
    LAUNCH,
    LIMITS,
    NINE,
    TEN,
    decisions_of,
    governing,
    lever,
    proposed,
    put_launches,
    states_of,
    status_of,
    targets_of,
)

BUDGETS = ("current_budget", "midnight_budget", "budget_7_days_ago")


def other(name: str, **changes) -> Launch:
    return replace(LAUNCH, launch_id=f"launch_{name}", **changes)


def steps_of(launch: Launch) -> dict[str, dict]:
    return {step["makes"]: step for step in launch_payload(launch)["request"]["steps"]}


def test_a_launch_is_a_call_per_object_each_naming_the_one_before_it_all_paused():
    payload = launch_payload(LAUNCH)
    steps = steps_of(LAUNCH)
    assert [step["path"] for step in steps.values()] == [
        f"/v26.0/act_a1/{kind}" for kind in ("adsets", "adcreatives", "ads")
    ]
    adset, ad = steps["adset"]["form"], steps["ad"]["form"]
    assert (adset["daily_budget"], adset["campaign_id"], adset["status"]) == ("12001", "77", "PAUSED")
    assert ad["status"] == "PAUSED"
    assert json.loads(adset["targeting"]) == {
        "geo_locations": {"countries": ["US"]},
        "age_min": 18,
        "age_max": 65,
        "targeting_automation": {"advantage_audience": 0},
        "publisher_platforms": ["facebook", "instagram"],
    }
    only = steps_of(replace(LAUNCH, audiences=("88",)))["adset"]["form"]
    assert json.loads(only["targeting"])["custom_audiences"] == [{"id": "88"}]
    link_data = json.loads(steps["creative"]["form"]["object_story_spec"])["link_data"]
    assert (link_data["link"], link_data["name"]) == (LAUNCH.link, "Calm & safe")
    call = filled(steps["ad"], {"adset": "12", "creative": "34"})
    assert call["form"]["adset_id"] == "12"
    assert json.loads(call["form"]["creative"]) == {"creative_id": "34"}
    assert payload["after"] == {"budget": "120.01", "status": "paused"}
    assert [step["removes"] for step in payload["inverse"]["steps"]] == ["ad", "creative", "adset"]
    assert {step["form"]["status"] for step in payload["inverse"]["steps"]} == {"DELETED"}
    assert read_launch(json.loads(json.dumps(payload["launch"]))) == LAUNCH


def test_where_no_campaign_leaves_budgets_to_ad_sets_one_of_its_own_is_made_and_removed_last():
    payload = launch_payload(replace(LAUNCH, parent_campaign_id=None))
    (campaign, adset, *_) = payload["request"]["steps"]
    assert campaign["form"]["status"] == "PAUSED"
    assert "daily_budget" not in campaign["form"]
    assert filled(adset, {"campaign": "9"})["form"]["campaign_id"] == "9"
    assert payload["inverse"]["steps"][-1]["removes"] == "campaign"


def test_a_text_that_looks_like_a_reference_is_sent_as_it_is():
    step = steps_of(replace(LAUNCH, body="Only {adset} left"))["creative"]
    assert "Only {adset} left" in filled(step, {"adset": "12"})["form"]["object_story_spec"]


def test_every_word_of_the_calls_is_meta_s_own():
    buttons = set(vars(AdCreative.CallToActionType).values())
    assert set(CALLS_TO_ACTION.values()) <= buttons
    kinds = {"campaign": Campaign, "adset": AdSet, "creative": AdCreative, "ad": Ad}
    for launch in (LAUNCH, other("t", lane="test", pixel_id=None, parent_campaign_id=None)):
        steps = steps_of(launch)
        for kind, step in steps.items():
            assert set(step["form"]) <= set(vars(kinds[kind].Field).values())
        form = steps["adset"]["form"]
        assert form["optimization_goal"] in vars(AdSet.OptimizationGoal).values()
        assert form["billing_event"] in vars(AdSet.BillingEvent).values()
        assert form["bid_strategy"] in vars(AdSet.BidStrategy).values()
    assert steps["campaign"]["form"]["objective"] in vars(Campaign.Objective).values()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"platform": "google_ads"}, "by hand"),
        ({"currency": None}, "not known: currency"),
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
    mixed = states_of(lever("l1"), lever("l2", currency="GBP"))
    assert "currencies ['GBP', 'USD']" in put_launches(governance, other("g"), states=mixed).left_out[0]
    paused = states_of(lever("l1"), lever("l2", currency="GBP", status="paused"))
    assert put_launches(governance, other("h"), states=paused).new


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


# 20,000 a day under a cap of 30,000: an envelope of 24,000 at 25 % over-delivery, 4,000 of it free.
LARGE = [
    lever(f"l{number}", **dict.fromkeys(BUDGETS, Decimal(5_000)), thompson_budget=9_000.0)
    for number in range(4)
]


@pytest.mark.parametrize("first", ["launches", "raises"])
def test_raises_and_launches_together_keep_the_envelope_in_either_order(engine, first):
    governance = governing(engine, approvers=[Approver("sam")])
    raises = proposed(governance, *LARGE)
    assert len(raises) == 4  # of 250 a day each
    launched = put_launches(
        governance,
        *(other(name, daily_budget=Decimal(budget)) for name, budget in (("a", 2_950), ("b", 300))),
        states=states_of(*LARGE),
    ).new
    order = [*launched, *raises] if first == "launches" else [*raises, *launched]
    *fitting, last = order
    assert [governance.approve(name, "sam", "fine", TEN) for name in fitting] == ["approved"] * 5
    with pytest.raises(Refused, match="cap"):  # 4,000 is free, 4,250 was asked for
        governance.approve(last, "sam", "fine", TEN)


def test_people_who_sign_at_the_same_time_cannot_pass_the_envelope_together(engine):
    governance = governing(engine, approvers=[Approver("sam")])
    ids = proposed(governance, *LARGE)
    ids += put_launches(governance, other("a", daily_budget=Decimal(3_100)), states=states_of(*LARGE)).new

    def sign(proposal_id: str) -> Decimal:
        with suppress(Refused):
            governance.approve(proposal_id, "sam", "fine", TEN)
            return Decimal(3_100 if proposal_id == ids[-1] else 250)
        return Decimal(0)

    with ThreadPoolExecutor(5) as people:
        added = sum(people.map(sign, ids))
    assert added in (Decimal(1_000), Decimal(3_850))


def test_an_approved_launch_does_not_stand_in_the_way_of_an_edit_that_fits(engine):
    governance = governing(engine)
    (launch,) = put_launches(governance, LAUNCH).new
    governance.approve(launch, "sam", "fine", TEN)
    (edit,) = proposed(governance, lever("l1"))
    assert governance.approve(edit, "sam", "fine", TEN) == "approved"


def finds_no_room(governance, *levers, at=NINE) -> bool:
    """Whether every raise is left out because of what launches may spend."""
    states = states_of(*levers)
    outcome = governance.propose(
        decisions_of(states),
        states,
        targets_of(states),
        as_of_date=at.date(),
        settings_hash="s",
        now=at,
    )
    said = ["a day of approved launches" in reason for reason in outcome.left_out]
    return not outcome.new and len(said) > 0 and all(said)


def test_a_launch_rolled_back_gives_its_room_free(engine):
    governance = governing(engine, approvers=[Approver("sam")])
    (launch,) = put_launches(
        governance, other("a", daily_budget=Decimal(4_000)), states=states_of(*LARGE)
    ).new
    governance.approve(launch, "sam", "fine", TEN)
    assert finds_no_room(governance, *LARGE)
    governance.roll_back(governance.changes()[0]["change_id"], "sam", "no", TEN)
    assert len(proposed(governance, *LARGE)) == 4


TOMORROW = NINE + timedelta(days=1)


def launched_at_4000(engine, mode: str):
    governance = governing(engine, approvers=[Approver("sam")], mode=mode)
    (one,) = put_launches(governance, other("a", daily_budget=Decimal(4_000)), states=states_of(*LARGE)).new
    governance.approve(one, "sam", "fine", TEN)
    return governance


def test_in_shadow_a_launch_holds_its_room_on_its_own_morning(engine):
    assert len(proposed(launched_at_4000(engine, "shadow"), *LARGE, at=TOMORROW)) == 4


def test_where_launches_are_made_one_holds_its_room_until_its_lever_runs(engine):
    governance = launched_at_4000(engine, "sandbox")
    assert finds_no_room(governance, *LARGE, at=TOMORROW)
    with engine.begin() as connection:  # as its writer notes it
        made = {"adset": {"id": "12", "begun_at": TEN.isoformat()}}
        connection.execute(sa.update(OUTBOX).values(made=json.dumps(made)))
    ours = lever("adset_12", current_budget=Decimal(100), status="paused")
    assert finds_no_room(governance, *LARGE, ours, at=TOMORROW)
    assert proposed(governance, *LARGE, {**ours, "status": "active"}, at=TOMORROW)


def test_what_was_never_begun_gives_its_room_free_once_its_signatures_run_out(engine):
    governance = launched_at_4000(engine, "sandbox")
    until = TEN + timedelta(hours=24)
    assert finds_no_room(governance, *LARGE, at=until - timedelta(seconds=1))
    with engine.begin() as connection:  # its first call is about to go out: from then on the platform knows
        begun = {"adset": {"id": None, "begun_at": TEN.isoformat()}}
        connection.execute(sa.update(OUTBOX).values(made=json.dumps(begun)))
    assert finds_no_room(governance, *LARGE, at=until)
    with engine.begin() as connection:
        connection.execute(sa.update(OUTBOX).values(made=None))
    assert len(proposed(governance, *LARGE, at=until)) == 4


FROZEN = (FreezeWindow("the holidays", date(2026, 7, 1), date(2026, 7, 3), "security"),)


def test_no_launch_is_put_forward_or_signed_in_a_freeze_window_or_to_start_in_one(engine):
    later = replace(LAUNCH, starts_at="2026-07-04T00:00:00-04:00")
    frozen = governing(engine, limits=replace(LIMITS, freeze_windows=FROZEN))
    assert (
        "nothing is launched during the holidays; it is planned anew after its last day"
        in (
            put_launches(frozen, LAUNCH).left_out[0]  # today is the day before, and it would start in it
        )
    )
    (one,) = put_launches(frozen, later).new
    with pytest.raises(Refused, match="seasonal_freeze"):
        frozen.approve(one, "sam", "fine", NINE + timedelta(hours=20))
    elsewhere = replace(LIMITS, freeze_windows=(replace(FROZEN[0], track="balance"),))
    assert put_launches(governing(engine, limits=elsewhere), LAUNCH).new


def test_a_launch_approved_before_a_freeze_window_is_not_sent_in_it(engine):
    later = replace(LAUNCH, starts_at="2026-07-04T00:00:00-04:00")
    governance = governing(engine, mode="sandbox", limits=replace(LIMITS, freeze_windows=FROZEN))
    (one,) = put_launches(governance, later).new
    governance.approve(one, "sam", "fine", TEN)

    def never(platform: str):
        raise AssertionError(f"{platform} was asked")

    (outcome,) = Writer(engine, governance, never, lambda: NINE + timedelta(hours=20)).apply()
    assert (outcome.status, "during the holidays" in str(outcome.message)) == ("blocked", True)


def test_a_launch_takes_no_number_by_hand_and_runs_out(engine):
    governance = governing(engine)
    (one,) = put_launches(governance, LAUNCH).new
    with pytest.raises(Refused, match="slate's budget"):
        with_budget(governance.open_proposal(one, NINE), Decimal(50))
    late = NINE + timedelta(hours=25)
    assert status_of(governance, one, late) == "expired"
