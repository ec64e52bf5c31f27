"""Three years of weekly spend and outcomes over all channels, and the split tests, as study files.

Here: the years before the daily history by a weekly law of their own, joined to the weeks the ledger
holds. Not here: daily exports (`exports`), the file an agency makes of the weeks (`media_history`).
Confounded on purpose: spend chases demand, and brand search harvests what demand and the other channels
created; a few weeks were randomised.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from resources.sandbox import laws
from resources.sandbox.catalogue import AUDIENCES, PLATFORMS, TRACKS
from resources.sandbox.laws import FloatArray, IntArray
from resources.sandbox.ledger import Ledger
from resources.sandbox.market import demand_and_price, event_on
from resources.sandbox.orders import Orders
from resources.sandbox.split_tests import split_test_rows, split_test_truth
from resources.sandbox.world import Business

WEEKS = 156
RANDOMISED_SHARE = 0.14
_STREAM = 40
_LAGS = 6


def write_studies(
    business: Business,
    weeks: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    folder: Path,
    truth_folder: Path | None = None,
) -> dict[str, int]:
    """Write split_tests.csv, channel_weekly.csv and outcome_weekly.csv; rows by file.

    Args:
        weeks: the business's `weekly_series`.
        truth_folder: where the true contributions and test effects go; None: nowhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    channels, outcomes, contributions = weeks
    tests = split_test_rows(business)
    files = {"split_tests": tests, "channel_weekly": channels, "outcome_weekly": outcomes}
    for name, frame in files.items():
        frame.write_csv(folder / f"{name}.csv", float_precision=2)
    if truth_folder is not None:
        truth_folder.mkdir(parents=True, exist_ok=True)
        contributions.write_parquet(truth_folder / "channel_weekly.parquet")
        split_test_truth(business).write_parquet(truth_folder / "split_tests.parquet")
    return {name: frame.height for name, frame in files.items()}


