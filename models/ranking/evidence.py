"""What delivery says of creatives that competed: log-odds of a rate, weighted by how well each is known.

Here: arms within their groups, effects of groups taken out. Not here: what predicts them (`regression`).

A group is what competed under equal conditions: a split test's arms of one image, a campaign's ads in one
placement and period. Its level is its own (audience, season, product), so only differences within it teach.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Arms:
    """Creatives in their groups.

    Attributes:
        group: number of the group each arm competed in, any integers, shape (arms,).
        trials: impressions for a click rate, clicks for a conversion rate, shape (arms,).
        successes: of the trials (may be fractional), shape (arms,).
    Raises:
        ValueError: shapes differ, an arm without trials, or successes outside [0, trials].
    """

    group: IntArray
    trials: FloatArray
    successes: FloatArray

    def __post_init__(self) -> None:
        if not len(self.group) == len(self.trials) == len(self.successes):
            raise ValueError("group, trials and successes must have one value per arm")
        if not np.all(self.trials > 0):
            raise ValueError("every arm needs trials")
        if not np.all((self.successes >= 0) & (self.successes <= self.trials)):
            raise ValueError("successes must lie between 0 and the trials")

    def __len__(self) -> int:
        return len(self.group)

    def subset(self, chosen: npt.NDArray[np.bool_] | IntArray) -> Arms:
        """These arms alone."""
        return Arms(self.group[chosen], self.trials[chosen], self.successes[chosen])

    @cached_property
    def numbered(self) -> IntArray:
        """Groups numbered from 0 without gaps, shape (arms,)."""
        return np.unique(self.group, return_inverse=True)[1].astype(np.int64)

    @property
    def rate(self) -> FloatArray:
        """Successes per trial, shape (arms,)."""
        return self.successes / self.trials

    @property
    def log_odds(self) -> FloatArray:
        """Empirical log-odds of the rate, with half a success and half a failure added (Haldane–Anscombe)."""
        return np.log((self.successes + 0.5) / (self.trials - self.successes + 0.5))

    @property
    def log_odds_variance(self) -> FloatArray:
        """Sampling variance of `log_odds`, shape (arms,)."""
        return 1.0 / (self.successes + 0.5) + 1.0 / (self.trials - self.successes + 0.5)


def within_groups(values: FloatArray, group: IntArray, weights: FloatArray) -> FloatArray:
    """Values less their group's weighted mean: what is left once each group has a level of its own.

    Args:
        values: shape (arms,) or (arms, columns).
        group: numbered from 0 without gaps, shape (arms,).
        weights: positive, shape (arms,).
    """
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) != 0])
    weighted = values * (weights if values.ndim == 1 else weights[:, None])
    sums = np.add.reduceat(weighted[order], starts, axis=0)
    totals = np.add.reduceat(weights[order], starts)
    means = sums / (totals if values.ndim == 1 else totals[:, None])
    return np.asarray(values - means[group], dtype=np.float64)


def pairs_within(group: IntArray) -> tuple[IntArray, IntArray]:
    """Every pair of arms of one group, once; shape (pairs,) each, the earlier arm first."""
    order = np.argsort(group, kind="stable")
    sizes = np.diff(np.flatnonzero(np.r_[True, np.diff(group[order]) != 0, True]))
    left, right, start = [], [], 0
    for size in sizes:
        one, other = np.triu_indices(size, 1)
        left.append(order[start + one])
        right.append(order[start + other])
        start += size
    if not left:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate(left).astype(np.int64), np.concatenate(right).astype(np.int64)


def difference_in_standard_errors(arms: Arms, left: IntArray, right: IntArray) -> FloatArray:
    """z of the two-proportion test of each pair, positive where the left one did better; shape (pairs,)."""
    trials, successes = arms.trials, arms.successes
    pooled = (successes[left] + successes[right]) / (trials[left] + trials[right])
    variance = pooled * (1.0 - pooled) * (1.0 / trials[left] + 1.0 / trials[right])
    difference = arms.rate[left] - arms.rate[right]
    return np.divide(difference, np.sqrt(variance), out=np.zeros_like(difference), where=variance > 0)


def pairs_that_differ(arms: Arms) -> tuple[IntArray, IntArray, FloatArray]:
    """Pairs of `pairs_within` one of which did better, and their z; shape (pairs,) each.

    Ties are left out: counted as the right one's, they would teach which arm stands first in the data, and
    where successes are rare most pairs are ties.
    """
    left, right = pairs_within(arms.numbered)
    z = difference_in_standard_errors(arms, left, right)
    unequal = z != 0
    return left[unequal], right[unequal], z[unequal]
