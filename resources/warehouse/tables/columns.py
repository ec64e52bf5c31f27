"""How columns are written in this package, and those that tables of many subjects share.

Here: the row notation, the decision morning, a lever's key, quantiles. Not here: any table.
"""

from __future__ import annotations

from resources.warehouse.schema import Column, ColumnType

Row = tuple[str, ColumnType, str] | tuple[str, ColumnType, str, bool]
"""Name, type, description with its unit, and whether it may never be NULL."""

AS_OF: Row = ("as_of_date", "DATE", "The morning the numbers were known.", True)
LEVER: tuple[Row, ...] = (
    ("platform", "STRING", "Source of the account.", True),
    ("account_id", "STRING", "Account.", True),
    ("track", "STRING", "Track.", True),
    ("lever_id", "STRING", "Lever in budget_levers.", True),
)


def columns(*rows: Row) -> tuple[Column, ...]:
    """The columns that `rows` describe."""
    return tuple(Column(*row) for row in rows)


def quantiles(metric: str, unit: str) -> tuple[tuple[str, ColumnType, str], ...]:
    """p10, p50 and p90 of a metric in `unit`; NULL is allowed."""
    return tuple(
        (f"{metric}_p{level}", "FLOAT64", f"{unit}; P(value <= this) = {level} %.") for level in (10, 50, 90)
    )
