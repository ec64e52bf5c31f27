"""Spend that maximises a concave objective over posterior draws, with proof of how good it is.

Here: objective and portfolio guardrail as concave functions of spend, the solver, the certificate. Not here:
which bounds and budget apply (`spend_bounds`), what is reported (`allocation`).

Over draws d and channels c, with y_d(x) = Σ_c conversions_dc(x_c) and tail(z) the mean of the worst share:

    maximise   (1 - λ) mean(z) + λ tail(z),   z_d = value · y_d(x) - priced · Σ x
    subject to low <= x <= high,   Σ x <= budget,   guard · tail(y) - Σ x >= 0.

tail is a minimum of linear functions, so both are concave, and every point visited gives a plane above each
(Rockafellar, Uryasev 2000). SLSQP finds the point; a linear program over the planes says how far it can be
from the best (Kelley 1960) and where to look if that is too far. The bound is computed from the linear
program's multipliers, for any of which it holds, so it does not rest on that solver's tolerance either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linprog, minimize

from models.mmm.channel_draws import ChannelDraws
from models.mmm.response import FloatArray

GAP = 1e-5
"""A solution counts as best when its certified gap is below this share of the dollars (or conversions) that
the objective moves over the feasible spends."""
FEASIBLE = 1e-9
"""Slack below 0 that counts as 0, as a share of the dollars at stake: rounding of sums over draws."""
COMFORT = 1e-3
"""Slack, as a share of the dollars at stake, from which on a search for room under the guardrail may end."""
CLIMBS = 3
"""SLSQP from its own answer again: its model of the curvature starts anew, and most gaps close."""
ROUNDS = 60
INWARD = 0.2
REACHES = (0.1, 1e-4)


@dataclass(frozen=True)
class Program:
    """What is maximised, over which spends.

    Attributes:
        low, high: dollars a week, (channels,), low <= high.
        budget: dollars a week at most; infinite where it is flexible.
        value: of a conversion: dollars, or 1 where conversions are the objective.
        priced: 1 where a dollar spent costs a dollar, 0 where conversions are the objective.
        caution: λ, weight of the worst draws in [0, 1].
        guard: the portfolio guardrail's dollars per conversion; None: there is none.
        tail: share of draws that counts as the worst, in (0, 1].
    """

    draws: ChannelDraws
    low: FloatArray
    high: FloatArray
    budget: float
    value: float
    priced: float
    caution: float = 0.0
    guard: float | None = None
    tail: float = 0.1

    def at(self, spend: FloatArray) -> Point:
        """Objective and guardrail with their slopes at a spend."""
        conversions, slopes = self.draws.at(spend)
        total = conversions.sum(axis=1)
        worst = tail_weights(total, self.tail)
        weights = (1 - self.caution) / total.size + self.caution * worst
        spent = float(spend.sum())
        objective = self.value * float(weights @ total) - self.priced * spent
        rise = self.value * _mixed(weights, slopes) - self.priced
        if self.guard is None:
            return Point(spend, objective, rise, np.inf, np.zeros_like(spend))
        slack = self.guard * float(worst @ total) - spent
        return Point(spend, objective, rise, slack, self.guard * _mixed(worst, slopes) - 1.0)

    @property
    def scale(self) -> float:
        """Dollars that rounding is measured against."""
        return max(float(np.abs(self.high).sum()), 1e-9)

    def holds(self, point: Point) -> bool:
        """Whether a point inside the bounds meets budget and guardrail."""
        over = float(point.spend.sum()) - self.budget
        return over <= FEASIBLE * self.scale and point.slack >= -FEASIBLE * self.scale


@dataclass(frozen=True)
class Point:
    """Objective and guardrail slack at a spend, and their slopes, (channels,) each."""

    spend: FloatArray
    objective: float
    rise: FloatArray
    slack: float
    slack_rise: FloatArray


@dataclass(frozen=True)
class Bound:
    """No feasible spend's objective is above `value`.

    Attributes:
        budget_price, guard_price: what a further dollar of budget, or of the guardrail's slack, would add.
        channel_price: what a further dollar of each channel would add beside these: above 0 at an upper
            bound, below 0 at a lower one.
        looks_to: the spend at which the planes are highest.
    """

    value: float
    budget_price: float
    guard_price: float
    channel_price: FloatArray
    looks_to: FloatArray


@dataclass(frozen=True)
class Solution:
    """The best spend found and how far from the best it can be.

    Attributes:
        best: it; None where no spend meets budget and guardrail, or none was found.
        bound: of the objective; where there is no best, of the guardrail's slack, and below 0 it proves that
            there is none; None where the lower bounds alone exceed the budget.
        closest: the best, else the spend that misses by the least.
    """

    best: Point | None
    bound: Bound | None
    closest: FloatArray

    @property
    def gap(self) -> float:
        """What at most is left on the table, in units of the objective."""
        assert self.best is not None
        assert self.bound is not None
        return max(self.bound.value - self.best.objective, 0.0)


def tail_weights(values: FloatArray, tail: float) -> FloatArray:
    """Weights (sum 1) whose product with the values is the mean of their lowest `tail` share."""
    size = tail * values.size
    whole = int(np.floor(size + 1e-9))
    weights = np.zeros(values.size)
    if whole >= values.size:
        return np.full(values.size, 1 / values.size)
    order = np.argpartition(values, whole)
    weights[order[:whole]] = 1.0
    weights[order[whole]] = max(size - whole, 0.0)  # the next lowest, as argpartition puts it there
    found: FloatArray = weights / size
    return found


def _mixed(weights: FloatArray, slopes: FloatArray) -> FloatArray:
    """Σ_d weights_d slopes_dc, not by BLAS: its threads spin for longer than the sum takes."""
    mixed: FloatArray = np.einsum("d,dc->c", weights, slopes)
    return mixed


def solve(program: Program, starts: Sequence[FloatArray]) -> Solution:
    """The best spend, certified.

    Args:
        starts: dollars a week to begin at and, where they are feasible, never to end below; (channels,) each.
    """
    floor = float(program.low.sum())
    if floor - program.budget > FEASIBLE * program.scale:
        return Solution(None, None, program.low)
    points = [program.at(_inside(program, start)) for start in starts]
    if not any(program.holds(point) for point in points):
        safest, most = _safest(program, points[0].spend)
        points.append(program.at(safest.spend))
        if not program.holds(points[-1]):
            return Solution(None, most, safest.spend)
    best, bound = _maximise(program, points)
    return Solution(best, bound, best.spend)


def certify(program: Program, points: list[Point]) -> Bound:
    """The highest point under all planes, as a bound with its multipliers."""
    low, high = program.low, program.high
    rises = np.array([point.rise for point in points])
    levels = np.array([point.objective - point.rise @ point.spend for point in points])
    guards = np.array([point.slack_rise for point in points if np.isfinite(point.slack)])
    guards = guards.reshape(-1, low.size)
    slack = np.array([p.slack - p.slack_rise @ p.spend for p in points if np.isfinite(p.slack)])
    planes, on_guard, on_budget, looks_to = _prices(program, rises, levels, guards, slack)
    channel = planes @ rises + on_guard @ guards - on_budget
    value = float(planes @ levels + on_guard @ slack)
    value += on_budget * program.budget if on_budget > 0 else 0.0
    value += float(np.maximum(channel * low, channel * high).sum())
    return Bound(value, on_budget, float(on_guard.sum()), channel, looks_to)


def _prices(
    program: Program,
    rises: FloatArray,
    levels: FloatArray,
    guards: FloatArray,
    slack: FloatArray,
) -> tuple[FloatArray, FloatArray, float, FloatArray]:
    """Multipliers of the planes (sum 1), of the guardrail's planes and of the budget, and the highest spend.

    Solved in shares of each channel's width, with the objective in units of what the widths move.
    """
    low, width = program.low, program.high - program.low
    count, channels = rises.shape
    at_low = levels + rises @ low
    unit = max(float(np.abs(rises * width).max(initial=0.0)), float(np.ptp(at_low)), 1e-12)
    top = float(at_low.min())
    left, right = [np.hstack([-rises * width / unit, np.ones((count, 1))])], [(at_low - top) / unit]
    dollars = max(float(width.max(initial=0.0)), 1e-12)
    if guards.size:
        left.append(np.hstack([-guards * width / dollars, np.zeros((guards.shape[0], 1))]))
        right.append((slack + guards @ low) / dollars)
    bounded = np.isfinite(program.budget)
    if bounded:
        left.append(np.hstack([width / dollars, [0.0]])[None])
        right.append(np.array([max(program.budget - float(low.sum()), 0.0) / dollars]))
    found = linprog(
        np.append(np.zeros(channels), -1.0),
        A_ub=np.vstack(left),
        b_ub=np.concatenate(right),
        bounds=[(0.0, 1.0)] * channels + [(None, None)],
        method="highs",
    )
    if found.status != 0:  # the newest point's plane alone still bounds
        return np.eye(count)[-1], np.zeros(guards.shape[0]), 0.0, low
    prices = np.maximum(-found.ineqlin.marginals, 0.0)
    planes = prices[:count] / float(prices[:count].sum())
    on_guard = prices[count : count + guards.shape[0]] * unit / dollars
    on_budget = float(prices[-1]) * unit / dollars if bounded else 0.0
    return planes, on_guard, on_budget, low + width * np.clip(found.x[:channels], 0.0, 1.0)


def _maximise(program: Program, points: list[Point], enough: float = np.inf) -> tuple[Point, Bound]:
    """From points of which one holds: SLSQP, then planes until the gap is closed or rounds are over.

    Args:
        enough: objective at which to stop.
    """
    for _ in range(CLIMBS):
        points += _climb(program, _best(program, points).spend, enough)
        best = _repaired(program, points)
        bound = certify(program, points)
        if best.objective >= enough or bound.value - best.objective <= GAP * _moves(program, best):
            return best, bound
    reach = REACHES[0]
    for _ in range(ROUNDS):
        if best.objective >= enough or bound.value - best.objective <= GAP * _moves(program, best):
            break
        # Far planes say where the best is not, near ones how high it is.
        for spend in (
            certify(_around(program, best.spend, reach), points).looks_to,
            best.spend + INWARD * (bound.looks_to - best.spend),
        ):
            points.append(program.at(_inside(program, spend)))
            better = _repaired(program, points)
            if better.objective > best.objective:
                best = better
        bound = min((bound, certify(program, points)), key=lambda found: found.value)
        reach = reach * 0.7 if reach > REACHES[1] else REACHES[0]
    return best, bound


class _EnoughFound(Exception):
    """Ends SLSQP at a point that is good enough: it has no other way out."""


def _climb(program: Program, start: FloatArray, enough: float) -> list[Point]:
    """Every point SLSQP asked for, its answer last; in shares of each channel's width."""
    free = np.flatnonzero(program.high > program.low)
    if free.size == 0:
        return []
    base, width = start.copy(), (program.high - program.low)[free]
    base[free] = program.low[free]
    visited: list[Point] = []
    seen: dict[bytes, Point] = {}
    first = program.at(start)
    unit = max(float(np.abs(first.rise[free] * width).max()), 1e-12)
    dollars = float(width.max())

    def point(shares: FloatArray) -> Point:
        key = shares.tobytes()
        if key not in seen:
            spend = base.copy()
            spend[free] += np.clip(shares, 0.0, 1.0) * width
            seen[key] = program.at(spend)
            visited.append(seen[key])
            if seen[key].objective >= enough and program.holds(seen[key]):
                raise _EnoughFound
        return seen[key]

    constraints = []
    if np.isfinite(program.budget):
        left = (program.budget - float(base.sum())) / dollars
        share = width / dollars
        constraints.append({"type": "ineq", "fun": lambda x: left - share @ x, "jac": lambda _: -share})
    if program.guard is not None:
        slope = width / dollars
        constraints.append(
            {
                "type": "ineq",
                "fun": lambda x: point(x).slack / dollars,
                "jac": lambda x: point(x).slack_rise[free] * slope,
            }
        )
    try:
        found = minimize(
            lambda x: -point(x).objective / unit,
            (start[free] - base[free]) / width,
            jac=lambda x: -point(x).rise[free] * width / unit,
            bounds=[(0.0, 1.0)] * free.size,
            constraints=constraints,
            method="SLSQP",
            options={"maxiter": 100, "ftol": 1e-10},
        )
    except _EnoughFound:
        return visited
    answer = base.copy()
    answer[free] += np.clip(np.nan_to_num(found.x), 0.0, 1.0) * width
    return [*visited, program.at(_inside(program, answer))]


