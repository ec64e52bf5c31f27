"""Platform reports as frames: what each export would contain for a span of days, as known at a moment.

Here: columns and headers of the ad platforms' exports. Not here: orders, creatives and levers
(`backend_frames`), files and their times (`exports`). Everything passes through `ledger.observe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from resources.sandbox.catalogue import CURRENCY, GOOGLE, LINKEDIN, META, PLACEMENTS, PLATFORMS, TIKTOK
from resources.sandbox.laws import IntArray
from resources.sandbox.ledger import Ledger, Observation, observe
from resources.sandbox.world import Business


@dataclass(frozen=True)
class Retraction:
    """An ad-day the platform takes back: shown until day `gone_by` - 1, absent from then on."""

    day: int
    ad: int
    gone_by: int


@dataclass(frozen=True)
class Window:
    """Days first_day … last_day, conversions known at the end of day `known_through`."""

    first_day: int
    last_day: int
    known_through: int


class Reports:
    """Builds the ad platforms' exports of one simulated business."""

    def __init__(self, business: Business, ledger: Ledger) -> None:
        self.business = business
        self.ledger = ledger

    @cached_property
    def retraction(self) -> Retraction | None:
        """The Meta ad-day with least conversions, then least spend, nine to twelve days before today.

        Gone from what is known on the last day of history, present in the export a week before.
        """
        days = self.business.days
        first, last = days - 12, days - 9
        if first < 0 or self.ledger.days < days:
            return None
        seen = observe(self.ledger, first, last, days - 1)
        ad_days, starts = self.ledger.ad_days, self._starts(seen)
        ad = ad_days.ad[seen.ad_days]
        conversions = np.add.reduceat(seen.click_credit + seen.view_credit, starts)
        cents = np.add.reduceat(self.ledger.delivery.cents[seen.rows], starts)
        order = np.lexsort((cents, conversions))
        order = order[(self.ad_platform[ad[order]] == META) & (cents[order] > 0)]
        if len(order) == 0:
            return None
        chosen = order[0]
        return Retraction(int(ad_days.day[seen.ad_days][chosen]), int(ad[chosen]), days - 1)

    @cached_property
    def ad_platform(self) -> IntArray:
        """Index of each ad's platform, shape (ads,)."""
        business = self.business
        return business.campaigns.platform[business.adsets.campaign[business.ads.adset]]

    @cached_property
    def labels(self) -> pl.DataFrame:
        """Ids and names of everything above each ad, one row per ad."""
        business = self.business
        campaign = business.adsets.campaign[business.ads.adset]
        account = [PLATFORMS[p] for p in self.ad_platform]
        return pl.DataFrame(
            {
                "account_id": [a.account_id for a in account],
                "account_name": [a.account_name for a in account],
                "campaign_id": pl.Series(business.campaigns.id).gather(campaign),
                "campaign_name": pl.Series(business.campaigns.name).gather(campaign),
                "adset_id": pl.Series(business.adsets.id).gather(business.ads.adset),
                "adset_name": pl.Series(business.adsets.name).gather(business.ads.adset),
                "ad_id": business.ads.id,
                "ad_name": business.ads.name,
                "creative_id": pl.Series(business.creative_ids).gather(business.ads.creative),
            }
        )

    def meta(self, window: Window) -> pl.DataFrame:
        """Meta Ads Manager, ad by day."""
        seen, starts, kept = self._ad_rows(META, window)
        ad_days, delivery = self.ledger.ad_days, self.ledger.delivery
        clicks_value, views_value = seen.click_cents, seen.view_cents

        def total(values: IntArray) -> IntArray:
            return np.asarray(np.add.reduceat(values, starts)[kept])

        return self._with_labels(
            ad_days.ad[seen.ad_days][kept],
            ad_days.day[seen.ad_days][kept],
            META_NAMES,
            {
                "Impressions": total(delivery.impressions[seen.rows]),
                "Reach": ad_days.reach[seen.ad_days][kept],
                "Clicks (all)": total(delivery.clicks[seen.rows]),
                "Link clicks": total(delivery.link_clicks[seen.rows]),
                "Unique link clicks": ad_days.unique_link_clicks[seen.ad_days][kept],
                f"Amount spent ({CURRENCY})": total(delivery.cents[seen.rows]) / 100.0,
                "Purchases (7-day click)": total(seen.click_credit) // 100,
                "Purchases (1-day view)": total(seen.view_credit) // 100,
                "Purchases conversion value (7-day click)": total(clicks_value) / 100.0,
                "Purchases conversion value (1-day view)": total(views_value) / 100.0,
            },
        )

    def meta_by_placement(self, window: Window) -> pl.DataFrame:
        """Meta Ads Manager, ad by day by platform, placement and device."""
        seen, rows, ad, place = self._cell_rows(META, window)
        delivery = self.ledger.delivery
        keys = [pl.Series([p.keys[i] for p in PLACEMENTS]).gather(place) for i in range(3)]
        return self._with_labels(
            ad,
            delivery.day[seen.rows][rows],
            META_NAMES,
            {
                "Platform": keys[0],
                "Placement": keys[1],
                "Impression device": keys[2],
                "Impressions": delivery.impressions[seen.rows][rows],
                "Reach": delivery.reach[seen.rows][rows],
                "Clicks (all)": delivery.clicks[seen.rows][rows],
                "Link clicks": delivery.link_clicks[seen.rows][rows],
                f"Amount spent ({CURRENCY})": delivery.cents[seen.rows][rows] / 100.0,
                "Purchases (7-day click)": seen.click_credit[rows] // 100,
                "Purchases (1-day view)": seen.view_credit[rows] // 100,
                "Purchases conversion value (7-day click)": seen.click_cents[rows] / 100.0,
                "Purchases conversion value (1-day view)": seen.view_cents[rows] / 100.0,
            },
        )

    def google_ads(self, window: Window) -> pl.DataFrame:
        """Google Ads, ad by day by network and device; fractional data-driven conversions."""
        seen, rows, ad, place = self._cell_rows(GOOGLE, window)
        delivery = self.ledger.delivery
        keys = [pl.Series([p.keys[i] for p in PLACEMENTS]).gather(place) for i in range(2)]
        return self._with_labels(
            ad,
            delivery.day[seen.rows][rows],
            GOOGLE_NAMES,
            {
                "Network (with search partners)": keys[0],
                "Device": keys[1],
                "Currency code": pl.repeat(CURRENCY, len(ad), eager=True),
                "Impr.": delivery.impressions[seen.rows][rows],
                "Clicks": delivery.link_clicks[seen.rows][rows],
                "Cost": delivery.cents[seen.rows][rows] / 100.0,
                "Conversions": seen.click_credit[rows] / 100.0,
                "View-through conv.": seen.view_credit[rows] // 100,
                "Conv. value": seen.click_cents[rows] / 100.0,
            },
        )

    def tiktok(self, window: Window) -> pl.DataFrame:
        """TikTok, ad by day."""
        return self._simple(
            TIKTOK,
            window,
            _TIKTOK_NAMES,
            "Clicks (destination)",
            ("Cost", "Conversions (click)", "Conversions (view)", "Total purchase value"),
        )

    def linkedin(self, window: Window) -> pl.DataFrame:
        """LinkedIn, ad by day; campaign groups hold campaigns, which carry the budget."""
        return self._simple(
            LINKEDIN,
            window,
            _LINKEDIN_NAMES,
            "Clicks",
            ("Total Spent", "Conversions (post-click)", "Conversions (post-view)", "Total Conversion Value"),
        )

    def _simple(
        self,
        platform: int,
        window: Window,
        names: dict[str, str],
        clicks: str,
        metrics: tuple[str, str, str, str],
    ) -> pl.DataFrame:
        seen, rows, ad, _ = self._cell_rows(platform, window)
        delivery = self.ledger.delivery
        cost, by_click, by_view, value = metrics
        return self._with_labels(
            ad,
            delivery.day[seen.rows][rows],
            names,
            {
                "Impressions": delivery.impressions[seen.rows][rows],
                clicks: delivery.link_clicks[seen.rows][rows],
                cost: delivery.cents[seen.rows][rows] / 100.0,
                by_click: seen.click_credit[rows] // 100,
                by_view: seen.view_credit[rows] // 100,
                value: (seen.click_cents[rows] + seen.view_cents[rows]) / 100.0,
            },
        )

    def _ad_rows(self, platform: int, window: Window) -> tuple[Observation, IntArray, NDArray[np.bool_]]:
        seen = observe(self.ledger, window.first_day, window.last_day, window.known_through)
        ad_days = self.ledger.ad_days
        ad, day = ad_days.ad[seen.ad_days], ad_days.day[seen.ad_days]
        kept = (self.ad_platform[ad] == platform) & ~self._retracted(ad, day, window)
        return seen, self._starts(seen), kept

    def _cell_rows(self, platform: int, window: Window) -> tuple[Observation, IntArray, IntArray, IntArray]:
        """Entries of the window's delivery on a platform, with their ad and placement."""
        seen = observe(self.ledger, window.first_day, window.last_day, window.known_through)
        cell = self.ledger.delivery.cell[seen.rows]
        ad = self.business.cells.ad[cell]
        kept = (self.ad_platform[ad] == platform) & ~self._retracted(
            ad, self.ledger.delivery.day[seen.rows], window
        )
        rows = np.flatnonzero(kept)
        return seen, rows, ad[rows], self.business.cells.placement[cell[rows]]

    def _retracted(self, ad: IntArray, day: IntArray, window: Window) -> NDArray[np.bool_]:
        taken = self.retraction
        if taken is None or window.known_through < taken.gone_by:
            return np.zeros(len(ad), dtype=np.bool_)
        return np.asarray((ad == taken.ad) & (day == taken.day))

    def _starts(self, seen: Observation) -> IntArray:
        return np.asarray(self.ledger.ad_days.first_row[seen.ad_days] - seen.rows.start)

    def _with_labels(
        self,
        ad: IntArray,
        day: IntArray,
        names: dict[str, str],
        metrics: dict[str, pl.Series | NDArray[np.generic]],
    ) -> pl.DataFrame:
        """Label columns in the order of `names` (header -> label), then the metrics."""
        first = int(day[0]) if len(day) else 0
        last = int(day[-1]) if len(day) else 0
        dates = pl.Series(
            [self.business.date_of(d).isoformat() for d in range(first, last + 1)], dtype=pl.String
        )
        labels = self.labels.select(sorted({v for v in names.values() if v not in ("date", "currency")}))[ad]
        columns = {
            header: dates.gather(day - first)
            if label == "date"
            else pl.repeat(CURRENCY, len(ad), eager=True)
            if label == "currency"
            else labels[label]
            for header, label in names.items()
        }
        return pl.DataFrame(columns | metrics)


