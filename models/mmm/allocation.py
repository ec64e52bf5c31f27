"""Where the next dollar goes: spend by channel over posterior draws, under every rule, proven and explained.

Here: the objective, an allocation or why there is none, its table. Not here: the solver (`concave_program`),
the meaning of the rules (`spend_bounds`), checking them again (`allocation_check`), other budgets and spends
(`budget_scenarios`).

An allocation is channel envelopes for what moves budgets and a proposal for people; it moves nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.mmm.allocation_check import violations
from models.mmm.channel_draws import ChannelDraws
from models.mmm.concave_program import Program, Solution, solve
from models.mmm.response import FloatArray
from models.mmm.spend_bounds import SpendBounds, SpendRules, probability_within_cap, spend_bounds
from models.quantiles import quantile_rows

UNMOVED = 1e-6
"""Changes below this share of the current spend are none."""
RULE_WORDS = {
    "budget": "the budget",
    "day": "the limit of a day",
    "hold_or_cut": "no spend within a step meets its rules",
    "marginal_cac": "the cap on its marginal CAC",
    "maximum": "its maximum",
    "may_not_rise": "it may not rise",
    "minimum": "its minimum",
    "portfolio_cac": "the portfolio's CAC guardrail",
    "step": "the limit of a step",
}


@dataclass(frozen=True)
class Objective:
    """What is good: (1 - caution) · mean + caution · mean of the worst draws, of profit or conversions.

    Attributes:
        value: dollars a conversion is worth, and spend is subtracted; None: conversions themselves, so that
            the whole budget is spent where no rule forbids.
        caution: weight of the worst draws (`SpendRules.tail` of them), in [0, 1].

    Raises:
        ValueError: a value that is not positive, a caution outside [0, 1].
    """

    value: float | None = None
    caution: float = 0.0

    def __post_init__(self) -> None:
        if (self.value is not None and not self.value > 0) or not 0 <= self.caution <= 1:
            raise ValueError("an objective needs a positive value and a caution in [0, 1]")

    @classmethod
    def until_marginal_cac(cls, target: float, caution: float = 0.0) -> Objective:
        """Spend as long as a further conversion costs less than `target` dollars.

        A dollar earns its keep while target · (conversions it adds) >= 1, so this is profit at that value.
        """
        return cls(target, caution)

    @property
    def priced(self) -> float:
        """What a dollar spent costs in units of the objective."""
        return 0.0 if self.value is None else 1.0

    def of_draws(self, conversions: FloatArray, spent: float) -> FloatArray:
        """The objective of each draw from its conversions a week, (draws,)."""
        return conversions * (1.0 if self.value is None else self.value) - self.priced * spent


@dataclass(frozen=True)
class Allocation:
    """The best spend under the rules.

    Attributes:
        current, proposed: dollars a week, (channels,).
        objective_gained: of the proposed spend over the current one, in units of the objective.
        gap: by how much at most another feasible spend would be better, same units.
        budget_price, guard_price: what a further dollar of budget, or of room under the portfolio guardrail,
            would add; 0 where it does not bind.
        channel_price: what a further dollar of the channel would add beside these: above 0 where an upper
            bound holds it, below 0 at a lower one; (channels,).
        portfolio_slack: dollars of room under the portfolio guardrail; None: there is none.
        table: a row per channel, see `allocate`.
    """

    channels: tuple[str, ...]
    current: FloatArray
    proposed: FloatArray
    bounds: SpendBounds
    objective: Objective
    objective_value: float
    objective_gained: float
    gap: float
    budget_price: float
    guard_price: float
    channel_price: FloatArray
    portfolio_slack: float | None
    table: pl.DataFrame


@dataclass(frozen=True)
class Infeasible:
    """No spend meets all rules, or none was found: the current one stands until a rule gives way.

    Attributes:
        conflicts: the rules that exclude each other, in words.
        proven: that there is none; False: the search ended undecided.
        missing: dollars by which the closest spend misses.
        closest: dollars a week, (channels,).
    """

    conflicts: tuple[str, ...]
    proven: bool
    missing: float
    closest: FloatArray
    bounds: SpendBounds


def allocate(
    draws: ChannelDraws,
    current: FloatArray,
    objective: Objective,
    rules: SpendRules,
    start_of_day: FloatArray | None = None,
    also_from: Sequence[FloatArray] = (),
) -> Allocation | Infeasible:
    """The best spend under the rules; never worse than the current one where that keeps them.

    Args:
        current: dollars a week now, (channels,).
        start_of_day: dollars a week when the day began; None: current.
        also_from: further spends to start from; where they keep the rules the result is no worse.

    Returns:
        with a table: channel, current_spend, proposed_spend, change (dollars a week), low, high, binding (the
        rule that holds it, else null), conversions_p10/p50/p90 (incremental, a week), conversions_change_p10/
        p50/p90, marginal_cac_p50/p90 (of the proposed spend; null where infinite), probability_within_cap
        (null without a cap), p_better (share of draws in which the change pays at the price of a dollar;
        null where nothing changes), reason.

    Raises:
        ValueError: see `spend_bounds`.
        AssertionError: the result breaks a rule, which it never should.
    """
    bounds = spend_bounds(draws, current, rules, start_of_day)
    program = Program(
        draws,
        bounds.low,
        bounds.high,
        rules.budget,
        1.0 if objective.value is None else objective.value,
        objective.priced,
        objective.caution,
        rules.portfolio_cac_cap,
        rules.tail,
    )
    solution = solve(program, [current, *also_from])
    if solution.best is None:
        return _infeasible(draws.channels, program, bounds, solution)
    assert solution.bound is not None
    best, prices = solution.best, solution.bound
    broken = violations(draws, current, best.spend, rules, start_of_day)
    if broken:
        raise AssertionError(f"allocation breaks its own rules: {broken}")
    staying = program.at(current)
    found = Allocation(
        draws.channels,
        current,
        best.spend,
        bounds,
        objective,
        best.objective,
        best.objective - staying.objective,
        solution.gap,
        prices.budget_price,
        prices.guard_price,
        prices.channel_price,
        best.slack if rules.portfolio_cac_cap is not None else None,
        pl.DataFrame(),
    )
    return replace(found, table=_table(draws, found, rules))


def binding_rules(bounds: SpendBounds, spend: FloatArray, prices: FloatArray) -> list[str | None]:
    """The rule that holds each channel: at an end of its interval that it would leave if it could."""
    width = np.maximum(bounds.high - bounds.low, UNMOVED * np.maximum(bounds.high, 1.0))
    found: list[str | None] = []
    for index in range(spend.size):
        at_high = bounds.high[index] - spend[index] <= UNMOVED * width[index]
        at_low = spend[index] - bounds.low[index] <= UNMOVED * width[index]
        if at_high and (prices[index] > 0 or not at_low):
            found.append(bounds.high_rule[index])
        else:
            found.append(bounds.low_rule[index] if at_low else None)
    return found


def _infeasible(
    channels: tuple[str, ...], program: Program, bounds: SpendBounds, solution: Solution
) -> Infeasible:
    """Which rules exclude each other: those that hold the closest spend where it is."""
    if solution.bound is None:
        missing = float(bounds.low.sum()) - program.budget
        words = [
            f"lower bounds add up to {bounds.low.sum():,.2f} a week, the budget is {program.budget:,.2f}"
        ]
        held = [bounds.low_rule[at] if bounds.low[at] > 0 else None for at in range(len(channels))]
        return Infeasible(_conflicts(words, channels, held), True, missing, solution.closest, bounds)
    closest, prices = program.at(solution.closest), solution.bound
    proven = prices.value < -1e-9 * program.scale
    words = [
        f"{RULE_WORDS['portfolio_cac']} misses by {-closest.slack:,.2f} a week at the best spend found"
        + ("" if proven else f" (not proven: at most {prices.value:,.2f} of room could exist)")
    ]
    if prices.budget_price > 0:
        words.append(f"{RULE_WORDS['budget']} of {program.budget:,.2f} leaves no room to earn it")
    rules = binding_rules(bounds, closest.spend, prices.channel_price)
    held = [
        rule if abs(price) > 1e-9 else None for rule, price in zip(rules, prices.channel_price, strict=True)
    ]
    return Infeasible(_conflicts(words, channels, held), proven, -closest.slack, solution.closest, bounds)


def _conflicts(
    words: Sequence[str], channels: tuple[str, ...], held: Sequence[str | None]
) -> tuple[str, ...]:
    by_rule: dict[str, list[str]] = {}
    for name, rule in zip(channels, held, strict=True):
        if rule is not None:
            by_rule.setdefault(rule, []).append(name)
    return (*words, *(f"{RULE_WORDS[rule]}: {', '.join(names)}" for rule, names in sorted(by_rule.items())))


def _table(draws: ChannelDraws, found: Allocation, rules: SpendRules) -> pl.DataFrame:
    before, _ = draws.at(found.current)
    after, slopes = draws.at(found.proposed)
    change = found.proposed - found.current
    with np.errstate(divide="ignore"):
        cost = quantile_rows((1.0 / slopes).T)
    worth = (1.0 if found.objective.value is None else found.objective.value) * (after - before)
    pays = (worth > (found.objective.priced + found.budget_price) * change).mean(axis=0)
    moved = np.abs(change) > UNMOVED * np.maximum(found.current, 1.0)
    within = None
    if rules.marginal_cac_cap is not None:
        within = probability_within_cap(draws, found.proposed, rules.marginal_cac_cap)
    binding = binding_rules(found.bounds, found.proposed, found.channel_price)
    columns: dict[str, object] = {
        "channel": list(found.channels),
        "current_spend": found.current,
        "proposed_spend": found.proposed,
        "change": change,
        "low": found.bounds.low,
        "high": found.bounds.high,
        "binding": pl.Series(binding, dtype=pl.String),
    }
    for name, values in (("conversions", after), ("conversions_change", after - before)):
        low, middle, high = quantile_rows(values.T).T
        columns |= {f"{name}_p10": low, f"{name}_p50": middle, f"{name}_p90": high}
    reasons = [
        _reason(found, rules, index, bool(moved[index]), binding[index], float(pays[index]))
        for index in range(len(found.channels))
    ]
    frame = pl.DataFrame(
        columns
        | {
            "marginal_cac_p50": cost[:, 1],
            "marginal_cac_p90": cost[:, 2],
            "probability_within_cap": pl.Series(within, dtype=pl.Float64)
            if within is not None
            else pl.Series([None] * len(found.channels), dtype=pl.Float64),
            "p_better": pl.Series(np.where(moved, pays, np.nan)),
            "reason": reasons,
        }
    )
    numbers = pl.col(pl.Float64)
    return frame.with_columns(pl.when(numbers.is_finite()).then(numbers))


def _reason(
    found: Allocation, rules: SpendRules, index: int, moved: bool, binding: str | None, pays: float
) -> str:
    """Why this spend: the direction, how sure, and what holds it there."""
    now, then = float(found.current[index]), float(found.proposed[index])
    if binding == "may_not_rise":
        held = f"it may not rise: {rules.may_not_rise[found.channels[index]]}"
    else:
        held = "" if binding is None else RULE_WORDS[binding]
    if not moved:
        return f"Hold: {held}." if held else "Hold: a dollar does as much here as elsewhere."
    verb, share = ("Raise" if then > now else "Cut"), abs(then / now - 1) if now > 0 else 1.0
    sure = f"{verb} by {share:.1%}: pays in {pays:.0%} of draws"
    if held:
        return f"{sure}; held by {held}."
    return f"{sure}; beyond it a dollar does more elsewhere."
