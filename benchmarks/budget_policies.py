"""Who sets the budgets of the random worlds: AELP, its rivals, people's habits, and an oracle.

Here: one class or function per policy, from what is known in the morning to that day's budgets. Not here:
the worlds (`ad_worlds`), scoring (`bandit_study`). The rivals read conversions as the platform reports them,
views in full; bandits among them divide a track's status-quo money every Monday (daily, the platform would
learn for ever), a lever getting between a fifth and three times its start, and obey no step limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
from mabwiser.mab import MAB, LearningPolicy
from scipy.special import gammainc

from benchmarks.ad_worlds import (
    ARRIVAL_AGES,
    BURN_IN,
    CAC_CAP,
    CONTRIBUTION,
    DAYS,
    LEVERS,
    OVERDELIVERY,
    TRACK_OF,
    TRACKS,
    BoolArray,
    Delivered,
    FloatArray,
    IntArray,
    Worlds,
    in_clusters,
    known_at,
    true_signups,
)
from models.bandits import decide
from models.guardrails import GuardrailLimits, TrackLimits
from models.rewards import RewardDefinition

FIRST_DAY = date(2026, 1, 5)
COOLDOWN_DAYS = 3
STEP_PERCENT = 5
DRIFT_PERCENT = 20
_WINDOW = 28
_MATURITY = 14
_ELASTICITY = 0.7
_REWARD = RewardDefinition("click1_view025_v1")
_MONEY = pl.Decimal(38, 9)
_IDS = [f"l{index:02d}" for index in range(LEVERS)]
_TRACK_NAMES = [TRACKS[track] for track in TRACK_OF]


@dataclass(frozen=True)
class Morning:
    """What is known before a day: cents in force, pauses, and reports so far, (worlds, days before, levers).

    edited: day of a lever's last edit, far in the past where there was none, (worlds, levers). arrived: share
    of a cohort's conversions there at each age below maturity, learnt from matured ones, (worlds, ages).
    """

    day: int
    budgets: IntArray
    paused: BoolArray
    edited: IntArray
    history: IntArray
    spend: FloatArray
    clicks: FloatArray
    views: FloatArray
    arrived: FloatArray

    @classmethod
    def of(cls, delivered: Delivered, day: int, edited: IntArray) -> Morning:
        """The morning of `day`: cohorts before it, as far as their conversions have arrived."""
        return cls(
            day=day,
            budgets=delivered.budgets[:, day - 1].copy(),
            paused=delivered.paused[:, day - 1].copy(),
            edited=edited,
            history=delivered.budgets[:, :day],
            spend=delivered.spend[:, :day],
            clicks=known_at(delivered.clicks, day),
            views=known_at(delivered.views, day),
            arrived=_arrived(delivered, day),
        )

    def reported(self, days: int) -> tuple[FloatArray, FloatArray]:
        """Dollars and reported conversions, clicks and views alike, of the last `days` days."""
        conversions = (self.clicks + self.views)[:, -days:].sum(axis=1)
        return self.spend[:, -days:].sum(axis=1), conversions


def _arrived(delivered: Delivered, day: int) -> FloatArray:
    matured = slice(0, day - _MATURITY + 1)
    by_stage = (delivered.clicks + delivered.views)[:, matured].sum(axis=(1, 2))
    reached = np.arange(_MATURITY)[:, None] >= ARRIVAL_AGES
    return np.asarray((by_stage[:, None, :] * reached).sum(axis=2) / by_stage.sum(axis=1)[:, None])


Orders = tuple[IntArray, BoolArray]
Policy = Callable[[Worlds, Morning], Orders]


# --- AELP ------------------------------------------------------------------------------------------------


def aelp(worlds: Worlds, morning: Morning, draws: int = 1000) -> Orders:
    """`models.bandits.decide` in every world, every proposal approved and made at once."""
    budgets, paused = morning.budgets.copy(), morning.paused.copy()
    for world in range(worlds.count):
        for lever, kind, cents in _decisions(worlds, morning, world, draws):
            if kind == "stop":
                paused[world, lever] = True
            elif kind in ("raise", "cut"):
                budgets[world, lever] = cents
    return budgets, paused


def _decisions(worlds: Worlds, morning: Morning, world: int, draws: int) -> list[tuple[int, str, int]]:
    """Lever, type and proposed cents of one world's morning."""
    today = FIRST_DAY + timedelta(days=morning.day)
    made = decide(
        lever_history=_snapshots(morning, world, today),
        lever_days=_lever_days(morning, world),
        accounts=pl.DataFrame(
            {"platform": ["meta"], "account_id": ["a1"], "maturity_days": [_MATURITY], "eligible": [True]}
        ),
        as_of_date=today,
        now=_moment(today),
        limits=_limits(worlds, world),
        contribution_per_signup=dict(zip(TRACKS, CONTRIBUTION.tolist(), strict=True)),
        window_days=_WINDOW,
        prior_conversions=2.0,
        elasticity=_ELASTICITY,
        reward=_REWARD,
        draws=draws,
        half_life_candidates=(None, 28.0, 14.0, 7.0),
        rng=np.random.default_rng([int(worlds.numbers[world]), morning.day]),
    ).decisions
    return [
        (_IDS.index(lever), kind, int(proposed * 100))
        for lever, kind, proposed in made.select("lever_id", "type", "proposed_budget").iter_rows()
    ]


