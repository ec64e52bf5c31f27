"""AELP's morning decisions beside its rivals in a thousand random businesses: does moving budgets pay?

Here: policies run through the same worlds, their scores, their limits checked by arithmetic of its own. Not
here: the worlds (`ad_worlds`), the policies (`budget_policies`). `make test` runs a slice of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from os import environ
from time import process_time
from typing import Any

import numpy as np

from benchmarks.accounts import scratch_folder
from benchmarks.ad_worlds import (
    BURN_IN,
    CAC_CAP,
    CONTRIBUTION,
    DAYS,
    LEVERS,
    MORNINGS,
    TRACK_OF,
    TRACKS,
    BoolArray,
    Delivered,
    FloatArray,
    IntArray,
    Worlds,
    deliver,
    draw_worlds,
)
from benchmarks.budget_policies import COOLDOWN_DAYS, DRIFT_PERCENT, POLICIES, STEP_PERCENT, Morning, Policy
from benchmarks.record import Figure, Record, code_hash

SEED = 20261121
FORTNIGHT = 14
# The stop study's arms: 15 % below the cap, 60 % above it.
GOOD, BAD = 0.85, 1.6
SURE = 0.95
# The oracle's gain, of the spend at rest, below which nothing was to be won.
WORTH_MOVING = 0.005
LIMITS = ("step", "cooldown", "drift", "track cap", "total cap", "money spent")

Outcome = dict[str, Any]


def run_policy(worlds: Worlds, policy: Policy) -> Delivered:
    """Four weeks at the status quo, then eight weeks of mornings; a paused lever stays paused."""
    delivered = Delivered.nothing_yet(worlds)
    paused = np.zeros((worlds.count, LEVERS), dtype=np.bool_)
    edited = np.full((worlds.count, LEVERS), -100, dtype=np.int64)
    for day in range(BURN_IN):
        deliver(worlds, delivered, day, worlds.start, paused)
    for day in range(BURN_IN, DAYS):
        morning = Morning.of(delivered, day, edited)
        budgets, wished = policy(worlds, morning)
        paused = morning.paused | wished
        budgets = np.where(paused, morning.budgets, budgets)
        edited = np.where(budgets != morning.budgets, day, edited)
        deliver(worlds, delivered, day, budgets, paused)
    return delivered


def broken_limits(worlds: Worlds, delivered: Delivered) -> dict[str, IntArray]:
    """Mornings on which a limit was broken, (worlds,), in whole cents: none of the guardrails' own code."""
    broken = {name: np.zeros(worlds.count, np.int64) for name in LIMITS}
    last_edit = np.full((worlds.count, LEVERS), -100)
    for day in range(BURN_IN, DAYS):
        before, after = delivered.budgets[:, day - 1], delivered.budgets[:, day]
        live = ~delivered.paused[:, day]
        change = np.where(live, after - before, 0)
        in_force = np.where(live, after, 0)
        week_ago = delivered.budgets[:, day - 7]
        risen = np.maximum(0, in_force - week_ago)
        found = {
            "step": (np.abs(change) * 100 > before * STEP_PERCENT).any(axis=1),
            "cooldown": ((change != 0) & (day - last_edit < COOLDOWN_DAYS)).any(axis=1),
            "drift": (
                (_by_track(risen) * 100 > _by_track(week_ago) * DRIFT_PERCENT) & (_by_track(change > 0) > 0)
            ).any(axis=1),
            "track cap": (_by_track(in_force) * 5 > worlds.daily_cap * 4).any(axis=1),
            "total cap": in_force.sum(axis=1) * 5 > worlds.total_cap * 4,
            "money spent": (_by_track(delivered.spend[:, day]) * 100 > worlds.daily_cap).any(axis=1)
            | (delivered.spend[:, day].sum(axis=1) * 100 > worlds.total_cap),
        }
        for name, yes in found.items():
            broken[name] += yes
        last_edit = np.where(change != 0, day, last_edit)
    return broken


