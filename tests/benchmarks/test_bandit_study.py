"""A slice of the bandit study: worlds whose truth holds, limits that are counted, policies that obey."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.ad_worlds import (
    ARRIVAL_AGES,
    BURN_IN,
    CAC_CAP,
    DAYS,
    LEVERS,
    TRACK_OF,
    Delivered,
    Worlds,
    deliver,
    draw_worlds,
    known_at,
    true_signups,
)
from benchmarks.bandit_study import LIMITS, broken_limits, ratio_of_sums, run_policy, run_worlds, summary
from benchmarks.bandit_study import studied_worlds as study
from benchmarks.best_creative import DIVISIONS, days_until_sure
from benchmarks.budget_policies import POLICIES, Morning, aelp, greedy, hold, oracle
from benchmarks.record import code_hash

SEED = 7


@pytest.fixture(scope="module")
def worlds() -> Worlds:
    return draw_worlds(range(6), SEED)


@pytest.fixture(scope="module")
def outcomes() -> list[dict[str, Any]]:
    return run_worlds(0, 2)


# --- the worlds ------------------------------------------------------------------------------------------


def test_a_world_is_the_same_in_whatever_company(worlds: Worlds) -> None:
    alone = draw_worlds(range(4, 5), SEED)
    for name, values in vars(alone).items():
        np.testing.assert_array_equal(values[0], vars(worlds)[name][4], err_msg=name)


def test_the_next_dollar_earns_less_and_less_where_neighbours_spend(worlds: Worlds) -> None:
    start, quality = worlds.start / 100, np.ones((worlds.count, LEVERS))
    more = start.copy()
    more[:, 0] *= 2
    before, after = (true_signups(worlds, spend, quality) for spend in (start, more))
    np.testing.assert_allclose(before, worlds.rate * start)
    assert np.all((after[:, 0] > before[:, 0]) & (after[:, 0] < 2 * before[:, 0]))
    assert np.all(after[:, 1] < before[:, 1])  # of the same cluster
    np.testing.assert_allclose(after[:, 3:], before[:, 3:])


def test_reports_carry_the_true_signups_and_come_late(worlds: Worlds) -> None:
    delivered = run_policy(worlds, hold)
    carried = (
        worlds.click_worth * delivered.clicks.sum(axis=(1, 3))
        + worlds.view_worth * delivered.views.sum(axis=(1, 3))
    ).sum()
    assert carried == pytest.approx(delivered.signups.sum(), rel=0.02)
    known = [known_at(delivered.clicks, day)[:, 0].sum() for day in (1, 2, 8, 14, DAYS)]
    assert known == sorted(known)
    assert 0 < known[0] < known[2] < known[-1] == delivered.clicks[:, 0].sum()
    assert known_at(delivered.clicks, int(ARRIVAL_AGES[-1]) + 1)[:, 0].sum() == known[-1]


def test_a_morning_learns_how_late_conversions_come_from_matured_cohorts_alone(worlds: Worlds) -> None:
    delivered = run_policy(worlds, hold)
    far = np.full((worlds.count, LEVERS), -100)
    arrived = Morning.of(delivered, DAYS - 1, far).arrived
    np.testing.assert_allclose(arrived[:, ARRIVAL_AGES], worlds.arrivals.cumsum(axis=1), atol=0.03)
    delivered.clicks[:, 16:], delivered.views[:, 16:] = 1e6, 1e6
    before = Morning.of(run_policy(worlds, hold), 29, far).arrived
    np.testing.assert_array_equal(Morning.of(delivered, 29, far).arrived, before)


def test_more_budget_never_means_fewer_conversions_on_the_same_luck(worlds: Worlds) -> None:
    nothing = np.zeros((worlds.count, LEVERS), dtype=np.bool_)
    alone = replace(worlds, overlap=np.zeros(worlds.count))
    little, much = Delivered.nothing_yet(alone), Delivered.nothing_yet(alone)
    deliver(alone, little, 0, alone.start, nothing)
    deliver(alone, much, 0, alone.start * 2, nothing)
    assert np.all(much.clicks[:, 0] >= little.clicks[:, 0])
    assert much.clicks[:, 0].sum() > little.clicks[:, 0].sum()


def test_a_big_edit_costs_more_than_a_small_one(worlds: Worlds) -> None:
    nothing = np.zeros((worlds.count, LEVERS), dtype=np.bool_)
    lost = []
    for percent in (0, 10, 30):
        delivered = Delivered.nothing_yet(worlds)
        deliver(worlds, delivered, 0, worlds.start, nothing)
        deliver(worlds, delivered, 1, worlds.start * (100 + percent) // 100, nothing)
        lost.append(delivered.penalty)
    assert not lost[0].any()
    assert np.all(lost[1] < lost[2])


# --- scores ----------------------------------------------------------------------------------------------


def test_each_broken_limit_is_counted(worlds: Worlds) -> None:
    """A budget moved by hand breaks what it should; left alone it breaks nothing."""
    whole = np.full(worlds.count, 10**9)
    roomy = replace(worlds, daily_cap=np.stack([whole, whole], axis=1), total_cap=whole)

    def broken(world: Worlds, edits: dict[int, float]) -> dict[str, int]:
        delivered = run_policy(worlds, hold)
        for day, factor in edits.items():
            delivered.budgets[:, day:] = np.floor(delivered.budgets[:, day:] * factor)
        return {
            name: int(count.sum()) for name, count in broken_limits(world, delivered).items() if count.sum()
        }

    one = worlds.count
    assert broken(roomy, {}) == {}
    assert broken(roomy, {30: 1.05, 33: 1.05}) == {}
    assert broken(roomy, {30: 1.06}) == {"step": one}
    assert broken(roomy, {30: 0.94}) == {"step": one}
    assert broken(roomy, {30: 1.05, 32: 1.05}) == {"cooldown": one}
    assert broken(roomy, {30: 1.25}) == {"step": one, "drift": one}
    narrow = replace(worlds, daily_cap=worlds.daily_cap * 0 + 1, total_cap=whole)
    assert set(broken(narrow, {})) == {"track cap", "money spent"}
    assert set(broken(replace(roomy, total_cap=whole * 0 + 1), {})) == {"total cap", "money spent"}


def test_the_interval_holds_the_ratio_of_sums() -> None:
    rng = np.random.default_rng(1)
    below = rng.gamma(2.0, 1.0, 400)
    middle, low, high = ratio_of_sums(0.3 * below + rng.normal(0, 0.1, 400), below)
    assert low < middle < high
    assert (low, high) == (pytest.approx(0.3, abs=0.03), pytest.approx(0.3, abs=0.03))
    assert np.isnan(ratio_of_sums(below, below * 0)).all()


def test_a_clear_winner_is_found_soon_and_two_alike_are_not() -> None:
    rates = np.full((40, 10), 1 / 400)
    rates[:20, 3] = 1 / 80
    for name, divide in DIVISIONS.items():
        taken, right = days_until_sure(rates, divide, days=12, draws=192, seed=3)
        assert taken[:20].max() < 12, name
        assert right[:20].mean() > 0.9, name
        assert (taken[20:] == 12).mean() > 0.8, name
        assert not right[taken == 12].any(), name


def test_every_division_gives_all_the_money_and_nothing_below_zero() -> None:
    best = np.random.default_rng(1).dirichlet(np.full(10, 0.3), 50)
    best[0] = np.eye(10)[4]
    for name, divide in DIVISIONS.items():
        shares = divide(best)
        assert shares.min() >= 0, name
        np.testing.assert_allclose(shares.sum(axis=1), 1.0, err_msg=name)


# --- the policies ----------------------------------------------------------------------------------------


def test_who_promises_to_keep_the_limits_keeps_them_and_the_oracle_gains(
    outcomes: list[dict[str, Any]],
) -> None:
    for outcome in outcomes:
        for policy in ("aelp", "oracle", "hold", "human_paced"):
            assert {name: outcome[policy][f"broken {name}"] for name in LIMITS} == dict.fromkeys(LIMITS, 0.0)
        assert outcome["aelp"]["edits"] > 50
        assert outcome["oracle"]["profit"] > outcome["hold"]["profit"]
        assert outcome["greedy"]["broken step"] > 0


def test_the_record_says_where_aelp_stands(outcomes: list[dict[str, Any]]) -> None:
    made = summary(outcomes)
    found = {figure.name: figure for figure in made.figures}
    gains = {
        policy: sum(outcome[policy]["profit"] - outcome["hold"]["profit"] for outcome in outcomes)
        for policy in POLICIES
    }
    share = found["aelp: gain over no change, share of the oracle's"]
    assert share.value == pytest.approx(gains["aelp"] / gains["oracle"])
    assert share.meets is (made.details["intervals"][share.name][0] > 0)
    assert found["aelp: mornings with a broken limit"].value == 0
    spent = sum(outcome["hold"]["spend"] for outcome in outcomes)
    lead = found["aelp's lead over greedy, of the spend at rest"].value
    assert lead == pytest.approx((gains["aelp"] - gains["greedy"]) / spent)


def test_a_hopeless_arm_is_stopped_and_stays_so() -> None:
    """One world alone, its first lever at six caps: AELP and the oracle both end it."""
    one = draw_worlds(range(1), SEED)
    one.rate[0] = 1.0 / (0.5 * CAC_CAP[TRACK_OF])
    one.rate[0, 0] = 1.0 / (6 * CAC_CAP[0])
    for policy in (aelp, oracle):
        delivered = run_policy(one, policy)
        assert delivered.paused[0, BURN_IN + 7 :, 0].all()
        assert delivered.paused[0, :, 1:].sum() == 0
        assert delivered.spend[0, BURN_IN + 7 :, 0].sum() == 0


def test_greedy_gives_its_money_to_what_is_reported_best() -> None:
    one = draw_worlds(range(1), SEED)
    one.rate[0] = 1.0 / (3 * CAC_CAP[TRACK_OF])
    one.rate[0, [2, 9]] = 1.0 / (0.3 * CAC_CAP[0])
    one.views_per_click[0] = 0.5
    budgets = run_policy(one, greedy).budgets[0, BURN_IN]
    assert budgets[[2, 9]].tolist() == (one.start[0, [2, 9]] * 3).tolist()
    for track in (0, 1):
        members = track == TRACK_OF
        assert budgets[members].sum() == pytest.approx(one.start[0, members].sum(), abs=LEVERS)


def test_a_study_cut_off_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcomes: list[dict[str, Any]]
) -> None:
    monkeypatch.setenv("AELP_BENCH", str(tmp_path))
    kept = tmp_path / f"bandit_study-{code_hash()}.jsonl"
    kept.write_text("".join(json.dumps(outcome) + "\n" for outcome in outcomes))
    assert study(worlds=2, chunk=2, processes=1) == json.loads(json.dumps(outcomes))
