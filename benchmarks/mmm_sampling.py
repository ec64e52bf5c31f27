"""Effective draws per CPU second of the media-mix model, beside pymc-marketing's default, and a weekly refit.

Here: CPU time, which a busy machine moves less than wall time. Not here: whether they agree
(`mmm_reference`), Meridian (it needs an environment of its own).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import arviz
import numpy as np
import nutpie
import pymc as pm

from benchmarks.processes import measured, python
from benchmarks.record import Figure, Record
from benchmarks.simulated_media import simulated_media
from models.mmm.collapsed import CompiledMix, Sampling, Specification, fit
from models.mmm.diagnostics import diagnose

TIMES_AIM = 20.0
REFIT_AIM = 30.0


def mmm_sampling(channels: int = 5, weeks: int = 143, draws: int = 1000) -> Record:
    """Least effective draws (bulk, over everything sampled) a CPU second, compiling apart; then refits.

    The stock model is sampled by PyMC's own NUTS with its defaults, and by nutpie; same weeks, same priors.
    """
    # Not above: a refit, which is a process of this module, never loads pymc-marketing.
    from benchmarks.mmm_reference import SHARED, stock_model

    media, _ = simulated_media(3, channels, weeks)
    stock = stock_model(media)
    free = [variable.name for variable in stock.free_RVs]
    compiled = CompiledMix(media, SHARED)
    ours, our_seconds = _timed(lambda: compiled.sample(media, Sampling(1, draws=draws, tune=draws)))
    names = [each.name for each in SHARED.media_parameters()]
    our_rate = _least_effective(ours, [*names, "effect", "noise"]) / our_seconds

    def by_pymc(length: int) -> Any:
        with stock:
            return pm.sample(
                length,
                tune=length,
                chains=4,
                cores=2,
                random_seed=1,
                var_names=free,
                progressbar=False,
                compute_convergence_checks=False,
            )

    by_pymc(5)  # compiles into PyTensor's cache
    _, overhead = _timed(lambda: by_pymc(5))
    default, default_seconds = _timed(lambda: by_pymc(draws))
    default_rate = _least_effective(default, free) / (default_seconds - overhead)
    stock_compiled = nutpie.compile_pymc_model(stock, var_names=free)
    by_nutpie, nutpie_seconds = _timed(
        lambda: nutpie.sample(
            stock_compiled, draws=draws, tune=draws, chains=4, cores=2, seed=1, progress_bar=False
        )
    )
    nutpie_rate = _least_effective(by_nutpie, free) / nutpie_seconds
    times = our_rate / default_rate
    full = (channels, weeks, draws) == (5, 143, 1000)
    return Record(
        "mmm_sampling",
        {"channels": channels, "weeks": weeks, "draws": draws},
        [
            Figure("effective draws, ours", our_rate, "/CPU s"),
            Figure("effective draws, pymc-marketing by PyMC", default_rate, "/CPU s"),
            Figure("effective draws, pymc-marketing by nutpie", nutpie_rate, "/CPU s"),
            Figure(
                "ours / pymc-marketing by PyMC",
                times,
                "×",
                *((f"≥ {TIMES_AIM:.0f} ×", times >= TIMES_AIM) if full else ()),
            ),
            *(_refits() if full else []),
        ],
        note="Least bulk effective draws over everything sampled, 4 chains, tuning included, compiling not "
        "(of PyMC's call the seconds of a call for 5 draws are taken off). A refit is a process of its own "
        "with 8 channels × 156 weeks: imports, compiling, 4 × (1000 + 1000) draws, diagnostics.",
    )


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result and its CPU seconds, those of processes it waited for included."""
    before = sum(os.times()[:4])
    found = work()
    return found, sum(os.times()[:4]) - before


def _least_effective(trace: Any, names: Sequence[str]) -> float:
    found = arviz.ess(trace.posterior[list(names)])
    return float(min(values.min() for values in found.data_vars.values()))


def _refits() -> list[Figure]:
    """Two refits in processes of their own that share a compile directory, empty at first."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        variables = {"PYTENSOR_FLAGS": f"base_compiledir={folder}/compiled"}
        for name in ("cold", "warm"):
            log = Path(folder) / f"{name}.log"
            cost = measured(python("benchmarks.mmm_sampling"), variables, log)
            told = json.loads(log.read_text().splitlines()[-1])
            healthy = bool(told["passed"]) and cost.cpu_seconds <= REFIT_AIM
            aim = (f"≤ {REFIT_AIM:.0f} s, R-hat ≤ 1.01, no divergences", healthy) if name == "warm" else ()
            figures += [
                Figure(f"weekly refit, {name} cache", cost.cpu_seconds, "CPU s", *aim),
                Figure(f"of it compiling, {name} cache", told["compiling"], "CPU s"),
                Figure(f"of it sampling, {name} cache", told["sampling"], "CPU s"),
            ]
    figures += [
        Figure("R-hat of the refit", told["max_rhat"], ""),
        Figure("divergences of the refit", told["divergences"], ""),
    ]
    return figures


def refit() -> dict[str, Any]:
    """One weekly refit of 8 channels × 156 weeks; what it cost by part, and whether it passed."""
    media, _ = simulated_media(5, 8, 156)
    compiled, compiling = _timed(lambda: CompiledMix(media, Specification()))
    posterior, sampling = _timed(lambda: fit(media, Specification(), Sampling(1), compiled=compiled))
    found = diagnose(posterior, Specification(), np.random.default_rng(1))
    return {
        "compiling": compiling,
        "sampling": sampling,
        "passed": found.passed,
        "max_rhat": found.max_rhat,
        "divergences": found.divergences,
        "problems": found.problems,
    }


if __name__ == "__main__":
    print(json.dumps(refit()))
