"""Drawing a business from its priors by seed.

Here: every random parameter of the world, once. Not here: anything that happens on a day
(`kernel`). The rate at which a lever converts is set so that its reported CAC at its usual budget is
a drawn multiple of the track's cap: each track has clearly good, clearly bad and uncertain levers.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from resources.sandbox.accounts import CampaignPlan, campaign_plans
from resources.sandbox.advertising import draw_ads, draw_cells, inventory_of, relative_reach
from resources.sandbox.budgeting import draw_budget_path, draw_levers, lever_of_adsets
from resources.sandbox.catalogue import AUDIENCES, GOOGLE, GOOGLE_CREDITS, META, PLACEMENTS, TRACKS, Scale
from resources.sandbox.laws import (
    CLICK_WINDOW_DAYS,
    PREFERENCE,
    FloatArray,
    IntArray,
    auction_cpm,
    autoregression,
    generator,
    order_delay,
    totals,
)
from resources.sandbox.market import demand_and_price
from resources.sandbox.world import Ads, AdSets, Business, Campaigns, Cells, Levers, Weather, entity_id

FUTURE_DAYS = 60  # drawn beyond the history, for runs that go on
_STRUCTURE, _WEATHER, _BUDGETS = 1, 2, 3
SAMPLED_DAYS = 12
USUAL_WEAR = 0.74  # fatigue, learning and overlap on an ordinary day, all together


def draw_business(scale: Scale, seed: int, today: date) -> Business:
    """Draw a world whose history ends the day before `today` (account-local).

    Args:
        scale: size of the accounts; `scale.days` days of history.
        seed: non-negative; the same seed gives the same world, bit for bit.
        today: the morning after the last day of history.
    Raises:
        ValueError: negative seed.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative (found {seed})")
    rng = generator(seed, _STRUCTURE, 0)
    horizon = scale.days + FUTURE_DAYS
    start = today - timedelta(days=scale.days)
    plans = campaign_plans(scale)
    campaigns = _campaigns(plans)
    owner = np.repeat(np.arange(len(plans)), [len(plan.adsets) for plan in plans])
    slots = np.array([adset.slots for plan in plans for adset in plan.adsets])
    names = [adset.name for plan in plans for adset in plan.adsets]
    ids = [entity_id(int(campaigns.platform[c]), 2, i) for i, c in enumerate(owner)]
    lever_of = lever_of_adsets(campaigns, owner)
    levers = draw_levers(rng, scale, plans, campaigns, owner, ids, names)
    platform, audience, track = campaigns.platform[owner], campaigns.audience[owner], campaigns.track[owner]
    budget = levers.base_budget[lever_of] * slots / np.bincount(lever_of, weights=slots)[lever_of]
    inventory = inventory_of(platform, audience)
    adsets = AdSets(
        id=ids,
        name=names,
        campaign=owner,
        lever=lever_of,
        # Ad sets of one platform, track and audience compete for the same people.
        cluster=(platform * len(TRACKS) + track) * len(AUDIENCES) + audience,
        # The auction holds 3 to 8 times what an ad set usually spends in a placement.
        capacity=budget[:, None] * inventory / rng.uniform(0.12, 0.33, inventory.shape),
        knee=np.minimum(60.0, 0.5 * budget),
    )
    ads, creatives, creative_ids, effects = draw_ads(rng, scale, platform, track, slots, budget, horizon)
    cells = draw_cells(rng, scale, inventory, ads, platform[ads.adset] == META)
    ads = replace(ads, pool=ads.pool * relative_reach(ads, cells))
    weather = _draw_weather(generator(seed, _WEATHER, 0), start, horizon, len(levers.id))
    return Business(
        seed=seed,
        scale=scale,
        start=start,
        days=scale.days,
        horizon=horizon,
        campaigns=campaigns,
        adsets=adsets,
        levers=_with_conversion_rates(levers, adsets, ads, cells, scale.days),
        ads=ads,
        cells=cells,
        creatives=creatives,
        creative_ids=creative_ids,
        creative_effects=effects,
        weather=weather,
        budgets=draw_budget_path(generator(seed, _BUDGETS, 0), levers, weather.demand, start),
        order_delays={
            (index, view): order_delay(kind.consideration_days, 1 if view else CLICK_WINDOW_DAYS, view)
            for index, kind in enumerate(TRACKS)
            for view in (False, True)
        },
    )


