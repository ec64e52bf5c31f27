"""The experiment planner: tests valued as in closed form, errors as simulated, no calendar conflicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from models.mmm.channel_draws import PowerDraws, SaturationDraws
from models.mmm.evidence import lift_test
from models.mmm.experiment_designs import (
    Design,
    Regions,
    Standing,
    lift_error,
    lifts,
    possible_designs,
    power,
    reached,
)
from models.mmm.information_value import (
    Stakes,
    decision,
    expected_shrinkage,
    readings,
    value_of_certainty,
    value_of_test,
)
from models.mmm.planner import (
    TEST_SCHEMA,
    calendar,
    calendar_conflicts,
    expected_regret,
    raises_frozen,
    ranked_tests,
)

AT_ONCE = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])


def linear(mean: float, sd: float, draws: int = 4000) -> PowerDraws:
    """One channel whose every dollar adds the same, N(mean, sd²) over draws."""
    slope = norm.ppf((np.arange(draws) + 0.5) / draws, mean, sd)
    assert slope.min() > 0
    return PowerDraws(("a",), slope[:, None], np.ones((draws, 1)), np.ones(1))


@pytest.mark.parametrize("error", [60.0, 200.0, 1000.0])
def test_a_test_of_a_straight_line_is_worth_what_the_textbook_says(error):
    """EVSI of two actions with a normal prior: E max(z, 0) - max(E z, 0), z ~ N(value m - 1, value² τ²)."""
    draws, stakes = linear(0.009, 0.0018), Stakes(100.0, 1e9, 0.5, 1, 1.0)
    standing = Standing(draws, np.array([100_000.0]), 1.0, np.ones((1, 1)))
    lift, _ = lifts(standing, Design(0, "weeks", 1.0, 4))
    found = value_of_test(decision(draws, standing.current, stakes), 0, lift, readings(lift, error), 1)
    told = (0.0018 * 1e5) ** 2 / ((0.0018 * 1e5) ** 2 + error**2)  # share of the variance a reading explains
    mean, sd = 100 * 0.009 - 1, 100 * 0.0018 * np.sqrt(told)
    expected = 100_000 * (mean * norm.cdf(mean / sd) + sd * norm.pdf(mean / sd))
    assert found == pytest.approx(expected, rel=0.01, abs=2.0)


def bent(seed: int, draws: int = 300, channels: int = 3) -> SaturationDraws:
    rng = np.random.default_rng(seed)
    shape = (draws, channels)
    level = 60.0 * np.exp(rng.normal(0, 0.4, channels) + rng.normal(0, 0.5, shape))
    rate = {"rate": np.exp(0.3 * rng.normal(size=shape))}
    names = ("search", "social", "video", "audio")[:channels]
    return SaturationDraws(names, "logistic", rate, level, np.full(channels, 2000.0))


def saturated_or_straight() -> SaturationDraws:
    """A middling lift means a channel that is used up; a smaller or larger one, that it is bad or good."""
    rng = np.random.default_rng(9)
    kind = np.arange(300) % 3
    level = np.array([800.0, 20.0, 2400.0])[kind] * np.exp(0.05 * rng.normal(size=300))
    rate = {"rate": np.array([0.05, 50.0, 0.05])[kind][:, None]}
    return SaturationDraws(("search",), "logistic", rate, level[:, None], np.full(1, 2000.0))


@pytest.mark.parametrize(
    ("draws", "error"),
    [(bent(1, channels=1), 4.0), (bent(2, channels=1), 12.0), (saturated_or_straight(), 3.0)],
)
def test_a_test_of_a_curve_is_worth_what_simulated_readings_bring(draws, error):
    """Readings drawn, beliefs weighed and spend chosen one by one, on a finer grid of spend."""
    current, stakes = np.full(1, 1000.0), Stakes(60.0, 1e9, 0.8, 1)
    lift, _ = lifts(Standing(draws, current, 1.0, AT_ONCE), Design(0, "weeks", -1.0, 4))
    found = value_of_test(decision(draws, current, stakes), 0, lift, readings(lift, error), 1)
    spend = np.linspace(200.0, 1800.0, 161)
    profit = 60.0 * np.column_stack([draws.at(np.full(1, each))[0] for each in spend]) - spend
    rng = np.random.default_rng(1)
    read = np.repeat(lift, 20) + error * rng.normal(size=20 * lift.size)
    weights = norm.pdf((read[:, None] - lift) / error)
    best = (weights / weights.sum(axis=1, keepdims=True) @ profit).max(axis=1)
    assert found == pytest.approx(best.mean() - profit.mean(axis=0).max(), rel=0.06)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([-1.0, -0.3, 0.5]), st.sampled_from([0.8, 1.0, 9.0]))
def test_a_sharper_test_is_never_worth_less_and_certainty_is_worth_most(seed, change, budget):
    draws, current = bent(seed), np.full(3, 1000.0)
    choice = decision(draws, current, Stakes(80.0, budget * 3000.0))
    lift, _ = lifts(Standing(draws, current, 1.0, AT_ONCE), Design(1, "weeks", change, 4))
    errors = float(lift.std()) * np.array([100.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.01])
    values = [value_of_test(choice, 1, lift, readings(lift, error), 26) for error in errors]
    certain = value_of_certainty(choice, 26)
    assert values[0] >= 0
    assert (np.diff(values) >= -1e-6 * certain).all()
    assert values[-1] <= 1.02 * certain
    shrinkage = [expected_shrinkage(lift, readings(lift, error)) for error in errors]
    assert shrinkage[0] == pytest.approx(0.0, abs=1e-3)
    assert (np.diff(shrinkage) >= -1e-6).all()


def test_a_test_tells_of_other_channels_where_the_draws_say_so():
    """Two channels that only their sum is known of: testing one tells of both."""
    rng = np.random.default_rng(6)
    shift, other = 0.004 * rng.normal(size=(2, 2000))
    values = []
    for second in (-shift, other):
        slope = np.clip(0.012 + np.column_stack([shift, second]), 1e-5, None)
        draws = PowerDraws(("a", "b"), slope, np.ones((2000, 2)), np.ones(2))
        standing = Standing(draws, np.full(2, 1000.0), 1.0, AT_ONCE)
        lift, _ = lifts(standing, Design(0, "weeks", -1.0, 4))
        choice = decision(draws, standing.current, Stakes(100.0, 2000.0))
        values.append(value_of_test(choice, 0, lift, readings(lift, 1.0), 10))
    # Half of a budget of 2,000 moves to the better one: by 2 |shift| a dollar, or by the known half of it.
    assert values[0] == pytest.approx(10 * 500 * 100 * 2 * np.abs(shift).mean(), rel=0.15)
    assert values[1] == pytest.approx(values[0] / 2, rel=0.15)


def test_a_channel_already_known_is_worth_no_test():
    draws = bent(1)
    known = replace(draws, largest=draws.largest.copy(), parameters={"rate": draws.parameters["rate"].copy()})
    known.largest[:, 0], known.parameters["rate"][:, 0] = 60.0, 1.0
    standing = Standing(known, np.full(3, 1000.0), 5.0, AT_ONCE)
    stakes = Stakes(80.0, 3000.0)
    tests = ranked_tests(standing, possible_designs(standing), stakes)
    of_known = tests.filter(pl.col("channel") == "search")
    assert of_known["expected_value"].to_list() == [0.0] * 9
    assert of_known["expected_shrinkage"].to_list() == [0.0] * 9
    assert tests.filter(pl.col("channel") != "search")["expected_value"].min() > 0
    assert tests["expected_value"].max() < expected_regret(standing, stakes)


def test_the_channel_whose_uncertainty_matters_comes_first():
    """Social may be good or bad at the current price; video is as uncertain, but good in every draw."""
    rng = np.random.default_rng(4)
    maybe, good = np.exp(0.4 * rng.normal(size=(2, 800)))
    # On average social just pays, so any news of it would change what is done.
    slope = np.column_stack([np.full(800, 0.02), 0.01 * maybe / maybe.mean(), 0.2 * good])
    draws = PowerDraws(("search", "social", "video"), slope, np.ones((800, 3)), np.ones(3))
    standing = Standing(draws, np.full(3, 1000.0), 3.0, AT_ONCE)
    tests = ranked_tests(standing, possible_designs(standing), Stakes(100.0, 1e9, overhead=100.0))
    assert tests["channel"][0] == "social"
    assert tests["rank"].to_list() == list(range(1, 28))
    assert tests["value_per_dollar"].is_sorted(descending=True)
    best = tests.group_by("channel").agg(pl.col("expected_value").max()).rows_by_key("channel", unique=True)
    assert best["video"] == (pytest.approx(0.0, abs=1e-6),)
    assert tests.row(0, named=True)["worth_it"]


def test_the_error_of_changed_weeks_is_that_of_simulated_ones():
    carry = np.array([0.5, 0.3, 0.2])
    standing = Standing(bent(1), np.full(3, 1000.0), 7.0, np.tile(carry, (3, 1)))
    design, lift = Design(0, "weeks", -1.0, 4), -20.0
    rng = np.random.default_rng(1)
    usual = 7.0 * rng.normal(size=(20_000, 4))
    changed = 7.0 * rng.normal(size=(20_000, 4)) + lift * np.array([0.5, 0.8, 1.0, 1.0])
    read = (changed.mean(axis=1) - usual.mean(axis=1)) / reached(carry, 4)
    assert read.mean() == pytest.approx(lift, abs=0.1)
    error = lift_error(standing, design)
    assert read.std() == pytest.approx(error, rel=0.02)
    shown = np.abs(read) > norm.ppf(0.95) * error
    assert power(np.array([lift]), error) == pytest.approx(shown.mean(), abs=0.01)
    told = lift_test("search", 1000.0, -1000.0, float(lift * 0.825), 4.0, reached=reached(carry, 4))
    assert told.lift == pytest.approx(lift)
    assert told.error == pytest.approx(4.0 / 0.825)


def test_the_error_of_a_split_is_that_of_simulated_regions():
    """A hundred regions of equal size, a third of the noise's variance common to all, 30 treated."""
    rng = np.random.default_rng(2)
    sd, common, weeks = 9.0, 1 / 3, 3
    shock = np.sqrt(common) * sd / 100 * rng.normal(size=(2000, weeks, 1))
    noise = shock + np.sqrt(1 - common) * sd / 10 * rng.normal(size=(2000, weeks, 100))
    read = noise[..., :30].sum(axis=2) / 0.3 - noise[..., 30:].sum(axis=2) / 0.7
    standing = Standing(bent(1), np.full(3, 1000.0), sd, AT_ONCE)
    design = Design(0, "regions", 0.5, weeks, 0.3)
    assert lift_error(standing, design, Regions((0.3,), common)) == pytest.approx(
        read.mean(axis=1).std(), rel=0.05
    )
    assert lift_error(standing, design, Regions((0.3,), common, 4.0)) == pytest.approx(
        2 * lift_error(standing, design, Regions((0.3,), common))
    )


