"""What the warehouse knows of a morning's levers, read without keeping anybody waiting.

Here: belief, decision and forecast by lever, and what lies between two forecast budgets. Not here: what
is shown of it (`cards`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import polars as pl

from aelp_assets.experiments_going_on import GoingOn, read_going_on
from resources.control.records import LeverKey, Record, key_of
from resources.warehouse.interface import Warehouse, WarehouseError
from resources.warehouse.schema import TableName

_INTERPOLATED = (
    *("signups_p10", "signups_p50", "signups_p90"),
    *("cac_p10", "cac_p50", "cac_p90", "p_cac_within_cap"),
    *("platform_cac_p50", "backend_cac_p50", "incremental_cac_p50"),
)


@dataclass(frozen=True)
class Figures:
    """One morning's figures by lever.

    Attributes:
        beliefs, decisions: rows of `bandit_posteriors` and `bandit_decisions`.
        forecasts: rows of `forecast_results` on the first day forecast, by rising budget.
        going_on: experiments; None: they cannot be told.
        missing: why there are none, in words; None: there are.
    """

    beliefs: Mapping[LeverKey, Record] = field(default_factory=dict)
    decisions: Mapping[LeverKey, Record] = field(default_factory=dict)
    forecasts: Mapping[LeverKey, Sequence[Record]] = field(default_factory=dict)
    going_on: GoingOn | None = None
    missing: str | None = None


def read_figures(warehouses: Sequence[Warehouse], morning: date) -> Figures:
    """The figures of a morning from the first of `warehouses` that has them; a held one raises nothing."""
    said = []
    for warehouse in warehouses:
        try:
            decisions = _read(warehouse, "bandit_decisions", morning)
            if decisions.is_empty():
                said.append("It does not hold this morning yet.")
                continue
            beliefs = _read(warehouse, "bandit_posteriors", morning)
            forecasts = _read(warehouse, "forecast_results", morning)
        except WarehouseError as error:
            said.append(str(error))
            continue
        first_day = forecasts.filter(pl.col("target_date") == pl.col("target_date").min()).sort("budget")
        by_lever: dict[LeverKey, list[Record]] = {}
        for row in first_day.iter_rows(named=True):
            by_lever.setdefault(key_of(row), []).append(row)
        going_on = read_going_on(warehouse, morning)
        return Figures(_by_lever(beliefs), _by_lever(decisions), by_lever, going_on)
    return Figures(missing=said[-1] if said else "There is no warehouse here yet.")


def _read(warehouse: Warehouse, table: str, morning: date) -> pl.DataFrame:
    name = TableName("gaelp_training", table)
    return warehouse.read(name, partition="as_of_date", first=morning, last=morning)


def _by_lever(rows: pl.DataFrame) -> dict[LeverKey, Record]:
    return {key_of(row): row for row in rows.iter_rows(named=True)}


def forecast_at(forecasts: Sequence[Record], budget: Decimal) -> Record | None:
    """What is forecast of a budget: each quantile on the straight line between the two nearest budgets.

    Args:
        forecasts: of one lever and day, by rising budget.
    Returns:
        signups and CAC p10, p50, p90, P(CAC <= cap) and the medians of CAC by the three counts, null where
        either end is; None outside the budgets that were forecast.
    """
    at_most = [row for row in forecasts if row["budget"] <= budget]
    at_least = [row for row in forecasts if row["budget"] >= budget]
    if not at_most or not at_least:
        return None
    low, high = at_most[-1], at_least[0]
    width = high["budget"] - low["budget"]
    share = float((budget - low["budget"]) / width) if width else 0.0
    # A copy from before a column was forecast does not have it.
    return {"budget": budget} | {
        name: _between(low.get(name), high.get(name), share) for name in _INTERPOLATED
    }


def _between(low: float | None, high: float | None, share: float) -> float | None:
    return None if low is None or high is None else low + share * (high - low)
