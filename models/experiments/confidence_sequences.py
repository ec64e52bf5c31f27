"""Intervals for a mean that hold at every look at once: however often one looks, and whenever one stops.

Here: an empirical-Bernstein confidence sequence for bounded observations. Not here: what is observed.

Howard, Ramdas, McAuliffe, Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence sequences,
Annals of Statistics 49(2): theorem 4 (empirical Bernstein) with the gamma-exponential mixture of proposition
9. It covers the running mean of the observations' conditional expectations, so these may drift and depend on
the past. The betting sequences of Waudby-Smith and Ramdas (2024), JRSS B 86(1), are narrower, but want one
constant mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaln

FloatArray = npt.NDArray[np.float64]
_HALVINGS = 40


@dataclass(frozen=True)
class ConfidenceSequence:
    """The running mean after each observation, with its interval; shape (observations,) each."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray


def empirical_bernstein_sequence(
    observations: npt.ArrayLike, bound: float, *, alpha: float, tuned_variance: float
) -> ConfidenceSequence:
    """|mean_t - (1/t) Σ E[x_i | past]| < u(V_t)/t for all t at once, with probability 1 - alpha or more.

    V_t = Σ (x_i - x̂_i)², x̂_i the mean of the observations before i (0 for the first), known before x_i is.

    Args:
        observations: in their order, each in [-bound, bound], shape (observations,).
        bound: of their absolute value, fixed before any was seen.
        alpha: probability that the interval ever leaves out what it is of, in (0, 1).
        tuned_variance: V at which the interval is narrowest, fixed before any was seen; it is valid for any.
    Raises:
        ValueError: an observation beyond the bound or NaN, or an argument out of range.
    """
    x = np.asarray(observations, dtype=np.float64)
    if not (bound > 0 and 0 < alpha < 1 and tuned_variance > 0):
        raise ValueError("bound and tuned_variance must be positive, alpha in (0, 1)")
    if not np.all(np.abs(x) <= bound * (1 + 1e-12)):  # NaN is refused too
        raise ValueError(f"observations must lie in [-{bound:g}, {bound:g}]")
    count = np.arange(1, len(x) + 1)
    mean = np.cumsum(x) / count
    predicted = np.concatenate([[0.0], mean[:-1]])[: len(x)]
    variance = np.cumsum((x - predicted) ** 2)
    # A half of alpha for each side; the scale is the width of the observations' range.
    radius = mixture_boundary(variance, 2 * bound, alpha=alpha / 2, tuned_variance=tuned_variance) / count
    return ConfidenceSequence(mean, np.maximum(mean - radius, -bound), np.minimum(mean + radius, bound))


def mixture_boundary(
    variance: npt.ArrayLike, scale: float, *, alpha: float, tuned_variance: float
) -> FloatArray:
    """What a sub-exponential process ever exceeds with probability alpha at most: s with M(s, v) = 1/alpha.

    Args:
        variance: v, the intrinsic time of the process, >= 0, any shape.
        scale: c, in the units of the process.
        alpha: one-sided crossing probability.
        tuned_variance: v at which the boundary is lowest.
    """
    v = np.asarray(variance, dtype=np.float64)
    prior = _prior(tuned_variance, alpha)
    threshold = -np.log(alpha)
    low, high = np.zeros_like(v), np.full_like(v, np.sqrt(prior) + scale)
    while np.any(short := log_mixture(high, v, scale, prior) < threshold):
        high = np.where(short, 2 * high, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = log_mixture(middle, v, scale, prior) < threshold
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(high)


def log_mixture(s: FloatArray, v: FloatArray, scale: float, prior: float) -> FloatArray:
    """log M(s, v), the supermartingale mixed over a truncated gamma law of its exponent; rises with s >= 0.

    With a = ρ/c², b = (v + ρ)/c², d = (c s + v)/c² and P the regularised lower incomplete gamma function:
    M = a^a / (Γ(a) P(a, a)) · Γ(b) P(b, d + a) / (d + a)^b · exp(d).

    Args:
        prior: ρ, how much intrinsic time the mixing law is worth.
    """
    a, b, d = prior / scale**2, (v + prior) / scale**2, (scale * s + v) / scale**2
    constant = a * np.log(a) - gammaln(a) - np.log(gammainc(a, a))
    mixed = constant + gammaln(b) + np.log(gammainc(b, d + a)) - b * np.log(d + a) + d
    return np.asarray(mixed, dtype=np.float64)


def _prior(tuned_variance: float, alpha: float) -> float:
    """ρ at which the normal mixture, which this one tends to, is lowest at `tuned_variance`."""
    doubled = 2 * np.log(1 / (2 * alpha))
    return float(tuned_variance / (doubled + np.log1p(doubled)))
