"""The classic method: what it promises is what its own rules say."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from models.forecasting import build_panel
from models.quantiles import quantile_rows
from models.triangular import DELIVERY, triangular_draws

FIRST = date(2026, 1, 5)


def panel_of(cpm: np.ndarray, *, click_rates: tuple[float, ...] = (0.02,), cvr: float = 0.05):
    """One track; every lever spends 100 dollars a day at the day's CPM and its own CTR."""
    days = [FIRST + timedelta(days=day) for day in range(cpm.size)]
    impressions = 100.0 / cpm * 1000.0
    levers = [
        pl.DataFrame(
            {
                "date": days,
                "platform": "meta",
                "account_id": "a1",
                "track": "t",
                "lever_id": f"l{lever}",
                "cost": 100.0,
                "impressions": impressions,
                "clicks": impressions * ctr,
                "conversions": impressions * ctr * cvr,
            }
        )
        for lever, ctr in enumerate(click_rates)
    ]
    return build_panel(pl.concat(levers), days[-1] + timedelta(days=1))


def forecasts(panel, dollars: float = 100.0, draws: int = 200_000):
    ahead = np.full((panel.series.height, 7), dollars)
    made = triangular_draws(panel, ahead, horizons=[7], draws=draws, rng=np.random.default_rng(1))
    return {cell: quantile_rows(drawn) for cell, drawn in made}


def test_a_steady_account_is_a_point_and_85_percent_of_its_budget_is_spent():
    made = forecasts(panel_of(np.full(28, 10.0)), draws=50)
    assert made["clicks", 7][0] == pytest.approx([1400.0] * 3)
    assert made["conversions", 7][0] == pytest.approx([70.0] * 3)
    assert made["spend", 7][0] == pytest.approx([700.0 * DELIVERY] * 3)


def test_the_rate_card_is_a_triangle_over_the_daily_quantiles():
    cpm = np.repeat(np.array([8.0, 9.0, 10.0, 11.0, 14.0, 16.0]), 7)
    low, mode, high = np.quantile(cpm, (0.1, 0.5, 0.9))
    law = stats.triang((mode - low) / (high - low), low, high - low)
    expected = [700.0 / law.ppf(1 - level) * 1000.0 * 0.02 for level in (0.1, 0.5, 0.9)]
    made = forecasts(panel_of(cpm))
    assert made["clicks", 7][0] == pytest.approx(expected, rel=0.003)
    assert made["conversions", 7][0] == pytest.approx([0.05 * clicks for clicks in expected], rel=0.003)


def test_a_lever_s_own_rate_multiplies_the_pool_s():
    made = forecasts(panel_of(np.full(28, 10.0), click_rates=(0.01, 0.03)), draws=50)
    assert made["clicks", 7][:, 1] == pytest.approx([700.0, 2100.0])


def test_a_day_beyond_three_deviations_is_dropped_as_if_it_had_not_been():
    usual = np.repeat(np.array([9.0, 10.0, 11.0, 10.0]), 7)
    odd = usual.copy()
    odd[20] = 500.0
    plain, dirty = forecasts(panel_of(usual)), forecasts(panel_of(odd))
    assert dirty["clicks", 7] == pytest.approx(plain["clicks", 7], rel=0.01)
    # Two deviations are not three: a merely dear week stays in the rate card.
    dear = np.repeat(np.array([9.0, 10.0, 11.0, 14.0]), 7)
    assert forecasts(panel_of(dear))["clicks", 7][0, 0] < 0.9 * plain["clicks", 7][0, 0]


def test_a_lever_nobody_has_seen_is_the_pool_s_average_and_an_empty_past_promises_nothing():
    panel = panel_of(np.full(28, 10.0))
    stranger = panel.series.with_columns(lever_id=pl.lit("new"))
    rows = pl.concat([panel.series, stranger])
    days = pl.DataFrame({"date": [FIRST + timedelta(days=day) for day in range(28)]})
    daily = panel.series.join(days, how="cross").with_columns(
        cost=100.0, impressions=10_000.0, clicks=200.0, conversions=10.0
    )
    both = build_panel(daily, FIRST + timedelta(days=28), levers=rows)
    assert forecasts(both, draws=50)["clicks", 7][:, 1] == pytest.approx([1400.0, 1400.0])
    nothing = build_panel(daily.clear(), FIRST, levers=rows)
    assert not forecasts(nothing, draws=50)["clicks", 7].any()
