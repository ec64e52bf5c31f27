"""One day's delivery: auctions, impressions, clicks, conversions, for all live cells at once.

Here: what money turns into, given the day's wishes to spend. Not here: budgets, pacing and what
carries over to tomorrow (`kernel`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resources.sandbox import laws
from resources.sandbox.business import audience_column, placement_column
from resources.sandbox.catalogue import GOOGLE, GOOGLE_CREDITS, LEARNING, TRACKS
from resources.sandbox.laws import FloatArray, IntArray
from resources.sandbox.ledger import CLICK, UNREPORTED, VIEW, AdDays, Conversions, Delivery
from resources.sandbox.world import Business

UNREPORTED_SHARE = 0.07  # orders caused that no platform sees, per claimed click conversion


class LiveCells:
    """Cells that may deliver today and where they belong; those of `resting` ads may not."""

    def __init__(
        self, business: Business, day: int, budgets: FloatArray, resting: NDArray[np.bool_] | None = None
    ) -> None:
        ads, adsets = business.ads, business.adsets
        running = (ads.first_day <= day) & (day < ads.last_day) & (budgets[adsets.lever[ads.adset]] > 0)
        if resting is not None:
            running &= ~resting
        self.cell: IntArray = np.flatnonzero(running[business.cells.ad])
        self.ad = business.cells.ad[self.cell]
        self.placement = business.cells.placement[self.cell]
        self.adset = ads.adset[self.ad]
        self.lever = adsets.lever[self.adset]
        self.track = business.levers.track[self.lever]
        self.audience = business.levers.audience[self.lever]
        self.platform = business.levers.platform[self.lever]
        self.group = self.adset * business.placements + self.placement


@dataclass(frozen=True)
class Today:
    """The morning's state that delivery depends on: day, wear per ad, learning per lever."""

    day: int
    exposure: FloatArray
    learning: IntArray


@dataclass(frozen=True)
class Rates:
    """Chances behind the day's counts, over live cells; truth."""

    per_click: FloatArray
    per_view: FloatArray


def deliver(
    business: Business, today: Today, live: LiveCells, wanted: FloatArray, rng: np.random.Generator
) -> tuple[Delivery, Rates]:
    """Clear the auctions for the money each cell wants to spend; draw impressions and clicks."""
    adsets, ads, levers = business.adsets, business.ads, business.levers
    spend = _affordable(business, today.day, live, wanted)
    by_adset = laws.totals(live.adset, spend, len(adsets.id))
    by_cluster = np.bincount(adsets.cluster, weights=by_adset)
    rivals = 1.0 - by_adset / np.maximum(by_cluster[adsets.cluster], 1e-9)
    cpm = _prices(business, today, live, spend, rivals, rng)
    impressions = rng.poisson(1000.0 * spend / cpm)
    cents = np.where(impressions > 0, np.floor(spend * 100.0 + 1e-6), 0).astype(np.int64)
    mood = rng.normal(0.0, 0.06, len(adsets.id))[live.adset]
    ctr = (
        placement_column("ctr")[live.placement]
        * audience_column("ctr_factor")[live.audience]
        * np.exp(ads.log_ctr[live.ad] + mood)
        * laws.fatigue(today.exposure[live.ad] / ads.pool[live.ad])
    )
    link_clicks = laws.beta_binomial(rng, impressions, ctr, 0.09)
    other_clicks = rng.binomial(impressions - link_clicks, np.minimum(0.45 * ctr, 0.3))
    reach = np.ceil(impressions * laws.saturation(np.full(len(impressions), 0.45)))
    rates = _response(business, today, live, spend, by_adset, rivals, rng)
    by_click = link_clicks * rates.per_click * levers.click_incrementality[live.lever]
    by_view = (impressions - link_clicks) * rates.per_view * levers.view_incrementality[live.lever]
    delivery = Delivery(
        day=np.full(len(live.cell), today.day),
        cell=live.cell,
        impressions=impressions,
        clicks=link_clicks + other_clicks,
        link_clicks=link_clicks,
        reach=np.minimum(reach, impressions).astype(np.int64),
        cents=cents,
        # Every order nobody noticed was caused; it comes on top of the claimed ones.
        expected_incremental=by_click + link_clicks * rates.per_click * UNREPORTED_SHARE + by_view,
    )
    return delivery, rates


def _capacity(business: Business, day: int) -> FloatArray:
    """Dollars the auctions hold today, by ad set × placement, flattened."""
    return np.asarray(business.adsets.capacity.ravel() * business.weather.demand[day].mean())


def _affordable(business: Business, day: int, live: LiveCells, wanted: FloatArray) -> FloatArray:
    """Dollars each cell can spend: an ad set never buys more than nine tenths of a placement."""
    capacity = _capacity(business, day)
    by_group = laws.totals(live.group, wanted, len(capacity))
    fits = np.minimum(1.0, 0.9 * capacity / np.maximum(by_group, 1e-9))
    return np.asarray(wanted * fits[live.group])


