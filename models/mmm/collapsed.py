"""The Bayesian media-mix model with its linear part integrated out, and sampling it.

Here: priors of the media part, the likelihood, experiments as further terms of it, NUTS. Not here: the
columns of the baseline (`baseline`), what draws are good for (`posterior`, `curves`).

Model, in units of the scales. y = Z b + Σ_c β_c s_c(adstock_c(x_c)) + ε, b ~ N(0, I), ε ~ N(0, σ²). With r =
y less the media part and Z = U S Vᵀ (taken once), y is N(media, σ²I + U S² Uᵀ), so
log p = -½ [(n - k) log σ² + Σ log(σ² + S²) + (r·r - p·p)/σ² + Σ p²/(σ² + S²)], p = Uᵀr: no Cholesky and k
fewer dimensions to sample (24 → 16 at five channels: measured 7 times as many effective samples a second as
with them). The coefficients are drawn back conjugately.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt

from models.mmm.baseline import BaselinePrior, baseline
from models.mmm.posterior import MediaPosterior, linear_draws
from models.mmm.response import (
    ADSTOCK_PARAMETERS,
    SATURATION_PARAMETERS,
    Adstock,
    FloatArray,
    Parameter,
    Saturation,
    adstock_weights,
    lagged,
    saturated,
)
from models.mmm.weeks import MediaWeeks

Sampler = Literal["nutpie", "pymc", "numpyro"]


@dataclass(frozen=True)
class Specification:
    """The model's form.

    Attributes:
        lags: weeks a week's spend works at most.
        effect_share: prior scale of a channel's largest response, as a multiple of (channels · its share of
            spend), in outcome scales: channels with more money are expected to do more, none by much.
    """

    adstock: Adstock = "geometric"
    saturation: Saturation = "logistic"
    lags: int = 8
    effect_share: float = 1.0
    noise_sd: float = 0.5
    prior: BaselinePrior = field(default_factory=BaselinePrior)

    def media_parameters(self) -> tuple[Parameter, ...]:
        return ADSTOCK_PARAMETERS[self.adstock] + SATURATION_PARAMETERS[self.saturation]

    def parameters(self, weeks: MediaWeeks) -> int:
        """Numbers a fit of these weeks estimates; the drift counts once, its functions are one process."""
        per_channel = len(self.media_parameters()) + 1
        drift = 1 if self.prior.drift_sd > 0 else 0
        yearly = 2 * self.prior.yearly_orders
        return per_channel * len(weeks.channels) + len(weeks.control_names) + yearly + drift + 2


@dataclass(frozen=True)
class LiftTest:
    """What an experiment measured.

    Attributes:
        channel: whose spend was changed.
        spend: dollars a week without the change.
        change: dollars a week more (less than 0: spend was cut or paused).
        lift: outcome a week that the change added; below 0 where it cost some.
        error: its standard error.
    """

    channel: str
    spend: float
    change: float
    lift: float
    error: float


@dataclass(frozen=True)
class Sampling:
    """How to sample; the seed decides every draw."""

    seed: int
    sampler: Sampler = "nutpie"
    chains: int = 4
    draws: int = 1000
    tune: int = 1000
    cores: int = 2
    target_accept: float = 0.9
    progress: bool = False


def build(weeks: MediaWeeks, specification: Specification, tests: Sequence[LiftTest] = ()) -> pm.Model:
    """The model over the sampled parameters: channels' own and the noise.

    Raises:
        ValueError: a test of an unknown channel, or without a positive error.
    """
    with pm.Model(coords={"channel": list(weeks.channels)}) as model:
        data = {name: pm.Data(name, values) for name, values in _data(weeks, specification, tests).items()}
        values = {each.name: _prior(each) for each in specification.media_parameters()}
        effect = data["effect_scale"] * pm.HalfNormal("relative_effect", 1.0, dims="channel")
        pm.Deterministic("effect", effect, dims="channel")
        noise = pm.HalfNormal("noise", specification.noise_sd)
        weights = adstock_weights(specification.adstock, values, specification.lags, pt)
        stock = (data["lagged_spend"] * weights[None]).sum(axis=-1)
        media = pt.dot(saturated(specification.saturation, stock, values, pt), effect)
        pm.Potential("likelihood", _collapsed(data["outcome"] - media, data["axes"], data["lengths"], noise))
        pm.Potential("lift_tests", _lift_likelihood(specification.saturation, data, values, effect))
    return model


class CompiledMix:
    """The model compiled once: later fits of as many channels, with any weeks and tests, only sample.

    Compiling takes ten times as long as sampling; a weekly refit, a backtest or a study of many worlds
    shares one.
    """

    def __init__(self, weeks: MediaWeeks, specification: Specification) -> None:
        self.specification = specification
        self._compiled = nutpie.compile_pymc_model(build(weeks, specification))

    def sample(self, weeks: MediaWeeks, sampling: Sampling, tests: Sequence[LiftTest]) -> Any:
        return nutpie.sample(
            self._compiled.with_data(**_data(weeks, self.specification, tests)),
            draws=sampling.draws,
            tune=sampling.tune,
            chains=sampling.chains,
            cores=sampling.cores,
            seed=sampling.seed,
            target_accept=sampling.target_accept,
            progress_bar=sampling.progress,
        )


def fit(
    weeks: MediaWeeks,
    specification: Specification,
    sampling: Sampling,
    tests: Sequence[LiftTest] = (),
    compiled: CompiledMix | None = None,
) -> MediaPosterior:
    """Posterior draws of the whole model, coefficients of the baseline among them.

    Args:
        compiled: of the same specification and number of channels, to leave compiling out; with nutpie alone.
    """
    trace = _sample(weeks, specification, sampling, tests, compiled)
    names = [each.name for each in specification.media_parameters()]
    media = {name: trace.posterior[name].to_numpy().astype(float) for name in [*names, "effect"]}
    noise = trace.posterior["noise"].to_numpy().astype(float)
    diverging = trace.sample_stats["diverging"].to_numpy()
    energy = trace.sample_stats.get("energy")
    flat = {name: values.reshape(-1, len(weeks.channels)) for name, values in media.items()}
    posterior = MediaPosterior(
        weeks,
        specification.adstock,
        specification.saturation,
        specification.lags,
        baseline(weeks, specification.prior),
        {name: flat[name] for name in names},
        flat["effect"],
        noise.reshape(-1),
        np.empty((0, 0)),
        chains=noise.shape[0],
        divergences=int(diverging.sum()),
        energy=None if energy is None else energy.to_numpy().astype(float),
    )
    return linear_draws(posterior, np.random.default_rng(sampling.seed))


def effect_scale(weeks: MediaWeeks, specification: Specification) -> FloatArray:
    """Prior scale of each channel's largest response, in outcome scales."""
    spent = weeks.spend.sum(axis=0)
    total = spent.sum()
    share = spent / total if total > 0 else np.full(len(weeks.channels), 1 / len(weeks.channels))
    scale: FloatArray = np.maximum(specification.effect_share * len(weeks.channels) * share, 0.05)
    return scale


