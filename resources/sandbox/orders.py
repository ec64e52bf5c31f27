"""The backend's orders: caused by ads, organic, renewals; trials, payments, refunds, utm fields.

Here: the shop's own ledger, which counts each order once. Not here: what platforms claim of it
(`ledger.observe`): several may claim the same order, and most view-through claims are of organic ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resources.sandbox import laws
from resources.sandbox.catalogue import TRACKS
from resources.sandbox.laws import IntArray
from resources.sandbox.ledger import CLICK, VIEW, Conversions, Ledger
from resources.sandbox.world import Business

NEVER = np.iinfo(np.int64).max
ORGANIC, CAUSED, RENEWAL = range(3)
TRIAL_DAYS = 7
MAX_REFUND_DAYS = 20
_LOST_UTM = 0.12
_STREAM = 20
_HOURS = np.array(
    [2, 1, 1, 1, 1, 2, 4, 7, 9, 10, 11, 12, 13, 12, 11, 11, 11, 12, 13, 15, 16, 14, 9, 5], dtype=np.float64
)


@dataclass(frozen=True)
class Orders:
    """Arrays over orders, by day and time of day. Days count from the business's start."""

    day: IntArray
    second: IntArray  # of the account-local day
    track: IntArray
    origin: IntArray  # ORGANIC, CAUSED or RENEWAL: truth
    ad: IntArray  # ad in the utm fields, -1: none
    caused_by: IntArray  # ad that caused it, -1: none; truth
    value_cents: IntArray
    customer: NDArray[np.uint64]
    is_new: NDArray[np.bool_]
    trial: NDArray[np.bool_]
    paid_on: IntArray  # NEVER where it never is
    refunded_on: IntArray

    def __len__(self) -> int:
        return len(self.day)


def backend_orders(business: Business, ledger: Ledger) -> Orders:
    """All orders placed on the ledger's days.

    Each day draws from a stream of its own, and an order depends only on ads of its day or before:
    a longer ledger repeats the orders of a shorter one exactly.
    """
    claims = ledger.conversions
    ad_of = business.cells.ad[ledger.delivery.cell[claims.row]]
    track_of = business.levers.track[business.adsets.lever[business.ads.adset[ad_of]]]
    by_day = np.argsort(claims.ordered_on, kind="stable")
    bounds = np.searchsorted(claims.ordered_on[by_day], np.arange(ledger.days + 1))
    days = []
    for day in range(ledger.days):
        rng = laws.generator(business.seed, _STREAM, day)
        mine = by_day[bounds[day] : bounds[day + 1]]
        for track in range(len(TRACKS)):
            index = mine[track_of[mine] == track]
            days.append(_orders_of_day(business, day, track, claims, ad_of, index, rng))
    joined = Orders(
        **{name: np.concatenate([getattr(part, name) for part in days]) for name in vars(days[0])}
    )
    order = np.lexsort((joined.track, joined.second, joined.day))
    return Orders(**{name: values[order] for name, values in vars(joined).items()})


def _orders_of_day(
    business: Business,
    day: int,
    track: int,
    claims: Conversions,
    ad_of: IntArray,
    index: IntArray,
    rng: np.random.Generator,
) -> Orders:
    kind = TRACKS[track]
    demand = float(business.weather.demand[day, track])
    unrest = float(np.exp(rng.normal(0.0, 0.10)))
    organic = int(rng.poisson(kind.organic_signups * demand * unrest))
    renewals = int(rng.poisson(kind.returning_orders * unrest))
    caused = index[claims.caused[index]]
    claimed = index[~claims.caused[index] & (claims.kind[index] == CLICK)]
    by_view = claims.kind[caused] == VIEW
    size = organic + len(caused) + renewals
    origin = np.repeat([ORGANIC, CAUSED, RENEWAL], [organic, len(caused), renewals])
    ad = np.full(size, -1, dtype=np.int64)
    # A click leaves its utm fields unless they are lost; a view leaves none.
    ad[organic : organic + len(caused)] = np.where(
        by_view | (rng.random(len(caused)) < _LOST_UTM), -1, ad_of[caused]
    )
    # Clicks of people who would have ordered anyway: organic orders carrying an ad's utm fields.
    if organic and len(claimed):
        ad[(rng.random(len(claimed)) * organic).astype(np.int64)] = ad_of[claimed]
    prices = np.round(np.array(kind.prices) * 100).astype(np.int64)
    value = prices[laws.draw_from(rng, np.array(kind.price_shares), size)]
    value[organic : organic + len(caused)] = claims.value_cents[caused]
    is_new = rng.random(size) < 0.94
    is_new[organic : organic + len(caused)] = claims.new_customer[caused]
    is_new[organic + len(caused) :] = False
    trial = is_new & (rng.random(size) < 0.62)
    converts = rng.random(size) < 0.74
    refunded = rng.random(size) < 0.045
    paid_on = np.where(trial, np.where(converts, day + TRIAL_DAYS, NEVER), day)
    after = rng.integers(1, MAX_REFUND_DAYS - TRIAL_DAYS + 1, size)
    caused_by = np.full(size, -1, dtype=np.int64)
    caused_by[organic : organic + len(caused)] = ad_of[caused]
    return Orders(
        day=np.full(size, day),
        second=_seconds(rng, size),
        track=np.full(size, track),
        origin=origin,
        ad=ad,
        caused_by=caused_by,
        value_cents=value,
        customer=_customers(business, day, track, is_new, rng),
        is_new=is_new,
        trial=trial,
        paid_on=paid_on,
        refunded_on=np.where(refunded & (paid_on != NEVER), np.minimum(paid_on, NEVER - 99) + after, NEVER),
    )


def _seconds(rng: np.random.Generator, size: int) -> IntArray:
    hour = laws.draw_from(rng, _HOURS / _HOURS.sum(), size)
    return np.asarray(hour * 3600 + rng.integers(0, 3600, size))


def _customers(
    business: Business, day: int, track: int, is_new: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.uint64]:
    """Customer hashes: new ones are fresh, returning ones come from the days before (or before day 0)."""
    size = len(is_new)
    since = np.clip(np.floor(25 + rng.exponential(70.0, size)), 25, 400).astype(np.int64)
    signed_up = np.where(is_new, day, day - since)
    # About forty signups a day are remembered as number 0 … 39 of that day and track.
    number = np.where(is_new, np.arange(size), rng.integers(0, 40, size))
    key = ((signed_up + 1_000) * len(TRACKS) + track) * 1_000_000 + number
    salt = np.uint64(business.seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    return _mix(key.astype(np.uint64) + salt)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64's finaliser: a bijection that looks random."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