def _around(program: Program, spend: FloatArray, reach: float) -> Program:
    """The same within a share of each channel's width."""
    width = reach * (program.high - program.low)
    low, high = np.maximum(program.low, spend - width), np.minimum(program.high, spend + width)
    return replace(program, low=low, high=high)


def _safest(program: Program, start: FloatArray) -> tuple[Point, Bound]:
    """A spend with room under the guardrail, else the one with the most: a program of the same kind."""
    assert program.guard is not None
    slack = replace(program, value=program.guard, priced=1.0, caution=1.0, guard=None)
    return _maximise(slack, [slack.at(start)], enough=COMFORT * program.scale)


def _best(program: Program, points: list[Point]) -> Point:
    return max((point for point in points if program.holds(point)), key=lambda point: point.objective)


def _repaired(program: Program, points: list[Point]) -> Point:
    """The best point that holds, the newest one first pulled inside where it does not.

    The guardrail is concave along the way to a point inside, so the chord's root lies inside, too.
    """
    newest = points[-1]
    if newest.slack < 0:
        inner = max((each for each in points if program.holds(each)), key=lambda each: each.slack)
        if inner.slack > 0:
            share = inner.slack / (inner.slack - newest.slack)
            points.append(program.at(inner.spend + share * (newest.spend - inner.spend)))
    return _best(program, points)


def _inside(program: Program, spend: FloatArray) -> FloatArray:
    """Within the bounds, and scaled towards the lower ones where over the budget."""
    clipped = np.clip(spend, program.low, program.high)
    floor, total = float(program.low.sum()), float(clipped.sum())
    if total <= program.budget or total <= floor:
        return clipped
    share = max(program.budget - floor, 0.0) / (total - floor)
    found: FloatArray = program.low + share * (clipped - program.low)
    return found


def _moves(program: Program, best: Point) -> float:
    """What moving every channel across its bounds would cost or gain, each by its slope."""
    width = program.high - program.low
    return max(float(((np.abs(best.rise) + program.priced) * width).sum()), 1e-9)
