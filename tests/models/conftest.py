"""A small advertising world with known rates, for tests of baselines, forecasts and their scores.

Here: simulation by its own laws (log-normal random walks, numpy's Poisson and negative binomial).
Not here: anything imported from `models`, or recovering its truth would prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

FIRST_DAY = date(2026, 1, 5)


@dataclass(frozen=True)
class World:
    """Daily rows and the true clicks per dollar and conversions per click of each lever at usual spend."""

    daily: pl.DataFrame
    as_of_date: date
    clicks_per_dollar: np.ndarray
    conversions_per_click: np.ndarray

    def levers(self, budget: str = "200.00", source: str = "platform") -> pl.DataFrame:
        """Every lever of the world with the same budget."""
        return (
            self.daily.select("platform", "account_id", "track", "lever_id")
            .unique()
            .sort("lever_id")
            .with_columns(
                pl.lit(source).alias("lever_source"),
                pl.lit(budget).cast(pl.Decimal(38, 9)).alias("current_budget"),
            )
        )

    @property
    def no_delivery(self) -> pl.DataFrame:
        """A delivery history in which no budget is known."""
        text, number = pl.String, pl.Float64
        return pl.DataFrame(
            schema={"date": pl.Date, "platform": text, "account_id": text, "lever_id": text}
            | {"budget": number, "cost": number}
        )


def simulate(
    seed: int,
    *,
    levers: int = 24,
    days: int = 61,
    drift: float = 0.02,
    shock: float = 0.1,
    dispersion: float = 1.0,
    elasticity: float = 0.8,
    spend: float = 200.0,
    conversion_rate: float = 0.03,
) -> World:
    """Levers in two tracks whose shocks are half their track's; spend has weekdays and wanders."""
    rng = np.random.default_rng(seed)
    track = np.arange(levers) % 2

    def wander(step: float, noise: float) -> np.ndarray:
        common, own = rng.normal(size=(2, 2, days)), rng.normal(size=(2, levers, days))
        walk = step * np.sqrt(0.5) * (common[0].cumsum(axis=1)[track] + own[0].cumsum(axis=1))
        return walk + noise * np.sqrt(0.5) * (common[1][track] + own[1])

    usual = spend * np.exp(rng.normal(size=levers))[:, None]
    cost = usual * np.exp(wander(0.03, 0.15) + 0.1 * np.sin(2 * np.pi * np.arange(days) / 7))
    ratio = cost / usual
    base_clicks = 0.8 * np.exp(0.4 * rng.normal(size=levers))
    base_conversions = conversion_rate * np.exp(0.4 * rng.normal(size=levers))
    impressions = rng.poisson(100.0 * cost * np.exp(wander(drift, shock)))
    loss = 1.0 - elasticity
    clicks = rng.poisson(
        cost * base_clicks[:, None] * np.exp(wander(drift, shock)) * ratio ** (-2 * loss / 3)
    )
    mean = clicks * base_conversions[:, None] * np.exp(wander(drift, shock)) * ratio ** (-loss / 3)
    if dispersion > 1.0:
        mean = rng.gamma(np.maximum(mean, 1e-9) / (dispersion - 1.0), dispersion - 1.0)
    conversions = rng.poisson(mean)
    dates = [FIRST_DAY + timedelta(days=day) for day in range(days)]
    daily = pl.DataFrame(
        {
            "date": dates * levers,
            "platform": "meta",
            "account_id": "a1",
            "track": [f"track{track[lever]}" for lever in range(levers) for _ in range(days)],
            "lever_id": [f"l{lever:03d}" for lever in range(levers) for _ in range(days)],
            "cost": cost.ravel(),
            "impressions": impressions.ravel().astype(float),
            "clicks": clicks.ravel().astype(float),
            "conversions": conversions.ravel().astype(float),
        }
    )
    return World(daily, FIRST_DAY + timedelta(days=days), base_clicks, base_conversions)


@pytest.fixture(scope="session")
def ad_world() -> Callable[..., World]:
    """Builds a world: ad_world(seed, levers=…, drift=…, …); see `simulate`."""
    return simulate
