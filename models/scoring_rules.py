"""Proper scores of a whole forecast distribution: the lowest expected score is the truth's own.

Here: scores of draws beside what came. Not here: scores of single quantiles and what they are compared with
(`models.accuracy`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def crps(ordered: NDArray[np.floating], actual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Continuous ranked probability score of each row's draws, in the unit of what is forecast; 0 is best.

    CRPS(F, y) = E|X − y| − ½ E|X − X'| for X, X' ~ F independent (Gneiting & Raftery 2007, eq. 21), with F
    the law that gives each draw 1/n. On ordered draws ½ E|X − X'| = Σ (2i − n − 1) x₍ᵢ₎ / n², i = 1 … n, so
    no pair is formed. It is twice the pinball loss averaged over all levels, and of one single draw its
    absolute error.

    Args:
        ordered: draws along the last axis, rising, shape (rows, n).
        actual: shape (rows,).
    """
    n = ordered.shape[1]
    ranks = (2.0 * np.arange(1, n + 1) - n - 1) / n**2
    distance = np.abs(ordered - actual[:, None]).mean(axis=1, dtype=np.float64)
    spread = ordered.astype(np.float64, copy=False) @ ranks
    # In the last bit draws that all agree could fall below zero.
    score: NDArray[np.float64] = np.maximum(distance - spread, 0.0)
    return score
