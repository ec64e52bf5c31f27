"""Drawing the levers: who carries a budget, how much, how well it converts, and the manager's edits.

Here: budgets and the CAC each lever is set for. Not here: how the platform spends them (`kernel`).
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from resources.sandbox.accounts import CampaignPlan
from resources.sandbox.catalogue import AUDIENCES, META, PLATFORMS, PROSPECTING, REMARKETING, TRACKS, Scale
from resources.sandbox.laws import FloatArray, IntArray, totals
from resources.sandbox.world import Campaigns, Levers

USUAL_LOAD = 0.35  # share of an audience-unit a lever uses at its usual budget


def lever_of_adsets(campaigns: Campaigns, adset_campaign: IntArray) -> IntArray:
    """Index of the lever that funds each ad set: one per campaign with a budget, else one per ad set."""
    lever_of = np.empty(len(adset_campaign), dtype=np.int64)
    lever, previous = -1, -1
    for index, owner in enumerate(adset_campaign):
        if not (campaigns.has_budget[owner] and owner == previous):
            lever += 1
        lever_of[index] = lever
        previous = int(owner)
    return lever_of


def draw_levers(
    rng: np.random.Generator,
    scale: Scale,
    plans: list[CampaignPlan],
    campaigns: Campaigns,
    adset_campaign: IntArray,
    adset_ids: list[str],
    adset_names: list[str],
) -> Levers:
    """One lever per budget-carrying entity; conversion rates are set later (`business`)."""
    lever_of = lever_of_adsets(campaigns, adset_campaign)
    first_adset = np.unique(lever_of, return_index=True)[1]
    owner_of = adset_campaign[first_adset]
    count = len(owner_of)
    platform, track = campaigns.platform[owner_of], campaigns.track[owner_of]
    audience = campaigns.audience[owner_of]
    level, entity_id, entity_name = [], [], []
    for index, owner in enumerate(owner_of):
        if campaigns.has_budget[owner]:
            level.append("campaign")
            entity_id.append(campaigns.id[owner])
            entity_name.append(campaigns.name[owner])
        else:
            level.append("adset" if platform[index] == META else "adgroup")
            entity_id.append(adset_ids[first_adset[index]])
            entity_name.append(adset_names[first_adset[index]])
    base, first_day, last_day = _base_budgets(rng, scale, plans, owner_of, track)
    kinds = [AUDIENCES[a] for a in audience]
    narrow = 0.10 * (audience == REMARKETING)
    return Levers(
        id=[f"{level[i]}_{entity_id[i]}" for i in range(count)],
        level=level,
        entity_id=entity_id,
        entity_name=entity_name,
        campaign=owner_of,
        track=track,
        audience=audience,
        platform=platform,
        minimum=np.array([PLATFORMS[p].minimum_budget for p in platform]) * np.bincount(lever_of),
        increment=np.array([PLATFORMS[p].budget_increment for p in platform]),
        base_budget=base,
        target_cac=_target_cac(rng, base, track, audience, first_day >= 0, last_day < scale.days),
        conversion_rate=np.ones(count),
        load=USUAL_LOAD * np.exp(rng.normal(0.0, 0.35, count)),
        appetite=1.0 - 0.12 * rng.beta(1.2, 5.0, count) - narrow * rng.random(count),
        click_incrementality=_around(rng, np.array([kind.click_incrementality for kind in kinds])),
        view_incrementality=_around(rng, np.array([kind.view_incrementality for kind in kinds])),
        first_day=first_day,
        last_day=last_day,
    )


def _around(rng: np.random.Generator, mean: FloatArray, strength: float = 60.0) -> FloatArray:
    safe = np.clip(mean, 0.01, 0.99)
    return np.asarray(np.where(mean > 0, rng.beta(safe * strength, (1 - safe) * strength), 0.0))


def _base_budgets(
    rng: np.random.Generator, scale: Scale, plans: list[CampaignPlan], owner_of: IntArray, track: IntArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Usual daily budget per lever and the days it runs; the track's total is drawn, shares are planned."""
    count = len(owner_of)
    share = np.array([plans[owner].share for owner in owner_of])
    weight = np.exp(rng.normal(0.0, 0.38, count))
    share = share * weight / np.bincount(owner_of, weights=weight)[owner_of]
    first_day = np.full(count, -1_000)
    last_day = np.full(count, 1_000_000)
    if scale.lever_turnover:
        prospecting_abo = np.array(
            [plans[o].audience == PROSPECTING and not plans[o].has_budget for o in owner_of]
        )
        # Security launched one ad set this week; Balance paused one about a month ago.
        first_day[np.flatnonzero(prospecting_abo & (track == 0))[-1]] = scale.days - 5
        last_day[np.flatnonzero(prospecting_abo & (track == 1))[-1]] = scale.days - 33
    total = np.array([rng.uniform(*TRACKS[t].daily_budget) for t in range(len(TRACKS))])
    running = np.bincount(track, weights=share * (last_day > scale.days))
    budget = total[track] * share / running[track]
    return np.maximum(np.round(budget / 5.0) * 5.0, 30.0), first_day, last_day


