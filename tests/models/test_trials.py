"""What past weeks teach about the width: it narrows and widens, and few or entangled weeks teach little."""

from __future__ import annotations

import numpy as np
import pytest

from models.forecasting.trials import NORMAL_P90, STUDENT_P90, learn_from, width_needed

POOL = np.zeros(12, dtype=np.int64)


def weeks(number: int, scale: float, series: int = 12, seed: int = 1) -> list[np.ndarray]:
    """Widths needed where the rate's errors are `scale` times what was promised."""
    errors = scale * np.random.default_rng(seed).standard_t(4, size=(number, series))
    return [width_needed(week, np.ones(series), np.zeros(series)) for week in errors]


def test_with_the_width_needed_the_interval_ends_at_the_outcome() -> None:
    error, of_rate, of_counts = np.array([0.5, -0.9]), np.array([0.04, 0.2]), np.array([0.01, 0.05])
    needed = width_needed(error, of_rate, of_counts)
    half = np.sqrt(STUDENT_P90**2 * needed**2 * of_rate + NORMAL_P90**2 * of_counts)
    assert half == pytest.approx(np.abs(error))
    assert width_needed(np.array([0.1]), np.array([0.04]), np.array([0.01])) == 0.0


def test_errors_smaller_than_promised_narrow_and_larger_ones_widen() -> None:
    assert learn_from([], weeks(8, 0.5), POOL).width[0] == pytest.approx(0.58, abs=0.1)
    assert learn_from([], weeks(8, 1.0), POOL).width[0] == pytest.approx(1.0, abs=0.15)
    assert learn_from([], weeks(8, 2.0), POOL).width[0] == pytest.approx(2.0, abs=0.25)
    assert (learn_from([], [], POOL).width == 1.0).all()


def test_few_weeks_narrow_less_than_many() -> None:
    narrowed = [
        np.mean([learn_from([], weeks(n, 0.5, seed=s), POOL).width[0] for s in range(30)]) for n in (1, 8)
    ]
    assert narrowed[1] < narrowed[0] - 0.1


def test_weeks_whose_errors_go_together_narrow_less() -> None:
    rng = np.random.default_rng(3)
    together = [np.full(12, error) for error in rng.standard_normal(8)]
    apart = list(rng.standard_normal((8, 12)))
    needed = weeks(8, 0.5)
    assert learn_from(together, needed, POOL).width[0] > learn_from(apart, needed, POOL).width[0] + 0.05


def test_each_account_learns_from_its_own_weeks_even_when_they_are_counted_on_other_days() -> None:
    pool = np.repeat([0, 1], 12)
    nothing = np.full(12, np.nan)
    quiet, wild = weeks(8, 0.5), weeks(8, 2.0)
    trials = [
        np.concatenate(pair)
        for q, w in zip(quiet, wild, strict=True)
        for pair in ((q, nothing), (nothing, w))
    ]
    found = learn_from([], trials, pool).width
    assert found[0] == learn_from([], quiet, POOL).width[0]
    assert found[12] == learn_from([], wild, POOL).width[0]