def test_splits_are_planned_only_where_regions_are_known():
    standing = Standing(bent(1), np.array([1000.0, 0.0, 1000.0]), 5.0, AT_ONCE)
    assert {design.kind for design in possible_designs(standing)} == {"weeks"}
    designs = possible_designs(standing, regions=Regions((0.2, 0.5), 0.5))
    assert {(design.kind, design.share) for design in designs} == {
        ("weeks", 1.0),
        ("regions", 0.2),
        ("regions", 0.5),
    }
    assert {design.channel for design in designs} == {0, 2}  # a channel without spend has no change to make
    with pytest.raises(ValueError, match="regions have in common"):
        lift_error(standing, Design(0, "regions", 0.5, 2, 0.5))


def test_raises_are_frozen_where_only_a_test_can_tell():
    rng = np.random.default_rng(3)
    spread = np.array([0.6, 0.05, 0.6])
    level = np.array([1.0, 1.0, 5.0]) * 0.02 * np.exp(spread * rng.normal(size=(1000, 3)))
    draws = PowerDraws(("open", "known", "good"), level, np.full((1000, 3), 0.9999), np.ones(3))
    frozen = raises_frozen(draws, np.full(3, 100.0), 50.5)
    assert set(frozen) == {"open"}
    assert "too uncertain" in frozen["open"]
    assert set(raises_frozen(draws, np.full(3, 100.0), 50.5, ["good"])) == {"open", "good"}
    with pytest.raises(ValueError, match="unknown channels"):
        raises_frozen(draws, np.full(3, 100.0), 50.5, ["radio"])