def _campaigns(plans: list[CampaignPlan]) -> Campaigns:
    return Campaigns(
        id=[entity_id(plan.platform, 1, index) for index, plan in enumerate(plans)],
        name=[plan.name for plan in plans],
        platform=np.array([plan.platform for plan in plans]),
        track=np.array([plan.track for plan in plans]),
        audience=np.array([plan.audience for plan in plans]),
        has_budget=[plan.has_budget for plan in plans],
    )


def _draw_weather(rng: np.random.Generator, start: date, days: int, levers: int) -> Weather:
    demand, price, events = demand_and_price(rng, start, days)
    return Weather(
        demand=demand,
        price=price,
        event=events,
        track_shock=autoregression(rng, days, len(TRACKS), 0.06, 0.5),
        lever_drift=autoregression(rng, days, levers, 0.06, 0.97),
    )


def _with_conversion_rates(levers: Levers, adsets: AdSets, ads: Ads, cells: Cells, days: int) -> Levers:
    """Set conversions per link click so that the usual budget buys at the target CAC.

    Orders per dollar at a conversion rate of 1 come from the auction at the usual spend, divided over
    the ads running on each of a few days as the platform would, averaged over those days.
    """
    count = len(levers.id)
    orders_per_dollar, observed = np.zeros(count), np.zeros(count)
    belief = PREFERENCE * (ads.log_ctr + ads.log_cvr) + ads.platform_liking
    for day in np.linspace(0, days - 1, SAMPLED_DAYS).astype(int):
        live = np.flatnonzero(((ads.first_day <= day) & (day < ads.last_day))[cells.ad])
        ad, placement = cells.ad[live], cells.placement[live]
        adset = ads.adset[ad]
        lever = adsets.lever[adset]
        audience = levers.audience[lever]
        weight = cells.affinity[live] * np.exp(belief[ad])
        total = totals(lever, weight, count)
        weight = weight / total[lever]
        cpm = _usual_cpm(levers, adsets, adset, placement, levers.base_budget[lever] * weight)
        clicks = 1000.0 / cpm * placement_column("ctr")[placement] * audience_column("ctr_factor")[audience]
        # Better ads also pay less (see the kernel), hence more than one.
        clicks = clicks * np.exp(1.25 * ads.log_ctr[ad])
        orders = clicks * placement_column("cvr_factor")[placement] * np.exp(ads.log_cvr[ad])
        orders_per_dollar += totals(lever, weight * orders, count)
        observed += total > 0
    per_dollar = USUAL_WEAR * orders_per_dollar / observed
    credit = np.where(levers.platform == GOOGLE, GOOGLE_CREDITS.mean() / 100.0, 1.0)
    reward_per_click_order = credit + 0.25 * audience_column("view_ratio")[levers.audience]
    return replace(levers, conversion_rate=1.0 / (levers.target_cac * per_dollar * reward_per_click_order))


def _usual_cpm(
    levers: Levers, adsets: AdSets, adset: IntArray, placement: IntArray, spend: FloatArray
) -> FloatArray:
    """Dollars per 1,000 impressions of each cell when every lever spends its usual budget as `spend`."""
    group = adset * len(PLACEMENTS) + placement
    by_group = totals(group, spend, adsets.capacity.size)
    share = np.clip(by_group / np.maximum(adsets.capacity.ravel(), 1e-9), 1e-3, 0.9)[group]
    lever = adsets.lever[adset]
    mean_price = (
        placement_column("cpm")[placement]
        * audience_column("cpm_factor")[levers.audience[lever]]
        * np.array([kind.cpm_factor for kind in TRACKS])[levers.track[lever]]
    )
    return auction_cpm(mean_price, placement_column("price_spread")[placement], share)


def placement_column(field: str) -> FloatArray:
    """One attribute of every placement, shape (placements,)."""
    return np.array([getattr(placement, field) for placement in PLACEMENTS], dtype=np.float64)


def audience_column(field: str) -> FloatArray:
    """One attribute of every audience, shape (audiences,)."""
    return np.array([getattr(audience, field) for audience in AUDIENCES], dtype=np.float64)
