"""The study of real series: read as they are, skipped with the reason where they are not there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from benchmarks import mmm_real as study


def test_without_the_series_it_says_where_it_looked_and_measures_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELP_SHARED_DATA", str(tmp_path))
    record = study.mmm_real()
    assert record.figures == []
    assert str(tmp_path) in record.note
    assert study.CONJURA in record.note


@pytest.mark.real_data
def test_the_brands_weeks_are_whole_and_its_sales_are_where_they_were(shared_data: Path) -> None:
    weeks = study.conjura_weeks(shared_data / "mmm_real" / study.CONJURA)
    assert weeks.number == 106
    assert weeks.days[-1] == date(2023, 11, 27)
    black, december, opens, ends = (
        [str(day) for day, marked in zip(weeks.days, column, strict=True) if marked]
        for column in weeks.controls.T
    )
    assert black == [
        *("2021-11-22", "2021-11-29", "2022-11-21", "2022-11-28", "2023-11-20", "2023-11-27"),
    ]
    assert december == ["2021-12-06", "2021-12-13", "2021-12-20", "2022-12-05", "2022-12-12", "2022-12-19"]
    assert opens == ["2022-05-23", "2022-09-26", "2023-05-22", "2023-09-25"]
    assert ends == ["2022-05-30", "2022-10-03", "2023-05-29", "2023-10-02"]
    assert weeks.spend.sum() == pytest.approx(
        np.genfromtxt(shared_data / "mmm_real" / study.CONJURA, delimiter=",", skip_header=1)[:, 1:9].sum()
    )
    assert weeks.outcome[0] == 517


def test_koycks_regression_finds_a_known_carry_over() -> None:
    rng = np.random.default_rng(1)
    spend, era = rng.uniform(300, 2000, 400), (rng.random(400) < 0.3).astype(float)
    sales = np.empty(400)
    last = 1500.0
    for year in range(400):
        last = sales[year] = 200 + 0.63 * last + 0.5 * spend[year] + 90 * era[year] + rng.normal(0, 20)
    assert study.koyck_retention(sales, spend, era) == pytest.approx(0.63, abs=0.02)
