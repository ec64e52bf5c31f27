"""Regression of creatives' log-odds: against the textbook's dense matrices, and creatives of many arms."""

from itertools import product

import numpy as np
import pytest

from models.ranking.evidence import Arms
from models.ranking.regression import (
    AMPLITUDES,
    EXTRA_VARIANCES,
    OWN_VARIANCES,
    Scale,
    fit_regression,
    likeliest_scale,
)

TRAITS = 12


class Account:
    """A few creatives ran nearly everywhere, most hardly; traits move rates, and so do unknowns."""

    def __init__(self, seed: int, own_variance: float, *, creatives: int = 60, campaigns: int = 25) -> None:
        rng = np.random.default_rng(seed)
        self.traits = rng.normal(size=(creatives, TRAITS)) / np.sqrt(TRAITS)
        self.truth = self.traits @ rng.normal(0.0, 0.5, TRAITS)
        brought = self.truth + rng.normal(0.0, np.sqrt(own_variance), creatives)
        ran = rng.random((creatives, campaigns)) < rng.beta(0.4, 2.0, (creatives, 1))
        self.creative, campaign = np.nonzero(ran)
        level = rng.normal(-4.0, 0.5, campaigns)
        log_odds = level[campaign] + brought[self.creative] + rng.normal(0.0, 0.03, len(campaign))
        shown = rng.integers(2_000, 200_000, len(campaign)).astype(float)
        clicks = rng.binomial(shown.astype(int), 1.0 / (1.0 + np.exp(-log_odds)))
        self.arms = Arms(campaign, shown, clicks.astype(float))
        self.features = self.traits[self.creative]


def dense(account: Account, scale: Scale) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients, their covariance and the restricted log-likelihood with every matrix written out."""
    arms, features = account.arms, account.features
    noise = np.diag(arms.log_odds_variance + scale.extra_variance)
    noise += scale.own_variance * (account.creative[:, None] == account.creative)
    levels = (arms.group[:, None] == np.unique(arms.group)).astype(float)
    whole = noise + scale.amplitude * features @ features.T
    inverse = np.linalg.inv(whole)
    of_levels = levels.T @ inverse @ levels
    left = inverse - inverse @ levels @ np.linalg.solve(of_levels, levels.T @ inverse)
    likelihood = -0.5 * (
        np.linalg.slogdet(whole)[1] + np.linalg.slogdet(of_levels)[1] + arms.log_odds @ left @ arms.log_odds
    )
    coefficients = scale.amplitude * features.T @ left @ arms.log_odds
    covariance = scale.amplitude * np.eye(TRAITS) - scale.amplitude**2 * features.T @ left @ features
    return coefficients, covariance, float(likelihood)


@pytest.mark.parametrize("own_variance", OWN_VARIANCES)
def test_the_posterior_is_the_textbook_s(own_variance: float) -> None:
    account = Account(1, own_variance)
    scale = Scale(0.5, 0.01, own_variance)
    fitted = fit_regression(account.features, account.arms, account.creative, scale)
    coefficients, covariance, _ = dense(account, scale)
    np.testing.assert_allclose(fitted.coefficients, coefficients, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(fitted.variance(np.eye(TRAITS)), np.diag(covariance), rtol=1e-7)


def test_the_scale_is_the_likeliest_of_all() -> None:
    account = Account(2, 0.03, creatives=20, campaigns=8)
    scales = [Scale(*each) for each in product(AMPLITUDES, EXTRA_VARIANCES, OWN_VARIANCES)]
    likeliest = max(scales, key=lambda scale: dense(account, scale)[2])
    assert likeliest_scale(account.features, account.arms, account.creative) == likeliest


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_a_creative_brings_everywhere_is_told_from_an_arm_s_luck(seed: int) -> None:
    found = [
        likeliest_scale(account.features, account.arms, account.creative).own_variance
        for account in (Account(seed, 0.0), Account(seed, 0.1))
    ]
    assert found[0] <= 0.01
    assert found[1] == 0.1


def test_arms_of_one_creative_are_not_as_many_creatives() -> None:
    """Traits are learnt better, and what is left unknown of them is told, from eight accounts."""
    kept, as_if_each_its_own, inside = [], [], []
    for seed in range(8):
        account = Account(seed, 0.1)
        each = np.arange(len(account.arms))
        fits = [
            fit_regression(
                account.features,
                account.arms,
                creative,
                likeliest_scale(account.features, account.arms, creative),
            )
            for creative in (account.creative, each)
        ]
        told, naive = (np.corrcoef(fit.mean(account.traits), account.truth)[0, 1] for fit in fits)
        kept.append(told)
        as_if_each_its_own.append(naive)
        among = account.traits - account.traits.mean(axis=0)
        error = fits[0].mean(among) - (account.truth - account.truth.mean())
        inside.append(np.mean(np.abs(error) < 1.645 * np.sqrt(fits[0].variance(among))))
    assert np.mean(kept) > np.mean(as_if_each_its_own)
    assert np.mean(inside) > 0.85


def test_creatives_of_one_arm_each_share_nothing() -> None:
    """Own parts are then one more part of the arm's variance."""
    rng = np.random.default_rng(4)
    arms = Arms(np.repeat(np.arange(10), 3), np.full(30, 500.0), rng.integers(1, 50, 30).astype(float))
    features = rng.normal(size=(30, 4))
    apart, as_extra = (
        fit_regression(features, arms, np.arange(30), Scale(0.5, extra, own))
        for extra, own in ((0.01, 0.03), (0.04, 0.0))
    )
    np.testing.assert_allclose(apart.coefficients, as_extra.coefficients, rtol=1e-9)


def test_creatives_of_one_arm_each_have_no_part_of_their_own() -> None:
    account = Account(1, 0.1)
    scale = likeliest_scale(account.features, account.arms, np.arange(len(account.arms)))
    assert scale.own_variance == 0.0
