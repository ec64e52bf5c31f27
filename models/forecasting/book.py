"""The levers in force and how much of a budget gets spent.

Here: today's budgets lined up with the fitted rates, delivery learnt from a prior and the lever's own
history, and the joint draws of a day at the budgets in force. Not here: other budgets (`levers`),
totals (`outlook`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from scipy.special import digamma, expit, polygamma

from models.forecasting.draws import Draws, PathSampler, blocks, noise_stream, track_stream
from models.forecasting.outcomes import DayOutcome, day_outcome, median_rate, rate_draws
from models.forecasting.panel import KEYS, UNASSIGNED, FloatArray, IntArray
from models.forecasting.rates import Link, RateModel

DELIVERY_WINDOW_DAYS = 28
_LEVER_KEYS = ["platform", "account_id", "lever_id"]


@dataclass(frozen=True)
class LeverBook:
    """Levers sorted by KEYS, aligned with a RateModel; arrays of shape (levers,).

    Attributes:
        levers: KEYS and current_budget (Decimal dollars a day).
        rows: each lever's row in the model.
        budget: dollars a day in force.
        declared: a budget that is only the mean of recent spend; what it spends is forecast from
            spend itself, not from delivery.
        delivered, undelivered: Beta parameters of the share of budget that is spent.
    """

    levers: pl.DataFrame
    rows: IntArray
    budget: FloatArray
    declared: np.ndarray
    delivered: FloatArray
    undelivered: FloatArray


@dataclass(frozen=True)
class BlockDay:
    """Joint draws of one day for one block of levers, each of shape (block levers, draws)."""

    day: int
    positions: IntArray
    spend: Draws
    impressions: Draws | None
    outcome: DayOutcome
    noise: np.random.Generator


def lever_book(
    model: RateModel,
    levers: pl.DataFrame,
    delivery: pl.DataFrame,
    *,
    delivery_mean: float,
    delivery_strength: float,
) -> LeverBook:
    """Line up levers with the model.

    Delivery of a lever is Beta(strength · mean + Σ r, strength · (1 - mean) + Σ (1 - r)) with r the
    share of budget spent on each of its last 28 known days, at most 1 (over-delivery is not planned
    on).

    Args:
        levers: KEYS, lever_source (`platform` or `declared`), current_budget. Track `unassigned` and
            levers without a budget are left out: nothing is ever allocated to them.
        delivery: date, platform, account_id, lever_id, budget, cost, one row per lever and day whose
            budget is known; may be empty.
    Raises:
        ValueError: a lever twice, a negative budget, or a lever the model was not fitted with.
    """
    book = levers.filter((pl.col("track") != UNASSIGNED) & pl.col("current_budget").is_not_null()).sort(KEYS)
    if book.select(_LEVER_KEYS).is_duplicated().any():
        raise ValueError("levers: each lever may appear once")
    if book.filter(pl.col("current_budget") < 0).height:
        raise ValueError("levers: current_budget must not be negative")
    placed = book.join(model.series.with_row_index("model_row"), on=KEYS, how="left", maintain_order="left")
    if placed["model_row"].null_count():
        stranger = placed.filter(pl.col("model_row").is_null()).row(0)
        raise ValueError(f"lever {stranger[:4]} is not in the fitted panel; pass the levers to build_panel")
    shares = (
        delivery.filter((pl.col("budget") > 0) & pl.col("cost").is_not_null())
        .with_columns(
            share=(pl.col("cost").cast(pl.Float64) / pl.col("budget").cast(pl.Float64)).clip(0.0, 1.0)
        )
        .sort(*_LEVER_KEYS, "date", "share")
        .group_by(_LEVER_KEYS)
        .agg(pl.col("share").tail(DELIVERY_WINDOW_DAYS))
        .select(*_LEVER_KEYS, spent=pl.col("share").list.sum(), days=pl.col("share").list.len())
    )
    known = placed.join(shares, on=_LEVER_KEYS, how="left", maintain_order="left").with_columns(
        pl.col("spent").fill_null(0.0), pl.col("days").fill_null(0)
    )
    return LeverBook(
        levers=book.select(*KEYS, "current_budget"),
        rows=placed["model_row"].cast(pl.Int64).to_numpy(),
        budget=book["current_budget"].cast(pl.Float64).to_numpy(),
        declared=(book["lever_source"] == "declared").to_numpy(),
        delivered=delivery_strength * delivery_mean + known["spent"].to_numpy(),
        undelivered=delivery_strength * (1.0 - delivery_mean) + (known["days"] - known["spent"]).to_numpy(),
    )


def draw_days(
    model: RateModel,
    book: LeverBook,
    as_of_date: date,
    *,
    days: int,
    draws: int,
    seed: int,
    day_strength: float,
    with_impressions: bool,
) -> Iterator[BlockDay]:
    """Joint draws at the budgets in force, block by block and day by day (bounded memory).

    Args:
        day_strength: Beta-equivalent observations of how tightly a day's delivery holds to its mean.
    Raises:
        ValueError: the model was fitted for another morning.
    """
    if model.next_day != as_of_date:
        raise ValueError(f"the model forecasts from {model.next_day}, not from {as_of_date}")
    links = [Link.SPEND, Link.CLICKS, Link.SIGNUPS, *([Link.IMPRESSIONS] if with_impressions else [])]
    start = 0
    for block, rows in blocks(book.rows):
        positions = np.arange(start, start + rows.size)
        start += rows.size
        paths = PathSampler(model, rows, block, links, draws, seed)
        delivery_noise, noise = noise_stream(seed, block, 0), noise_stream(seed, block, 1)
        undelivered = _undelivered(model, book, positions, draws, seed, delivery_noise)
        for day in range(days):
            weekday = (as_of_date + timedelta(days=day)).weekday()
            deviations = paths.next_day()
            spend = book.budget[positions].astype(np.float32)[:, None] * _delivery(
                undelivered, day_strength, delivery_noise
            )
            own = np.flatnonzero(book.declared[positions] & model.known[Link.SPEND])
            if own.size:
                usual = median_rate(model, Link.SPEND, rows[own], weekday).astype(np.float32)[:, None]
                funded = (book.budget[positions[own]] > 0)[:, None]
                spend[own] = usual * np.exp(deviations[Link.SPEND][own]) * funded
            impressions = None
            if with_impressions:
                impressions = spend * rate_draws(
                    model, Link.IMPRESSIONS, rows, weekday, spend, deviations[Link.IMPRESSIONS]
                )
            outcome = day_outcome(model, rows, weekday, spend, deviations, noise)
            yield BlockDay(day, positions, spend, impressions, outcome, noise)


def _undelivered(
    model: RateModel, book: LeverBook, positions: IntArray, draws: int, seed: int, rng: np.random.Generator
) -> Draws:
    """Mean share of budget left unspent per lever and draw.

    The logit of a Beta has mean digamma(b) - digamma(a) and variance trigamma(a) + trigamma(b); a
    normal with these stands in for it, so that half its variance can be the track's: if the prior is
    wrong it is wrong for all levers at once, and independent errors would average out of the total.
    """
    unspent, spent = book.undelivered[positions], book.delivered[positions]
    centre = digamma(unspent) - digamma(spent)
    spread = np.sqrt(polygamma(1, unspent) + polygamma(1, spent))
    tracks = model.track[book.rows[positions]]
    shared = {int(t): track_stream(seed, int(t)).standard_normal(draws) for t in np.unique(tracks)}
    common = np.stack([shared[int(track)] for track in tracks])
    own = rng.standard_normal((positions.size, draws))
    logit = centre[:, None] + spread[:, None] * (common + own) * np.sqrt(0.5)
    share: Draws = expit(logit).astype(np.float32)
    return share


def _delivery(undelivered: Draws, day_strength: float, rng: np.random.Generator) -> Draws:
    """A day's share of budget spent: 1 - unspent · log-normal(mean 1), never below 0.

    The log-normal has the coefficient of variation a Beta(day_strength) has around the same mean.
    """
    mean = np.clip(undelivered, np.float32(1e-4), np.float32(0.999))
    squared_variation = (1.0 - mean) / (mean * (day_strength + 1.0))
    log_variance = np.log1p(squared_variation)
    wobble = rng.standard_normal(undelivered.shape, dtype=np.float32)
    wobble *= np.sqrt(log_variance)
    wobble -= 0.5 * log_variance
    delivered: Draws = np.float32(1.0) - np.minimum(undelivered * np.exp(wobble), np.float32(1.0))
    return delivered
