"""The shape of a simulated business: accounts, campaigns, ad sets, levers, ads and their parameters.

Here: arrays only, drawn once by `business.draw_business` and never changed by a simulation. Not
here: how they are drawn, or what happens on a day (`kernel`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from resources.sandbox.catalogue import PLACEMENTS, Scale
from resources.sandbox.copywriting import Creatives
from resources.sandbox.laws import FloatArray, IntArray


@dataclass(frozen=True)
class Campaigns:
    """Arrays over campaigns."""

    id: list[str]
    name: list[str]
    platform: IntArray
    track: IntArray
    audience: IntArray
    has_budget: list[bool]  # True: the campaign carries the budget (CBO)


@dataclass(frozen=True)
class AdSets:
    """Arrays over ad sets (ad groups, LinkedIn campaigns)."""

    id: list[str]
    name: list[str]
    campaign: IntArray
    lever: IntArray
    cluster: IntArray  # ad sets of one cluster reach the same people
    capacity: FloatArray  # (ad sets, placements): dollars a day the auction could absorb in all
    knee: FloatArray  # dollars a day below which delivery is not optimised


@dataclass(frozen=True)
class Levers:
    """Arrays over budget-carrying entities. Dollars a day."""

    id: list[str]
    level: list[str]
    entity_id: list[str]
    entity_name: list[str]
    campaign: IntArray
    track: IntArray
    audience: IntArray
    platform: IntArray
    minimum: FloatArray
    increment: FloatArray
    base_budget: FloatArray
    target_cac: FloatArray  # what the conversion rate was set for, dollars per reported reward
    conversion_rate: FloatArray  # per link click at the base budget, before quality and drift
    load: FloatArray  # audience-units used at the base budget (saturation)
    appetite: FloatArray  # mean share of the budget the platform manages to spend
    click_incrementality: FloatArray
    view_incrementality: FloatArray
    first_day: IntArray
    last_day: IntArray  # exclusive; paused from then on


@dataclass(frozen=True)
class Ads:
    """Arrays over ads, ordered by ad set."""

    id: list[str]
    name: list[str]
    adset: IntArray
    creative: IntArray
    first_day: IntArray
    last_day: IntArray  # exclusive
    log_ctr: FloatArray
    log_cvr: FloatArray
    platform_error: FloatArray  # log error of the platform's first guess at the ad's value
    platform_liking: FloatArray  # log preference that never goes away, whatever the ad is worth
    pool: FloatArray  # people the ad is shown to before it wears out


@dataclass(frozen=True)
class Cells:
    """Arrays over (ad, placement) pairs that may deliver, ordered by ad."""

    ad: IntArray
    placement: IntArray
    affinity: FloatArray


@dataclass(frozen=True)
class Weather:
    """What the market does to everyone, by day of the horizon."""

    demand: FloatArray  # (days, tracks), mean about 1
    price: FloatArray  # (days, platforms), mean about 1
    event: list[str]  # name of the day's event, or ""
    track_shock: FloatArray  # (days, tracks), log
    lever_drift: FloatArray  # (days, levers), log


@dataclass(frozen=True)
class Business:
    """One drawn world. Day 0 is `start`; `days` is the history, `horizon` what the draws reach to."""

    seed: int
    scale: Scale
    start: date
    days: int
    horizon: int
    campaigns: Campaigns
    adsets: AdSets
    levers: Levers
    ads: Ads
    cells: Cells
    creatives: Creatives
    creative_ids: list[str]
    creative_effects: dict[str, list[float]]
    weather: Weather
    budgets: FloatArray  # (horizon, levers): what the account manager set for the day
    order_delays: dict[tuple[int, bool], FloatArray]  # (track, view) -> P(k days)

    @property
    def today(self) -> date:
        """The morning after the last day of history."""
        return self.start + timedelta(days=self.days)

    def date_of(self, day: int) -> date:
        return self.start + timedelta(days=int(day))

    def day_of(self, when: date) -> int:
        return (when - self.start).days

    @property
    def placements(self) -> int:
        return len(PLACEMENTS)


def entity_id(platform: int, level: int, number: int) -> str:
    """Ids as long as the platform's own, unique over levels (1 campaign, 2 ad set, 3 ad, 4 creative)."""
    head, digits = (("12020", 12), ("2", 9), ("18", 14), ("3", 7))[platform]
    return f"{head}{level}{number + 1:0{digits}d}"
