"""The second opinion: finds elasticities it was given, stays concave, says where another model differs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from models.mmm.baseline import Baseline
from models.mmm.bootstrap import (
    LEAST_SPREAD,
    BootstrapMix,
    bootstrap_refusals,
    disagreements,
    fit_bootstrap,
)
from models.mmm.curves import curves
from models.mmm.posterior import MediaPosterior
from models.mmm.weeks import MediaWeeks

ELASTICITY = np.array([0.35, 0.15, 0.0])
RETENTION = (0.6, 0.0, 0.3)


def spends(rng: np.random.Generator, weeks: int) -> np.ndarray:
    spend = np.exp(rng.normal(0.0, 0.6, size=(weeks, 3))) * np.array([40e3, 25e3, 15e3])
    spend[rng.random(weeks) < 0.2, 1] = 0.0
    return spend


def known_weeks(seed: int, weeks: int = 150, noise: float = 0.03) -> tuple[MediaWeeks, np.ndarray]:
    """Weeks of the regression's own family by formulas of the test's own, and their true contributions."""
    rng = np.random.default_rng(seed)
    spend = spends(rng, weeks)
    log_lift = np.empty_like(spend)
    for at, retention in enumerate(RETENTION):
        kernel = retention ** np.arange(13)
        stock = np.convolve(spend[:, at], kernel / kernel.sum())[:weeks]
        usual = spend[spend[:, at] > 0, at].mean()
        log_lift[:, at] = ELASTICITY[at] * np.log(1.0 + stock / usual)
    price = rng.standard_normal(weeks)
    season = 0.1 * np.sin(2 * np.pi * np.arange(weeks) / 52.18)
    expected = 2000 * np.exp(season - 0.05 * price + log_lift.sum(axis=1))
    outcome = expected * np.exp(noise * rng.standard_normal(weeks))
    data = MediaWeeks(date(2024, 1, 1), ("tv", "search", "idle"), spend, outcome, price[:, None], ("price",))
    return data, expected[:, None] * (1.0 - np.exp(-log_lift))


@pytest.fixture(scope="module")
def known() -> tuple[MediaWeeks, np.ndarray]:
    return known_weeks(1)


@pytest.fixture(scope="module")
def mix(known: tuple[MediaWeeks, np.ndarray]) -> BootstrapMix:
    return fit_bootstrap(known[0], np.random.default_rng(2), draws=200)


def posterior_returning(weeks: MediaWeeks, returns: np.ndarray, spread: float) -> MediaPosterior:
    """A made-up posterior whose returns have these medians and that relative spread."""
    draws, channels = 400, len(weeks.channels)
    rng = np.random.default_rng(3)
    media = {"retention": np.full((draws, channels), 0.3), "rate": np.full((draws, channels), 2.0)}
    effect = np.ones((draws, channels))
    none = Baseline((), np.zeros((weeks.number, 0)))
    alone, nothing = np.zeros(draws), np.zeros((draws, 0))
    unit = MediaPosterior(
        weeks, "geometric", "logistic", 8, none, media, effect, np.ones(draws), alone, nothing
    )
    scaled = returns / unit.return_on_spend()[0] * np.exp(spread * rng.standard_normal((draws, channels)))
    return replace(unit, effect=scaled)


def test_known_elasticities_and_returns_are_found(
    known: tuple[MediaWeeks, np.ndarray], mix: BootstrapMix
) -> None:
    weeks, contributions = known
    assert np.median(mix.elasticity, axis=0) == pytest.approx(ELASTICITY, abs=0.04)
    assert mix.retention.mean(axis=0)[:2] == pytest.approx(RETENTION[:2], abs=0.1)
    true = contributions.sum(axis=0) / weeks.spend.sum(axis=0)
    low, high = np.quantile(mix.return_on_spend(), (0.01, 0.99), axis=0)
    assert ((low <= true) & (true <= high)).all()
    assert np.median(mix.return_on_spend(), axis=0)[:2] == pytest.approx(true[:2], rel=0.15)
    assert mix.noise == pytest.approx(0.03, rel=0.3)


def test_over_many_worlds_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = []
    for seed in range(20, 32):
        weeks, contributions = known_weeks(seed, weeks=100, noise=0.08)
        found = fit_bootstrap(weeks, np.random.default_rng(seed), draws=80).return_on_spend()
        low, high = np.quantile(found, (0.05, 0.95), axis=0)
        true = contributions.sum(axis=0) / weeks.spend.sum(axis=0)
        held.append((low <= true) & (true <= high))
    assert 0.75 <= np.mean(held) <= 1.0


def test_a_contribution_is_what_the_outcome_would_lose_without_the_channel(mix: BootstrapMix) -> None:
    spend = mix.weeks.spend.copy()
    spend[:, 0] = 0.0
    without = replace(mix, weeks=replace(mix.weeks, spend=spend)).expected()
    assert mix.contributions()[..., 0] == pytest.approx(mix.expected() - without)
    assert (mix.return_on_spend() * mix.weeks.spend.sum(axis=0)) == pytest.approx(
        mix.contributions().sum(axis=1)
    )


def test_every_draw_is_concave_zero_at_zero_and_its_marginal_its_slope(mix: BootstrapMix) -> None:
    grid = np.linspace(0.0, 120e3, 200)
    answered, slope = mix.at_spend(0, grid)
    assert answered[:, 0] == pytest.approx(0.0)
    assert (np.diff(slope, axis=1) <= 1e-12).all()
    assert (slope >= 0).all()
    step = 1.0
    numeric = (mix.response_of(0, grid + step) - mix.response_of(0, grid)) / step
    assert slope == pytest.approx(numeric, rel=1e-3)
    usual = mix.weeks.spend.mean(axis=0)
    assert mix.marginal_return()[:, 0] == pytest.approx(mix.at_spend(0, usual[:1])[1][:, 0])


def test_its_curves_are_the_table_of_the_bayesian_model(mix: BootstrapMix) -> None:
    other = curves(posterior_returning(mix.weeks, np.full(3, 0.01), 0.1), value=200.0)
    table = mix.curves(value=200.0)
    assert table.schema == other.schema
    assert table.select("channel", "spend", "extrapolated").equals(
        other.select("channel", "spend", "extrapolated")
    )
    rising = table.filter(pl.col("channel") == "tv")["conversions_p50"].to_numpy()
    assert (np.diff(rising) > 0).all()


def test_where_weeks_say_nothing_the_prior_keeps_its_width() -> None:
    weeks, _ = known_weeks(4, weeks=60, noise=2.0)
    mix = fit_bootstrap(weeks, np.random.default_rng(5), draws=300)
    assert (mix.elasticity.std(axis=0) > 0.6 * LEAST_SPREAD).all()
    assert ((mix.elasticity >= 0) & (mix.elasticity <= 0.95)).all()


def test_a_posterior_far_from_it_is_flagged_and_one_beside_it_is_not(mix: BootstrapMix) -> None:
    true = np.median(mix.return_on_spend(), axis=0)
    wrong = posterior_returning(mix.weeks, true * np.array([3.0, 1.0, 1.0]) + 1e-6, 0.1)
    table = disagreements(wrong, mix)
    assert table["channel"].to_list() == ["tv", "search", "idle"]
    assert table["disagrees"].to_list() == [True, False, False]
    assert table["standardised_difference"][0] > 2.0
    assert not disagreements(posterior_returning(mix.weeks, true + 1e-6, 0.1), mix)["disagrees"].any()
    with pytest.raises(ValueError, match="channels"):
        disagreements(replace(wrong, weeks=replace(mix.weeks, channels=("a", "b", "c"))), mix)


def test_two_wide_estimates_may_differ_and_two_sharp_ones_may_not(mix: BootstrapMix) -> None:
    true = np.median(mix.return_on_spend(), axis=0) + 1e-6
    beside = np.array([1.3, 1.0, 1.0])
    sharp = posterior_returning(mix.weeks, true, 0.02), posterior_returning(mix.weeks, true * beside, 0.02)
    wide = posterior_returning(mix.weeks, true, 0.5), posterior_returning(mix.weeks, true * beside, 0.5)
    assert disagreements(*sharp)["disagrees"].to_list() == [True, False, False]
    assert not disagreements(*wide)["disagrees"].any()


@pytest.mark.parametrize("reason", ["too_few_weeks", "spend_is_constant", "channels_move_together", "no_log"])
def test_weeks_that_cannot_carry_it_are_refused_with_the_reason(reason: str) -> None:
    weeks, _ = known_weeks(6)
    spend, outcome = weeks.spend.copy(), weeks.outcome.copy()
    if reason == "too_few_weeks":
        weeks = weeks.before(30)
    elif reason == "spend_is_constant":
        spend[:, 2] = 5000.0
        weeks = replace(weeks, spend=spend)
    elif reason == "channels_move_together":
        spend[:, 2] = 0.5 * spend[:, 0]
        weeks = replace(weeks, spend=spend)
    else:
        outcome[7] = 0.0
        weeks = replace(weeks, outcome=outcome)
        reason = "weeks_without_outcome"
    found = bootstrap_refusals(weeks)
    assert [each.reason for each in found] == [reason]
    with pytest.raises(ValueError) as raised:
        fit_bootstrap(weeks, np.random.default_rng(1), draws=5)
    assert found[0].detail in str(raised.value)


def test_the_seed_decides_every_draw(known: tuple[MediaWeeks, np.ndarray]) -> None:
    first, again, other = (
        fit_bootstrap(known[0], np.random.default_rng(seed), draws=10) for seed in (1, 1, 2)
    )
    assert (first.elasticity == again.elasticity).all()
    assert (first.without_media == again.without_media).all()
    assert (first.elasticity != other.elasticity).any()
