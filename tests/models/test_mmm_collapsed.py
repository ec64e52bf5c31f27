"""The collapsed model is the model, samplers draw from it, experiments and beliefs count as they should.

Compiling takes most of the time, so one compiled model serves all.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from benchmarks.simulated_media import simulated_media
from models.mmm import collapsed
from models.mmm.baseline import baseline
from models.mmm.collapsed import CompiledMix, LiftTest, ReturnPrior, Sampling, Specification, build, fit
from models.mmm.diagnostics import diagnose
from models.mmm.quick_look import Density, quick_look
from models.mmm.response import adstock_weights, lagged, saturated
from models.mmm.specification import fitted_data

FORM = Specification()
SAMPLING = Sampling(seed=1, draws=600, tune=600)


@pytest.fixture(scope="module")
def world():
    return simulated_media()


@pytest.fixture(scope="module")
def weeks(world):
    return world[0]


@pytest.fixture(scope="module")
def compiled(weeks):
    return CompiledMix(weeks, FORM)


@pytest.fixture(scope="module")
def posterior(weeks, compiled):
    return fit(weeks, FORM, SAMPLING, compiled=compiled)


@pytest.fixture(scope="module")
def evidence(weeks):
    """A raise that cost outcome, a pause, and a belief."""
    usual = weeks.spend.mean(axis=0)
    tests = [LiftTest("c0", usual[0], 2000.0, -3.0, 20.0), LiftTest("c2", usual[2], -usual[2], -60.0, 10.0)]
    return tests, [ReturnPrior("c1", 0.004, 0.002)]


# --- the density ------------------------------------------------------------------------------------------


def whole_density(weeks, form, media, effect, noise, tests, returns):
    """The same by the book: a multivariate normal of all weeks and scipy's priors, one draw."""
    stock = (
        lagged(weeks.spend / weeks.spend_scale, form.lags) * adstock_weights(form.adstock, media, form.lags)
    ).sum(-1)
    worked = saturated(form.saturation, stock, media)
    columns = baseline(weeks, form.prior).columns
    apart = np.abs(np.subtract.outer(np.arange(weeks.number), np.arange(weeks.number)))
    found = logsumexp(
        [
            stats.multivariate_normal.logpdf(
                weeks.outcome / weeks.outcome_scale,
                worked @ effect,
                noise**2 / (1 - memory**2) * memory**apart + columns @ columns.T,
            )
            for memory in form.prior.memories
        ]
    )
    found += stats.halfnorm.logpdf(noise, scale=form.noise_sd)
    found += stats.halfnorm.logpdf(effect, scale=collapsed.effect_scale(weeks, form)).sum()
    for each in form.media_parameters():
        law = (
            stats.beta(each.first, each.second)
            if each.prior == "beta"
            else stats.gamma(each.first, scale=1 / each.second)
        )
        found += law.logpdf(media[each.name]).sum()
    for test in tests:
        at = weeks.channels.index(test.channel)
        own = {name: value[at] for name, value in media.items()}
        before, after = (
            saturated(form.saturation, spend / weeks.spend_scale[at], own)
            for spend in (test.spend, test.spend + test.change)
        )
        lift = effect[at] * (after - before) * weeks.outcome_scale
        found += stats.norm.logpdf(test.lift, lift, test.error)
    for belief in returns:
        at = weeks.channels.index(belief.channel)
        returned = effect[at] * worked[:, at].sum() * weeks.outcome_scale / weeks.spend[:, at].sum()
        found += stats.norm.logpdf(belief.mean, returned, belief.sd)
    return found


def some_parameters(form, weeks, number=6):
    rng = np.random.default_rng(4)
    shape = (number, len(weeks.channels))
    media = {
        each.name: rng.beta(each.first, each.second, shape).clip(0.05, 0.95)
        if each.prior == "beta"
        else rng.gamma(each.first, 1 / each.second, shape).clip(0.1)
        for each in form.media_parameters()
    }
    return media, 0.3 * rng.random(shape) + 0.05, 0.1 * rng.random(number) + 0.03


