"""One day is the newest matured one wherever conversions are counted."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from models.bandits.evidence import evidence_windows
from models.baselines import placement_baselines
from models.forecasting.creatives import creative_rates
from models.maturity import is_matured, last_matured_day

MORNING = date(2026, 7, 1)
ACCOUNT = {"platform": "meta", "account_id": "a1"}
REWARD = {"click_incrementality": 1.0, "view_incrementality": 0.0}


def days_of(converted: date) -> pl.DataFrame:
    """Thirty days of one creative; all conversions came on one of them."""
    dates = pl.date_range(MORNING - timedelta(days=30), MORNING - timedelta(days=1), eager=True)
    return pl.DataFrame({"date": dates}).with_columns(
        **{name: pl.lit(value) for name, value in ACCOUNT.items()},
        track=pl.lit("security"),
        creative_id=pl.lit("c1"),
        placement=pl.lit("feed"),
        impressions=pl.lit(10_000),
        clicks=pl.lit(200),
        cost=pl.lit(100.0),
        conversions_click=pl.when(pl.col("date") == converted).then(9.0).otherwise(0.0),
        conversions_view=pl.lit(0.0),
    )


def counted(converted: date, maturity_days: int) -> dict[str, float]:
    """Conversions that placements and creatives count."""
    rules: dict[str, Any] = {"window_days": 30, "maturity_days": {tuple(ACCOUNT.values()): maturity_days}}
    days = days_of(converted)
    baselines = placement_baselines(days, MORNING, **rules, **REWARD, outlier_mad=1e9)
    rates = creative_rates(days, baselines, MORNING, **rules, **REWARD)
    alone = placement_baselines(
        days, MORNING, window_days=30, maturity_days=maturity_days, **REWARD, outlier_mad=1e9
    )
    here = {"weighting": "equal", "placement": "feed"}
    return {
        "placement": baselines.filter(**here)["conversions"].item(),
        "placement, one age for all": alone.filter(**here)["conversions"].item(),
        "creative": rates["conversions"].item(),
    }


@pytest.mark.parametrize("maturity_days", [0, 1, 7, 14])
def test_a_day_counts_once_it_is_older_than_its_maturity_wherever_it_is_counted(maturity_days: int) -> None:
    last = last_matured_day(MORNING, maturity_days)
    assert (MORNING - last).days == maturity_days + 1
    assert set(counted(last, maturity_days).values()) == {9.0}
    if maturity_days:
        assert set(counted(last + timedelta(days=1), maturity_days).values()) == {0.0}
    accounts = pl.DataFrame([ACCOUNT | {"maturity_days": maturity_days}])
    assert evidence_windows(accounts, MORNING, 28)["window_end"].to_list() == [last], "what is decided on"
    days = days_of(last).filter(is_matured(pl.col("date"), MORNING, maturity_days))
    assert days["date"].max() == last
