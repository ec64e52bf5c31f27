"""Draws say what they should of weeks, and come back from storage as they were."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from benchmarks.simulated_media import simulated_media
from models.mmm.posterior import linear_draws, memory_draws
from models.mmm.specification import Specification
from models.mmm.storage import VERSION, manifest, restore
from tests.models.media_examples import by_hand


@pytest.fixture(scope="module")
def weeks():
    return simulated_media()[0]


@pytest.fixture(scope="module")
def posterior(weeks):
    return by_hand(weeks)


def test_contributions_are_the_response_to_what_carried_over(weeks, posterior):
    draw, channel = 7, 1
    lags = posterior.media["retention"][draw, channel] ** np.arange(8)
    spend = weeks.spend[:, channel] / weeks.spend[:, channel].max()
    stock = np.convolve(spend, lags / lags.sum())[: weeks.number]
    share = np.tanh(posterior.media["rate"][draw, channel] * stock / 2)
    expected = posterior.effect[draw, channel] * share * weeks.outcome.max()
    assert posterior.contributions()[draw, :, channel] == pytest.approx(expected)
    returned = expected.sum() / weeks.spend[:, channel].sum()
    assert posterior.return_on_spend()[draw, channel] == pytest.approx(returned)


def test_constant_spend_contributes_its_response(weeks):
    constant = replace(weeks, spend=np.full_like(weeks.spend, 2000.0))
    steady = by_hand(constant, draws=8)
    assert steady.contributions()[:, 20:] == pytest.approx(
        np.broadcast_to(steady.response(np.full(3, 2000.0))[:, None], (8, weeks.number - 20, 3))
    )
    assert steady.response_of(2, np.array([[2000.0]]))[:, 0] == pytest.approx(
        steady.response(np.full(3, 2000.0))[:, 2]
    )


def test_weeks_are_baseline_and_media_and_noise(weeks, posterior):
    whole = posterior.baseline() + posterior.contributions().sum(axis=-1)
    assert posterior.expected() == pytest.approx(whole)
    off = posterior.predicted(np.random.default_rng(1)) - posterior.expected()
    assert off.std() == pytest.approx(posterior.noise.mean() * weeks.outcome.max(), rel=0.02)


def test_a_channel_that_never_spent_returns_nothing(weeks):
    spend = weeks.spend.copy()
    spend[:, 0] = 0.0
    assert (by_hand(replace(weeks, spend=spend), draws=8).return_on_spend()[:, 0] == 0).all()


def remembering(noise, memory, number):
    """Covariance of errors of which each keeps a share of the one before."""
    apart = np.abs(np.subtract.outer(np.arange(number), np.arange(number)))
    return noise**2 / (1 - memory**2) * memory**apart


@pytest.mark.parametrize(("number", "memory"), [(110, 0.0), (110, 0.6), (15, 0.0)])
def test_coefficients_drawn_back_are_the_gaussian_posterior_given_media(number, memory):
    """Also with fewer weeks than columns, where what the weeks cannot see keeps its prior."""
    weeks = simulated_media(weeks=number)[0]
    one = by_hand(weeks, draws=1, chains=1)
    repeated = replace(
        one,
        media={name: np.repeat(value, 40_000, axis=0) for name, value in one.media.items()},
        effect=np.repeat(one.effect, 40_000, axis=0),
        noise=np.repeat(one.noise, 40_000),
        memory=np.full(40_000, memory),
    )
    drawn = linear_draws(repeated, np.random.default_rng(3)).coefficients
    columns = one.columns.columns
    residual = (weeks.outcome - one.contributions()[0].sum(axis=-1)) / weeks.outcome_scale
    precise = np.linalg.inv(remembering(one.noise[0], memory, number))
    covariance = np.linalg.inv(np.eye(columns.shape[1]) + columns.T @ precise @ columns)
    mean = covariance @ columns.T @ precise @ residual
    deviation = np.sqrt(np.diag(covariance))
    assert (drawn.mean(axis=0) - mean) / deviation == pytest.approx(np.zeros(mean.size), abs=0.025)
    whitened = np.cov(drawn.T) / np.outer(deviation, deviation)
    assert whitened == pytest.approx(covariance / np.outer(deviation, deviation), abs=0.03)


@pytest.mark.parametrize(("memory", "expected"), [(0.0, 0.1), (0.6, 0.55)])
def test_memory_is_drawn_where_the_weeks_have_it(weeks, memory, expected):
    posterior = by_hand(weeks, draws=1000, chains=1, spread=0.001)
    noise = posterior.noise.mean() * weeks.outcome_scale
    means = []
    for seed in (1, 2, 3):
        left = np.random.default_rng(seed).multivariate_normal(
            np.zeros(weeks.number), remembering(noise, memory, weeks.number)
        )
        seen = replace(weeks, outcome=np.maximum(posterior.expected().mean(axis=0) + left, 0))
        lived = replace(posterior, weeks=seen)
        drawn = memory_draws(lived, (0.0, 0.2, 0.4, 0.6, 0.8), np.random.default_rng(seed)).memory
        assert set(drawn) <= {0.0, 0.2, 0.4, 0.6, 0.8}
        means.append(drawn.mean())
    assert np.mean(means) == pytest.approx(expected, abs=0.1)


def test_weeks_that_might_have_come_remember_as_the_draws_do(weeks):
    posterior = by_hand(weeks, draws=1500, chains=1, spread=0.001)
    lived = replace(posterior, memory=np.full(1500, 0.6))
    left = lived.predicted(np.random.default_rng(1)) - lived.expected()
    assert left.std() == pytest.approx(lived.spread().mean(), rel=0.02)
    assert (left[:, 1:] * left[:, :-1]).mean() / left.var() == pytest.approx(0.6, abs=0.02)
    one = replace(lived, weeks=replace(weeks, outcome=np.maximum(lived.expected()[0] + left[0], 0)))
    news = one.news()[0]
    assert news.std() == pytest.approx(lived.noise.mean() * weeks.outcome_scale, rel=0.2)
    assert abs(np.corrcoef(news[1:], news[:-1])[0, 1]) < 0.25


def through_files(posterior, folder):
    """As the asset keeps them: one Parquet file and one JSON text."""
    posterior.table().write_parquet(folder / "draws.parquet")
    text = json.dumps(manifest(posterior, Specification()))
    return pl.read_parquet(folder / "draws.parquet"), json.loads(text)


def test_a_stored_posterior_comes_back_to_the_bit(posterior, tmp_path):
    table, described = through_files(posterior, tmp_path)
    found, specification = restore(table.sample(fraction=1.0, shuffle=True, seed=1), described)
    assert specification == Specification()
    assert found.table().equals(posterior.table())
    assert np.array_equal(found.energy, posterior.energy)
    assert np.array_equal(found.columns.columns, posterior.columns.columns)
    assert np.array_equal(found.return_on_spend(), posterior.return_on_spend())
    assert np.array_equal(found.expected(), posterior.expected())
    assert (found.chains, found.divergences, found.approximate) == (4, 0, False)
    assert found.weeks.days == posterior.weeks.days


def test_a_quick_look_stays_one_in_storage(weeks, tmp_path):
    quick = by_hand(weeks, chains=1, approximate=True, importance_tail=0.4, energy=None)
    found, _ = restore(*through_files(quick, tmp_path))
    assert (found.approximate, found.importance_tail, found.energy) == (True, 0.4, None)


def test_an_unknown_version_is_refused_with_what_to_do(posterior, tmp_path):
    table, described = through_files(posterior, tmp_path)
    with pytest.raises(ValueError, match=f"version {VERSION + 1}, this code reads {VERSION}: fit again"):
        restore(table, described | {"version": VERSION + 1})


def test_draws_of_another_fit_are_refused(weeks, posterior, tmp_path):
    table, described = through_files(posterior, tmp_path)
    with pytest.raises(ValueError, match="manifest describes"):
        restore(by_hand(weeks, seed=9).table(), described)
    with pytest.raises(ValueError, match="1199 values of noise, their manifest tells of 1200"):
        restore(table.filter((pl.col("parameter") != "noise") | (pl.col("draw") > 0)), described)
