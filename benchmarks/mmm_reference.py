"""The collapsed media-mix model beside the stock model of pymc-marketing, all samplers on the same weeks.

Here: how far returns on spend differ. Not here: the stock model (`mmm_peers`), how fast (`mmm_sampling`),
whether either is right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import arviz
import numpy as np
import nutpie
import pymc as pm

from benchmarks.mmm_peers.fit_pymc_marketing import marketing_model
from benchmarks.mmm_peers.task import Priors, peer_task
from benchmarks.record import Figure, Record
from benchmarks.simulated_media import simulated_media
from models.mmm.baseline import BaselinePrior
from models.mmm.collapsed import Sampler, Sampling, Specification, fit
from models.mmm.posterior import MediaPosterior
from models.mmm.weeks import MediaWeeks

SHARED = Specification(prior=BaselinePrior(drift_sd=0.0, demand_sd=0.0, memories=(0.0,)))
"""What both have of their own: pymc-marketing has no demand, independent weeks, a drift of another kind."""
MOST_APART = 4.0
"""Accepted distance of means and interval ends, in Monte Carlo errors; the largest of some dozen is shown."""
QUANTILES = (0.05, 0.95)


def stock_model(weeks: MediaWeeks, specification: Specification = SHARED) -> pm.Model:
    """pymc-marketing's model of the weeks under our priors; its own Laplace on seasonality becomes Normal."""
    return marketing_model(peer_task(weeks, Priors.of(specification)))


def stock_returns(trace: Any, weeks: MediaWeeks) -> np.ndarray:
    """Outcome per dollar by the stock model's own contributions, shape (chains, draws, channels)."""
    added = trace.posterior["channel_contribution"].sum("date").transpose("chain", "draw", "channel")
    found: np.ndarray = added.to_numpy() * weeks.outcome_scale / weeks.spend.sum(axis=0)
    return found


def mmm_reference(channels: int = 5, weeks: int = 143, draws: int = 1000) -> Record:
    """Distances of the stock model (by nutpie) and of our other samplers from ours by nutpie."""
    media, _ = simulated_media(3, channels, weeks)
    sampling = Sampling(seed=1, draws=draws, tune=draws)
    ours = _by_chain(fit(media, SHARED, sampling))
    stock = stock_model(media)
    free = [variable.name for variable in stock.free_RVs]
    compiled = nutpie.compile_pymc_model(stock, var_names=[*free, "channel_contribution"])
    trace = nutpie.sample(
        compiled, draws=draws, tune=draws, chains=4, cores=2, seed=1, target_accept=0.9, progress_bar=False
    )
    figures = _distances("pymc-marketing", stock_returns(trace, media), ours)
    others: tuple[Sampler, ...] = ("pymc", "numpyro")
    for sampler in others:
        found = _by_chain(fit(media, SHARED, replace(sampling, sampler=sampler)))
        figures += _distances(f"ours by {sampler}", found, ours)
    return Record(
        "mmm_reference",
        {"channels": channels, "weeks": weeks, "draws": draws},
        figures,
        note="Return on spend over the weeks, largest distance over channels from ours by nutpie. "
        "tests/models/test_mmm_reference.py shows that the densities are equal.",
    )


def _by_chain(posterior: MediaPosterior) -> np.ndarray:
    found: np.ndarray = posterior.return_on_spend().reshape(
        posterior.chains, -1, len(posterior.weeks.channels)
    )
    return found


def _distances(name: str, found: np.ndarray, ours: np.ndarray) -> list[Figure]:
    figures = []
    spread = ours.std(axis=(0, 1))
    for what, method, quantiles in (
        ("means", "mean", (None,)),
        ("ends of 90 % intervals", "quantile", QUANTILES),
    ):
        apart, errors = [], []
        for channel, sd in enumerate(spread):
            for at in quantiles:
                pair = [draws[:, :, channel] for draws in (found, ours)]
                values = [draws.mean() if at is None else np.quantile(draws, at) for draws in pair]
                error = np.hypot(*(_error(draws, method, at) for draws in pair))
                apart.append(abs(values[0] - values[1]) / sd)
                errors.append(abs(values[0] - values[1]) / error)
        figures += [
            Figure(f"{name}: {what}", float(max(apart)), "posterior sd"),
            Figure(
                f"{name}: {what}, beside luck",
                float(max(errors)),
                "Monte Carlo errors",
                f"≤ {MOST_APART:.0f}",
                bool(max(errors) <= MOST_APART),
            ),
        ]
    return figures


def _error(draws: np.ndarray, method: str, prob: float | None) -> float:
    return float(arviz.mcse({"value": draws}, method=method, prob=prob)["value"])
