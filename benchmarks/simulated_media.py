"""A media mix whose truth is known and which the model can hold: geometric carry-over, logistic saturation.

Here: simulation by its own laws, for timing and for tests of the model. Not here: worlds that do not match
the model, anything imported from what is fitted.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from models.mmm.weeks import MediaWeeks

FIRST_DAY = date(2023, 1, 2)


def simulated_media(
    seed: int = 0, channels: int = 3, weeks: int = 110, noise: float = 0.04
) -> tuple[MediaWeeks, np.ndarray]:
    """Weeks with one control, and the true outcome per dollar of each channel over them."""
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
