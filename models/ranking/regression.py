"""Log-odds of creatives as a function of what they are, each group with a level of its own.

Here: Bayesian weighted ridge on features, groups profiled out, its scale from the data. Not here: the
features (`kernels`), what scores are good for (`evaluation`).

y = level(group) + φ(x)·β + extra + sampling error, β ~ N(0, a I), extra ~ N(0, τ), flat levels. The
restricted likelihood of (a, τ) has levels integrated out (Patterson and Thompson 1971, Recovery of
inter-block information when block sizes are unequal); on one eigendecomposition every a costs no more than
its sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, eigh, solve_triangular

from models.ranking.evidence import Arms, within_groups

FloatArray = npt.NDArray[np.float64]
AMPLITUDES = tuple(2.0**power for power in range(-5, 4))
"""Multiples of the blocks' prior variances."""
EXTRA_VARIANCES = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Variance of log-odds within a group that no feature tells: execution, luck of the auction."""


@dataclass(frozen=True)
class Scale:
    """How much features explain, as a multiple of their prior variance, and how much they do not."""

    amplitude: float
    extra_variance: float


@dataclass(frozen=True)
class Regression:
    """Posterior of the coefficients, shape (features,), and the triangular root of their precision."""

    scale: Scale
    coefficients: FloatArray
    root: FloatArray

    def mean(self, features: FloatArray) -> FloatArray:
        """Expected log-odds beyond the group's level, up to a constant; shape (creatives,)."""
        return features @ self.coefficients

    def variance(self, features: FloatArray) -> FloatArray:
        """Posterior variance of `mean`, without what is unexplained; shape (creatives,)."""
        whitened = solve_triangular(self.root, features.T, lower=True)
        return np.asarray((whitened * whitened).sum(axis=0))


def fit_regression(features: FloatArray, arms: Arms, scale: Scale) -> Regression:
    """Posterior under a given scale. Raises ValueError where no group has two arms."""
    centred, target, weights = _centred(features, arms, scale.extra_variance)
    precision = (centred * weights[:, None]).T @ centred
    precision[np.diag_indices_from(precision)] += 1.0 / scale.amplitude
    factor = cho_factor(precision, lower=True)
    coefficients = cho_solve(factor, (centred * weights[:, None]).T @ target)
    return Regression(scale, coefficients, np.ascontiguousarray(np.tril(factor[0])))


def likeliest_scale(features: FloatArray, arms: Arms) -> Scale:
    """The scale of AMPLITUDES × EXTRA_VARIANCES with the highest restricted likelihood.

    Raises:
        ValueError: no group has two arms.
    """
    best, likeliest = -np.inf, Scale(1.0, EXTRA_VARIANCES[0])
    for extra in EXTRA_VARIANCES:
        centred, target, weights = _centred(features, arms, extra)
        weighted = centred * weights[:, None]
        values, vectors = eigh(weighted.T @ centred)
        values = np.maximum(values, 0.0)
        seen = (vectors.T @ (weighted.T @ target)) ** 2
        totals = np.bincount(arms.numbered, weights)
        fixed = 0.5 * (np.log(weights).sum() - np.log(totals).sum() - (weights * target * target).sum())
        for amplitude in AMPLITUDES:
            shrunk = 1.0 + amplitude * values
            likelihood = fixed + 0.5 * ((amplitude * seen / shrunk).sum() - np.log(shrunk).sum())
            if likelihood > best:
                best, likeliest = likelihood, Scale(amplitude, extra)
    return likeliest


def _centred(
    features: FloatArray, arms: Arms, extra_variance: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    if len(np.unique(arms.group)) == len(arms):
        raise ValueError("no two arms competed in one group: there is nothing to learn a ranking from")
    weights = 1.0 / (arms.log_odds_variance + extra_variance)
    return (
        within_groups(features, arms.numbered, weights),
        within_groups(arms.log_odds, arms.numbered, weights),
        weights,
    )
