"""Laws of motion of the simulated market: auction, fatigue, saturation, delay and count noise.

Here: small array functions, each a law of the sandbox world. Deliberately not the laws `models`
assume (no gamma-Poisson rates, no power-law returns, no exponential delay), and no code is shared
with it. Not here: state or the order in which the laws act (`kernel`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_DELAY_DAYS = 14
CLICK_WINDOW_DAYS = 7
PREFERENCE = 1.5  # how strongly a platform moves money to the ads it believes in


def generator(seed: int, stream: int, day: int) -> np.random.Generator:
    """A counter-based stream of its own for each purpose and day.

    Simulating more days, or other purposes, therefore never changes the draws of earlier ones.
    """
    return np.random.Generator(np.random.Philox(key=[seed, (stream << 32) | day]))


def auction_cpm(mean_cpm: FloatArray, spread: FloatArray, share: FloatArray) -> FloatArray:
    """Average price of buying the cheapest opportunities until `share` of the market's money is spent.

    The highest competing bid is lognormal with log sd `spread`. Bidding b wins when the competing
    bid is below b, at that bid; share f of the value then buys a fraction Φ(Φ⁻¹(f) + spread) of the
    opportunities (the lognormal Lorenz curve), so the mean price is E[P]·f / Φ(Φ⁻¹(f) + spread).

    Args:
        mean_cpm: E[P], dollars per 1,000, shape (n,).
        spread: log sd, shape (n,).
        share: fraction of the market's value bought, in (0, 1), shape (n,).
    """
    return np.asarray(mean_cpm * share / special.ndtr(special.ndtri(share) + spread), dtype=np.float64)


def fatigue(
    frequency: FloatArray, free: float = 0.4, tolerance: float = 1.6, floor: float = 0.35
) -> FloatArray:
    """Factor on the click rate after `frequency` recent impressions per person: none at first, then down."""
    return floor + (1.0 - floor) * np.exp(-np.maximum(frequency - free, 0.0) / tolerance)


def saturation(load: FloatArray) -> FloatArray:
    """Mean response of spending `load` audience-units when total response is 1 - exp(-load)."""
    safe = np.maximum(load, 1e-9)
    return -np.expm1(-safe) / safe


def threshold(spend: FloatArray, knee: FloatArray) -> FloatArray:
    """Factor on the conversion rate of an ad set that spends too little for the platform to optimise."""
    return 1.0 - 0.35 * np.exp(-np.square(spend / knee))


def beta_binomial(
    rng: np.random.Generator, trials: IntArray, probability: FloatArray, unrest: float
) -> IntArray:
    """Counts whose success probability itself varies: Beta with coefficient of variation about
    `unrest`, then binomial. Shape (n,)."""
    mean = np.clip(probability, 1e-12, 0.95)
    shape = 1.0 / unrest**2
    drawn = rng.beta(shape, shape * (1.0 - mean) / mean)
    return np.asarray(rng.binomial(trials, drawn), dtype=np.int64)


def _weibull_mixture(days: FloatArray, parts: tuple[tuple[float, float, float], ...]) -> FloatArray:
    """CDF of a mixture of Weibulls, each (weight, shape, scale in days)."""
    return np.asarray(
        sum(w * -np.expm1(-np.power(np.maximum(days, 0.0) / scale, shape)) for w, shape, scale in parts),
        dtype=np.float64,
    )


def order_delay(consideration_days: float, window_days: int, view: bool) -> FloatArray:
    """P(order k calendar days after the click or view), k = 0 … window_days; shape (window_days + 1,).

    Orders within the attribution window only. Impulse buyers return within the hour, the rest
    think for days (a second Weibull). A click falls at any time of day, hence the average over it.
    """
    if view:
        parts: tuple[tuple[float, float, float], ...] = ((1.0, 0.8, 0.35),)
    else:
        parts = ((0.38, 1.2, 0.03), (0.62, 0.75, consideration_days))
    time_of_day = (np.arange(400) + 0.5) / 400
    whole_days = np.arange(1, window_days + 1)
    cdf = _weibull_mixture(whole_days[:, None] - time_of_day[None, :], parts).mean(axis=1)
    cdf = np.append(cdf, _weibull_mixture(np.array([float(window_days)]), parts))
    return np.diff(np.minimum(cdf / cdf[-1], 1.0), prepend=0.0)


def reporting_lag() -> FloatArray:
    """P(the platform shows a conversion k days after the order), k = 0 … 14: mostly at once, a
    lognormal tail of late matches."""
    days = np.arange(1, MAX_DELAY_DAYS + 1, dtype=np.float64)
    tail = np.diff(stats.lognorm.cdf(days, s=0.8, scale=np.exp(0.9)), prepend=0.0)
    return np.concatenate([[0.86], 0.14 * tail / tail.sum()])


def reported_delay(order: FloatArray) -> FloatArray:
    """P(shown k days after the click), k = 0 … 14: order delay plus reporting lag, cut at 14 days."""
    total = np.convolve(order, reporting_lag())
    kept = total[: MAX_DELAY_DAYS + 1].copy()
    kept[-1] += total[MAX_DELAY_DAYS + 1 :].sum()
    return kept


def totals(index: IntArray, values: NDArray[Any], size: int) -> FloatArray:
    """Sum of `values` by `index`, shape (size,)."""
    return np.asarray(np.bincount(index, weights=values, minlength=size), dtype=np.float64)


def draw_from(rng: np.random.Generator, probabilities: FloatArray, size: int) -> IntArray:
    """Indices drawn with the given probabilities (inverse CDF), shape (size,)."""
    drawn = np.searchsorted(np.cumsum(probabilities), rng.random(size), side="right")
    return np.asarray(np.minimum(drawn, len(probabilities) - 1), dtype=np.int64)


def autoregression(rng: np.random.Generator, days: int, series: int, sd: float, memory: float) -> FloatArray:
    """Stationary AR(1) paths in logs with the given sd, shape (days, series)."""
    shocks = rng.normal(0.0, sd, (days, series))
    path = np.empty_like(shocks)
    path[0] = shocks[0]
    for day in range(1, days):
        path[day] = memory * path[day - 1] + np.sqrt(1.0 - memory**2) * shocks[day]
    return path