def _moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 13, tzinfo=UTC)


def _limits(worlds: Worlds, world: int) -> GuardrailLimits:
    """The business's caps; the weekly loss budget is a fifth of a day's cap, as in the shipped settings."""
    caps = [Decimal(int(cents)) / 100 for cents in worlds.daily_cap[world]]
    return GuardrailLimits(
        tracks={
            name: TrackLimits(daily_cap=cap, cac_cap=Decimal(str(cac)), weekly_loss_budget=cap / 5)
            for name, cap, cac in zip(TRACKS, caps, CAC_CAP, strict=True)
        },
        total_daily_cap=Decimal(int(worlds.total_cap[world])) / 100,
    )


def _snapshots(morning: Morning, world: int, today: date) -> pl.DataFrame:
    edits = morning.edited[world].tolist()
    edited = [_moment(FIRST_DAY + timedelta(days=day)) if day >= 0 else None for day in edits]
    each = pl.DataFrame(
        {
            "platform": "meta",
            "account_id": "a1",
            "lever_id": _IDS,
            "track": _TRACK_NAMES,
            "lever_level": "campaign",
            "lever_source": "platform",
            "budget_type": "daily",
            "currency": "USD",
            "is_shared": False,
            "learning_state": "active",
            "minimum_budget": Decimal(5),
            "budget_increment": Decimal("0.01"),
            "last_edited_at": pl.Series(edited, dtype=pl.Datetime("us", "UTC")),
            "status": np.where(morning.paused[world], "paused", "active").tolist(),
        }
    )
    return pl.concat(
        each.with_columns(
            pl.lit(day).alias("date"), (pl.Series("current_budget", cents).cast(_MONEY) / 100).cast(_MONEY)
        )
        for day, cents in (
            (today - timedelta(days=7), morning.history[world, morning.day - 7]),
            (today, morning.budgets[world]),
        )
    )


def _lever_days(morning: Morning, world: int) -> pl.DataFrame:
    """Reports of the last two months, one row per day and lever, beside the share known to have arrived."""
    first = max(0, morning.day - _WINDOW - 2 * _MATURITY)
    days = morning.day - first
    age = morning.day - 1 - np.arange(first, morning.day)
    completion = np.append(morning.arrived[world], 1.0)[np.minimum(age, _MATURITY)].clip(1e-3, 1.0)
    deviation = np.sqrt(completion * (1 - completion) / (morning.day - _MATURITY + 1))
    return pl.DataFrame(
        {
            "date": np.datetime64(FIRST_DAY) + np.repeat(np.arange(first, morning.day), LEVERS),
            "lever_id": _IDS * days,
            "track": _TRACK_NAMES * days,
            "cost": morning.spend[world, first:].round(2).ravel(),
            "conversions_click": morning.clicks[world, first:].ravel(),
            "conversions_view": morning.views[world, first:].ravel(),
            "completion": np.repeat(completion, LEVERS),
            "completion_sd": np.repeat(deviation, LEVERS),
        }
    ).with_columns(platform=pl.lit("meta"), account_id=pl.lit("a1"), is_matured=pl.lit(value=True))


# --- people's habits -------------------------------------------------------------------------------------


def hold(worlds: Worlds, morning: Morning) -> Orders:
    """Nothing moves."""
    return morning.budgets, morning.paused