def score(worlds: Worlds, delivered: Delivered, unmoved: Delivered) -> list[Outcome]:
    """What a policy came to in each world, in expected true signups: the day's luck is left out.

    Good and bad arms are told by their true CAC had nothing moved: over the first fortnight for false stops,
    over all mornings for bad arms missed.
    """
    decided = slice(BURN_IN, DAYS)
    spend, signups = delivered.spend[:, decided], delivered.signups[:, decided]
    profit = (signups * CONTRIBUTION[TRACK_OF]).sum(axis=(1, 2)) - spend.sum(axis=(1, 2))
    early = _true_cac(unmoved, slice(BURN_IN, BURN_IN + FORTNIGHT)) / CAC_CAP[TRACK_OF]
    whole = _true_cac(unmoved, decided) / CAC_CAP[TRACK_OF]
    stopped_early, stopped = delivered.paused[:, BURN_IN + FORTNIGHT - 1], delivered.paused[:, -1]
    earned = (unmoved.signups * CONTRIBUTION[TRACK_OF] - unmoved.spend)[:, decided].sum(axis=1)
    moved = np.diff(delivered.budgets[:, BURN_IN - 1 :], axis=1) != 0
    counts = {
        "profit": profit,
        "signups": signups.sum(axis=(1, 2)),
        "spend": spend.sum(axis=(1, 2)),
        "edits": moved.sum(axis=(1, 2)),
        "good": (early <= GOOD).sum(axis=1),
        "good_stopped": ((early <= GOOD) & stopped_early).sum(axis=1),
        "within_cap": (early <= 1).sum(axis=1),
        "within_cap_stopped": ((early <= 1) & stopped_early).sum(axis=1),
        "bad": (whole >= BAD).sum(axis=1),
        "bad_missed": ((whole >= BAD) & ~stopped).sum(axis=1),
        "stopped": stopped.sum(axis=1),
        "earning_stopped": (stopped & (earned > 0)).sum(axis=1),
    }
    rows = [{name: float(values[world]) for name, values in counts.items()} for world in range(worlds.count)]
    for name, values in broken_limits(worlds, delivered).items():
        for row, value in zip(rows, values, strict=True):
            row[f"broken {name}"] = float(value)
    for name, track_values in impressions_until_sure(worlds, delivered).items():
        for row, values in zip(rows, track_values, strict=True):
            row[name] = values.tolist()
    return rows


def impressions_until_sure(worlds: Worlds, delivered: Delivered, draws: int = 400) -> dict[str, FloatArray]:
    """Impressions after the burn-in until P(best) >= 0.95 in a track, (worlds, tracks); all of them if never.

    An onlooker's gamma posterior on complete cohorts, the views at a quarter: the same eyes for each policy.
    """
    answer = np.zeros((worlds.count, len(TRACKS)))
    sure = np.zeros((worlds.count, len(TRACKS)), dtype=np.bool_)
    conversions = (delivered.clicks + 0.25 * delivered.views).sum(axis=3)
    rng = np.random.default_rng(SEED)
    for day in range(BURN_IN, DAYS):
        shown = _by_track(delivered.spend[:, day] * worlds.impressions_per_dollar)
        answer += np.where(sure, 0.0, shown)
        seen = slice(BURN_IN, day + 1)
        shape = 2 + conversions[:, seen].sum(axis=1)
        rate = 2 * CAC_CAP[TRACK_OF] + delivered.spend[:, seen].sum(axis=1)
        drawn = rng.standard_gamma(shape, (draws, *shape.shape)) / rate
        for track in range(len(TRACKS)):
            members = np.flatnonzero(track == TRACK_OF)
            winners = drawn[:, :, members].argmax(axis=2)
            best = np.stack([(winners == place).mean(axis=0) for place in range(len(members))]).max(axis=0)
            sure[:, track] |= best >= SURE
    return {"impressions": answer, "sure": sure.astype(np.float64)}


def _true_cac(delivered: Delivered, days: slice) -> FloatArray:
    signups = delivered.signups[:, days].sum(axis=1)
    return np.asarray(delivered.spend[:, days].sum(axis=1) / np.maximum(signups, 1e-9), dtype=np.float64)


def _by_track(values: FloatArray | IntArray | BoolArray) -> Any:
    return np.stack([values[:, track == TRACK_OF].sum(axis=1) for track in range(len(TRACKS))], axis=1)


# --- many worlds -----------------------------------------------------------------------------------------


