"""Fatigue: simulated slopes are recovered, intervals are honest, and little data says so."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from models.creatives.fatigue import FATIGUE_SCHEMA, FatigueRules, creative_fatigue, delivered_fatigue

LAUNCH = date(2026, 3, 1)


def account(seed, *, mean=-0.03, between=0.015, creatives=40, days=28, impressions=2000, a_day=1.0):
    """Days of creatives whose log-odds CTR falls by a slope of its own; returns the slopes too."""
    rng = np.random.default_rng(seed)
    slopes = rng.normal(mean, between, creatives)
    age = np.arange(days)
    shown = rng.poisson(impressions, (creatives, days)) + 1
    level = rng.normal(-4.0, 0.4, (creatives, 1)) + rng.normal(0, 0.08, (creatives, days))
    clicks = rng.binomial(shown, expit(level + slopes[:, None] * age * a_day))
    names = [f"c{number:03d}" for number in range(creatives)]
    daily = pl.DataFrame(
        {
            "placement": "feed",
            "creative_id": np.repeat(names, days),
            "date": [LAUNCH + timedelta(int(day)) for day in np.tile(age, creatives)],
            "impressions": shown.ravel(),
            "clicks": clicks.ravel(),
        }
    )
    return daily, slopes


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_simulated_slopes_are_recovered_with_honest_intervals(seed):
    daily, slopes = account(seed)
    found = creative_fatigue(daily)
    assert found["placement_slope"][0] == pytest.approx(slopes.mean(), abs=0.004)
    errors = found["slope_p50"].to_numpy() - slopes
    assert np.sqrt((errors**2).mean()) < 0.0075  # half of what creatives differ by
    held = ((found["slope_p10"].to_numpy() <= slopes) & (slopes <= found["slope_p90"].to_numpy())).mean()
    assert 0.6 <= held <= 0.95
    assert found.schema == FATIGUE_SCHEMA


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pooling_brings_creatives_with_little_data_nearer_to_the_truth(seed):
    daily, slopes = account(seed, impressions=400, between=0.005)
    pooled = creative_fatigue(daily)["slope_p50"].to_numpy()
    alone = np.array(
        [creative_fatigue(daily.filter(creative_id=f"c{i:03d}"))["slope_p50"][0] for i in range(len(slopes))]
    )
    assert np.square(pooled - slopes).sum() < 0.6 * np.square(alone - slopes).sum()


def test_a_slope_by_frequency_is_per_time_seen():
    daily, slopes = account(4, mean=-0.4, between=0.05, a_day=0.1)
    seen = 1 + 0.1 * (pl.col("date") - LAUNCH).dt.total_days()
    found = creative_fatigue(daily.with_columns(seen.alias("frequency")))
    assert set(found["basis"]) == {"frequency"}
    assert found["placement_slope"][0] == pytest.approx(slopes.mean(), abs=0.05)
    # log-odds fall by about log 2 in 0.69 / 0.4 times seen, at a tenth a day.
    assert found["days_to_half_p50"].median() == pytest.approx(np.log(2) / 0.4 / 0.1, rel=0.2)


def test_frequency_is_impressions_to_date_by_people_reached_to_date():
    daily, _ = account(5, creatives=5)
    seen = pl.col("impressions").cum_sum().over("creative_id")
    stated = daily.with_columns((1 + seen / 10_000).alias("frequency"))
    reach = stated.with_columns((seen / pl.col("frequency")).alias("reach")).drop("frequency")
    columns = ["slope_p50", "exposure", "days_to_half_p50"]
    ours, theirs = creative_fatigue(reach), creative_fatigue(stated)
    assert set(ours["basis"]) == {"frequency"}
    assert ours.select(columns).to_numpy() == pytest.approx(theirs.select(columns).to_numpy(), rel=1e-6)


def test_a_day_without_frequency_turns_to_days_and_is_pooled_with_its_own_kind():
    daily, _ = account(6, creatives=6)
    seen = 1 + 0.1 * (pl.col("date") - LAUNCH).dt.total_days()
    unknown = (pl.col("creative_id") < "c003") & (pl.col("date") == LAUNCH)
    found = creative_fatigue(daily.with_columns(pl.when(~unknown).then(seen).alias("frequency")))
    assert found["basis"].to_list() == ["days"] * 3 + ["frequency"] * 3
    assert found["placement_slope"][5] == pytest.approx(10 * found["placement_slope"][0], rel=0.9)


def test_a_creative_that_does_not_tire_is_never_half():
    daily, _ = account(7, mean=0.03, between=0.0)
    found = creative_fatigue(daily)
    assert found["days_to_half_p50"].null_count() == found.height
    assert found["p_fatigues"].max() < 0.1


def test_quantiles_are_in_order():
    daily, _ = account(8)
    found = creative_fatigue(daily).drop_nulls(["days_to_half_p90"])
    for name in ("slope", "days_to_half"):
        assert (found[f"{name}_p10"] <= found[f"{name}_p50"]).all()
        assert (found[f"{name}_p50"] <= found[f"{name}_p90"]).all()


def test_little_data_gives_a_reason_and_no_number():
    daily, _ = account(9, creatives=4)
    few_days = daily.filter((pl.col("creative_id") != "c000") | (pl.col("date") < LAUNCH + timedelta(3)))
    few_clicks = few_days.with_columns(
        pl.when(pl.col("creative_id") == "c001").then(0).otherwise(pl.col("clicks")).alias("clicks")
    )
    found = creative_fatigue(few_clicks)
    assert found["not_enough_data"].to_list() == [
        "3 days with impressions; needs 7",
        "0 clicks; needs 30",
        None,
        None,
    ]
    assert found["slope_p50"].is_null().to_list() == [True, True, False, False]
    assert found["placement_slope"].is_null().to_list() == [True, True, False, False]


def test_a_frequency_that_stands_still_says_nothing():
    daily, _ = account(10, creatives=2)
    found = creative_fatigue(daily.with_columns(pl.lit(1.5).alias("frequency")))
    assert found["not_enough_data"].to_list() == ["frequency grew by 0.0; needs 0.25"] * 2


def test_no_days_give_no_rows():
    daily, _ = account(1, creatives=1)
    assert creative_fatigue(daily.clear()).schema == FATIGUE_SCHEMA


def test_clicks_that_stop_for_good_still_give_a_finite_slope():
    daily, _ = account(11, creatives=1)
    stopped = daily.with_columns(
        pl.when(pl.col("date") > LAUNCH + timedelta(2)).then(0).otherwise(pl.col("clicks")).alias("clicks")
    )
    found = creative_fatigue(stopped)
    assert np.isfinite(found["slope_p50"][0])
    assert found["slope_p90"][0] < -0.1


def test_impossible_rows_are_refused_by_name():
    daily, _ = account(1, creatives=1)
    with pytest.raises(ValueError, match="c000 on 2026-03-01"):
        creative_fatigue(
            daily.with_columns(pl.col("impressions") + 1).with_columns(clicks=pl.col("impressions") + 1)
        )
    with pytest.raises(ValueError, match="twice"):
        creative_fatigue(pl.concat([daily, daily]))
    with pytest.raises(ValueError, match="least_days"):
        FatigueRules(least_days=2)


def delivered(daily: pl.DataFrame, account: str = "1", **values) -> pl.DataFrame:
    where = {"platform": "meta", "account_id": account, "track": "balance"} | values
    return daily.with_columns(**{name: pl.lit(value) for name, value in where.items()})


def test_campaigns_of_a_creative_are_added_up():
    daily, _ = account(3, creatives=6)
    halves = pl.concat([delivered(daily), delivered(daily)])
    double = delivered(daily.with_columns(pl.col("impressions", "clicks") * 2))
    assert delivered_fatigue(halves).equals(delivered_fatigue(double))


def test_accounts_are_not_pooled_with_each_other():
    falling, rising = account(4, mean=-0.06, creatives=8)[0], account(5, mean=0.04, creatives=8)[0]
    both = delivered_fatigue(pl.concat([delivered(falling, "1"), delivered(rising, "2")]))
    for name, daily in (("1", falling), ("2", rising)):
        alone = delivered_fatigue(delivered(daily, name))
        assert both.filter(account_id=name)["slope_p50"].to_list() == pytest.approx(
            alone["slope_p50"].to_list()
        )
    assert both["creative_id"].len() == 16


def test_what_happens_to_all_is_told_apart_from_what_tires_one():
    rng = np.random.default_rng(6)
    days = np.arange(30)
    slopes = {"a": -0.02, "b": -0.02, "c": -0.02, "tired": -0.10}
    rows = [
        {
            **{"placement": "feed", "creative_id": name, "date": LAUNCH + timedelta(int(day))},
            **{"impressions": 20_000, "clicks": int(rng.binomial(20_000, expit(-4 + slope * day)))},
        }
        for name, slope in slopes.items()
        for day in days
    ]
    found = delivered_fatigue(delivered(pl.DataFrame(rows)))
    by_name = {row["creative_id"]: row for row in found.to_dicts()}
    assert by_name["tired"]["slope_p90"] < by_name["tired"]["season_slope_p10"]
    assert by_name["a"]["slope_p90"] > by_name["a"]["season_slope_p10"]
    assert found["season_slope_p50"].n_unique() == 1


def test_a_day_with_more_clicks_than_impressions_is_left_out():
    daily, _ = account(7, creatives=3)
    odd = daily.head(1).with_columns(impressions=pl.lit(1, pl.Int64), clicks=pl.lit(2, pl.Int64))
    spoilt = pl.concat([odd.cast(daily.schema), daily.tail(-1)])
    assert delivered_fatigue(delivered(spoilt)).equals(delivered_fatigue(delivered(daily.tail(-1))))


def test_nothing_delivered_gives_no_rows():
    empty = delivered(account(8, creatives=1)[0]).clear()
    found = delivered_fatigue(empty)
    assert found.is_empty()
    assert {"season_slope_p50", "days_to_half_p50", "platform"} <= set(found.columns)
