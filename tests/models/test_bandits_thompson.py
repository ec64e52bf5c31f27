"""The knapsack is solved exactly, and the averaged request behaves."""

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from models.bandits import Level, solve_knapsack, thompson_budgets
from models.rewards import RewardDefinition

REWARD = RewardDefinition("click1_view025_v1")
ELASTICITY = 0.7


def in_tracks(group, caps, total):
    """Groups under their caps, and all of them under a total."""
    group = np.asarray(group, dtype=np.int64)
    return [Level(group, caps), Level(np.zeros_like(group), np.array([total]))]


def profit(budgets, current, worth):
    return worth * current * (budgets / current) ** ELASTICITY - budgets


def demand_of(current, worth):
    return current * (worth * ELASTICITY) ** (1 / (1 - ELASTICITY))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("differ", [False, True])
def test_allocation_equals_a_general_solvers(seed, differ):
    rng = np.random.default_rng(seed)
    levers = int(rng.integers(2, 7))
    group = np.sort(rng.integers(0, 2, levers))
    group = np.unique(group, return_inverse=True)[1]
    current = rng.uniform(50, 500, levers)
    worth = rng.uniform(0.6, 3.0, levers)  # contribution per dollar at the budget in force
    low, high = current * rng.uniform(0.2, 0.9, levers), current * rng.uniform(1.1, 2.5, levers)
    caps = np.array([current[group == g].sum() * rng.uniform(0.9, 1.3) for g in range(group.max() + 1)])
    caps = np.maximum(caps, [low[group == g].sum() * 1.05 for g in range(len(caps))])
    total = max(caps.sum() * rng.uniform(0.75, 1.1), low.sum() * 1.05)
    elasticity = rng.uniform(0.1, 0.93, (1, 3)) if differ else np.full((1, 3), ELASTICITY)
    cluster = rng.integers(0, 3, levers)
    own = elasticity[0, cluster]

    def profits(budgets):
        return (worth * current * (budgets / current) ** own - budgets).sum()

    demand = current * (worth * own) ** (1 / (1 - own))
    ours = solve_knapsack(demand[None, :], low, high, in_tracks(group, caps, total), elasticity, cluster)[0]
    constraints = [{"type": "ineq", "fun": lambda b: (total - b.sum()) / 100}]
    for g, cap in enumerate(caps):
        constraints.append({"type": "ineq", "fun": lambda b, g=g, cap=cap: (cap - b[group == g].sum()) / 100})
    solved = minimize(
        lambda b: -profits(b) / 100,
        x0=low,
        bounds=list(zip(low, high, strict=True)),
        constraints=constraints,
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert ours.sum() <= total * (1 + 1e-9)
    assert all(ours[group == g].sum() <= cap * (1 + 1e-9) for g, cap in enumerate(caps))
    assert np.all((ours >= low - 1e-9) & (ours <= high + 1e-9))
    assert profits(ours) >= profits(solved.x) - 1e-4 * abs(profits(solved.x))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_draw_of_many_elasticities_pays_one_price_within_every_cap(seed):
    rng = np.random.default_rng(seed)
    draws, levers = 200, 30
    group, cluster = np.sort(rng.integers(0, 3, levers)), rng.integers(0, 6, levers)
    group = np.unique(group, return_inverse=True)[1]
    elasticity = rng.uniform(0.05, 0.95, (draws, 6))
    own = elasticity[:, cluster]
    current = rng.uniform(50, 500, levers)
    worth = rng.uniform(0.5, 4.0, (draws, levers)) * own
    low, high = current / 2, current * 2
    demand = current * worth ** (1 / (1 - own))
    caps = np.bincount(group, current) * rng.uniform(0.7, 1.2, group.max() + 1)
    total = caps.sum() * 0.9
    budgets = solve_knapsack(demand, low, high, in_tracks(group, caps, total), elasticity, cluster)
    sums = np.stack([budgets[:, group == g].sum(axis=1) for g in range(len(caps))], axis=1)
    assert (sums <= caps * (1 + 1e-9)).all()
    assert (sums.sum(axis=1) <= total * (1 + 1e-9)).all()
    # What one more dollar brings is the same for all levers of a group between their bounds, and more than 1
    # only where a cap is full.
    brings = worth * (budgets / current) ** (own - 1)
    inside = (budgets > low * (1 + 1e-7)) & (budgets < high * (1 - 1e-7))
    for g, cap in enumerate(caps):
        part = group == g
        highest = np.where(inside, brings, -np.inf)[:, part].max(axis=1)
        lowest = np.where(inside, brings, np.inf)[:, part].min(axis=1)
        some = inside[:, part].any(axis=1)
        assert np.allclose(highest[some], lowest[some], rtol=1e-6)
        full = (sums[:, g] > cap * (1 - 1e-6)) | (sums.sum(axis=1) > total * (1 - 1e-6))
        assert (highest[some & ~full] <= 1 + 1e-6).all()
        assert (lowest[some] >= 1 - 1e-6).all()


@pytest.mark.parametrize("seed", range(8))
def test_channels_inside_tracks_inside_a_total_are_allocated_as_a_general_solver_does(seed):
    rng = np.random.default_rng(seed)
    levers = 8
    channel = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    track, total_of = channel // 2, np.zeros(levers, dtype=np.int64)
    current = rng.uniform(50, 500, levers)
    own = rng.uniform(0.3, 0.8, (1, 3))
    cluster = rng.integers(0, 3, levers)
    worth = rng.uniform(1.5, 4.0, levers)
    low, high = current * 0.5, current * 2.0
    levels = []
    for group in (channel, track, total_of):
        sums = np.bincount(group, current)
        levels.append(Level(group, sums * rng.uniform(0.8, 1.3, sums.size)))
    slope = own[0, cluster]

    def profits(budgets):
        return (worth * current * (budgets / current) ** slope - budgets).sum()

    demand = current * (worth * slope) ** (1 / (1 - slope))
    ours = solve_knapsack(demand[None, :], low, high, levels, own, cluster)[0]
    rows = np.array([level.group == g for level in levels for g in range(level.caps.size)], dtype=float)
    caps = np.concatenate([level.caps for level in levels])
    assert (rows @ ours <= caps * (1 + 1e-9)).all()
    solved = minimize(
        lambda b: -profits(b) / 100,
        x0=low,
        bounds=list(zip(low, high, strict=True)),
        constraints=[{"type": "ineq", "fun": lambda b: (caps - rows @ b) / 100}],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert profits(ours) >= profits(solved.x) - 1e-4 * abs(profits(solved.x))


def test_groups_that_are_not_nested_are_refused():
    ones, crossed = (
        np.ones(3),
        [Level(np.array([0, 0, 1]), np.ones(2)), Level(np.array([0, 1, 1]), np.ones(2))],
    )
    with pytest.raises(ValueError, match="whole groups"):
        solve_knapsack(np.ones((1, 3)), ones, ones, crossed)


def test_two_levers_match_a_fine_grid():
    current, worth = np.array([100.0, 300.0]), np.array([2.2, 1.4])
    low, high, cap = current / 2, current * 2, 380.0
    grid = np.linspace(low[0], high[0], 20_001)
    other = np.clip(cap - grid, low[1], high[1])
    feasible = grid + other <= cap + 1e-9
    values = profit(grid, current[0], worth[0]) + profit(other, current[1], worth[1])
    best = grid[feasible][values[feasible].argmax()]
    ours = solve_knapsack(
        demand_of(current, worth)[None, :], low, high, in_tracks(np.zeros(2), np.array([cap]), 1e9)
    )[0]
    assert ours[0] == pytest.approx(best, abs=0.05)


def test_money_that_would_not_earn_itself_back_stays_unspent():
    current = np.array([100.0])
    budget = solve_knapsack(
        demand_of(current, np.array([1.2]))[None, :],
        current / 2,
        current * 2,
        in_tracks(np.zeros(1), np.array([1e6]), 1e6),
    )
    assert budget[0, 0] < 100  # the average dollar earns 1.2, the next only 0.84


def test_lower_bounds_above_the_cap_give_the_lower_bounds():
    low = np.array([100.0, 100.0])
    budgets = solve_knapsack(
        np.full((3, 2), 500.0), low, low * 2, in_tracks(np.zeros(2), np.array([150.0]), 1e6)
    )
    np.testing.assert_array_equal(budgets, np.broadcast_to(low, (3, 2)))


def test_unsorted_groups_and_crossed_bounds_are_refused():
    ones = np.ones(2)
    with pytest.raises(ValueError):
        solve_knapsack(np.ones((1, 2)), ones, ones, in_tracks(np.array([1, 0]), ones, 1.0))
    with pytest.raises(ValueError):
        solve_knapsack(np.ones((1, 2)), ones * 2, ones, in_tracks(np.array([0, 1]), ones, 1.0))


def posterior_frame(clicks, spend, track="security") -> pl.DataFrame:
    count = len(clicks)
    reward_mean = REWARD.mean_reward(clicks, np.zeros(count))
    return pl.DataFrame(
        {
            "platform": ["meta"] * count,
            "account_id": ["a1"] * count,
            "track": [track] * count,
            "lever_id": [f"l{i}" for i in range(count)],
            "spend": spend,
            "click_conversions": clicks,
            "view_conversions": np.zeros(count),
            "reward_mean": reward_mean,
            "exposure": np.asarray(spend, dtype=float),
            "young_exposure": np.zeros(count),
            "young_exposure_sd": np.zeros(count),
            "young_spend": np.zeros(count),
            "evidence_clicks": np.asarray(clicks, dtype=float),
            "evidence_views": np.zeros(count),
            "evidence_reward": reward_mean,
            "posterior_shape": 2.0 + reward_mean,
            "posterior_rate": 400.0 + np.asarray(spend),
        }
    )


def lever_frame(budgets) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "platform": ["meta"] * len(budgets),
            "account_id": ["a1"] * len(budgets),
            "lever_id": [f"l{i}" for i in range(len(budgets))],
            "current_budget": budgets,
            "minimum_budget": [1.0] * len(budgets),
        }
    )


