"""The collapsed model is pymc-marketing's stock model: their densities differ by what was integrated out."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.mmm_reference import SHARED, stock_model
from benchmarks.simulated_media import simulated_media
from models.mmm.baseline import baseline
from models.mmm.quick_look import Density
from models.mmm.response import adstock_weights, lagged, saturated
from models.mmm.specification import Specification, fitted_data


def test_the_stock_model_with_its_linear_part_integrated_out_is_ours():
    """p(media | y) = p(media, b | y) / p(b | media, y), whatever the baseline's coefficients b are.

    The densities being equal up to a constant, every mean and interval of returns is. Fifty weeks of one
    year: later ones differ by how a leap day moves the year's course.
    """
    weeks, _ = simulated_media(channels=2, weeks=50)
    form = Specification(prior=replace(SHARED.prior, drift_sd=0.1, drift_functions=4))
    model = stock_model(weeks, form)
    density = model.compile_logp(mode="FAST_COMPILE")
    own = [model[name] for name in ("adstock_alpha", "saturation_lam", "saturation_beta")]
    added = model.compile_fn(model["channel_contribution"], inputs=own, mode="FAST_COMPILE", point_fn=False)
    fourier = list(model.coords["fourier_mode"])
    rng = np.random.default_rng(1)
    design = baseline(weeks, form.prior)
    columns, scale = design.columns, weeks.outcome_scale
    found = []
    for _ in range(6):
        media = {"retention": rng.beta(2, 4, (1, 2)), "rate": rng.gamma(6, 0.5, (1, 2))}
        effect, noise = rng.uniform(0.1, 0.6, (1, 2)), rng.uniform(0.03, 0.1, 1)
        ours = Density(weeks, form, fitted_data(weeks, form))
        point = ours.points(media, effect, noise)

        carried = lagged(weeks.spend / weeks.spend_scale, 8) * adstock_weights("geometric", media, 8)
        worked = saturated("logistic", carried.sum(-1), media) * effect
        assert added(media["retention"][0], media["rate"][0], effect[0]) == pytest.approx(worked)
        residual = weeks.outcome / scale - worked.sum(axis=1)
        covariance = np.linalg.inv(np.eye(columns.shape[1]) + columns.T @ columns / noise[0] ** 2)
        mean = covariance @ columns.T @ residual / noise[0] ** 2
        coefficients = rng.multivariate_normal(mean, covariance)
        given_media = stats.multivariate_normal.logpdf(coefficients, mean, covariance)

        by_name = dict(zip(design.names, coefficients, strict=True))
        waves = {"sin": "sine", "cos": "cosine"}
        theirs = density(
            {
                "intercept": 2.0 * by_name["intercept"],
                "adstock_alpha_logodds__": point[0, :2],
                "saturation_lam_log__": point[0, 2:4],
                "saturation_beta_log__": np.log(effect[0]),
                "gamma_control": np.array(
                    [2.0 * by_name["promo"], *(by_name[f"drift_{at}"] for at in range(1, 5))]
                ),
                "gamma_fourier": np.array(
                    [0.5 * by_name[f"{waves[name[:3]]}_{name[-1]}"] for name in fourier]
                ),
                "y_sigma_log__": np.log(noise[0]),
            }
        )
        found.append(theirs - given_media - ours(point)[0])
    assert np.array(found) - found[0] == pytest.approx(np.zeros(6), abs=1e-6)
