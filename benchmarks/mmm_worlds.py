"""Simulated businesses whose media mix is known: what each channel added, and what its next dollar would add.

Here: worlds drawn from broad ranges, of the fitted model's own family or of none, and experiments in them.
Not here: fitting them, what a study makes of it (`mmm_recovery`). No formula of `models` is used: what is
studied must not be what made the data.

A world's outcome is level · (1 + season + drift + what is unseen) + controls + Σ top_c · shape(stock_c) +
noise. Ranges are meant to hold most businesses, not to be any model's prior: media 15–45 % of the outcome,
channels' efficiency a lognormal factor (σ 0.6) around equal, retention uniform on 0–0.7, saturation from
nearly linear to hard, noise 3–7 %. The kinds that no fitted family contains:

demand_confounding: demand that nobody measures lifts the outcome and, in the same week, every spend.
spend_chasing_sales: budgets follow the outcome of the last two weeks, unseen demand included.
brand_search: the first channel's spend is demand's and the other media's, its own effect a tenth.
adstock_family: carry-over peaks after 1–4 weeks and lasts up to 13.
price_shocks: unmeasured price cuts of 2–3 weeks, advertised as they happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from models.mmm.specification import LiftTest
from models.mmm.weeks import MediaWeeks

FloatArray = npt.NDArray[np.float64]
Kind = Literal[
    "matched", "demand_confounding", "spend_chasing_sales", "brand_search", "adstock_family", "price_shocks"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
MISSPECIFIED = KINDS[1:]
WEEKS, CHANNELS = 156, 5
LEVEL = 3000.0
"""Signups a week without media."""
COOL_DOWN_WEEKS = 4
"""Weeks after a test that are still read, for what its spend set going."""
_FIRST_DAY = date(2023, 1, 2)
_LAGS, _LONG_LAGS = 8, 13
_RECENT_WEEKS = 13


@dataclass(frozen=True)
class Channel:
    """A channel's true response: top · (1 - e^(-rate·x)) / (1 + e^(-rate·x)), x its stock over the scale.

    carry: share of a week's spend that works 0, 1, … weeks later, summing to 1. scale: dollars a week.
    top: outcome a week that no spend exceeds.
    """

    name: str
    carry: FloatArray
    scale: float
    rate: float
    top: float

    def response(self, spend: FloatArray | float) -> FloatArray:
        """Outcome a week at constant weekly spend, dollars."""
        return np.asarray(self.top * np.tanh(0.5 * self.rate * np.asarray(spend) / self.scale))

    def marginal(self, spend: FloatArray | float) -> FloatArray:
        """Outcome a week that one further weekly dollar adds."""
        half = 0.5 * self.rate / self.scale
        return np.asarray(self.top * half / np.cosh(half * np.asarray(spend)) ** 2)

    def added(self, spend: FloatArray) -> FloatArray:
        """Outcome added in each week of a course of spend before which nothing was spent."""
        return self.response(np.convolve(spend, self.carry)[: spend.size])


@dataclass(frozen=True)
class World:
    """What a model sees (`weeks`) and what it cannot see: all else.

    baseline: expected outcome without media, (weeks,). contributions: (weeks, channels). noise: standard
    deviation of a week's outcome around its expectation.
    """

    kind: Kind
    seed: int
    weeks: MediaWeeks
    channels: tuple[Channel, ...]
    baseline: FloatArray
    contributions: FloatArray
    noise: float

    @property
    def expected(self) -> FloatArray:
        total: FloatArray = self.baseline + self.contributions.sum(axis=1)
        return total

    @property
    def return_on_spend(self) -> FloatArray:
        """Outcome per dollar over the weeks, (channels,)."""
        returned: FloatArray = self.contributions.sum(axis=0) / self.weeks.spend.sum(axis=0)
        return returned

    @property
    def usual_spend(self) -> FloatArray:
        """Dollars a week over all weeks, (channels,): where marginal returns are compared."""
        usual: FloatArray = self.weeks.spend.mean(axis=0)
        return usual

    @property
    def marginal_return(self) -> FloatArray:
        """Outcome of the next weekly dollar at the usual spend, (channels,)."""
        pairs = zip(self.channels, self.usual_spend, strict=True)
        return np.array([float(channel.marginal(spend)) for channel, spend in pairs])

    def before(self, weeks: int) -> World:
        """What had happened after so many weeks."""
        seen = self.weeks.before(weeks)
        return replace(
            self, weeks=seen, baseline=self.baseline[:weeks], contributions=self.contributions[:weeks]
        )


@dataclass(frozen=True)
class Trial:
    """A test as half the country lives it.

    channel: its place. change: of its spend, as a share of it; -1 pauses it. first_week: of the world's.
    """

    channel: int
    change: float
    first_week: int
    weeks: int


def simulate(
    kind: Kind, seed: int, weeks: int = WEEKS, channels: int = CHANNELS, randomised: float = 0.0
) -> World:
    """A world; the same seed has the same channels, demand and noise in whatever share of weeks spend is
    randomised.

    Args:
        randomised: share of weeks in which each channel's spend is multiplied by an independent 0–2.

    Raises:
        ValueError: a kind that does not exist, or a share outside 0–1.
    """
    if kind not in KINDS or not 0.0 <= randomised <= 1.0:
        raise ValueError(f"kind {kind!r} (known: {', '.join(KINDS)}), randomised share {randomised}")
    streams = np.random.SeedSequence([seed, KINDS.index(kind)]).spawn(4)
    truths, courses, luck, dice = (np.random.default_rng(stream) for stream in streams)
    season = _season(truths, weeks)
    unseen = _unseen(kind, courses, weeks)
    controls, control_effects = _controls(courses, weeks)
    planned = _planned_spend(courses, weeks, channels, season)
    drawn = _channels(kind, truths, planned)
    level = 1.0 + season + _drift(courses, weeks) + unseen
    baseline = LEVEL * np.maximum(level + controls @ control_effects, 0.2)
    noise = luck.uniform(0.03, 0.07) * LEVEL / 0.7
    shocks = noise * luck.standard_normal(weeks)
    factors = np.where(dice.random((weeks, 1)) < randomised, dice.uniform(0, 2, (weeks, channels)), 1.0)
    spend = _spend(kind, truths, planned, unseen, drawn, baseline + shocks, factors)
    contributions = np.column_stack([channel.added(spend[:, at]) for at, channel in enumerate(drawn)])
    outcome = np.maximum(baseline + contributions.sum(axis=1) + shocks, 0.0)
    names = tuple(channel.name for channel in drawn)
    harvests = ("brand_search",) if kind == "brand_search" else ()
    data = MediaWeeks(_FIRST_DAY, names, spend, outcome, controls, ("promotion", "price"), harvests)
    return World(kind, seed, data, drawn, baseline, contributions, noise)


def run_test(world: World, channel: str, change: float, weeks: int, rng: np.random.Generator) -> LiftTest:
    """A geo experiment: half the country at its usual spend of the last quarter, half at `change` more.

    What the change added in its weeks and the cool-down, per week of the test, with the error of a
    difference of two such sums. Carry-over that outlasts the cool-down is missed, as in a real test.

    Args:
        change: dollars a week, nationwide equivalent; below 0 a cut, to no less than nothing.
        weeks: of the test, at least 1.
    """
    at = world.weeks.channels.index(channel)
    usual = float(world.weeks.spend[-_RECENT_WEEKS:, at].mean())
    change = max(change, -usual)
    error = lift_error(world, weeks)
    return LiftTest(channel, usual, change, true_lift(world, at, change, weeks) + error * rng.normal(), error)


def with_trials(world: World, trials: Sequence[Trial]) -> World:
    """The same world, demand and noise, had these tests been run in it.

    Budgets that follow sales or other channels' spend go on as they did without them.
    """
    treated = world.weeks.spend.copy()
    for trial in trials:
        treated[trial.first_week : trial.first_week + trial.weeks, trial.channel] *= 1 + trial.change
    there = np.column_stack([channel.added(treated[:, at]) for at, channel in enumerate(world.channels)])
    contributions = 0.5 * (world.contributions + there)
    outcome = world.weeks.outcome + (contributions - world.contributions).sum(axis=1)
    spend = 0.5 * (world.weeks.spend + treated)
    lived = replace(world.weeks, spend=spend, outcome=np.maximum(outcome, 0.0))
    return replace(world, weeks=lived, contributions=contributions)


def lift_error(world: World, weeks: int) -> float:
    """Standard error of a test's lift a week: noise of two arms over the test and its cool-down."""
    return float(world.noise * np.sqrt(2.0 * (weeks + COOL_DOWN_WEEKS)) / weeks)


