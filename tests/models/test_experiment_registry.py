"""Experiments of every kind in one form, and a calendar in which they do not disturb each other."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.experiments.calendar import (
    ClosedDays,
    calendar_faults,
    frozen_days,
    plan_calendar,
    week_starts,
)
from models.experiments.registry import (
    REGISTRY_SCHEMA,
    Experiment,
    LeverPlaces,
    MeasuredTest,
    Place,
    apply_hold_draws,
    going_on_at,
    landed_split_tests,
    measured_media_mix_tests,
    planned_media_mix_tests,
    proposed_split_tests,
    registry_frame,
)
from models.guardrails import FreezeWindow

MORNING = date(2026, 7, 2)  # a Thursday
STARTS = week_starts(MORNING, weekday=0, weeks=12)
META = ("meta", "1")
LEVERS = pl.DataFrame(
    [
        (*META, "l1", "balance", "prospecting"),
        (*META, "l2", "balance", "remarketing"),
        (*META, "l3", "security", "prospecting"),
        ("tiktok", "2", "l4", "balance", "prospecting"),
        (*META, "shared", "balance", "prospecting"),
        (*META, "shared", "balance", "remarketing"),
    ],
    schema=["platform", "account_id", "lever_id", "track", "channel"],
    orient="row",
)
PLACES = LeverPlaces(LEVERS)


def experiment(name: str, *places: Place, **facts) -> Experiment:
    return Experiment(
        experiment_id=name,
        compared="this against that",
        unit="weeks",
        metric="net",
        places=places,
        **{"kind": "media_mix", "status": "planned", "days": 14} | facts,
    )


def by_name(experiments) -> dict[str, Experiment]:
    return {each.experiment_id: each for each in experiments}


# --- properties of the calendar --------------------------------------------------------------------------

parts = st.one_of(st.none(), st.sampled_from(["a", "b"]))
places = st.lists(st.builds(Place, parts, parts, parts, parts, parts), min_size=1, max_size=3).map(tuple)
numbers = st.one_of(st.none(), st.floats(0, 10))
kinds = st.sampled_from(["split_test", "media_mix", "apply_hold"])
near = st.integers(-40, 60).map(lambda days: MORNING + timedelta(days=days))


@st.composite
def registers(draw) -> list[Experiment]:
    found = []
    for number in range(draw(st.integers(1, 9))):
        facts = {"kind": draw(kinds), "power": draw(numbers), "price": draw(numbers)}
        facts["value_per_dollar"] = draw(numbers)
        if draw(st.booleans()):
            facts["days"] = draw(st.integers(1, 40))
        else:
            first, length = draw(near), draw(st.one_of(st.none(), st.integers(0, 40)))
            facts |= {"status": "running", "days": None, "first_day": first}
            facts["last_day"] = None if length is None else first + timedelta(days=length)
        found.append(experiment(f"e{number}", *draw(places), **facts))
    return found


closed_days = st.lists(
    st.builds(
        lambda name, first, length, track: ClosedDays(name, first, first + timedelta(days=length), track),
        st.sampled_from(["sale", "holiday"]),
        near,
        st.integers(0, 20),
        parts,
    ),
    max_size=3,
)
limits = st.dictionaries(kinds, st.integers(1, 2))


def days_held(each: Experiment) -> set[date]:
    """Told apart from the code: day by day."""
    assert each.first_day is not None
    last = each.last_day or max(each.first_day, MORNING) + timedelta(days=6)
    return {each.first_day + timedelta(days=day) for day in range((last - each.first_day).days + 1)}


def touch(one: Experiment, other: Experiment) -> bool:
    return any(
        all(
            mine == theirs or None in (mine, theirs)
            for mine, theirs in zip(vars(a).values(), vars(b).values(), strict=True)
        )
        for a in one.places
        for b in other.places
    )


@given(registers(), closed_days, limits)
def test_no_placed_experiment_shares_a_place_with_another_on_any_day(known, closed, at_once):
    planned = plan_calendar(known, morning=MORNING, starts=STARTS, closed=closed, at_once=at_once)
    placed = [each for each in planned.experiments if each.status == "planned" and each.first_day]
    for one in placed:
        for other in planned.experiments:
            if other is not one and other.first_day and touch(one, other):
                assert not days_held(one) & days_held(other)
    assert calendar_faults(planned.experiments, morning=MORNING, closed=closed, at_once=at_once) == []


@given(registers(), closed_days, limits)
def test_nothing_is_placed_in_days_that_are_closed_to_its_track(known, closed, at_once):
    planned = plan_calendar(known, morning=MORNING, starts=STARTS, closed=closed, at_once=at_once)
    for each in planned.experiments:
        if each.status != "planned" or each.first_day is None:
            continue
        assert each.first_day in STARTS
        for off in closed:
            concerned = off.track is None or any(place.track in (None, off.track) for place in each.places)
            assert not (concerned and any(off.first_day <= day <= off.last_day for day in days_held(each)))


@given(registers(), closed_days, limits, st.randoms(use_true_random=False))
def test_the_order_of_experiments_and_closed_days_does_not_matter(known, closed, at_once, random):
    one = plan_calendar(known, morning=MORNING, starts=STARTS, closed=closed, at_once=at_once)
    random.shuffle(known)
    random.shuffle(closed)
    assert plan_calendar(known, morning=MORNING, starts=STARTS, closed=closed, at_once=at_once) == one


@given(registers(), closed_days, limits)
def test_whatever_waits_says_for_what_and_what_goes_on_is_never_moved(known, closed, at_once):
    planned = plan_calendar(known, morning=MORNING, starts=STARTS, closed=closed, at_once=at_once)
    waiting_for = planned.conflicts_in_words()
    before = by_name(known)
    for each in planned.experiments:
        if each.status == "planned":
            assert (each.experiment_id in waiting_for) == (each.first_day != STARTS[0])
        else:
            assert each == before[each.experiment_id]


@given(registers(), limits)
def test_no_more_of_a_kind_run_on_a_track_than_may(known, at_once):
    placed = plan_calendar(
        [each for each in known if each.status == "planned"], morning=MORNING, starts=STARTS, at_once=at_once
    ).experiments
    for kind, most in at_once.items():
        for track in ("a", "b"):
            mine = [
                each
                for each in placed
                if each.kind == kind
                and each.first_day
                and any(place.track in (None, track) for place in each.places)
            ]
            days = [day for each in mine for day in days_held(each)]
            assert max((days.count(day) for day in set(days)), default=0) <= most


# --- what the calendar says ------------------------------------------------------------------------------


def test_a_planned_test_waits_for_the_running_one_that_shares_its_lever_and_says_so():
    lever = PLACES.of_lever(*META, "balance", "l1")
    running = experiment(
        "draws", lever, kind="apply_hold", status="running", days=None,
        first_day=MORNING, last_day=MORNING + timedelta(days=6),
    )  # fmt: skip
    test = experiment("channel", *PLACES.of_channel("balance", "prospecting"))
    planned = plan_calendar([test, running], morning=MORNING, starts=STARTS)
    (placed,) = [each for each in planned.experiments if each.status == "planned"]
    assert (placed.first_day, placed.last_day) == (date(2026, 7, 13), date(2026, 7, 26))
    (said,) = planned.conflicts_in_words().values()
    assert said == (
        "draws (platform meta, account 1, track balance, channel prospecting, lever l1): from 2026-07-13"
    )


def test_regret_removed_per_dollar_goes_before_power_per_dollar_and_that_before_power():
    place = Place(*META)
    tests = [
        experiment("power", place, power=0.99),
        experiment("powerful", place, power=0.9, price=1000.0),
        experiment("cheap", place, power=0.8, price=100.0),
        experiment("small_regret", place, value_per_dollar=1.1, price=100.0, power=0.1),
        experiment("large_regret", place, value_per_dollar=5.0, price=9000.0, power=0.1),
    ]
    planned = plan_calendar(tests, morning=MORNING, starts=STARTS).experiments
    order = [each.experiment_id for each in sorted(planned, key=lambda each: each.first_day)]
    assert order == ["large_regret", "small_regret", "cheap", "powerful", "power"]


def test_experiments_of_other_levers_run_at_once():
    one, other = (experiment(name, PLACES.of_lever(*META, "balance", name)) for name in ("l1", "l2"))
    planned = plan_calendar([one, other], morning=MORNING, starts=STARTS)
    assert {each.first_day for each in planned.experiments} == {STARTS[0]}
    assert planned.conflicts == ()


def test_what_never_fits_has_no_days_and_names_what_stands_in_its_way():
    forever = ClosedDays("sale", MORNING, MORNING + timedelta(days=400), "balance")
    test = experiment("t", Place(track="balance"))
    planned = plan_calendar([test], morning=MORNING, starts=STARTS, closed=[forever])
    assert planned.experiments[0].first_day is None
    assert "sale" in planned.conflicts_in_words()["t"]
    assert "not within the calendar" in planned.conflicts_in_words()["t"]


def test_days_people_gave_that_disturb_another_are_named():
    place = Place(*META, "balance")
    booked = experiment("booked", place, first_day=STARTS[0], last_day=STARTS[1])
    running = replace(booked, experiment_id="running", status="running")
    planned = plan_calendar([booked, running], morning=MORNING, starts=STARTS)
    (fault,) = calendar_faults(planned.experiments, morning=MORNING)
    assert fault == "booked and running share platform meta, account 1, track balance at once"
    assert calendar_faults([running], morning=MORNING) == []


def test_two_of_one_name_and_limits_below_one_are_refused():
    test = experiment("t", Place())
    with pytest.raises(ValueError, match="two experiments are called t"):
        plan_calendar([test, test], morning=MORNING, starts=STARTS)
    with pytest.raises(ValueError, match="at least one media_mix"):
        plan_calendar([test], morning=MORNING, starts=STARTS, at_once={"media_mix": 0})
    with pytest.raises(ValueError, match="for how many days"):
        experiment("t", Place(), days=None)
    with pytest.raises(ValueError, match="ends before"):
        experiment("t", Place(), first_day=MORNING, last_day=MORNING - timedelta(days=1))


@pytest.mark.parametrize(("weekday", "first"), [(0, "07-06"), (3, "07-09"), (4, "07-03")])
def test_weeks_start_after_the_morning_on_the_business_s_weekday(weekday, first):
    starts = week_starts(MORNING, weekday=weekday, weeks=3)
    assert starts[0] == date.fromisoformat(f"2026-{first}")
    assert starts[2] - starts[0] == timedelta(weeks=2)


def test_a_freeze_over_new_year_is_one_span():
    window = FreezeWindow("holidays", (12, 20), (1, 2), "balance")
    spans = frozen_days(window, date(2026, 1, 1), date(2027, 6, 1))
    assert [(span.first_day, span.last_day) for span in spans] == [
        (date(2026, 1, 1), date(2026, 1, 2)),
        (date(2026, 12, 20), date(2027, 1, 2)),
    ]


# --- experiments out of their tables ---------------------------------------------------------------------


def judged(test_id: str, last_day: date, **facts) -> dict:
    return {
        "platform": "meta", "account_id": "1", "test_id": test_id, "test_name": None, "track": "balance",
        "arms": 2, "control_arm": "a", "unit": "users", "metric": "link_ctr", "is_valid": True,
        "first_day": date(2026, 6, 1), "last_day": last_day, "verdict": "too_little_data", "winner": None,
        "winner_lift": None,
    } | facts  # fmt: skip


def test_a_split_test_told_of_lately_goes_on_and_a_quiet_one_has_ended():
    rows = pl.DataFrame(
        [
            judged("fresh", MORNING - timedelta(days=7)),
            judged("quiet", MORNING - timedelta(days=8), verdict="winner", winner="b", winner_lift=0.05),
            judged("broken", MORNING - timedelta(days=1), is_valid=False, verdict="invalid", track=None),
        ],
        infer_schema_length=None,
    )
    found = {name.split("/")[-1]: each for name, each in by_name(landed_split_tests(rows, MORNING)).items()}
    assert {name: each.status for name, each in found.items()} == {
        "fresh": "running", "quiet": "finished", "broken": "invalid",
    }  # fmt: skip
    assert found["quiet"].verdict == "winner: b, +5.0% expected"
    assert found["fresh"].last_day is None
    assert found["broken"].places == (Place("meta", "1"),)


def arm_decision(morning: date, lever: str, arms: list[str], kind: str = "split_test") -> dict:
    design = {"arms": arms, "metric": "cvr", "days": 14, "power": 0.81}
    return {
        "as_of_date": morning, "platform": "meta", "account_id": "1", "track": "balance", "lever_id": lever,
        "arm_kind": "ad", "type": kind, "design": json.dumps(design),
    }  # fmt: skip


def test_proposed_split_tests_are_the_newest_and_named_alike_every_morning():
    day = timedelta(days=1)
    old = [
        arm_decision(MORNING - 2 * day, "l2", ["c", "d"]),
        arm_decision(MORNING - 2 * day, "l1", ["a", "b"]),
    ]
    new = [arm_decision(MORNING - day, "l1", ["b", "a"]), arm_decision(MORNING - day, "l2", [], "hold")]
    before, (now,) = (
        proposed_split_tests(pl.DataFrame(rows), PLACES) for rows in (old, old + new)
    )  # fmt: skip
    assert now.experiment_id in by_name(before)
    assert len(before) == 2
    assert (now.days, now.power, now.price) == (14, 0.81, None)
    assert now.places == (Place("meta", "1", "balance", "prospecting", "l1"),)


def mix_test(channel: str, rank: int, **facts) -> dict:
    return {
        "as_of_date": MORNING, "track": "balance", "channel": channel, "rank": rank, "design": "weeks",
        "change": -0.5, "weeks": 4, "duration_weeks": 8, "power": 0.7, "cost": 900.0,
        "value_per_dollar": 3.0, "worth_it": True,
    } | facts  # fmt: skip


def test_each_channel_s_best_test_of_the_newest_plan_is_planned_where_it_has_levers():
    rows = pl.DataFrame(
        [
            mix_test("prospecting", 2),
            mix_test("prospecting", 1, weeks=2, duration_weeks=4),
            mix_test("podcasts", 3),
            mix_test("search", 4, worth_it=False),
            mix_test("old", 1, as_of_date=MORNING - timedelta(days=7)),
        ]
    )
    found = {each.compared.split()[0]: each for each in planned_media_mix_tests(rows, PLACES)}
    assert set(found) == {"prospecting", "podcasts"}
    best = found["prospecting"]
    assert (best.days, best.price, best.value_per_dollar, best.power) == (28, 900.0, 3.0, 0.7)
    assert set(best.places) == {
        Place("meta", "1", "balance", "prospecting"),
        Place("tiktok", "2", "balance", "prospecting"),
    }
    assert found["podcasts"].places == (Place(track="balance", channel="podcasts"),)


def test_measured_media_mix_tests_stand_where_their_days_say():
    day = timedelta(days=1)
    dates = [(None, None), (MORNING - 9 * day, MORNING - day), (MORNING - day, MORNING), (MORNING + day,) * 2]
    tests = [MeasuredTest("balance", "prospecting", -500.0, 4.2, 1.1, *days) for days in dates]
    found = measured_media_mix_tests(tests, PLACES, MORNING)
    assert [each.status for each in found] == ["finished", "finished", "running", "planned"]
    assert found[0].verdict == "+4.2 ± 1.1 conversions a week"
    assert plan_calendar(found, morning=MORNING, starts=STARTS).experiments == tuple(found)


def draw(lever: str, mode: str, arm: str, day: date) -> dict:
    return {
        "mode": mode, "platform": "meta", "account_id": "1", "track": "balance", "lever_id": lever,
        "as_of_date": day, "arm": arm,
        "window_ends_at": datetime.combine(day + timedelta(days=7), datetime.min.time()),
    }  # fmt: skip


def test_draws_of_a_morning_are_one_experiment_and_shadow_ones_touch_nothing():
    rows = pl.DataFrame(
        [
            draw("l1", "live", "apply", MORNING - timedelta(days=3)),
            draw("shared", "live", "hold", MORNING - timedelta(days=3)),
            draw("l2", "live", "hold", MORNING - timedelta(days=30)),
            draw("l2", "shadow", "hold", MORNING),
        ]
    )
    past, now, shadow = apply_hold_draws(rows, PLACES, MORNING, sent={"live"})
    assert [each.status for each in (past, now, shadow)] == ["finished", "running", "running"]
    assert now.compared == "1 raises applied against 1 held"
    assert set(now.places) == {
        Place("meta", "1", "balance", "prospecting", "l1"),
        Place("meta", "1", "balance", None, "shared"),  # a lever of two channels may be in either
    }
    assert shadow.places == ()
    test = experiment("t", Place("meta", "1"))
    planned = plan_calendar([test, shadow, past], morning=MORNING, starts=STARTS)
    assert by_name(planned.experiments)["t"].first_day == STARTS[0]


def test_the_register_has_a_row_each_what_goes_on_first():
    place = Place("meta", "1", None, None, "l1")
    ended = {"days": None, "first_day": date(2026, 1, 1), "last_day": date(2026, 2, 1)}
    known = [
        experiment("over", place, status="finished", **ended),
        experiment("bad", place, status="invalid", **ended),
        experiment("later", Place("meta", "9"), first_day=STARTS[3], last_day=STARTS[4]),
        experiment("never", place),
        experiment("soon", place, first_day=STARTS[0], last_day=STARTS[1]),
        experiment("now", place, status="running", days=None, first_day=MORNING),
    ]
    rows = registry_frame(known, {"never": "a sale"})
    assert rows["experiment_id"].to_list() == ["now", "soon", "later", "never", "bad", "over"]
    assert json.loads(rows["occupies"][0]) == [{"platform": "meta", "account_id": "1", "lever_id": "l1"}]
    assert rows.filter(experiment_id="never")["conflicts"].item() == "a sale"
    assert registry_frame([], {}).schema == REGISTRY_SCHEMA


def test_what_goes_on_at_a_place_is_told_until_it_ends():
    def running(name: str, place: Place, last: date | None = None, status: str = "running") -> Experiment:
        told = {"days": None, "first_day": date(2026, 1, 1), "last_day": last}
        return experiment(name, place, status=status, **told)

    known = [
        running("hooks", Place("meta", "1", "balance")),
        running("pause", Place("meta", "1", "balance", "prospecting"), MORNING),
        running("over", Place("meta", "1"), MORNING - timedelta(days=1)),
        running("bad", Place("meta", "1"), None, "invalid"),
        running("elsewhere", Place("meta", "2")),
        running("other channel", Place("meta", "1", "balance", "search")),
    ]
    at = going_on_at(registry_frame(known, {}), Place("meta", "1", "balance", "prospecting", "l1"), MORNING)
    assert len(at) == 2
    assert "its end is not told" in at[0]
    assert f"channel prospecting, lever l1; until {MORNING}" in at[1]
