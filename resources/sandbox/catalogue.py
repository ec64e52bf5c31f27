"""What every sandbox business has in common: tracks, platforms, placements, audiences and sizes.

Here: constants of the simulated world, with their units. Not here: anything drawn by seed
(`business`), the laws of motion (`laws`, `kernel`) or file formats (`exports`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

CURRENCY = "USD"
TIMEZONE = "America/New_York"
STORE_ID = "northstar-us"
BRAND = "Northstar"

PlatformName = Literal["meta", "google_ads", "tiktok", "linkedin"]
LEARNING_STATES = ("learning", "active", "limited")
LEARNING, ACTIVE, LIMITED = range(3)


@dataclass(frozen=True)
class Track:
    """A product line. Dollars; fractions."""

    name: str
    label: str
    code: str
    cac_cap: float
    daily_budget: tuple[float, float]  # range the track's total daily budget is drawn from
    prices: tuple[float, ...]  # what a first order can cost
    price_shares: tuple[float, ...]
    cpm_factor: float
    organic_signups: float  # new customers a day without any advertising
    returning_orders: float  # renewals a day
    consideration_days: float  # Weibull scale of the slow part of the click-to-order delay
    weekday: tuple[float, ...]  # demand, Monday first
    summer: float  # size and
    peak_month: float  # month of the yearly demand wave


TRACKS = (
    Track(
        name="security",
        label="Security",
        code="SEC",
        cac_cap=240.0,
        daily_budget=(22_800.0, 24_200.0),
        prices=(120.0, 180.0, 240.0, 300.0),
        price_shares=(0.25, 0.30, 0.30, 0.15),
        cpm_factor=1.18,
        organic_signups=46.0,
        returning_orders=88.0,
        consideration_days=2.0,
        weekday=(1.06, 1.05, 1.03, 1.01, 0.98, 0.92, 0.95),
        summer=0.06,
        peak_month=1.0,
    ),
    Track(
        name="balance",
        label="Balance",
        code="BAL",
        cac_cap=200.0,
        daily_budget=(20_800.0, 21_900.0),
        prices=(60.0, 120.0, 180.0),
        price_shares=(0.30, 0.40, 0.30),
        cpm_factor=1.04,
        organic_signups=55.0,
        returning_orders=104.0,
        consideration_days=3.0,
        weekday=(1.05, 1.00, 0.98, 0.97, 0.95, 0.98, 1.07),
        summer=0.08,
        peak_month=8.7,
    ),
)


@dataclass(frozen=True)
class Platform:
    """An ad platform and this business's account on it."""

    name: PlatformName
    account_id: str
    account_name: str
    minimum_budget: float  # dollars a day per budget-carrying entity
    budget_increment: float
    utm_source: str


PLATFORMS = (
    Platform("meta", "418802716650377", f"{BRAND} US", 1.0, 0.01, "facebook"),
    Platform("google_ads", "472-118-9034", f"{BRAND} Search & Display", 1.0, 0.01, "google"),
    Platform("tiktok", "7194406226318590977", f"{BRAND} TikTok US", 20.0, 1.0, "tiktok"),
    Platform("linkedin", "508733911", f"{BRAND} LinkedIn", 10.0, 1.0, "linkedin"),
)
META, GOOGLE, TIKTOK, LINKEDIN = range(4)
# Data-driven attribution shares some clicks' orders with other campaigns: hundredths of a conversion.
GOOGLE_CREDITS = np.array([100] * 9 + [67, 50, 33])


@dataclass(frozen=True)
class Audience:
    """Whom an ad set speaks to; decides price, response and above all what is incremental."""

    name: str
    cpm_factor: float
    ctr_factor: float
    view_ratio: float  # view-through conversions the platform claims per click conversion
    click_incrementality: float  # mean share of claimed click conversions the ad caused
    view_incrementality: float
    new_customer_share: float
    cac_ratio: tuple[float, float, float, float]  # reported CAC / cap: median, log sd, low, high


AUDIENCES = (
    Audience("prospecting", 1.0, 1.0, 0.45, 0.94, 0.26, 0.97, (0.86, 0.12, 0.72, 1.08)),
    Audience("remarketing", 1.7, 1.5, 1.20, 0.66, 0.08, 0.82, (0.62, 0.12, 0.48, 0.82)),
    Audience("brand_search", 1.4, 3.0, 0.0, 0.15, 0.0, 0.85, (0.40, 0.10, 0.32, 0.52)),
    Audience("nonbrand_search", 1.0, 1.0, 0.0, 0.88, 0.0, 0.95, (0.86, 0.12, 0.70, 1.08)),
    Audience("display", 1.0, 1.0, 0.90, 0.70, 0.10, 0.93, (1.75, 0.08, 1.55, 2.10)),
    Audience("short_video", 1.0, 1.0, 0.60, 0.92, 0.24, 0.98, (0.90, 0.12, 0.74, 1.10)),
    Audience("professionals", 1.0, 1.0, 0.25, 0.95, 0.20, 0.96, (0.98, 0.10, 0.80, 1.12)),
)
PROSPECTING, REMARKETING, BRAND_SEARCH, NONBRAND_SEARCH, DISPLAY, SHORT_VIDEO, PROFESSIONALS = range(7)


