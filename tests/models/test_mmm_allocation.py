"""Allocation over posterior draws: rules kept, gaps certified, and what cannot be met said so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from models.mmm.allocation import Allocation, Infeasible, Objective, allocate
from models.mmm.allocation_check import violations
from models.mmm.baseline import BaselinePrior, baseline
from models.mmm.budget_scenarios import frontier, regret_of_staying, what_if
from models.mmm.channel_draws import ChannelDraws, PowerDraws, SaturationDraws, posterior_draws
from models.mmm.concave_program import GAP, Program, certify, solve, tail_weights
from models.mmm.curves import at_spend
from models.mmm.experiment_designs import standing_of
from models.mmm.posterior import MediaPosterior
from models.mmm.spend_bounds import SpendRules, probability_within_cap, spend_bounds
from models.mmm.weeks import MediaWeeks

FREE = SpendRules(step=None, day=None)


@dataclass(frozen=True)
class Case:
    """A posterior, a spend, and what is asked of it."""

    draws: ChannelDraws
    current: np.ndarray
    objective: Objective
    rules: SpendRules

    def allocate(self) -> Allocation | Infeasible:
        return allocate(self.draws, self.current, self.objective, self.rules)

    def program(self) -> Program:
        bounds = spend_bounds(self.draws, self.current, self.rules)
        value = 1.0 if self.objective.value is None else self.objective.value
        rules = self.rules
        return Program(
            self.draws,
            bounds.low,
            bounds.high,
            rules.budget,
            value,
            self.objective.priced,
            self.objective.caution,
            rules.portfolio_cac_cap,
            rules.tail,
        )


def curves(rng: np.random.Generator, channels: int, draws: int, family: str, harsh: float) -> ChannelDraws:
    """Curves around a dollar per conversion worth of 100; `harsh` spreads everything over decades."""
    names = tuple(f"channel_{index}" for index in range(channels))
    shape = (draws, channels)
    scale = 1000.0 * np.exp(harsh * rng.normal(size=channels))
    level = scale / 60.0 * np.exp(rng.normal(size=channels) + harsh * rng.normal(size=shape))
    level *= rng.random(shape) > 0.1 * harsh  # some draws in which a channel does nothing
    if family == "power":
        return PowerDraws(names, level, np.clip(rng.beta(4, 2, shape), 0.02, 1.0), scale)
    rate = np.exp(harsh * rng.normal(size=shape))
    if family == "logistic":
        return SaturationDraws(names, family, {"rate": rate}, level, scale)
    if family == "michaelis_menten":
        return SaturationDraws(names, family, {"half": rate}, level, scale)
    assert family == "hill"
    return SaturationDraws(names, family, {"half": rate, "slope": rng.beta(8, 2, shape)}, level, scale)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = draw(st.integers(1, 5))
    family = draw(st.sampled_from(["logistic", "michaelis_menten", "hill", "power"]))
    draws = curves(
        rng, channels, draw(st.sampled_from([1, 7, 40])), family, draw(st.sampled_from([0.3, 1.5]))
    )
    current = draws.scale * rng.uniform(0.0, 1.2, channels) * (rng.random(channels) > 0.15)
    total = float(current.sum()) or 100.0
    step, day = draw(st.sampled_from([(0.05, 0.1), (0.5, None), (None, 0.1)]))
    marginal = 1.0 / np.maximum(draws.at(np.maximum(current, 1.0))[1], 1e-9)
    worst = tail_weights(draws.at(current)[0].sum(axis=1), 0.1) @ draws.at(current)[0].sum(axis=1)
    earned = total / max(float(worst), 1e-3)
    rules = SpendRules(
        budget=total * draw(st.sampled_from([0.9, 0.97, 1.0, 1.02, 5.0])),
        step=step,
        day=day,
        marginal_cac_cap=draw(st.sampled_from([None, float(np.quantile(marginal, 0.6))])),
        portfolio_cac_cap=draw(st.sampled_from([None, 0.9 * earned, 0.995 * earned, 1.5 * earned])),
        minimum={"channel_0": 0.5 * total} if draw(st.booleans()) else {},
        maximum={f"channel_{channels - 1}": 0.9 * total} if draw(st.booleans()) else {},
        may_not_rise={"channel_0": "brand search"} if draw(st.booleans()) else {},
    )
    value = draw(st.sampled_from([None, 40.0, 150.0]))
    return Case(draws, current, Objective(value, draw(st.sampled_from([0.0, 0.4, 1.0]))), rules)


def tolerance(case: Case) -> float:
    """What the solver may leave on the table: its own promise."""
    program = case.program()
    steepest = np.abs(program.at(program.low).rise) + program.priced
    return 10 * GAP * float(steepest @ (program.high - program.low)) + 1e-6


@settings(max_examples=80, deadline=None)
@given(cases())
def test_every_solution_keeps_every_rule_and_staying_put_is_never_better(case: Case) -> None:
    found = case.allocate()
    if isinstance(found, Infeasible):
        assert found.conflicts
        assert found.missing > 0
        return
    assert violations(case.draws, case.current, found.proposed, case.rules) == []
    assert found.gap <= tolerance(case)
    if not violations(case.draws, case.current, case.current, case.rules):
        assert found.objective_gained >= -1e-9 * max(abs(found.objective_value), 1.0)


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_infeasible_is_said_exactly_where_no_spend_is_feasible(case: Case, seed: int) -> None:
    program, found = case.program(), case.allocate()
    rng = np.random.default_rng(seed)
    shares = rng.random((40, program.low.size)) * rng.random((40, 1))
    tried = [program.at(program.low + share * (program.high - program.low)) for share in shares]
    holding = [each for each in tried if each.slack >= 0 and each.spend.sum() <= program.budget]
    if isinstance(found, Infeasible):
        assert found.proven
        assert holding == []
    else:
        assert all(each.objective <= found.objective_value + found.gap + 1e-9 for each in holding)


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_planes_above_any_points_bound_the_best_spend(case: Case, seed: int, points: int) -> None:
    """From points far from the best, where a bound that is too low would show."""
    program, found = case.program(), case.allocate()
    assume(isinstance(found, Allocation))
    assert isinstance(found, Allocation)
    rng = np.random.default_rng(seed)
    shares = rng.random((points, program.low.size))
    planes = [program.at(program.low + share * (program.high - program.low)) for share in shares]
    rounding = 1e-9 * max(abs(found.objective_value), 1.0)
    assert certify(program, planes).value >= found.objective_value - rounding


@settings(max_examples=20, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_scipy_from_several_starts_finds_nothing_better(case: Case, seed: int) -> None:
    found = case.allocate()
    assume(isinstance(found, Allocation))
    assert isinstance(found, Allocation)
    for spend in from_scipy(case.program(), seed, starts=3):
        if not violations(case.draws, case.current, spend, case.rules):
            assert case.program().at(spend).objective <= found.objective_value + tolerance(case)


def from_scipy(program: Program, seed: int, starts: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    constraints = [{"type": "ineq", "fun": lambda x: program.budget - x.sum()}]
    if program.guard is not None:
        constraints.append({"type": "ineq", "fun": lambda x: program.at(x).slack})
    return [
        np.clip(
            minimize(
                lambda x: -program.at(x).objective,
                program.low + rng.random(program.low.size) * (program.high - program.low),
                bounds=list(zip(program.low, program.high, strict=True)),
                constraints=constraints,
                method="SLSQP",
            ).x,
            program.low,
            program.high,
        )
        for _ in range(starts)
    ]


@settings(max_examples=25, deadline=None)
@given(cases())
def test_more_budget_is_never_worse(case: Case) -> None:
    total = float(case.current.sum()) or 100.0
    budgets = [total * share for share in (0.9, 0.96, 1.0, 1.1)]
    rows = frontier(case.draws, case.current, case.objective, case.rules, budgets)
    values = rows.filter("feasible")["objective"].to_numpy()
    assert (np.diff(values) >= -1e-9 * np.abs(values[1:])).all()
    feasible = rows["feasible"].to_list()
    assert feasible == sorted(feasible)  # once there is room there is room with more


@pytest.mark.parametrize("family", ["logistic", "hill", "power"])
def test_channels_in_another_order_get_the_same_spend(family: str) -> None:
    draws = curves(np.random.default_rng(5), 6, 200, family, 0.3)
    current, order = 0.6 * draws.scale, [3, 0, 5, 1, 4, 2]
    rules = SpendRules(budget=float(current.sum()), step=0.4, day=None)
    one = allocate(draws, current, Objective(150.0, 0.3), rules)
    other = allocate(draws.subset(order), current[order], Objective(150.0, 0.3), rules)
    assert isinstance(one, Allocation)
    assert isinstance(other, Allocation)
    assert other.objective_value == pytest.approx(one.objective_value, rel=1e-6)
    np.testing.assert_allclose(other.proposed, one.proposed[order], rtol=0.01)


def alike(draws: int = 300, channels: int = 3, seed: int = 1) -> tuple[SaturationDraws, np.ndarray]:
    """Channels of one size that differ in what they bring: the first most."""
    rng = np.random.default_rng(seed)
    names = ("search", "social", "video")[:channels]
    level = np.array([40.0, 20.0, 8.0])[:channels] * np.exp(0.2 * rng.normal(size=(draws, channels)))
    rate = np.exp(0.1 * rng.normal(size=(draws, channels)))
    return SaturationDraws(names, "logistic", {"rate": rate}, level, np.full(channels, 1000.0)), np.full(
        channels, 800.0
    )


def test_two_known_curves_are_split_where_their_slopes_meet() -> None:
    """Conversions a_c (√(1 + x_c) - 1): at the best split 1 + x_c is in proportion to a_c²."""
    level = np.array([[3.0, 1.0, 2.0]])
    draws = PowerDraws(("a", "b", "c"), level, np.full((1, 3), 0.5), np.ones(3))
    found = allocate(draws, np.full(3, 100.0), Objective(), replace(FREE, budget=1397.0))
    assert isinstance(found, Allocation)
    np.testing.assert_allclose(found.proposed, [899.0, 99.0, 399.0], rtol=1e-3)
    assert found.budget_price == pytest.approx(0.5 * 3.0 / np.sqrt(900.0), rel=1e-3)


def test_a_flexible_budget_ends_at_the_target_marginal_cac() -> None:
    draws = PowerDraws(("a", "b"), np.array([[3.0, 1.0]]), np.full((1, 2), 0.5), np.ones(2))
    rules = SpendRules(step=None, day=None, maximum={"a": 1e5, "b": 1e5})
    found = allocate(draws, np.full(2, 10.0), Objective.until_marginal_cac(20.0), rules)
    assert isinstance(found, Allocation)
    assert found.table["marginal_cac_p50"].to_list() == pytest.approx([20.0, 20.0], rel=2e-3)


def test_money_moves_to_the_better_channel_by_a_step_and_says_so() -> None:
    draws, current = alike()
    found = allocate(draws, current, Objective(), SpendRules(budget=2400.0))
    assert isinstance(found, Allocation)
    rows = {row["channel"]: row for row in found.table.to_dicts()}
    assert rows["search"]["proposed_spend"] == pytest.approx(840.0)
    assert rows["video"]["proposed_spend"] == pytest.approx(760.0)
    assert rows["search"]["binding"] == "step"
    assert rows["search"]["reason"].startswith("Raise by 5.0%: pays in 100% of draws")
    assert rows["search"]["conversions_change_p10"] > 0 > rows["video"]["conversions_change_p90"]
    assert rows["video"]["p_better"] == 1.0
    assert found.proposed.sum() <= 2400.0 + 1e-6


def test_the_start_of_day_bounds_what_steps_add_up_to() -> None:
    draws, current = alike()
    morning = np.array([740.0, 800.0, 860.0])
    found = allocate(draws, current, Objective(), SpendRules(budget=5000.0), morning)
    assert isinstance(found, Allocation)
    assert found.proposed[0] == pytest.approx(1.1 * 740.0)
    assert found.table["binding"][0] == "day"


def test_a_cap_on_marginal_cac_is_a_spend_bound_that_holds_with_its_probability() -> None:
    draws, current = alike()
    cap = float(np.quantile(1 / draws.at(1.03 * current)[1][:, 0], 0.9))
    rules = SpendRules(budget=5000.0, marginal_cac_cap=cap)
    bounds = spend_bounds(draws, current, rules)
    assert bounds.high_rule[0] == "marginal_cac"
    assert bounds.high[0] == pytest.approx(1.03 * 800.0, rel=1e-3)
    assert probability_within_cap(draws, bounds.high, cap)[0] >= 0.9
    assert probability_within_cap(draws, 1.001 * bounds.high, cap)[0] < 0.9


def test_a_channel_no_step_brings_within_its_rules_holds_or_is_cut() -> None:
    draws, current = alike()
    cap = float(np.quantile(1 / draws.at(current)[1][:, 1], 0.1))
    bounds = spend_bounds(draws, current, SpendRules(budget=5000.0, marginal_cac_cap=cap))
    assert bounds.reachable.tolist() == [True, False, False]
    assert bounds.high[1] == current[1]
    assert bounds.low[1] == pytest.approx(0.95 * current[1])
    found = allocate(draws, current, Objective(), SpendRules(budget=5000.0, marginal_cac_cap=cap))
    assert isinstance(found, Allocation)
    assert found.proposed[1] == current[1]
    assert found.table["reason"][1] == "Hold: no spend within a step meets its rules."


def test_brand_search_without_an_experiment_does_not_rise() -> None:
    draws, current = alike()
    rules = SpendRules(budget=5000.0, may_not_rise={"search": "no experiment has shown what it adds"})
    found = allocate(draws, current, Objective(), rules)
    assert isinstance(found, Allocation)
    assert found.proposed[0] == current[0]
    assert "no experiment has shown what it adds" in found.table["reason"][0]


def test_a_budget_below_the_steps_is_infeasible_and_names_both() -> None:
    draws, current = alike()
    found = allocate(draws, current, Objective(), SpendRules(budget=2000.0))
    assert isinstance(found, Infeasible)
    assert found.proven
    assert found.missing == pytest.approx(280.0)
    assert found.conflicts == (
        "lower bounds add up to 2,280.00 a week, the budget is 2,000.00",
        "the limit of a step: search, social, video",
    )


def test_a_portfolio_cap_out_of_reach_is_proven_infeasible() -> None:
    draws, current = alike()
    total = draws.at(current)[0].sum(axis=1)
    earned = current.sum() / np.sort(total)[:30].mean()
    within, beyond = (
        allocate(draws, current, Objective(), SpendRules(budget=2400.0, portfolio_cac_cap=share * earned))
        for share in (0.98, 0.9)
    )
    assert isinstance(within, Allocation)
    assert within.portfolio_slack is not None
    assert within.portfolio_slack >= -1e-6
    assert within.proposed.sum() < 2400.0  # less is spent than there is: the rest would not earn its cap
    assert isinstance(beyond, Infeasible)
    assert beyond.proven
    assert beyond.conflicts[0].startswith("the portfolio's CAC guardrail misses by")
    assert any(words.startswith("the limit of a step") for words in beyond.conflicts[1:])


def test_the_checker_finds_each_broken_rule() -> None:
    draws, current = alike()
    cap = float(np.quantile(1 / draws.at(1.03 * current)[1][:, 0], 0.9))
    rules = SpendRules(
        budget=2390.0,
        marginal_cac_cap=cap,
        portfolio_cac_cap=1.0,
        minimum={"social": 790.0},
        maximum={"search": 830.0},
        may_not_rise={"search": "brand"},
    )
    spend = np.array([870.0, 700.0, 830.0])
    broken = {(each.channel, each.rule) for each in violations(draws, current, spend, rules, 0.8 * current)}
    assert {(None, "budget"), (None, "portfolio_cac")} < broken
    free = replace(rules, day=None)
    broken = {(each.channel, each.rule) for each in violations(draws, current, spend, free)}
    assert {("search", rule) for rule in ("step", "maximum", "may_not_rise", "marginal_cac")} < broken
    assert ("video", "hold_or_cut") in broken


def test_caution_gives_up_mean_for_the_worst_draws() -> None:
    rng = np.random.default_rng(2)
    level = np.column_stack([30 * np.exp(0.05 * rng.normal(size=400)), 45 * rng.gamma(1.0, 1.0, 400)])
    draws = SaturationDraws(
        ("sure", "bet"), "michaelis_menten", {"half": np.ones((400, 2))}, level, np.full(2, 1e3)
    )
    current = np.full(2, 500.0)
    rules = SpendRules(budget=1000.0, step=1.0, day=None)
    bold, wary = (allocate(draws, current, Objective(None, caution), rules) for caution in (0.0, 1.0))
    assert isinstance(bold, Allocation)
    assert isinstance(wary, Allocation)
    assert wary.proposed[0] > current[0] > bold.proposed[0]
    worst = [np.sort(draws.at(each.proposed)[0].sum(axis=1))[:40].mean() for each in (bold, wary)]
    assert worst[1] > worst[0]


def test_regret_and_what_if_agree_with_the_draws() -> None:
    draws, current = alike()
    found = allocate(draws, current, Objective(100.0), SpendRules(budget=2400.0))
    assert isinstance(found, Allocation)
    regret = regret_of_staying(draws, found)
    gained = 100.0 * (draws.at(found.proposed)[0] - draws.at(current)[0]).sum(axis=1)
    gained -= found.proposed.sum() - current.sum()
    np.testing.assert_allclose(regret.by_draw, gained)
    assert regret.expected == pytest.approx(found.objective_gained)
    rows = what_if(draws, current, found.proposed, 100.0)
    assert rows["scenario"].to_list() == ["current", "given", "change"]
    assert (
        rows["p_more"][2]
        == (draws.at(found.proposed)[0].sum(axis=1) > draws.at(current)[0].sum(axis=1)).mean()
    )
    assert rows["cac_p10"][0] <= rows["cac_p50"][0] <= rows["cac_p90"][0]
    assert rows["roas_p50"][0] == pytest.approx(100.0 / rows["cac_p50"][0], rel=0.01)


@pytest.mark.parametrize(("tail", "mean"), [(0.2, 1.0), (0.5, 1.8), (0.3, 4 / 3), (0.05, 1.0), (1.0, 3.0)])
def test_the_worst_share_counts_its_last_draw_in_part(tail: float, mean: float) -> None:
    """Of five draws half are two and a half: (1 + 2 + 0.5 · 3) / 2.5."""
    values = np.array([4.0, 1.0, 5.0, 3.0, 2.0])
    weights = tail_weights(values, tail)
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ values == pytest.approx(mean)


def test_nothing_above_a_channel_and_unknown_names_are_refused() -> None:
    draws, current = alike()
    with pytest.raises(ValueError, match=r"nothing bounds \['search'"):
        spend_bounds(draws, current, FREE)
    with pytest.raises(ValueError, match="unknown channels \\['radio'\\]"):
        spend_bounds(draws, current, SpendRules(minimum={"radio": 1.0}))
    ones = np.ones((1, 1))
    with pytest.raises(ValueError, match="S-curve"):
        SaturationDraws(("a",), "hill", {"half": ones, "slope": 2 * ones}, ones, np.ones(1))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["logistic", "michaelis_menten", "hill", "power"]),
    st.integers(0, 10**6),
)
def test_draws_rise_and_bend_down_from_zero(family: str, seed: int) -> None:
    draws = curves(np.random.default_rng(seed), 3, 9, family, 1.5)
    shares = np.concatenate([[0.0, 1e-6, 5e-5, 1e-4], np.geomspace(2e-4, 3.0, 20)])
    values, slopes = zip(*(draws.at(share * draws.scale) for share in shares), strict=True)
    level, slope = np.array(values), np.array(slopes)
    assert (level[0] == 0).all()
    assert (np.diff(slope, axis=0) <= 1e-9 * np.abs(slope[:-1])).all()
    rise = np.diff(level, axis=0) / (np.diff(shares)[:, None, None] * draws.scale)
    room = 1e-6 * np.abs(slope[:-1]) + 1e-12
    assert (rise <= slope[:-1] + room).all()
    assert (rise >= slope[1:] - room).all()


def test_a_spend_that_is_fixed_everywhere_is_its_own_best() -> None:
    draws, current = alike()
    program = Program(draws, current, current, 1e9, 100.0, 1.0, 0.5, 1e3)
    solution = solve(program, [current])
    assert solution.best is not None
    np.testing.assert_array_equal(solution.best.spend, current)
    assert solution.gap == pytest.approx(0.0, abs=1e-6)


def test_a_fitted_model_s_draws_are_its_own_curves() -> None:
    rng = np.random.default_rng(7)
    weeks = MediaWeeks(
        date(2026, 1, 5), ("a", "b"), rng.uniform(50, 150, (12, 2)), rng.uniform(5, 9, 12), np.empty((12, 0))
    )
    shape = (30, 2)
    media = {
        "retention": rng.random(shape),
        "half": rng.random(shape) + 0.2,
        "slope": rng.beta(8, 2, shape),
    }
    posterior = MediaPosterior(
        weeks,
        "geometric",
        "hill",
        4,
        baseline(weeks, BaselinePrior()),
        media,
        rng.random((30, 2)),
        np.full(30, 0.2),
        np.zeros(30),
        np.empty((0, 0)),
    )
    spend = np.array([40.0, 120.0])
    level, slope = posterior_draws(posterior).at(spend)
    for channel in range(2):
        answered, next_dollar = at_spend(posterior, channel, spend[[channel]])
        np.testing.assert_allclose(level[:, [channel]], answered)
        np.testing.assert_allclose(slope[:, [channel]], next_dollar)
    standing = standing_of(posterior, spend)
    assert standing.noise == pytest.approx(0.2 * weeks.outcome.max())
    np.testing.assert_allclose(standing.carry_over.sum(axis=1), 1.0)
