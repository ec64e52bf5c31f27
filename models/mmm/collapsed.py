"""The Bayesian media-mix model with its linear part integrated out, and sampling it.

Here: the density in PyTensor, experiments and beliefs about returns as further terms of it, NUTS. Not here:
what is assumed (`specification`), the columns of the baseline (`baseline`), what draws are good for
(`posterior`, `curves`). Importing it loads PyMC: seconds.

Model, in units of the scales. y = Z b + Σ_c β_c s_c(adstock_c(x_c)) + ε, b ~ N(0, I), ε_t = ρ ε_{t-1} + ν_t,
ν ~ N(0, σ²). For each memory ρ that is thought possible, r = y less the media part and Z are freed of it
(`forgotten`); with Z = U S Vᵀ (taken once) r is N(0, σ²I + U S² Uᵀ), so
log p = -½ [(n - k) log σ² + Σ log(σ² + S²) + (r·r - p·p)/σ² + Σ p²/(σ² + S²) - log(1 - ρ²)], p = Uᵀr: no
Cholesky and k fewer dimensions to sample. Memories are summed over; they and the coefficients are drawn back.

Data hold the response at a channel's usual spend u far better than its largest response β, which trades off
against the curve's bend. So β s(u) is sampled and β = level / s(u); its half-normal prior carries over with
the Jacobian 1 / s(u) (8 channels, 156 weeks: half the gradients a draw, 2.3 times the effective draws).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt

from models.mmm.baseline import baseline
from models.mmm.evidence import LiftTest, ReturnPrior
from models.mmm.posterior import MediaPosterior, linear_draws, memory_draws
from models.mmm.response import Parameter, Saturation, adstock_weights, saturated
from models.mmm.specification import Specification, effect_scale, fitted_data
from models.mmm.weeks import MediaWeeks

__all__ = [
    "CompiledMix",
    "LiftTest",
    "Progress",
    "ReturnPrior",
    "Sampler",
    "Sampling",
    "Specification",
    "build",
    "effect_scale",
    "fit",
]

Sampler = Literal["nutpie", "pymc", "numpyro"]


@dataclass(frozen=True)
class Sampling:
    """How to sample; the seed decides every draw.

    Attributes:
        report_seconds: at least between two reports of progress by nutpie; PyMC tells each 40th of the
            draws, NumPyro each 20th of a chain's.
    """

    seed: int
    sampler: Sampler = "nutpie"
    chains: int = 4
    draws: int = 1000
    tune: int = 1000
    cores: int = 2
    target_accept: float = 0.9
    report_seconds: float = 5.0


@dataclass(frozen=True)
class Progress:
    """How far the chains are.

    Attributes:
        done: draws of all chains so far, tuning included.
        total: of them to come in all.
        divergences: after tuning.
    """

    chains: int
    done: int
    total: int
    divergences: int


OnProgress = Callable[[Progress], None]
_REPORTS = 40
"""Of a fit by PyMC, which tells of each draw."""


def build(
    weeks: MediaWeeks,
    specification: Specification,
    tests: Sequence[LiftTest] = (),
    returns: Sequence[ReturnPrior] = (),
) -> pm.Model:
    """The model over the sampled parameters: channels' own and the noise.

    Raises:
        ValueError: as `fitted_data`.
    """
    values = fitted_data(weeks, specification, tests, returns)
    with pm.Model(coords={"channel": list(weeks.channels)}) as model:
        data = _unpacked(pm.Data("packed", _packed(values)), values)
        media = {each.name: _prior(each) for each in specification.media_parameters()}
        start = 0.2 * values["effect_scale"]
        level = pm.HalfFlat("usual_response", dims="channel", initval=start)
        share = saturated(specification.saturation, data["usual_spend"], media, pt)
        effect = pm.Deterministic("effect", level / share, dims="channel")
        pm.Potential("effect_prior", (-0.5 * (effect / data["effect_scale"]) ** 2 - pt.log(share)).sum())
        noise = pm.HalfNormal("noise", specification.noise_sd)
        weights = adstock_weights(specification.adstock, media, specification.lags, pt)
        stock = (data["lagged_spend"] * weights[None]).sum(axis=-1)
        worked = saturated(specification.saturation, stock, media, pt)
        residual = data["outcome"] - pt.dot(worked, effect)
        pm.Potential("likelihood", _collapsed(residual, data, noise))
        pm.Potential("lift_tests", _lift_likelihood(specification.saturation, data, media, effect))
        pm.Potential("return_priors", _return_density(data, worked.sum(axis=0) * effect))
    return model


class CompiledMix:
    """The model compiled once: later fits of as many channels, with any weeks and tests, only sample.

    Compiling takes as long as sampling; a weekly refit, a backtest or a study of many worlds shares one.
    Across processes PyTensor keeps compiled pieces in its `base_compiledir` (set
    `PYTENSOR_FLAGS=base_compiledir=<folder>` before the first import); nutpie's outer functions are compiled
    again in each: 10 CPU seconds of 8 channels.
    """

    def __init__(self, weeks: MediaWeeks, specification: Specification) -> None:
        self.specification = specification
        self.channels = len(weeks.channels)
        self._compiled = nutpie.compile_pymc_model(build(weeks, specification))

    def sample(
        self,
        weeks: MediaWeeks,
        sampling: Sampling,
        tests: Sequence[LiftTest] = (),
        returns: Sequence[ReturnPrior] = (),
        on_progress: OnProgress | None = None,
    ) -> Any:
        """ArviZ's inference data of the sampled parameters.

        Args:
            on_progress: told of the beginning, every `report_seconds`, and of the end; draws are the same
                without it.

        Raises:
            ValueError: another number of channels than compiled for; as `fitted_data`.
        """
        if len(weeks.channels) != self.channels:
            raise ValueError(
                f"compiled for {self.channels} channels, the weeks have {len(weeks.channels)}: compile again"
            )
        sampler = nutpie.sample(
            self._compiled.with_data(packed=_packed(fitted_data(weeks, self.specification, tests, returns))),
            draws=sampling.draws,
            tune=sampling.tune,
            chains=sampling.chains,
            cores=sampling.cores,
            seed=sampling.seed,
            target_accept=sampling.target_accept,
            save_warmup=False,
            progress_bar=False,
            blocking=False,
        )
        try:
            return sampler.wait() if on_progress is None else _told(sampler, sampling, on_progress)
        except BaseException:  # an interrupt too: chains would sample on behind the error
            sampler.cancel()
            raise


def fit(
    weeks: MediaWeeks,
    specification: Specification,
    sampling: Sampling,
    tests: Sequence[LiftTest] = (),
    compiled: CompiledMix | None = None,
    returns: Sequence[ReturnPrior] = (),
    on_progress: OnProgress | None = None,
) -> MediaPosterior:
    """Posterior draws of the whole model, coefficients of the baseline among them.

    Args:
        compiled: of the same specification and number of channels, to leave compiling out; nutpie's alone.
        on_progress: told that sampling begins (compiling is over), how far it is, and of the end; draws are
            the same without it.

    Raises:
        ValueError: a compiled model of another form or for another sampler; as `fitted_data`.
        ModuleNotFoundError: numpyro asked for and not installed.
    """
    trace = _sample(weeks, specification, sampling, tests, returns, compiled, on_progress)
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
        memory=np.empty(0),
        coefficients=np.empty((0, 0)),
        chains=noise.shape[0],
        divergences=int(diverging.sum()),
        energy=None if energy is None else energy.to_numpy().astype(float),
    )
    rng = np.random.default_rng(sampling.seed)
    return linear_draws(memory_draws(posterior, specification.prior.memories, rng), rng)


def _packed(values: dict[str, Any]) -> Any:
    """All arrays end to end behind a head that says where each ends and how wide it is.

    nutpie's outer function unrolls a loop over the arrays handed to it, half a CPU second of compiling for
    each, anew in every process: fifteen were most of a refit's compiling.
    """
    ends = np.cumsum([value.size for value in values.values()])
    widths = [extent for value in values.values() for extent in value.shape[1:]]
    head = len(ends) + len(widths)
    return np.concatenate([head + ends, widths, *map(np.ravel, values.values())]).astype(float)


def _unpacked(packed: Any, values: dict[str, Any]) -> dict[str, Any]:
    """What was packed, as symbols with the names, order, types and ranks of `values`, of any extent."""
    start: Any = len(values) + sum(value.ndim - 1 for value in values.values())
    head = packed[:start].astype(int)
    found, width = {}, len(values)
    for at, (name, value) in enumerate(values.items()):
        part = packed[start : head[at]]
        if value.ndim > 1:
            part = part.reshape((-1, *(head[width + axis] for axis in range(value.ndim - 1))))
        found[name] = part.astype(value.dtype)
        start, width = head[at], width + value.ndim - 1
    return found


def _prior(parameter: Parameter) -> Any:
    if parameter.prior == "beta":
        return pm.Beta(parameter.name, parameter.first, parameter.second, dims="channel")
    return pm.Gamma(parameter.name, parameter.first, parameter.second, dims="channel")


def _collapsed(residual: Any, data: dict[str, Any], noise: Any) -> Any:
    """Log density of the outcome up to a constant, memories summed over."""
    memories, axes, lengths = (data[name] for name in ("memories", "axes", "lengths"))
    variance, squares = noise**2, pt.dot(residual, residual)
    ends, next_week = residual[0] ** 2 + residual[-1] ** 2, pt.dot(residual[1:], residual[:-1])
    news = squares * (1.0 + memories**2) - memories**2 * ends - 2.0 * memories * next_week
    # One product for all memories: the gradient costs little more than with one.
    inside = pt.dot(axes.reshape((-1, axes.shape[2])), residual).reshape(lengths.shape)
    spread = (axes.shape[2] - axes.shape[1]) * pt.log(variance) + pt.log(variance + lengths).sum(axis=1)
    outside = (news - (inside**2).sum(axis=1)) / variance
    within = (inside**2 / (variance + lengths)).sum(axis=1)
    return pt.logsumexp(-0.5 * (spread + outside + within - pt.log(1.0 - memories**2)))


def _lift_likelihood(family: Saturation, data: dict[str, Any], media: dict[str, Any], effect: Any) -> Any:
    """Log density of the measured lifts: the step between two points of the steady-state curve."""
    at = data["test_channel"]
    own = {name: value[at] for name, value in media.items()}
    after, before = (saturated(family, data[name], own, pt) for name in ("test_after", "test_before"))
    return -0.5 * (data["test_precision"] * (data["test_lift"] - effect[at] * (after - before)) ** 2).sum()


def _return_density(data: dict[str, Any], added: Any) -> Any:
    """Log density of the believed returns; `added` is each channel's outcome over the weeks, in scales."""
    returned = added[data["return_channel"]] * data["return_per_response"]
    return -0.5 * (data["return_precision"] * (data["return_mean"] - returned) ** 2).sum()


