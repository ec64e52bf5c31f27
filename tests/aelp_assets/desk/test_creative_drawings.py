"""The drawing of how a creative's click rate falls, held against creatives whose true rate is known."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from aelp_assets.desk.creative_drawings import HEIGHT, fatigue_curve
from models.creatives.fatigue import creative_fatigue

MORNING = date(2026, 6, 30)
DAYS, START, SLOPE = 100, -3.2, -0.04


def fallen(creatives: int) -> pl.DataFrame:
    """Creatives, each alone on its placement, whose log-odds fall from START by SLOPE a day."""
    rng = np.random.default_rng(6)
    age = np.arange(DAYS)
    rate = 1 / (1 + np.exp(-(START + SLOPE * age)))
    return pl.DataFrame(
        {
            "placement": np.repeat([f"{one:03d}" for one in range(creatives)], DAYS),
            "creative_id": "c",
            "date": [MORNING - timedelta(days=DAYS - day) for day in age.tolist()] * creatives,
            "impressions": 500,
            "clicks": rng.binomial(500, np.tile(rate, creatives)),
        }
    )


def ends(band: str, highest: float) -> np.ndarray:
    """Lower and upper rate of each day, shape (2, days)."""
    down = np.array([float(point.split(",")[1]) for point in band.split()])
    rates = (HEIGHT - down) / HEIGHT * highest
    return np.stack([rates[:DAYS], rates[DAYS:][::-1]])


def test_a_band_holds_the_true_rate_in_eight_of_ten_on_every_day() -> None:
    days = fallen(300)
    slopes = creative_fatigue(days).to_dicts()
    true = 1 / (1 + np.exp(-(START + SLOPE * np.arange(DAYS))))
    held = np.zeros(DAYS)
    narrowest = []
    for card, (_, rows) in zip(slopes, days.group_by("placement", maintain_order=True), strict=True):
        curve = fatigue_curve(rows.to_dicts(), card | {"as_of_date": MORNING})
        assert curve is not None
        low, high = ends(curve.band, curve.highest)
        pixel = curve.highest / HEIGHT / 10
        held += (low - pixel <= true) & (true <= high + pixel)
        narrowest.append(int(np.argmin(np.log(high / low))))
    for day in (0, 10, 25, 50, DAYS - 1):
        assert 0.72 < held[day] / len(slopes) < 0.92, day
    assert np.median(narrowest) < 30, "where the clicks are, not in the middle of the days"
