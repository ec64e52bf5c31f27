"""Four quarters with and without planned tests: a year of a small world, what its figures are of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import mmm_planned_tests as study
from benchmarks.mmm_recovery import Fitters
from benchmarks.mmm_worlds import COOL_DOWN_WEEKS, Kind, Trial, World, simulate, with_trials
from benchmarks.record import Record
from models.mmm.baseline import BaselinePrior, baseline
from models.mmm.evidence import LiftTest
from models.mmm.information_value import Stakes
from models.mmm.posterior import MediaPosterior
from models.mmm.specification import Specification
from models.mmm.weeks import MediaWeeks

HISTORY = 60
LENGTH = HISTORY + study.QUARTERS * study.QUARTER_WEEKS


def small(kind: Kind, seed: int, weeks: int = LENGTH) -> World:
    return simulate(kind, seed, weeks=weeks, channels=3)


def figures(record: Record) -> dict[str, float]:
    return {figure.name: figure.value for figure in record.figures}


class Pretended:
    """A fit to which a channel does double or half until a test of it is read, then nearly the truth."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[tuple[int, tuple[str, ...], float]] = []

    def __call__(self, weeks: MediaWeeks, tests: Sequence[LiftTest], seed: int) -> MediaPosterior:
        tested = {test.channel for test in tests}
        self.asked.append((weeks.number, tuple(test.channel for test in tests), float(weeks.spend.sum())))
        truth, rng, shape = self.world.channels, np.random.default_rng(seed), (120, len(self.world.channels))
        known = np.array([each.name in tested for each in truth])
        wrong = np.where(np.arange(shape[1]) % 2, 0.5, 2.0)
        blur = np.exp(np.where(known, 0.02, 0.5) * rng.normal(size=shape)) * np.where(known, 1.0, wrong)
        top = np.array([each.top for each in truth]) * blur
        scale = weeks.spend_scale / np.array([each.scale for each in truth])
        retention = np.array([each.carry[1] / each.carry[0] for each in truth])
        columns = baseline(weeks, BaselinePrior())
        return MediaPosterior(
            weeks,
            "geometric",
            "logistic",
            8,
            columns,
            {
                "retention": np.broadcast_to(retention, shape),
                "rate": np.broadcast_to(np.array([each.rate for each in truth]) * scale, shape),
            },
            top / weeks.outcome_scale,
            np.full(120, self.world.noise / weeks.outcome_scale),
            np.zeros(120),
            np.zeros((120, len(columns.names))),
        )


def test_a_trial_moves_half_the_country_and_nothing_before_it() -> None:
    world = small("demand_confounding", 1)
    paused = with_trials(world, [Trial(1, -1.0, 70, 4)])
    before, after = slice(0, 70), slice(70 + 4 + COOL_DOWN_WEEKS + 4, None)
    assert paused.weeks.spend[70:74, 1] == pytest.approx(0.5 * world.weeks.spend[70:74, 1])
    assert (paused.weeks.spend[before] == world.weeks.spend[before]).all()
    assert (paused.weeks.outcome[before] == world.weeks.outcome[before]).all()
    assert paused.weeks.outcome[after] == pytest.approx(world.weeks.outcome[after])
    assert (paused.contributions[70:74, 1] < world.contributions[70:74, 1]).all()
    assert paused.contributions[:, [0, 2]] == pytest.approx(world.contributions[:, [0, 2]])
    # In the half without it nothing changes, in the other the channel is gone once its carry-over is.
    long = with_trials(world, [Trial(1, -1.0, 70, 30)])
    assert long.contributions[99, 1] == pytest.approx(0.5 * world.contributions[99, 1])
    # Demand and noise are the same.
    moved = world.weeks.outcome - world.expected
    assert paused.weeks.outcome - paused.expected == pytest.approx(moved)


def test_what_had_happened_is_the_worlds_first_weeks() -> None:
    world = small("matched", 2)
    seen = world.before(HISTORY)
    assert seen.weeks.number == HISTORY
    assert seen.expected == pytest.approx(world.expected[:HISTORY])
    spent = world.weeks.spend[:HISTORY].sum(axis=0)
    assert seen.return_on_spend * spent == pytest.approx(world.contributions[:HISTORY].sum(axis=0))


def test_a_test_loses_the_profit_of_what_was_not_spent_and_one_that_earns_is_no_gain() -> None:
    world = small("matched", 3)
    trial = Trial(0, -1.0, 70, 8)
    saved = 0.5 * float(world.weeks.spend[70:78, 0].sum())
    missed = float((world.contributions - with_trials(world, [trial]).contributions).sum())
    assert missed > 0
    lost, earned = (study.profit_lost(world, trial, value) for value in (1e4, 1e-9))
    assert lost == pytest.approx(1e4 * missed - saved)
    assert lost > 0
    assert earned == pytest.approx(-saved)
    assert study.charge([lost, earned]) == pytest.approx(lost + 2 * Stakes.overhead)
    assert study.charge([]) == 0