def _told(sampler: Any, sampling: Sampling, on_progress: OnProgress) -> Any:
    """Wait for nutpie's background sampler and say meanwhile how far it is."""
    total = sampling.chains * (sampling.tune + sampling.draws)
    on_progress(Progress(sampling.chains, 0, total, 0))
    while True:
        try:
            trace = sampler.wait(timeout=sampling.report_seconds)
        except TimeoutError:
            # Its public `inspect` makes ArviZ's data of every draw so far, and leaves tuning out.
            _, batches = sampler._sampler.inspect().get_arrow_trace()
            on_progress(_progress(batches, total))
        else:
            on_progress(Progress(sampling.chains, total, total, int(trace.sample_stats["diverging"].sum())))
            return trace


def _progress(batches: Sequence[Any], total: int) -> Progress:
    """Of nutpie's Arrow batches of statistics, one a chain."""
    wrong = sum(
        int((each.column("diverging").to_numpy() & ~each.column("tuning").to_numpy()).sum())
        for each in batches
    )
    return Progress(len(batches), sum(each.num_rows for each in batches), total, wrong)


def _sample(
    weeks: MediaWeeks,
    specification: Specification,
    sampling: Sampling,
    tests: Sequence[LiftTest],
    returns: Sequence[ReturnPrior],
    compiled: CompiledMix | None,
    on_progress: OnProgress | None,
) -> Any:
    if compiled is not None and compiled.specification != specification:
        raise ValueError("compiled for another specification: compile again")
    fitted_data(weeks, specification, tests, returns)  # refuses before anything is compiled
    if sampling.sampler == "nutpie":
        compiled = compiled or CompiledMix(weeks, specification)
        return compiled.sample(weeks, sampling, tests, returns, on_progress)
    if compiled is not None:
        raise ValueError(f"what is compiled serves nutpie alone, not {sampling.sampler}: leave it out")
    if sampling.sampler == "numpyro" and find_spec("numpyro") is None:
        raise ModuleNotFoundError(
            "the sampler numpyro needs the package numpyro, which only developers install: "
            "`pip install numpyro`, or choose nutpie"
        )
    model = build(weeks, specification, tests, returns)
    if sampling.sampler == "numpyro":
        return _by_numpyro(model, sampling, on_progress)
    with model:
        return pm.sample(
            draws=sampling.draws,
            tune=sampling.tune,
            chains=sampling.chains,
            cores=sampling.cores,
            random_seed=sampling.seed,
            target_accept=sampling.target_accept,
            progressbar=False,
            callback=None if on_progress is None else _counted(sampling, on_progress),
            compute_convergence_checks=False,
            compile_kwargs={"mode": "NUMBA"},  # PyTensor's C mode finds no BLAS beside pip's numpy
        )


