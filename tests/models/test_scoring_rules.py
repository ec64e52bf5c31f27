"""CRPS: what its definition says, and lowest for the law that draws what comes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from models.scoring_rules import crps


@pytest.fixture(params=[1, 2, 3])
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


def test_it_is_the_distance_to_what_came_less_half_the_distance_between_draws(rng: np.random.Generator):
    draws, actual = np.sort(rng.gamma(2.0, 5.0, (4, 60)), axis=1), rng.gamma(2.0, 5.0, 4)
    to_actual = np.abs(draws - actual[:, None]).mean(axis=1)
    to_each_other = np.abs(draws[:, :, None] - draws[:, None, :]).mean(axis=(1, 2))
    assert crps(draws, actual) == pytest.approx(to_actual - 0.5 * to_each_other)


def test_of_one_number_it_is_the_absolute_error_and_of_a_right_one_nothing():
    assert crps(np.array([[3.0], [3.0]]), np.array([5.5, 3.0])).tolist() == [2.5, 0.0]
    agreed = np.full((1, 1000), 0.1, dtype=np.float32)
    assert 0.0 <= crps(agreed, agreed[:, 0].astype(float))[0] < 1e-12


def test_many_draws_come_to_the_closed_form_of_the_normal_law(rng: np.random.Generator):
    actual = np.array([-1.5, 0.0, 0.7])
    draws = np.sort(rng.normal(size=(3, 200_000)), axis=1)
    exact = actual * (2 * stats.norm.cdf(actual) - 1) + 2 * stats.norm.pdf(actual) - 1 / np.sqrt(np.pi)
    assert crps(draws, actual) == pytest.approx(exact, abs=0.01)


def test_the_law_that_draws_what_comes_scores_lowest(rng: np.random.Generator):
    actual = rng.normal(10.0, 2.0, 4000)
    scores = {
        (mean, deviation): crps(np.sort(rng.normal(mean, deviation, (4000, 400)), axis=1), actual).mean()
        for mean, deviation in ((10.0, 2.0), (10.0, 1.0), (10.0, 4.0), (11.0, 2.0), (9.0, 2.0))
    }
    assert min(scores, key=lambda law: scores[law]) == (10.0, 2.0)
