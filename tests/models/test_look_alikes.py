"""Nearest creatives of one space, and what they delivered."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from models.ranking.look_alikes import RESULT_COLUMNS, delivered_results, nearest


def test_the_nearest_that_ran_come_first_and_each_content_once() -> None:
    angle = np.array([0.0, 0.1, 0.1, 0.5, 1.0, 0.05])
    vectors = np.column_stack([np.cos(angle), np.sin(angle)]) * 3.0
    content = np.array([0, 1, 1, 2, 3, 4])
    shown = np.array([0.0, 10.0, 90.0, 5.0, 5.0, 0.0])
    asked, alike, cosine = nearest(vectors, content, shown, count=2)
    assert alike[asked == 0].tolist() == [2, 3]
    assert cosine[asked == 0] == pytest.approx(np.cos([0.1, 0.5]), abs=1e-5)
    # The other one of its own content is the likeliest of all.
    assert alike[asked == 2].tolist() == [1, 3]
    assert cosine[asked == 2][0] == pytest.approx(1.0, abs=1e-5)
    assert 5 not in alike
    assert 0 not in alike


def test_nothing_is_like_a_creative_without_a_vector() -> None:
    vectors = np.array([[1.0, 0.0], [np.nan, np.nan], [0.0, 1.0]])
    asked, alike, _ = nearest(vectors, np.arange(3), np.ones(3), count=5)
    assert 1 not in asked
    assert 1 not in alike
    assert len(nearest(vectors, np.arange(3), np.zeros(3), count=5)[0]) == 0


def results(**row: float) -> dict:
    told = {
        "impressions": 10_000,
        "clicks": 100,
        "expected_clicks": 80.0,
        "matured_clicks": 90,
        "matured_cost": 450.0,
        "conversions": 9.0,
    }
    return delivered_results(pl.DataFrame([told | row])).row(0, named=True)


def test_rates_and_costs_come_from_sums_with_their_intervals() -> None:
    found = results()
    assert found["ctr"] == pytest.approx(0.01)
    assert found["cvr"] == pytest.approx(0.1)
    assert found["cac"] == pytest.approx(50.0)
    assert found["ctr_index"] == pytest.approx(1.25)
    for name in ("ctr", "cvr", "cac", "ctr_index"):
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]


def test_without_a_conversion_the_cost_has_no_end() -> None:
    found = results(conversions=0.0)
    assert found["cac"] is None
    assert found["cac_high"] is None
    assert found["cac_low"] > 450 / 10
    assert found["cvr"] == 0.0
    assert found["cvr_high"] > 0.0


def test_what_never_ran_has_no_rates() -> None:
    found = results(
        impressions=0, clicks=0, expected_clicks=0.0, matured_clicks=0, matured_cost=0.0, conversions=0.0
    )
    assert all(found[name] is None for name in RESULT_COLUMNS)


def test_intervals_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    clicks = rng.binomial(20_000, 0.004, size=600)
    conversions = rng.poisson(0.05 * clicks)
    found = delivered_results(
        pl.DataFrame(
            {
                "impressions": 20_000,
                "clicks": clicks,
                "expected_clicks": 80.0,
                "matured_clicks": clicks,
                "matured_cost": 2.0 * clicks,
                "conversions": conversions.astype(float),
            }
        )
    )
    ctr = found.select(pl.lit(0.004).is_between("ctr_low", "ctr_high").mean()).item()
    endless = pl.col("cac_high").fill_null(float("inf"))
    cac = found.select(((pl.col("cac_low") <= 40.0) & (endless >= 40.0)).mean()).item()
    assert 0.92 < ctr < 0.98
    assert 0.92 < cac < 0.99


def test_a_cost_lies_inside_its_interval_where_a_click_brings_several_conversions() -> None:
    sums = {"impressions": 1_000, "clicks": 5, "expected_clicks": 5.0, "matured_clicks": 5}
    (row,) = delivered_results(pl.DataFrame([sums | {"matured_cost": 100.0, "conversions": 12.0}])).to_dicts()
    assert row["cac_low"] < row["cac"] < row["cac_high"]
