"""Log-odds of creatives as a function of what they are, each group with a level of its own.

Here: Bayesian weighted ridge on features, groups profiled out, its scale from the data. Not here: the
features (`kernels`), what scores are good for (`evaluation`).

y = level(group) + φ(x)·β + own(creative) + extra + sampling error, β ~ N(0, a I), own ~ N(0, σ²),
extra ~ N(0, τ), flat levels. Without the own part ten arms of one creative would count as ten creatives, and
features be taught the luck of one ad ten times over. The restricted likelihood of (a, σ², τ) has levels
integrated out (Patterson and Thompson 1971, Recovery of inter-block information when block sizes are
unequal); on one eigendecomposition every a costs no more than its sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, eigh, solve_triangular
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu

from models.ranking.evidence import Arms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
AMPLITUDES = tuple(2.0**power for power in range(-5, 4))
"""Multiples of the blocks' prior variances."""
EXTRA_VARIANCES = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Variance of an arm's log-odds within its group that no feature tells: luck of the auction, of the day."""
OWN_VARIANCES = (0.0, 0.01, 0.03, 0.1)
"""Variance of what a creative brings to each of its groups and no feature tells: execution."""


@dataclass(frozen=True)
class Scale:
    """How much features explain, as a multiple of their prior variance, and how much they do not.

    Attributes:
        amplitude: of AMPLITUDES.
        extra_variance: of an arm, of EXTRA_VARIANCES.
        own_variance: of a creative, of OWN_VARIANCES.
    """

    amplitude: float
    extra_variance: float
    own_variance: float


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


def fit_regression(features: FloatArray, arms: Arms, creative: IntArray, scale: Scale) -> Regression:
    """Posterior under a given scale.

    Args:
        features: shape (arms, features).
        arms: what they teach.
        creative: which creative an arm is of, any integers, shape (arms,).
        scale: of the variances.
    Raises:
        ValueError: no group has two arms.
    """
    sums = _Sums.of(features, arms, creative, scale.extra_variance)
    precision, told, _ = sums.without_levels_and(scale.own_variance)
    precision[np.diag_indices_from(precision)] += 1.0 / scale.amplitude
    factor = cho_factor(precision, lower=True)
    return Regression(scale, cho_solve(factor, told), np.ascontiguousarray(np.tril(factor[0])))


def likeliest_scale(features: FloatArray, arms: Arms, creative: IntArray) -> Scale:
    """The scale of AMPLITUDES × EXTRA_VARIANCES × OWN_VARIANCES with the highest restricted likelihood.

    Where no creative has two arms, none has a part of its own. Args and errors: see `fit_regression`.
    """
    best, likeliest = -np.inf, Scale(1.0, EXTRA_VARIANCES[0], 0.0)
    # A creative's own part and its only arm's cannot be told apart.
    owns = OWN_VARIANCES if len(np.unique(creative)) < len(arms) else (0.0,)
    for extra in EXTRA_VARIANCES:
        sums = _Sums.of(features, arms, creative, extra)
        for own in owns:
            precision, told, alone = sums.without_levels_and(own)
            values, vectors = eigh(precision)
            values = np.maximum(values, 0.0)
            seen = (vectors.T @ told) ** 2
            for amplitude in AMPLITUDES:
                shrunk = 1.0 + amplitude * values
                likelihood = alone + 0.5 * ((amplitude * seen / shrunk).sum() - np.log(shrunk).sum())
                if likelihood > best:
                    best, likeliest = likelihood, Scale(amplitude, extra, own)
    return likeliest


@dataclass(frozen=True)
class _Sums:
    """Weighted sums of M = (φ, y) over all arms, over each creative's and over each group's.

    Attributes:
        weights: 1 / (sampling variance + extra variance), shape (arms,).
        products: MᵀWM, shape (features + 1, features + 1).
        of_creatives, of_groups: shapes (creatives, features + 1) and (groups, features + 1).
        shared: weight of each creative in each group, shape (groups, creatives).
    """

    weights: FloatArray
    products: FloatArray
    of_creatives: FloatArray
    of_groups: FloatArray
    shared: csr_matrix

    @classmethod
    def of(cls, features: FloatArray, arms: Arms, creative: IntArray, extra_variance: float) -> _Sums:
        if len(np.unique(arms.group)) == len(arms):
            raise ValueError("no two arms competed in one group: there is nothing to learn a ranking from")
        numbered = np.unique(creative, return_inverse=True)[1]
        weights = 1.0 / (arms.log_odds_variance + extra_variance)
        told = np.column_stack((features, arms.log_odds))
        weighted = told * weights[:, None]
        rows, each = np.arange(len(arms)), np.ones(len(arms))
        return cls(
            weights,
            told.T @ weighted,
            csr_matrix((each, (numbered, rows))) @ weighted,
            csr_matrix((each, (arms.numbered, rows))) @ weighted,
            csr_matrix((weights, (arms.numbered, numbered))),
        )

    def without_levels_and(self, own_variance: float) -> tuple[FloatArray, FloatArray, float]:
        """φᵀΩφ, φᵀΩy and the restricted log-likelihood without features, up to a constant.

        Ω is the precision of y once own parts and then levels are integrated out. Own parts are eliminated
        one by one; levels together, by a sparse factorisation: the cost grows with the creatives that groups
        share, not with creatives times arms.
        """
        of_creative = np.asarray(self.shared.sum(axis=0)).ravel()
        held = own_variance / (1.0 + own_variance * of_creative)
        totals = np.asarray(self.shared.sum(axis=1)).ravel()
        levels = splu(
            (diags(totals) - self.shared @ diags(held) @ self.shared.T).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        of_groups = self.of_groups - self.shared @ (held[:, None] * self.of_creatives)
        left = (
            self.products
            - self.of_creatives.T @ (held[:, None] * self.of_creatives)
            - of_groups.T @ levels.solve(of_groups)
        )
        alone = 0.5 * (
            np.log(self.weights).sum()
            - np.log1p(own_variance * of_creative).sum()
            - np.log(np.abs(levels.U.diagonal())).sum()
            - left[-1, -1]
        )
        return left[:-1, :-1], left[:-1, -1], float(alone)
