"""The simulation kernel: one day at a time, every ad and placement at once.

Here: `simulate` (a whole run), and `Run` for a policy that sets budgets day by day. Not here: the laws
(`laws`), the world (`world`), what leaks out of the ledger (`ledger.observe`).

A day: budgets and pacing -> the platform divides money over ads and placements -> auctions clear ->
impressions, clicks, conversions with their delays -> wear, learning state, weekly spend. Draws of a
day come from a stream of their own, so a longer run repeats a shorter one exactly. Entities are
plain indices: several worlds can be stacked into one Business and advanced together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resources.sandbox import laws
from resources.sandbox.catalogue import ACTIVE, LEARNING, LIMITED
from resources.sandbox.delivery import LiveCells, Today, convert, deliver, people_by_ad
from resources.sandbox.laws import FloatArray, IntArray
from resources.sandbox.ledger import (
    UNREPORTED,
    AdDays,
    Conversions,
    Delivery,
    Ledger,
    LeverDays,
)
from resources.sandbox.world import Business

OVERDELIVERY = 0.25  # of a daily budget, made up within the week
LEARNING_EVENTS = 50
LEARNING_DAYS = 7
SIGNIFICANT_EDIT = 0.20
_EXPOSURE_MEMORY = 0.96  # share of yesterday's impressions people still remember
_STREAM = 10


@dataclass
class State:
    """What carries over from one day to the next. Arrays over levers unless said otherwise."""

    day: int
    exposure: FloatArray  # over ads: remembered impressions
    taste: FloatArray  # over ads: log drift of the platform's preference
    week_cents: IntArray
    week_budget: FloatArray
    budget: FloatArray  # yesterday's
    last_edit: IntArray
    reset_on: IntArray  # day learning last began
    recent: FloatArray  # (7, levers): conversions shown on each of the last seven days
    pending: FloatArray  # (15, levers): conversions to be shown in k days
    learning: IntArray


@dataclass
class _Parts:
    """Arrays of each day, joined at the end."""

    delivery: list[Delivery] = field(default_factory=list)
    ad_days: list[AdDays] = field(default_factory=list)
    conversions: list[Conversions] = field(default_factory=list)
    budget: list[FloatArray] = field(default_factory=list)
    cents: list[IntArray] = field(default_factory=list)
    learning: list[IntArray] = field(default_factory=list)
    last_edit: list[IntArray] = field(default_factory=list)


def initial_state(business: Business, budgets: FloatArray) -> State:
    """The morning of day 0 of an account that has been running: budgets in force, levers settled."""
    levers = business.levers
    count = len(levers.id)
    daily = budgets / levers.target_cac
    recent = np.repeat(daily[None, :], LEARNING_DAYS, axis=0)
    return State(
        day=0,
        exposure=np.clip(-business.ads.first_day, 0, 40) * business.ads.pool / 70.0,
        taste=np.zeros(len(business.ads.id)),
        week_cents=np.zeros(count, dtype=np.int64),
        week_budget=np.zeros(count),
        budget=budgets.copy(),
        # Settled accounts were edited at some time before the history.
        last_edit=-(np.arange(count) % 17) - 2,
        reset_on=np.full(count, -60),
        recent=recent,
        pending=np.zeros((laws.MAX_DELAY_DAYS + 1, count)),
        learning=np.where(recent.sum(axis=0) >= LEARNING_EVENTS, ACTIVE, LIMITED),
    )


def simulate(business: Business, days: int, budgets: FloatArray | None = None) -> Ledger:
    """Run days 0 … days - 1.

    Args:
        business: the world.
        days: at most `business.horizon`.
        budgets: dollars by day and lever, shape (≥ days, levers), 0 where paused; None: as the
            account manager set them.
    Raises:
        ValueError: days outside 1 … horizon, or budgets of another shape or negative.
    """
    plan = business.budgets if budgets is None else budgets
    if not 1 <= days <= business.horizon:
        raise ValueError(f"days must lie in 1 … {business.horizon} (found {days})")
    if plan.ndim != 2 or len(plan) < days or plan.shape[1] != len(business.levers.id) or (plan < 0).any():
        raise ValueError(
            f"budgets must be non-negative with shape (≥ {days}, {len(business.levers.id)}) "
            f"(found {plan.shape})"
        )
    run = Run(business, plan[0])
    for day in range(days):
        run.advance(plan[day])
    return run.ledger()


class Run:
    """A business lived through day by day, for whoever sets each day's budgets by what came before.

    Args:
        business: the world.
        budgets: dollars by lever in force on the eve of day 0.
    """

    def __init__(self, business: Business, budgets: FloatArray) -> None:
        self._business = business
        self._state = initial_state(business, budgets)
        self._parts = _Parts()
        self._rows = 0

    def advance(self, budgets: FloatArray, resting: NDArray[np.bool_] | None = None) -> None:
        """Live through the next day at these budgets, dollars by lever, 0 where paused.

        Args:
            resting: ads that are switched off themselves; None: none is.
        Raises:
            ValueError: the world was drawn no further.
        """
        business, state, parts = self._business, self._state, self._parts
        if state.day >= business.horizon:
            raise ValueError(f"the world was drawn for {business.horizon} days, no further")
        delivery, ad_days, conversions = advance_day(business, state, budgets, resting)
        parts.delivery.append(delivery)
        parts.ad_days.append(_shifted(ad_days, "first_row", self._rows))
        parts.conversions.append(_shifted(conversions, "row", self._rows))
        self._rows += len(delivery.day)
        lever = business.adsets.lever[business.ads.adset[business.cells.ad[delivery.cell]]]
        parts.budget.append(budgets.copy())
        parts.cents.append(laws.totals(lever, delivery.cents, len(budgets)).astype(np.int64))
        parts.learning.append(state.learning.copy())
        parts.last_edit.append(state.last_edit.copy())

    def ledger(self) -> Ledger:
        """Everything that has happened so far."""
        parts = self._parts
        return Ledger(
            days=self._state.day,
            delivery=_joined(Delivery, parts.delivery),
            ad_days=_joined(AdDays, parts.ad_days),
            conversions=_joined(Conversions, parts.conversions),
            levers=LeverDays(
                budget=np.stack(parts.budget),
                cents=np.stack(parts.cents),
                learning=np.stack(parts.learning),
                last_edit=np.stack(parts.last_edit),
            ),
        )


def advance_day(
    business: Business, state: State, budgets: FloatArray, resting: NDArray[np.bool_] | None = None
) -> tuple[Delivery, AdDays, Conversions]:
    """Run one day at the given budgets (dollars, shape (levers,), 0: paused) and move `state` on.

    `first_row` and `row` of what comes back count from the day's first entry.
    """
    rng = laws.generator(business.seed, _STREAM, state.day)
    _note_edits(state, budgets)
    target = _pace(business, state, budgets, rng)
    live = LiveCells(business, state.day, budgets, resting)
    share = _divide(business, state, live, rng)
    today = Today(state.day, state.exposure, state.learning)
    delivery, rates = deliver(business, today, live, target[live.lever] * share, rng)
    conversions = convert(business, state.day, live, delivery, rates, rng)
    kept = delivery.impressions > 0
    new_row = np.cumsum(kept) - 1
    conversions.row[:] = new_row[conversions.row]
    ad_days = people_by_ad(business, delivery, kept, rng)
    _settle(business, state, live, delivery, conversions, kept, budgets)
    return (
        Delivery(**{name: values[kept] for name, values in vars(delivery).items()}),
        ad_days,
        conversions,
    )


def _note_edits(state: State, budgets: FloatArray) -> None:
    before = np.where(state.budget > 0, state.budget, 1.0)
    launched = (state.budget <= 0) & (budgets > 0)
    edited = (budgets != state.budget) & (budgets > 0)
    reset = launched | (edited & (np.abs(budgets / before - 1.0) > SIGNIFICANT_EDIT))
    state.last_edit = np.where(edited, state.day, state.last_edit)
    state.reset_on = np.where(reset, state.day, state.reset_on)
    state.recent[:, reset] = 0.0
    state.learning = np.where(reset, LEARNING, state.learning)
    state.budget = budgets.copy()


def _pace(business: Business, state: State, budgets: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Dollars each lever tries to spend: more on good days, never over the daily or weekly limit."""
    levers = business.levers
    weekday = (business.date_of(state.day).weekday() + 1) % 7  # weeks begin on Sunday
    if weekday == 0:
        state.week_cents[:] = 0
        state.week_budget[:] = 0.0
    days_left = 7 - weekday
    demand = business.weather.demand[state.day, levers.track]
    wish = budgets * levers.appetite * np.power(demand, 0.5) * np.exp(rng.normal(0.0, 0.07, len(budgets)))
    # Ahead of the week's plan: slow down; behind: catch up.
    behind = state.week_budget - state.week_cents / 100.0
    wish = wish + 0.35 * behind / days_left
    weekly = np.maximum(state.week_budget + budgets * days_left - state.week_cents / 100.0, 0.0)
    return np.asarray(np.minimum(np.clip(wish, 0.0, (1.0 + OVERDELIVERY) * budgets), weekly))


