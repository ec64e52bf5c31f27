"""From a difference of scores to a probability: how often the higher-scored of two ads is the better one.

Here: isotonic calibration, Venn–Abers where there is little to calibrate on, calibration error. Not here: the
scores (`candidates`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sklearn.isotonic import IsotonicRegression

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
SMALL_SAMPLE = 1_000
"""Outcomes below which isotonic steps are mostly chance."""
_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Scores and outcomes that a new score is read against, shape (outcomes,) each."""

    score: FloatArray
    outcome: BoolArray

    def __post_init__(self) -> None:
        if len(self.score) != len(self.outcome) or len(self.score) == 0:
            raise ValueError("calibration needs scores, each with its outcome")

    def probability(self, score: npt.ArrayLike) -> FloatArray:
        """Of the outcome, for each score; monotone in it, shape (scores,).

        Isotonic regression; with fewer than SMALL_SAMPLE outcomes the inductive Venn–Abers
        predictor's p₁ / (1 - p₀ + p₁) (Vovk and Petej 2014, Venn–Abers predictors, UAI), whose pair of
        probabilities holds the calibrated one whatever the sample.
        """
        asked = np.asarray(score, dtype=np.float64)
        if len(self.score) >= SMALL_SAMPLE:
            fitted = self._isotonic(self.score, self.outcome.astype(np.float64))
            return np.asarray(fitted.predict(asked), dtype=np.float64)
        # Only a score's place among those known counts.
        known = np.unique(self.score)
        place = np.searchsorted(known, asked, "left") + np.searchsorted(known, asked, "right")
        _, one_of_each, back = np.unique(place, return_index=True, return_inverse=True)
        pairs = [self._as_if(value) for value in asked[one_of_each]]
        return np.array([high / (1.0 - low + high) for low, high in pairs])[back]

    def _as_if(self, value: float) -> tuple[float, float]:
        """The probability at a score if its own outcome were no, and if it were yes."""
        scores = np.append(self.score, value)
        low, high = (
            float(self._isotonic(scores, np.append(self.outcome, own).astype(float)).predict([value])[0])
            for own in (False, True)
        )
        return low, high

    @staticmethod
    def _isotonic(score: FloatArray, outcome: FloatArray) -> IsotonicRegression:
        from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - a second to import

        return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, outcome)


def pairwise_calibration(difference: FloatArray, better: BoolArray) -> Calibration:
    """Calibration of P(the first of two is better) on the scores' difference.

    Each pair counts both ways round: then the probability at -d is one less that at d, and 0.5 at 0.

    Args:
        difference: first score less second, shape (pairs,).
        better: the first one was, shape (pairs,).
    """
    return Calibration(np.concatenate([difference, -difference]), np.concatenate([better, ~better]))


def expected_calibration_error(probability: FloatArray, outcome: BoolArray) -> float:
    """Mean |share of outcomes - mean probability| over ten bins of equal count, weighted by count.

    NaN without outcomes.
    """
    if not len(outcome):
        return float("nan")
    bins = _bins(probability)
    gaps = [abs(float(outcome[part].mean() - probability[part].mean())) * len(part) for part in bins]
    return sum(gaps) / len(outcome)


def chance_calibration_error(probability: FloatArray, *, independent: float) -> float:
    """The error above that perfect probabilities would show by chance: half-normal gaps of each bin.

    Args:
        independent: share of the outcomes that tell something of their own, in (0, 1]: pairs that share an
            arm do not.
    """
    if not len(probability):
        return float("nan")
    gaps = [
        np.sqrt(float((probability[part] * (1.0 - probability[part])).mean()) / (independent * len(part)))
        * len(part)
        for part in _bins(probability)
    ]
    return float(np.sqrt(2.0 / np.pi) * sum(gaps) / len(probability))


def _bins(probability: FloatArray) -> list[npt.NDArray[np.int64]]:
    """Ten bins of equal count; fewer where there are fewer outcomes."""
    order = np.argsort(probability, kind="stable")
    return np.array_split(order, min(_BINS, len(order)))
