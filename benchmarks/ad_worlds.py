"""Random advertising businesses whose truth is known: what a budget earns, and what a platform reports of it.

Here: worlds drawn from wide priors, and a day of delivery in each. Not here: who sets the budgets
(`budget_policies`), how the policies compare (`bandit_study`). Numpy alone, and no code of `models`: what is
studied must not be what made the data.

A lever's signups S = rate * start * (spend/start)^ε * (cluster spend/cluster start)^-ω * quality * (1 -
penalty). Quality wanders by the day: the lever is a campaign that divides its budget among its own ads, which
tire. The penalty is what an edit costs while the platform learns again. Reported click conversions C and view
conversions V = ν C carry S = i_c C + i_v V, where i_c and i_v differ by lever: retargeting is reported better
than it is. Conversions arrive at five ages. A morning's uniforms decide all its counts, whatever the budgets
(the inverse of the Poisson distribution), so policies meet the same luck.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

TRACKS = ("security", "balance")
LEVERS_A_TRACK = 8
LEVERS = LEVERS_A_TRACK * len(TRACKS)
TRACK_OF = np.repeat(np.arange(len(TRACKS)), LEVERS_A_TRACK)
# Levers that reach the same people share a cluster: three, three and two in each track.
CLUSTER_OF = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5])
CLUSTERS = 6
CAC_CAP = np.array([240.0, 200.0])
CONTRIBUTION = np.array([308.0, 234.0])
BURN_IN, MORNINGS = 28, 56
DAYS = BURN_IN + MORNINGS
ARRIVAL_AGES = np.array([0, 1, 3, 7, 13])  # days after the click or view
OVERDELIVERY = 1.25
BIG_EDIT = 0.20  # a cent's rounding beside it does not count
_ADS = 4
_PENALTY_KEPT = np.exp(-1 / 4)


@dataclass(frozen=True)
class Worlds:
    """Several worlds side by side; arrays (worlds, levers) unless another shape is said.

    start: status-quo daily budgets, cents. daily_cap (worlds, tracks) and total_cap (worlds,): cents of
    spend a day. rate: true signups per dollar at the start. quality (worlds, days, levers). small_edit and
    big_edit (worlds,): share of a day's signups lost the day after an edit. arrivals (worlds, ages): shares.
    """

    numbers: IntArray
    start: IntArray
    daily_cap: IntArray
    total_cap: IntArray
    rate: FloatArray
    elasticity: FloatArray
    overlap: FloatArray
    quality: FloatArray
    small_edit: FloatArray
    big_edit: FloatArray
    views_per_click: FloatArray
    click_worth: FloatArray
    view_worth: FloatArray
    arrivals: FloatArray
    impressions_per_dollar: FloatArray
    delivery: FloatArray
    luck: FloatArray

    @property
    def count(self) -> int:
        return len(self.numbers)


@dataclass
class Delivered:
    """What happened, (worlds, days, levers): dollars, true expected signups, conversions by age at arrival.

    budgets: cents, as they stand on the platform; paused levers keep theirs and spend nothing.
    """

    budgets: IntArray
    paused: BoolArray
    spend: FloatArray
    signups: FloatArray
    clicks: FloatArray
    views: FloatArray
    penalty: FloatArray

    @classmethod
    def nothing_yet(cls, worlds: Worlds) -> Delivered:
        shape = (worlds.count, DAYS, LEVERS)
        return cls(
            budgets=np.zeros(shape, np.int64),
            paused=np.zeros(shape, np.bool_),
            spend=np.zeros(shape),
            signups=np.zeros(shape),
            clicks=np.zeros((*shape, len(ARRIVAL_AGES))),
            views=np.zeros((*shape, len(ARRIVAL_AGES))),
            penalty=np.zeros((worlds.count, LEVERS)),
        )


def draw_worlds(numbers: range, seed: int) -> Worlds:
    """Worlds by number: a world is the same in whatever company it is drawn."""
    drawn = [_draw_world(np.random.default_rng([seed, number])) for number in numbers]
    return Worlds(
        numbers=np.array(list(numbers)), **{name: np.stack([one[name] for one in drawn]) for name in drawn[0]}
    )


def _draw_world(rng: np.random.Generator) -> dict[str, npt.NDArray[np.generic]]:
    start = np.round(rng.lognormal(np.log(700.0), 0.6, LEVERS)) * 100
    of_track = np.array([start[track == TRACK_OF].sum() for track in range(len(TRACKS))])
    daily_cap = np.ceil(of_track * OVERDELIVERY * rng.uniform(1.0, 1.3, len(TRACKS)))
    total_cap = np.ceil(start.sum() * OVERDELIVERY * rng.uniform(1.0, 1.3))
    # CAC at the start as a share of the cap: some tracks earn well, some hardly, arms differ within both.
    centre = rng.uniform(0.5, 1.05, len(TRACKS))[TRACK_OF]
    ratio = centre * rng.lognormal(0.0, rng.uniform(0.1, 0.5), LEVERS)
    retargeting = rng.random(LEVERS) < 0.25
    return {
        "start": start.astype(np.int64),
        "daily_cap": daily_cap.astype(np.int64),
        "total_cap": total_cap.astype(np.int64),
        "rate": 1.0 / (ratio * CAC_CAP[TRACK_OF]),
        "elasticity": rng.uniform(0.5, 0.9, LEVERS),
        "overlap": np.asarray(rng.uniform(0.0, 0.25)),
        "quality": _qualities(rng),
        "small_edit": np.asarray(rng.uniform(0.0, 0.02)),
        "big_edit": np.asarray(rng.uniform(0.10, 0.30)),
        "views_per_click": np.where(
            retargeting, rng.uniform(1.5, 3.0, LEVERS), rng.uniform(0.2, 0.8, LEVERS)
        ),
        "click_worth": np.where(retargeting, rng.uniform(0.7, 0.95, LEVERS), rng.uniform(0.9, 1.1, LEVERS)),
        "view_worth": np.where(retargeting, rng.uniform(0.05, 0.2, LEVERS), rng.uniform(0.2, 0.4, LEVERS)),
        "arrivals": rng.dirichlet(np.array([8.0, 4.0, 3.0, 3.0, 2.0])),
        "impressions_per_dollar": 1000.0 / rng.uniform(6.0, 25.0, LEVERS),
        "delivery": np.clip(rng.normal(1.0, 0.08, (DAYS, LEVERS)), 0.6, OVERDELIVERY),
        "luck": rng.random((2, DAYS, LEVERS, len(ARRIVAL_AGES))),
    }


def _qualities(rng: np.random.Generator) -> FloatArray:
    """A lever's signups per dollar over time, 1 on average of the burn-in, (days, levers).

    Ads inside a lever: the platform leans towards those doing well, each wanders. Around them a week, and
    shocks that all levers of the business share.
    """
    drift = rng.uniform(0.0, 0.025)
    ads = rng.normal(0.0, 0.3, (LEVERS, _ADS)) + rng.normal(0.0, drift * 1.5, (DAYS, LEVERS, _ADS)).cumsum(
        axis=0
    )
    lean = rng.normal(0.0, 0.5, (LEVERS, _ADS)) + 1.5 * ads
    share = np.exp(lean - lean.max(axis=2, keepdims=True))
    own = (share * np.exp(ads)).sum(axis=2) / share.sum(axis=2)
    own *= np.exp(rng.normal(0.0, drift, (DAYS, LEVERS)).cumsum(axis=0))
    week = 1.0 + 0.12 * np.sin(2 * np.pi * (np.arange(DAYS) + rng.integers(7)) / 7)
    shared = np.exp(rng.normal(0.0, 0.06, DAYS))
    quality = own * (week * shared)[:, None]
    return np.asarray(quality / quality[:BURN_IN].mean(axis=0), dtype=np.float64)


def deliver(worlds: Worlds, delivered: Delivered, day: int, budgets: IntArray, paused: BoolArray) -> None:
    """One day at these budgets (cents): money is spent, signups happen, conversions are noted by age."""
    if day:
        before = delivered.budgets[:, day - 1]
        step = np.abs(budgets - before) / before
        depth = np.where(step > BIG_EDIT + 1e-3, worlds.big_edit[:, None], worlds.small_edit[:, None])
        edited = np.where(step > 0, depth, 0.0)
        delivered.penalty = np.maximum(delivered.penalty * _PENALTY_KEPT, edited)
    spend = np.where(paused, 0.0, budgets / 100 * worlds.delivery[:, day])
    signups = true_signups(worlds, spend, worlds.quality[:, day]) * (1 - delivered.penalty)
    clicks = signups / (worlds.click_worth + worlds.view_worth * worlds.views_per_click)
    delivered.budgets[:, day], delivered.paused[:, day] = budgets, paused
    delivered.spend[:, day], delivered.signups[:, day] = spend, signups
    for counts, mean, luck in (
        (delivered.clicks, clicks, worlds.luck[:, 0, day]),
        (delivered.views, clicks * worlds.views_per_click, worlds.luck[:, 1, day]),
    ):
        counts[:, day] = _poisson(luck, mean[:, :, None] * worlds.arrivals[:, None, :])


def true_signups(worlds: Worlds, spend: FloatArray, quality: FloatArray) -> FloatArray:
    """Expected incremental signups of a day's spend (dollars), without an edit's penalty."""
    start = worlds.start / 100
    crowding = in_clusters(spend) / in_clusters(start)
    with np.errstate(divide="ignore", invalid="ignore"):
        crowded = np.where(spend > 0, crowding ** -worlds.overlap[:, None], 0.0)
    curve = (spend / start) ** worlds.elasticity
    return np.asarray(worlds.rate * start * curve * crowded * quality, dtype=np.float64)


def in_clusters(values: FloatArray) -> FloatArray:
    """For each lever, the sum over its cluster."""
    sums = np.stack([values[:, cluster == CLUSTER_OF].sum(axis=1) for cluster in range(CLUSTERS)], axis=1)
    return np.asarray(sums[:, CLUSTER_OF], dtype=np.float64)


def _poisson(uniforms: FloatArray, means: FloatArray) -> FloatArray:
    """The Poisson quantile: more budget never means fewer conversions on the same uniform."""
    luck, mean = uniforms.ravel(), means.ravel()
    answer = np.zeros(mean.shape)
    term = np.exp(-mean)
    below = term.copy()
    rows = np.flatnonzero(luck > below)
    luck, mean, term, below = luck[rows], mean[rows], term[rows], below[rows]
    count = 0
    while len(rows):
        count += 1
        term = term * mean / count
        below = below + term
        answer[rows] = count
        more = (luck > below) & (count < 10 * mean + 100)
        rows, luck, mean, term, below = rows[more], luck[more], mean[more], term[more], below[more]
    return answer.reshape(means.shape)


def known_at(counts: FloatArray, day: int) -> FloatArray:
    """Conversions of each cohort day before `day` that had arrived by the end of the day before it."""
    age = day - 1 - np.arange(day)
    arrived = age[:, None] >= ARRIVAL_AGES[None, :]
    return np.asarray((counts[:, :day] * arrived[None, :, None, :]).sum(axis=3), dtype=np.float64)