def human(worlds: Worlds, morning: Morning) -> Orders:
    """Mondays, by last week's reported CAC: 20 % more below nine tenths of the cap, 20 % less above it."""
    return (
        _by_reported_cac(worlds, morning, 0.20) if _is_monday(morning) else (morning.budgets, morning.paused)
    )


def human_paced(worlds: Worlds, morning: Morning) -> Orders:
    """The same habit inside AELP's limits: 5 % every third day. Tells the rule's worth from the step's."""
    due = (morning.day - BURN_IN) % COOLDOWN_DAYS == 0
    return _by_reported_cac(worlds, morning, STEP_PERCENT / 100) if due else (morning.budgets, morning.paused)


def _by_reported_cac(worlds: Worlds, morning: Morning, step: float) -> Orders:
    """Where the raises do not fit under the caps they all shrink alike."""
    spend, conversions = morning.reported(7)
    cac = spend / np.maximum(conversions, 0.5)
    cap = CAC_CAP[TRACK_OF]
    raises = np.where(cac < 0.9 * cap, np.floor(morning.budgets * step), 0)
    cuts = np.where(cac > cap, np.floor(morning.budgets * step), 0)
    kept = morning.budgets - cuts
    room = (worlds.daily_cap / OVERDELIVERY - _by_track(kept)) / np.maximum(_by_track(raises), 1)
    of_all = (worlds.total_cap / OVERDELIVERY - kept.sum(axis=1)) / np.maximum(raises.sum(axis=1), 1)
    share = np.clip(np.minimum(room, of_all[:, None]), 0, 1)[:, TRACK_OF]
    return _cents(kept + raises * share), morning.paused


def coin_flip_stops(worlds: Worlds, morning: Morning) -> Orders:
    """Every day, stop what has P(CAC > cap) > 0.5 by reports as they are; budgets stay."""
    spend, conversions = morning.reported(_WINDOW)
    cap = CAC_CAP[TRACK_OF]
    above = gammainc(1.0 + conversions, (cap + spend) / cap)
    return morning.budgets, morning.paused | (above > 0.5)


# --- textbook bandits ------------------------------------------------------------------------------------


def uniform(worlds: Worlds, morning: Morning) -> Orders:
    """The track's money in equal parts."""
    return _cents(_by_track(worlds.start)[:, TRACK_OF] / (LEVERS / len(TRACKS))), morning.paused


def greedy(worlds: Worlds, morning: Morning) -> Orders:
    """As much as allowed to the lowest reported CAC, then to the next."""
    if not _is_monday(morning):
        return morning.budgets, morning.paused
    spend, conversions = morning.reported(_WINDOW)
    return _filled_by_rank(worlds, conversions / spend), morning.paused


def ucb(worlds: Worlds, morning: Morning) -> Orders:
    """As greedy, by an upper confidence bound of a Poisson rate that grows with the log of time."""
    if not _is_monday(morning):
        return morning.budgets, morning.paused
    spend, conversions = morning.reported(_WINDOW)
    bonus = 2 * np.log(morning.day)
    return _filled_by_rank(
        worlds, (conversions + np.sqrt(bonus * conversions) + bonus) / spend
    ), morning.paused


class BetaThompson:
    """Beta Thompson sampling by MABWiser: each 25 dollars of four weeks' spend is a trial, won or lost.

    A hundred predictions; a lever gets the share of the track's money in which it was predicted.
    """

    dollars_a_trial = 25.0
    predictions = 100

    def __call__(self, worlds: Worlds, morning: Morning) -> Orders:
        if not _is_monday(morning):
            return morning.budgets, morning.paused
        spend, conversions = morning.reported(_WINDOW)
        trials = np.maximum(1, np.round(spend / self.dollars_a_trial)).astype(np.int64)
        successes = np.minimum(trials, conversions).astype(np.int64)
        shares = np.zeros(spend.shape)
        for world, number in enumerate(worlds.numbers):
            for track in range(len(TRACKS)):
                members = np.flatnonzero(track == TRACK_OF)
                arms = members.tolist()
                rewards = np.concatenate(
                    [np.arange(trials[world, arm]) < successes[world, arm] for arm in arms]
                )
                bandit = MAB(arms, LearningPolicy.ThompsonSampling(), seed=int(number) * DAYS + morning.day)
                bandit.fit(np.repeat(members, trials[world, members]), rewards.astype(np.int64))
                for _ in range(self.predictions):
                    shares[world, bandit.predict()] += 1 / self.predictions
        # A lever never predicted still takes what the others may not.
        return _bounded(worlds, (shares + 1e-4) * _by_track(worlds.start)[:, TRACK_OF]), morning.paused