def run_worlds(first: int, count: int) -> list[Outcome]:
    """Every policy in these worlds: one outcome a world, with each policy's CPU seconds per world."""
    worlds = draw_worlds(range(first, first + count), SEED)
    unmoved = run_policy(worlds, POLICIES["hold"])
    outcomes: list[Outcome] = [{"world": int(number)} for number in worlds.numbers]
    for name, policy in POLICIES.items():
        started = process_time()
        delivered = unmoved if name == "hold" else run_policy(worlds, policy)
        seconds = (process_time() - started) / count
        for outcome, scored in zip(outcomes, score(worlds, delivered, unmoved), strict=True):
            outcome[name] = scored | {"seconds": seconds}
    return outcomes


def studied_worlds(worlds: int, chunk: int, processes: int) -> list[Outcome]:
    """Outcomes by world; chunks are kept as they come, so that a study cut off goes on where it was."""
    kept = scratch_folder() / f"bandit_study-{code_hash()}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = kept.read_text().splitlines() if kept.exists() else []
    outcomes = {outcome["world"]: outcome for outcome in map(json.loads, lines)}
    due = [
        (first, min(chunk, worlds - first))
        for first in range(0, worlds, chunk)
        if not set(range(first, min(first + chunk, worlds))) <= set(outcomes)
    ]
    with _one_thread_each(), kept.open("a") as file:
        # Spawned: a fork of a process in which polars has started its threads can wait forever.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            for done in as_completed([pool.submit(run_worlds, *part) for part in due]):
                for outcome in done.result():
                    outcomes[outcome["world"]] = outcome
                    file.write(json.dumps(outcome) + "\n")
                file.flush()
    return [outcomes[world] for world in range(worlds)]


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Worlds are the parallel part: threads of polars inside a world only get in each other's way."""
    name = "POLARS_MAX_THREADS"
    before = environ.get(name)
    environ[name] = "1"
    try:
        yield
    finally:
        environ.pop(name) if before is None else environ.__setitem__(name, before)


# --- the record ------------------------------------------------------------------------------------------


def ratio_of_sums(above: FloatArray, below: FloatArray, resamples: int = 2000) -> tuple[float, float, float]:
    """Σ above / Σ below with the ends of its 95 % bootstrap interval over worlds; nan where Σ below is 0."""
    if not below.sum():
        return float("nan"), float("nan"), float("nan")
    picks = np.random.default_rng(SEED).integers(0, len(above), (resamples, len(above)))
    sums = below[picks].sum(axis=1)
    drawn = above[picks].sum(axis=1)[sums != 0] / sums[sums != 0]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(above.sum() / below.sum()), float(low), float(high)


def bandit_study(worlds: int = 1000, chunk: int = 25, processes: int = 2) -> Record:
    """Profit, signups, regret, stops and limits of each policy over the same random worlds."""
    return summary(studied_worlds(worlds, chunk, processes))


class Scores:
    """Outcomes of all worlds as arrays, and figures of them with bootstrap intervals."""

    def __init__(self, outcomes: Sequence[Mapping[str, Any]]) -> None:
        self.outcomes = outcomes
        self.intervals: dict[str, list[float]] = {}
        at_rest = self.of("hold", "profit")
        self.gain = {policy: self.of(policy, "profit") - at_rest for policy in POLICIES}
        # Where even the oracle gains next to nothing, a share of its gain says nothing.
        self.pays = self.gain["oracle"] > WORTH_MOVING * self.of("hold", "spend")

    def of(self, policy: str, name: str) -> FloatArray:
        """A score by world, (worlds,) or (worlds, tracks)."""
        return np.array([outcome[policy][name] for outcome in self.outcomes], dtype=np.float64)

    def ratio(
        self,
        name: str,
        above: FloatArray,
        below: FloatArray,
        aim: str | None = None,
        meets: Callable[[float, float], bool] | None = None,
    ) -> Figure:
        """A ratio of sums; `meets` is asked with the ratio and its lower end."""
        middle, low, high = ratio_of_sums(above, below)
        self.intervals[name] = [low, high]
        return Figure(
            name, middle, f"× [{low:.3g}, {high:.3g}]", aim, None if meets is None else meets(middle, low)
        )


