"""Carry-over and saturation do what their formulas say, in numpy and in PyTensor."""

import numpy as np
import pytest

from models.mmm.response import adstock_weights, half_life, lagged, marginal, saturated

ADSTOCKS = {
    "geometric": {"retention": np.array([0.0001, 0.5, 0.9])},
    "delayed": {"retention": np.array([0.2, 0.5, 0.8]), "peak_lag": np.array([0.0, 1.0, 2.5])},
    "weibull": {"shape": np.array([0.8, 2.0, 3.0]), "scale": np.array([0.7, 2.0, 4.0])},
}
SATURATIONS = {
    "logistic": {"rate": np.array([0.5, 3.0, 8.0])},
    "michaelis_menten": {"half": np.array([0.1, 1.0, 4.0])},
    "hill": {"half": np.array([0.1, 1.0, 4.0]), "slope": np.array([0.5, 0.8, 0.99])},
}


def test_geometric_weights_by_hand():
    weights = adstock_weights("geometric", {"retention": np.array([0.5])}, 3)
    assert weights == pytest.approx(np.array([[4, 2, 1]]) / 7)


def test_delayed_weights_peak_at_the_peak_lag():
    weights = adstock_weights("delayed", {"retention": np.array([0.5]), "peak_lag": np.array([1.0])}, 3)
    assert weights == pytest.approx(np.array([[0.5, 1.0, 0.5]]) / 2)


def test_weibull_weights_are_its_density_one_week_on():
    from scipy.stats import weibull_min

    weights = adstock_weights("weibull", {"shape": np.array([2.0]), "scale": np.array([3.0])}, 5)
    density = weibull_min.pdf(np.arange(1, 6), 2.0, scale=3.0)
    assert weights[0] == pytest.approx(density / density.sum())


@pytest.mark.parametrize("family", ADSTOCKS)
def test_a_dollar_works_once_however_it_is_carried_over(family):
    weights = adstock_weights(family, ADSTOCKS[family], 8)
    assert weights.shape == (3, 8)
    assert weights.sum(axis=-1) == pytest.approx(np.ones(3))
    assert (weights >= 0).all()


def test_saturations_by_hand():
    assert saturated("logistic", 1.0, {"rate": np.log(3)}) == pytest.approx(0.5)
    assert saturated("michaelis_menten", 2.0, {"half": 0.5}) == pytest.approx(0.8)
    assert saturated("hill", 4.0, {"half": 1.0, "slope": 0.5}) == pytest.approx(2 / 3)


@pytest.mark.parametrize("family", SATURATIONS)
def test_the_next_dollar_is_the_slope_of_the_curve_and_falls(family):
    spend = np.linspace(0.05, 3.0, 60)[:, None]
    step = 1e-6
    values = SATURATIONS[family]
    rise = saturated(family, spend + step, values) - saturated(family, spend - step, values)
    slope = marginal(family, spend, values)
    assert slope == pytest.approx(rise / (2 * step), rel=1e-5, abs=1e-9)
    assert (np.diff(slope, axis=0) < 0).all()
    share = saturated(family, np.array([[0.0], [1e6]]), values)
    assert share[0] == pytest.approx(np.zeros(3), abs=1e-4)
    assert ((share[1] > 0.9) & (share[1] <= 1)).all()


def test_pytensor_evaluates_the_same_formulas():
    import pytensor.tensor as pt

    spend = np.linspace(0.0, 2.0, 7)[:, None]
    for family, values in ADSTOCKS.items():
        symbols = {name: pt.as_tensor(value) for name, value in values.items()}
        found = adstock_weights(family, symbols, 6, pt).eval(mode="FAST_COMPILE")
        assert found == pytest.approx(adstock_weights(family, values, 6), rel=1e-12)
    for family, values in SATURATIONS.items():
        symbols = {name: pt.as_tensor(value) for name, value in values.items()}
        found = saturated(family, pt.as_tensor(spend), symbols, pt).eval(mode="FAST_COMPILE")
        assert found == pytest.approx(saturated(family, spend, values), rel=1e-12)


def test_half_of_a_dollar_has_worked_by_its_half_life():
    weights = np.array([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [0.1, 0.2, 0.7], [1.0, 0.0, 0.0]])
    assert half_life(weights) == pytest.approx([1.0, 2.0, 2 + 0.2 / 0.7, 0.5])


def test_lags_look_back_and_find_nothing_before_the_first_week():
    spend = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    found = lagged(spend, 5)
    assert found.shape == (3, 2, 5)
    assert found[2, 1].tolist() == [30.0, 20.0, 10.0, 0.0, 0.0]
    assert found[0, 0].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
