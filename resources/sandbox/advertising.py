"""Drawing ads, the creatives they show and the placements they may appear in.

Here: which ad runs in which slot and when. Not here: what it earns (`kernel`), what a creative says
(`copywriting`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resources.sandbox.catalogue import META, PLACEMENTS, TRACKS, Scale
from resources.sandbox.copywriting import FORMATS, HOOKS, THEMES, Creatives, draw_creatives
from resources.sandbox.laws import PREFERENCE, FloatArray, IntArray, totals
from resources.sandbox.world import Ads, Cells, entity_id

LONG_LIFE_DAYS = 400.0  # search, TikTok and LinkedIn ads run for months
REUSED_CREATIVES = 0.05


def draw_ads(
    rng: np.random.Generator,
    scale: Scale,
    adset_platform: IntArray,
    adset_track: IntArray,
    slots: IntArray,
    adset_budget: FloatArray,
    horizon: int,
) -> tuple[Ads, Creatives, list[str], dict[str, list[float]]]:
    """Ads follow one another in the slots of their ad set: ads, creatives, creative ids, true effects."""
    adset, first, last = _schedule(rng, scale, adset_platform, slots, horizon)
    count = len(adset)
    track, platform = adset_track[adset], adset_platform[adset]
    source = _creative_source(rng, first, track, platform == META)
    original = np.flatnonzero(source == np.arange(count))
    number = np.empty(count, dtype=np.int64)
    number[original] = np.arange(len(original))
    creative = number[source]
    creatives, effects = draw_creatives(rng, track[original])
    ad_ids = [entity_id(int(platform[i]), 3, i) for i in range(count)]
    # A search ad's wording matters less than what was searched for.
    voice = np.where(platform == META, 1.0, 0.4)
    ads = Ads(
        id=ad_ids,
        name=_ad_names(creatives, creative, track),
        adset=adset,
        creative=creative,
        first_day=first,
        last_day=last,
        log_ctr=voice * creatives.log_ctr[creative] + rng.normal(0.0, 0.05, count),
        log_cvr=voice * creatives.log_cvr[creative] + rng.normal(0.0, 0.05, count),
        platform_error=rng.normal(0.0, 0.5, count),
        platform_liking=rng.normal(0.0, 0.75, count),
        # About the people the usual budget reaches in one to two and a half months at $14 a thousand.
        pool=adset_budget[adset] / slots[adset] / 14.0 * 1000.0 * rng.uniform(28.0, 70.0, count),
    )
    # Only Meta exports name a creative apart from its ad.
    creative_ids = [
        entity_id(META, 4, n) if platform[i] == META else ad_ids[i] for n, i in enumerate(original.tolist())
    ]
    return ads, creatives, creative_ids, effects


def _schedule(
    rng: np.random.Generator, scale: Scale, adset_platform: IntArray, slots: IntArray, horizon: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Ad set, first day and last day (exclusive) of every ad, by ad set and first day."""
    slot_adset = np.repeat(np.arange(len(slots)), slots)
    mean_life = np.where(adset_platform[slot_adset] == META, scale.ad_life_days, LONG_LIFE_DAYS)
    generations = int(np.ceil(2.0 * horizon / scale.ad_life_days)) + 6
    sigma = 0.5
    lives = np.exp(rng.normal(-(sigma**2) / 2, sigma, (len(slot_adset), generations))) * mean_life[:, None]
    lives = np.maximum(np.round(lives), 4.0)
    ends = np.cumsum(lives, axis=1) - np.round(rng.random((len(slot_adset), 1)) * lives[:, :1])
    starts = ends - lives
    slot, generation = np.nonzero((ends > 0) & (starts < horizon))
    first = starts[slot, generation].astype(np.int64)
    last = ends[slot, generation].astype(np.int64)
    adset = slot_adset[slot]
    order = np.lexsort((slot, first, adset))
    return adset[order], first[order], last[order]