@dataclass(frozen=True)
class Placement:
    """A place an ad can appear. Prices in dollars per 1,000 impressions at the market's mean."""

    platform: int
    keys: tuple[str, str, str]  # platform, position, device as the export names them
    cpm: float
    price_spread: float  # log sd of the highest competing bid
    ctr: float
    cvr_factor: float
    inventory: float  # share of the platform's opportunities
    audiences: tuple[int, ...]


_META = (PROSPECTING, REMARKETING)
_SEARCH = (BRAND_SEARCH, NONBRAND_SEARCH)
PLACEMENTS = (
    Placement(META, ("facebook", "feed", "mobile_app"), 24.0, 0.45, 0.0125, 1.00, 0.27, _META),
    Placement(META, ("facebook", "feed", "desktop"), 30.0, 0.40, 0.0098, 1.35, 0.07, _META),
    Placement(META, ("instagram", "feed", "mobile_app"), 22.0, 0.45, 0.0090, 0.95, 0.19, _META),
    Placement(META, ("instagram", "instagram_stories", "mobile_app"), 15.0, 0.50, 0.0064, 0.85, 0.15, _META),
    Placement(META, ("instagram", "instagram_reels", "mobile_app"), 12.5, 0.55, 0.0056, 0.70, 0.16, _META),
    Placement(META, ("facebook", "facebook_reels", "mobile_app"), 11.0, 0.55, 0.0052, 0.65, 0.07, _META),
    Placement(META, ("facebook", "marketplace", "mobile_app"), 14.0, 0.45, 0.0070, 0.75, 0.05, _META),
    Placement(META, ("audience_network", "an_classic", "mobile_app"), 7.0, 0.65, 0.0170, 0.13, 0.04, _META),
    Placement(GOOGLE, ("Google search", "Mobile phones", ""), 150.0, 0.40, 0.055, 0.85, 0.52, _SEARCH),
    Placement(GOOGLE, ("Google search", "Computers", ""), 190.0, 0.40, 0.050, 1.30, 0.30, _SEARCH),
    Placement(GOOGLE, ("Google search", "Tablets", ""), 140.0, 0.40, 0.048, 0.95, 0.06, _SEARCH),
    Placement(GOOGLE, ("Search partners", "Mobile phones", ""), 60.0, 0.50, 0.028, 0.60, 0.12, _SEARCH),
    Placement(
        GOOGLE, ("Google Display Network", "Mobile phones", ""), 5.5, 0.6, 0.006, 0.9, 0.66, (DISPLAY,)
    ),
    Placement(GOOGLE, ("Google Display Network", "Computers", ""), 6.5, 0.6, 0.004, 1.3, 0.34, (DISPLAY,)),
    Placement(TIKTOK, ("tiktok", "in_feed", "mobile"), 11.0, 0.55, 0.0085, 1.0, 1.0, (SHORT_VIDEO,)),
    Placement(LINKEDIN, ("linkedin", "feed", "all"), 62.0, 0.35, 0.0050, 1.0, 1.0, (PROFESSIONALS,)),
)


@dataclass(frozen=True)
class Scale:
    """How large a business is. Counts are per track unless said otherwise."""

    name: str
    days: int  # of history before `today`
    cbo: tuple[int, int, int]  # Meta campaigns with a campaign budget, ad sets in each, ad slots in each
    abo: tuple[int, int, int]  # the same for campaigns whose ad sets carry the budget
    remarketing: tuple[int, int, int]
    ad_life_days: float  # mean life of an ad before another takes its slot
    placements_per_ad: tuple[float, ...] | None  # P(1), P(2), … placements; None: all of them
    render_images: bool
    lever_turnover: bool  # one lever newly launched and one paused, so that both states are seen

    def with_history(self, multiple: int) -> Scale:
        """The same account, rows per day unchanged, over `multiple` times the days."""
        return replace(self, days=self.days * multiple)


SCALES = {
    scale.name: scale
    for scale in (
        Scale("tiny", 40, (1, 2, 3), (1, 2, 1), (1, 1, 1), 400.0, None, True, False),
        Scale("demo", 100, (2, 2, 4), (1, 5, 2), (1, 2, 2), 75.0, None, True, True),
        Scale("medium", 120, (3, 3, 8), (3, 5, 10), (1, 3, 6), 40.0, (0.50, 0.32, 0.16, 0.02), False, True),
        Scale(
            "seed", 542, (10, 4, 15), (5, 5, 18), (2, 4, 14), 24.2, (0.495, 0.33, 0.155, 0.02), False, True
        ),
    )
}
