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

from models.forecasting.delivery import Delivery, learn_delivery
from models.forecasting.draws import Draws, PathSampler, blocks, noise_stream, track_stream
from models.forecasting.outcomes import DayOutcome, day_outcome, median_rate, rate_draws
from models.forecasting.panel import KEYS, UNASSIGNED, FloatArray, IntArray
from models.forecasting.rates import Link, RateModel

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
        delivery: belief about the share of budget that is spent.
    """

    levers: pl.DataFrame
    rows: IntArray
    budget: FloatArray
    declared: np.ndarray
    delivery: Delivery


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
    rows: IntArray = placed["model_row"].cast(pl.Int64).to_numpy()
    days = (
        delivery.filter((pl.col("budget") > 0) & pl.col("cost").is_not_null())
        .join(placed.with_row_index("lever").select("lever", *_LEVER_KEYS), on=_LEVER_KEYS)
        .select("lever", "date", "budget", "cost")
    )
    weekdays = model.weekdays[Link.SPEND, rows] if model.known[Link.SPEND] else np.zeros((rows.size, 7))
    return LeverBook(
        levers=book.select(*KEYS, "current_budget"),
        rows=rows,
        budget=book["current_budget"].cast(pl.Float64).to_numpy(),
        declared=(book["lever_source"] == "declared").to_numpy(),
        delivery=learn_delivery(days, weekdays, mean=delivery_mean, strength=delivery_strength),
    )


def draw_days(
    model: RateModel,
    book: LeverBook,
    as_of_date: date,
    *,
    days: int,
    draws: int,
    seed: int,
    with_impressions: bool,
) -> Iterator[BlockDay]:
    """Joint draws at the budgets in force, block by block and day by day (bounded memory).

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
        level = _delivery_level(model, book, positions, draws, seed, delivery_noise)
        for day in range(days):
            weekday = (as_of_date + timedelta(days=day)).weekday()
            deviations = paths.next_day()
            effects = (
                model.weekdays[Link.SPEND, rows, weekday] if model.known[Link.SPEND] else np.zeros(rows.size)
            )
            wobble = delivery_noise.standard_normal(level.shape, dtype=np.float32)
            log_share = (
                level + effects.astype(np.float32)[:, None] + np.float32(book.delivery.day_sd) * wobble
            )
            spend = book.budget[positions].astype(np.float32)[:, None] * np.exp(log_share)
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


def _delivery_level(
    model: RateModel, book: LeverBook, positions: IntArray, draws: int, seed: int, rng: np.random.Generator
) -> Draws:
    """Log share of budget spent on a day of no weekday, (levers, draws); levers of a track err together."""
    belief = book.delivery
    tracks = model.track[book.rows[positions]]
    shared = {int(t): track_stream(seed, int(t)).standard_normal(draws) for t in np.unique(tracks)}
    common = np.stack([shared[int(track)] for track in tracks])
    own = rng.standard_normal((positions.size, draws))
    level: Draws = (
        belief.mean[positions, None] + belief.common_sd * common + belief.own_sd[positions, None] * own
    ).astype(np.float32)
    return level
