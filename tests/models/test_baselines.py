"""Baselines: the spread of rates, not of counts; peaks are no outliers; small cells lean on their track."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.baselines import placement_baselines
from models.quantiles import out_of_order
from resources.warehouse.tables import PLACEMENT_BASELINES

AS_OF = date(2026, 6, 1)  # a Monday
RULES: dict[str, Any] = {
    "window_days": 30,
    "maturity_days": 7,
    "outlier_mad": 8.0,
    "click_incrementality": 1.0,
    "view_incrementality": 0.25,
}


def placement_days(
    cpm: np.ndarray,
    *,
    track: str = "security",
    placement: str = "feed",
    impressions: float = 50_000,
    ctr: float | np.ndarray = 0.01,
    cvr: float | np.ndarray = 0.05,
    seed: int | None = None,
) -> pl.DataFrame:
    """Days ending the day before AS_OF; counts are expectations, or Poisson draws with a seed."""
    days = cpm.size
    clicks = impressions * np.broadcast_to(ctr, days)
    if seed is not None:
        rng = np.random.default_rng(seed)
        clicks = rng.poisson(clicks).astype(float)
        conversions = rng.poisson(clicks * np.broadcast_to(cvr, days)).astype(float)
    else:
        conversions = clicks * np.broadcast_to(cvr, days)
    return pl.DataFrame(
        {
            "date": [AS_OF - timedelta(days=days - day) for day in range(days)],
            "platform": "meta",
            "account_id": "a1",
            "track": track,
            "placement": placement,
            "impressions": np.full(days, int(impressions)),
            "clicks": clicks.round().astype(int),
            "cost": (impressions / 1000.0 * cpm).round(2),
            "conversions_click": conversions,
            "conversions_view": np.zeros(days),
        }
    )


def row(
    frame: pl.DataFrame, placement: str = "feed", weighting: str = "equal", track: str = "security"
) -> dict[str, Any]:
    return frame.filter(
        (pl.col("placement") == placement) & (pl.col("weighting") == weighting) & (pl.col("track") == track)
    ).row(0, named=True)


def test_the_frame_is_the_table() -> None:
    baselines = placement_baselines(placement_days(np.full(40, 10.0)), AS_OF, **RULES)
    conformed = PLACEMENT_BASELINES.conform(baselines)
    assert not conformed.select(PLACEMENT_BASELINES.grain).is_duplicated().any()
    nothing = placement_days(np.full(40, 10.0)).clear()
    assert PLACEMENT_BASELINES.conform(placement_baselines(nothing, AS_OF, **RULES)).is_empty()


def test_rates_are_ratios_of_sums_and_only_matured_days_feed_conversions() -> None:
    days = placement_days(np.full(30, 12.0))
    # Conversions of the last seven days are still arriving; clicks of those days must not dilute CVR.
    days = days.with_columns(
        conversions_click=pl.when(pl.col("date") >= AS_OF - timedelta(days=7))
        .then(0.0)
        .otherwise("conversions_click"),
        conversions_view=pl.lit(4.0),
    )
    found = row(placement_baselines(days, AS_OF, **RULES))
    assert found["cpm"] == pytest.approx(12.0)
    assert found["ctr"] == pytest.approx(0.01)
    matured_days = 23
    assert found["conversions"] == pytest.approx(matured_days * (25.0 + 0.25 * 4.0))
    assert found["cvr"] == pytest.approx((25.0 + 1.0) / 500.0)
    assert found["cost"] == days["cost"].cast(pl.Decimal(38, 9)).sum()


def test_maturity_may_differ_by_account() -> None:
    days = placement_days(np.full(30, 12.0))
    by_account = placement_baselines(days, AS_OF, **(RULES | {"maturity_days": {("meta", "a1"): 20}}))
    assert row(by_account)["conversions"] == pytest.approx(10 * 25.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_quantiles_of_cvr_are_those_of_the_rate_not_of_the_counts(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    cvr = 0.04 * np.exp(0.3 * rng.normal(size=90))
    days = placement_days(np.full(90, 10.0), impressions=20_000, cvr=cvr, seed=seed)
    rules = RULES | {"window_days": 90, "maturity_days": 0}
    found = row(placement_baselines(days, AS_OF, **rules))
    latent = np.log(found["cvr_p90"] / found["cvr_p10"])
    truth = np.log(np.quantile(cvr, 0.9) / np.quantile(cvr, 0.1))
    raw = days["conversions_click"].to_numpy() / days["clicks"].to_numpy()
    raw = raw[raw > 0]
    counted = np.log(np.quantile(raw, 0.9) / np.quantile(raw, 0.1))
    # At 8 conversions a day the raw days are much wider than the rates behind them.
    assert counted > 1.25 * truth
    assert latent == pytest.approx(truth, rel=0.35)


def test_a_dear_weekday_is_a_pattern_and_a_single_dear_day_an_outlier() -> None:
    cpm = 10.0 * np.exp(0.03 * np.random.default_rng(5).normal(size=35))
    weekday = np.array([(AS_OF - timedelta(days=35 - day)).weekday() for day in range(35)])
    peaks = cpm.copy()
    peaks[weekday == 0] *= 2.5
    single = cpm.copy()
    single[20] *= 2.5
    rules = RULES | {"window_days": 35}
    weekly = row(placement_baselines(placement_days(peaks), AS_OF, **rules))
    once = row(placement_baselines(placement_days(single), AS_OF, **rules))
    assert weekly["outlier_days"] == 0
    assert once["outlier_days"] == 1
    assert once["cpm_p90"] < 12.0 < weekly["cpm_p90"]
    assert once["days"] == 35
    assert once["cost"] == placement_days(single)["cost"].cast(pl.Decimal(38, 9)).sum()


def test_a_dear_day_of_an_event_is_no_outlier() -> None:
    cpm = 10.0 * np.exp(0.03 * np.random.default_rng(5).normal(size=30))
    cpm[20] *= 2.5
    day, next_day = AS_OF - timedelta(days=10), AS_OF - timedelta(days=9)
    for event_days, outliers in (
        ([], 1),
        ([(day, None)], 0),
        ([(day, "security")], 0),
        ([(day, "balance"), (next_day, None)], 1),
    ):
        found = row(placement_baselines(placement_days(cpm), AS_OF, **RULES, event_days=event_days))
        assert found["outlier_days"] == outliers


def test_dollars_weight_the_expensive_days() -> None:
    cpm = np.tile([8.0, 12.0], 15)
    days = placement_days(cpm).with_columns(
        pl.when(pl.col("cost") > 500).then(pl.col(name) * 10).otherwise(name).alias(name)
        for name in ("impressions", "clicks", "cost", "conversions_click")
    )
    baselines = placement_baselines(days, AS_OF, **RULES)
    assert row(baselines, weighting="spend")["cpm_p50"] > row(baselines, weighting="equal")["cpm_p50"] + 1.0


def test_a_tiny_placement_leans_on_its_track() -> None:
    big = placement_days(np.full(30, 10.0), impressions=200_000, cvr=0.05, seed=1)
    tiny = placement_days(np.full(30, 10.0), placement="tiny", impressions=300, cvr=0.0, seed=2)
    baselines = placement_baselines(pl.concat([big, tiny]), AS_OF, **RULES)
    small, large = row(baselines, "tiny"), row(baselines, "feed")
    assert small["parent_weight"] > 0.2 > 0.05 > large["parent_weight"]
    assert small["cvr"] == 0.0
    # No conversion on some 70 matured clicks: less than the track, yet nowhere near never.
    assert 0.005 < small["cvr_p50"] < row(baselines, "all")["cvr_p50"]


def test_what_was_never_seen_is_null_and_unassigned_tracks_have_no_baseline() -> None:
    free = placement_days(np.zeros(30), ctr=0.0)
    lost = placement_days(np.full(30, 10.0), track="unassigned")
    baselines = placement_baselines(pl.concat([free, lost]), AS_OF, **RULES)
    assert baselines["track"].unique().to_list() == ["security"]
    found = row(baselines)
    assert found["cvr"] is None
    assert found["cvr_p50"] is None


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(9)
    days = pl.concat(
        [
            placement_days(10 * np.exp(0.2 * rng.normal(size=30)), placement=name, seed=seed)
            for seed, name in enumerate(("feed", "story", "search"))
        ]
    )
    first = placement_baselines(days, AS_OF, **RULES)
    for seed in (1, 2, 3):
        assert placement_baselines(days.sample(fraction=1.0, shuffle=True, seed=seed), AS_OF, **RULES).equals(
            first
        )


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(
        st.tuples(
            st.integers(0, 10_000),
            st.floats(0, 1),
            st.floats(0, 1),
            st.floats(0, 5_000),
            st.sampled_from("ab"),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_quantiles_are_ordered_and_finite_for_any_counts(
    counts: list[tuple[int, float, float, float, str]],
) -> None:
    days = pl.DataFrame(
        [
            {
                "date": AS_OF - timedelta(days=1 + index % 30),
                "platform": "meta",
                "account_id": "a1",
                "track": "security",
                "placement": placement,
                "impressions": impressions,
                "clicks": int(impressions * ctr),
                "cost": round(cost, 2),
                "conversions_click": float(int(impressions * ctr * cvr)),
                "conversions_view": 0.0,
            }
            for index, (impressions, ctr, cvr, cost, placement) in enumerate(counts)
        ]
    )
    baselines = PLACEMENT_BASELINES.conform(placement_baselines(days, AS_OF, **RULES))
    assert out_of_order(baselines, ["cpm", "ctr", "cvr"]) == 0
    values = baselines.select(pl.selectors.matches("_p[159]0$"))
    assert all(series.drop_nulls().is_finite().all() for series in values)
    assert baselines["parent_weight"].is_between(0.0, 1.0).all()


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        placement_baselines(placement_days(np.full(3, 1.0)), AS_OF, **(RULES | {"window_days": 0}))
