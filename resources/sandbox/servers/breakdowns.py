"""How a day's numbers fall upon its hours, and upon people by age and gender.

Here: the sandbox's shares of delivery, where more is clicked and bought, and dividing totals into parts that
add up again. Not here: whose totals, and how a platform words the parts (its own server).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from resources.sandbox.laws import FloatArray, IntArray
from resources.sandbox.servers.hours import DELIVERY

AGES = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+", "unknown")
GENDERS = ("female", "male", "unknown")


@dataclass(frozen=True)
class Parts:
    """A breakdown.

    Attributes:
        delivery: share of impressions and money by part, sums to 1.
        clicks: a part's click rate beside the whole's.
        purchases: a part's purchases per click beside the whole's.
    """

    delivery: FloatArray
    clicks: FloatArray
    purchases: FloatArray

    def by(self, other: Parts) -> Parts:
        """Every part of this by every part of the other, as if they had nothing to do with each other."""
        pairs = ("delivery", "clicks", "purchases")
        return Parts(*(np.outer(getattr(self, name), getattr(other, name)).ravel() for name in pairs))


def _parts(delivery: Iterable[float], clicks: Iterable[float], purchases: Iterable[float]) -> Parts:
    shares = np.array(list(delivery), dtype=np.float64)
    return Parts(shares / shares.sum(), np.array(list(clicks)), np.array(list(purchases)))


# People buy in the evening.
HOURS = _parts(
    DELIVERY,
    [1.1] * 6 + [1.0] * 12 + [1.05] * 6,
    [0.4] * 6 + [0.9] * 6 + [1.0] * 6 + [1.25] * 6,
)
BY_AGE = _parts(
    [10, 24, 22, 18, 14, 10, 2], [1.2, 1.1, 1, 0.95, 0.9, 0.9, 1], [0.45, 0.9, 1.2, 1.2, 1, 0.8, 1]
)
BY_GENDER = _parts([56, 40, 4], [1.05, 0.95, 1], [1.1, 0.85, 1])
AGE_GENDER = BY_AGE.by(BY_GENDER)


def broken_down(
    totals: pl.DataFrame,
    parts: Parts,
    seeds: pl.Series,
    *,
    delivery: Sequence[str],
    clicks: Sequence[str],
    purchases: Mapping[str, int],
    values: Mapping[str, str],
) -> pl.DataFrame:
    """Every row once per part, named by its index in `part`; parts in which nothing happened are left out.

    A row's parts add up to it exactly. A total that grows later (conversions still arriving) keeps its
    purchases where they were.

    Args:
        totals: whole numbers (cents, millionths) beside whatever names them.
        seeds: what makes a row itself, such as entity and day.
        delivery: columns that follow delivery; `clicks` follow the click rate.
        purchases: columns of purchases, with how much of the column one purchase is.
        values: columns of money, with the purchases they belong to.
    """
    count = len(parts.delivery)
    numbers: dict[str, IntArray] = {}
    clicked = parts.delivery * parts.clicks
    for names, shares in ((delivery, parts.delivery), (clicks, clicked / clicked.sum())):
        for name in names:
            numbers[name] = _divided(totals[name].to_numpy(), shares, _uniforms(seeds, name))
    told = numbers[clicks[-1]] if clicks else np.zeros((totals.height, count), dtype=np.int64)
    likely = np.where(told.sum(axis=1, keepdims=True) > 0, told, clicked) * parts.purchases
    for name, unit in purchases.items():
        numbers[name] = _scattered(
            totals[name].to_numpy(), unit, likely, [f"{seed}|{name}" for seed in seeds]
        )
    for name, bought in values.items():
        numbers[name] = _in_proportion(totals[name].to_numpy(), numbers[bought])
    return (
        totals.drop(list(numbers))
        .select(pl.all().repeat_by(count).explode())
        .with_columns(
            pl.Series("part", np.tile(np.arange(count), totals.height), dtype=pl.Int64),
            *(pl.Series(name, values.ravel(), dtype=pl.Int64) for name, values in numbers.items()),
        )
        .filter(pl.any_horizontal(pl.col(name) != 0 for name in numbers))
    )


def _uniforms(seeds: pl.Series, name: str) -> FloatArray:
    return np.array([zlib.crc32(f"{seed}|{name}".encode()) / 2**32 for seed in seeds], dtype=np.float64)


def _divided(totals: IntArray, shares: FloatArray, start: FloatArray) -> IntArray:
    """Whole numbers near `totals * shares`, shape (rows, parts); `start` in [0, 1) moves where they round."""
    reached = np.minimum(shares.cumsum(), 1.0)
    reached[-1] = 1.0
    below = np.floor(totals[:, None] * reached + start[:, None]).astype(np.int64)
    return np.asarray(np.diff(below, axis=1, prepend=0))


def _scattered(totals: IntArray, unit: int, likely: FloatArray, seeds: Sequence[str]) -> IntArray:
    """Purchases one by one to parts drawn with these weights; the last one may be a fraction of a unit."""
    found = np.zeros(likely.shape, dtype=np.int64)
    for row in map(int, np.flatnonzero(totals > 0)):
        reached = likely[row].cumsum()
        events = -(-int(totals[row]) // unit)
        drawn = np.random.default_rng(zlib.crc32(seeds[row].encode())).random(events) * reached[-1]
        amounts = np.full(events, unit)
        amounts[-1] = totals[row] - unit * (events - 1)
        part = np.minimum(np.searchsorted(reached, drawn, side="right"), likely.shape[1] - 1)
        np.add.at(found[row], part, amounts)
    return found


def _in_proportion(totals: IntArray, purchases: IntArray) -> IntArray:
    """Money where its purchases are; all of it in the last part where there are none."""
    bought = purchases.cumsum(axis=1)
    whole = bought[:, -1:]
    share = np.divide(bought, whole, out=np.zeros(bought.shape), where=whole > 0)
    share[:, -1] = 1.0
    return np.asarray(np.diff(np.floor(totals[:, None] * share).astype(np.int64), axis=1, prepend=0))