def summary(outcomes: Sequence[Mapping[str, Any]]) -> Record:
    """The figures of finished worlds."""
    scores = Scores(outcomes)
    broken = {
        policy: {name: int(scores.of(policy, f"broken {name}").sum()) for name in LIMITS}
        for policy in POLICIES
    }
    ours = sum(broken["aelp"].values())
    figures = [
        Figure("worlds in which moving pays", float(scores.pays.sum()), "worlds"),
        *_money(scores),
        *_stops(scores),
        Figure("aelp: mornings with a broken limit", ours, "mornings", "0", ours == 0),
        *_impressions(scores),
        Figure("aelp: CPU time", float(scores.of("aelp", "seconds").mean()), "s a world"),
    ]
    spent = scores.of("hold", "spend").sum()
    return Record(
        "bandit_study",
        {"worlds": len(outcomes), "mornings": MORNINGS},
        figures,
        note="Square brackets: 95 % bootstrap intervals over worlds. Shares and leads are over worlds in "
        f"which the oracle gains more than {WORTH_MOVING:.1%} of the spend. It knows every curve and today's "
        "quality and obeys the same step, cooldown, drift and spend limits, but not the stop rule: where an "
        "arm above its cap still earns, stopping it costs profit. human moves budgets by 20 % a week by "
        "reported CAC; human_paced does the same in AELP's steps.",
        details={
            "limits broken": broken,
            "intervals": scores.intervals,
            "edits a world": {policy: float(scores.of(policy, "edits").mean()) for policy in POLICIES},
            "spend, ratio to no change": {
                policy: float(scores.of(policy, "spend").sum() / spent) for policy in POLICIES
            },
            "share of worlds that lose against no change": {
                policy: float((scores.gain[policy] < 0).mean()) for policy in POLICIES
            },
            "CPU seconds a world": {
                policy: float(scores.of(policy, "seconds").mean()) for policy in POLICIES
            },
        },
    )


def _money(scores: Scores) -> Iterator[Figure]:
    at_rest, pays, gain = scores.of("hold", "spend"), scores.pays, scores.gain
    moving = [policy for policy in POLICIES if policy not in ("hold", "oracle")]
    for policy in moving:
        aim = ("lower end > 0", lambda _, low: low > 0) if policy == "aelp" else ()
        yield scores.ratio(
            f"{policy}: gain over no change, share of the oracle's",
            gain[policy][pays],
            gain["oracle"][pays],
            *aim,
        )
    for policy in moving:
        if policy != "aelp":
            lead = (gain["aelp"] - gain[policy])[pays]
            yield scores.ratio(f"aelp's lead over {policy}, of the spend at rest", lead, at_rest[pays])
    for policy in moving:
        regret = gain["oracle"] - gain[policy]
        yield scores.ratio(f"{policy}: regret to the oracle, of the spend at rest", regret, at_rest)
    for policy in (*moving, "oracle"):
        yield scores.ratio(
            f"{policy}: signups / no change", scores.of(policy, "signups"), scores.of("hold", "signups")
        )


def _stops(scores: Scores) -> Iterator[Figure]:
    def part(policy: str, name: str, counted: str, of: str, *aim: Any) -> Figure:
        return scores.ratio(f"{policy}: {name}", scores.of(policy, counted), scores.of(policy, of), *aim)

    for policy in ("aelp", "coin_flip_stops"):
        aim = ("≤ 0.15", lambda middle, _: middle <= 0.15) if policy == "aelp" else ()
        yield part(policy, f"arms at most {GOOD} caps stopped in 14 days", "good_stopped", "good", *aim)
        yield part(policy, "arms within the cap stopped in 14 days", "within_cap_stopped", "within_cap")
        yield part(policy, f"arms beyond {BAD} caps never stopped", "bad_missed", "bad")
        yield part(policy, "of its stops, arms that earn", "earning_stopped", "stopped")


def _impressions(scores: Scores) -> Iterator[Figure]:
    """Over tracks in which both became sure; how often each did stands beside it."""
    sure = {policy: scores.of(policy, "sure") for policy in ("aelp", "uniform")}
    both = sure["aelp"] * sure["uniform"]
    shown = [(scores.of(policy, "impressions") * both).sum(axis=1) for policy in sure]
    yield scores.ratio(
        f"impressions to P(best) ≥ {SURE}, aelp / uniform", *shown, "≤ 0.5", lambda middle, _: middle <= 0.5
    )
    for policy, found in sure.items():
        yield Figure(f"{policy}: tracks with P(best) ≥ {SURE} within the study", float(found.mean()), "×")
