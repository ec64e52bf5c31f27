"""The course of a day is learnt, its end covered by its interval, and a runaway seen long before midnight."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from models.pacing import HOURS, day_course, day_end, overspends, pacing_plan
from models.spend_readings import SCHEMA

MONDAY = date(2026, 6, 29)
LATE = np.linspace(1, 4, HOURS) / np.linspace(1, 4, HOURS).sum()  # most of it in the evening
EARLY = LATE[::-1]
LEVER = {
    "platform": "meta",
    "account_id": "a1",
    "track": "security",
    "lever_id": "l1",
    "budget": Decimal(100),
}


def past(course_of, days=56, hours_over=24, spend=100.0):
    rows = [
        {
            "platform": "meta",
            "account_id": "a1",
            "date": MONDAY - timedelta(days=age),
            "hour": hour,
            "spend": spend * share,
            "day_spend": spend,
            "hours_over": hours_over,
        }
        for age in range(1, days + 1)
        for hour, share in enumerate(course_of(MONDAY - timedelta(days=age))[:hours_over])
    ]
    return pl.DataFrame(rows)


def today(spend, hours, platform="meta"):
    rows = [(platform, "a1", "l1", hour, float(each)) for hour, each in zip(hours, spend, strict=False)]
    schema = {"platform": pl.String, "account_id": pl.String, "lever_id": pl.String, "hour": pl.Int64}
    return pl.DataFrame(rows, schema=schema | {"spend": pl.Float64}, orient="row")


def reading(hours_over, hours_begun=None, platform="meta", **changes):
    told = {
        "platform": platform,
        "account_id": "a1",
        "date": MONDAY,
        "by_hour": True,
        "hours_over": hours_over,
        "hours_begun": hours_over if hours_begun is None else hours_begun,
        "reading": "read",
        "reporting_delay_hours": 3.0,
    }
    return pl.DataFrame([told | changes], schema=SCHEMA)


def plan(spend, hours_over, history=None, *, told=None, hours=range(24), **changes):
    platform = changes.get("platform", "meta")
    return pacing_plan(
        pl.DataFrame([LEVER | changes], schema_overrides={"budget": pl.Decimal(38, 9)}),
        today(spend, hours, platform),
        reading(hours_over, platform=platform) if told is None else told,
        past(lambda _: LATE) if history is None else history,
        overdelivery={"meta": 0.75},
        other_overdelivery=0.25,
        delivery_mean=0.85,
    )


def test_without_history_a_day_is_expected_to_be_spent_evenly():
    empty = past(lambda _: LATE).clear()
    assert day_course(empty, MONDAY).shares == pytest.approx(np.arange(1, 25) / 24)


def test_a_weekday_has_its_own_course_once_there_is_enough_of_it():
    mondays_late = past(lambda day: LATE if day.weekday() == 0 else EARLY)
    monday = day_course(mondays_late, MONDAY).shares
    tuesday = day_course(mondays_late, MONDAY + timedelta(days=1)).shares
    assert monday[11] < 0.45 < 0.55 < tuesday[11]
    assert [monday[-1], tuesday[-1]] == pytest.approx([1, 1])
    assert (np.diff(monday) > 0).all()


def test_hours_after_the_last_reading_of_a_day_are_spread_over_its_rest():
    read_at_noon = day_course(past(lambda _: LATE, days=400, hours_over=12), MONDAY).shares
    assert read_at_noon[11] == pytest.approx(LATE[:12].sum(), abs=0.005)
    assert np.diff(read_at_noon[11:]) == pytest.approx(np.diff(read_at_noon[11:])[0])


def test_a_later_day_teaches_an_earlier_one_nothing():
    later = past(lambda _: LATE).with_columns(pl.col("date") + timedelta(days=100))
    assert day_course(later, MONDAY).shares == pytest.approx(np.arange(1, 25) / 24)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_eighty_percent_of_days_end_inside_the_interval(seed):
    rng = np.random.default_rng(seed)
    days, share, concentration = 2000, 0.4, 30.0
    totals = 85 * np.exp(rng.normal(0, 0.5, days))
    spent = totals * rng.beta(concentration * share, concentration * (1 - share), days)
    given = [np.full(days, value) for value in (share, 85.0, 175.0)]
    (low, middle, high), above = day_end(spent, *given, concentration)
    assert 0.77 < ((low <= totals) & (totals <= high)).mean() < 0.83
    assert 0.46 < (totals <= middle).mean() < 0.54
    assert abs(above.mean() - (totals > 175).mean()) < 0.02


def test_the_interval_narrows_to_what_was_spent_at_midnight():
    rows = plan(LATE * 90, 24)
    width = (rows["day_end_p90"] - rows["day_end_p10"]).to_list()
    assert width[4] > width[12] > width[20] > width[23] == 0
    assert rows["day_end_p50"][23] == pytest.approx(90)


def test_a_day_without_spend_so_far_expects_only_its_rest():
    middle = plan(np.zeros(20), 20)["day_end_p50"]
    assert middle[2] > 60
    assert middle[19] < 40


def test_what_was_not_read_is_unknown_and_the_plan_stands():
    rows = plan(LATE * 90, 9)
    assert rows["spend"].null_count() == rows["p_above_worst_case"].null_count() == 15
    assert rows["expected_spend"][23] == pytest.approx(85)
    assert rows["worst_case"].unique().to_list() == [175.0]
    other = plan(LATE * 90, 0, platform="tiktok")
    assert other["spend"].null_count() == other["spend_reported"].null_count() == 24
    assert other["worst_case"][0] == 125.0


def test_an_hour_that_is_not_settled_is_told_and_not_judged():
    rows = plan(LATE * 90, 6, told=reading(6, 9))
    assert rows["spend"].is_not_null().to_list() == [True] * 6 + [False] * 18
    assert rows["spend_reported"].is_not_null().to_list() == [True] * 9 + [False] * 15
    assert rows["p_above_worst_case"].null_count() == 18
    assert rows["reporting_delay_hours"].unique().to_list() == [3.0]
    assert rows.select(rows["spend_reported"] >= rows["spend"]).to_series().drop_nulls().all()


def test_what_is_told_of_a_late_report_is_enough_where_it_is_too_much_already():
    """Six hours are settled and quiet; what is told of the seventh alone passes the worst case."""
    spend = [1.0] * 6 + [400.0]
    (found,) = overspends(plan(spend, 6, told=reading(6, 8)), 0.9).iter_rows(named=True)
    assert (found["kind"], found["hour"], found["spend"]) == ("spend_above_worst_case", 6, None)
    assert found["spend_reported"] == pytest.approx(406.0)
    assert overspends(plan(spend, 6, told=reading(6, 6)), 0.9).is_empty()


def test_a_report_that_lags_is_judged_by_the_hours_it_knows():
    """At nine a platform three hours late shows six hours: as nine hours' worth they would look slow."""
    even = past(lambda _: np.full(24, 1 / 24))
    runaway = np.full(6, 210 / 24)
    known, as_if_punctual = plan(runaway, 6, even), plan(runaway, 9, even)
    assert known["p_above_worst_case"][5] > 0.9 > as_if_punctual["p_above_worst_case"][8]
    assert known["day_end_p50"][5] == pytest.approx(210, rel=0.05)