def true_lift(world: World, channel: int, change: float, weeks: int) -> float:
    """What a change of weekly spend adds in its weeks and the cool-down, per week of the test."""
    truth = world.channels[channel]
    usual = float(world.weeks.spend[-_RECENT_WEEKS:, channel].mean())
    before = truth.carry.size
    still = np.full(before + weeks + COOL_DOWN_WEEKS, usual)
    moved = still.copy()
    moved[before : before + weeks] += change
    return float((truth.added(moved) - truth.added(still)).sum() / weeks)


def _season(rng: np.random.Generator, weeks: int) -> FloatArray:
    angle = 2 * np.pi * np.arange(weeks) * 7 / 365.25
    size, phase = rng.uniform(0.05, 0.2) * np.array([1.0, 0.4]), rng.uniform(0, 2 * np.pi, 2)
    total: FloatArray = size[0] * np.sin(angle + phase[0]) + size[1] * np.sin(2 * angle + phase[1])
    return total


def _drift(rng: np.random.Generator, weeks: int) -> FloatArray:
    """A smooth random course with a correlation length of 20–40 weeks, from random waves."""
    length, size = rng.uniform(20, 40), rng.uniform(0.03, 0.12)
    frequency, phase = rng.normal(0, 1 / length, 200), rng.uniform(0, 2 * np.pi, 200)
    waves = np.cos(np.outer(np.arange(weeks), frequency) + phase)
    course: FloatArray = size * np.sqrt(2 / 200) * waves.sum(axis=1)
    return course


