"""What a model's own past forecasts teach about it: bias, width, and how much errors have in common.

Here: lessons from weekly forecasts made without knowing their outcome (each is one `Trial`).
Not here: making those forecasts (`dynamics`).

All three lessons are shrunk by weeks / (weeks + 4): a naive method may use its past residuals, so the
model does too, but a month of weeks must not overrule it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Trial = NDArray[np.float64]
"""Standardised errors of one week, shape (series,); NaN where a series says nothing."""

STUDENT_P90 = 1.5332
"""90 % quantile of the Student t with four degrees of freedom, in units of its scale."""
REMEMBERED_WEEKS = 8
SHRINKAGE_WEEKS = 4.0
LARGEST_BIAS = 2.0
LARGEST_WIDENING = 2.5
_PRIOR_SHARE = 0.5


@dataclass(frozen=True)
class Lesson:
    """Per series, but equal within an account.

    Attributes:
        bias: mean weekly median error, in standard deviations; what to add to the level.
        widening: factor on the width, at least 1: a model is not made surer by a lucky month.
        shared: mean pairwise correlation of errors; one half before anything is known, so that
            totals stay honestly wide.
    """

    bias: NDArray[np.float64]
    widening: NDArray[np.float64]
    shared: NDArray[np.float64]


def learn_from(trials: Sequence[Trial], pool: NDArray[np.int64]) -> Lesson:
    """Lessons per account from the last REMEMBERED_WEEKS trials."""
    lesson = Lesson(np.zeros(pool.size), np.ones(pool.size), np.full(pool.size, _PRIOR_SHARE))
    for member in np.unique(pool):
        inside = pool == member
        weeks = [trial[inside] for trial in trials[-REMEMBERED_WEEKS:]]
        weeks = [week[~np.isnan(week)] for week in weeks]
        weeks = [week for week in weeks if week.size]
        if not weeks:
            continue
        trust = len(weeks) / (len(weeks) + SHRINKAGE_WEEKS)
        medians = np.clip([np.median(week) for week in weeks], -LARGEST_BIAS, LARGEST_BIAS)
        lesson.bias[inside] = trust * medians.mean()
        lesson.widening[inside] = _widening(weeks, trust)
        lesson.shared[inside] = _shared(weeks)
    return lesson


def _widening(weeks: list[Trial], trust: float) -> float:
    """Conformal in spirit: found 80 % quantile of |error| over the one the Student t promises."""
    found = float(np.quantile(np.abs(np.concatenate(weeks)), 0.8)) / STUDENT_P90
    return float(np.clip(np.exp(trust * np.log(max(found, 1e-3))), 1.0, LARGEST_WIDENING))


def _shared(weeks: list[Trial]) -> float:
    products = [
        (week.sum() ** 2 - (week**2).sum()) / (week.size * (week.size - 1)) / max((week**2).mean(), 1e-9)
        for week in weeks
        if week.size >= 2
    ]
    share = (_PRIOR_SHARE * SHRINKAGE_WEEKS + sum(products)) / (SHRINKAGE_WEEKS + len(products))
    return float(np.clip(share, 0.0, 0.95))
