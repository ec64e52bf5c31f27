"""The study of coverage: a tiny slice of it, and what its figures are made of."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import forecast_coverage as study
from benchmarks.accounts import TODAY
from benchmarks.record import Record
from models.accuracy import METHODS
from resources.sandbox.build import simulate_account


def figures(record: Record) -> dict[str, float]:
    return {figure.name: figure.value for figure in record.figures}


def test_two_tiny_businesses_are_scored_kept_and_not_scored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELP_BENCH", str(tmp_path))
    monkeypatch.setattr(study, "MATURITY_DAYS", 0)  # a tiny business has 40 days
    made = study.forecast_coverage(worlds=1, scale="tiny", draws=100)
    assert 0 < figures(made)["coverage of clicks and conversions"] <= 100
    (kept,) = tmp_path.rglob("forecast_coverage-*.jsonl")
    assert len(kept.read_text().splitlines()) == 1
    # Cut off after one, it goes on with the second and takes the first as it was kept.
    altered = json.loads(kept.read_text())
    for row in altered["scores"]:
        row["coverage"] = 0.0
    kept.write_text(json.dumps(altered) + "\n")
    more = study.forecast_coverage(worlds=2, scale="tiny", draws=100)
    assert len(kept.read_text().splitlines()) == 2
    assert 0 < figures(more)["coverage of clicks and conversions"] < 50


def test_a_simulated_business_becomes_the_days_a_morning_would_read() -> None:
    simulated = simulate_account("tiny", 3, TODAY, further_days=5)
    days = study.lever_days(simulated)
    delivery = simulated.ledger.delivery
    past = delivery.day < simulated.business.days
    assert days["date"].max() == TODAY - timedelta(days=1)
    assert days["cost"].sum() == pytest.approx(delivery.cents[past].sum() / 100)
    assert days["clicks"].sum() == delivery.link_clicks[past].sum()
    assert not days.select("lever_id", "date").is_duplicated().any()
    assert days["conversions"].sum() > 0


def scored(coverage: dict[int, float], loss: dict[str, dict[int, float]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "world": world,
                "metric": metric,
                "horizon_days": days,
                "method": method,
                "coverage": share,
                **dict.fromkeys(("pinball", "crps", "width"), loss[method][world]),
                **{f"coverage_traffic_q{place}": share + (place - 2.5) / 100 for place in (1, 2, 3, 4)},
            }
            for world, share in coverage.items()
            for metric in ("clicks", "conversions", "spend")
            for days in (7, 14)
            for method in METHODS
        ]
    )


def test_businesses_count_alike_and_a_ratio_must_be_below_one_with_its_whole_interval() -> None:
    worlds = range(40)
    rng = np.random.default_rng(2)
    noise = dict(zip(worlds, rng.normal(0.0, 0.05, 40), strict=True))
    coverage = dict(zip(worlds, 0.8 + rng.normal(0.0, 0.01, 40), strict=True))
    loss = {method: dict.fromkeys(worlds, 1.0) for method in METHODS}
    loss["triangular"] = dict.fromkeys(worlds, 1.25)
    loss["last_week"] = {world: 1.0 + noise[world] - np.mean(list(noise.values())) for world in worlds}
    record = study.summarise(scored(coverage, loss), {})
    found = figures(record)
    meets = {figure.name: figure.meets for figure in record.figures}
    assert found["coverage of clicks and conversions"] == pytest.approx(
        100 * np.mean(list(coverage.values()))
    )
    assert found["of it, traffic quartile 4"] - found["of it, traffic quartile 1"] == pytest.approx(3.0)
    assert found["clicks: pinball, ours / triangular"] == pytest.approx(0.8)
    assert meets["clicks: pinball, ours / triangular"] is True
    assert meets["clicks: pinball, ours / last_week"] is False
    assert meets["clicks: crps, ours / triangular"] is True
    assert meets["clicks: width, ours / triangular"] is None
    assert meets["coverage of clicks and conversions"] is True
    low = dict.fromkeys(worlds, 0.7)
    missed = study.summarise(scored(low, loss), {}).figures[0]
    assert missed.meets is False