def request(posteriors, levers, *, seed=1, envelope=1500.0, total=1e9, draws=1920, curves=None):
    return thompson_budgets(
        posteriors,
        levers,
        envelopes={"security": envelope},
        total_envelope=total,
        contribution_per_signup={"security": 308.0},
        elasticity=ELASTICITY,
        reward=REWARD,
        draws=draws,
        rng=np.random.default_rng(seed),
        curves=curves,
    )


def curve_frame(clusters, means, sds, may_rise=None) -> pl.DataFrame:
    count = len(clusters)
    return pl.DataFrame(
        {
            "platform": ["meta"] * count,
            "account_id": ["a1"] * count,
            "lever_id": [f"l{i}" for i in range(count)],
            "cluster": clusters,
            "elasticity_mean": means,
            "elasticity_sd": sds,
            "may_rise": may_rise or [True] * count,
        },
        schema_overrides=dict.fromkeys(("platform", "account_id", "lever_id", "cluster"), pl.String),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_money_flows_to_the_better_lever_within_the_envelope(seed):
    posteriors = posterior_frame([150.0, 80.0, 60.0], [14_000.0] * 3)
    result = request(posteriors, lever_frame([500.0] * 3), seed=seed)
    budgets = result["thompson_budget"].to_numpy()
    assert budgets[0] > 650 > budgets[1] > budgets[2]
    assert budgets.sum() <= 1500 * (1 + 1e-9)
    assert result["share_mean"].sum() == pytest.approx(1)


def test_ignorance_shows_as_spread():
    known = request(posterior_frame([120.0, 120.0], [20_000.0] * 2), lever_frame([500.0] * 2), envelope=1000)
    unknown = request(posterior_frame([1.2, 1.2], [200.0] * 2), lever_frame([500.0] * 2), envelope=1000)
    assert unknown["share_sd"].mean() > 1.3 * known["share_sd"].mean()


def test_order_does_not_matter_and_the_seed_does():
    rng = np.random.default_rng(0)
    spend = rng.uniform(1000, 9000, 40)
    posteriors = posterior_frame(rng.poisson(spend / 200).astype(float), spend)
    levers = lever_frame(list(rng.uniform(10, 90, 40)))
    first = request(posteriors, levers)
    assert first.equals(request(posteriors.reverse(), levers.sample(fraction=1, shuffle=True, seed=9)))
    assert not first.equals(request(posteriors, levers, seed=2))


def test_an_empty_field_is_an_empty_answer():
    empty = request(posterior_frame([], []), lever_frame([]).cast({"current_budget": pl.Float64}))
    assert empty.height == 0


@pytest.mark.parametrize("budget", [0.0, -1.0, None])
def test_a_lever_without_a_budget_is_refused(budget):
    levers = lever_frame([500.0]).with_columns(current_budget=pl.lit(budget, dtype=pl.Float64))
    with pytest.raises(ValueError, match="positive"):
        request(posterior_frame([1.0], [100.0]), levers)


# --- each cluster its own answer to spend ---


def test_a_certain_curve_of_the_configured_elasticity_changes_nothing():
    posteriors, levers = posterior_frame([150.0, 80.0], [14_000.0] * 2), lever_frame([500.0] * 2)
    plain = request(posteriors, levers, envelope=900.0)
    assert request(
        posteriors, levers, envelope=900.0, curves=curve_frame(["a", "b"], [0.7] * 2, [0.0] * 2)
    ).equals(plain)
    assert request(posteriors, levers, envelope=900.0, curves=curve_frame([], [], [])).equals(plain)


def test_of_two_equal_levers_the_one_that_answers_to_money_gets_it():
    posteriors, levers = posterior_frame([150.0] * 2, [14_000.0] * 2), lever_frame([500.0] * 2)
    steep = request(
        posteriors, levers, envelope=1000.0, curves=curve_frame(["a", "b"], [0.9, 0.4], [0.1] * 2)
    )
    assert steep["thompson_budget"][0] > 600 > 400 > steep["thompson_budget"][1]
    assert steep["thompson_budget"].sum() <= 1000 * (1 + 1e-9)


def test_an_unsure_elasticity_shows_as_spread_and_is_shared_by_its_cluster():
    posteriors, levers = posterior_frame([150.0] * 2, [14_000.0] * 2), lever_frame([500.0] * 2)

    def shared(clusters, sd):
        curves = curve_frame(clusters, [0.7] * 2, [sd] * 2)
        return request(posteriors, levers, envelope=1000.0, curves=curves)["share_sd"].mean()

    assert shared(["a", "b"], 0.1) > 1.3 * shared(["a", "b"], 0.0)
    assert shared(["a", "a"], 0.1) < 0.9 * shared(["a", "b"], 0.1)


def test_a_lever_that_may_not_rise_is_never_given_more_than_it_has():
    posteriors, levers = posterior_frame([400.0] * 2, [14_000.0] * 2), lever_frame([500.0] * 2)
    curves = curve_frame(["a", "brand"], [0.7, 0.3], [0.1, 0.1], [True, False])
    budgets = request(posteriors, levers, envelope=5000.0, curves=curves)
    assert budgets["thompson_budget"][0] > 800
    assert budgets["thompson_budget"][1] <= 500
    assert budgets["p_raise"][1] == 0


def test_curves_that_contradict_themselves_are_refused():
    posteriors, levers = posterior_frame([1.0] * 2, [100.0] * 2), lever_frame([500.0] * 2)
    for wrong in (
        curve_frame(["a", "a"], [0.7, 0.6], [0.1] * 2),
        curve_frame(["a", "b"], [0.7, 1.0], [0.1, 0.0]),
        curve_frame(["a", "b"], [0.7, 0.7], [0.1, -0.1]),
        pl.concat([curve_frame(["a"], [0.7], [0.1])] * 2),
    ):
        with pytest.raises(ValueError, match="curves"):
            request(posteriors, levers, curves=wrong)
