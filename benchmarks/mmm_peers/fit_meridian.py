"""Meridian's model of a task, sampled by its own NUTS on JAX.

Runs in the environment that `install_peer.sh` makes: python -m benchmarks.mmm_peers.fit_meridian TASK.json
REPORT.json. What is ours: geometric carry-over with the same retention and lags, half-normal largest
responses, noise, the baseline. Its one knot is the intercept; controls, seasons and drift are controls, which
Meridian centres, so that the intercept's prior is shifted a little. It refuses columns as collinear as
seasons and drift together, so those go in as their principal components: the same prior on every course of
the baseline. What is not ours: saturation is Hill's with slope 1, its half-saturation point distributed as
the logistic curve's (log 3 / rate) is. Spend is the media.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ |= {"JAX_PLATFORMS": "cpu", "MERIDIAN_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "2"}

import jax
import numpy as np
from meridian.analysis.analyzer import Analyzer  # type: ignore[import-not-found]
from meridian.backend import tfd  # type: ignore[import-not-found]
from meridian.data.nd_array_input_data_builder import (  # type: ignore[import-not-found]
    NDArrayInputDataBuilder,
)
from meridian.model.model import Meridian  # type: ignore[import-not-found]
from meridian.model.prior_distribution import PriorDistribution  # type: ignore[import-not-found]
from meridian.model.spec import ModelSpec  # type: ignore[import-not-found]

from benchmarks.mmm_peers.fitted import report, timed

SAMPLED = ("knot_values", "sigma", "alpha_m", "ec_m", "beta_m", "gamma_c")
"""What its sampler moves and keeps; it also moves deviations of one region from itself, which it drops."""

LEAST_LENGTH = 1e-4
"""Components shorter than this, beside the longest, move no week by anything and are left out."""


def meridian_model(task: dict[str, Any]) -> Meridian:
    """The model of a task's weeks under its priors, as far as it can express them."""
    spend, outcome = np.array(task["spend"]), np.array(task["outcome"])
    names, columns = _baseline(task)
    builder = NDArrayInputDataBuilder(kpi_type="non_revenue")
    builder.time_coords = builder.media_time_coords = task["days"]
    data = (
        builder.with_kpi(outcome[None])
        .with_controls(columns[None], names)
        .with_media(spend[None], spend[None], task["channels"])
        .build()
    )
    # Meridian's outcome has mean 0 and deviation 1, its controls too; media are in medians of weeks with any.
    scale = task["outcome_scale"] / outcome.std()
    usual = np.array([np.median(course[course > 0]) for course in spend.T])
    shape, rate = task["rate"]
    half = np.log(3.0) * rate * np.array(task["spend_scale"]) / usual
    prior = PriorDistribution(
        knot_values=tfd.Normal(-outcome.mean() / outcome.std(), task["intercept_sd"] * scale),
        gamma_c=tfd.Normal(np.zeros(len(names)), columns.std(axis=0) * scale),
        alpha_m=tfd.Beta(*np.array(task["retention"])),
        ec_m=tfd.InverseGamma(np.full(half.size, shape), half),
        beta_m=tfd.HalfNormal(np.array(task["effect_sd"]) * scale),
        sigma=tfd.HalfNormal(task["noise_sd"] * scale),
    )
    return Meridian(
        data,
        # Its window is max_lag and the week itself.
        model_spec=ModelSpec(prior=prior, media_prior_type="coefficient", max_lag=task["lags"] - 1, knots=1),
    )


def _baseline(task: dict[str, Any]) -> tuple[list[str], Any]:
    """Columns, centred, whose coefficients are standard normal a priori: controls, then components."""
    controls, *waves = (_scaled(task[name]) for name in ("controls", "seasons", "drift"))
    axes, lengths, _ = np.linalg.svd(np.hstack(waves), full_matrices=False)
    kept = lengths > LEAST_LENGTH * lengths[0]
    components = axes[:, kept] * lengths[kept]
    names = [*task["controls"]["names"], *(f"component_{at + 1}" for at in range(kept.sum()))]
    return names, np.hstack([controls, components])


def _scaled(part: dict[str, Any]) -> Any:
    columns = np.array(part["values"]) * part["sd"]
    return columns - columns.mean(axis=0)


def fit(task: dict[str, Any]) -> dict[str, Any]:
    """Sample and report (`fitted.report`), with divergences.

    Where the task is to be timed, CPU seconds as well: sampling_cpu_seconds, and compiling_cpu_seconds of a
    further fit in the same process, since every call traces and compiles anew. They are told apart by a
    second call that finds its programs in JAX's cache, less a call for five draws that does.
    """
    model = meridian_model(task)

    def sample(draws: int) -> float:
        def call() -> None:
            model.sample_posterior(
                n_chains=task["chains"], n_adapt=draws, n_burnin=0, n_keep=draws, seed=task["seed"]
            )

        return timed(call)[1]

    seconds = {}
    if task["timed"]:
        with TemporaryDirectory() as folder:
            jax.config.update("jax_compilation_cache_dir", folder)
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
            jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
            sample(5)
            whole, overhead, cached = sample(task["draws"]), sample(5), sample(task["draws"])
        sampling = cached - overhead
        seconds = {"sampling_cpu_seconds": sampling, "compiling_cpu_seconds": whole - sampling}
    else:
        sample(task["draws"])
    found = model.inference_data
    analyzer = Analyzer(model_context=model.model_context, inference_data=found)
    return {
        **report(
            {name: found.posterior[name].to_numpy() for name in SAMPLED},
            np.asarray(analyzer.roi(use_kpi=True)),
        ),
        "divergences": int(found.sample_stats["diverging"].sum()),
        **seconds,
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(fit(json.loads(Path(sys.argv[1]).read_text()))))
