"""The stop rule over simulated fortnights: how often good levers die and bad ones live."""

import numpy as np
import pytest

from models.rewards import RewardDefinition, probability_cac_above

CAP, SPEND, DAYS, RUNS = 240.0, 500.0, 14, 2000
DEFAULT = RewardDefinition("click1_view025_v1")
CERTAIN = RewardDefinition("certain", click_sd=0.0, view_sd=0.0)


def stop_share(cac_ratio, seed, *, reward=DEFAULT, probability=0.9, spend_caps=4.0, prior=2.0) -> float:
    """Share of runs stopped at any of 14 daily looks; conversions Poisson at `cac_ratio` caps."""
    conversions = np.random.default_rng(seed).poisson(SPEND / (CAP * cac_ratio), (RUNS, DAYS)).cumsum(axis=1)
    stopped = np.zeros(RUNS, dtype=bool)
    for day in range(DAYS):
        spend = SPEND * (day + 1)
        if spend >= spend_caps * CAP:
            above = probability_cac_above(
                CAP, np.full(RUNS, spend), conversions[:, day], np.zeros(RUNS), prior, prior * CAP, reward
            )
            stopped |= above > probability
    return float(stopped.mean())


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_good_levers_mostly_survive_and_bad_ones_mostly_stop(seed):
    good, bad, worse = (stop_share(ratio, seed) for ratio in (0.85, 1.6, 2.0))
    print(f"seed {seed}: stopped at 0.85 caps {good:.1%}, at 1.6 caps {bad:.1%}, at 2 caps {worse:.1%}")
    assert good <= 0.15
    assert bad >= 0.80
    assert worse >= 0.95


def test_the_naive_daily_coin_flip_rule_kills_most_good_levers():
    naive = stop_share(0.85, 11, reward=CERTAIN, probability=0.5, spend_caps=0.0, prior=1.0)
    print(f"daily P > 0.5 stops {naive:.1%} of good levers")
    assert naive > 0.65
