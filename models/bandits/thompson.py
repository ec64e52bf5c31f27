"""Thompson sampling over budgets: per joint draw the best affordable split, averaged over the draws.

Here: the concave knapsack and its exact solution. Not here: belief (`posteriors`), step limits and every
other guardrail (`models.guardrails`), which see the average as a request.

Per draw, with b the budget, c the budget in force, λ the drawn signups per dollar at c, ε the drawn
elasticity of the lever's cluster and v the contribution of a signup, maximise Σ v λ c (b/c)^ε - b subject to
Σ_channel b <= envelope, Σ_track b <= envelope, Σ b <= total and low <= b <= high. A dollar is only placed
where it brings more than a dollar of contribution, so a budget can also shrink. Stationarity gives
b = c (v λ ε / price)^(1/(1-ε)), price = 1 + duals >= 1. Where all levers share one elasticity, every budget
of a draw is one number times q = price^(-1/(1-ε)), and the search for q needs no powers. Else it goes by
q = 1/price: a budget is one number times q^a, a = 1/(1-ε) of its cluster, and each step takes a power per
cluster, none per lever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from models.bandits.elasticities import elasticities_of
from models.bandits.evidence import LEVER_KEY
from models.bandits.learning_cost import LearningCost
from models.bandits.posteriors import posterior_evidence
from models.rewards import FloatArray, RewardDefinition, draw_signups_per_dollar

# The response curve is only believed near the budget in force; beyond that the request names a direction.
_REACH = 2.0
# Cells (draws x levers) worked on at once: 2 MB an array stays in the cache (four times as fast as 32 MB).
_BLOCK_CELLS = 250_000
_LEARNING = LearningCost()
_MOST = 1e250  # times the smallest q^a still a number

IntArray = npt.NDArray[np.int64]


class Level(NamedTuple):
    """Groups of levers and their caps: group of each lever, ascending from 0 without gaps; one cap each."""

    group: IntArray
    caps: FloatArray


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
    curves: pl.DataFrame | None = None,
    channels: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The daily budget the sampler would give each lever if only envelopes bound it.

    Args:
        posteriors: rows of `lever_posteriors`.
        levers: platform, account_id, lever_id, current_budget (account currency a day, positive),
            minimum_budget. Levers without a posterior row are ignored.
        envelopes: dollars a day a track's budgets may add up to (over-delivery already reserved), by track.
        total_envelope: the same over all tracks.
        contribution_per_signup: dollars before advertising cost, by track.
        elasticity: ε of signups on budget, in (0, 1), of levers without a curve.
        reward: the reward definition.
        draws: joint draws.
        rng: the only source of randomness; row order does not matter.
        step_limit: largest step of one edit, as a fraction of the budget in force.
        learning: what an edit costs while the platform learns.
        curves: see `elasticities_of`: each draw has one elasticity per cluster. A lever that may not rise is
            never given more than its budget in force.
        channels: platform, account_id, lever_id (unique), track, channel, channel_envelope (dollars a day
            that the levers of a track and channel may add up to); one without a row is bound by its track.

    Returns:
        platform, account_id, track, lever_id, thompson_budget (mean over draws), thompson_budget_sd,
        share_mean and share_sd (of the track's sum, per draw), marginal_value (E[v λ ε - price], dollars per
        budget dollar), p_raise, p_cut and p_hold (shares of the draws in which a step of at most `step_limit`
        towards the draw's budget would repay its learning cost, and the rest); sorted by track and key.

    Raises:
        ValueError: a budget that is not positive, a track without envelope, and as `elasticities_of`.
    """
    rows = posteriors.join(
        levers.select(*LEVER_KEY, "current_budget", "minimum_budget"), on=list(LEVER_KEY), how="inner"
    )
    rows = _with_channels(rows, channels).sort("track", "channel", *LEVER_KEY)
    current = rows["current_budget"].cast(pl.Float64).to_numpy()
    if not np.all(np.nan_to_num(current) > 0):
        raise ValueError("current_budget must be positive: a response curve needs a point to start from")
    minimum = rows["minimum_budget"].cast(pl.Float64).fill_null(0.0).to_numpy()
    tracks = list(dict.fromkeys(rows["track"]))
    if missing := [
        track for track in tracks if track not in envelopes or track not in contribution_per_signup
    ]:
        raise ValueError(f"no envelope or contribution for tracks {missing}")
    track = np.searchsorted(np.array(tracks, dtype=str), rows["track"].to_numpy().astype(str))
    value = np.array([contribution_per_signup[name] for name in tracks])[track]
    answers = elasticities_of(rows, curves, elasticity)
    high = np.maximum(np.where(answers.may_rise, current * _REACH, current), minimum)
    low = np.clip(current / _REACH, minimum, high)
    channel = (
        rows.select(pl.struct("track", "channel").rle_id().alias("group"))["group"]
        .to_numpy()
        .astype(np.int64)
    )
    levels = [
        Level(channel, rows["channel_envelope"].to_numpy()[_starts(channel)] if len(rows) else np.zeros(0)),
        Level(track, np.array([float(envelopes[name]) for name in tracks])),
        Level(np.zeros_like(track), np.array([total_envelope])),
    ]

    evidence = posterior_evidence(rows, reward)
    sums = np.zeros((7, len(rows)))
    nodes = reward.nodes.count  # whole rounds of nodes keep every block stratified
    block = nodes * max(1, _BLOCK_CELLS // max(1, len(rows)) // nodes)
    for start in range(0, draws if len(rows) else 0, block):
        size = min(block, draws - start)
        rates = draw_signups_per_dollar(*evidence, reward, size, rng)
        drawn = answers.draw(size, rng)
        slope = _by_lever(drawn, answers.cluster)
        with np.errstate(over="ignore"):
            worth = np.minimum(value * slope * rates, 1e12)
            demand = current * worth ** (1 / (1 - slope))
        cells = _Cells(channel, answers.cluster, drawn)
        demand = np.minimum(demand, high * 1e6 if cells.are_equal else _MOST)
        scales = _knapsack_scales(demand, low, high, levels, cells)
        budgets = np.clip(demand * cells.factors(scales)[:, cells.of_lever], low, high)
        shares = budgets / np.maximum(np.add.reduceat(budgets, _starts(track), axis=1)[:, track], 1e-12)
        worth -= cells.prices(scales)[:, channel]
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
    ).sort("track", *LEVER_KEY)