@st.composite
def ranked_lists(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from("abcdefg"), st.integers(1, 8), st.booleans()), min_size=0, max_size=25
        )
    )
    blank = {name: 0.0 for name, kind in TEST_SCHEMA.items() if kind == pl.Float64}
    return pl.DataFrame(
        [
            blank
            | {"rank": rank, "channel": channel, "design": "weeks", "weeks": weeks}
            | {"duration_weeks": 2 * weeks, "worth_it": worth}
            for rank, (channel, weeks, worth) in enumerate(rows, start=1)
        ],
        schema=TEST_SCHEMA,
    )


@settings(max_examples=80, deadline=None)
@given(
    ranked_lists(),
    st.integers(1, 3),
    st.integers(4, 40),
    st.integers(0, 3),
    st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from(["brand", "new"])),
)
def test_no_calendar_tests_a_demand_twice_at_once_or_more_than_allowed(tests, parallel, weeks, rest, demand):
    plan = calendar(tests, weeks=weeks, parallel=parallel, demand=demand, rest_weeks=rest)
    assert calendar_conflicts(plan, parallel=parallel, demand=demand) == []
    assert plan["channel"].n_unique() == plan.height
    assert plan.filter(pl.col("last_week") >= weeks).height == 0
    assert set(plan["rank"]) <= set(tests.filter("worth_it")["rank"])
    worth = tests.filter("worth_it")
    if plan.is_empty() and not worth.is_empty():
        best = worth.sort("rank").unique("channel", keep="first")
        assert best["duration_weeks"].min() > weeks


