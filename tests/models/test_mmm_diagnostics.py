"""A fit passes where its chains agree, and every way to fail is told with its threshold and remedy."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulated_media import simulated_media
from models.mmm.diagnostics import diagnose
from models.mmm.specification import Specification, effect_scale
from tests.models.media_examples import by_hand

FORM = Specification()


def diagnosed(posterior):
    return diagnose(posterior, FORM, np.random.default_rng(1))


@pytest.fixture(scope="module")
def weeks():
    return simulated_media()[0]


@pytest.fixture(scope="module")
def posterior(weeks):
    """Draws around parameters that are nearly the truth: the mean residual is the noise."""
    return by_hand(weeks, draws=2000, spread=0.02)


@pytest.fixture(scope="module")
def healthy(posterior):
    return diagnosed(posterior)


def test_independent_draws_pass(healthy):
    assert healthy.passed
    assert healthy.problems == ()
    assert healthy.max_rhat < 1.01
    assert 1500 < healthy.min_ess_bulk < 2600
    assert healthy.min_ess_tail > 1000
    assert healthy.bfmi == pytest.approx(2.0, abs=0.2)  # independent energies differ by twice their variance


def test_one_row_tells_everything(healthy):
    (row,) = healthy.frame().rows(named=True)
    assert row["passed"] is True
    assert row["divergences"] == 0
    assert row["problems"] == ""
    assert row["max_rhat"] == healthy.max_rhat


def of_channel(posterior, name, channel, change):
    values = posterior.media[name].copy()
    values[:, channel] = change(values[:, channel])
    return replace(posterior, media=posterior.media | {name: values})


def test_a_chain_elsewhere_is_found_wherever_it_is(posterior):
    shift = np.repeat([0.0, 0.0, 0.0, 0.05], 500)
    found = diagnosed(of_channel(posterior, "rate", 2, lambda values: values + shift))
    assert not found.passed
    assert any(text.startswith("R-hat is 1.0") and "1.01" in text for text in found.problems)


def test_draws_that_repeat_each_other_are_too_few(posterior):
    found = diagnosed(of_channel(posterior, "rate", 0, lambda values: np.repeat(values[::20], 20)))
    assert any("effective draws (bulk); 400 are needed" in text for text in found.problems)


def test_chains_that_never_moved_do_not_pass(posterior):
    found = diagnosed(of_channel(posterior, "rate", 0, np.ones_like))
    assert not found.passed


def test_divergences_and_low_energy_fractions_fail(posterior):
    walk = np.random.default_rng(2).normal(size=(4, 500)).cumsum(axis=1)
    found = diagnosed(replace(posterior, divergences=3, energy=walk))
    assert any("3 divergent transitions" in text and "target_accept" in text for text in found.problems)
    assert any(text.startswith("BFMI is 0.0") for text in found.problems)


def test_a_quick_look_and_a_single_chain_never_pass(posterior):
    found = diagnosed(replace(posterior, approximate=True))
    assert found.problems == ("The posterior is a quick look, never to be allocated by: sample it.",)
    found = diagnosed(replace(posterior, chains=1, energy=None))
    assert found.max_rhat is None
    assert found.problems == ("One chain cannot be checked against another: sample at least 2.",)
    assert found.frame()["max_rhat"].to_list() == [None]


def test_predictive_checks_see_noise_that_is_not_there(weeks):
    """Outcomes simulated from the draws' own mean: every check is ordinary; with doubled noise none is."""
    truth = by_hand(weeks, draws=2000, spread=0.001)
    rng = np.random.default_rng(5)
    mean, scale = truth.expected().mean(axis=0), weeks.outcome_scale
    outcome = mean + truth.noise.mean() * scale * rng.normal(size=weeks.number)
    ordinary = diagnosed(replace(truth, weeks=replace(weeks, outcome=outcome)))
    assert 0.02 < ordinary.p_sd < 0.98
    assert 0.02 < ordinary.p_autocorrelation < 0.98
    assert ordinary.weeks_in_interval == pytest.approx(0.8, abs=0.12)
    assert ordinary.r_squared > 0.8
    wide = diagnosed(replace(truth, weeks=replace(weeks, outcome=outcome), noise=6 * truth.noise))
    assert wide.weeks_in_interval == 1.0
    assert wide.p_sd > 0.995
    assert wide.passed
    assert any("spread of the weeks (probability 1.000)" in text for text in wide.warnings)
    assert wide.elpd < ordinary.elpd - 3 * ordinary.elpd_error


def test_residuals_that_remember_last_week_are_warned_of(weeks):
    truth = by_hand(weeks, draws=2000, spread=0.001)
    step = truth.noise.mean() * weeks.outcome_scale
    tides = step * np.sqrt(2) * np.sin(np.arange(weeks.number) / 2)
    outcome = truth.expected().mean(axis=0) + tides
    found = diagnosed(replace(truth, weeks=replace(weeks, outcome=outcome)))
    assert found.p_autocorrelation < 0.005
    assert any("residuals with the week before" in text for text in found.warnings)


def test_what_lasts_from_week_to_week_is_warned_of(posterior):
    lasting = diagnosed(replace(posterior, memory=np.full(posterior.draws, 0.3)))
    assert lasting.memory == pytest.approx(0.3)
    assert any("lasts into the next (correlation 0.30)" in text for text in lasting.warnings)
    assert not any("lasts into the next" in text for text in diagnosed(posterior).warnings)


def test_one_week_out_of_all_proportion_has_a_high_pareto_k(posterior):
    outcome = posterior.weeks.outcome.copy()
    outcome[50] += 1500.0
    found = diagnosed(by_hand(replace(posterior.weeks, outcome=outcome), draws=2000, noise=0.05))
    assert found.worst_pareto_k > 0.7
    assert any("make it a control" in text for text in found.warnings)


def test_contraction_tells_data_from_priors(weeks, posterior):
    """Draws of the prior itself have learnt nothing; the narrow ones nearly everything."""
    rng = np.random.default_rng(8)
    shape = (2000, 3)
    effect = posterior.effect.copy()
    effect[:, 0] = effect_scale(weeks, Specification())[0] * np.abs(rng.standard_normal(2000))
    media = {"retention": rng.beta(1, 3, shape), "rate": rng.gamma(3, 1, shape)}
    for name in media:
        media[name][:, 1:] = posterior.media[name][:, 1:]
    found = diagnosed(replace(posterior, media=media, effect=effect))
    first, second, _ = found.channels
    assert first.mostly_prior
    assert first.return_on_spend == pytest.approx(0, abs=0.15)
    assert [*first.parameters.values()] == pytest.approx([0, 0, 0], abs=0.15)
    assert second.return_on_spend > 0.9
    assert min(second.parameters.values()) > 0.8
    assert any("return of c0 (" in text for text in found.warnings)
    rows = found.channel_frame()
    assert rows.height == 3 * 4
    assert rows.filter(channel="c0")["mostly_prior"].all()
    assert not rows.filter(channel="c1")["mostly_prior"].any()
