"""Looking back: forecasts beside actuals, evidence of drift, reconciliation, readiness and events."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from models.monitoring import readiness, reconciliation, reviews, safety
from models.monitoring.reviews import DRIFT_ALARM

MORNING = date(2026, 6, 30)
YESTERDAY = MORNING - timedelta(days=1)
MATURED = MORNING - timedelta(days=15)
ACCOUNTS = pl.DataFrame({"platform": ["meta"], "account_id": ["1"], "maturity_days": [14]})
LEVER = {"platform": "meta", "account_id": "1", "track": "security", "lever_id": "L"}


def told(made_on, target, basis="live", lever="L", **quantiles):
    row = {"made_on": made_on, "target_date": target, "basis": basis, **LEVER, "lever_id": lever}
    usual = {"spend": (90, 100, 110), "clicks": (80, 100, 120), "signups": (4, 8, 12), "cac": (8, 12, 30)}
    for metric, values in (usual | quantiles).items():
        row |= dict(zip((f"{metric}_p10", f"{metric}_p50", f"{metric}_p90"), values, strict=True))
    return row


def happened(day, lever="L", cost=100.0, clicks=100, signups=8.0):
    return {"date": day, **LEVER, "lever_id": lever, "cost": cost, "clicks": clicks, "signups": signups}


def judged(forecasts, days):
    rows = reviews.judge_levers(
        pl.DataFrame(forecasts, infer_schema_length=None), pl.DataFrame(days), ACCOUNTS, as_of_date=MORNING
    )
    return {(row["target_date"], row["lever_id"], row["metric"]): row for row in rows.iter_rows(named=True)}


def test_clicks_and_spend_are_judged_the_next_day_and_signups_once_they_matured():
    days = [happened(YESTERDAY), happened(MATURED + timedelta(days=1)), happened(MATURED)]
    found = judged([told(day["date"], day["date"]) for day in days], days)
    assert {(day, metric) for day, _, metric in found} == {
        *((day["date"], metric) for day in days for metric in ("spend", "clicks")),
        (MATURED, "signups"),
        (MATURED, "cac"),
    }
    assert all(row["inside"] for row in found.values())


def test_what_lies_beyond_either_end_is_outside():
    days = [
        happened(YESTERDAY, "low", clicks=79),
        happened(YESTERDAY, "high", clicks=121),
        happened(YESTERDAY),
    ]
    found = judged([told(YESTERDAY, YESTERDAY, lever=name) for name in ("low", "high", "L")], days)
    assert [found[YESTERDAY, name, "clicks"]["inside"] for name in ("low", "high", "L")] == [
        False,
        False,
        True,
    ]


def test_a_lever_that_did_nothing_counts_as_nothing_and_a_day_not_reported_is_not_judged():
    found = judged(
        [told(YESTERDAY, YESTERDAY, lever="idle"), told(MATURED, MATURED, lever="idle")],
        [happened(YESTERDAY)],
    )
    assert found[YESTERDAY, "idle", "spend"]["actual"] == 0
    assert {day for day, *_ in found} == {YESTERDAY}


def test_an_infinite_cac_is_inside_where_the_bad_end_was_infinite():
    days = [happened(MATURED, name, signups=0.0) for name in ("foreseen", "not")]
    found = judged(
        [told(MATURED, MATURED, lever="foreseen", cac=(10, 20, None)), told(MATURED, MATURED, lever="not")],
        days,
    )
    assert found[MATURED, "foreseen", "cac"]["inside"] is True
    assert found[MATURED, "not", "cac"]["inside"] is False
    assert found[MATURED, "not", "cac"]["actual"] is None


def test_a_forecast_of_the_days_to_come_is_left_alone():
    assert judged([told(YESTERDAY, MORNING)], [happened(YESTERDAY), happened(MORNING)]) == {}


def outlook(made_on, target, basis="live"):
    row = told(made_on, target, basis)
    return {name: value for name, value in row.items() if name not in ("platform", "account_id", "lever_id")}


def test_fidelity_is_the_error_of_the_medians_by_horizon():
    first = MATURED - timedelta(days=9)
    targets = [first, first + timedelta(days=1), first + timedelta(days=9)]  # 1, 2 and 10 days ahead
    forecasts = pl.DataFrame([told(first, target) for target in targets])
    outlooks = pl.DataFrame([outlook(first, target) for target in [*targets, YESTERDAY]])
    days = pl.DataFrame(
        [happened(targets[0], signups=10.0), happened(targets[1], signups=20.0), happened(targets[2])]
        + [happened(day, "new", signups=50.0) for day in targets]  # not in the outlook, nor in its actuals
    )
    rows = reviews.judge_tracks(outlooks, forecasts, days, as_of_date=MORNING, maturity_days=14)
    found = reviews.fidelity(rows, {"security": 440.0}, as_of_date=MORNING)
    assert found.select("horizon_days", "basis", "mornings", "forecasts").rows() == [
        (1, "live", 1, 1),
        (7, "live", 1, 1),
        (14, "live", 1, 1),
    ]
    assert found["mape_cac"].to_list() == pytest.approx([0.2, 1.4, abs(12 - 12.5) / 12.5])
    assert found["mape_roas"].to_list() == pytest.approx([0.2, 0.6, 0.0])
    assert found["coverage"].to_list() == [1.0, 0.0, 1.0]
    # beyond p90: no actual at or below any quantile, the median's level is not the furthest
    assert found["ks_distance"].to_list() == pytest.approx([0.5, 0.9, 0.5])


def test_days_without_signups_do_not_make_an_error_infinite():
    forecasts = pl.DataFrame([told(MATURED, MATURED)])
    outlooks = pl.DataFrame([outlook(MATURED, MATURED)])
    rows = reviews.judge_tracks(
        outlooks,
        forecasts,
        pl.DataFrame([happened(MATURED, signups=0.0)]),
        as_of_date=MORNING,
        maturity_days=14,
    )
    found = reviews.fidelity(rows, {"security": 440.0}, as_of_date=MORNING)
    assert found["mape_cac"].to_list() == [None]
    assert found["coverage"].to_list() == [0.0]


def test_a_forecaster_that_keeps_its_promise_is_rarely_alarmed_however_long_it_is_watched():
    rng = np.random.default_rng(20261120)
    alarms = 0
    for _ in range(400):
        shares = rng.binomial(8, 0.8, size=60) / 8
        alarms += max(reviews.coverage_e_value(shares[:day]) for day in range(1, 61)) >= DRIFT_ALARM
    assert alarms / 400 <= 0.05


def test_intervals_that_hold_half_are_noticed_within_a_month_and_wide_ones_are_no_alarm():
    rng = np.random.default_rng(20261120)
    noticed = [reviews.coverage_e_value(rng.binomial(8, 0.5, size=28) / 8) >= DRIFT_ALARM for _ in range(100)]
    assert np.mean(noticed) > 0.95
    assert reviews.coverage_e_value(np.ones(28)) < 1
    assert reviews.coverage_e_value(np.zeros(0)) == 1


def test_drift_counts_a_day_once_and_only_forecasts_of_that_day_s_morning():
    rows = [
        {"made_on": day, "target_date": day, "basis": "live", "track": "security", "metric": "clicks"}
        | {"inside": inside}
        for day in (MATURED, YESTERDAY)
        for inside in (True, False)
    ]
    early = {**rows[0], "made_on": MATURED - timedelta(days=1), "inside": False}
    spend = {**rows[0], "metric": "spend", "inside": False}
    found = reviews.drift(pl.DataFrame([*rows, early, spend]))
    assert found.select("days", "coverage").rows() == [(2, 0.5)]
    assert found["e_value"][0] == pytest.approx(reviews.coverage_e_value(np.array([0.5, 0.5])))


# --- reconciliation ---------------------------------------------------------------------------------


def reconciled(claimed, orders, claimed_before=None, orders_before=None):
    last = MORNING - timedelta(days=15)
    daily = pl.DataFrame(
        [
            (last, "security", float(claimed), orders),
            (MORNING - timedelta(days=1), "security", 10_000.0, 1),  # not matured: counts for nothing
            (
                last - timedelta(days=28),
                "security",
                float(claimed_before or claimed),
                orders_before or orders,
            ),
        ],
        schema=["date", "track", "platform_signups", "backend_orders"],
        orient="row",
    )
    limits = {"lowest": 0.2, "highest": 1.2, "largest_change": 0.25, "maturity_days": 14, "window_days": 28}
    return reconciliation.reconcile(daily, ["security"], as_of_date=MORNING, **limits).row(0, named=True)


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ((800, 1000), "in_range"),
        ((1300, 1000), "out_of_range"),
        ((100, 1000), "out_of_range"),
        ((800, 1000, 500, 1000), "changed"),
        ((8, 10, 5, 10), "in_range"),  # as large a change, but of ten orders
        ((800, 0), "no_orders"),
    ],
)
def test_platform_and_backend_agree_in_range_and_over_time(case, status):
    assert reconciled(*case)["status"] == status


# --- readiness --------------------------------------------------------------------------------------

VERDICT = {
    "platform": "meta",
    "account_id": "1",
    "last_report_date": YESTERDAY,
    "eligible": True,
    "reason": "ok",
}
ACCURACY = {
    **{"platform": "meta", "account_id": "1", "method": "aelp", "metric": "clicks", "horizon_days": 7},
    **{"as_of_date": MORNING, "coverage": 0.82, "coverage_low": 0.7, "coverage_high": 0.9},
}
DRIFT = {"track": "security", "basis": "live", "days": 28, "coverage": 0.8, "e_value": 0.7}
RECONCILED = {"track": "security", "claimed_per_order": 0.8, "status": "in_range", "detail": "fine"}

NO_LIFT = {"comparison": "past", "metric": "net", "lift": 0.01, "lift_low": -0.2, "lift_high": 0.22}
LIFT = {"comparison": "live", "metric": "net", "lift": 0.0, "lift_low": -0.3, "lift_high": 0.3}
UNKNOWN = {"lift": None, "lift_low": None, "lift_high": None}


def evidence(**changes):
    known = {
        "verdicts": pl.DataFrame([VERDICT]),
        "recent": pl.DataFrame([{"platform": "meta", "account_id": "1", "track": "security", "cost": 900.0}]),
        "matured": pl.DataFrame({"track": ["security"], "signups": [250.0]}),
        "accuracy": pl.DataFrame([ACCURACY]),
        "drift": pl.DataFrame([DRIFT]),
        "reconciliations": pl.DataFrame([RECONCILED]),
        "applied": {"security": 20},
        "placebos": pl.DataFrame([NO_LIFT]),
        "lift": pl.DataFrame([LIFT]),
    }
    return readiness.Evidence(**(known | changes))


def verdicts(known):
    rows = readiness.readiness(
        ["security"], known, readiness.Thresholds(max_data_age_days=3), as_of_date=MORNING
    )
    return {row["criterion"]: row for row in rows.iter_rows(named=True)}


def test_verdicts_do_not_hang_on_the_order_of_equal_rows():
    misses = [
        ACCURACY | {"coverage": coverage, "coverage_low": low, "coverage_high": high, "metric": metric}
        for coverage, low, high, metric in ((0.7, 0.65, 0.75, "clicks"), (0.9, 0.85, 0.95, "conversions"))
    ]
    lifts = [NO_LIFT | {"metric": metric, "lift": lift} for metric, lift in (("net", 0.1), ("cac", -0.1))]
    told = [
        verdicts(evidence(accuracy=pl.DataFrame(misses[::step]), placebos=pl.DataFrame(lifts[::step])))
        for step in (1, -1)
    ]
    assert told[0] == told[1]


def test_a_track_is_ready_with_every_criterion():
    assert all(row["passed"] for row in verdicts(evidence()).values())


@pytest.mark.parametrize(
    ("changes", "criterion"),
    [
        ({"verdicts": pl.DataFrame([VERDICT | {"last_report_date": MATURED}])}, "data_fresh"),
        ({"verdicts": pl.DataFrame([VERDICT | {"eligible": False}])}, "accounts_eligible"),
        ({"matured": pl.DataFrame({"track": ["security"], "signups": [99.0]})}, "matured_evidence"),
        ({"accuracy": pl.DataFrame([ACCURACY | {"coverage_high": 0.79}])}, "coverage"),
        ({"accuracy": pl.DataFrame([ACCURACY | {"coverage_low": 0.81}])}, "coverage"),
        ({"drift": pl.DataFrame([DRIFT | {"e_value": 21.0}])}, "no_drift"),
        ({"drift": pl.DataFrame([DRIFT | {"basis": "hindcast"}])}, "no_drift"),
        ({"reconciliations": pl.DataFrame([RECONCILED | {"status": "no_orders"}])}, "reconciled"),
        ({"applied": {}}, "applied_changes"),
        ({"placebos": pl.DataFrame([NO_LIFT | UNKNOWN]).cast({"lift_low": float})}, "placebo_lift"),
        ({"placebos": pl.DataFrame([NO_LIFT, NO_LIFT | {"lift_low": 0.001}])}, "placebo_lift"),
        ({"placebos": pl.DataFrame([NO_LIFT | {"lift_high": -0.001}])}, "placebo_lift"),
        ({"lift": pl.DataFrame([LIFT | UNKNOWN]).cast({"lift_low": float})}, "applied_lift"),
        ({"lift": pl.DataFrame([LIFT | {"lift_high": -0.001}])}, "applied_lift"),
    ],
)
def test_one_criterion_that_fails_is_enough_and_is_named(changes, criterion):
    found = verdicts(evidence(**changes))
    assert {name for name, row in found.items() if not row["passed"]} == {criterion, readiness.ALL}
    assert found[readiness.ALL]["detail"] == f"Not ready: {criterion}."


def test_nothing_known_is_nothing_passed():
    known = evidence()
    empty = {
        name: getattr(known, name).clear()
        for name in (
            *("verdicts", "recent", "matured", "accuracy"),
            *("drift", "reconciliations", "placebos", "lift"),
        )
    }
    found = verdicts(evidence(**empty, applied={}))
    assert not any(row["passed"] for row in found.values())


def test_the_lower_bound_of_the_lift_is_told_and_what_is_not_measured_is_not_yet():
    assert verdicts(evidence())["applied_lift"]["value"] == -0.3
    unsent = verdicts(evidence(lift=pl.DataFrame([LIFT]).clear()))["applied_lift"]
    assert (unsent["value"], unsent["passed"]) == (None, False)
    assert unsent["detail"].startswith("Not yet")


def test_an_account_without_a_verdict_this_morning_is_neither_fresh_nor_eligible():
    found = verdicts(evidence(verdicts=pl.DataFrame([VERDICT]).clear()))
    assert not found["data_fresh"]["passed"]
    assert not found["accounts_eligible"]["passed"]
    assert "not audited this morning yet" in found["accounts_eligible"]["detail"]


# --- events -----------------------------------------------------------------------------------------

DECISION = {
    "as_of_date": MORNING,
    "track": "security",
    "platform": "meta",
    "account_id": "1",
    "reason": "why",
}


def test_the_same_event_seen_on_two_mornings_keeps_its_id_and_is_told_once_a_morning():
    decisions = pl.DataFrame(
        [DECISION | {"lever_id": name, "type": kind} for name, kind in (("L", "stop"), ("M", "hold"))]
    )
    events = [*safety.stops_proposed(decisions), *safety.stops_proposed(decisions)]
    today = safety.collect(events, as_of_date=MORNING)
    tomorrow = safety.collect(events, as_of_date=MORNING + timedelta(days=1))
    assert today["subject"].to_list() == ["meta/1/L"]
    assert today["event_id"].to_list() == tomorrow["event_id"].to_list()


def test_money_beyond_what_the_caps_reserve_is_an_event_and_to_the_cent_is_not():
    budget = {"date": YESTERDAY, **LEVER, "current_budget": 100.0, "sharing": 1}
    over = budget | {"cost": 125.01, "lever_id": "over"}
    (event,) = safety.overspent(pl.DataFrame([budget | {"cost": 125.0}, over]), overdelivery=0.25)
    assert event["subject"] == "meta/1/over"
    assert event["severity"] == "critical"
    assert event["sentence"].startswith("meta/1/over spent 125.01")
    (event,) = safety.overspent(pl.DataFrame([over | {"sharing": 3}]), overdelivery=0.25)
    assert event["sentence"].startswith("meta/1/over and 2 more on its budget spent 125.01")


def test_a_morning_judged_without_a_stored_decision_was_refused():
    states = pl.DataFrame({"as_of_date": [YESTERDAY, MORNING]})
    (event,) = safety.decisions_refused(states, pl.DataFrame({"as_of_date": [YESTERDAY]}))
    assert event["happened_on"] == MORNING
    assert list(safety.decisions_refused(states, states)) == []


def test_only_live_forecasts_raise_an_alarm_and_only_intervals_too_narrow_are_broken():
    drift = pl.DataFrame([DRIFT | {"e_value": 20.0}, DRIFT | {"e_value": 90.0, "basis": "hindcast"}])
    assert len(list(safety.drift_alarms(drift, as_of_date=MORNING))) == 1
    accuracy = pl.DataFrame([ACCURACY | {"coverage_high": 0.79}, ACCURACY | {"coverage_low": 0.9}])
    assert len(list(safety.coverage_broken(accuracy))) == 1


def test_what_lasts_is_one_event_a_week():
    broken = pl.DataFrame([RECONCILED | {"status": "changed"}])
    days = [date(2026, 6, 29) + timedelta(days=step) for step in range(8)]  # a Monday and the next
    ids = [next(safety.reconciliations_broken(broken, as_of_date=day))["event_id"] for day in days]
    assert len(set(ids[:7])) == 1
    assert ids[7] != ids[0]


def test_a_lever_that_runs_away_is_told_of_once_a_day_as_it_was_first_seen():
    alarm = {"date": MORNING, **LEVER, "reason": "after 90 it ends at 260"}
    rows = pl.DataFrame(
        [
            alarm | {"kind": "spend_above_worst_case", "hour": 14, "reason": "200 were spent"},
            alarm | {"kind": "day_end_above_worst_case", "hour": 9},
        ]
    )
    (event,) = safety.spend_alarms(rows)
    assert "after 90 it ends at 260" in event["sentence"]
    assert (event["severity"], event["track"], event["happened_on"]) == ("critical", "security", MORNING)


def test_an_account_whose_spend_nobody_can_read_is_told_of_once_a_day():
    told = {"date": MORNING, "platform": "google_ads", "account_id": "472-118-9034"}
    unread = told | {"reading": "not_readable", "reading_reason": "It is closed."}
    fine = unread | {"account_id": "other", "reading": "late"}
    events = list(safety.spend_unread(pl.DataFrame([unread, unread, fine])))
    assert [(event["subject"], event["sentence"]) for event in events] == [
        ("google_ads/472-118-9034", "It is closed.")
    ]


def test_an_account_is_told_of_on_the_morning_it_drops_out_and_no_longer():
    def verdicts(*eligible, account="1"):
        return [
            {
                "as_of_date": MORNING - timedelta(days=days),
                "platform": "meta",
                "account_id": account,
                "eligible": one,
                "reason": "audit passed, data fresh" if one else "stale: no newer day came",
            }
            for days, one in eligible
        ]

    def told(*rows):
        return [
            (e["subject"], e["sentence"], e["happened_on"]) for e in safety.accounts_set_aside(frame(rows))
        ]

    def frame(rows):
        return pl.DataFrame([row for some in rows for row in some])

    said = ("meta/1", "meta/1 is left out of decisions: stale: no newer day came.", MORNING)
    others = (
        verdicts((3, False), (0, False), account="made-up"),
        verdicts((1, True), (0, True), account="fine"),
    )
    assert told(verdicts((1, True), (0, False)), *others) == [said]
    assert told(verdicts((3, True), (0, False))) == [said], "a morning nobody judged is bridged"
    assert told(verdicts((2, True), (1, False), (0, False))) == []
    assert told(verdicts((0, False))) == [], "it never was decided on"


def test_two_proposals_overtaken_on_one_lever_are_two_events():
    withdrawn = [(MORNING, name, "security", "meta/1/L", "Ann changed its budget.") for name in ("p1", "p2")]
    found = safety.collect(
        [*safety.proposals_overtaken(withdrawn), *safety.proposals_overtaken(withdrawn)], as_of_date=MORNING
    )
    assert found.height == 2
    assert all("Ann changed its budget." in said for said in found["sentence"])


def test_no_event_is_an_empty_table_and_the_gravest_comes_first():
    assert safety.collect([], as_of_date=MORNING).schema == safety.SCHEMA
    changes = [(YESTERDAY, "c1", "meta/1/L", "conflict", "a person was there")]
    pulls = [(YESTERDAY, "1", "maya stopped everything: a test")]
    found = safety.collect(
        [*safety.changes_failed(changes), *safety.kill_switch_pulled(pulls)], as_of_date=MORNING
    )
    assert found["kind"].to_list() == ["kill_switch_on", "change_failed"]
