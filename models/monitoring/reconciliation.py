"""What platforms claim beside what the backend sold, per track: in range, and steady?

Here: the ratio over matured days and its verdict. Not here: the days (`platform_vs_backend`).
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from models.maturity import last_matured_day

# A change is told from luck at three standard errors of the log ratio of counts.
_SURE = 3.0
SCHEMA = pl.Schema(
    {
        "as_of_date": pl.Date,
        "track": pl.String,
        "first_date": pl.Date,
        "last_date": pl.Date,
        "platform_signups": pl.Float64,
        "backend_orders": pl.Int64,
        "claimed_per_order": pl.Float64,
        "claimed_per_order_before": pl.Float64,
        "status": pl.String,
        "detail": pl.String,
    }
)


def reconcile(
    daily: pl.DataFrame,
    tracks: list[str],
    *,
    as_of_date: date,
    maturity_days: int,
    window_days: int,
    lowest: float,
    highest: float,
    largest_change: float,
) -> pl.DataFrame:
    """One verdict per track over `window_days` matured days (SCHEMA).

    Status: in_range, out_of_range, changed or no_orders.

    Args:
        daily: date, track, platform_signups (reward-weighted), backend_orders (orders of new customers).
        lowest, highest: allowed platform signups per order.
        largest_change: allowed |ratio / ratio of the window before − 1|; beyond it, and beyond what counts of
            this size do by luck, the verdict is `changed`: tracking broke, or a window was redefined.
    """
    last = last_matured_day(as_of_date, maturity_days)
    first = last - timedelta(days=window_days - 1)
    before = first - timedelta(days=window_days)
    rows = []
    for track in tracks:
        own = daily.filter(pl.col("track") == track)
        claimed, orders = _sums(own, first, last)
        claimed_before, orders_before = _sums(own, before, first - timedelta(days=1))
        ratio = claimed / orders if orders else None
        ratio_before = claimed_before / orders_before if orders_before else None
        status, detail = _verdict(
            ratio,
            ratio_before,
            1 / max(claimed, 1) + 1 / max(orders, 1) + 1 / max(claimed_before, 1) + 1 / max(orders_before, 1),
            (lowest, highest, largest_change),
        )
        rows.append(
            {
                "as_of_date": as_of_date,
                "track": track,
                "first_date": first,
                "last_date": last,
                "platform_signups": claimed,
                "backend_orders": orders,
                "claimed_per_order": ratio,
                "claimed_per_order_before": ratio_before,
                "status": status,
                "detail": detail,
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def _sums(daily: pl.DataFrame, first: date, last: date) -> tuple[float, int]:
    window = daily.filter(pl.col("date").is_between(first, last))
    return float(window["platform_signups"].sum()), int(window["backend_orders"].sum())


def _verdict(
    ratio: float | None, before: float | None, variance: float, allowed: tuple[float, float, float]
) -> tuple[str, str]:
    lowest, highest, largest_change = allowed
    if ratio is None:
        return "no_orders", "The backend has no order of a new customer in these days to compare with."
    claims = f"Platforms claim {ratio:.2f} signups per order of a new customer"
    if not lowest <= ratio <= highest:
        return "out_of_range", f"{claims}; {lowest:g} to {highest:g} is allowed."
    if before:
        change = ratio / before - 1
        if abs(change) > largest_change and abs(change) > _SURE * variance**0.5:
            return "changed", f"{claims}, {before:.2f} in the days before: {change:+.0%}."
    return "in_range", f"{claims}."
