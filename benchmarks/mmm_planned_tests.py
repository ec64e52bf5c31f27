"""What planned tests bring: four quarters of them beside four of business as usual, in the same worlds.

Here: the planner run in simulated worlds (`mmm_worlds`), the error of returns and the profit that allocations
miss in both. Not here: the worlds, the planner (`models.mmm.planner`), recovery from weeks alone
(`mmm_recovery`).

Simplifications. Tests split the country in halves, so they move spend and outcome of the weeks that the model
is fitted to by half; a test is read at the usual spend of the quarter before; budgets that follow sales do
not follow those that a test moved. Allocations are scored, not lived: spend goes on as it would have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.accounts import scratch_folder
from benchmarks.mmm_recovery import compiled_fitters
from benchmarks.mmm_worlds import (
    COOL_DOWN_WEEKS,
    WEEKS,
    Kind,
    Trial,
    World,
    run_test,
    simulate,
    with_trials,
)
from benchmarks.record import Figure, Record, code_hash
from models.mmm.allocation import Allocation, Objective, allocate
from models.mmm.channel_draws import ChannelDraws, SaturationDraws, posterior_draws
from models.mmm.evidence import LiftTest
from models.mmm.experiment_designs import Regions, possible_designs, standing_of
from models.mmm.information_value import Stakes
from models.mmm.planner import calendar, ranked_tests
from models.mmm.posterior import MediaPosterior
from models.mmm.response import FloatArray
from models.mmm.spend_bounds import SpendRules
from models.mmm.weeks import MediaWeeks

STUDIED: tuple[Kind, ...] = ("matched", "demand_confounding")
QUARTERS, QUARTER_WEEKS = 4, 13
TEST_WEEKS = (4, 8)
TESTS_AT_ONCE = 2
HALVES = Regions((0.5,), common=0.5)
"""What `run_test` does: its error is σ √(2 (w + cool-down)) / w, about that of halves which share half the
variance."""
WORTH = 1.5
"""Dollars that media returned per dollar in the history: the next dollar then pays in some channels only."""
ARMS = ("usual", "planned")
_RESAMPLES = 2000
_FIRST_SEED = 11001
"""Far from the seeds that anything was tried on."""

Fit = Callable[[MediaWeeks, Sequence[LiftTest], int], MediaPosterior]


def mmm_planned_tests(worlds: int = 20, draws: int = 500, history: int = WEEKS) -> Record:
    """Live a year after the history twice in so many worlds of each kind; intervals resample worlds.

    Scores are kept as they come, so that a study cut off goes on where it was.
    """
    kept = scratch_folder() / f"mmm_planned_tests-{draws}-{history}-{code_hash()}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    scored = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    known = {(row["kind"], row["seed"]) for row in scored}
    # All kinds in step, so that a study cut off has some of each.
    wanted = [(kind, _FIRST_SEED + at) for at in range(worlds) for kind in STUDIED]
    length = history + QUARTERS * QUARTER_WEEKS
    if missing := [each for each in wanted if each not in known]:
        fit = compiled_fitters(simulate(*missing[0], weeks=length).weeks.before(history), draws).fit
        with kept.open("a") as file:
            for kind, seed in missing:
                scores = score_world(simulate(kind, seed, weeks=length), fit, history)
                scored.append({"kind": kind, "seed": seed, **scores})
                file.write(json.dumps(scored[-1]) + "\n")
                file.flush()
    chosen = [world for world in scored if (world["kind"], world["seed"]) in wanted]
    return summarise(chosen, {"worlds": worlds, "draws": draws, "history": history})


def score_world(world: World, fit: Fit, history: int) -> dict[str, list[dict[str, Any]]]:
    """Both years of a world.

    Returns:
        channels: a row per quarter (0: the history alone, which both arms share), arm and channel: roas_true
            and roas_p50 over the weeks fitted, tested (so far, in the planned arm).
        quarters: a row per quarter and arm: regret and staying (dollars a week that the allocation made from
            the fit, or none, earns less than the one made from the truth); so far: tests, lost (dollars of
            profit by the truth, below 0 where they earned some) and charged (each test at what it lost, at
            least nothing, and people's time).
    """
    value = worth_of_conversion(world.before(history))
    trials: list[Trial] = []
    readings: list[LiftTest] = []
    fits = dict.fromkeys(ARMS, fit(world.before(history).weeks, (), world.seed))
    lived = dict.fromkeys(ARMS, world)
    rows: dict[str, list[dict[str, Any]]] = {"channels": [], "quarters": []}
    for quarter in range(QUARTERS + 1):
        start = history + (quarter - 1) * QUARTER_WEEKS
        if quarter:
            seen, rng = world.before(start), np.random.default_rng([world.seed, quarter])
            chosen = planned_trials(fits["planned"], seen, value)
            trials += chosen
            readings += [reading(seen, trial, rng) for trial in chosen]
            lived["planned"] = with_trials(world, trials)
        now = start + QUARTER_WEEKS
        losses = [profit_lost(world, trial, value) for trial in trials]
        for arm in ARMS:
            seen = lived[arm].before(now)
            if quarter:
                fits[arm] = fit(seen.weeks, readings if arm == "planned" else (), world.seed)
            place = {"quarter": quarter, "arm": arm}
            rows["channels"] += [place | row for row in _returns(fits[arm], seen, trials)]
            draws, before = posterior_draws(fits[arm]), world.before(now)
            scores = {
                "regret": allocation_regret(draws, before, value),
                "staying": allocation_regret(None, before, value),
                "tests": len(trials) if arm == "planned" else 0,
                "lost": sum(losses) if arm == "planned" else 0.0,
                "charged": charge(losses) if arm == "planned" else 0.0,
            }
            rows["quarters"].append(place | scores)
    return rows


def planned_trials(posterior: MediaPosterior, seen: World, value: float) -> list[Trial]:
    """Next quarter's tests, splits in halves that are over and read within it."""
    current = recent_spend(seen)
    standing = standing_of(posterior, current)
    designs = possible_designs(standing, weeks=TEST_WEEKS, regions=HALVES)
    splits = [design for design in designs if design.kind == "regions"]
    ranked = ranked_tests(standing, splits, stakes_of(current, value), HALVES)
    plan = calendar(ranked, weeks=QUARTER_WEEKS - COOL_DOWN_WEEKS, parallel=TESTS_AT_ONCE)
    names, first = seen.weeks.channels, seen.weeks.number
    return [
        Trial(names.index(row["channel"]), row["change"], first + row["first_week"], row["weeks"])
        for row in plan.to_dicts()
    ]


def reading(seen: World, trial: Trial, rng: np.random.Generator) -> LiftTest:
    """What the test measured: of the whole country and, its cool-down counted, at steady state already."""
    change = trial.change * float(recent_spend(seen)[trial.channel])
    return run_test(seen, seen.weeks.channels[trial.channel], change, trial.weeks, rng)


def recent_spend(seen: World) -> FloatArray:
    """Dollars a week over the last quarter, (channels,): what tests and allocations start from."""
    recent: FloatArray = seen.weeks.spend[-QUARTER_WEEKS:].mean(axis=0)
    return recent


def worth_of_conversion(seen: World) -> float:
    """Dollars at which media returned `WORTH` times their cost so far."""
    return WORTH * float(seen.weeks.spend.sum() / seen.contributions.sum())


def stakes_of(current: FloatArray, value: float) -> Stakes:
    """Today's budget, moved between channels by up to a half, for a year."""
    return Stakes(value, float(current.sum()), reach=0.5, horizon_weeks=QUARTERS * QUARTER_WEEKS)


def true_draws(world: World) -> SaturationDraws:
    """The channels' true curves, as one draw of certain ones."""
    columns = {name: np.array([[getattr(each, name) for each in world.channels]]) for name in ("rate", "top")}
    scale = np.array([each.scale for each in world.channels])
    return SaturationDraws(world.weeks.channels, "logistic", {"rate": columns["rate"]}, columns["top"], scale)


def true_profit(world: World, spend: FloatArray, value: float) -> float:
    """Dollars a week that constant spend earns beyond itself."""
    pairs = zip(world.channels, spend, strict=True)
    return value * sum(float(channel.response(each)) for channel, each in pairs) - float(spend.sum())


def allocation_regret(believed: ChannelDraws | None, seen: World, value: float) -> float:
    """Dollars a week that the allocation made from beliefs earns less than the one made from the truth, under
    the same rules; without beliefs spend stays as it is."""
    current = recent_spend(seen)
    stakes = stakes_of(current, value)
    rules = SpendRules(budget=stakes.budget, step=stakes.reach, day=None)

    def made_from(draws: ChannelDraws) -> FloatArray:
        found = allocate(draws, current, Objective(value), rules)
        assert isinstance(found, Allocation), found  # staying keeps the rules
        return found.proposed

    best = true_profit(seen, made_from(true_draws(seen)), value)
    chosen = current if believed is None else made_from(believed)
    return best - true_profit(seen, chosen, value)


def profit_lost(world: World, trial: Trial, value: float) -> float:
    """Dollars that a test costs by the truth, until its carry-over is over."""
    tested = with_trials(world, [trial])
    lost = value * float((world.contributions - tested.contributions).sum())
    return lost - float((world.weeks.spend - tested.weeks.spend).sum())


def charge(losses: Sequence[float]) -> float:
    """Dollars that tests are charged: a pause that earns shows what either arm's allocation may see, so it is
    no gain of testing."""
    return sum(max(loss, 0.0) + Stakes.overhead for loss in losses)


def _returns(posterior: MediaPosterior, seen: World, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    middle = np.median(posterior.return_on_spend(), axis=0)
    tested = {trial.channel for trial in trials}
    return [
        {
            "channel": name,
            "roas_true": float(seen.return_on_spend[at]),
            "roas_p50": float(middle[at]),
            "tested": at in tested,
        }
        for at, name in enumerate(seen.weeks.channels)
    ]


def summarise(scored: Sequence[dict[str, Any]], config: dict[str, Any]) -> Record:
    """The year's end of both arms, by kind of world, and what lies between.

    Args:
        scored: `score_world` of several worlds with `kind` and `seed`.
    """
    figures: list[Figure] = []
    details: dict[str, Any] = {"95 % intervals": {}}
    for kind in STUDIED:
        of_kind = [world for world in scored if world["kind"] == kind]
        if of_kind:
            name = f"{kind.replace('_', ' ')} ({len(of_kind)} worlds)"
            found, intervals, quarters = _of_kind(of_kind, name)
            figures += found
            details["95 % intervals"] |= intervals
            details |= quarters
    return Record(
        "mmm_planned_tests",
        config,
        figures,
        note="A year after the history with the planner's tests (pauses, half less, half more; 4 or 8 weeks "
        "in half the country, two at once) and without, in the same weeks; 95 % intervals (in spine.json) "
        "resample worlds. ROAS error: of the median, relative to the truth, over channels and worlds. "
        "Regret: true profit of the allocation made from the truth less that of the one made from the fit, "
        "channels within ± 50 %, today's budget at most. Better allocations: each quarter's regret below "
        "that of usual, for the thirteen weeks after it. Tests' cost: profit lost by the truth, at least "
        "nothing a test, and $ 500 of people's time each. Tests move half the country's spend and outcome in "
        "the weeks that are fitted; budgets do not follow what they moved, and allocations are scored, not "
        "lived.",
        details=details,
    )


def _of_kind(
    worlds: Sequence[dict[str, Any]], name: str
) -> tuple[list[Figure], dict[str, list[float]], dict[str, dict[str, float]]]:
    errors = {arm: _errors(worlds, arm) for arm in ARMS}
    regret, charged, tests = (
        {arm: _scores(worlds, arm, what) for arm in ARMS} for what in ("regret", "charged", "tests")
    )
    staying, lost = _scores(worlds, "usual", "staying"), _scores(worlds, "planned", "lost")
    gained = regret["usual"][:, 1:] - regret["planned"][:, 1:]
    net = QUARTER_WEEKS * gained.sum(axis=1) - charged["planned"][:, -1]
    usual, planned = (100 * errors[arm][:, -1] for arm in ARMS)
    figures: list[Figure] = []
    intervals: dict[str, list[float]] = {}

    def tell(what: str, unit: str, aim: int, statistic: Callable[..., float], *values: FloatArray) -> None:
        label = f"{name}: {what}"
        intervals[label] = low, high = resampled(statistic, *values)
        words = {-1: "interval below 0", 0: None, 1: "interval above 0"}[aim]
        meets = {-1: high < 0, 0: None, 1: low > 0}[aim]
        figures.append(Figure(label, statistic(*values), unit, words, meets))

    tell("median ROAS error, usual", "%", 0, _median, usual)
    tell("median ROAS error, planned tests", "%", 0, _median, planned)
    tell("median ROAS error, planned less usual", "points", -1, _median_difference, planned, usual)
    tested = _tested(worlds)
    some = tested.any(axis=1)
    if some.any():
        before, after = (np.where(tested, each, np.nan)[some] for each in (usual, planned))
        what = "tested channels' median ROAS error, planned less usual"
        tell(what, "points", 0, _median_difference, after, before)
    tell("mean regret, nothing moved", "$ a week", 0, _mean, staying[:, -1])
    tell("mean regret, usual", "$ a week", 0, _mean, regret["usual"][:, -1])
    tell("mean regret, planned tests", "$ a week", 0, _mean, regret["planned"][:, -1])
    tell("mean regret, planned less usual", "$ a week", -1, _mean, -gained[:, -1])
    tell("median world's regret, planned less usual", "$ a week", 0, _median, -gained[:, -1])
    tell("tests in the year", "", 0, _mean, tests["planned"][:, -1])
    tell("profit lost while testing", "$ a year", 0, _mean, lost[:, -1])
    tell("tests' cost", "$ a year", 0, _mean, charged["planned"][:, -1])
    tell("better allocations less the tests' cost", "$ a year", 1, _mean, net)
    quarters = {
        f"{name}: median ROAS error by quarter, %": _by_quarter(errors, lambda each: 100 * _median(each)),
        f"{name}: mean regret by quarter, $ a week": _by_quarter(regret, _mean),
    }
    return figures, intervals, quarters


def _by_quarter(arms: dict[str, FloatArray], statistic: Callable[[FloatArray], float]) -> dict[str, float]:
    return {
        f"{arm}, quarter {quarter}": round(statistic(values[:, quarter]), 1)
        for arm, values in arms.items()
        for quarter in range(QUARTERS + 1)
    }


def resampled(statistic: Callable[..., float], *values: FloatArray) -> list[float]:
    """95 % interval of a statistic, worlds (first axis, the same in each array) drawn with replacement."""
    number = values[0].shape[0]
    picks = np.random.default_rng(1).integers(0, number, size=(_RESAMPLES, number))
    drawn = [statistic(*(each[pick] for each in values)) for pick in picks]
    return [round(float(end), 1) for end in np.quantile(drawn, (0.025, 0.975))]


def _errors(worlds: Sequence[dict[str, Any]], arm: str) -> FloatArray:
    """Relative errors of returns, (worlds, quarters from 0, channels)."""
    rows = [[row for row in world["channels"] if row["arm"] == arm] for world in worlds]
    ratio = np.array([[row["roas_p50"] / row["roas_true"] for row in each] for each in rows])
    found: FloatArray = np.abs(ratio - 1).reshape(len(worlds), QUARTERS + 1, -1)
    return found


def _scores(worlds: Sequence[dict[str, Any]], arm: str, what: str) -> FloatArray:
    """A quarter's score, (worlds, quarters from 0)."""
    return np.array(
        [[float(row[what]) for row in world["quarters"] if row["arm"] == arm] for world in worlds]
    )


def _tested(worlds: Sequence[dict[str, Any]]) -> npt.NDArray[np.bool_]:
    """Channels tested in the year, (worlds, channels)."""
    last = [[row for row in world["channels"] if row["quarter"] == QUARTERS] for world in worlds]
    return np.array([[row["tested"] for row in rows if row["arm"] == "planned"] for rows in last])


def _mean(values: FloatArray) -> float:
    return float(np.mean(values))


def _median(values: FloatArray) -> float:
    """Over all numbers there are."""
    return float(np.nanmedian(values))


def _median_difference(first: FloatArray, second: FloatArray) -> float:
    return _median(first) - _median(second)
