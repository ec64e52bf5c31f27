"""The collapsed media-mix model beside the stock model of pymc-marketing, all samplers on the same weeks.

Here: building the stock model with our priors, and how far returns on spend differ. Not here: how fast
(`mmm_sampling`), whether either is right.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

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
from models.mmm.response import Parameter
from models.mmm.weeks import MediaWeeks

SHARED = Specification(prior=BaselinePrior(drift_sd=0.0))
"""What both can express: pymc-marketing has no drift of fixed length."""
MOST_APART = 0.15
"""Accepted distance of means and interval ends, in posterior standard deviations: three Monte Carlo errors of
an interval's end at a thousand effective draws on each side."""
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
    """Outcome per dollar by the stock model's own contributions, shape (draws, channels)."""
    added = trace.posterior["channel_contribution"].sum("date").stack(sample=("chain", "draw"))
    found: np.ndarray = added.transpose("sample", "channel").to_numpy() * weeks.outcome_scale
    return found / weeks.spend.sum(axis=0)


def mmm_reference(channels: int = 5, weeks: int = 143, draws: int = 1000) -> Record:
    """Distances of the stock model (by nutpie) and of our other samplers from ours by nutpie."""
    media, _ = simulated_media(3, channels, weeks)
    sampling = Sampling(seed=1, draws=draws, tune=draws)
    ours = fit(media, SHARED, sampling).return_on_spend()
    stock = stock_model(media)
    free = [variable.name for variable in stock.free_RVs]
    compiled = nutpie.compile_pymc_model(stock, var_names=[*free, "channel_contribution"])
    trace = nutpie.sample(
        compiled, draws=draws, tune=draws, chains=4, cores=2, seed=1, target_accept=0.9, progress_bar=False
    )
    figures = _distances("pymc-marketing", stock_returns(trace, media), ours)
    others: tuple[Sampler, ...] = ("pymc", "numpyro")
    for sampler in others:
        found = fit(media, SHARED, replace(sampling, sampler=sampler)).return_on_spend()
        figures += _distances(f"ours by {sampler}", found, ours)
    return Record(
        "mmm_reference",
        {"channels": channels, "weeks": weeks, "draws": draws},
        figures,
        note="Return on spend over the weeks, largest over channels, in posterior standard deviations, from "
        "ours by nutpie. tests/models/test_mmm_reference.py shows that the densities are equal.",
    )


def _distances(name: str, found: np.ndarray, ours: np.ndarray) -> list[Figure]:
    spread = ours.std(axis=0)
    means = np.abs((found.mean(axis=0) - ours.mean(axis=0)) / spread).max()
    ends = np.abs((np.quantile(found, QUANTILES, axis=0) - np.quantile(ours, QUANTILES, axis=0)) / spread)
    return [
        Figure(f"{name}: {what}", float(value), "sd", f"≤ {MOST_APART}", bool(value <= MOST_APART))
        for what, value in (("means", means), ("ends of 90 % intervals", ends.max()))
    ]
