"""NUTS by NumPyro, a piece of a chain at a time, so that who waits can be told how far it is.

Here: starting points, chains in pieces, their draws as ArviZ's data. Not here: the model (`collapsed`).
Importing it loads JAX: seconds.

PyMC runs NumPyro's chains in one call that tells nothing until its end. NumPyro's kernel is a plain function
of a chain's state, tuning's schedule included, so any number of calls draws the same chain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import arviz
import jax
import numpy as np
import pymc as pm
from numpyro.infer import NUTS  # type: ignore[import-untyped]  # it has no types
from pymc.sampling.jax import get_jaxified_graph, get_jaxified_logp

PIECES = 20
"""Calls that a chain is drawn in."""


def numpyro_trace(
    model: pm.Model,
    *,
    seed: int,
    chains: int,
    draws: int,
    tune: int,
    target_accept: float,
    on_piece: Callable[[int, int], None],
) -> Any:
    """ArviZ's inference data: the model's variables, and of each draw `diverging` and `energy`.

    Chains are drawn one after the other: JAX sees one processor.

    Args:
        on_piece: told, once all is compiled and after each piece, the draws of all chains so far, tuning
            included, and of those after tuning how many diverged.
    """
    steps = tune + draws
    # One length: each other one would be compiled anew. What the last piece has too many is left out.
    length = -(-steps // PIECES)
    kernel = NUTS(
        potential_fn=get_jaxified_logp(model, negative_logp=False), target_accept_prob=target_accept
    )

    def step(state: Any, _: None) -> tuple[Any, Any]:
        following = kernel.sample(state, (), {})
        return following, (following.z, following.diverging, following.energy)

    rng = np.random.default_rng(seed)
    keys = jax.random.split(jax.random.PRNGKey(seed), chains)
    states = [kernel.init(key, tune, _start(model, rng)) for key in keys]
    piece = jax.jit(lambda state: jax.lax.scan(step, state, None, length=length)).lower(states[0]).compile()
    on_piece(0, 0)
    found, diverged = [], 0
    for chain, state in enumerate(states):
        drawn: list[Any] = []
        for first in range(0, steps, length):
            state, values = piece(state)
            last = min(first + length, steps)
            kept = slice(max(tune - first, 0), last - first)
            drawn.append(jax.tree.map(lambda each, kept=kept: np.asarray(each)[kept], values))
            diverged += int(drawn[-1][1].sum())
            on_piece(chain * steps + last, diverged)
        found.append(jax.tree.map(lambda *parts: np.concatenate(parts), *drawn))
    points, diverging, energy = jax.tree.map(lambda *each: np.stack(each), *found)
    return arviz.from_dict(
        posterior=_variables(model, points), sample_stats={"diverging": diverging, "energy": energy}
    )


def _start(model: pm.Model, rng: np.random.Generator) -> list[np.ndarray]:
    """The model's own starting point, moved by up to 1 in each unbounded direction, as PyMC's samplers do."""
    middle = model.initial_point()
    return [
        np.asarray(middle[variable.name]) + rng.uniform(-1, 1, middle[variable.name].shape)
        for variable in model.value_vars
    ]


def _variables(model: pm.Model, points: list[np.ndarray]) -> dict[str, np.ndarray]:
    """What the model calls its variables, of unbounded points; shape (chains, draws, …)."""
    named = [*model.free_RVs, *model.deterministics]
    of_point = get_jaxified_graph(inputs=model.value_vars, outputs=[*model.replace_rvs_by_values(named)])
    values = jax.jit(jax.vmap(jax.vmap(of_point)))(*points)
    return {variable.name: np.asarray(value) for variable, value in zip(named, values, strict=True)}
