"""Split-test designs: the power they promise is the power they have."""

from __future__ import annotations

import numpy as np
import pytest

from models.split_designs import ArmTraffic, power_of_gap, shortest_design


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_promised_power_is_what_simulated_tests_reach(seed):
    rng = np.random.default_rng(seed)
    first, second, trials = 0.010, 0.013, 20_000
    a, b = (rng.binomial(trials, rate, 20_000) / trials for rate in (first, second))
    z = (b - a) / np.sqrt(a * (1 - a) / trials + b * (1 - b) / trials)
    assert power_of_gap(first, second, trials, trials) == pytest.approx((abs(z) > 1.96).mean(), abs=0.01)


def test_the_shortest_test_of_the_cvr_is_taken_and_the_ctr_s_only_where_none_would_show():
    wide, narrow = ArmTraffic(20_000, 0.01, 0.05), ArmTraffic(20_000, 0.012, 0.035)
    design = shortest_design(wide, narrow, durations=(28, 7, 14), power=0.8)
    assert (design.metric, design.days) == ("cvr", 14)
    assert design.power >= 0.8
    same_buyers = ArmTraffic(20_000, 0.012, 0.05)
    assert shortest_design(wide, same_buyers, durations=(7, 14), power=0.8).metric == "ctr"


def test_a_gap_too_small_to_show_has_no_design():
    one, other = ArmTraffic(100, 0.01, 0.02), ArmTraffic(100, 0.0101, 0.0201)
    assert shortest_design(one, other, durations=(7, 28), power=0.8) is None
    assert shortest_design(ArmTraffic(0, 0, 0), ArmTraffic(0, 0, 0), durations=(7,), power=0.8) is None


def test_rates_and_trials_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="trials above 0"):
        power_of_gap(0.1, 0.2, 0, 10)