def _prior(parameter: Parameter) -> Any:
    if parameter.prior == "beta":
        return pm.Beta(parameter.name, parameter.first, parameter.second, dims="channel")
    return pm.Gamma(parameter.name, parameter.first, parameter.second, dims="channel")


def _data(
    weeks: MediaWeeks, specification: Specification, tests: Sequence[LiftTest]
) -> dict[str, np.ndarray[Any, Any]]:
    """What a fit sees, in units of the scales; tests without any are one of no weight."""
    if strangers := sorted({test.channel for test in tests} - set(weeks.channels)):
        raise ValueError(f"lift tests of unknown channels {strangers}; known are {list(weeks.channels)}")
    if any(test.error <= 0 or test.spend < 0 or test.spend + test.change < 0 for test in tests):
        raise ValueError("a lift test needs an error above 0 and spend of at least 0 on both sides")
    axes, singular, _ = np.linalg.svd(baseline(weeks, specification.prior).columns, full_matrices=False)
    at = np.array([weeks.channels.index(test.channel) for test in tests] or [0])
    scale = weeks.spend_scale[at]
    before = np.array([test.spend for test in tests] or [0.0]) / scale
    return {
        "lagged_spend": lagged(weeks.spend / weeks.spend_scale, specification.lags),
        "outcome": weeks.outcome / weeks.outcome_scale,
        "axes": axes,
        "lengths": singular**2,
        "effect_scale": effect_scale(weeks, specification),
        "test_channel": at,
        "test_before": before,
        "test_after": before + np.array([test.change for test in tests] or [0.0]) / scale,
        "test_lift": np.array([test.lift for test in tests] or [0.0]) / weeks.outcome_scale,
        "test_precision": np.array([(weeks.outcome_scale / test.error) ** 2 for test in tests] or [0.0]),
    }


def _collapsed(residual: Any, axes: Any, lengths: Any, noise: Any) -> Any:
    variance = noise**2
    inside = pt.dot(axes.T, residual)
    spread = (axes.shape[0] - axes.shape[1]) * pt.log(variance) + pt.log(variance + lengths).sum()
    outside = (pt.dot(residual, residual) - pt.dot(inside, inside)) / variance
    return -0.5 * (spread + outside + (inside**2 / (variance + lengths)).sum())


def _lift_likelihood(family: Saturation, data: dict[str, Any], values: dict[str, Any], effect: Any) -> Any:
    """Log density of the measured lifts: the step between two points of the steady-state curve."""
    at = data["test_channel"]
    own = {name: value[at] for name, value in values.items()}
    after, before = (saturated(family, data[name], own, pt) for name in ("test_after", "test_before"))
    return -0.5 * (data["test_precision"] * (data["test_lift"] - effect[at] * (after - before)) ** 2).sum()


def _sample(
    weeks: MediaWeeks,
    specification: Specification,
    sampling: Sampling,
    tests: Sequence[LiftTest],
    compiled: CompiledMix | None,
) -> Any:
    if sampling.sampler == "nutpie":
        return (compiled or CompiledMix(weeks, specification)).sample(weeks, sampling, tests)
    with build(weeks, specification, tests):
        return pm.sample(
            draws=sampling.draws,
            tune=sampling.tune,
            chains=sampling.chains,
            cores=sampling.cores,
            random_seed=sampling.seed,
            target_accept=sampling.target_accept,
            nuts_sampler=sampling.sampler,
            progressbar=sampling.progress,
            compute_convergence_checks=False,
        )
