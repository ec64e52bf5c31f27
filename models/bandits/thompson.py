"""Thompson sampling over budgets: per joint draw the best affordable split, averaged over the draws.

Here: the concave knapsack and its exact solution. Not here: belief (`posteriors`), step limits and every
other guardrail (`models.guardrails`), which see the average as a request.

Per draw, with b the budget, c the budget in force, λ the drawn signups per dollar at c and v the
contribution of a signup, maximise Σ v λ c (b/c)^ε - b subject to Σ_track b <= envelope, Σ b <= total and
low <= b <= high. A dollar is only placed where it brings more than a dollar of contribution, so a budget
can also shrink. Stationarity gives b = c (v λ ε / price)^(1/(1-ε)), price = 1 + duals >= 1: every budget of
a draw is one number times q = price^(-1/(1-ε)), so the search needs no powers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from models.bandits.evidence import LEVER_KEY
from models.bandits.learning_cost import LearningCost
from models.bandits.posteriors import posterior_evidence
from models.rewards import FloatArray, RewardDefinition, draw_signups_per_dollar

# The response curve is only believed near the budget in force; beyond that the request names a direction.
_REACH = 2.0
# Cells (draws x levers) worked on at once: 2 MB an array stays in the cache (four times as fast as 32 MB).
_BLOCK_CELLS = 250_000
_LEARNING = LearningCost()


def thompson_budgets(
    posteriors: pl.DataFrame,
    levers: pl.DataFrame,
    *,
    envelopes: Mapping[str, float],
    total_envelope: float,
    contribution_per_signup: Mapping[str, float],
    elasticity: float,
    reward: RewardDefinition,
    draws: int,
    rng: np.random.Generator,
    step_limit: float = 0.05,
    learning: LearningCost = _LEARNING,
) -> pl.DataFrame:
    """The daily budget the sampler would give each lever if only envelopes bound it.

    Args:
        posteriors: rows of `lever_posteriors`.
        levers: platform, account_id, lever_id, current_budget (account currency a day, positive),
            minimum_budget. Levers without a posterior row are ignored.
        envelopes: dollars a day a track's budgets may add up to (over-delivery already reserved), by track.
        total_envelope: the same over all tracks.
        contribution_per_signup: dollars before advertising cost, by track.
        elasticity: ε of signups on budget, in (0, 1).
        reward: the reward definition.
        draws: joint draws.
        rng: the only source of randomness; row order does not matter.
        step_limit: largest step of one edit, as a fraction of the budget in force.
        learning: what an edit costs while the platform learns.

    Returns:
        platform, account_id, track, lever_id, thompson_budget (mean over draws), thompson_budget_sd,
        share_mean and share_sd (of the track's sum, per draw), marginal_value (E[v λ ε - price], dollars per
        budget dollar), p_raise, p_cut and p_hold (shares of the draws in which a step of at most `step_limit`
        towards the draw's budget would repay its learning cost, and the rest); sorted by track and key.

    Raises:
        ValueError: elasticity outside (0, 1), a budget that is not positive, a track without envelope.
    """
    if not 0 < elasticity < 1:
        raise ValueError("elasticity must lie strictly between 0 and 1")
    rows = posteriors.join(
        levers.select(*LEVER_KEY, "current_budget", "minimum_budget"), on=list(LEVER_KEY), how="inner"
    ).sort("track", *LEVER_KEY)
    current = rows["current_budget"].cast(pl.Float64).to_numpy()
    if not np.all(np.nan_to_num(current) > 0):
        raise ValueError("current_budget must be positive: a response curve needs a point to start from")
    minimum = rows["minimum_budget"].cast(pl.Float64).fill_null(0.0).to_numpy()
    tracks = list(dict.fromkeys(rows["track"]))
    if missing := [
        track for track in tracks if track not in envelopes or track not in contribution_per_signup
    ]:
        raise ValueError(f"no envelope or contribution for tracks {missing}")
    group = np.searchsorted(np.array(tracks, dtype=str), rows["track"].to_numpy().astype(str))
    value = np.array([contribution_per_signup[track] for track in tracks])[group]
    high = np.maximum(current * _REACH, minimum)
    low = np.clip(current / _REACH, minimum, high)
    caps = np.array([float(envelopes[track]) for track in tracks])

    evidence = posterior_evidence(rows, reward)
    sums = np.zeros((7, len(rows)))
    nodes = reward.nodes.count  # whole rounds of nodes keep every block stratified
    block = nodes * max(1, _BLOCK_CELLS // max(1, len(rows)) // nodes)
    for start in range(0, draws if len(rows) else 0, block):
        size = min(block, draws - start)
        rates = draw_signups_per_dollar(*evidence, reward, size, rng)
        with np.errstate(over="ignore"):
            worth = np.minimum(value * elasticity * rates, 1e12)
            demand = np.minimum(current * worth ** (1 / (1 - elasticity)), high * 1e6)
        scales = _knapsack_scales(demand, low, high, group, caps, total_envelope)
        budgets = np.clip(demand * scales[:, group], low, high)
        shares = budgets / np.maximum(np.add.reduceat(budgets, _starts(group), axis=1)[:, group], 1e-12)
        worth -= (np.maximum(scales, 1e-6) ** (elasticity - 1))[:, group]
        raised, cut = _repaid_steps(budgets / current - 1, worth, step_limit, learning)
        for index, values in enumerate((budgets, budgets**2, shares, shares**2, worth, raised, cut)):
            sums[index] += values.sum(axis=0)
    means = sums / max(1, draws)
    return rows.select(
        "platform",
        "account_id",
        "track",
        "lever_id",
        pl.Series("thompson_budget", means[0], dtype=pl.Float64),
        pl.Series("thompson_budget_sd", np.sqrt(np.maximum(means[1] - means[0] ** 2, 0)), dtype=pl.Float64),
        pl.Series("share_mean", means[2], dtype=pl.Float64),
        pl.Series("share_sd", np.sqrt(np.maximum(means[3] - means[2] ** 2, 0)), dtype=pl.Float64),
        pl.Series("marginal_value", means[4], dtype=pl.Float64),
        pl.Series("p_raise", means[5], dtype=pl.Float64),
        pl.Series("p_cut", means[6], dtype=pl.Float64),
        pl.Series("p_hold", 1 - means[5] - means[6], dtype=pl.Float64),
    )


def _repaid_steps(
    wish: FloatArray, worth: FloatArray, step_limit: float, learning: LearningCost
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Draws in which a raise, or a cut, of at most `step_limit` repays its learning cost; (draws, levers).

    `wish` is the step the draw asks for, `worth` what a budget dollar more brings in it, net.
    """
    step = np.clip(wish, -step_limit, step_limit)
    pays = worth * step >= learning.least_step_value(step)
    return pays & (step > 0), pays & (step < 0)


def solve_knapsack(
    demand: FloatArray,
    low: FloatArray,
    high: FloatArray,
    group: np.ndarray[tuple[int], np.dtype[np.int64]],
    caps: FloatArray,
    total: float,
) -> FloatArray:
    """Optimal budgets of every draw at once, shape (draws, levers).

    A group's sum Σ clip(demand * q, low, high) grows with q <= 1, so each group takes its largest q that
    respects its cap; where the total still binds, one common q replaces every larger one (the groups' duals
    and the total's add up in the price). Where even the lower bounds exceed a cap, the answer is `low`: the
    caller must treat it as infeasible.

    Args:
        demand: budgets at price 1 before clipping, (draws, levers), not negative.
        low: lower bounds, (levers,).
        high: upper bounds, (levers,), >= low.
        group: group index per lever, sorted ascending from 0 without gaps, (levers,).
        caps: one per group, (groups,).
        total: cap over all groups.

    Raises:
        ValueError: groups not sorted, or bounds crossed.
    """
    scales = _knapsack_scales(demand, low, high, group, caps, total)
    return np.clip(demand * scales[:, group], low, high)


def _knapsack_scales(
    demand: FloatArray,
    low: FloatArray,
    high: FloatArray,
    group: np.ndarray[tuple[int], np.dtype[np.int64]],
    caps: FloatArray,
    total: float,
) -> FloatArray:
    """q of each draw and group, (draws, groups); its price is q^-(1 - ε). Arguments as `solve_knapsack`."""
    if np.any(np.diff(group) < 0) or np.any(high < low):
        raise ValueError("levers must be sorted by group and high must not lie below low")
    if demand.shape[1] == 0:
        return np.ones((len(demand), len(caps)))
    starts = _starts(group)
    ends = [*starts[1:], len(group)]
    scales = np.ones((len(demand), len(caps)))
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        part = slice(start, end)
        scales[:, index] = _largest_scale(
            demand[:, part], low[part], high[part], np.ones((len(demand), end - start)), caps[index]
        )
    common = _largest_scale(demand, low, high, scales[:, group], total)
    return np.minimum(scales, common[:, None])


def _largest_scale(
    demand: FloatArray, low: FloatArray, high: FloatArray, ceiling: FloatArray, cap: float
) -> FloatArray:
    """Largest q in (0, 1] per draw with Σ clip(demand * min(q, ceiling), low, high) <= cap.

    The sum is piecewise linear in q: Newton steps land on the answer once they reach its piece, bisection
    keeps them inside the bracket before that.
    """
    answer = np.ones(len(demand))
    spent = np.clip(demand * ceiling, low, high).sum(axis=1)
    rows = np.flatnonzero(spent > cap)
    if not len(rows):
        return answer
    if low.sum() >= cap:
        answer[rows] = 0.0
        return answer
    demand, ceiling = demand[rows], ceiling[rows]
    bottom, top = np.zeros(len(rows)), np.ones(len(rows))
    scale = np.clip(cap / spent[rows], 0.0, 1.0)
    found = np.zeros(len(rows))
    active = np.arange(len(rows))
    for _ in range(200):
        q = scale[active]
        asked = demand * np.minimum(q[:, None], ceiling)
        budgets = np.clip(asked, low, high)
        gap = cap - budgets.sum(axis=1)
        fits = gap >= 0
        found[active[fits]] = np.maximum(found[active[fits]], q[fits])
        bottom[active] = np.where(fits, q, bottom[active])
        top[active] = np.where(fits, top[active], q)
        going = (~fits | (gap > 1e-9 * cap)) & (top[active] - bottom[active] > 1e-15)
        if not going.any():
            break
        moving = (asked > low) & (asked < high) & (q[:, None] < ceiling)
        slope = (demand * moving).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Aim a hair below the cap: the answer must not exceed it by a rounding error.
            newton = q + (gap - 4e-10 * cap) / slope
        inside = (newton > bottom[active]) & (newton < top[active])
        scale[active] = np.where(inside, newton, (bottom[active] + top[active]) / 2)
        active, demand, ceiling = active[going], demand[going], ceiling[going]
    answer[rows] = found
    return answer


def _starts(group: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    return [0, *(np.flatnonzero(np.diff(group)) + 1).tolist()]