def _target_cac(
    rng: np.random.Generator,
    budget: FloatArray,
    track: IntArray,
    audience: IntArray,
    launched: NDArray[np.bool_],
    paused: NDArray[np.bool_],
) -> FloatArray:
    """Reported CAC (spend per click conversion + a quarter of view conversions) each lever is set for."""
    kinds = [AUDIENCES[a].cac_ratio for a in audience]
    median, spread, low, high = (np.array([kind[i] for kind in kinds]) for i in range(4))
    ratio = np.clip(median * np.exp(rng.normal(0.0, 1.0, len(budget)) * spread), low, high)
    # What takes a tenth of a track's money has long been looked after: never far above the cap.
    large = budget > 0.1 * totals(track, budget, len(TRACKS))[track]
    ratio = np.where(large, np.minimum(ratio, 0.90), ratio)
    for index in range(len(TRACKS)):
        mine = np.flatnonzero((track == index) & (audience == PROSPECTING) & ~paused & ~launched)
        by_size = mine[np.argsort(budget[mine], kind="stable")]
        # Of the prospecting levers a small one is clearly bad, one above the middle clearly good.
        clear = max(1, len(mine) // 12)
        bad = by_size[min(1, len(mine) - 2) :][:clear]
        good = by_size[(2 * len(mine)) // 3 :][:clear]
        ratio[bad] = rng.uniform(1.75, 2.2, len(bad))
        ratio[good] = rng.uniform(0.50, 0.60, len(good))
        ratio[paused & (track == index)] = rng.uniform(1.5, 1.9)
    return np.asarray(np.array([TRACKS[t].cac_cap for t in track]) * ratio, dtype=np.float64)


def draw_budget_path(rng: np.random.Generator, levers: Levers, demand: FloatArray, start: date) -> FloatArray:
    """What the account manager sets each day, shape (days, levers), dollars; 0 while not running.

    Edits come about every nine days and chase demand, mostly within 15 %; a few are bold enough to
    reset learning. Amounts are whole $5, pauses start on a Sunday so that no week is cut short.
    """
    days, count = len(demand), len(levers.id)
    path = np.empty((days, count))
    floor = np.maximum(levers.minimum, 10.0)
    current = levers.base_budget.copy()
    for day in range(days):
        wish = np.log(levers.base_budget * demand[day, levers.track] / current)
        step = np.clip(0.5 * wish + rng.normal(0.0, 0.06, count), -0.14, 0.14)
        bold = rng.random(count) < 0.05
        step = np.where(bold, np.sign(wish) * rng.uniform(0.22, 0.30, count), step)
        edits = rng.random(count) < 1.0 / 9.0
        current = np.where(edits, np.maximum(np.round(current * np.exp(step) / 5.0) * 5.0, floor), current)
        path[day] = current
    for lever in range(count):
        last = int(levers.last_day[lever])
        if last < days:
            while (start + timedelta(days=last)).weekday() != 6:
                last += 1
            path[last:, lever] = 0.0
        path[: max(int(levers.first_day[lever]), 0), lever] = 0.0
    return path
