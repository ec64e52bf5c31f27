"""Lifts of split tests: intervals that hold at every look, winners, and what remains of their lifts."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from models.experiments.split_test_results import (
    METRICS,
    SMALLEST_COUNT,
    shrunk_lifts,
    split_test_results,
    split_test_verdicts,
)
from models.experiments.split_test_validity import TEST

FIRST = date(2026, 1, 5)
ALPHA = 0.05
_COLUMNS = {name for metric in METRICS for name in (metric.outcomes, metric.exposures)}


def with_all_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """What the rows do not tell, as nulls."""
    told = frame.with_columns(
        pl.lit("meta").alias("platform"),
        pl.lit("a").alias("account_id"),
        *(pl.lit(None, dtype=pl.Float64).alias(name) for name in _COLUMNS - set(frame.columns)),
    )
    if "period_end" not in told.columns:
        told = told.with_columns(pl.col("period_start").alias("period_end"))
    return (
        told
        if "is_control" in told.columns
        else told.with_columns(pl.lit(None, pl.Boolean).alias("is_control"))
    )


def world(
    seed: int,
    *,
    tests: int,
    days: int = 28,
    arms: int = 2,
    users: int = 3_000,
    rate: float = 0.03,
    noise: float = 0.0,
    shared: float = 0.0,
    lift: float | np.ndarray = 0.0,
) -> pl.DataFrame:
    """Orders by test, arm and day. noise: of an arm's day, shared: of a day, both of the log rate."""
    rng = np.random.default_rng(seed)
    shape = (tests, arms, days)
    exposed = rng.poisson(users, shape)
    level = rate * np.exp(rng.normal(0, shared, (tests, 1, days)) + rng.normal(-(noise**2) / 2, noise, shape))
    level[:, 1:] *= np.exp(np.broadcast_to(lift, tests))[:, None, None]
    test, arm, day = (place.ravel() for place in np.indices(shape))
    return with_all_columns(
        pl.DataFrame(
            {
                "test_id": test,
                "arm": arm,
                "period_start": [FIRST + timedelta(days=int(number)) for number in day],
                "users": exposed.ravel().astype(float),
                "orders": rng.poisson(exposed * level).ravel().astype(float),
            }
        ).with_columns(pl.format("t{}", "test_id").alias("test_id"), pl.format("arm{}", "arm").alias("arm"))
    )


def lifts(frame: pl.DataFrame) -> pl.DataFrame:
    return split_test_results(frame, alpha=ALPHA).filter(~pl.col("is_control")).drop_nulls("lift")


# --- the interval ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "kind",
    [{}, {"users": 100}, {"noise": 0.2}, {"noise": 0.5}, {"shared": 0.4}, {"arms": 4, "noise": 0.15}],
    ids=["counts alone", "few counts", "noisy days", "very noisy days", "days in common", "four arms"],
)
def test_looking_every_day_equal_arms_are_told_apart_in_at_most_5_percent_of_tests(seed, kind):
    tests = 200
    frame = world(seed, tests=tests, **kind)
    told_apart: set[str] = set()
    by_fixed_intervals: set[str] = set()
    for days in range(7, 29):
        found = lifts(frame.filter(pl.col("period_start") < FIRST + timedelta(days=days)))
        told_apart |= set(found.filter((pl.col("lift_low") > 0) | (pl.col("lift_high") < 0))["test_id"])
        fixed = pl.col("log_lift").abs() > 1.96 * pl.col("standard_error")
        by_fixed_intervals |= set(found.filter(fixed)["test_id"])
    assert len(told_apart) <= ALPHA * tests
    assert len(by_fixed_intervals) > ALPHA * tests or kind == {"users": 100}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_true_lift_is_found_and_covered(seed):
    found = lifts(world(seed, tests=100, lift=0.2))
    truth = np.expm1(0.2)
    assert found.filter(pl.col("lift_low") > 0).height > 85
    assert found.filter((pl.col("lift_low") <= truth) & (pl.col("lift_high") >= truth)).height >= 95
    assert found["log_lift"].mean() == pytest.approx(0.2, abs=0.02)