def _by_numpyro(model: pm.Model, sampling: Sampling, on_progress: OnProgress | None) -> Any:
    from models.mmm.numpyro_chains import numpyro_trace  # noqa: PLC0415 - developers alone have it

    total = sampling.chains * (sampling.tune + sampling.draws)

    def report(done: int, divergences: int) -> None:
        if on_progress is not None:
            on_progress(Progress(sampling.chains, done, total, divergences))

    return numpyro_trace(
        model,
        seed=sampling.seed,
        chains=sampling.chains,
        draws=sampling.draws,
        tune=sampling.tune,
        target_accept=sampling.target_accept,
        on_piece=report,
    )


def _counted(sampling: Sampling, on_progress: OnProgress) -> Callable[..., None]:
    """PyMC's callback, called for each draw in this process, whichever process draws."""
    total = sampling.chains * (sampling.tune + sampling.draws)
    done = divergences = 0

    def count(*, trace: Any, draw: Any) -> None:
        nonlocal done, divergences
        if done == 0:
            on_progress(Progress(sampling.chains, 0, total, 0))
        done += 1
        divergences += not draw.tuning and any(each["diverging"] for each in draw.stats)
        if done * _REPORTS // total > (done - 1) * _REPORTS // total:
            on_progress(Progress(sampling.chains, done, total, divergences))

    return count
