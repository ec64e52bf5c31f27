"""Curves are quantiles of the draws' responses, and say where they leave the data."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from benchmarks.simulated_media import simulated_media
from models.mmm.curves import at_spend, channel_summary, curves, saturation_spends
from tests.models.media_examples import by_hand

VALUE = 80.0


@pytest.fixture(scope="module")
def posterior():
    return by_hand(simulated_media()[0])


@pytest.fixture(scope="module")
def found(posterior):
    return curves(posterior, VALUE)


def test_a_row_per_channel_and_spend_up_to_beyond_the_data(posterior, found):
    assert found.group_by("channel", maintain_order=True).len().rows() == [("c0", 41), ("c1", 41), ("c2", 41)]
    top = posterior.weeks.spend[:, 1].max()
    own = found.filter(pl.col("channel") == "c1")
    assert own["spend"][0] == 0.0
    assert own["spend"][-1] == pytest.approx(1.5 * top)
    assert own.filter("extrapolated")["spend"].min() > top
    assert own.filter(~pl.col("extrapolated"))["spend"].max() <= top


def test_figures_are_quantiles_of_the_responses(posterior, found):
    row = found.filter((pl.col("channel") == "c1") & (pl.col("spend") > 0)).row(9, named=True)
    responses = posterior.response(np.full(3, row["spend"]))[:, 1]
    assert row["conversions_p10"] == pytest.approx(np.quantile(responses, 0.1))
    assert row["conversions_p50"] == pytest.approx(np.quantile(responses, 0.5))
    assert row["conversions_p90"] == pytest.approx(np.quantile(responses, 0.9))
    assert row["revenue_p50"] == pytest.approx(VALUE * row["conversions_p50"])
    assert row["roas_p90"] == pytest.approx(VALUE * row["conversions_p90"] / row["spend"])


def test_the_next_dollar_is_the_slope_of_each_draw(posterior, found):
    step = 0.01
    row = found.filter((pl.col("channel") == "c2") & (pl.col("spend") > 0)).row(9, named=True)
    up, down = (posterior.response_of(2, np.array([[row["spend"] + off]]))[:, 0] for off in (step, -step))
    slope = (up - down) / (2 * step)
    _, next_dollar = at_spend(posterior, 2, np.array([row["spend"]]))
    assert next_dollar[:, 0] == pytest.approx(slope, rel=1e-5)
    assert row["marginal_roas_p10"] == pytest.approx(VALUE * np.quantile(slope, 0.1), rel=1e-5)
    # The good end of the cost is the high end of the response.
    assert row["marginal_cac_p10"] == pytest.approx(1 / np.quantile(slope, 0.9), rel=1e-5)
    assert row["marginal_cac_p10"] < row["marginal_cac_p50"] < row["marginal_cac_p90"]


def test_nothing_spent_has_no_return_and_no_infinity_is_written(found):
    assert found.filter(pl.col("spend") == 0)["roas_p50"].null_count() == 3
    assert found.filter(pl.col("spend") == 0)["marginal_roas_p50"].null_count() == 0
    numbers = found.select(pl.col(pl.Float64))
    assert numbers.select(pl.all().is_infinite().any() | pl.all().is_nan().any()).row(0) == (False,) * len(
        numbers.columns
    )


def test_a_channel_summary_adds_up_the_weeks(posterior):
    found = channel_summary(posterior, VALUE)
    added = posterior.contributions().sum(axis=1)
    spent = posterior.weeks.spend.sum(axis=0)
    assert found["spend"].to_list() == pytest.approx(spent.tolist())
    assert found["contribution_p50"].to_list() == pytest.approx(np.median(added, axis=0).tolist())
    assert found["roas_p10"].to_list() == pytest.approx(
        (VALUE * np.quantile(added, 0.1, axis=0) / spent).tolist()
    )
    share = np.median(added, axis=0) / posterior.weeks.outcome.sum()
    assert found["contribution_share_p50"].to_list() == pytest.approx(share.tolist())


def test_saturation_is_where_nine_tenths_are_reached(posterior):
    found = saturation_spends(posterior)[0]
    reached = np.median(posterior.response(np.full(3, found))[:, 0])
    top = np.median(posterior.effect[:, 0]) * posterior.weeks.outcome_scale
    assert reached / top == pytest.approx(0.9, abs=0.005)
    bent_late = replace(posterior, media=posterior.media | {"rate": np.full((1200, 3), 0.1)})
    assert saturation_spends(bent_late) == [None] * 3


def test_a_channel_that_never_spent_has_no_return(posterior):
    spend = posterior.weeks.spend.copy()
    spend[:, 0] = 0.0
    unused = replace(posterior, weeks=replace(posterior.weeks, spend=spend))
    row = channel_summary(unused, VALUE).row(0, named=True)
    assert row["roas_p50"] is None
    assert row["contribution_p50"] == 0.0