def test_true_curves_are_the_worlds_and_no_allowed_spend_beats_theirs() -> None:
    world = small("adstock_family", 4)
    value, now = study.worth_of_conversion(world), study.recent_spend(world)
    assert value * world.contributions.sum() == pytest.approx(study.WORTH * world.weeks.spend.sum())
    added, slopes = study.true_draws(world).at(now)
    for at, channel in enumerate(world.channels):
        assert added[0, at] == pytest.approx(float(channel.response(now[at])))
        assert slopes[0, at] == pytest.approx(float(channel.marginal(now[at])))
    staying = study.allocation_regret(None, world, value)
    best = study.true_profit(world, now, value) + staying
    rng = np.random.default_rng(1)
    tried = now * rng.uniform(0.5, 1.5, size=(2000, 3))
    allowed = [study.true_profit(world, each, value) for each in tried if each.sum() <= now.sum()]
    assert max(allowed) <= best + 1e-6 * best
    assert max(allowed) > best - 0.2 * staying
    assert study.allocation_regret(study.true_draws(world), world, value) == pytest.approx(0, abs=1e-6)
    fitted = Pretended(world)
    misled = study.posterior_draws(fitted(world.weeks, (), 1))
    informed = [LiftTest(each.name, 1.0, 1.0, 1.0, 1.0) for each in world.channels]
    told = study.posterior_draws(fitted(world.weeks, informed, 1))
    regrets = [study.allocation_regret(draws, world, value) for draws in (told, misled)]
    assert -1e-6 * best < regrets[0] < 0.1 * staying
    assert regrets[1] > 2 * regrets[0]


def test_the_next_quarters_tests_are_read_within_it_and_never_too_many_at_once() -> None:
    world = small("matched", 7)
    seen = world.before(HISTORY)
    trials = study.planned_trials(Pretended(world)(seen.weeks, (), 1), seen, study.worth_of_conversion(seen))
    assert trials
    assert len({trial.channel for trial in trials}) == len(trials)
    for trial in trials:
        assert trial.first_week >= HISTORY
        assert trial.first_week + trial.weeks + COOL_DOWN_WEEKS <= HISTORY + study.QUARTER_WEEKS
        running = [
            each for each in trials if each.first_week <= trial.first_week < each.first_week + each.weeks
        ]
        assert len(running) <= study.TESTS_AT_ONCE
    told = study.reading(seen, trials[0], np.random.default_rng(1))
    assert told.spend == pytest.approx(study.recent_spend(seen)[trials[0].channel])
    assert told.change == pytest.approx(trials[0].change * told.spend)


def test_a_year_is_lived_twice_with_readings_in_one_of_them() -> None:
    world = small("matched", 6)
    fit = Pretended(world)
    rows = study.score_world(world, fit, HISTORY)
    ends = [HISTORY + quarter * study.QUARTER_WEEKS for quarter in range(study.QUARTERS + 1)]
    usual, planned = fit.asked[1::2], fit.asked[2::2]
    assert [weeks for weeks, _, _ in usual] == [weeks for weeks, _, _ in planned] == ends[1:]
    assert all(not tests for _, tests, _ in usual)
    counts = [len(tests) for _, tests, _ in planned]
    assert 0 < counts[0] <= counts[1] <= counts[2] <= counts[3]
    assert [spent for _, _, spent in usual] == pytest.approx(
        [world.weeks.spend[:end].sum() for end in ends[1:]]
    )
    assert planned[0][2] != pytest.approx(usual[0][2])
    told = {(row["quarter"], row["arm"]): row for row in rows["quarters"]}
    assert told[0, "usual"]["regret"] == told[0, "planned"]["regret"]
    assert told[4, "planned"]["tests"] == counts[-1]
    assert told[4, "planned"]["regret"] < told[4, "usual"]["regret"]
    assert told[4, "usual"]["charged"] == told[0, "planned"]["charged"] == 0
    assert told[4, "planned"]["charged"] >= max(told[4, "planned"]["lost"], 0) + counts[-1] * Stakes.overhead
    last = [
        row for row in rows["channels"] if row["quarter"] == 4 and row["arm"] == "planned" and row["tested"]
    ]
    assert {row["channel"] for row in last} == set(planned[-1][1])
    for row in last:
        assert row["roas_p50"] == pytest.approx(row["roas_true"], rel=0.05)