META_NAMES = {
    "Reporting starts": "date",
    "Reporting ends": "date",
    "Account ID": "account_id",
    "Account name": "account_name",
    "Campaign ID": "campaign_id",
    "Campaign name": "campaign_name",
    "Ad set ID": "adset_id",
    "Ad set name": "adset_name",
    "Ad ID": "ad_id",
    "Ad name": "ad_name",
    "Creative ID": "creative_id",
    "Currency": "currency",
}
GOOGLE_NAMES = {
    "Day": "date",
    "Customer ID": "account_id",
    "Account name": "account_name",
    "Campaign ID": "campaign_id",
    "Campaign": "campaign_name",
    "Ad group ID": "adset_id",
    "Ad group": "adset_name",
    "Ad ID": "ad_id",
}
_TIKTOK_NAMES = {
    "By Day": "date",
    "Advertiser ID": "account_id",
    "Advertiser name": "account_name",
    "Campaign ID": "campaign_id",
    "Campaign name": "campaign_name",
    "Ad group ID": "adset_id",
    "Ad group name": "adset_name",
    "Ad ID": "ad_id",
    "Ad name": "ad_name",
    "Currency": "currency",
}
_LINKEDIN_NAMES = {
    "Start Date (in UTC)": "date",
    "Account ID": "account_id",
    "Account Name": "account_name",
    "Campaign Group ID": "campaign_id",
    "Campaign Group Name": "campaign_name",
    "Campaign ID": "adset_id",
    "Campaign Name": "adset_name",
    "Ad ID": "ad_id",
    "Ad Name": "ad_name",
    "Currency": "currency",
}