def _divide(business: Business, state: State, live: LiveCells, rng: np.random.Generator) -> FloatArray:
    """Each live cell's share of its lever's money: what the platform believes sells, with inertia."""
    ads = business.ads
    age = np.maximum(state.day - ads.first_day[live.ad], 0)
    state.taste = 0.92 * state.taste + rng.normal(0.0, 0.10, len(state.taste))
    belief = laws.PREFERENCE * (ads.log_ctr + ads.log_cvr) + ads.platform_liking + state.taste
    guess = ads.platform_error[live.ad] * np.exp(-age / 8.0)
    ramp = 1.0 - 0.6 * np.exp(-age / 2.0)
    tired = laws.fatigue(state.exposure[live.ad] / ads.pool[live.ad])
    weight = business.cells.affinity[live.cell] * np.exp(belief[live.ad] + guess) * ramp * tired
    total = laws.totals(live.lever, weight, len(business.levers.id))
    return np.asarray(weight / total[live.lever])


def _settle(
    business: Business,
    state: State,
    live: LiveCells,
    delivery: Delivery,
    conversions: Conversions,
    kept: NDArray[np.bool_],
    budgets: FloatArray,
) -> None:
    """Carry the day into tomorrow: wear, weekly spend, conversions shown, learning states."""
    count = len(business.levers.id)
    seen = laws.totals(live.ad, delivery.impressions, len(state.exposure))
    state.exposure = _EXPOSURE_MEMORY * state.exposure + seen
    state.week_cents += laws.totals(live.lever, delivery.cents, count).astype(np.int64)
    state.week_budget = state.week_budget + budgets
    claimed = conversions.kind != UNREPORTED
    wait = conversions.shown_on[claimed] - state.day
    lever = live.lever[kept][conversions.row[claimed]]
    arrivals = np.bincount(wait * count + lever, minlength=state.pending.size).reshape(state.pending.shape)
    state.pending += arrivals
    state.recent[state.day % LEARNING_DAYS] = state.pending[0]
    state.pending = np.vstack([state.pending[1:], np.zeros((1, count))])
    enough = state.recent.sum(axis=0) >= LEARNING_EVENTS
    young = state.day - state.reset_on < LEARNING_DAYS
    state.learning = np.where(enough, ACTIVE, np.where(young, LEARNING, LIMITED))
    state.day += 1


def _shifted(part: Any, name: str, by: int) -> Any:
    getattr(part, name)[:] += by
    return part


def _joined(kind: Any, parts: list[Any]) -> Any:
    return kind(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})