def test_a_day_s_single_figure_is_known_at_one_hour_and_foretells_as_much_as_hours_do():
    one = reading(13, 14, by_hour=False)
    rows = plan([48.0], 13, told=one, hours=[None])
    assert rows["spend"].is_not_null().arg_true().to_list() == [12]
    assert rows["spend_reported"].is_not_null().arg_true().to_list() == [12, 13]
    by_hour = plan([48.0], 13, hours=[0])
    assert rows["day_end_p50"][12] == by_hour["day_end_p50"][12]
    early = plan([180.0], 0, told=reading(0, 1, by_hour=False), hours=[None])
    assert overspends(early, 0.9).select("hour", "spend_reported").rows() == [(0, 180.0)]


def test_levers_of_an_account_nobody_knows_the_reading_of_are_refused():
    with pytest.raises(ValueError, match="meta account a1 has levers and no reading"):
        plan(LATE, 9, told=reading(9).clear())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_runaway_is_seen_before_half_of_it_is_spent_and_a_busy_day_is_left_alone(seed):
    rng = np.random.default_rng(seed)
    noticed, false_alarms = [], 0
    history = past(lambda _: rng.dirichlet(LATE * 200))
    for _ in range(60):
        course = rng.dirichlet(LATE * 200)
        runaway = overspends(plan(course * 500, 24, history), 0.9)
        first = runaway["hour"].min()
        noticed.append(course.cumsum()[first])
        false_alarms += overspends(plan(course * 130, 24, history), 0.9).height
    assert np.median(noticed) < 0.5
    assert false_alarms <= 1


def test_each_kind_of_overspending_is_told_once_at_its_first_hour():
    found = overspends(plan(LATE * 600, 24), 0.9)
    assert sorted(found["kind"]) == ["day_end_above_worst_case", "spend_above_worst_case"]
    first = dict(found.select("kind", "hour").iter_rows())
    assert first["day_end_above_worst_case"] < first["spend_above_worst_case"]
    assert 600 * LATE.cumsum()[first["spend_above_worst_case"]] > 175


def test_impossible_numbers_are_refused():
    good = [np.array([value]) for value in (10.0, 0.5, 85.0, 175.0)]
    for place, value in ((0, -1.0), (1, 0.0), (1, 1.5), (2, 0.0)):
        bad = list(good)
        bad[place] = np.array([value])
        with pytest.raises(ValueError, match="must not be negative"):
            day_end(*bad, 30.0)
