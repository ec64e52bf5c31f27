"""Every rule of an allocation checked again on the spend itself, from the rules' own words.

Here: a second reading of `SpendRules`, without intervals or bisection. Not here: finding spend
(`allocation`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.mmm.channel_draws import ChannelDraws
from models.mmm.response import FloatArray
from models.mmm.spend_bounds import SpendRules

TOLERANCE = 1e-8
"""Share of the dollars concerned: what sums of floating-point numbers differ by."""


@dataclass(frozen=True)
class Violation:
    """A rule that a spend breaks; channel None: the portfolio. `by` is in dollars, or in probability."""

    channel: str | None
    rule: str
    by: float


def violations(
    draws: ChannelDraws,
    current: FloatArray,
    proposed: FloatArray,
    rules: SpendRules,
    start_of_day: FloatArray | None = None,
) -> list[Violation]:
    """Everything wrong with a proposed spend, dollars a week, (channels,); empty where all rules are kept."""
    morning = current if start_of_day is None else start_of_day
    found = []
    for index, name in enumerate(draws.channels):
        here = _Channel(draws.subset([index]), name, float(current[index]), float(morning[index]), rules)
        found += here.broken(float(proposed[index]))
    spent = float(proposed.sum())
    if spent > rules.budget + TOLERANCE * max(spent, 1.0):
        found.append(Violation(None, "budget", spent - rules.budget))
    if rules.portfolio_cac_cap is not None:
        totals = np.sort(draws.at(proposed)[0].sum(axis=1))
        covered = rules.portfolio_cac_cap * _worst_mean(totals, rules.tail)
        if spent > covered + TOLERANCE * max(spent, float(current.sum()), 1.0):
            found.append(Violation(None, "portfolio_cac", spent - covered))
    return found


@dataclass(frozen=True)
class _Channel:
    draws: ChannelDraws
    name: str
    current: float
    morning: float
    rules: SpendRules

    def broken(self, spend: float) -> list[Violation]:
        floors, ceilings = self.limits()
        slack = TOLERANCE * max(self.current, self.morning, abs(spend), 1.0)
        found = [
            Violation(self.name, rule, floor - spend)
            for rule, floor in floors.items()
            if spend < floor - slack and (self.satisfiable() or floor <= self.current)
        ]
        if not np.isfinite(spend) or spend < 0:
            found.append(Violation(self.name, "negative", -spend))
        if not self.satisfiable():  # hold or cut
            if spend > self.current + slack:
                found.append(Violation(self.name, "hold_or_cut", spend - self.current))
            return found
        found += [
            Violation(self.name, rule, spend - ceiling)
            for rule, ceiling in ceilings.items()
            if spend > ceiling + slack
        ]
        missing = self.rules.cap_probability - self.within_cap(spend)
        return [*found, Violation(self.name, "marginal_cac", missing)] if missing > 1e-9 else found

    def limits(self) -> tuple[dict[str, float], dict[str, float]]:
        rules = self.rules
        floors = {"minimum": rules.minimum.get(self.name, 0.0)}
        ceilings = {"maximum": rules.maximum.get(self.name, np.inf)}
        if rules.step is not None:
            floors["step"], ceilings["step"] = (
                self.current * (1 - rules.step),
                self.current * (1 + rules.step),
            )
        if rules.day is not None:
            floors["day"], ceilings["day"] = self.morning * (1 - rules.day), self.morning * (1 + rules.day)
        if self.name in rules.may_not_rise:
            ceilings["may_not_rise"] = self.current
        return floors, ceilings | {"budget": rules.budget}

    def satisfiable(self) -> bool:
        """Whether any spend meets all rules of the channel: if any does, the least one does."""
        floors, ceilings = self.limits()
        least = max(floors.values())
        return least <= min(ceilings.values()) and self.within_cap(least) >= self.rules.cap_probability - 1e-9

    def within_cap(self, spend: float) -> float:
        if self.rules.marginal_cac_cap is None:
            return 1.0
        _, slope = self.draws.at(np.array([spend]))
        with np.errstate(divide="ignore"):
            return float((1.0 / slope <= self.rules.marginal_cac_cap * (1 + 1e-12)).mean())


def _worst_mean(ordered: FloatArray, tail: float) -> float:
    """Mean of the lowest share, the last of them counted in part."""
    left = tail * ordered.size
    counted = np.clip(left - np.arange(ordered.size), 0.0, 1.0)
    return float(counted @ ordered / left)
