"""Small media mixes for tests: simulated weeks with known contributions, and posteriors made by hand.

Here: simulation by its own laws. Not here: fitting.
"""

from datetime import date

import numpy as np

from models.mmm.baseline import BaselinePrior, baseline
from models.mmm.posterior import MediaPosterior, linear_draws
from models.mmm.weeks import MediaWeeks

FIRST_DAY = date(2022, 1, 3)


def media_weeks(seed=0, channels=3, weeks=110, noise=0.04):
    """Weeks and the true outcome per dollar of each channel: geometric carry-over, logistic saturation."""
    rng = np.random.default_rng(seed)
    spend = rng.uniform(5e3, 4e4, channels) * np.exp(0.5 * rng.normal(size=(weeks, channels)))
    spend *= rng.random((weeks, channels)) > 0.1
    relative = spend / spend.max(axis=0)
    retention, rate = rng.beta(2, 4, channels), rng.gamma(6, 0.5, channels)
    effect = rng.uniform(0.15, 0.6, channels)
    added = np.empty((weeks, channels))
    for channel in range(channels):
        lags = retention[channel] ** np.arange(8)
        stock = np.convolve(relative[:, channel], lags / lags.sum())[:weeks]
        added[:, channel] = effect[channel] * np.tanh(rate[channel] * stock / 2)
    at = np.arange(weeks)
    promotion = rng.normal(size=weeks)
    base = 1 + 0.1 * np.sin(2 * np.pi * at / 52.18) + 0.001 * at + 0.1 * promotion
    outcome = 500 * (base + added.sum(axis=1) + noise * rng.normal(size=weeks))
    names = tuple(f"c{channel}" for channel in range(channels))
    found = MediaWeeks(FIRST_DAY, names, spend, outcome, promotion[:, None], ("promo",))
    return found, 500 * added.sum(axis=0) / spend.sum(axis=0)


def by_hand(weeks, *, draws=1200, chains=4, spread=0.1, noise=0.04, seed=0, **changes):
    """Independent draws around fixed parameters, with baseline coefficients drawn to match the outcome."""
    rng = np.random.default_rng(seed)
    shape = (draws, len(weeks.channels))
    posterior = MediaPosterior(
        weeks,
        "geometric",
        "logistic",
        8,
        baseline(weeks, BaselinePrior()),
        {
            "retention": rng.beta(20, 40, shape),
            "rate": 3 * np.exp(spread * rng.normal(size=shape)),
        },
        0.2 * np.exp(spread * rng.normal(size=shape)),
        noise * np.exp(0.05 * rng.normal(size=draws)),
        np.empty((0, 0)),
        **{"chains": chains, "energy": rng.normal(size=(chains, draws // chains))} | changes,
    )
    return linear_draws(posterior, rng)
