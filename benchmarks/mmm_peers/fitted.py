"""What a peer reports of its draws.

Here: quantiles, R-hat and effective draws, the same for every method. Not here: drawing. Read in Meridian's
environment too, so NumPy and ArviZ alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import arviz
import numpy as np


def report(sampled: Mapping[str, Any], returned: Any) -> dict[str, Any]:
    """Figures of one fit.

    Args:
        sampled: everything the sampler moved, by name, each (chains, draws, …).
        returned: outcome per dollar, (chains, draws, channels).

    Returns:
        p5, p50, p95 (each a list over channels), max_rhat, least_effective (bulk, over everything sampled),
        least_effective_return (over the returns), parameters (numbers sampled).
    """
    flat = [np.asarray(values, dtype=float) for values in sampled.values()]
    moved = np.concatenate([values.reshape(*values.shape[:2], -1) for values in flat], axis=2)
    returned = np.asarray(returned, dtype=float)
    ends = np.quantile(returned, (0.05, 0.5, 0.95), axis=(0, 1))
    return {
        **{f"p{level}": row.tolist() for level, row in zip((5, 50, 95), ends, strict=True)},
        "max_rhat": float(np.max(_each(arviz.rhat, moved))),
        "least_effective": float(np.min(_each(arviz.ess, moved))),
        "least_effective_return": float(np.min(_each(arviz.ess, returned))),
        "parameters": int(moved.shape[2]),
    }


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result and its CPU seconds, those of processes it waited for included."""
    before = sum(os.times()[:4])
    found = work()
    return found, sum(os.times()[:4]) - before


def _each(figure: Callable[[Any], Any], draws: Any) -> Any:
    return [float(figure(draws[:, :, at])) for at in range(draws.shape[2])]