# --- the oracle ------------------------------------------------------------------------------------------


def oracle(worlds: Worlds, morning: Morning) -> Orders:
    """Knows every curve and today's quality; moves within AELP's step, cooldown, drift and spend limits.

    Each lever goes towards the budget at which its next dollar earns what the scarcest dollar of its track
    earns, if the rest of the study repays what the edit costs. A lever is stopped where cutting it all the
    way down would earn less than nothing. It does not see later drift, so it is a strong player, not a bound.
    """
    current = np.where(morning.paused, 0.0, morning.budgets / 100)
    worth = CONTRIBUTION[TRACK_OF]
    quality = worlds.quality[:, max(0, morning.day - 7) : morning.day].mean(axis=1)
    earned = worth * true_signups(worlds, current, quality)
    with np.errstate(divide="ignore", invalid="ignore"):
        crowd = np.where(current > 0, in_clusters(earned) / in_clusters(current), 0.0)
        average = np.where(current > 0, earned / current, 0.0)
    slope = worlds.elasticity * average - worlds.overlap[:, None] * crowd
    left = DAYS - morning.day
    paused = morning.paused | _never_earns(average, worlds.elasticity, left)
    live = np.where(paused, 0.0, current)
    wanted = _optimum(live, slope, worlds.elasticity, worlds.daily_cap, worlds.total_cap)
    step = np.clip(wanted, live * (1 - STEP_PERCENT / 100), live * (1 + STEP_PERCENT / 100)) - live
    price = np.maximum(1.0, _prices(slope, wanted, live))
    cost = worlds.small_edit[:, None] * earned / (1 - np.exp(-1 / 4))
    repays = (slope - price) * step * left > cost
    free = repays & (morning.day - morning.edited >= COOLDOWN_DAYS) & ~paused
    step = np.where(free, step, 0.0)
    budgets = np.where(
        step > 0, np.floor((live + step) * 100), np.where(step < 0, np.ceil((live + step) * 100), 0)
    ).astype(np.int64)
    return _within_limits(worlds, morning, np.where(step != 0, budgets, morning.budgets), paused), paused


