"""pymc-marketing's model of a task, sampled by PyMC's own NUTS with its defaults.

A process of its own: python -m benchmarks.mmm_peers.fit_pymc_marketing TASK.json REPORT.json. Of our model
only the drift is foreign to it: its own time-varying intercept multiplies by a positive process whose
amplitude and length are sampled, so the drift's columns go in as controls, which is the same model. Its own
Laplace on seasonality becomes Normal.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray
from pymc_extras.prior import Prior
from pymc_marketing.mmm import MMM, GeometricAdstock, LogisticSaturation

from benchmarks.mmm_peers.fitted import report, timed


def marketing_model(task: dict[str, Any]) -> pm.Model:
    """The model of a task's weeks under its priors."""
    spend, (controls, drift) = np.array(task["spend"]), (task["controls"], task["drift"])
    names = [*controls["names"], *drift["names"]]
    columns = np.hstack([np.array(part["values"]).reshape(len(spend), -1) for part in (controls, drift)])
    inputs = pd.DataFrame(
        {"date": pd.to_datetime(task["days"])}
        | {name: spend[:, at] for at, name in enumerate(task["channels"])}
        | {name: columns[:, at] for at, name in enumerate(names)}
    )
    sds = [part["sd"] for part in (controls, drift) for _ in part["names"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the class goes with 0.20, and the pin with it
        model = MMM(
            date_column="date",
            channel_columns=task["channels"],
            adstock=GeometricAdstock(l_max=task["lags"], priors={"alpha": _each("Beta", task["retention"])}),
            saturation=LogisticSaturation(
                priors={
                    "lam": _each("Gamma", task["rate"]),
                    "beta": Prior("HalfNormal", sigma=_along(task["effect_sd"], "channel"), dims="channel"),
                }
            ),
            control_columns=names,
            yearly_seasonality=task["yearly_orders"],
            model_config={
                "intercept": Prior("Normal", mu=0, sigma=task["intercept_sd"]),
                "likelihood": Prior("Normal", sigma=Prior("HalfNormal", sigma=task["noise_sd"])),
                "gamma_control": Prior("Normal", mu=0, sigma=_along(sds, "control"), dims="control"),
                "gamma_fourier": Prior("Normal", mu=0, sigma=task["seasons"]["sd"], dims="fourier_mode"),
            },
        )
        model.build_model(inputs, pd.Series(task["outcome"], name="y"))
    return model.model


def _each(law: str, parameters: list[float]) -> Prior:
    return Prior(law, alpha=parameters[0], beta=parameters[1], dims="channel")


def _along(values: list[float], dimension: str) -> xarray.DataArray:
    return xarray.DataArray(values, dims=dimension)


def fit(task: dict[str, Any]) -> dict[str, Any]:
    """Sample and report (`fitted.report`), with divergences.

    Where the task is to be timed, CPU seconds as well, compiling apart: the cost of a call for five draws,
    all pieces in PyTensor's cache, is taken off.
    """
    model = marketing_model(task)
    free = [variable.name for variable in model.free_RVs]

    def sample(draws: int) -> Any:
        with model:
            return pm.sample(
                draws,
                tune=draws,
                chains=task["chains"],
                cores=1,
                random_seed=task["seed"],
                progressbar=False,
                compute_convergence_checks=False,
            )

    overhead = None
    if task["timed"]:
        sample(5)
        _, overhead = timed(lambda: sample(5))
    trace, seconds = timed(lambda: sample(task["draws"]))
    added = trace.posterior["channel_contribution"].sum("date").transpose("chain", "draw", "channel")
    returned = added.to_numpy() * task["outcome_scale"] / np.array(task["spend"]).sum(axis=0)
    return {
        **report({name: trace.posterior[name].to_numpy() for name in free}, returned),
        "divergences": int(trace.sample_stats["diverging"].sum()),
        "sampling_cpu_seconds": None if overhead is None else seconds - overhead,
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(fit(json.loads(Path(sys.argv[1]).read_text()))))