def test_frozen_channels_are_queued_first_and_conflicts_are_named():
    rows = [
        {
            "rank": rank,
            "channel": channel,
            "design": "weeks",
            "weeks": 2,
            "duration_weeks": 4,
            "worth_it": True,
        }
        for rank, channel in enumerate(["a", "b", "c"], start=1)
    ]
    tests = pl.DataFrame(rows, schema=TEST_SCHEMA)
    plan = calendar(tests, weeks=12, parallel=1, first=["c"])
    assert plan["channel"].to_list() == ["c", "a", "b"]
    assert plan["first_week"].to_list() == [0, 4, 8]
    rested = calendar(tests, weeks=20, parallel=2, demand={"a": "brand", "b": "brand"}, rest_weeks=3)
    assert dict(rested.select("channel", "first_week").iter_rows()) == {"a": 0, "c": 0, "b": 7}
    clash = plan.with_columns(first_week=pl.lit(0), last_week=pl.lit(3))
    words = calendar_conflicts(clash, parallel=2, demand={"a": "brand", "c": "brand"})
    assert words == [
        "a and c are tested at once on one demand",
        "week 0: 3 tests at once, 2 are allowed",
    ] or (words == ["c and a are tested at once on one demand", "week 0: 3 tests at once, 2 are allowed"])
