"""Forecast draws per second, beside the classic triangular draw and beside bare Poisson numbers.

Here: an account of random levers and three ways to draw its days. Not here: whether the draws are right
(`tests/models`, the backtest).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from benchmarks.record import Figure, Record
from models.forecasting import build_panel, fit_rates, forecast_levers

MORNING = date(2026, 6, 30)
MULTIPLIERS = (0.8, 0.95, 1.0, 1.05, 1.1, 1.25)
HORIZON = 7


def forecast_draws(levers: int = 200, days: int = 180, draws: int = 2000) -> Record:
    """Time `forecast_levers` on random levers.

    One draw is one joint outcome of spend, impressions, clicks, signups and CAC for one lever, budget and
    target date. The classic method draws CPM, CTR and CVR from triangular laws and multiplies: no noise of
    its own in the counts, no links between days, levers or budgets. The limit draws one Poisson number per
    outcome and nothing else.
    """
    daily, table = random_levers(levers, days, seed=1)
    panel = build_panel(daily, MORNING, levers=table)
    started = time.perf_counter()
    model = fit_rates(panel, maturity_days=14, elasticity=0.7)
    fitted = time.perf_counter() - started
    outcomes = levers * HORIZON * len(MULTIPLIERS) * draws

    def ours() -> Any:
        return forecast_levers(
            model,
            table,
            no_delivery(),
            MORNING,
            cac_caps={"security": 240.0, "balance": 200.0},
            budget_multipliers=MULTIPLIERS,
            horizon_days=HORIZON,
            delivery_mean=0.85,
            delivery_strength=40.0,
            draws=draws,
            rng=np.random.default_rng(1),
        )

    aelp = best_of(ours)
    classic = best_of(lambda: classic_forecast(levers, draws))
    poisson = best_of(lambda: bare_poisson(levers, draws))
    return Record(
        "forecast_draws",
        {"levers": levers, "days": days, "draws": draws},
        [
            Figure("forecast draws", outcomes / aelp / 1e6, "million/s"),
            Figure("classic triangular draws", outcomes / classic / 1e6, "million/s"),
            Figure("bare Poisson numbers (limit)", outcomes / poisson / 1e6, "million/s"),
            Figure("time, ours / classic", aelp / classic, "×"),
            Figure("time, ours / limit", aelp / poisson, "×"),
            Figure("all levers, budgets and dates", aelp, "s"),
            Figure("fitting the rates", fitted, "s"),
        ],
        note="Both sides end in p10, p50, p90 of five measures; the limit only draws. Budgets of a lever "
        "share delivery, rates and luck and only draw what the extra money adds.",
    )


def random_levers(levers: int, days: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Daily rows and budgets of levers in two tracks: about 250 dollars, 150 clicks, 3 signups a day."""
    rng = np.random.default_rng(seed)
    level = np.exp(rng.normal(0.0, 0.6, levers))[:, None]
    cost = 250.0 * level * np.exp(rng.normal(0.0, 0.2, (levers, days)))
    clicks = rng.poisson(0.6 * cost)
    keys = {
        "platform": ["meta"] * levers,
        "account_id": ["a1"] * levers,
        "track": ["security" if index % 2 else "balance" for index in range(levers)],
        "lever_id": [f"l{index:05d}" for index in range(levers)],
    }
    each = pl.DataFrame(keys)
    dates = pl.DataFrame({"date": [MORNING - timedelta(days=days - index) for index in range(days)]})
    daily = each.join(dates, how="cross").with_columns(
        cost=pl.Series(cost.ravel()),
        impressions=pl.Series(rng.poisson(60.0 * cost).ravel().astype(float)),
        clicks=pl.Series(clicks.ravel().astype(float)),
        conversions=pl.Series(rng.poisson(0.02 * clicks).ravel().astype(float)),
    )
    budgets = pl.Series([round(250.0 * float(value), 2) for value in level[:, 0]])
    table = each.with_columns(lever_source=pl.lit("platform"), current_budget=budgets.cast(pl.Decimal(38, 9)))
    return daily, table


def no_delivery() -> pl.DataFrame:
    """A delivery history in which no budget is known."""
    schema: dict[str, Any] = dict.fromkeys(("platform", "account_id", "lever_id"), pl.String)
    return pl.DataFrame(schema={"date": pl.Date, **schema, "budget": pl.Float64, "cost": pl.Float64})


def classic_forecast(levers: int, draws: int) -> np.ndarray:
    """Signups and CAC as spreadsheets simulate them: budget / CPM · CTR · CVR with triangular rates."""
    rng = np.random.default_rng(1)
    quantiles = np.empty((HORIZON, len(MULTIPLIERS), 5, levers, 3))
    for day in range(HORIZON):
        for index, multiplier in enumerate(MULTIPLIERS):
            shape = (levers, draws)
            cpm = rng.triangular(10.0, 14.0, 22.0, shape)
            ctr = rng.triangular(0.005, 0.009, 0.015, shape)
            cvr = rng.triangular(0.01, 0.02, 0.04, shape)
            spend = np.full(shape, 250.0 * multiplier)
            impressions = spend / cpm * 1000.0
            clicks = impressions * ctr
            signups = clicks * cvr
            for place, measure in enumerate((spend, impressions, clicks, signups, spend / signups)):
                quantiles[day, index, place] = np.quantile(measure, (0.1, 0.5, 0.9), axis=1).T
    return quantiles


def bare_poisson(levers: int, draws: int) -> None:
    """One Poisson number per outcome, mean 5: what any simulation of counts must at least draw."""
    rng = np.random.Generator(np.random.SFC64(1))
    for _ in range(HORIZON * len(MULTIPLIERS)):
        rng.poisson(5.0, (levers, draws))


def best_of(work: Callable[[], Any], times: int = 3, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest of a few runs: others only add what the machine did besides.

    With `time.process_time` as the clock they are CPU seconds, of all threads.
    """
    seconds = []
    for _ in range(times):
        started = clock()
        work()
        seconds.append(clock() - started)
    return min(seconds)
