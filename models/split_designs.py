"""Split-test designs: how long two arms must run side by side until their gap in CTR or CVR would show.

Here: power of a two-sided comparison of two rates, and the shortest design that has it. Not here: which arms
are worth a test (`arms`), setting tests up on a platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

_NORMAL = NormalDist()


@dataclass(frozen=True)
class ArmTraffic:
    """What an arm delivers a day at an even share of the test's money.

    ctr: clicks per impression. cvr: conversions per click. Both as believed, shrunk, so that a test is not
    planned for a lucky gap.
    """

    impressions: float
    ctr: float
    cvr: float


@dataclass(frozen=True)
class SplitDesign:
    """metric: cvr (of those who click, who buys) or ctr. power: P(the gap shows at 5 % two-sided)."""

    metric: Literal["cvr", "ctr"]
    days: int
    power: float


def power_of_gap(first: float, second: float, first_trials: float, second_trials: float) -> float:
    """P(a two-sided 5 % test tells two rates apart), normal approximation.

    Power = Φ(|p₁ - p₂| / √(p₁(1-p₁)/n₁ + p₂(1-p₂)/n₂) - z₀.₉₇₅); the other tail is left out.

    Raises:
        ValueError: rates outside [0, 1] or no trials.
    """
    if not 0 <= first <= 1 or not 0 <= second <= 1 or min(first_trials, second_trials) <= 0:
        raise ValueError("needs rates in [0, 1] and trials above 0")
    variance = first * (1 - first) / first_trials + second * (1 - second) / second_trials
    if variance == 0:
        return 0.0
    return float(_NORMAL.cdf(abs(first - second) / variance**0.5 - _NORMAL.inv_cdf(0.975)))


def shortest_design(
    one: ArmTraffic, other: ArmTraffic, *, durations: Sequence[int], power: float
) -> SplitDesign | None:
    """The shortest test of the CVR with enough power, else of the CTR: buying decides, clicks screen."""
    for metric in ("cvr", "ctr"):
        for days in sorted(durations):
            shown = one.impressions * days, other.impressions * days
            rates, trials = (
                ((one.ctr, other.ctr), shown)
                if metric == "ctr"
                else ((one.cvr, other.cvr), (shown[0] * one.ctr, shown[1] * other.ctr))
            )
            if min(trials) > 0 and (reached := power_of_gap(*rates, *trials)) >= power:
                return SplitDesign("ctr" if metric == "ctr" else "cvr", days, reached)
    return None
