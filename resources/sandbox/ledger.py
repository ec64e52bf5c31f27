"""What a simulation leaves behind: every delivery and conversion, true, and what a platform shows of it.

Here: the ledger's arrays and `observe`, the only road from truth to exports. Not here: how they come
about (`kernel`) or how they are written (`exports`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resources.sandbox.laws import FloatArray, IntArray

CLICK, VIEW, UNREPORTED = range(3)


@dataclass(frozen=True)
class Delivery:
    """One entry per day and cell with impressions, ordered by day and cell."""

    day: IntArray
    cell: IntArray
    impressions: IntArray
    clicks: IntArray
    link_clicks: IntArray
    reach: IntArray
    cents: IntArray
    expected_incremental: FloatArray  # mean orders caused, before noise: truth


@dataclass(frozen=True)
class AdDays:
    """One entry per day and ad with impressions; `first_row` is its first entry in Delivery."""

    day: IntArray
    ad: IntArray
    first_row: IntArray
    reach: IntArray
    unique_link_clicks: IntArray


@dataclass(frozen=True)
class Conversions:
    """One entry per order a platform claims, or caused without noticing (kind UNREPORTED)."""

    row: IntArray  # entry in Delivery of the click or view
    kind: IntArray
    ordered_on: IntArray  # day of the order
    shown_on: IntArray  # first day at whose end the platform shows it
    value_cents: IntArray
    credit: IntArray  # hundredths of a conversion the platform claims
    caused: NDArray[np.bool_]  # truth: without the ad there would be no order
    new_customer: NDArray[np.bool_]


@dataclass(frozen=True)
class LeverDays:
    """State of each lever by day, shape (days, levers)."""

    budget: FloatArray
    cents: IntArray
    learning: IntArray  # at the end of the day
    last_edit: IntArray  # day of the last budget edit; negative before the history


@dataclass(frozen=True)
class Ledger:
    """All that happened on days 0 … days - 1."""

    days: int
    delivery: Delivery
    ad_days: AdDays
    conversions: Conversions
    levers: LeverDays


@dataclass(frozen=True)
class Observation:
    """What the platform shows for a span of days at the end of day `known_through`.

    `rows` are entries of Delivery, the metrics aligned with it; `ad_days` entries of AdDays.
    Credits are hundredths of a conversion, values cents, both by day of the click or view.
    """

    rows: slice
    ad_days: slice
    click_credit: IntArray
    view_credit: IntArray
    click_cents: IntArray
    view_cents: IntArray


def observe(ledger: Ledger, first_day: int, last_day: int, known_through: int) -> Observation:
    """The platform's view of days first_day … last_day, conversions shown by `known_through` only.

    Raises:
        ValueError: days the ledger does not hold, or days after `known_through`.
    """
    if not 0 <= first_day <= last_day < ledger.days or last_day > known_through:
        raise ValueError(
            f"days {first_day} to {last_day} known through {known_through}: "
            f"the ledger holds 0 to {ledger.days - 1}"
        )
    rows = _span(ledger.delivery.day, first_day, last_day)
    shown = ledger.conversions
    first, last = np.searchsorted(shown.row, [rows.start, rows.stop])
    visible = (shown.shown_on[first:last] <= known_through) & (shown.kind[first:last] != UNREPORTED)
    row = shown.row[first:last][visible] - rows.start
    kind = shown.kind[first:last][visible]
    credit = shown.credit[first:last][visible]
    cents = shown.value_cents[first:last][visible] * credit // 100
    size = rows.stop - rows.start

    def total(of: int, weights: IntArray) -> IntArray:
        mine = kind == of
        return np.bincount(row[mine], weights=weights[mine], minlength=size).astype(np.int64)

    return Observation(
        rows=rows,
        ad_days=_span(ledger.ad_days.day, first_day, last_day),
        click_credit=total(CLICK, credit),
        view_credit=total(VIEW, credit),
        click_cents=total(CLICK, cents),
        view_cents=total(VIEW, cents),
    )


def _span(days: IntArray, first_day: int, last_day: int) -> slice:
    start, stop = np.searchsorted(days, [first_day, last_day + 1])
    return slice(int(start), int(stop))