def _creative_source(
    rng: np.random.Generator, first_day: IntArray, track: IntArray, may_reuse: NDArray[np.bool_]
) -> IntArray:
    """For each ad the ad whose creative it shows: itself, or for a few an older one of its track."""
    count = len(first_day)
    source = np.arange(count)
    reuses = may_reuse & (rng.random(count) < REUSED_CREATIVES)
    pick = rng.random(count)
    for index in range(len(TRACKS)):
        candidates = np.flatnonzero((track == index) & may_reuse & ~reuses)
        candidates = candidates[np.argsort(first_day[candidates], kind="stable")]
        reusing = np.flatnonzero((track == index) & reuses)
        older = np.searchsorted(first_day[candidates], first_day[reusing], side="left")
        chosen = np.floor(pick[reusing] * older).astype(np.int64)
        source[reusing] = np.where(older > 0, candidates[np.minimum(chosen, len(candidates) - 1)], reusing)
    return source


def _ad_names(creatives: Creatives, creative: IntArray, track: IntArray) -> list[str]:
    """Names as a team would give them: track, theme, hook, format, running number."""
    codes = [track_.code for track_ in TRACKS]
    names = []
    for index, (shown, owner) in enumerate(zip(creative.tolist(), track.tolist(), strict=True)):
        theme = THEMES[owner][creatives.theme[shown]][0]
        hook = HOOKS[creatives.hook[shown]]
        names.append(f"{codes[owner]} {theme} {hook} {FORMATS[creatives.format[shown]]} {index + 1:05d}")
    return names


def inventory_of(adset_platform: IntArray, adset_audience: IntArray) -> FloatArray:
    """Share of each placement in what an ad set can reach, rows summing to 1; shape (ad sets, placements)."""
    inventory = np.zeros((len(adset_platform), len(PLACEMENTS)))
    for index, placement in enumerate(PLACEMENTS):
        fits = (adset_platform == placement.platform) & np.isin(adset_audience, placement.audiences)
        inventory[fits, index] = placement.inventory
    return np.asarray(inventory / inventory.sum(axis=1, keepdims=True))


def draw_cells(
    rng: np.random.Generator, scale: Scale, inventory: FloatArray, ads: Ads, on_meta: NDArray[np.bool_]
) -> Cells:
    """The placements each ad may appear in, ordered by ad.

    Where `scale.placements_per_ad` says so, Meta ads are pinned to a few placements, drawn without
    replacement in proportion to inventory (the largest of u^(1/inventory)).
    """
    weight = inventory[ads.adset]
    with np.errstate(divide="ignore", invalid="ignore"):
        key = np.where(weight > 0, np.log(rng.random(weight.shape)) / weight, -np.inf)
    rank = np.argsort(np.argsort(-key, axis=1, kind="stable"), axis=1, kind="stable")
    allowed = (weight > 0).sum(axis=1)
    if scale.placements_per_ad is not None:
        few = rng.choice(len(scale.placements_per_ad), len(ads.id), p=scale.placements_per_ad) + 1
        allowed = np.where(on_meta, np.minimum(few, allowed), allowed)
    ad, placement = np.nonzero((rank < allowed[:, None]) & (weight > 0))
    return Cells(
        ad=ad,
        placement=placement,
        affinity=weight[ad, placement] * np.exp(rng.normal(0.0, 0.25, len(ad))),
    )


def relative_reach(ads: Ads, cells: Cells) -> FloatArray:
    """How many people an ad is shown to beside the average ad of its ad set, 0.1 to 8.

    Placements with more inventory reach more people, and the platform widens what it believes in.
    """
    belief = PREFERENCE * (ads.log_ctr + ads.log_cvr) + ads.platform_liking
    own = totals(cells.ad, cells.affinity, len(ads.id)) * np.exp(0.8 * belief)
    adsets = int(ads.adset.max()) + 1
    mean = totals(ads.adset, own, adsets) / np.maximum(np.bincount(ads.adset, minlength=adsets), 1)
    return np.clip(own / mean[ads.adset], 0.1, 8.0)
