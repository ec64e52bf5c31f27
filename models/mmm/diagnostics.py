"""May these draws be believed: did the chains agree, and does the model look like the data?

Here: convergence, posterior-predictive checks, leave-one-out, what the prior alone answered. Not here: error
on weeks held out (`validation`), what a bad fit blocks (`aelp_assets`). Importing it loads ArviZ: seconds.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

import arviz
import numpy as np
import polars as pl
import xarray
from scipy import stats

from models.mmm.posterior import MediaPosterior
from models.mmm.response import FloatArray, Parameter
from models.mmm.specification import Specification, effect_scale

MOST_RHAT = 1.01
LEAST_EFFECTIVE = 400.0
MOST_DIVERGENCES = 0
LEAST_BFMI = 0.3
MOST_PARETO_K = 0.7
"""Above it a week's leave-one-out density is not to be trusted (Vehtari et al. 2017)."""
MOST_MEMORY = 0.05
"""Mean correlation of what is left with the week before above which something unmeasured lasts: 69 of 88 fits
of misspecified simulated weeks were above it, 5 of 18 of matched ones."""
UNUSUAL = 0.005
"""Predictive checks warn below this probability and above 1 less it."""
MOSTLY_PRIOR = 0.25
"""A channel's return whose variance shrank by less than this share is the prior's answer."""


@dataclass(frozen=True)
class ChannelContraction:
    """1 - posterior variance / prior variance: 1 where data decide, 0 (or below) where the prior does.

    Attributes:
        parameters: of each media parameter and the largest response, by name.
        return_on_spend: of the return over the fitted weeks.
    """

    channel: str
    parameters: dict[str, float]
    return_on_spend: float

    @property
    def mostly_prior(self) -> bool:
        return self.return_on_spend < MOSTLY_PRIOR


