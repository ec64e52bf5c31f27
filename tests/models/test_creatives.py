"""Creatives on placements: a new one starts at its placement, own data pull it away, a score shifts it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.baselines import placement_baselines
from models.forecasting.creatives import creative_rates
from models.quantiles import out_of_order
from resources.warehouse.tables import CREATIVE_RATES

AS_OF = date(2026, 6, 1)
REWARD: dict[str, Any] = {"click_incrementality": 1.0, "view_incrementality": 0.25}
MATURITY = {("meta", "a1"): 7}
QUANTILES = [f"{rate}_p{level}" for rate in ("cpm", "ctr", "cvr") for level in (10, 50, 90)]
PLACES = {"feed": 0.01, "stories": 0.004}


def world(seed: int, creatives: int = 20, impressions: float = 20_000) -> tuple[pl.DataFrame, np.ndarray]:
    """Thirty days of creatives whose CTR differs by 40 % on two placements, and their true factors."""
    rng = np.random.default_rng(seed)
    factors = np.exp(0.4 * rng.normal(size=(creatives, len(PLACES))))
    rows = []
    for creative in range(creatives):
        for place, (name, ctr) in enumerate(PLACES.items()):
            shown = rng.poisson(impressions * np.exp(rng.normal(0.0, 1.0)) / 30, 30)
            clicks = rng.binomial(shown, min(ctr * factors[creative, place], 1.0))
            rows += [
                {
                    "date": AS_OF - timedelta(days=30 - day),
                    "platform": "meta",
                    "account_id": "a1",
                    "track": "security",
                    "creative_id": f"c{creative:02d}",
                    "placement": name,
                    "impressions": int(shown[day]),
                    "clicks": int(clicks[day]),
                    "cost": float(shown[day]) / 100.0,
                    "conversions_click": float(rng.binomial(clicks[day], 0.05)),
                    "conversions_view": 0.0,
                }
                for day in range(30)
            ]
    return pl.DataFrame(rows), factors


def rates_of(days: pl.DataFrame, **changes: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    baselines = placement_baselines(
        days, AS_OF, window_days=30, maturity_days=MATURITY, outlier_mad=8.0, **REWARD
    )
    rules = {"window_days": 30, "maturity_days": MATURITY} | REWARD | changes
    return creative_rates(days, baselines, AS_OF, **rules), baselines


def newcomer(days: pl.DataFrame) -> pl.DataFrame:
    """The days without what the first creative did on stories: there it is new."""
    return days.filter((pl.col("creative_id") != "c00") | (pl.col("placement") == "feed"))


def at(rates: pl.DataFrame, creative: str, placement: str) -> dict[str, Any]:
    cell = (pl.col("creative_id") == creative) & (pl.col("placement") == placement)
    return rates.filter(cell).row(0, named=True)


def baseline(baselines: pl.DataFrame, placement: str) -> dict[str, Any]:
    cell = (pl.col("placement") == placement) & (pl.col("weighting") == "equal")
    return baselines.filter(cell).row(0, named=True)


def test_a_new_creative_starts_at_its_placement_as_wide_as_creatives_differ() -> None:
    rates, baselines = rates_of(newcomer(world(1)[0]))
    new, place = at(rates, "c00", "stories"), baseline(baselines, "stories")
    assert new["impressions"] == new["own_weight"] == 0
    for rate in ("cpm", "ctr", "cvr"):
        assert new[f"{rate}_p50"] == pytest.approx(place[f"{rate}_p50"], rel=1e-9)
        assert new[f"{rate}_p10"] <= place[f"{rate}_p10"]
        assert new[f"{rate}_p90"] >= place[f"{rate}_p90"]
    # CTR differs by 40 % between creatives, whatever the days say of the placement as a whole.
    assert np.log(new["ctr_p90"] / new["ctr_p50"]) == pytest.approx(1.28 * 0.4, rel=0.4)


def test_where_days_differ_more_than_creatives_a_new_one_is_exactly_its_placement() -> None:
    days = newcomer(world(1)[0])
    wild = pl.DataFrame({"date": days["date"].unique().sort()}).with_columns(
        factor=pl.Series(np.exp(1.5 * np.random.default_rng(2).normal(size=30)))
    )
    dear = days.join(wild, on="date").with_columns(cost=pl.col("cost") * pl.col("factor"))
    rates, baselines = rates_of(dear)
    new, place = at(rates, "c00", "stories"), baseline(baselines, "stories")
    for level in (10, 50, 90):
        assert new[f"cpm_p{level}"] == pytest.approx(place[f"cpm_p{level}"], rel=1e-9)


def test_the_rates_are_the_table_with_every_creative_on_every_placement() -> None:
    rates = CREATIVE_RATES.conform(rates_of(newcomer(world(1)[0]))[0])
    assert rates.height == 20 * len(PLACES)
    assert not rates.select(CREATIVE_RATES.grain).is_duplicated().any()
    assert out_of_order(rates, ["cpm", "ctr", "cvr"]) == 0
    assert rates["own_weight"].is_between(0, 1).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pooled_rates_are_nearer_the_truth_than_the_placement_s_and_the_creative_s_own(seed: int) -> None:
    days, factors = world(seed, creatives=60, impressions=1_500)
    rates = rates_of(days)[0].sort("creative_id", "placement")
    truth = np.log((factors * list(PLACES.values())).ravel())
    own = np.log((rates["clicks"] + 0.5) / (rates["impressions"] + 0.5 / 0.007)).to_numpy()
    place = np.log([PLACES[name] for name in rates["placement"]])
    pooled = np.log(rates["ctr_p50"].to_numpy())
    error = [float(np.sqrt(np.mean((made - truth) ** 2))) for made in (pooled, own, place)]
    assert error[0] < min(error[1], error[2])
    low, high = (np.log(rates[name].to_numpy()) for name in ("ctr_p10", "ctr_p90"))
    assert 0.65 < ((low <= truth) & (truth <= high)).mean() < 0.95


def test_young_conversions_and_days_outside_the_window_do_not_count() -> None:
    days, _ = world(1)
    young = pl.col("date") > AS_OF - timedelta(days=7)
    conversions = pl.when(young).then(pl.col("conversions_click") * 9).otherwise("conversions_click")
    later = days.with_columns(date=pl.lit(AS_OF))
    tampered = pl.concat([days.with_columns(conversions_click=conversions), later])
    assert rates_of(tampered)[0].equals(rates_of(days)[0])
    shuffled = days.sample(fraction=1.0, shuffle=True, seed=3)
    assert rates_of(shuffled)[0].equals(rates_of(days)[0])


def test_without_delivery_there_are_no_rates() -> None:
    days, _ = world(1, creatives=2)
    rates, _ = rates_of(days.clear())
    assert CREATIVE_RATES.conform(rates).is_empty()


def test_bad_input_is_refused() -> None:
    days, _ = world(1, creatives=2)
    with pytest.raises(ValueError, match="window_days"):
        rates_of(days, window_days=0)
    with pytest.raises(ValueError, match="negative"):
        creative_rates(
            days.with_columns(clicks=-pl.col("clicks")),
            rates_of(days)[1],
            AS_OF,
            window_days=30,
            maturity_days=MATURITY,
            **REWARD,
        )


def test_a_score_moves_what_a_new_creative_starts_from_and_own_data_take_over() -> None:
    days, _ = world(1)
    promised = pl.DataFrame(
        {
            "track": "security",
            "platform": "meta",
            "account_id": "a1",
            "creative_id": ["c00", "new"],
            "placement": "stories",
            "ctr_multiplier": 1.3,
            "cvr_multiplier": 0.9,
            "has_run": [True, False],
        }
    )
    plain, baselines = rates_of(days)
    moved, _ = rates_of(days, multipliers=promised)
    place, new = baseline(baselines, "stories"), at(moved, "new", "stories")
    for rate, factor in (("cpm", 1.0), ("ctr", 1.3), ("cvr", 0.9)):
        assert new[f"{rate}_p50"] == pytest.approx(factor * place[f"{rate}_p50"], rel=1e-9)
    assert new["score_multiplier"] == pytest.approx(1.17)
    assert new["impressions"] == new["own_weight"] == 0
    # Where it was not scored it starts where the placement does.
    assert at(moved, "new", "feed")["ctr_p50"] == pytest.approx(baseline(baselines, "feed")["ctr_p50"])
    known, before = at(moved, "c00", "stories"), at(plain, "c00", "stories")
    assert 1.0 < known["ctr_p50"] / before["ctr_p50"] < 1.15
    assert moved.select(CREATIVE_RATES.column_names).equals(moved)
