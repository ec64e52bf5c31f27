"""Posteriors of media mixes made by hand. Not here: weeks (`benchmarks.simulated_media`), fitting."""

import numpy as np

from models.mmm.baseline import BaselinePrior, baseline
from models.mmm.posterior import MediaPosterior, linear_draws


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
        np.zeros(draws),
        np.empty((0, 0)),
        **{"chains": chains, "energy": rng.normal(size=(chains, draws // chains))} | changes,
    )
    return linear_draws(posterior, rng)