def test_a_study_cut_off_goes_on_and_takes_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELP_BENCH", str(tmp_path))
    monkeypatch.setattr(study, "simulate", small)
    monkeypatch.setattr(study, "STUDIED", ("matched",))
    made: list[Pretended] = []

    def fitters(weeks: MediaWeeks, draws: int) -> Fitters:
        made.append(Pretended(small("matched", study._FIRST_SEED + len(made))))
        return Fitters(Specification(), made[-1], lambda weeks, seed: pytest.fail("no placebo here"))

    monkeypatch.setattr(study, "compiled_fitters", fitters)
    study.mmm_planned_tests(worlds=1, history=HISTORY)
    (kept,) = tmp_path.rglob("mmm_planned_tests-*.jsonl")
    first = json.loads(kept.read_text())
    for row in first["quarters"]:
        row["charged"] = 7e6 if row["arm"] == "planned" else 0.0
    kept.write_text(json.dumps(first) + "\n")
    both = study.mmm_planned_tests(worlds=2, history=HISTORY)
    assert len(made) == 2
    assert len(made[1].asked) == 1 + 2 * study.QUARTERS  # one world's fits
    cost = figures(both)["matched (2 worlds): tests' cost"]
    second = json.loads(kept.read_text().splitlines()[1])["quarters"][-1]["charged"]
    assert cost == pytest.approx((7e6 + second) / 2)


def lived(kind: str, seed: int, *, planned_error: float, planned_regret: float) -> dict[str, Any]:
    """Two channels of a world that is off by 40 % and $ 1,000 a week as long as nothing is tested."""
    channels, quarters = [], []
    for quarter in range(study.QUARTERS + 1):
        for arm in study.ARMS:
            better = quarter > 0 and arm == "planned"
            error, regret = (planned_error, planned_regret) if better else (0.4, 1000.0)
            place = {"quarter": quarter, "arm": arm}
            channels += [
                place
                | {
                    "channel": name,
                    "roas_true": 2.0,
                    "roas_p50": 2.0 * (1 + sign * error),
                    "tested": better and name == "a",
                }
                for name, sign in (("a", 1), ("b", -1))
            ]
            scores = {"regret": regret, "staying": 3000.0}
            costs = (2 * quarter, -100.0 * quarter, 2500.0 * quarter) if better else (0, 0.0, 0.0)
            spent = dict(zip(("tests", "lost", "charged"), costs, strict=True))
            quarters.append(place | scores | spent)
    return {"kind": kind, "seed": seed, "channels": channels, "quarters": quarters}


def test_differences_costs_and_aims_are_what_the_rows_say() -> None:
    worlds = [
        lived("matched", seed, planned_error=0.1 + 0.02 * (seed % 2), planned_regret=400.0 + 10 * seed)
        for seed in range(10)
    ]
    worlds += [
        lived("demand_confounding", seed, planned_error=0.4, planned_regret=(900.0, 1100.0)[seed % 2])
        for seed in range(4)
    ]
    record = study.summarise(worlds, {})
    found, meets = figures(record), {figure.name: figure.meets for figure in record.figures}
    name = "matched (10 worlds)"
    assert found[f"{name}: median ROAS error, usual"] == pytest.approx(40)
    assert found[f"{name}: median ROAS error, planned less usual"] == pytest.approx(-29)
    only = f"{name}: tested channels' median ROAS error, planned less usual"
    assert found[only] == pytest.approx(-29)
    assert found[f"{name}: mean regret, nothing moved"] == pytest.approx(3000)
    assert found[f"{name}: mean regret, planned less usual"] == pytest.approx(-555)
    assert found[f"{name}: tests in the year"] == pytest.approx(8)
    assert found[f"{name}: tests' cost"] == pytest.approx(10_000)
    assert found[f"{name}: profit lost while testing"] == pytest.approx(-400)
    net = f"{name}: better allocations less the tests' cost"
    assert found[net] == pytest.approx(52 * 555 - 10_000)
    assert meets[net] is True
    assert meets[f"{name}: median ROAS error, planned less usual"] is True
    assert meets[f"{name}: mean regret, planned less usual"] is True
    low, high = record.details["95 % intervals"][f"{name}: mean regret, planned less usual"]
    assert -600 < low < -555 < high < -510
    other = "demand confounding (4 worlds)"
    assert meets[f"{other}: median ROAS error, planned less usual"] is False
    assert meets[f"{other}: mean regret, planned less usual"] is False
    assert meets[f"{other}: better allocations less the tests' cost"] is False
    of_errors = record.details[f"{name}: median ROAS error by quarter, %"]
    assert of_errors["planned, quarter 0"] == of_errors["usual, quarter 4"] == pytest.approx(40)
    assert of_errors["planned, quarter 1"] == pytest.approx(11)
    of_regret = record.details[f"{name}: mean regret by quarter, $ a week"]
    assert of_regret["planned, quarter 1"] == pytest.approx(445)