@dataclass(frozen=True)
class Diagnosis:
    """What stands for and against a fit.

    Attributes:
        max_rhat: worst rank-normalised split R-hat over everything sampled; null where there is one chain.
        min_ess_bulk, min_ess_tail: fewest effective draws of anything sampled.
        bfmi: lowest of the chains; null where the sampler has no energy.
        p_sd, p_autocorrelation, p_max: P(replicated ≥ observed): of the outcome's standard deviation, of the
            residuals' correlation with those a week before, of the largest week.
        weeks_in_interval: share of fitted weeks inside their central 80 % interval.
        r_squared: median share of variance explained (Gelman et al. 2019).
        memory: mean correlation of what is left with the week before.
        elpd, elpd_error, worst_pareto_k: leave-one-out expected log density of weeks, each given the one
            before, outcome scales.
        problems: why the fit must not be used; empty where it passed.
        warnings: what does not block it.
    """

    max_rhat: float | None
    min_ess_bulk: float
    min_ess_tail: float
    divergences: int
    bfmi: float | None
    p_sd: float
    p_autocorrelation: float
    p_max: float
    weeks_in_interval: float
    r_squared: float
    memory: float
    elpd: float
    elpd_error: float
    worst_pareto_k: float
    approximate: bool
    channels: tuple[ChannelContraction, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.problems

    def frame(self) -> pl.DataFrame:
        """One row: every figure, passed, problems and warnings as text."""
        row = {name: value for name, value in asdict(self).items() if name != "channels"}
        row |= {"problems": " ".join(self.problems), "warnings": " ".join(self.warnings)}
        numbers = dict.fromkeys(("max_rhat", "bfmi"), pl.Float64)
        return pl.DataFrame([row | {"passed": self.passed}], schema_overrides=numbers)

    def channel_frame(self) -> pl.DataFrame:
        """A row per channel and parameter: channel, parameter, contraction, mostly_prior (of its return)."""
        return pl.DataFrame(
            [
                {
                    "channel": each.channel,
                    "parameter": name,
                    "contraction": value,
                    "mostly_prior": each.mostly_prior,
                }
                for each in self.channels
                for name, value in {**each.parameters, "return_on_spend": each.return_on_spend}.items()
            ]
        )


def diagnose(posterior: MediaPosterior, specification: Specification, rng: np.random.Generator) -> Diagnosis:
    """Every figure of a posterior and what it means; a stored posterior serves as well as a fresh one."""
    convergence = _convergence(posterior)
    found = Diagnosis(
        **convergence,
        **_predictive(posterior, rng),
        **_leave_one_out(posterior),
        divergences=posterior.divergences,
        approximate=posterior.approximate,
        channels=_contraction(posterior, specification, rng),
    )
    return replace(found, problems=tuple(_problems(found)), warnings=tuple(_warnings(found)))


def chains_of(posterior: MediaPosterior) -> xarray.Dataset:
    """Everything sampled, by chain: media parameters, effect and noise."""
    shape = (posterior.chains, posterior.draws // posterior.chains)
    values = {**posterior.media, "effect": posterior.effect, "noise": posterior.noise[:, None]}
    return xarray.Dataset(
        {
            name: (("chain", "draw", f"{name}_at"), value.reshape(*shape, value.shape[1]))
            for name, value in values.items()
        }
    )


def _convergence(posterior: MediaPosterior) -> dict[str, Any]:
    chains = chains_of(posterior)
    bulk, tail = (arviz.ess(chains, method=method) for method in ("bulk", "tail"))
    with np.errstate(invalid="ignore"):  # chains that never moved: no number, which does not pass
        rhat = _over_all(arviz.rhat(chains), np.max) if posterior.chains > 1 else None
    energy = posterior.energy
    return {
        "max_rhat": rhat,
        "min_ess_bulk": _over_all(bulk, np.min),
        "min_ess_tail": _over_all(tail, np.min),
        "bfmi": None if energy is None else float(np.min(arviz.bfmi(energy))),
    }


def _over_all(dataset: xarray.Dataset, of: Any) -> float:
    return float(of(np.concatenate([values.to_numpy().reshape(-1) for values in dataset.data_vars.values()])))


def _predictive(posterior: MediaPosterior, rng: np.random.Generator) -> dict[str, Any]:
    observed = posterior.weeks.outcome
    expected, replicated = posterior.expected(), posterior.predicted(rng)
    low, high = np.quantile(replicated, (0.1, 0.9), axis=0)
    explained = expected.var(axis=1)
    left = posterior.spread() ** 2
    echo = _autocorrelation(replicated - expected) >= _autocorrelation(observed - expected)
    return {
        "p_sd": float((replicated.std(axis=1) >= observed.std()).mean()),
        "p_autocorrelation": float(echo.mean()),
        "p_max": float((replicated.max(axis=1) >= observed.max()).mean()),
        "weeks_in_interval": float(((observed >= low) & (observed <= high)).mean()),
        "r_squared": float(np.median(explained / (explained + left))),
        "memory": float(posterior.memory.mean()),
    }


def _autocorrelation(series: FloatArray) -> FloatArray:
    """Correlation with the week before, along the last axis."""
    centred = series - series.mean(axis=-1, keepdims=True)
    together = (centred[..., 1:] * centred[..., :-1]).sum(axis=-1)
    found: FloatArray = together / np.maximum((centred**2).sum(axis=-1), 1e-300)
    return found


def _leave_one_out(posterior: MediaPosterior) -> dict[str, Any]:
    missed = posterior.news() / posterior.weeks.outcome_scale
    density = stats.norm.logpdf(missed, scale=posterior.noise[:, None])
    shape = (posterior.chains, -1, posterior.weeks.number)
    inference = arviz.from_dict(
        posterior={"noise": posterior.noise.reshape(posterior.chains, -1)},
        log_likelihood={"outcome": density.reshape(shape)},
    )
    with warnings.catch_warnings():  # a high Pareto k is reported below, as a figure
        warnings.simplefilter("ignore", UserWarning)
        found = arviz.loo(inference, pointwise=True)
    return {
        "elpd": float(found.elpd_loo),
        "elpd_error": float(found.se),
        "worst_pareto_k": float(found.pareto_k.max()),
    }


def _contraction(
    posterior: MediaPosterior, specification: Specification, rng: np.random.Generator
) -> tuple[ChannelContraction, ...]:
    prior = prior_draws(posterior, specification, rng)
    kept = {
        name: 1.0 - posterior.media[name].var(axis=0) / prior.media[name].var(axis=0)
        for name in posterior.media
    }
    kept["effect"] = 1.0 - posterior.effect.var(axis=0) / prior.effect.var(axis=0)
    wide = prior.return_on_spend().var(axis=0)
    narrow = posterior.return_on_spend().var(axis=0)
    returned = 1.0 - narrow / np.where(wide > 0, wide, 1.0)
    returned = np.where(wide > 0, returned, 0.0)  # never spent: nothing was learnt
    return tuple(
        ChannelContraction(
            channel, {name: float(values[at]) for name, values in kept.items()}, float(returned[at])
        )
        for at, channel in enumerate(posterior.weeks.channels)
    )


def prior_draws(
    posterior: MediaPosterior, specification: Specification, rng: np.random.Generator, draws: int = 4000
) -> MediaPosterior:
    """The media part as the model believes in it before any outcome; without a baseline."""
    shape = (draws, len(posterior.weeks.channels))
    scale = effect_scale(posterior.weeks, specification)
    return replace(
        posterior,
        media={each.name: _drawn(each, shape, rng) for each in specification.media_parameters()},
        effect=scale * np.abs(rng.standard_normal(shape)),
        noise=specification.noise_sd * np.abs(rng.standard_normal(draws)),
        memory=np.zeros(draws),
        coefficients=np.zeros((draws, len(posterior.columns.names))),
        chains=1,
        energy=None,
    )


def _drawn(parameter: Parameter, shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    if parameter.prior == "beta":
        return rng.beta(parameter.first, parameter.second, shape)
    return rng.gamma(parameter.first, 1.0 / parameter.second, shape)


def _problems(found: Diagnosis) -> list[str]:
    more = "sample longer (more tuning and draws)"
    problems = []
    if found.approximate:
        problems.append("The posterior is a quick look, never to be allocated by: sample it.")
    if found.max_rhat is None:
        problems.append("One chain cannot be checked against another: sample at least 2.")
    # Written so that a missing number (chains that never moved) fails as well.
    elif not found.max_rhat <= MOST_RHAT:
        problems.append(f"R-hat is {found.max_rhat:.3f}, at most {MOST_RHAT} is accepted: {more}.")
    for name, value in (("bulk", found.min_ess_bulk), ("tail", found.min_ess_tail)):
        if not value >= LEAST_EFFECTIVE:
            problems.append(
                f"{value:.0f} effective draws ({name}); {LEAST_EFFECTIVE:.0f} are needed: {more}."
            )
    if found.divergences > MOST_DIVERGENCES:
        problems.append(
            f"{found.divergences} divergent transitions, none is accepted: raise target_accept, or merge "
            "channels that data cannot tell apart."
        )
    if found.bfmi is not None and not found.bfmi >= LEAST_BFMI:
        problems.append(f"BFMI is {found.bfmi:.2f}, at least {LEAST_BFMI} is needed: {more}.")
    return problems


def _warnings(found: Diagnosis) -> list[str]:
    noted = []
    for name, value in (
        ("spread of the weeks", found.p_sd),
        ("correlation of residuals with the week before", found.p_autocorrelation),
        ("largest week", found.p_max),
    ):
        if not UNUSUAL <= value <= 1 - UNUSUAL:
            noted.append(
                f"The model does not reproduce the {name} (probability {value:.3f}): a control or a faster "
                "drift is missing, and intervals may be too narrow."
            )
    if found.memory > MOST_MEMORY:
        noted.append(
            f"What is left of a week lasts into the next (correlation {found.memory:.2f}): something that "
            "nobody measured moves the outcome, and budgets may follow it: make it a control, or run tests."
        )
    if found.worst_pareto_k > MOST_PARETO_K:
        noted.append(
            f"One week weighs too much (Pareto k {found.worst_pareto_k:.2f} > {MOST_PARETO_K}): look for an "
            "event there and make it a control."
        )
    if prior := [each.channel for each in found.channels if each.mostly_prior]:
        noted.append(
            f"Data say little about the return of {', '.join(prior)} (variance shrank by less than "
            f"{MOSTLY_PRIOR:.0%}): a lift test would."
        )
    return noted
