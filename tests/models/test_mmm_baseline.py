"""The baseline's columns span what they promise, and its drift is the Gaussian process it approximates."""

from datetime import date

import numpy as np
import pytest

from models.mmm.baseline import WEEKS_PER_YEAR, BaselinePrior, baseline, forgotten, remembering_axes
from models.mmm.weeks import MediaWeeks


def weeks(number=150, first=date(2023, 1, 2)):
    controls = np.random.default_rng(1).normal(size=(number, 2))
    outcome = np.ones(number)
    return MediaWeeks(first, ("c",), np.ones((number, 1)), outcome, controls, ("promo", "price"))


def test_every_column_is_named_and_scaled_by_its_prior():
    found = baseline(weeks(), BaselinePrior(drift_functions=3))
    assert found.names[:3] == ("intercept", "promo", "price")
    assert found.names[3:] == ("sine_1", "cosine_1", "sine_2", "cosine_2", "drift_1", "drift_2", "drift_3")
    assert found.columns.shape == (150, len(found.names))
    assert (found.columns[:, 0] == 2.0).all()
    assert found.columns[:, 1:3] == pytest.approx(2.0 * weeks().controls)
    pair = found.columns[:, 3] ** 2 + found.columns[:, 4] ** 2
    assert pair == pytest.approx(np.full(150, 0.25))


def test_the_course_of_the_year_depends_on_the_date_and_returns_after_a_year():
    early, late = weeks(first=date(2023, 1, 2)), weeks(first=date(2023, 3, 6))
    prior = BaselinePrior(drift_sd=0)
    year = slice(3, 7)
    from_january = baseline(early, prior).columns[:, year]
    assert from_january[9:] == pytest.approx(baseline(late, prior).columns[:-9, year])
    whole = round(4 * WEEKS_PER_YEAR)  # 209 weeks are 4 years to within 2 days
    long = baseline(weeks(250), prior).columns[:, year]
    assert long[whole : whole + 30] == pytest.approx(long[:30], abs=0.05)


def test_weeks_ahead_continue_the_columns_with_controls_at_their_usual_value():
    plain, further = baseline(weeks(), BaselinePrior()), baseline(weeks(), BaselinePrior(), ahead=8)
    assert further.columns.shape[0] == 158
    seasonal = [at for at, name in enumerate(plain.names) if not name.startswith("drift")]
    assert further.columns[:150, seasonal] == pytest.approx(plain.columns[:, seasonal])
    assert (further.columns[150:, 1:3] == 0).all()


def test_the_drift_has_the_covariance_of_its_kernel():
    prior = BaselinePrior(drift_sd=0.3, drift_weeks=26.0, drift_functions=20)
    found = baseline(weeks(), prior)
    drift = found.columns[:, [name.startswith("drift") for name in found.names]]
    apart = np.arange(150)[:, None] - np.arange(150)[None]
    kernel = 0.3**2 * np.exp(-0.5 * (apart / 26.0) ** 2)
    assert drift @ drift.T == pytest.approx(kernel, abs=0.02 * 0.3**2)


def test_twelve_functions_serve_three_years():
    kernel_sd = {}
    for functions in (12, 40):
        found = baseline(weeks(156), BaselinePrior(drift_functions=functions))
        drift = found.columns[:, [name.startswith("drift") for name in found.names]]
        kernel_sd[functions] = np.sqrt((drift**2).sum(axis=1))
    assert kernel_sd[12] == pytest.approx(kernel_sd[40], rel=0.03)


def test_without_drift_there_is_none():
    assert not [name for name in baseline(weeks(), BaselinePrior(drift_sd=0)).names if "drift" in name]


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_errors_freed_of_their_memory_are_independent(memory):
    apart = np.abs(np.subtract.outer(np.arange(60), np.arange(60)))
    correlated = memory**apart / (1 - memory**2)
    freed = forgotten(forgotten(correlated, memory).T, memory)
    assert freed == pytest.approx(np.eye(60), abs=1e-9)


def test_axes_that_remember_take_errors_as_they_are():
    columns, errors = np.random.default_rng(1).normal(size=(60, 4)), np.random.default_rng(2).normal(size=60)
    axes, lengths = remembering_axes(columns, 0.5)
    freed = forgotten(columns, 0.5)
    kept = freed @ np.linalg.lstsq(freed, forgotten(errors, 0.5))[0]
    assert ((axes @ errors) ** 2).sum() == pytest.approx((kept**2).sum())
    assert lengths.sum() == pytest.approx((freed**2).sum())
