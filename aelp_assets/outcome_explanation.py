"""What came of a change: its lever's days after it, beside as many before.

Here: reading both from the newest marts, and saying them in one line. Not here: what the change itself
brought, which days before and after cannot tell; randomised holds do (`apply_hold`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

import polars as pl

from resources.control.records import LEVER, Record, key_of
from resources.warehouse.interface import Warehouse, WarehouseError
from resources.warehouse.schema import TableName

DAYS = 7
"""Whole days told on either side: every weekday once."""
_REWARD = TableName("gaelp_training", "reward_daily")
_TOOK_PLACE = ("applied", "shadow")
_COLUMNS = [*LEVER, "date", "cost", "reward", "is_matured"]


def outcomes_of(
    warehouses: Sequence[Warehouse], changes: Sequence[Record], zone: tzinfo
) -> list[dict[str, Any]]:
    """One entry per change that took place, or would have: its lever's week after it and the week before.

    Args:
        warehouses: asked in turn, for reading only.
        changes: of the change feed.
        zone: the calendar the day of a change is told in.

    Returns:
        change_id, mode, day, and before and after: first, last, days, matured_days, cost and reward (None
        where a day's conversions cannot be told yet), or None without a day. The day of the change is in
        neither.
    """
    found = []
    for change in changes:
        if change["status"] not in _TOOK_PLACE:
            continue
        moment = change["sent_at"] or change["created_at"]
        day = datetime.fromtimestamp(moment, UTC).astimezone(zone).date()
        rows = _days(warehouses, change, day - timedelta(days=DAYS), day + timedelta(days=DAYS))
        found.append(
            {
                "change_id": change["change_id"],
                "mode": change["mode"],
                "day": day,
                "before": _sums(rows.filter(pl.col("date") < day)),
                "after": _sums(rows.filter(pl.col("date") > day)),
            }
        )
    return found


def _days(warehouses: Sequence[Warehouse], change: Record, first: date, last: date) -> pl.DataFrame:
    mine = [pl.col(name) == value for name, value in zip(LEVER, key_of(change), strict=True)]
    for warehouse in warehouses:
        try:
            rows = warehouse.read(_REWARD, _COLUMNS, partition="date", first=first, last=last)
        except WarehouseError:
            continue
        return rows.filter(*mine)
    return pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.Null) | {"date": pl.Date})


def _sums(rows: pl.DataFrame) -> dict[str, Any] | None:
    if rows.is_empty():
        return None
    return {
        "first": rows["date"].min(),
        "last": rows["date"].max(),
        "days": rows["date"].n_unique(),
        "matured_days": int(rows["is_matured"].sum()),
        "cost": rows["cost"].sum(),
        "reward": None if rows["reward"].null_count() else float(rows["reward"].sum()),
    }


def outcome_lines(outcomes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each outcome in one line."""
    return [_line(one) for one in outcomes]


def _line(outcome: Mapping[str, Any]) -> str:
    sent = " (never sent: what came anyway)" if outcome["mode"] == "shadow" else ""
    head = f"What came after {outcome['change_id']}{sent}"
    if outcome["after"] is None:
        return f"{head}: no report day after {outcome['day']} yet"
    before = "" if outcome["before"] is None else f"; before it, {_week(outcome['before'])}"
    return f"{head}: {_week(outcome['after'])}{before}"


def _week(sums: Mapping[str, Any]) -> str:
    signups = "signups not known yet" if sums["reward"] is None else f"{sums['reward']:,.1f} signups"
    return (
        f"{sums['first']} to {sums['last']}, {sums['days']} days, {sums['matured_days']} of them matured: "
        f"spend {sums['cost']:,.2f}, {signups}"
    )