def _never_earns(average: FloatArray, elasticity: FloatArray, left: int) -> BoolArray:
    """Whether the profit of cutting a lever to the study's end, 5 % at each edit, is negative in sum."""
    sizes = (1 - STEP_PERCENT / 100) ** (np.arange(left) // COOLDOWN_DAYS)
    earned = average[..., None] * sizes ** elasticity[..., None] - sizes
    return np.asarray(earned.sum(axis=-1) < 0, dtype=np.bool_)


def _optimum(
    live: FloatArray, slope: FloatArray, elasticity: FloatArray, daily_cap: IntArray, total_cap: IntArray
) -> FloatArray:
    """Budgets whose slopes equal their track's price, at least 1 and at least the business's (bisection)."""

    def at(price: FloatArray) -> FloatArray:
        ratio = np.maximum(slope, 1e-9) / price[:, TRACK_OF]
        return np.asarray(live * np.clip(ratio ** (1 / (1 - elasticity)), 0.2, 3.0), dtype=np.float64)

    low, high = np.ones((len(live), len(TRACKS))), np.full((len(live), len(TRACKS)), 50.0)
    for _ in range(40):
        middle = (low + high) / 2
        fits = _by_track(at(middle)) * OVERDELIVERY * 100 <= daily_cap
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    track_price = np.where(_by_track(at(np.ones_like(low))) * OVERDELIVERY * 100 <= daily_cap, 1.0, high)
    low, high = np.ones(len(live)), np.full(len(live), 50.0)
    for _ in range(40):
        middle = (low + high) / 2
        fits = at(np.maximum(track_price, middle[:, None])).sum(axis=1) * OVERDELIVERY * 100 <= total_cap
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    whole = at(track_price).sum(axis=1) * OVERDELIVERY * 100 <= total_cap
    return at(np.where(whole[:, None], track_price, np.maximum(track_price, high[:, None])))


def _prices(slope: FloatArray, wanted: FloatArray, live: FloatArray) -> FloatArray:
    """What the scarcest dollar of each lever's track earns: the slope between its risers and its fallers."""
    rising = np.where(wanted > live, slope, np.inf)
    falling = np.where((wanted < live) & (live > 0), slope, -np.inf)
    answer = np.ones((len(slope), len(TRACKS)))
    for track in range(len(TRACKS)):
        members = track == TRACK_OF
        least, most = rising[:, members].min(axis=1), falling[:, members].max(axis=1)
        both = np.isfinite(least) & np.isfinite(most)
        answer[:, track] = np.where(both, (np.where(both, least, 0) + np.where(both, most, 0)) / 2, 1.0)
    return np.asarray(answer[:, TRACK_OF], dtype=np.float64)


def _within_limits(worlds: Worlds, morning: Morning, wished: IntArray, paused: BoolArray) -> IntArray:
    """The wished budgets with raises shrunk until the week's drift and all caps hold."""
    before = np.where(paused, 0, morning.budgets)
    after = np.where(paused, 0, wished)
    raises = np.maximum(after - before, 0)
    base = np.minimum(before, after)
    week_ago = morning.history[:, morning.day - 7]
    drifted = _by_track(np.maximum(0, base - week_ago))
    drift_room = _by_track(week_ago) * DRIFT_PERCENT / 100 - drifted
    cap_room = worlds.daily_cap / OVERDELIVERY - _by_track(base)
    share = np.minimum(drift_room, cap_room) / np.maximum(_by_track(raises), 1)
    total = (worlds.total_cap / OVERDELIVERY - base.sum(axis=1)) / np.maximum(raises.sum(axis=1), 1)
    share = np.clip(np.minimum(share, total[:, None]), 0, 1)[:, TRACK_OF]
    return np.where(paused, morning.budgets, base + np.floor(raises * share).astype(np.int64))


# --- shared ----------------------------------------------------------------------------------------------


def _by_track(values: FloatArray | IntArray) -> FloatArray:
    return np.stack([values[:, track == TRACK_OF].sum(axis=1) for track in range(len(TRACKS))], axis=1)


def _is_monday(morning: Morning) -> bool:
    return (morning.day - BURN_IN) % 7 == 0


def _cents(budgets: FloatArray) -> IntArray:
    return np.floor(np.maximum(budgets, 500)).astype(np.int64)


def _filled_by_rank(worlds: Worlds, index: FloatArray) -> IntArray:
    """Levers from the best index down get their most until the track's money is used, the rest their
    least.
    """
    least, most = worlds.start * 0.2, worlds.start * 3.0
    budgets = least.copy()
    for track in range(len(TRACKS)):
        members = np.flatnonzero(track == TRACK_OF)
        left = (worlds.start - least)[:, members].sum(axis=1)
        order = members[np.argsort(-index[:, members], axis=1)]
        for place in range(len(members)):
            lever = order[:, place, None]
            more = np.minimum(np.take_along_axis(most - least, lever, axis=1)[:, 0], left)
            np.put_along_axis(
                budgets, lever, np.take_along_axis(budgets, lever, axis=1) + more[:, None], axis=1
            )
            left = left - more
    return _cents(budgets)


def _bounded(worlds: Worlds, wished: FloatArray) -> IntArray:
    """Wishes between a fifth and three times the start, scaled so that the track's money is used."""
    least, most, money = worlds.start * 0.2, worlds.start * 3.0, _by_track(worlds.start)
    low, high = np.zeros(money.shape), np.full(money.shape, 1e5)
    for _ in range(80):
        scale = (low + high) / 2
        fits = _by_track(np.clip(wished * scale[:, TRACK_OF], least, most)) <= money
        low, high = np.where(fits, scale, low), np.where(fits, high, scale)
    return _cents(np.clip(wished * low[:, TRACK_OF], least, most))


POLICIES: Mapping[str, Policy] = {
    "aelp": aelp,
    "hold": hold,
    "oracle": oracle,
    "uniform": uniform,
    "greedy": greedy,
    "ucb": ucb,
    "beta_thompson": BetaThompson(),
    "coin_flip_stops": coin_flip_stops,
    "human": human,
    "human_paced": human_paced,
}
