"""Each rule binds where it should, in the fixed order, and says why; hand-made proposals are caught."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import polars as pl
import pytest

from models.guardrails import (
    RULES,
    STATE_SCHEMA,
    ChannelEnvelope,
    FreezeWindow,
    GuardrailLimits,
    TrackLimits,
    plan_decisions,
    verify_decisions,
)
from models.guardrails.states import Claim, fit_within, read_levers
from tests.healthy_levers import healthy_lever

NOW = datetime(2026, 6, 30, 13, tzinfo=UTC)


def lever(name="l1", **changes):
    return healthy_lever(name, NOW, **changes)


def frame(*rows):
    money = {name for name, kind in STATE_SCHEMA.items() if isinstance(kind, pl.Decimal)}
    rows = [
        {k: Decimal(str(v)) if k in money and v is not None else v for k, v in row.items()} for row in rows
    ]
    return pl.DataFrame(rows, schema=STATE_SCHEMA)


def limits(**changes):
    track = TrackLimits(
        daily_cap=Decimal(changes.pop("daily_cap", "30000")),
        cac_cap=Decimal("240"),
        weekly_loss_budget=Decimal(changes.pop("weekly_loss_budget", "6000")),
    )
    other = TrackLimits(Decimal("30000"), Decimal("200"), Decimal("6000"))
    changes.setdefault("total_daily_cap", Decimal("60000"))
    return GuardrailLimits(tracks={"security": track, "balance": other}, **changes)


def plan(*rows, **changes):
    """Decisions by lever id, after checking that the verifier has nothing to say."""
    states, bounds = frame(*rows), limits(**changes)
    decisions = plan_decisions(states, bounds, NOW)
    assert verify_decisions(decisions, states, bounds, NOW) == []
    return {row["lever_id"]: row for row in decisions.iter_rows(named=True)}


def one(**changes):
    return plan(lever(**changes))["l1"]


# --- order ---


def test_the_order_of_rules_is_the_designs():
    ranks = list(dict.fromkeys(rule.rank for rule in RULES))
    design = ["kill", "safety stop", "caps", "exploration floor", "pace"]
    assert [rank for rank in ranks if rank in design] == design
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all((rule.lever is None) != (rule.group is None) for rule in RULES)


def test_kill_outranks_a_safety_stop():
    row = plan(lever(p_cac_above_cap=0.99), kill_switch=True)["l1"]
    assert (row["type"], row["proposed_budget"]) == ("hold", Decimal(500))
    assert json.loads(row["binding_rules"]) == ["kill"]


def test_a_killed_morning_says_who_stopped_it_and_why():
    row = plan(lever(), kill_switch=True, kill_reason="jo stopped everything: spend explodes")["l1"]
    assert "the kill switch is on (jo stopped everything: spend explodes), so nothing moves" in row["reason"]


def test_a_safety_stop_outranks_learning_and_cooldown():
    row = one(p_cac_above_cap=0.95, learning_state="learning", last_edited_at=NOW)
    assert (row["type"], row["proposed_budget"]) == ("stop", Decimal(0))
    assert json.loads(row["binding_rules"]) == ["safety_stop"]
    assert "95 %" in row["reason"]
    assert "14,000.00" in row["reason"]


# --- what the media mix gives ---


def given(daily, *names, channel="prospecting"):
    levers = frozenset(("meta", "a1", name) for name in names)
    return {"channel_envelopes": (ChannelEnvelope("security", channel, levers, Decimal(daily)),)}


def test_a_channel_rises_to_its_envelope_and_no_further():
    rows = plan(lever("l1"), lever("l2"), lever("l3"), **given("1010", "l1", "l2"))
    assert [rows[name]["proposed_budget"] for name in ("l1", "l2", "l3")] == [505, 505, 525]
    assert json.loads(rows["l1"]["binding_rules"]) == ["channel_envelope", "pace"]
    assert "the media mix gives prospecting 1,010.00 a day of security" in rows["l1"]["reason"]
    assert plan(lever("l1"), **given("525", "l1"))["l1"]["binding_rules"] == '["pace"]'


def test_a_channel_above_its_envelope_comes_down_at_the_pace_of_cuts_though_its_levers_would_rise():
    rows = plan(lever("l1"), lever("l2"), **given("990", "l1", "l2"))
    assert [row["proposed_budget"] for row in rows.values()] == [495, 495]
    rows = plan(lever("l1"), lever("l2"), **given("100", "l1", "l2"))
    assert [row["proposed_budget"] for row in rows.values()] == [475, 475]
    assert {row["type"] for row in rows.values()} == {"cut"}


def test_an_explorer_is_not_cut_below_the_floor_for_its_channel_nor_lifted_above_it():
    unsure = {"p_cac_above_cap": 0.4, "thompson_budget": 500.0}
    rows = plan(lever("l1", **unsure), lever("l2"), **given("300", "l1"), exploration_floor=0.5)
    assert rows["l1"]["type"] == "hold"
    rows = plan(lever("l1", **unsure), lever("l2", current_budget="600"), **given("500", "l1"))
    assert rows["l1"]["type"] == "hold"


def test_a_raise_above_an_envelope_is_a_violation():
    states = frame(lever("l1"), lever("l2"))
    raised = plan_decisions(states, limits(), NOW)
    bounds = limits(**given("1049.99", "l1", "l2"))
    assert [v.rule for v in verify_decisions(raised, states, bounds, NOW)] == ["channel_envelope"]


def test_envelopes_of_one_lever_or_below_nothing_are_refused():
    with pytest.raises(ValueError, match="different levers"):
        limits(channel_envelopes=2 * given("1", "l1")["channel_envelopes"])
    with pytest.raises(ValueError, match="must be >= 0"):
        given("-1", "l1")


# --- stop, freeze, raise ---


@pytest.mark.parametrize(
    ("p", "spend", "kind"),
    [(0.9, "14000", "hold"), (0.91, "959.99", "hold"), (0.91, "960", "stop"), (0.91, "14000", "stop")],
)
def test_a_stop_needs_more_than_90_percent_and_four_caps_of_matured_spend(p, spend, kind):
    assert one(p_cac_above_cap=p, matured_spend=spend, thompson_budget=None)["type"] == kind


THE_SALE = FreezeWindow("the sale", date(2026, 6, 29), date(2026, 6, 30))


def test_in_a_freeze_window_nothing_rises_and_cuts_and_stops_go_on():
    levers = (
        lever("l1"),
        lever("l2", thompson_budget=100.0),
        lever("l3", p_cac_above_cap=0.95),
        lever("l4", track="balance"),
    )
    for track, last in ((None, "hold"), ("security", "raise")):
        rows = plan(*levers, freeze_windows=(replace(THE_SALE, track=track),))
        assert [rows[name]["type"] for name in ("l1", "l2", "l3", "l4")] == ["hold", "cut", "stop", last]
        assert json.loads(rows["l1"]["binding_rules"]) == ["seasonal_freeze"]
        assert "nothing rises during the sale" in rows["l1"]["reason"]


def test_a_freeze_window_ends_at_midnight_of_the_business():
    the_day_before = FreezeWindow("yesterday", date(2026, 6, 29), date(2026, 6, 29))
    assert plan(lever(), freeze_windows=(the_day_before,))["l1"]["type"] == "raise"
    behind = {"freeze_windows": (the_day_before,), "timezone": timezone(timedelta(hours=-14))}
    assert plan(lever(), **behind)["l1"]["type"] == "hold"


def test_a_yearly_window_reaches_over_new_year():
    window = FreezeWindow("holidays", (12, 20), (1, 2))
    days = [date(2026, 12, 19), date(2026, 12, 20), date(2027, 1, 2), date(2027, 1, 3), date(2028, 12, 31)]
    assert [window.covers(day) for day in days] == [False, True, True, False, True]


def test_an_approved_raise_is_a_violation_once_a_window_has_begun():
    states = frame(lever())
    raised = plan_decisions(states, limits(), NOW)
    frozen = limits(freeze_windows=(THE_SALE,))
    assert [v.rule for v in verify_decisions(raised, states, frozen, NOW)] == ["seasonal_freeze"]


def test_half_a_chance_above_the_cap_freezes_increases_but_not_cuts():
    assert one(p_cac_above_cap=0.51)["type"] == "hold"
    assert json.loads(one(p_cac_above_cap=0.51)["binding_rules"]) == ["freeze"]
    assert one(p_cac_above_cap=0.5)["type"] == "raise"
    assert one(p_cac_above_cap=0.51, thompson_budget=100.0)["type"] == "cut"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"track_p_cac_above_cap": 0.21}, "track_evidence"),
        ({"track_p_cac_above_cap": None}, "track_evidence"),
        ({"marginal_contribution": 0.0}, "contribution"),
        ({"track_contribution": -0.1}, "contribution"),
        ({"marginal_contribution": None}, "contribution"),
        ({"p_cac_above_cap": None}, "freeze"),
        ({"p_cac_above_cap": float("nan")}, "freeze"),
        ({"is_shared": True}, "shared_budget"),
    ],
)
def test_an_increase_needs_evidence_and_margin(changes, rule):
    row = one(**changes)
    assert row["type"] == "hold"
    assert json.loads(row["binding_rules"]) == [rule]
    assert one(**changes, thompson_budget=100.0)["type"] == "cut"


# --- real levers ---


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"learning_state": "learning"}, "learning"),
        ({"learning_state": None}, "learning"),
        ({"last_edited_at": NOW - timedelta(hours=71)}, "cooldown"),
        ({"last_edited_at": NOW + timedelta(hours=5)}, "cooldown"),
        ({"status": "paused"}, "active_status"),
        ({"status": None}, "active_status"),
        ({"budget_type": "lifetime"}, "daily_budget"),
        ({"decision_eligible": False}, "account_audit"),
        ({"track": "unassigned"}, "known_track"),
        ({"current_budget": None}, "known_state"),
        ({"budget_increment": None}, "known_state"),
        ({"budget_increment": "0"}, "known_state"),
        ({"minimum_budget": None}, "known_state"),
        ({"minimum_budget": "600"}, "known_state"),
    ],
)
@pytest.mark.parametrize("request_for", [1000.0, 10.0])
def test_what_cannot_be_edited_is_held(changes, rule, request_for):
    row = one(**changes, thompson_budget=request_for)
    assert row["type"] == "hold"
    assert row["proposed_budget"] == row["current_budget"]
    assert json.loads(row["binding_rules"]) == [rule]


def test_an_edit_is_allowed_again_after_exactly_72_hours_and_where_none_is_on_record():
    assert one(last_edited_at=NOW - timedelta(hours=72))["type"] == "raise"
    assert one(last_edited_at=None)["type"] == "raise"


def test_an_arm_without_its_own_lever_gets_status_and_split_test_proposals_only():
    assert one(has_lever=False, p_cac_above_cap=0.4)["type"] == "split_test"
    assert one(has_lever=False, p_cac_above_cap=0.02)["type"] == "hold"
    stopped = one(has_lever=False, p_cac_above_cap=0.97)
    assert (stopped["type"], stopped["current_budget"], stopped["proposed_budget"]) == ("stop", 0, 0)


def test_declared_levers_are_decided_on_but_only_advisory():
    row = one(lever_source="declared")
    assert (row["type"], row["advisory"]) == ("raise", True)
    assert "advisory" in row["reason"]
    assert one()["advisory"] is False


# --- pace and steps ---


def test_one_edit_moves_at_most_five_percent_either_way():
    assert one()["proposed_budget"] == Decimal(525)
    assert one(thompson_budget=10.0)["proposed_budget"] == Decimal(475)
    assert one(thompson_budget=510.0)["proposed_budget"] == Decimal(510)
    assert json.loads(one(thompson_budget=510.0)["binding_rules"]) == []


def test_a_day_moves_at_most_ten_percent_from_midnight():
    assert one(midnight_budget="470")["proposed_budget"] == Decimal(517)
    assert one(midnight_budget="450")["type"] == "hold"
    assert one(midnight_budget=None)["type"] == "hold"
    assert one(midnight_budget="540", thompson_budget=10.0)["proposed_budget"] == Decimal(486)


def test_a_step_below_the_increment_is_a_hold():
    row = one(budget_increment="50")
    assert row["type"] == "hold"
    assert "50.00" in row["reason"]
    assert one(budget_increment="20")["proposed_budget"] == Decimal(520)
    assert one(thompson_budget=500.004)["type"] == "hold"


def test_an_increment_below_a_cent_still_gives_whole_cents():
    assert one(budget_increment="0.007")["proposed_budget"] == Decimal("525")
    assert one(budget_increment="0.003", thompson_budget=501.02)["proposed_budget"] == Decimal("501.00")


def test_no_cut_goes_below_the_platform_minimum():
    assert one(thompson_budget=1.0, minimum_budget="490")["proposed_budget"] == Decimal(490)
    assert one(thompson_budget=1.0, minimum_budget="500")["type"] == "hold"


def test_a_budget_in_fractions_of_a_cent_moves_onto_the_grid():
    row = one(current_budget="500.004321", midnight_budget="500.004321")
    assert row["proposed_budget"] == Decimal("525.00")
    assert one(current_budget="500.004321", thompson_budget=None)["proposed_budget"] == Decimal("500.004321")


# --- caps and drift ---


def test_increases_share_what_over_delivery_leaves_free_and_add_up_to_the_cent():
    rows = [lever(f"l{i}") for i in range(3)]
    result = plan(*rows, daily_cap="1893.75")  # 1,515 of budgets at 25 % over-delivery: 15 free
    assert [row["proposed_budget"] for row in result.values()] == [Decimal(505)] * 3
    result = plan(*rows, daily_cap="1893.7625")  # 15.01: the odd cent goes to the first
    assert [row["proposed_budget"] for row in result.values()] == [Decimal("505.01"), 505, 505]
    assert json.loads(result["l1"]["binding_rules"]) == ["track_cap", "pace"]


def test_a_cut_in_the_same_plan_frees_nothing_for_a_raise():
    up, down = lever("up"), lever("down", thompson_budget=100.0)
    result = plan(up, down, daily_cap="1250")  # today's 1,000 use the whole envelope
    assert result["up"]["type"] == "hold"
    assert result["down"]["type"] == "cut"


def test_budgets_already_above_the_cap_are_cut_and_never_raised():
    result = plan(lever("l1"), lever("l2", learning_state="learning"), daily_cap="1000")
    assert result["l1"]["proposed_budget"] == Decimal(300)  # 800 in all; l2 cannot be touched
    assert result["l2"]["type"] == "hold"
    assert "above the security cap of 1,000.00" in result["l1"]["reason"]


def test_a_cap_that_cannot_be_met_holds_instead_of_raising():
    result = plan(lever("l1", minimum_budget="490"), lever("l2", learning_state="learning"), daily_cap="100")
    assert result["l1"]["proposed_budget"] == Decimal(490)
    assert result["l2"]["type"] == "hold"


def test_the_total_cap_binds_across_tracks():
    rows = [lever("l1"), lever("l2", track="balance")]
    result = plan(*rows, total_daily_cap=Decimal("1275"))  # 1,020: 20 free
    assert [row["proposed_budget"] for row in result.values()] == [Decimal(510)] * 2
    assert json.loads(result["l1"]["binding_rules"]) == ["total_cap", "pace"]


def test_one_unknown_budget_stops_every_increase_under_its_cap():
    result = plan(lever("l1"), lever("l2", current_budget=None), lever("l3", track="balance"))
    assert {row["type"] for row in result.values()} == {"hold"}
    assert json.loads(result["l1"]["binding_rules"])[0] == "track_cap"
    assert json.loads(result["l3"]["binding_rules"])[0] == "total_cap"


def test_a_paused_levers_budget_does_not_count():
    assert plan(lever("l1"), lever("l2", status="paused"), daily_cap="700")["l1"]["type"] == "raise"


def test_drift_over_seven_days_is_limited_and_new_levers_count_from_zero():
    assert one(budget_7_days_ago="420")["proposed_budget"] == Decimal(504)
    assert one(budget_7_days_ago="400")["type"] == "hold"
    row = one(budget_7_days_ago=None)
    assert row["type"] == "hold"
    assert "second approver" in row["reason"]
    assert one(budget_7_days_ago="900")["type"] == "raise"  # winning back is no drift


def test_mixed_currencies_in_a_track_stop_increases():
    result = plan(lever("l1"), lever("l2", currency="EUR"))
    assert {row["type"] for row in result.values()} == {"hold"}


# --- exploration ---

UNSURE = {"p_cac_above_cap": 0.3, "expected_loss_rate": 0.05}


def test_an_explorers_cut_is_dropped_below_the_floor():
    explorer = lever("new", **UNSURE, thompson_budget=50.0)
    rest = [lever(f"l{i}", thompson_budget=None) for i in range(9)]
    row = plan(explorer, *rest)["new"]
    assert (row["type"], row["proposed_budget"]) == ("hold", Decimal(500))
    assert json.loads(row["binding_rules"]) == ["exploration_floor"]
    assert plan(explorer, *rest[:2])["new"]["type"] == "cut"


def test_below_the_floor_explorers_rise_and_exploiters_do_not():
    explorer = lever("new", **UNSURE, thompson_budget=None)
    result = plan(explorer, *[lever(f"l{i}") for i in range(11)])
    assert result["new"]["proposed_budget"] == Decimal(525)
    assert {row["type"] for name, row in result.items() if name != "new"} == {"hold"}


def test_an_exhausted_loss_budget_ends_the_floor_and_stops_explorers():
    explorer = lever("new", p_cac_above_cap=0.3, expected_loss_rate=0.3)
    result = plan(explorer, *[lever(f"l{i}") for i in range(11)], weekly_loss_budget="1060")
    assert result["new"]["proposed_budget"] < Decimal(505)  # 7 * 500 * 0.3 = 1,050 is taken
    assert result["l0"]["type"] == "raise"


def test_exploration_above_its_loss_budget_shrinks_step_by_step():
    result = plan(lever("new", p_cac_above_cap=0.3, expected_loss_rate=0.3), weekly_loss_budget="500")
    assert result["new"]["proposed_budget"] == Decimal(475)
    assert json.loads(result["new"]["binding_rules"])[0] == "loss_budget"


def test_above_the_loss_budget_no_explorer_rises_not_even_a_seemingly_free_one():
    costly = lever("costly", p_cac_above_cap=0.3, expected_loss_rate=0.3)
    free = lever("free", p_cac_above_cap=0.3, expected_loss_rate=0.0)
    assert plan(costly, free, weekly_loss_budget="500")["free"]["type"] == "hold"


def test_the_expected_loss_is_that_of_a_week_at_the_proposed_budget():
    row = one(expected_loss_rate=0.05)
    assert row["expected_loss"] == pytest.approx(7 * 525 * 0.05)


# --- input ---


def test_bad_frames_and_a_naive_clock_are_refused():
    with pytest.raises(ValueError, match="unique"):
        plan_decisions(frame(lever(), lever()), limits(), NOW)
    with pytest.raises(ValueError, match="missing"):
        plan_decisions(frame(lever()).drop("track"), limits(), NOW)
    with pytest.raises(ValueError, match="time zone"):
        plan_decisions(frame(lever()), limits(), NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    "changes",
    [
        {"edit_limit": 0.06},
        {"day_limit": 0.2},
        {"drift_limit": 0.3},
        {"edit_cooldown_hours": 24},
        {"stop_probability": 0.5},
        {"stop_spend_caps": 1.0},
        {"freeze_probability": 0.7},
        {"track_raise_probability": 0.5},
        {"overdelivery": -0.1},
        {"total_daily_cap": Decimal(0)},
    ],
)
def test_limits_can_only_be_tightened(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        limits(**changes)


def test_an_empty_account_is_an_empty_plan():
    assert plan_decisions(frame(), limits(), NOW).height == 0
    assert verify_decisions(plan_decisions(frame(), limits(), NOW), frame(), limits(), NOW) == []


# --- the verifier against hand-made proposals ---


def hand_made(states, name="l1", **changes):
    decisions = plan_decisions(states, limits(), NOW)
    for column, value in changes.items():
        kind = decisions.schema[column]
        value = Decimal(str(value)) if isinstance(kind, pl.Decimal) and value is not None else value
        decisions = decisions.with_columns(
            pl.when(pl.col("lever_id") == name)
            .then(pl.lit(value, dtype=kind))
            .otherwise(pl.col(column))
            .alias(column)
        )
    return {violation.rule for violation in verify_decisions(decisions, states, limits(), NOW)}


@pytest.mark.parametrize(
    ("state", "proposal", "rule"),
    [
        ({}, {"proposed_budget": "530"}, "pace"),
        ({"midnight_budget": "450"}, {"proposed_budget": "510", "type": "raise"}, "pace"),
        ({}, {"proposed_budget": "-1", "type": "cut"}, "amount"),
        ({}, {"proposed_budget": None}, "amount"),
        ({}, {"proposed_budget": "510.001"}, "increment"),
        ({"budget_increment": "50"}, {"proposed_budget": "510", "type": "raise"}, "increment"),
        ({"minimum_budget": "400"}, {"proposed_budget": "300", "type": "cut"}, "minimum"),
        ({"learning_state": "learning"}, {"proposed_budget": "510", "type": "raise"}, "learning"),
        ({"learning_state": "learning"}, {"proposed_budget": "300", "type": "cut"}, "learning"),
        ({"last_edited_at": NOW - timedelta(hours=1)}, {"proposed_budget": "490", "type": "cut"}, "cooldown"),
        ({"status": "paused"}, {"proposed_budget": "510", "type": "raise"}, "active_status"),
        ({"budget_type": "lifetime"}, {"proposed_budget": "490", "type": "cut"}, "daily_budget"),
        ({"decision_eligible": False}, {"proposed_budget": "490", "type": "cut"}, "account_audit"),
        ({"track": "unassigned"}, {"proposed_budget": "490", "type": "cut"}, "known_track"),
        ({"p_cac_above_cap": 0.6}, {"proposed_budget": "510", "type": "raise"}, "freeze"),
        ({"track_p_cac_above_cap": 0.3}, {"proposed_budget": "510", "type": "raise"}, "track_evidence"),
        ({"marginal_contribution": -0.1}, {"proposed_budget": "510", "type": "raise"}, "contribution"),
        ({"is_shared": True}, {"proposed_budget": "510", "type": "raise"}, "shared_budget"),
        ({"p_cac_above_cap": 0.95}, {"proposed_budget": "500", "type": "hold"}, "safety_stop"),
        ({}, {"proposed_budget": "0", "type": "stop"}, "safety_stop"),
        ({"has_lever": False}, {"proposed_budget": "510", "type": "raise"}, "real_lever"),
        ({}, {"type": "hold"}, "type"),
        ({}, {"type": "cut"}, "type"),
        ({}, {"type": "anything"}, "type"),
        ({}, {"current_budget": "505"}, "stale"),
        ({"lever_source": "declared"}, {"advisory": False}, "advisory"),
        ({"budget_7_days_ago": "400"}, {"proposed_budget": "510", "type": "raise"}, "weekly_drift"),
        ({"current_budget": "24000", "midnight_budget": "24000"},
         {"proposed_budget": "24001", "type": "raise"}, "cap"),
        ({"p_cac_above_cap": 0.3, "expected_loss_rate": 0.9, "current_budget": "950", "budget_7_days_ago":
          "950", "midnight_budget": "950"}, {"proposed_budget": "960", "type": "raise"}, "loss_budget"),
    ],
)  # fmt: skip
def test_the_verifier_catches_a_hand_made_proposal(state, proposal, rule):
    assert rule in hand_made(frame(lever(**state)), **proposal)


def test_the_verifier_catches_the_exploration_floor_and_mixed_currencies():
    explorer = lever("new", **UNSURE, thompson_budget=None)
    states = frame(explorer, *[lever(f"l{i}") for i in range(11)])
    assert "exploration_floor" in hand_made(states, "l3", proposed_budget="510", type="raise")
    assert "exploration_floor" in hand_made(states, "new", proposed_budget="490", type="cut")
    mixed = frame(lever("l1"), lever("l2", currency="EUR"))
    assert "one_currency" in hand_made(mixed, proposed_budget="510", type="raise")


def test_the_verifier_catches_unknown_and_repeated_levers_and_a_pulled_switch():
    states = frame(lever())
    decisions = plan_decisions(states, limits(), NOW)
    rules = [v.rule for v in verify_decisions(pl.concat([decisions, decisions]), states, limits(), NOW)]
    assert rules == ["one_decision"]
    strangers = decisions.with_columns(lever_id=pl.lit("other"))
    assert [v.rule for v in verify_decisions(strangers, states, limits(), NOW)] == ["real_lever"]
    killed = limits(kill_switch=True)
    assert [v.rule for v in verify_decisions(decisions, states, killed, NOW)] == ["kill"]


# --- proportional rounding ---


def test_rounding_places_every_step_that_fits_and_breaks_ties_by_key():
    levers = read_levers(frame(*[lever(f"l{i}", budget_increment="1") for i in range(3)]))
    claims = [Claim(x, x.current + 25 * 10**9, x.current, 1, x.current) for x in levers]
    granted = fit_within(10 * 10**9, claims)
    assert [granted[x.key] // 10**9 for x in levers] == [504, 503, 503]
