"""What a model's own past forecasts teach about it: bias, width, and how much errors have in common.

Here: lessons from weekly forecasts made without knowing their outcome (each is one `Trial`).
Not here: making those forecasts (`dynamics`).

A naive method may use its past residuals, so the model does too, but a month of weeks must not overrule it:
bias and common share are shrunk by weeks / (weeks + 4), the width by n / (n + 2).

The width is split conformal on weeks that the forecasts of them had not seen: the factor on the rate's
standard deviation that would have kept a share 0.8 (n + 1) / n of them inside. n counts independent errors:
sizes of errors that correlate by r correlate by r², so k series of one week count for k / (1 + (k - 1) r²).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Trial = NDArray[np.float64]
"""One number of one week, shape (series,); NaN where a series says nothing."""

COVERED = 0.8
STUDENT_P90 = 1.5332
"""90 % quantile of the Student t with four degrees of freedom, in units of its scale."""
NORMAL_P90 = 1.2816
REMEMBERED_WEEKS = 8
SHRINKAGE_WEEKS = 4.0
LARGEST_BIAS = 2.0
SHRINKAGE_ERRORS = 2.0
WIDTHS = (0.4, 2.5)
_PRIOR_SHARE = 0.5


@dataclass(frozen=True)
class Lesson:
    """Per series, but equal within an account.

    Attributes:
        bias: mean weekly median error, in standard deviations; what to add to the level.
        width: factor on the standard deviations of the rate, below 1 where its weeks were foreseen better
            than promised; counting noise is left as it is.
        shared: mean pairwise correlation of errors; one half before anything is known, so that
            totals stay honestly wide.
    """

    bias: NDArray[np.float64]
    width: NDArray[np.float64]
    shared: NDArray[np.float64]


def width_needed(
    error: NDArray[np.float64], of_rate: NDArray[np.float64], of_counts: NDArray[np.float64]
) -> Trial:
    """The factor on the rate's standard deviation at which an 80 % interval ends just at the outcome.

    Args:
        error: log outcome over forecast.
        of_rate: scale² of the rate's Student t.
        of_counts: variance of the counting noise, which is not scaled; 0 is returned where it suffices.
    """
    beyond = np.maximum(error**2 - NORMAL_P90**2 * of_counts, 0.0)
    needed: Trial = np.sqrt(beyond / (STUDENT_P90**2 * of_rate))
    return needed


def learn_from(errors: Sequence[Trial], widths: Sequence[Trial], pool: NDArray[np.int64]) -> Lesson:
    """Lessons per account from the last REMEMBERED_WEEKS trials of either kind.

    Args:
        errors: standardised errors of forecasts of the week after the last day seen.
        widths: `width_needed` by forecasts of a week as far from the last day seen as the next one is.
        pool: index of the account per series, shape (series,).
    """
    lesson = Lesson(np.zeros(pool.size), np.ones(pool.size), np.full(pool.size, _PRIOR_SHARE))
    for member in np.unique(pool):
        inside = pool == member
        weeks = _told(errors, inside)
        if weeks:
            trust = len(weeks) / (len(weeks) + SHRINKAGE_WEEKS)
            medians = np.clip([np.median(week) for week in weeks], -LARGEST_BIAS, LARGEST_BIAS)
            lesson.bias[inside] = trust * medians.mean()
            lesson.shared[inside] = _shared(weeks)
        lesson.width[inside] = _width(_told(widths, inside), float(lesson.shared[inside][0]))
    return lesson


def _told(trials: Sequence[Trial], inside: NDArray[np.bool_]) -> list[Trial]:
    weeks = [trial[inside] for trial in trials]
    weeks = [week[~np.isnan(week)] for week in weeks]
    return [week for week in weeks if week.size][-REMEMBERED_WEEKS:]


def _width(weeks: list[Trial], shared: float) -> float:
    if not weeks:
        return 1.0
    independent = sum(week.size / (1.0 + (week.size - 1) * shared**2) for week in weeks)
    level = min(COVERED * (independent + 1.0) / independent, 1.0)
    found = np.clip(np.quantile(np.concatenate(weeks), level), *WIDTHS)
    return float(found ** (independent / (independent + SHRINKAGE_ERRORS)))


def _shared(weeks: list[Trial]) -> float:
    products = [
        (week.sum() ** 2 - (week**2).sum()) / (week.size * (week.size - 1)) / max((week**2).mean(), 1e-9)
        for week in weeks
        if week.size >= 2
    ]
    share = (_PRIOR_SHARE * SHRINKAGE_WEEKS + sum(products)) / (SHRINKAGE_WEEKS + len(products))
    return float(np.clip(share, 0.0, 0.95))