def _prices(
    business: Business,
    today: Today,
    live: LiveCells,
    spend: FloatArray,
    rivals: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Dollars per 1,000 impressions: each ad set and placement moves along its supply curve."""
    capacity = _capacity(business, today.day)
    by_group = laws.totals(live.group, spend, len(capacity))
    share = np.clip(by_group / np.maximum(capacity, 1e-9), 1e-4, 0.9)[live.group]
    mean_price = (
        placement_column("cpm")[live.placement]
        * audience_column("cpm_factor")[live.audience]
        * np.array([track.cpm_factor for track in TRACKS])[live.track]
        * business.weather.price[today.day, live.platform]
        # Ad sets after the same people bid against one another.
        * (1.0 + 0.18 * rivals[live.adset])
        * np.where(today.learning[live.lever] == LEARNING, 1.06, 1.0)
        # A better ad pays less for the same place, as in quality-weighted auctions.
        * np.exp(-0.25 * business.ads.log_ctr[live.ad] + rng.normal(0.0, 0.07, len(live.cell)))
    )
    return laws.auction_cpm(mean_price, placement_column("price_spread")[live.placement], share)


def _response(
    business: Business,
    today: Today,
    live: LiveCells,
    spend: FloatArray,
    by_adset: FloatArray,
    rivals: FloatArray,
    rng: np.random.Generator,
) -> Rates:
    """Chance of an order per link click and of a claim per view."""
    levers, weather = business.levers, business.weather
    load = levers.load * laws.totals(live.lever, spend, len(levers.id)) / levers.base_budget
    crowding = laws.saturation(load) / laws.saturation(levers.load)
    shock = (
        weather.lever_drift[today.day]
        + weather.track_shock[today.day, levers.track]
        + rng.normal(0.0, 0.07, len(levers.id))
    )
    lever_rate = (
        levers.conversion_rate
        * crowding
        * np.exp(shock)
        * np.where(today.learning == LEARNING, 0.82, 1.0)
        * np.power(weather.demand[today.day, levers.track], 0.6)
    )
    adset_rate = laws.threshold(by_adset, business.adsets.knee) * (1.0 - 0.10 * rivals)
    per_click = (
        lever_rate[live.lever]
        * adset_rate[live.adset]
        * placement_column("cvr_factor")[live.placement]
        * np.exp(business.ads.log_cvr[live.ad])
    )
    # View-through claims follow impressions and demand: most of these people were coming anyway.
    seen_and_ordered = placement_column("ctr") * placement_column("cvr_factor")
    per_view = (
        audience_column("view_ratio")[live.audience]
        * audience_column("ctr_factor")[live.audience]
        * seen_and_ordered[live.placement]
        * levers.conversion_rate[live.lever]
        * np.exp(0.4 * shock[live.lever])
        * weather.demand[today.day, live.track]
    )
    return Rates(per_click, per_view)


def convert(
    business: Business, day: int, live: LiveCells, delivery: Delivery, rates: Rates, rng: np.random.Generator
) -> Conversions:
    """Draw conversions and, for each, when it is ordered, when it is shown and whether it was caused.

    `row` counts the live cells.
    """
    levers = business.levers
    by_click = laws.beta_binomial(rng, delivery.link_clicks, rates.per_click, 0.35)
    by_view = laws.beta_binomial(rng, delivery.impressions - delivery.link_clicks, rates.per_view, 0.6)
    unseen = rng.poisson(UNREPORTED_SHARE * delivery.link_clicks * rates.per_click)
    row = np.concatenate(
        [np.repeat(np.arange(len(counts)), counts) for counts in (by_click, by_view, unseen)]
    )
    kind = np.repeat([CLICK, VIEW, UNREPORTED], [by_click.sum(), by_view.sum(), unseen.sum()])
    order = np.lexsort((kind, row))
    row, kind = row[order], kind[order]
    lever, track = live.lever[row], live.track[row]
    size = len(row)
    to_order = np.zeros(size, dtype=np.int64)
    cents = np.zeros(size, dtype=np.int64)
    for index, kind_of_track in enumerate(TRACKS):
        for view in (False, True):
            mine = (track == index) & ((kind == VIEW) == view)
            to_order[mine] = laws.draw_from(rng, business.order_delays[index, view], int(mine.sum()))
        mine = track == index
        shares = np.array(kind_of_track.price_shares)
        prices = np.round(np.array(kind_of_track.prices) * 100).astype(np.int64)
        cents[mine] = prices[laws.draw_from(rng, shares, int(mine.sum()))]
    lag = laws.draw_from(rng, laws.reporting_lag(), size)
    chance = np.where(kind == VIEW, levers.view_incrementality[lever], levers.click_incrementality[lever])
    google = (live.platform[row] == GOOGLE) & (kind == CLICK)
    credit = np.where(google, GOOGLE_CREDITS[rng.integers(0, len(GOOGLE_CREDITS), size)], 100)
    return Conversions(
        row=row,
        kind=kind,
        ordered_on=day + to_order,
        shown_on=day + np.minimum(to_order + lag, laws.MAX_DELAY_DAYS),
        value_cents=cents,
        credit=credit,
        caused=(rng.random(size) < chance) | (kind == UNREPORTED),
        new_customer=rng.random(size) < audience_column("new_customer_share")[live.audience[row]],
    )


def people_by_ad(
    business: Business, delivery: Delivery, kept: NDArray[np.bool_], rng: np.random.Generator
) -> AdDays:
    """Ad totals of what does not add up over placements: people are counted once."""
    ad = business.cells.ad[delivery.cell[kept]]
    ads, first_row = np.unique(ad, return_index=True)
    if len(ads) == 0:
        empty = np.zeros(0, dtype=np.int64)
        return AdDays(empty, empty, empty, empty, empty)
    reach = np.add.reduceat(delivery.reach[kept], first_row)
    largest = np.maximum.reduceat(delivery.reach[kept], first_row)
    links = np.add.reduceat(delivery.link_clicks[kept], first_row)
    return AdDays(
        day=np.full(len(ads), int(delivery.day[0])),
        ad=ads,
        first_row=first_row,
        reach=np.maximum(largest, np.floor(0.93 * reach)).astype(np.int64),
        unique_link_clicks=links - rng.binomial(np.maximum(links - 1, 0), 0.06),
    )
