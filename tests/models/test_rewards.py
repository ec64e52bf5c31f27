"""Closed-form CAC tails against brute force, and the reward definition's quadrature."""

import time

import numpy as np
import pytest

from models.rewards import (
    RewardDefinition,
    cac_quantiles,
    draw_signups_per_dollar,
    expected_loss_rate,
    mean_signups_per_dollar,
    probability_cac_above,
)

REWARD = RewardDefinition("click1_view025_v1")
CERTAIN = RewardDefinition("certain", click_sd=0.0, view_sd=0.0)

# spend, click conversions, view conversions: nothing, little, undecided, plenty, mostly views
ARMS = np.array(
    [(0, 0, 0), (900, 2, 1), (5000, 18, 14), (240_000, 1000, 500), (60_000, 40, 900)], dtype=float
)
FACTS = (ARMS[:, 0], ARMS[:, 1], ARMS[:, 2], 2.0, 480.0)


def brute_force_rates(draws: int, seed: int) -> np.ndarray:
    """λ drawn from the continuous model itself: no nodes, no shared code."""
    rng = np.random.default_rng(seed)
    strength = 0.25 * 0.75 / 0.12**2 - 1
    click = rng.gamma(1 / 0.15**2, 0.15**2, draws)[:, None]
    view = rng.beta(0.25 * strength, 0.75 * strength, draws)[:, None]
    return rng.gamma(2 + click * ARMS[:, 1] + view * ARMS[:, 2]) / (480 + ARMS[:, 0])


@pytest.fixture(scope="module")
def rates():
    return brute_force_rates(400_000, seed=5)


@pytest.mark.parametrize("cap", [60.0, 180.0, 240.0, 400.0])
def test_the_tail_matches_400_000_draws_of_the_continuous_model(rates, cap):
    closed = probability_cac_above(cap, *FACTS, REWARD)
    np.testing.assert_allclose(closed, (rates < 1 / cap).mean(axis=0), atol=0.007)


@pytest.mark.parametrize("cap", [180.0, 240.0, 400.0])
def test_the_expected_loss_matches_400_000_draws(rates, cap):
    closed = expected_loss_rate(cap, *FACTS, REWARD)
    np.testing.assert_allclose(closed, np.maximum(0, 1 - cap * rates).mean(axis=0), atol=0.003)


def test_quantiles_match_400_000_draws_and_invert_the_tail(rates):
    quantiles = cac_quantiles((0.1, 0.5, 0.9), *FACTS, REWARD)
    np.testing.assert_allclose(quantiles, np.quantile(1 / rates, (0.1, 0.5, 0.9), axis=0), rtol=0.02)
    for level, cac in zip((0.1, 0.5, 0.9), quantiles, strict=True):
        np.testing.assert_allclose(probability_cac_above(cac, *FACTS, REWARD), 1 - level, atol=1e-8)


def test_joint_draws_agree_with_the_closed_form():
    drawn = draw_signups_per_dollar(*FACTS, REWARD, 96 * 200, np.random.default_rng(3))
    np.testing.assert_allclose(
        (drawn < 1 / 240).mean(axis=0), probability_cac_above(240.0, *FACTS, REWARD), atol=0.012
    )
    np.testing.assert_allclose(drawn.mean(axis=0), mean_signups_per_dollar(*FACTS, REWARD), rtol=0.02)


def test_incrementality_moves_all_levers_together():
    many = (np.full(2, 240_000.0), np.full(2, 1000.0), np.full(2, 500.0), 2.0, 480.0)
    shared = draw_signups_per_dollar(*many, REWARD, 9_600, np.random.default_rng(1))
    alone = draw_signups_per_dollar(*many, CERTAIN, 9_600, np.random.default_rng(1))
    assert np.corrcoef(shared.T)[0, 1] > 0.9
    assert abs(np.corrcoef(alone.T)[0, 1]) < 0.05


def test_plugging_in_the_mean_would_be_overconfident():
    spend, clicks = np.array([240_000.0]), np.array([1100.0])
    plugged = probability_cac_above(240.0, spend, clicks, np.zeros(1), 2.0, 480.0, CERTAIN)
    averaged = probability_cac_above(240.0, spend, clicks, np.zeros(1), 2.0, 480.0, REWARD)
    assert plugged[0] < 0.002 < 0.2 < averaged[0]