def test_ups_and_downs_that_both_arms_share_cost_nothing():
    common, apart = (
        lifts(world(1, tests=50, **kind))["dispersion"].median() for kind in ({"shared": 0.4}, {"noise": 0.4})
    )
    assert common < 1.5 < 5 < apart


def test_the_interval_and_its_p_value_agree():
    found = lifts(world(2, tests=200, lift=0.08))
    excluded = (found["lift_low"] > 0) | (found["lift_high"] < 0)
    assert 20 < excluded.sum() < 180
    assert (excluded == (found["p_value"] <= ALPHA)).all()


def test_several_arms_are_corrected_by_holm():
    frame = world(3, tests=40, arms=4, lift=0.1)
    for test in lifts(frame).partition_by("test_id"):
        p = test["p_value"].sort().to_list()
        expected = np.minimum(1, np.maximum.accumulate([3 * p[0], 2 * p[1], p[2]]))
        assert test["p_adjusted"].sort().to_list() == pytest.approx(expected.tolist())


def test_no_lift_is_told_before_a_week_or_of_a_few_outcomes():
    frame = world(1, tests=5)
    assert lifts(frame.filter(pl.col("period_start") < FIRST + timedelta(days=6))).is_empty()
    assert lifts(world(1, tests=5, users=10)).is_empty()
    assert split_test_results(frame, alpha=ALPHA)["outcomes"].min() > SMALLEST_COUNT


def test_a_test_told_as_one_week_is_judged_by_its_counts():
    week = with_all_columns(
        pl.DataFrame(
            {
                "test_id": "t", "arm": ["a", "b"], "period_start": FIRST,
                "period_end": FIRST + timedelta(days=6),
                "impressions": [10_000.0, 10_000.0], "link_clicks": [100.0, 200.0],
            }
        )
    )  # fmt: skip
    (found,) = lifts(week).to_dicts()
    assert found["lift"] == pytest.approx(1.0)
    assert found["standard_error"] == pytest.approx(np.sqrt(1 / 100 + 1 / 200))
    assert found["dispersion"] is None


def test_segments_add_up_to_the_arm():
    frame = world(1, tests=3)
    halves = frame.with_columns(pl.col("users", "orders") / 2)
    twice = pl.concat([halves, halves])
    assert lifts(twice).drop("platform").equals(lifts(frame).drop("platform"))


def test_the_control_is_the_arm_said_to_be_else_one_of_that_name_else_the_first():
    def control(names: list[str], said: list[bool] | None = None) -> str:
        days = [FIRST + timedelta(days=day) for day in range(7)]
        rows = pl.DataFrame(
            {"arm": names, "is_control": said or [None] * len(names)},
            schema_overrides={"is_control": pl.Boolean},
        )
        frame = rows.join(pl.DataFrame({"period_start": days}), how="cross").with_columns(
            pl.lit("t").alias("test_id"), pl.lit(1_000.0).alias("users"), pl.lit(50.0).alias("orders")
        )
        found = split_test_results(with_all_columns(frame), alpha=ALPHA)
        return str(found.filter("is_control")["arm"].item())

    assert control(["new", "bold"]) == "bold"
    assert control(["new", "a", "Control"]) == "Control"
    assert control(["new", "control"], [True, False]) == "new"


# --- the verdict -----------------------------------------------------------------------------------------


def judged(
    frame: pl.DataFrame, reasons: list[str] | None = None, metric: str | None = None
) -> dict[str, object]:
    tests = (
        frame.select(TEST)
        .unique()
        .with_columns(
            pl.lit(metric, dtype=pl.String).alias("primary_metric"),
            pl.Series("reasons", [reasons or []], dtype=pl.List(pl.String)),
        )
    )
    (row,) = split_test_verdicts(tests, split_test_results(frame, alpha=ALPHA), alpha=ALPHA).to_dicts()
    return row


def test_an_arm_shown_to_beat_the_control_wins():
    found = judged(world(1, tests=1, lift=0.4))
    assert (found["verdict"], found["winner"], found["control_arm"]) == ("winner", "arm1", "arm0")


def test_the_control_wins_where_every_other_arm_is_shown_to_do_worse():
    assert judged(world(1, tests=1, arms=3, lift=-0.4))["winner"] == "arm0"


