"""Designs of media experiments: what a test of a channel would measure, how exactly, and what it costs.

Here: changed weeks, split regions, their error, power and cost. Not here: what the knowledge is worth
(`information_value`), which test comes first (`planner`).

A run of changed weeks is compared with as many usual ones. With weekly noise σ, w weeks each and a share r of
the full effect reached over the run (carry-over builds up), the lift's error is σ √(2/w) / r. A split by
regions compares a share p with the rest in the same weeks: what all regions have in common cancels, each
side's own noise grows as it shrinks, so σ √((1 - common) · deff / (p (1 - p) w)) / r (Kish's design effect
`deff` for regions of unequal size).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from scipy.special import ndtr

from models.mmm.channel_draws import ChannelDraws, posterior_draws
from models.mmm.posterior import MediaPosterior
from models.mmm.response import FloatArray

LEVEL = 0.9
"""Of the interval whose power is told."""


@dataclass(frozen=True)
class Standing:
    """What is believed and spent when tests are planned.

    Attributes:
        current: dollars a week, (channels,).
        noise: standard deviation of a week's outcome that nothing explains.
        carry_over: share of a week's spend that works 0, 1, … weeks later, (channels, lags).
    """

    draws: ChannelDraws
    current: FloatArray
    noise: float
    carry_over: FloatArray


def standing_of(posterior: MediaPosterior, current: FloatArray) -> Standing:
    """The standing of a fitted model; noise and carry-over at their posterior means."""
    noise = float(posterior.spread().mean())
    return Standing(posterior_draws(posterior), current, noise, posterior.carry_over().mean(axis=0))


@dataclass(frozen=True)
class Regions:
    """What is known of regions that could be split.

    Attributes:
        shares: of the market that may be treated, each in (0, 1).
        common: share of the weekly noise's variance that all regions have in common, in [0, 1).
        design_effect: how much unequal regions inflate the variance, at least 1.

    Raises:
        ValueError: a number outside its range.
    """

    shares: tuple[float, ...]
    common: float
    design_effect: float = 1.0

    def __post_init__(self) -> None:
        inside = all(0 < share < 1 for share in self.shares)
        if not (inside and 0 <= self.common < 1 and self.design_effect >= 1):
            raise ValueError(
                "regions need shares in (0, 1), common in [0, 1) and a design effect of at least 1"
            )


@dataclass(frozen=True)
class Design:
    """A test of one channel.

    Attributes:
        channel: its position.
        kind: weeks (the whole market, changed weeks beside usual ones) or regions (split in the same weeks).
        change: of spend, as a share of the current one; -1 pauses the channel.
        weeks: at changed spend.
        share: of the market.
    """

    channel: int
    kind: Literal["weeks", "regions"]
    change: float
    weeks: int
    share: float = 1.0

    @property
    def duration(self) -> int:
        """Weeks from first to last that take part; usual weeks come before the changed ones."""
        return 2 * self.weeks if self.kind == "weeks" else self.weeks


def possible_designs(
    standing: Standing,
    changes: Sequence[float] = (-1.0, -0.5, 0.5),
    weeks: Sequence[int] = (2, 4, 8),
    regions: Regions | None = None,
) -> list[Design]:
    """Every combination for every channel that spends; splits only where regions are known."""
    splits = [("weeks", 1.0)] + [("regions", share) for share in (regions.shares if regions else ())]
    return [
        Design(int(channel), kind, change, length, share)  # type: ignore[arg-type]
        for channel in np.flatnonzero(standing.current > 0)
        for kind, share in splits
        for change in changes
        for length in weeks
    ]


def reached(carry_over: FloatArray, weeks: int) -> float:
    """Share of the full effect of a lasting change, on average over its first weeks.

    Args:
        carry_over: of the channel, (lags,).
    """
    cumulated = np.minimum(np.cumsum(carry_over), 1.0)
    in_week = np.append(cumulated, np.ones(max(weeks - cumulated.size, 0)))[:weeks]
    return float(in_week.mean())


def lift_error(standing: Standing, design: Design, regions: Regions | None = None) -> float:
    """Standard error of the steady-state lift of the whole market, outcome a week.

    Raises:
        ValueError: a split without regions.
    """
    share = reached(standing.carry_over[design.channel], design.weeks)
    if design.kind == "weeks":
        return standing.noise * float(np.sqrt(2 / design.weeks)) / share
    if regions is None:
        raise ValueError("a split by regions needs to know what the regions have in common")
    own = (1 - regions.common) * regions.design_effect
    return standing.noise * float(np.sqrt(own / (design.share * (1 - design.share) * design.weeks))) / share


def lifts(standing: Standing, design: Design) -> tuple[FloatArray, float]:
    """Steady-state lift of each draw, outcome a week, and the dollars a week behind it; whole market."""
    one = standing.draws.subset([design.channel])
    now = standing.current[[design.channel]]
    change = design.change * now
    found: FloatArray = one.at(now + change)[0][:, 0] - one.at(now)[0][:, 0]
    return found, float(change[0])


def power(lift: FloatArray, error: float, threshold: float = 0.0) -> float:
    """P(the test's interval leaves the threshold out), over draws of the lift and the test's noise."""
    distance = np.abs(lift - threshold) / error
    beyond = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    return float((ndtr(distance - beyond) + ndtr(-distance - beyond)).mean())


def expected_loss(lift: FloatArray, change: float, value: float, design: Design) -> float:
    """Contribution that the test is expected to cost while it runs, dollars; below 0 where it earns some."""
    return (change - value * float(lift.mean())) * design.weeks * design.share