def _with_channels(rows: pl.DataFrame, channels: pl.DataFrame | None) -> pl.DataFrame:
    """Channel and envelope of each lever: the empty channel, without bound, of one that has none."""
    if channels is None:
        return rows.with_columns(pl.lit("").alias("channel"), pl.lit(np.inf).alias("channel_envelope"))
    wanted = channels.select(*LEVER_KEY, "track", "channel", pl.col("channel_envelope").cast(pl.Float64))
    return rows.join(wanted, on=[*LEVER_KEY, "track"], how="left").with_columns(
        pl.col("channel").fill_null(""), pl.col("channel_envelope").fill_null(np.inf)
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


class _Cells:
    """Levers of one finest group and one cluster: within a draw, their budgets shrink by one factor q^a.

    Attributes:
        group: of each cell, ascending.
        of_lever: index of each lever's cell.
        are_equal: whether all share one elasticity: then a = 1 and q = price^(-1/(1-ε)), else q = 1/price.
        powers: a of each cell, (draws or 1, cells).
    """

    def __init__(self, group: IntArray, cluster: IntArray, elasticity: FloatArray) -> None:
        """Elasticities of each cluster, (draws or 1, clusters)."""
        pairs, index = np.unique(np.stack([group, cluster], axis=1), axis=0, return_inverse=True)
        self.group: IntArray = pairs[:, 0]
        self.of_lever: IntArray = index.reshape(-1)
        common = elasticity[0, 0]
        self.are_equal = bool((elasticity == common).all())
        self.powers = np.ones((1, len(pairs))) if self.are_equal else 1 / (1 - elasticity[:, pairs[:, 1]])
        self._of_price = 1 - common if self.are_equal else 1.0

    def factors(self, scales: FloatArray) -> FloatArray:
        """q^a of every cell, (draws, cells), from q by group, (draws, groups)."""
        own = scales[:, self.group]
        return own if self.are_equal else np.asarray(own**self.powers, dtype=np.float64)

    def prices(self, scales: FloatArray) -> FloatArray:
        """What a dollar is worth elsewhere, from q, same shape."""
        return np.asarray(np.maximum(scales, 1e-6) ** -self._of_price, dtype=np.float64)

    def of(self, groups: slice) -> slice:
        """The cells of a range of groups."""
        first, last = np.searchsorted(self.group, [groups.start, groups.stop])
        return slice(int(first), int(last))


def solve_knapsack(
    demand: FloatArray,
    low: FloatArray,
    high: FloatArray,
    levels: Sequence[Level],
    elasticity: FloatArray | None = None,
    cluster: IntArray | None = None,
) -> FloatArray:
    """Optimal budgets of every draw at once, shape (draws, levers).

    A group's sum Σ clip(demand * q^a, low, high) grows with q <= 1, so each group takes its largest q that
    respects its cap; where a coarser group's cap still binds, one common q replaces every larger one inside
    it (the duals of the levels add up in the price). Where even the lower bounds exceed a cap, the answer is
    `low`: the caller must treat it as infeasible.

    Args:
        demand: budgets at price 1 before clipping, (draws, levers), not negative.
        low: lower bounds, (levers,).
        high: upper bounds, (levers,), >= low.
        levels: caps from the finest groups to the coarsest, each group made of whole groups of the finer.
        elasticity: in (0, 1), of each cluster and draw, (draws or 1, clusters); None: the same of all levers.
        cluster: index into it per lever, (levers,).

    Raises:
        ValueError: groups not sorted or not nested, or bounds crossed.
    """
    if elasticity is None or cluster is None:
        elasticity, cluster = np.full((1, 1), 0.5), np.zeros_like(levels[0].group)
    cells = _Cells(levels[0].group, cluster, elasticity)
    scales = _knapsack_scales(demand, low, high, levels, cells)
    return np.clip(demand * cells.factors(scales)[:, cells.of_lever], low, high)


def _knapsack_scales(
    demand: FloatArray, low: FloatArray, high: FloatArray, levels: Sequence[Level], cells: _Cells
) -> FloatArray:
    """q of each draw and finest group, (draws, groups). Arguments as `solve_knapsack`."""
    finest = levels[0].group
    if any((np.diff(level.group) < 0).any() for level in levels) or np.any(high < low):
        raise ValueError("levers must be sorted by group and high must not lie below low")
    scales = np.ones((len(demand), len(levels[0].caps)))
    if demand.shape[1] == 0:
        return scales
    for level in levels:
        starts = _starts(level.group)
        for cap, start, end in zip(level.caps, starts, [*starts[1:], len(finest)], strict=True):
            inside = slice(int(finest[start]), int(finest[end - 1]) + 1)
            if start and finest[start] == finest[start - 1]:
                raise ValueError("groups must be made of whole groups of the level before")
            part = cells.of(inside)
            common = _largest_scale(
                demand[:, start:end],
                low[start:end],
                high[start:end],
                cells.factors(scales)[:, part],
                cap,
                cells.of_lever[start:end] - part.start,
                cells.powers[:, part],
                cells.are_equal,
            )
            scales[:, inside] = np.minimum(scales[:, inside], common[:, None])
    return scales


def _largest_scale(
    demand: FloatArray,
    low: FloatArray,
    high: FloatArray,
    ceiling: FloatArray,
    cap: float,
    cell: IntArray,
    powers: FloatArray,
    are_equal: bool,
) -> FloatArray:
    """Largest q in (0, 1] per draw with Σ clip(demand * min(q^a, ceiling), low, high) <= cap.

    Ceilings and powers by cell, (draws, cells). Between the points where a lever meets a bound the sum is
    straight where all powers are 1, else nearly straight in logs: Newton steps land on the answer once they
    reach its piece, bisection keeps them inside the bracket before that.
    """
    answer = np.ones(len(demand))
    spent = np.clip(demand * _by_lever(ceiling, cell), low, high).sum(axis=1)
    rows = np.flatnonzero(spent > cap)
    if not len(rows):
        return answer
    if low.sum() >= cap:
        answer[rows] = 0.0
        return answer
    powers = np.broadcast_to(powers, (len(answer), powers.shape[1]))[rows]
    demand, ceiling = demand[rows], ceiling[rows]
    bottom, top = np.zeros(len(rows)), np.ones(len(rows))
    scale = np.clip(cap / spent[rows], 0.0, 1.0)
    found = np.zeros(len(rows))
    active = np.arange(len(rows))
    for _ in range(200):
        q = scale[active]
        factor = q[:, None] if are_equal else q[:, None] ** powers
        asked = demand * _by_lever(np.minimum(factor, ceiling), cell)
        budgets = np.clip(asked, low, high)
        gap = cap - budgets.sum(axis=1)
        fits = gap >= 0
        found[active[fits]] = np.maximum(found[active[fits]], q[fits])
        bottom[active] = np.where(fits, q, bottom[active])
        top[active] = np.where(fits, top[active], q)
        going = (~fits | (gap > 1e-9 * cap)) & (top[active] - bottom[active] > 1e-15)
        if not going.any():
            break
        rising = np.where(factor < ceiling, 1.0 if are_equal else powers * factor / q[:, None], 0.0)
        slope = (demand * ((asked > low) & (asked < high)) * _by_lever(rising, cell)).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # Aim a hair below the cap: the answer must not exceed it by a rounding error.
            if are_equal:
                newton = q + (gap - 4e-10 * cap) / slope
            else:
                sums = cap - gap
                newton = q * np.exp(np.log(cap * (1 - 4e-10) / sums) * sums / (slope * q))
        inside = (newton > bottom[active]) & (newton < top[active])
        scale[active] = np.where(inside, newton, (bottom[active] + top[active]) / 2)
        active, demand, ceiling, powers = active[going], demand[going], ceiling[going], powers[going]
    answer[rows] = found
    return answer


def _by_lever(of_cells: FloatArray, cell: IntArray) -> FloatArray:
    """Columns of cells repeated for their levers; one cell needs no copy."""
    return of_cells if of_cells.shape[1] == 1 else of_cells[:, cell]


def _starts(group: IntArray) -> list[int]:
    return [0, *(np.flatnonzero(np.diff(group)) + 1).tolist()]