def test_where_nothing_is_shown_nobody_wins():
    found = judged(world(1, tests=1))
    assert (found["verdict"], found["winner"], found["verdict_reasons"]) == ("no_difference", None, [])


def test_an_invalid_test_has_no_winner_however_large_its_lift():
    found = judged(world(1, tests=1, lift=1.0), reasons=["shares are off"])
    assert (found["verdict"], found["winner"], found["verdict_reasons"]) == (
        "invalid",
        None,
        ["shares are off"],
    )


def test_too_little_data_is_said_with_what_is_missing():
    six_days = world(1, tests=1, lift=1.0).filter(pl.col("period_start") < FIRST + timedelta(days=6))
    found = judged(six_days)
    assert found["verdict"] == "too_little_data"
    assert found["verdict_reasons"] == ["it has run for 6 days; 7 are needed"]
    few = judged(world(1, tests=1, users=20))
    assert few["verdict_reasons"] == ["fewer than 30 outcomes or exposures in arm0, arm1"]
    assert judged(world(1, tests=1), metric="link_ctr")["verdict_reasons"] == [
        "fewer than two arms tell its primary metric"
    ]


def with_a_small_arm(frame: pl.DataFrame, users: float, orders: float) -> pl.DataFrame:
    """The test's arms beside a third, which has as many users and orders a day."""
    third = frame.filter(arm="arm0").with_columns(
        pl.lit("tiny").alias("arm"), pl.lit(users).alias("users"), pl.lit(orders).alias("orders")
    )
    return pl.concat([frame, third])


@pytest.mark.parametrize(
    ("users", "orders"), [(1.0, 0.5), (0.5, 2.0)], ids=["few orders", "many orders of few users"]
)
def test_a_lucky_arm_of_few_outcomes_or_users_is_never_best_and_keeps_no_other_from_it(users, orders):
    frame = with_a_small_arm(world(1, tests=1, lift=0.4), users, orders)
    results = split_test_results(frame, alpha=ALPHA)
    assert results["arm"][results["rate"].arg_max()] == "tiny"
    assert results.filter(arm="tiny")["lift"].item() is None
    found = judged(frame)
    assert (found["verdict"], found["winner"]) == ("winner", "arm1")
    assert found["verdict_reasons"] == ["fewer than 30 outcomes or exposures in tiny"]
    control = judged(with_a_small_arm(world(1, tests=1, lift=-0.4), users, orders))
    assert control["winner"] == "arm0"


def test_beside_a_control_of_few_users_nothing_is_told():
    alone = world(1, tests=1).filter(pl.col("arm") == "arm0")
    few = alone.with_columns(pl.lit("control").alias("arm"), pl.lit(1.0).alias("users"))
    found = judged(pl.concat([alone, few]))
    assert (found["verdict"], found["winner"]) == ("too_little_data", None)


def test_only_the_primary_metric_is_judged():
    frame = world(1, tests=1).with_columns(
        pl.col("users").alias("impressions"),
        pl.when(pl.col("arm") == "arm1").then(300.0).otherwise(100.0).alias("link_clicks"),
    )
    assert judged(frame, metric="orders_per_user")["verdict"] == "no_difference"
    assert judged(frame, metric="link_ctr")["winner"] == "arm1"


# --- the winner's curse ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("centre", "spread"), [(0.0, 0.08), (0.05, 0.2)])
def test_shrunk_lifts_of_winners_are_those_they_have(seed, centre, spread):
    rng = np.random.default_rng(seed)
    truth = rng.normal(centre, spread, 3_000)
    error = rng.uniform(0.03, 0.15, 3_000)
    estimate = truth + rng.normal(size=3_000) * error
    shrunk = shrunk_lifts(pl.Series(estimate), pl.Series(error)).to_numpy()
    won = estimate > 2 * error
    assert np.mean(estimate[won] - truth[won]) > 0.02
    assert abs(np.mean(shrunk[won] - truth[won])) < 0.006


def test_a_few_tests_are_shrunk_by_what_lifts_usually_are():
    (alone,) = shrunk_lifts(pl.Series([0.4]), pl.Series([0.1]))
    assert 0.15 < alone < 0.3