def test_nodes_keep_the_means_and_spread_of_the_definition():
    reward = RewardDefinition("v", 0.9, 0.2, 0.3, 0.1, 0.95, 0.02)
    assert reward.nodes.click.mean() == pytest.approx(0.9)
    assert reward.nodes.click.std() == pytest.approx(0.2, rel=0.03)
    assert reward.nodes.view.mean() == pytest.approx(0.3)
    assert reward.nodes.view.std() == pytest.approx(0.1, rel=0.03)
    assert reward.nodes.completion.mean() == pytest.approx(0.95, rel=1e-3)
    assert reward.mean_reward([10.0], [20.0])[0] == pytest.approx(15 / 0.95, rel=0.01)
    correlation = np.corrcoef([reward.nodes.click, reward.nodes.view, reward.nodes.completion])
    assert np.abs(correlation[np.triu_indices(3, 1)]).max() < 0.1


def test_more_conversions_never_raise_the_risk():
    clicks = np.arange(0.0, 60.0)
    risk = probability_cac_above(240.0, np.full(60, 5000.0), clicks, np.zeros(60), 2.0, 480.0, REWARD)
    assert np.all(np.diff(risk) < 0)


def test_no_evidence_and_a_prior_at_the_cap_is_close_to_a_coin_flip():
    risk = probability_cac_above(240.0, np.zeros(1), np.zeros(1), np.zeros(1), 2.0, 480.0, REWARD)
    assert 0.5 < risk[0] < 0.65


def test_an_impossible_rate_gives_an_infinite_quantile():
    none = (np.full(1, 1e9), np.zeros(1), np.zeros(1), 1e-3, 1.0)
    assert np.isinf(cac_quantiles((0.9,), *none, CERTAIN))[0, 0]


@pytest.mark.parametrize(
    ("spend", "clicks", "cap", "prior"),
    [(-1.0, 1.0, 240.0, 2.0), (1.0, -1.0, 240.0, 2.0), (1.0, 1.0, 0.0, 2.0), (1.0, np.nan, 240.0, 2.0),
     (1.0, 1.0, 240.0, 0.0)],
)  # fmt: skip
def test_impossible_evidence_is_refused(spend, clicks, cap, prior):
    with pytest.raises(ValueError):
        probability_cac_above(cap, [spend], [clicks], [0.0], prior, 480.0, REWARD)


@pytest.mark.parametrize(
    "arguments",
    [{"click_mean": 0.0}, {"view_mean": 1.2}, {"view_sd": 0.5}, {"completion_mean": 0.0}, {"click_sd": -0.1}],
)
def test_a_definition_no_distribution_has_is_refused(arguments):
    with pytest.raises(ValueError):
        RewardDefinition("v", **arguments)


def test_a_thousand_arms_take_milliseconds():
    rng = np.random.default_rng(0)
    clicks = rng.gamma(1, 60, 1000)
    facts = (clicks * rng.gamma(5, 40, 1000), clicks, clicks, 2.0, 480.0)
    probability_cac_above(240.0, *facts, REWARD)
    best = min(_seconds(lambda: probability_cac_above(240.0, *facts, REWARD)) for _ in range(7))
    print(f"P(CAC > cap) of 1,000 arms: {1000 * best:.1f} ms")
    assert best < 0.06  # 12 ms measured, aim 20; the margin is for a busy machine


def _seconds(call) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def test_uncertain_exposure_matches_400_000_draws_of_the_continuous_model():
    settled, arrived, sd, most = 3000.0, 2000.0, 600.0, 5000.0
    rng = np.random.default_rng(9)
    spread = np.log1p((sd / arrived) ** 2)
    young = np.minimum(arrived * rng.lognormal(-spread / 2, np.sqrt(spread), 400_000), most)
    strength = 0.25 * 0.75 / 0.12**2 - 1
    incremental = 18 * rng.gamma(1 / 0.15**2, 0.15**2, 400_000) + 14 * rng.beta(
        0.25 * strength, 0.75 * strength, 400_000
    )
    drawn = rng.gamma(2 + incremental) / (480 + settled + young)
    exposure = REWARD.exposures([settled], [arrived], [sd], [most])
    facts = (exposure, np.array([18.0]), np.array([14.0]), 2.0, 480.0)
    for cap in (180.0, 240.0, 400.0):
        closed = probability_cac_above(cap, *facts, REWARD)
        np.testing.assert_allclose(closed, (drawn < 1 / cap).mean(), atol=0.007)
    plugged = probability_cac_above(180.0, [settled + arrived], *facts[1:], REWARD)
    assert plugged[0] > probability_cac_above(180.0, *facts, REWARD)[0] + 0.02, "the mean is overconfident"
    quantiles = cac_quantiles((0.1, 0.5, 0.9), *facts, REWARD)[:, 0]
    np.testing.assert_allclose(quantiles, np.quantile(1 / drawn, (0.1, 0.5, 0.9)), rtol=0.02)
    joint = draw_signups_per_dollar(*facts, REWARD, 96 * 200, np.random.default_rng(3))
    np.testing.assert_allclose(joint.mean(), mean_signups_per_dollar(*facts, REWARD)[0], rtol=0.02)