@pytest.mark.parametrize(
    "form",
    [
        FORM,
        Specification("delayed", "hill", lags=5),
        Specification("weibull", "michaelis_menten", effect_share=2),
    ],
    ids=lambda form: form.adstock,
)
def test_the_density_is_the_book_s_in_numpy_and_in_pytensor(weeks, evidence, form):
    media, effect, noise = some_parameters(form, weeks)
    density = Density(weeks, form, fitted_data(weeks, form, *evidence))
    points = density.points(media, effect, noise)
    back, effect_back, noise_back = density.parameters(points)
    assert effect_back == pytest.approx(effect)
    assert noise_back == pytest.approx(noise)
    assert all(back[name] == pytest.approx(media[name]) for name in media)

    by_the_book = [
        whole_density(
            weeks, form, {name: value[at] for name, value in media.items()}, effect[at], noise[at], *evidence
        )
        for at in range(len(noise))
    ]
    # The coordinates' Jacobians: of log odds, logarithms, and of effects from responses at usual spend.
    jacobian = np.log(noise) + np.log(effect).sum(axis=1)
    for each in form.media_parameters():
        value = media[each.name]
        slope = value * (1 - value) if each.prior == "beta" else value
        jacobian = jacobian + np.log(slope).sum(axis=1)
    ours = density(points)
    assert ours - ours[0] == pytest.approx(
        by_the_book + jacobian - (by_the_book[0] + jacobian[0]), rel=1e-9, abs=1e-7
    )

    model = build(weeks, form, *evidence)
    logp = model.compile_logp(mode="FAST_COMPILE")
    cuts = np.split(points[:, :-1], density.dimensions // len(weeks.channels), axis=1)
    theirs = np.array(
        [
            logp(
                dict(
                    zip(
                        [value.name for value in model.value_vars],
                        [*(cut[at] for cut in cuts), points[at, -1]],
                        strict=True,
                    )
                )
            )
            for at in range(len(points))
        ]
    )
    assert theirs - theirs[0] == pytest.approx(ours - ours[0], rel=1e-9, abs=1e-7)


# --- draws ------------------------------------------------------------------------------------------------


def test_true_returns_lie_in_their_intervals_and_the_fit_passes(world, posterior):
    _, returns = world
    low, high = np.quantile(posterior.return_on_spend(), (0.025, 0.975), axis=0)
    assert ((low < returns) & (returns < high)).all()
    assert (high - low < 2 * returns).all()
    found = diagnose(posterior, FORM, np.random.default_rng(1))
    assert found.passed, found.problems
    assert found.weeks_in_interval == pytest.approx(0.8, abs=0.15)
    assert found.r_squared > 0.5


def test_a_seed_decides_every_draw(weeks, compiled, posterior):
    again = fit(weeks, FORM, SAMPLING, compiled=compiled)
    assert again.table().equals(posterior.table())
    other = fit(weeks, FORM, replace(SAMPLING, seed=2), compiled=compiled)
    assert not other.table().equals(posterior.table())


def test_progress_counts_every_chain_s_draws_and_changes_none(weeks, compiled, posterior):
    told = []
    watched = replace(SAMPLING, report_seconds=0.05)
    again = fit(weeks, FORM, watched, compiled=compiled, on_progress=told.append)
    assert again.table().equals(posterior.table())
    done = [each.done for each in told]
    assert done == sorted(done)
    assert 0 < done[len(done) // 2] < 4800
    assert told[-1] == collapsed.Progress(4, 4800, 4800, posterior.divergences)


def test_progress_counts_divergences_of_what_is_kept(weeks, compiled):
    told = []
    coarse = Sampling(seed=1, draws=200, tune=200, target_accept=0.05, report_seconds=0.02)
    found = fit(weeks, FORM, coarse, compiled=compiled, on_progress=told.append)
    counts = [each.divergences for each in told]
    assert counts == sorted(counts)
    assert counts[-1] == found.divergences > 0
    assert any(0 < count < found.divergences for count in counts)
    assert all(each.divergences == 0 for each in told if each.done <= 200)


def test_an_error_of_who_is_told_ends_the_fit(weeks, compiled):
    def broken(progress):
        raise OSError("the log is gone")

    with pytest.raises(OSError, match="the log is gone"):
        fit(weeks, FORM, replace(SAMPLING, report_seconds=0.01), compiled=compiled, on_progress=broken)


def test_what_is_compiled_serves_other_weeks(weeks, compiled):
    later = fit(weeks.before(80), FORM, SAMPLING, compiled=compiled)
    assert later.contributions().shape == (2400, 80, 3)
    quick = quick_look(weeks.before(80), FORM, np.random.default_rng(1))
    spread = later.return_on_spend().std(axis=0)
    apart = later.return_on_spend().mean(axis=0) - quick.return_on_spend().mean(axis=0)
    assert np.abs(apart / spread) == pytest.approx(np.zeros(3), abs=0.4)


def reweighted(posterior, log_weight):
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean = weight @ posterior.return_on_spend()
    return mean, np.sqrt(weight @ (posterior.return_on_spend() - mean) ** 2)


def test_a_lift_test_counts_as_one_more_observation(weeks, compiled, posterior):
    """The posterior with the test is the one without, weighted by the test's likelihood."""
    usual = weeks.spend[:, 1].mean()
    lifts = posterior.response_of(1, np.array([[1.5 * usual]])) - posterior.response_of(
        1, np.array([[usual]])
    )
    measured = float(np.quantile(lifts, 0.7))
    test = LiftTest("c1", usual, 0.5 * usual, measured, float(lifts.std()))
    found = fit(weeks, FORM, SAMPLING, [test], compiled).return_on_spend()
    mean, spread = reweighted(posterior, stats.norm.logpdf(measured, lifts[:, 0], test.error))
    assert (found.mean(axis=0) - mean) / spread == pytest.approx(np.zeros(3), abs=0.2)
    assert found.std(axis=0) / spread == pytest.approx(np.ones(3), abs=0.15)
    assert found[:, 1].std() < 0.95 * posterior.return_on_spend()[:, 1].std()


def test_a_belief_about_the_return_counts_as_its_density(weeks, compiled, posterior):
    returned = posterior.return_on_spend()[:, 2]
    belief = ReturnPrior("c2", float(np.quantile(returned, 0.2)), float(returned.std()))
    found = fit(weeks, FORM, SAMPLING, compiled=compiled, returns=[belief]).return_on_spend()
    mean, spread = reweighted(posterior, stats.norm.logpdf(returned, belief.mean, belief.sd))
    assert (found.mean(axis=0) - mean) / spread == pytest.approx(np.zeros(3), abs=0.2)
    assert found[:, 2].std() / spread[2] == pytest.approx(1, abs=0.15)
    assert found[:, 2].mean() < returned.mean() - 0.2 * returned.std()


def test_a_lift_below_nothing_is_evidence_of_little(weeks, compiled, posterior):
    test = LiftTest("c0", 0.0, weeks.spend[:, 0].mean(), -20.0, 5.0)
    found = fit(weeks, FORM, SAMPLING, [test], compiled).return_on_spend()[:, 0]
    assert 0 < found.mean() < 0.7 * posterior.return_on_spend()[:, 0].mean()


def test_pymc_s_own_sampler_draws_from_the_same_posterior(weeks, posterior):
    """NumPyro compiles for as long again: it stands in the study `mmm_reference`."""
    told = []
    sampling = Sampling(seed=3, sampler="pymc", chains=2, draws=500, tune=500, cores=1)
    found = fit(weeks, FORM, sampling, on_progress=told.append)
    assert [each.done for each in told] == list(range(0, 2001, 50))
    assert {each.total for each in told} == {2000}
    assert told[-1].divergences == found.divergences
    spread = posterior.return_on_spend().std(axis=0)
    apart = found.return_on_spend().mean(axis=0) - posterior.return_on_spend().mean(axis=0)
    assert apart / spread == pytest.approx(np.zeros(3), abs=0.25)
    assert found.return_on_spend().std(axis=0) / spread == pytest.approx(np.ones(3), abs=0.2)
    assert (found.chains, found.draws, found.energy.shape) == (2, 1000, (2, 500))


# --- the quick look ---------------------------------------------------------------------------------------


def test_a_quick_look_comes_near_and_is_never_passed(weeks, posterior):
    quick = quick_look(weeks, FORM, np.random.default_rng(1))
    spread = posterior.return_on_spend().std(axis=0)
    apart = quick.return_on_spend().mean(axis=0) - posterior.return_on_spend().mean(axis=0)
    assert apart / spread == pytest.approx(np.zeros(3), abs=0.4)
    assert quick.return_on_spend().std(axis=0) / spread == pytest.approx(np.ones(3), abs=0.4)
    assert quick.approximate
    assert not diagnose(quick, FORM, np.random.default_rng(1)).passed
    assert quick_look(weeks, FORM, np.random.default_rng(1)).table().equals(quick.table())


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tests", "returns", "message"),
    [
        ([LiftTest("tv", 1.0, 1.0, 1.0, 1.0)], [], r"lift tests of unknown channels \['tv'\]"),
        ([LiftTest("c0", 1.0, 1.0, 1.0, 0.0)], [], "error above 0"),
        ([LiftTest("c0", 1.0, -2.0, 1.0, 1.0)], [], "spend of at least 0 on both sides"),
        ([], [ReturnPrior("tv", 1.0, 1.0)], r"return priors of unknown channels \['tv'\]"),
        ([], [ReturnPrior("c0", 1.0, 0.0)], "standard deviation above 0"),
        ([], [ReturnPrior("c1", 1.0, 1.0)], "the channel spent nothing in these weeks"),
    ],
)
def test_impossible_evidence_is_refused(weeks, tests, returns, message):
    spend = weeks.spend.copy()
    spend[:, 1] = 0.0
    with pytest.raises(ValueError, match=message):
        fit(replace(weeks, spend=spend), FORM, SAMPLING, tests, returns=returns)


def test_what_is_compiled_for_something_else_is_refused(weeks, compiled):
    with pytest.raises(ValueError, match="compiled for another specification"):
        fit(weeks, replace(FORM, lags=4), SAMPLING, compiled=compiled)
    with pytest.raises(ValueError, match="compiled for 3 channels, the weeks have 2"):
        fit(simulated_media(channels=2)[0], FORM, SAMPLING, compiled=compiled)
    with pytest.raises(ValueError, match="serves nutpie alone"):
        fit(weeks, FORM, replace(SAMPLING, sampler="pymc"), compiled=compiled)


def test_numpyro_names_the_package_it_lacks(weeks, monkeypatch):
    monkeypatch.setattr(collapsed, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install numpyro"):
        fit(weeks, FORM, replace(SAMPLING, sampler="numpyro"))
