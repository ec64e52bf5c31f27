"""Which creatives a slate takes and how they are launched.

Here: slates, where launches may lead and whom they may reach, the test lane. Not here: what creatives may
say (`policy.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from resources.settings.values import Country, Dollars, PageId, Section, TrackName, written_as


class Slates(Section):
    size: Annotated[int, Field(ge=1, le=50)] = 8
    explore_share: Annotated[float, Field(ge=0.10, le=1.0)] = 0.2
    launch_share: Annotated[float, Field(gt=0.0, le=0.2)] = 0.2
    screening_impressions: Annotated[int, Field(ge=100)] = 1000


class TestLane(Section):
    """Creatives that are only screened, by their click rate: when, for how much, and when they are stopped.

    `above_cap_probability`: P(CAC > cap) beyond which a creative is only screened. An ad is stopped early
    where P(unique link CTR < `minimum_ctr`) is above `fast_fail_probability`.
    """

    start_hour: Annotated[int, Field(ge=0, le=23)] = 14
    minimum_daily_budget: Dollars = Decimal(500)
    above_cap_probability: Annotated[float, Field(gt=0.0, le=0.9)] = 0.5
    minimum_ctr: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.005
    fast_fail_probability: Annotated[float, Field(ge=0.9, lt=1.0)] = 0.95
    excluded_placements: tuple[str, ...] = ("audience_network",)


class MetaIdentity(Section):
    """What a new Meta ad speaks as (a page) and what counts its conversions (a pixel)."""

    page_id: PageId
    pixel_id: Annotated[str, written_as(r"\d+", "a pixel id, a number")]


class Launches(Section):
    """How a slate's creatives are launched, always paused.

    `landing_domains`: the business's own hosts; a launch may lead to them and to hosts below them.
    `audiences`: ids of curated audiences by track; a health track may have none. `placements` by platform:
    where it may show; a platform that is not named decides itself. `meta`: by account; without it there are
    launch plans, and no proposals of them.
    """

    landing_domains: tuple[
        Annotated[
            str, written_as(r"[a-z0-9-]+(\.[a-z0-9-]+)+", "a host in small letters such as example.com")
        ],
        ...,
    ] = ()
    audiences: dict[TrackName, tuple[str, ...]] = {}
    meta: dict[str, MetaIdentity] = {}
    countries: Annotated[tuple[Country, ...], Field(min_length=1)] = ("US",)
    ages: tuple[Annotated[int, Field(ge=18, le=65)], Annotated[int, Field(ge=18, le=65)]] = (18, 65)
    frequency_cap: Annotated[int, Field(ge=1, le=90)] = 3
    frequency_days: Annotated[int, Field(ge=1, le=90)] = 7
    placements: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {
        "meta": ("facebook", "instagram", "audience_network"),
    }
    utm_sources: dict[str, str] = {"meta": "facebook", "google_ads": "google"}
    utm_mediums: dict[str, str] = {
        "meta": "paid_social",
        "tiktok": "paid_social",
        "linkedin": "paid_social",
        "google_ads": "cpc",
    }
    test_lane: TestLane = TestLane()

    @model_validator(mode="after")
    def _somewhere_to_test(self) -> Launches:
        for platform, shown in self.placements.items():
            if not set(shown) - set(self.test_lane.excluded_placements):
                raise ValueError(f"placements.{platform}: the test lane excludes all of them")
        if self.ages[0] > self.ages[1]:
            raise ValueError("ages: the younger age first")
        return self
