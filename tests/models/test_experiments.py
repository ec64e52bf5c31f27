"""Lift of randomised holds: intervals that hold at every look, none where none is, known lift found."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from models.experiments.assignment import assignment_draw
from models.experiments.confidence_sequences import empirical_bernstein_sequence, mixture_boundary
from models.experiments.lift import WINDOW_SCHEMA, lift_sequence, placebo_windows, window_outcomes
from models.rewards import RewardDefinition

FIRST = date(2026, 1, 5)
REWARD = RewardDefinition("certain", click_mean=1.0, click_sd=0.0, view_mean=0.25, view_sd=0.0)
ECONOMICS = {"contributions": {"security": 300.0}, "caps": {"security": 240.0}}
ALPHA = 0.05
DAY_COLUMNS = ["date", "platform", "account_id", "track", "lever_id", "cost"]
DAY_COLUMNS += ["conversions_click", "conversions_view"]


# --- the interval --------------------------------------------------------------------------------------


def test_the_boundary_is_the_published_one():
    # confseq, the authors' package: gamma_exponential_mixture_bound(100, 0.05, 100, c=2) = 33.02017
    (found,) = mixture_boundary([100.0], 2.0, alpha=0.05, tuned_variance=100.0)
    assert found == pytest.approx(33.02017, abs=1e-5)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", ["skewed", "drifting"])
def test_looking_after_every_window_the_interval_leaves_the_truth_out_in_at_most_5_percent(seed, kind):
    rng = np.random.default_rng(seed)
    streams, length = 100, 300
    time = np.arange(length)
    if kind == "skewed":
        truth = np.full(length, 0.1)
        draws = 5 * rng.beta(0.2, 2.3, size=(streams, length)) - 0.3
    else:
        truth = 0.3 * np.sin(time / 40)
        draws = truth + rng.uniform(-0.4, 0.4, size=(streams, length))
    running = np.cumsum(truth) / (time + 1)
    left_out = 0
    for stream in draws:
        found = empirical_bernstein_sequence(stream, 5.0, alpha=ALPHA, tuned_variance=40.0)
        left_out += bool(np.any((running < found.low) | (running > found.high)))
    assert left_out <= ALPHA * streams


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_interval_is_no_wider_than_looking_at_every_window_needs(seed):
    rng = np.random.default_rng(seed)
    streams, left_out, left_out_of_narrower = 120, 0, 0
    for _ in range(streams):
        coins = rng.choice([-1.0, 1.0], size=400)
        found = empirical_bernstein_sequence(coins, 1.0, alpha=ALPHA, tuned_variance=100.0)
        left_out += bool(np.any((found.low > 0) | (found.high < 0)))
        radius = 0.6 * (found.high - found.mean)
        left_out_of_narrower += bool(np.any(np.abs(found.mean) > radius))
    assert left_out <= ALPHA * streams < left_out_of_narrower


def test_an_observation_beyond_the_bound_is_refused():
    for bad in (1.5, float("nan")):
        with pytest.raises(ValueError, match="must lie in"):
            empirical_bernstein_sequence([0.1, bad], 1.0, alpha=ALPHA, tuned_variance=1.0)


# --- the lift --------------------------------------------------------------------------------------------


def drawn_world(seed: int, *, lift: float, levers: int = 60, rounds: int = 25, hold: float = 0.2):
    """Windows of a week per lever, drawn for; applied ones earn `lift` more per dollar than held."""
    rng = np.random.default_rng(seed)
    days, windows = [], []
    for number in range(levers):
        name, spend = f"l{number}", rng.uniform(200, 2_000)
        rate = rng.uniform(0.5, 1.2) / 300  # signups per dollar
        for week in range(2 * rounds):
            start = FIRST + timedelta(days=7 * week)
            is_drawn, applied = bool(week % 2), False
            if is_drawn:
                key = ("meta", "a1", name, start.isoformat())
                applied = assignment_draw(seed, *key) >= hold
                windows.append(
                    ("meta", "a1", name, "security", start, 7, "apply" if applied else "hold", hold)
                )
            shock = rng.normal(0, 0.1)
            for day in range(7):
                signups = spend * (rate * (1 + shock) + (lift / 300 if applied else 0.0))
                days.append(
                    (start + timedelta(days=day), "meta", "a1", "security", name, spend, signups, 0.0)
                )
    frame = pl.DataFrame(days, schema=DAY_COLUMNS, orient="row")
    return pl.DataFrame(windows, schema=WINDOW_SCHEMA, orient="row"), frame


def accounts(maturity: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"platform": ["meta"], "account_id": ["a1"], "maturity_days": [maturity]})


def judged(windows: pl.DataFrame, days: pl.DataFrame, as_of: date | None = None, maturity: int = 0):
    looked_at = as_of or days["date"].max() + timedelta(days=1)
    return window_outcomes(
        windows, days, accounts(maturity), as_of_date=looked_at, reward=REWARD, **ECONOMICS
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_known_lift_is_recovered(seed):
    outcomes = judged(*drawn_world(seed, lift=0.15))
    for metric, truth in (("net", 0.15), ("signups", 0.15 * 240 / 300)):
        sequence = lift_sequence(outcomes, metric, alpha=ALPHA)
        last = sequence.row(-1, named=True)
        assert last["lift_low"] < truth < last["lift_high"]
        assert last["lift"] == pytest.approx(truth, abs=0.03)
        assert last["lift_low"] > 0
        assert sequence.height == outcomes.height == 1_500


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_where_nothing_was_done_there_is_no_lift_at_any_look(seed):
    windows, days = drawn_world(seed, lift=0.0)
    placebo = placebo_windows(days, window_days=7, seed=seed)
    assert placebo["arm"].n_unique() == 2
    for outcomes in (judged(windows, days), judged(placebo, days)):
        for metric in ("net", "signups"):
            sequence = lift_sequence(outcomes, metric, alpha=ALPHA)
            assert sequence.filter((pl.col("lift_low") > 0) | (pl.col("lift_high") < 0)).is_empty()


def test_a_later_morning_adds_windows_and_changes_none():
    windows, days = drawn_world(1, lift=0.1, levers=6, rounds=4)
    as_of = FIRST + timedelta(days=40)
    known = days.filter(pl.col("date") < as_of)
    early, late = judged(windows, known, as_of), judged(windows, days)
    assert 0 < early.height < late.height
    assert late.head(early.height).equals(early)
    placebo = placebo_windows(known, window_days=7, seed=1)
    assert placebo.join(
        placebo_windows(days, window_days=7, seed=1), on=placebo.columns, how="anti"
    ).is_empty()


def test_a_window_counts_when_its_last_cohort_is_matured_and_not_before():
    windows, days = drawn_world(1, lift=0.1, levers=3, rounds=1)
    last = windows["as_of_date"].max() + timedelta(days=6)
    assert judged(windows, days, last + timedelta(days=14), maturity=14).is_empty()
    assert judged(windows, days, last + timedelta(days=15), maturity=14).height == 3


def test_an_outcome_is_the_change_per_dollar_spent_before_and_is_cut():
    start = FIRST + timedelta(days=7)
    rows = [("meta", "a1", "l1", "security", start, 3, "apply", 0.5)]
    window = pl.DataFrame(rows, schema=WINDOW_SCHEMA, orient="row")
    clicks = {-3: 9.0, -2: 1.0, -1: 1.0, 0: 50.0, 1: 1.5, 2: 1.5, 3: 70.0}  # two full days on each side
    days = pl.DataFrame(
        [
            (start + timedelta(days=day), "meta", "a1", "security", "l1", 300.0, count, 0.0)
            for day, count in clicks.items()
        ],
        schema=DAY_COLUMNS,
        orient="row",
    )
    (row,) = judged(window, days).to_dicts()
    assert row["net"] == pytest.approx(300 * 1.0 / 600)
    assert row["signups"] == pytest.approx(240 * 1.0 / 600)
    much = days.with_columns(conversions_click=pl.col("conversions_click") * 100)
    assert judged(window, much)["net"].to_list() == [1.0]
    silent = days.filter(pl.col("date") >= start)
    assert judged(window, silent).is_empty()


def test_no_window_has_no_lift():
    windows, days = drawn_world(1, lift=0.1, levers=2, rounds=1)
    assert lift_sequence(judged(windows.clear(), days), "net", alpha=ALPHA).is_empty()


def test_draws_are_uniform_over_names_and_depend_on_every_part():
    draws = [assignment_draw(1, "meta", "a1", f"l{number}", "2026-06-30") for number in range(2_000)]
    counts, _ = np.histogram(draws, bins=10, range=(0, 1))
    assert np.all(np.abs(counts - 200) < 60)
    assert assignment_draw(1, "meta", "l1") != assignment_draw(2, "meta", "l1")
    assert assignment_draw(1, "meta", "l1") == assignment_draw(1, "meta", "l1")
