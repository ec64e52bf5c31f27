"""Split tests from landed arms to verdicts: the broken one is refused, the sound ones are judged."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from aelp_assets import plots
from aelp_assets.experiments import judge_split_tests
from models.experiments.split_test_validity import TEST
from resources.sandbox.business import draw_business
from resources.sandbox.catalogue import SCALES
from resources.sandbox.split_tests import split_test_rows, split_test_truth

TODAY = date(2026, 7, 1)


def cells(seed: int) -> pl.DataFrame:
    """`int_experiment_cells` as the sandbox's file makes it."""
    rows = split_test_rows(draw_business(SCALES["tiny"], seed, TODAY))
    day = pl.col("report_date").str.to_date()
    return rows.select(
        *TEST,
        *("arm", "test_name", "kind", "track", "primary_metric", "planned_share", "users", "impressions"),
        *("link_clicks", "conversions_click", "conversions_view", "orders", "spend"),
        day.alias("period_start"),
        day.alias("period_end"),
        pl.col("device").alias("segment"),
        pl.lit(None, dtype=pl.String).alias("hour"),
        pl.lit(False).alias("is_control"),
        pl.lit(None, dtype=pl.Int64).alias("positive_answers"),
        pl.lit(None, dtype=pl.Int64).alias("answers"),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_sandbox_s_tests_get_the_verdicts_their_truth_allows(seed):
    experiments, results = judge_split_tests(cells(seed), TODAY)
    truth = split_test_truth(draw_business(SCALES["tiny"], seed, TODAY)).sort("test_id")
    assert experiments["is_valid"].to_list() == (~truth["broken"]).to_list()
    by_test = {row["test_id"]: row for row in experiments.to_dicts()}
    assert by_test["exp-001"]["winner"] in (None, "number")
    assert by_test["exp-002"]["winner"] in (None, "exposed")
    assert (by_test["exp-003"]["verdict"], by_test["exp-003"]["winner"]) == ("invalid", None)
    assert "shares of" in by_test["exp-003"]["reasons"]
    lifts = results.filter("is_primary", pl.col("is_valid"), pl.col("lift").is_not_null())
    true_lift = {"exp-001": 1 / truth["ctr_factor"][0] - 1, "exp-002": truth["order_factor"][1] - 1}
    for row in lifts.to_dicts():
        assert row["lift_low"] <= true_lift[row["test_id"]] <= row["lift_high"]
    assert results.filter(~pl.col("is_valid"))["expected_lift"].drop_nulls().is_empty()


def test_an_arm_without_hours_beside_one_with_them_is_said_and_not_held_against_the_test():
    hours = pl.when(pl.col("arm") == "number").then(pl.lit("09")).alias("hour")
    rows = cells(1).filter(test_id="exp-001")
    (told,) = judge_split_tests(rows, TODAY)[0].to_dicts()
    (found,) = judge_split_tests(rows.with_columns(hours), TODAY)[0].to_dicts()
    assert found["time_p"] == told["time_p"]
    assert (found["is_valid"], found["verdict"]) == (told["is_valid"], told["verdict"])
    assert "tells its hour, so times are compared by period" in found["reasons"]


def test_a_winner_s_expected_lift_is_smaller_than_what_it_showed():
    experiments, results = judge_split_tests(cells(2), TODAY)
    (won,) = experiments.filter(test_id="exp-002").to_dicts()
    (arm,) = results.filter(test_id="exp-002", arm="exposed", metric="orders_per_user").to_dicts()
    assert won["winner"] == "exposed"
    assert 0 < won["winner_lift"] < arm["lift"]


def test_a_morning_knows_only_the_periods_before_it():
    whole, _ = judge_split_tests(cells(1), TODAY)
    early, _ = judge_split_tests(cells(1), TODAY - timedelta(days=20))
    assert early["units"].sum() < whole["units"].sum()
    assert early["last_day"].max() < TODAY - timedelta(days=20)
    none, results = judge_split_tests(cells(1), date(2020, 1, 1))
    assert none.is_empty()
    assert results.is_empty()


def test_lifts_are_drawn_with_invalid_tests_marked():
    figure = plots.split_test_lifts(*reversed(judge_split_tests(cells(1), TODAY)))
    axis = figure.axes[0]
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert "Long page against short page · short" in labels
    marks = {line.get_ydata()[0]: line.get_marker() for line in axis.lines if line.get_marker() in ("o", "x")}
    assert marks[labels.index("Long page against short page · short")] == "x"
