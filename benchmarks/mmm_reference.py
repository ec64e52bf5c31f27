"""The collapsed media-mix model beside the stock model of pymc-marketing, all samplers on the same weeks.

Here: building the stock model with our priors, and how far returns on spend differ. Not here: how fast
(`mmm_sampling`), whether either is right.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import arviz
import numpy as np
import nutpie
import pandas as pd
import pymc as pm
import xarray
from pymc_extras.prior import Prior
from pymc_marketing.mmm import MMM, GeometricAdstock, LogisticSaturation

from benchmarks.record import Figure, Record
from benchmarks.simulated_media import simulated_media
from models.mmm.baseline import BaselinePrior
from models.mmm.collapsed import Sampler, Sampling, Specification, effect_scale, fit
from models.mmm.posterior import MediaPosterior
from models.mmm.response import Parameter
from models.mmm.weeks import MediaWeeks

SHARED = Specification(prior=BaselinePrior(drift_sd=0.0, demand_sd=0.0, memories=(0.0,)))
"""What both can express: pymc-marketing has neither such a drift nor demand, and weeks are independent."""
MOST_APART = 4.0
"""Accepted distance of means and interval ends, in Monte Carlo errors; the largest of some dozen is shown."""
QUANTILES = (0.05, 0.95)


def stock_model(weeks: MediaWeeks, specification: Specification = SHARED) -> pm.Model:
    """pymc-marketing's model of the weeks under our priors; its own Laplace on seasonality becomes Normal."""
    prior = specification.prior
    inputs = pd.DataFrame(
        {"date": pd.to_datetime(weeks.days)}
        | {name: weeks.spend[:, at] for at, name in enumerate(weeks.channels)}
        | {name: weeks.controls[:, at] for at, name in enumerate(weeks.control_names)}
    )
    retention, rate = specification.media_parameters()
    scale = xarray.DataArray(effect_scale(weeks, specification), dims="channel")
    effect = Prior("HalfNormal", sigma=scale, dims="channel")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the class goes with 0.20, and the pin with it
        model = MMM(
            date_column="date",
            channel_columns=list(weeks.channels),
            adstock=GeometricAdstock(l_max=specification.lags, priors={"alpha": _prior("Beta", retention)}),
            saturation=LogisticSaturation(priors={"lam": _prior("Gamma", rate), "beta": effect}),
            control_columns=list(weeks.control_names),
            yearly_seasonality=prior.yearly_orders,
            model_config={
                "intercept": Prior("Normal", mu=0, sigma=prior.intercept_sd),
                "likelihood": Prior("Normal", sigma=Prior("HalfNormal", sigma=specification.noise_sd)),
                "gamma_control": Prior("Normal", mu=0, sigma=prior.control_sd, dims="control"),
                "gamma_fourier": Prior("Normal", mu=0, sigma=prior.yearly_sd, dims="fourier_mode"),
            },
        )
        model.build_model(inputs, pd.Series(weeks.outcome, name="y"))
    return model.model


def _prior(law: str, parameter: Parameter) -> Prior:
    return Prior(law, alpha=parameter.first, beta=parameter.second, dims="channel")


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