def _autoregression(rng: np.random.Generator, weeks: int, memory: float) -> FloatArray:
    """Standard deviation 1 in every week."""
    course = rng.standard_normal(weeks)
    for week in range(1, weeks):
        course[week] = memory * course[week - 1] + np.sqrt(1 - memory**2) * course[week]
    return course


def _unseen(kind: Kind, rng: np.random.Generator, weeks: int) -> FloatArray:
    """What moves the outcome and is in no control, as a share of the level."""
    own = np.random.default_rng(rng.integers(2**63))
    if kind == "price_shocks":
        cuts = np.zeros(weeks)
        for start in own.choice(weeks - 3, size=max(weeks // 12, 1), replace=False):
            cuts[start : start + own.integers(2, 4)] = 1.0
        return own.uniform(0.1, 0.25) * cuts
    if kind in ("demand_confounding", "spend_chasing_sales", "brand_search"):
        return own.uniform(0.06, 0.12) * _autoregression(own, weeks, 0.7)
    return np.zeros(weeks)


def _controls(rng: np.random.Generator, weeks: int) -> tuple[FloatArray, FloatArray]:
    """A promotion on or off and a price index, standardised, and their effects as shares of the level."""
    promoted = (rng.random(weeks) < 0.15).astype(float)
    price = _autoregression(rng, weeks, 0.9)
    columns = np.column_stack([promoted, price])
    spread = columns.std(axis=0)
    standard: FloatArray = (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return standard, np.array([rng.uniform(0.02, 0.08), -rng.uniform(0.0, 0.06)])


def _planned_spend(rng: np.random.Generator, weeks: int, channels: int, season: FloatArray) -> FloatArray:
    """Dollars a week: wandering budgets, some with the season, some in flights."""
    spend = np.empty((weeks, channels))
    for at in range(channels):
        mean, swing = np.exp(rng.uniform(np.log(1e4), np.log(1e5))), rng.uniform(0.2, 0.5)
        course = swing * _autoregression(rng, weeks, rng.uniform(0.3, 0.8)) + rng.uniform(0, 1.5) * season
        spend[:, at] = mean * np.exp(course)
        flight, pause = rng.integers(4, 9), rng.integers(2, 7)
        flighted = np.arange(weeks) % (flight + pause) < flight
        if at and rng.random() < 0.4:  # the first channel, brand search where there is one, is always on
            spend[:, at] *= flighted
    return spend


def _channels(kind: Kind, rng: np.random.Generator, planned: FloatArray) -> tuple[Channel, ...]:
    number = planned.shape[1]
    share = rng.uniform(0.15, 0.45)
    efficiency = planned.mean(axis=0) * np.exp(rng.normal(0, 0.6, number))
    wanted = LEVEL * share / (1 - share) * efficiency / efficiency.sum()
    if kind == "brand_search":
        wanted[0] *= 0.1
    drawn = []
    for at in range(number):
        carry = _carry(kind, rng)
        scale, rate = float(planned[:, at].max()), float(np.exp(rng.uniform(np.log(1.0), np.log(6.0))))
        raw = Channel(f"channel_{at + 1}", carry, scale, rate, 1.0)
        drawn.append(replace(raw, top=float(wanted[at] / raw.added(planned[:, at]).mean())))
    if kind == "brand_search":
        drawn[0] = replace(drawn[0], name="brand_search")
    return tuple(drawn)


def _carry(kind: Kind, rng: np.random.Generator) -> FloatArray:
    if kind == "adstock_family":
        lag, peak, width = np.arange(_LONG_LAGS), rng.uniform(1, 4), rng.uniform(1.0, 3.0)
        raw = np.exp(-0.5 * ((lag - peak) / width) ** 2) + 0.1 * np.exp(-lag / 6)
    else:
        raw = rng.uniform(0, 0.7) ** np.arange(_LAGS)
    weights: FloatArray = raw / raw.sum()
    return weights


def _spend(
    kind: Kind,
    rng: np.random.Generator,
    planned: FloatArray,
    unseen: FloatArray,
    channels: Sequence[Channel],
    without_media: FloatArray,
    factors: FloatArray,
) -> FloatArray:
    """What was really spent: the plan, bent by what the kind says, times the randomised factors."""
    number = planned.shape[1]
    follow = rng.uniform(0.5, 1.0, number)
    if kind == "demand_confounding":
        bent: FloatArray = planned * np.exp(4.0 * follow * unseen[:, None])
        return bent * factors
    if kind == "price_shocks":
        return planned * (1.0 + 0.6 * follow * (unseen[:, None] > 0)) * factors
    if kind == "brand_search":
        spend = planned * factors
        others = spend[:, 1:] / spend[:, 1:].mean(axis=0)
        searches = np.exp(5.0 * unseen) * (0.5 + 0.5 * others.mean(axis=1))
        spend[:, 0] = planned[:, 0].mean() * searches * factors[:, 0]
        return spend
    if kind == "spend_chasing_sales":
        return _chasing(planned, channels, without_media, factors, 2.0 * follow)
    return planned * factors


def _chasing(
    planned: FloatArray,
    channels: Sequence[Channel],
    without_media: FloatArray,
    factors: FloatArray,
    follow: FloatArray,
) -> FloatArray:
    spend = planned * factors
    usual = without_media.mean() + sum(
        float(channel.added(planned[:, at]).mean()) for at, channel in enumerate(channels)
    )
    sold = np.full(planned.shape[0] + 2, usual)  # the two weeks before the first were usual
    for week in range(planned.shape[0]):
        heat = np.clip(sold[week : week + 2].mean() / usual, 0.5, 2.0)
        spend[week] *= heat**follow
        added = sum(float(channel.added(spend[: week + 1, at])[-1]) for at, channel in enumerate(channels))
        sold[week + 2] = without_media[week] + added
    return spend