def weekly_series(
    business: Business, ledger: Ledger, orders: Orders
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Spend by week, track and channel; outcomes by week and track; true contributions.

    Weeks begin on Monday; the last is the last whole week before today. Whole weeks the ledger holds
    are summed from it, the earlier ones follow the weekly law, scaled to agree with it on average.
    """
    monday = business.today - timedelta(days=business.today.weekday() + 7)
    weeks = [monday - timedelta(days=7 * k) for k in range(WEEKS - 1, -1, -1)]
    in_ledger = [week for week in weeks if business.day_of(week) >= 0]
    parts = [_Track(business, ledger, orders, track, weeks, in_ledger) for track in range(len(TRACKS))]
    return (
        _by_week([part.channels for part in parts]),
        _by_week([part.outcomes for part in parts]),
        _by_week([part.contributions for part in parts]),
    )


def _by_week(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames).sort("week_start", "track", maintain_order=True)


class _Track:
    """The weekly series of one track."""

    def __init__(
        self,
        business: Business,
        ledger: Ledger,
        orders: Orders,
        track: int,
        weeks: list[date],
        in_ledger: list[date],
    ) -> None:
        self.business, self.track, self.weeks = business, track, weeks
        rng = laws.generator(business.seed, _STREAM, track)
        kind = TRACKS[track]
        names, spend, caused, impressions, clicks = _ledger_weeks(business, ledger, track, in_ledger)
        early = len(weeks) - len(in_ledger)
        channels = len(names)
        growth = np.linspace(0.45, 1.0, len(weeks))[:early]
        if growth.size:
            growth = growth / growth[-1]
        demand = _weekly_demand(rng, weeks[:early], track)
        usual_spend, usual_caused = spend.mean(axis=0), caused.mean(axis=0)
        is_brand = np.array([name == "google_brand_search" for name in names])
        pulses = rng.random((early, channels)) < RANDOMISED_SHARE
        pulses[:, is_brand] = False
        chase = rng.uniform(0.7, 1.3, channels)
        early_spend = (
            usual_spend
            * growth[:, None]
            * np.power(demand[:, None], chase)
            * np.exp(rng.normal(0.0, 0.13, (early, channels)))
            * np.where(pulses, rng.uniform(0.35, 1.75, (early, channels)), 1.0)
        )
        # Brand search is bought when people search: demand, and what the other channels stirred up.
        stirred = early_spend[:, ~is_brand].sum(axis=1)
        stirred = stirred / stirred.mean() if early else stirred
        pull = np.power(demand, 1.1) * np.power(stirred, 0.4) * growth * np.exp(rng.normal(0.0, 0.06, early))
        early_spend[:, is_brand] = usual_spend[is_brand] * pull[:, None]
        half = usual_spend * rng.uniform(0.9, 2.6, channels)
        carried = _carry_over(early_spend, rng.uniform(0.25, 0.9, channels))
        level = usual_caused / -np.expm1(-usual_spend / half)
        early_caused = -level * np.expm1(-carried / half)
        price_index = 1.0 - 0.15 * (rng.random(early) < 0.10)
        organic = 7.0 * kind.organic_signups * growth**0.7 * demand * np.power(price_index, -1.6)
        unrest = np.exp(laws.autoregression(rng, max(early, 1), 1, 0.04, 0.5)[:early, 0])
        early_new = rng.poisson((organic + early_caused.sum(axis=1)) * unrest)
        new, revenue = _ledger_outcomes(business, orders, track, in_ledger)
        average = float(np.dot(kind.prices, kind.price_shares))
        early_revenue = early_new * average * np.exp(rng.normal(0.0, 0.02, early))
        early_revenue += 7.0 * kind.returning_orders * growth**0.5 * average
        late_demand = _late_demand(business, in_ledger, track)
        all_demand = np.concatenate([demand, late_demand])
        randomised = np.vstack([pulses, np.zeros((len(in_ledger), channels), dtype=bool)])
        cpm = 1000.0 * usual_spend / np.maximum(impressions.mean(axis=0), 1.0)
        click_rate = clicks.mean(axis=0) / np.maximum(impressions.mean(axis=0), 1.0)
        early_impressions = np.round(
            1000.0 * early_spend / cpm * np.exp(rng.normal(0, 0.05, early_spend.shape))
        )
        early_clicks = np.round(
            early_impressions * click_rate * np.exp(rng.normal(0, 0.04, early_spend.shape))
        )
        self.channels = self._long(
            names,
            {
                "spend": np.round(np.vstack([early_spend, spend]), 2),
                "impressions": np.vstack([early_impressions, impressions]).astype(np.int64),
                "clicks": np.vstack([early_clicks, clicks]).astype(np.int64),
                "is_randomised": randomised,
            },
        )
        self.contributions = self._long(names, {"incremental_orders": np.vstack([early_caused, caused])})
        self.outcomes = pl.DataFrame(
            {
                "week_start": [week.isoformat() for week in weeks],
                "track": pl.repeat(kind.name, len(weeks), eager=True),
                "new_customers": np.concatenate([early_new, new]).astype(np.int64),
                "revenue": np.round(np.concatenate([early_revenue, revenue]), 2),
                "price_index": np.concatenate([price_index, np.ones(len(in_ledger))]),
                # What an analyst can see of demand: a search index, with noise.
                "demand_index": 100.0 * all_demand * np.exp(rng.normal(0.0, 0.05, len(weeks))),
                "event": pl.Series([_event_of(week) for week in weeks], dtype=pl.String),
            }
        )

    def _long(self, names: list[str], columns: dict[str, FloatArray | IntArray]) -> pl.DataFrame:
        weeks, channels = len(self.weeks), len(names)
        return pl.DataFrame(
            {
                "week_start": np.repeat([week.isoformat() for week in self.weeks], channels),
                "track": pl.repeat(TRACKS[self.track].name, weeks * channels, eager=True),
                "channel": names * weeks,
            }
            | {name: values.ravel() for name, values in columns.items()}
        )


def channel_name(platform: int, audience: int) -> str:
    """What a person calls this platform's campaigns for this audience: the one audience is not named."""
    name = PLATFORMS[platform].name
    return name if name in ("tiktok", "linkedin") else f"{name.split('_')[0]}_{AUDIENCES[audience].name}"


def _ledger_weeks(
    business: Business, ledger: Ledger, track: int, weeks: list[date]
) -> tuple[list[str], FloatArray, FloatArray, FloatArray, FloatArray]:
    """Channels of a track and their spend, orders caused, impressions and clicks by week of the ledger."""
    lever = business.adsets.lever[business.ads.adset[business.cells.ad[ledger.delivery.cell]]]
    levers = business.levers
    channel_key = levers.platform * len(AUDIENCES) + levers.audience
    keys = np.unique(channel_key[levers.track == track])
    names = [channel_name(*divmod(key, len(AUDIENCES))) for key in keys]
    week = (ledger.delivery.day - (business.day_of(weeks[0]) if weeks else ledger.days)) // 7
    mine = (week >= 0) & (week < len(weeks)) & (levers.track[lever] == track)
    cell = week[mine] * len(keys) + np.searchsorted(keys, channel_key[lever[mine]])

    def total(values: FloatArray | IntArray) -> FloatArray:
        sums = laws.totals(cell, values[mine], len(weeks) * len(keys))
        return sums.reshape(len(weeks), len(keys))

    delivery = ledger.delivery
    return (
        names,
        total(delivery.cents) / 100.0,
        total(delivery.expected_incremental),
        total(delivery.impressions),
        total(delivery.link_clicks),
    )


def _ledger_outcomes(
    business: Business, orders: Orders, track: int, weeks: list[date]
) -> tuple[FloatArray, FloatArray]:
    week = (orders.day - (business.day_of(weeks[0]) if weeks else 0)) // 7
    mine = (week >= 0) & (week < len(weeks)) & (orders.track == track)
    new = laws.totals(week[mine], orders.is_new[mine], len(weeks))
    revenue = laws.totals(week[mine], orders.value_cents[mine] / 100.0, len(weeks))
    return new, revenue


def _weekly_demand(rng: np.random.Generator, weeks: list[date], track: int) -> FloatArray:
    if not weeks:
        return np.zeros(0)
    daily, _, _ = demand_and_price(rng, weeks[0], 7 * len(weeks))
    slow = laws.autoregression(rng, len(weeks), 1, 0.10, 0.85)[:, 0]
    # The years end where the ledger begins: at the usual level.
    slow = slow - slow[-1] * np.linspace(0.0, 1.0, len(weeks))
    return np.asarray(daily[:, track].reshape(len(weeks), 7).mean(axis=1) * np.exp(slow))


def _late_demand(business: Business, weeks: list[date], track: int) -> FloatArray:
    days = [business.day_of(week) for week in weeks]
    return np.array([business.weather.demand[day : day + 7, track].mean() for day in days])


def _carry_over(spend: FloatArray, scale: FloatArray) -> FloatArray:
    """Spend felt in each week: Weibull lags of up to six weeks, weights adding to 1 per channel."""
    lag = np.arange(_LAGS)[:, None]
    weight = np.exp(-np.power(lag / scale, 1.3)) - np.exp(-np.power((lag + 1) / scale, 1.3))
    weight = weight / weight.sum(axis=0)
    felt = np.zeros_like(spend)
    for back in range(min(_LAGS, len(spend))):
        felt[back:] += weight[back] * spend[: len(spend) - back]
        felt[:back] += weight[back] * spend[:1]
    return felt


def _event_of(week: date) -> str | None:
    for offset in range(7):
        name = event_on(week + timedelta(days=offset))
        if name:
            return name
    return None
