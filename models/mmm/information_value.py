"""What knowing more of a channel is worth: expected regret that a test removes, in dollars.

Here: belief after a test's every possible reading, the best spend under it, their expectation (EVSI). Not
here: what a test measures (`experiment_designs`).

A test reads y = lift + error · noise. Draws weighted by the likelihood of y are the belief of the tested
channel after it. What others are believed to add follows by regression on the lift, as in Strong, Oakley,
Brennan, Breeze (2015), where draws correlate by more than chance: weights alone would make news of channels
that have nothing to do with the test. The reading is one number, so its distribution is summed over a grid
instead of simulated: no Monte Carlo error, and a test that tells nothing is worth exactly 0.

What is decided is the mean profit of spend within reach under one budget: with curves taken linear between
grid points the best spend is the steepest segments first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.mmm.channel_draws import ChannelDraws
from models.mmm.response import FloatArray

SEGMENTS = 24
LEAST_ERROR = 0.1
"""Errors below this share of the lift's own standard deviation count as this: below, a belief would rest on a
handful of draws and seem surer than it is."""
LEAST_OF_RANGE = 0.01
CHANCE = 3.0
"""Correlations of draws below this many standard errors (1 / √draws) count as chance."""
_REACH = 4.0


@dataclass(frozen=True)
class Stakes:
    """What a decision after the test is about.

    Attributes:
        value: dollars a conversion is worth.
        budget: dollars a week over all channels, at most.
        reach: how far spend may move from the current one by then, as a share of it.
        horizon_weeks: how long the decision holds.
        overhead: dollars that any test costs, people's time most of all.

    Raises:
        ValueError: a number outside its range.
    """

    value: float
    budget: float
    reach: float = 0.5
    horizon_weeks: int = 26
    overhead: float = 500.0

    def __post_init__(self) -> None:
        if not (self.value > 0 and self.budget >= 0 and 0 < self.reach <= 1):
            raise ValueError("stakes need a positive value, a budget and a reach in (0, 1]")
        if self.horizon_weeks < 1 or self.overhead <= 0:
            raise ValueError("stakes need a horizon of at least a week and an overhead above 0")


@dataclass(frozen=True)
class Decision:
    """Segments of spend that can be bought, flat over channels.

    Attributes:
        channel: of each segment, (segments,).
        adds: conversions each segment adds per draw, (draws, segments).
        width: dollars a week of each segment, (segments,).
        left: dollars a week of budget above the lower bounds.
        value: dollars a conversion is worth.
    """

    channel: npt.NDArray[np.intp]
    adds: FloatArray
    width: FloatArray
    left: float
    value: float

    @cached_property
    def mean(self) -> FloatArray:
        """Conversions each segment is believed to add now, (segments,)."""
        mean: FloatArray = self.adds.mean(axis=0)
        return mean

    @cached_property
    def spread(self) -> FloatArray:
        """Their standard deviation over draws, (segments,)."""
        spread: FloatArray = self.adds.std(axis=0)
        return spread

    def worth(self, adds: FloatArray) -> FloatArray:
        """Profit a week of the best spend under each belief, above that of the lower bounds, (beliefs,).

        Args:
            adds: conversions each segment is believed to add, (beliefs, segments).
        """
        profit = self.value * adds - self.width
        if float(self.width.sum()) <= self.left:
            free: FloatArray = np.maximum(profit, 0.0).sum(axis=1)
            return free
        order = np.argsort(-profit / self.width, axis=1, kind="stable")
        width = self.width[order]
        taken = np.clip(self.left - (np.cumsum(width, axis=1) - width), 0.0, width) / width
        found: FloatArray = (np.maximum(np.take_along_axis(profit, order, axis=1), 0.0) * taken).sum(axis=1)
        return found


def decision(draws: ChannelDraws, current: FloatArray, stakes: Stakes) -> Decision:
    """What can be decided; channels without spend stay without.

    Raises:
        ValueError: a budget below the least spend within reach.
    """
    low, high = (1 - stakes.reach) * current, (1 + stakes.reach) * current
    if float(low.sum()) > stakes.budget * (1 + 1e-9):
        raise ValueError(f"the budget of {stakes.budget:,.2f} is below the least spend, {low.sum():,.2f}")
    at = np.linspace(0.0, 1.0, SEGMENTS + 1)
    levels = np.array([draws.at(low + share * (high - low))[0] for share in at])
    free = np.flatnonzero(current > 0)
    adds = np.diff(levels[:, :, free], axis=0).transpose(1, 2, 0).reshape(draws.draws, -1)
    width = np.repeat((high - low)[free] / SEGMENTS, SEGMENTS)
    # Steeper segments first needs concave curves; rounding of flat ones must not break the order.
    left = max(stakes.budget - float(low.sum()), 0.0)
    return Decision(np.repeat(free, SEGMENTS), np.maximum(adds, 0.0), width, left, stakes.value)


@dataclass(frozen=True)
class Readings:
    """The readings a test may have.

    Attributes:
        chance: of each, (readings,), summing to 1.
        weights: of the draws after each, (readings, draws), rows summing to 1.
    """

    chance: FloatArray
    weights: FloatArray


def readings(lift: FloatArray, error: float) -> Readings:
    """A grid of readings a quarter of the error apart.

    An error far below the range of lifts counts as `LEAST_OF_RANGE` of it: tests look worse, never better.

    Args:
        lift: of each draw, (draws,).
        error: standard error of the test.
    """
    spread = float(lift.std())
    if spread <= 1e-12 * max(float(np.abs(lift).max()), 1e-300):  # known already: nothing to learn
        return Readings(np.ones(1), np.full((1, lift.size), 1 / lift.size))
    blur = max(error, LEAST_ERROR * spread, LEAST_OF_RANGE * float(np.ptp(lift)))
    first, last = float(lift.min()) - _REACH * blur, float(lift.max()) + _REACH * blur
    read = np.arange(first, last + blur, blur / 4)
    likelihood = np.exp(-0.5 * ((read[:, None] - lift) / blur) ** 2)
    total = likelihood.sum(axis=1)
    seen = total > 0
    return Readings(total[seen] / total.sum(), likelihood[seen] / total[seen, None])


def value_of_test(
    choice: Decision, channel: int, lift: FloatArray, told: Readings, horizon_weeks: int
) -> float:
    """Expected regret the test of a channel removes, dollars over the horizon: never below 0.

    The best spend's worth is convex in the belief, so deciding after the reading beats deciding before on
    average (Raiffa, Schlaifer 1961).

    Args:
        lift: that the test measures, of each draw, (draws,).
    """
    beliefs = _believed(choice, channel, lift, told)
    before = float(choice.worth((told.chance @ beliefs)[None])[0])
    after = float(told.chance @ choice.worth(beliefs))
    return max(after - before, 0.0) * horizon_weeks


def _believed(choice: Decision, channel: int, lift: FloatArray, told: Readings) -> FloatArray:
    """What each segment is believed to add after each reading, (readings, segments)."""
    own = choice.channel == channel
    apart = lift - lift.mean()
    slope = apart @ choice.adds / max(float(apart @ apart), 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.abs(np.nan_to_num(slope * lift.std() / choice.spread, posinf=0.0))
    for other in np.unique(choice.channel):
        segments = choice.channel == other
        if correlation[segments].max() < CHANCE / np.sqrt(lift.size):
            slope[segments] = 0.0
    beliefs: FloatArray = choice.mean + (told.weights @ apart)[:, None] * slope
    beliefs[:, own] = told.weights @ choice.adds[:, own]
    return beliefs


def value_of_certainty(choice: Decision, horizon_weeks: int) -> float:
    """Expected regret of deciding on what is known now, dollars over the horizon: no test is worth more."""
    now = float(choice.worth(choice.mean[None])[0])
    return max(float(choice.worth(choice.adds).mean()) - now, 0.0) * horizon_weeks


def expected_shrinkage(quantity: FloatArray, told: Readings) -> float:
    """By what share the standard deviation of a quantity is expected to fall, in [0, 1].

    Args:
        quantity: of each draw, (draws,), such as the channel's marginal conversions per dollar.
    """
    now = float(quantity.std())
    if now <= 1e-12 * float(np.abs(quantity).max()):
        return 0.0
    mean = told.weights @ quantity
    spread = np.sqrt(np.maximum(told.weights @ quantity**2 - mean**2, 0.0))
    return float(np.clip(1 - told.chance @ spread / now, 0.0, 1.0))
