"""What other budgets and other spends would bring: efficient frontier, what-if, regret of staying put.

Here: joint summaries over draws of whole spends. Not here: finding a spend (`allocation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.mmm.allocation import Allocation, Infeasible, Objective, allocate
from models.mmm.channel_draws import ChannelDraws
from models.mmm.response import FloatArray
from models.mmm.spend_bounds import SpendRules
from models.quantiles import NAMES, quantile_rows


@dataclass(frozen=True)
class Regret:
    """What staying at the current spend costs beside the proposed one, in units of the objective a week.

    Attributes:
        by_draw: (draws,); below 0 where staying is better.
        expected: their mean.
        probability: share of draws above 0.
    """

    by_draw: FloatArray
    expected: float
    probability: float
    p10: float
    p50: float
    p90: float


def regret_of_staying(draws: ChannelDraws, found: Allocation) -> Regret:
    """What not following the allocation would cost, draw by draw."""
    gained = _of_spend(draws, found.proposed, found.objective) - _of_spend(
        draws, found.current, found.objective
    )
    low, middle, high = (float(value) for value in quantile_rows(gained[None])[0])
    return Regret(gained, float(gained.mean()), float((gained > 0).mean()), low, middle, high)


def what_if(
    draws: ChannelDraws, current: FloatArray, spend: FloatArray, value: float | None = None
) -> pl.DataFrame:
    """The given spend beside the current one and their difference, joint across channels.

    Args:
        spend: dollars a week, (channels,).
        value: revenue dollars of a conversion; None: no ROAS.

    Returns:
        scenario (current, given, change), spend, conversions_p10/p50/p90 (incremental, a week), cac_p10/p50/
        p90 (dollars per incremental conversion; of the change: per further one, null where it adds none),
        roas_p10/p50/p90 (null without a value), p_more (share of draws with more conversions than now; of the
        change alone).

    Raises:
        ValueError: spend that is negative or not finite.
    """
    if spend.shape != current.shape or not np.isfinite(spend).all() or (spend < 0).any():
        raise ValueError("spend must be finite and at least 0 for each channel")
    before, after = (draws.at(each)[0].sum(axis=1) for each in (current, spend))
    rows = [
        _row("current", float(current.sum()), before, value),
        _row("given", float(spend.sum()), after, value),
        _row("change", float(spend.sum() - current.sum()), after - before, value)
        | {"p_more": float((after > before).mean())},
    ]
    return pl.DataFrame(rows, schema=_SCENARIO_SCHEMA)


def frontier(
    draws: ChannelDraws,
    current: FloatArray,
    objective: Objective,
    rules: SpendRules,
    budgets: Sequence[float],
    start_of_day: FloatArray | None = None,
) -> pl.DataFrame:
    """The best spend at each budget, from the least to the largest; a larger one is never worse.

    Returns:
        budget, feasible, spend (dollars a week that the best spend uses), objective, gap, budget_price (what
        the next dollar would add), conversions_p10/p50/p90, cac_p10/p50/p90, missing (dollars a week; of
        infeasible budgets alone). Numbers of infeasible budgets are null.
    """
    rows: list[dict[str, object]] = []
    last: list[FloatArray] = []
    for budget in sorted(budgets):
        found = allocate(draws, current, objective, replace(rules, budget=budget), start_of_day, last)
        if isinstance(found, Infeasible):
            rows.append({"budget": budget, "feasible": False, "missing": found.missing})
            continue
        last = [found.proposed]
        spent = float(found.proposed.sum())
        rows.append(
            _row("", spent, draws.at(found.proposed)[0].sum(axis=1), None)
            | {"budget": budget, "feasible": True, "objective": found.objective_value}
            | {"gap": found.gap, "budget_price": found.budget_price}
        )
    numbers = ("spend", "objective", "gap", "budget_price", *_quantiles("conversions"), *_quantiles("cac"))
    schema = {"budget": pl.Float64, "feasible": pl.Boolean} | dict.fromkeys((*numbers, "missing"), pl.Float64)
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def _of_spend(draws: ChannelDraws, spend: FloatArray, objective: Objective) -> FloatArray:
    return objective.of_draws(draws.at(spend)[0].sum(axis=1), float(spend.sum()))


def _quantiles(name: str) -> list[str]:
    return [f"{name}_{quantile}" for quantile in NAMES]


_SCENARIO_SCHEMA = {"scenario": pl.String, "spend": pl.Float64} | dict.fromkeys(
    (*_quantiles("conversions"), *_quantiles("cac"), *_quantiles("roas"), "p_more"), pl.Float64
)


def _row(name: str, spent: float, conversions: FloatArray, value: float | None) -> dict[str, object]:
    """Quantiles of one spend, or of a change: its cost is infinite where it adds nothing for its dollars."""
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = np.where(conversions * np.sign(spent) > 0, spent / conversions, np.inf)
        returned = np.full_like(conversions, np.nan) if value is None else value * conversions / spent
    row: dict[str, object] = {"scenario": name, "spend": spent}
    for metric, values in (("conversions", conversions), ("cac", cost), ("roas", returned)):
        for column, number in zip(_quantiles(metric), quantile_rows(values[None])[0], strict=True):
            row[column] = float(number) if np.isfinite(number) else None
    return row
