"""The backtest: no future data, fair naive methods, intervals that mean something, and the real days."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.accuracy import METHODS, NAIVE, backtest_forecasts, forecast_accuracy, score_forecasts
from resources.warehouse.tables import FORECAST_ACCURACY

RULES: dict[str, Any] = {"maturity_days": 0, "elasticity": 0.7}
QUANTILES = ["p10", "p50", "p90"]
LOSSES = ("pinball", "crps", "width")


def backtest(daily: pl.DataFrame, as_of_date: date, seed: int = 1, **changes: Any) -> pl.DataFrame:
    return backtest_forecasts(
        daily, as_of_date, rng=np.random.default_rng(seed), **(RULES | {"draws": 500} | changes)
    )


def score(forecasts: pl.DataFrame, as_of_date: date) -> pl.DataFrame:
    return score_forecasts(forecasts, as_of_date, rng=np.random.default_rng(2))


@pytest.fixture(scope="module")
def world(ad_world: Callable[..., Any]) -> Any:
    return ad_world(1, levers=10, days=49)


@pytest.fixture(scope="module")
def forecasts(world: Any) -> pl.DataFrame:
    return backtest(world.daily, world.as_of_date)


def test_accuracy_is_the_table(world: Any) -> None:
    accuracy = FORECAST_ACCURACY.conform(
        forecast_accuracy(world.daily, world.as_of_date, rng=np.random.default_rng(1), **RULES)
    )
    assert accuracy.height == 3 * 2 * len(METHODS)
    ours = accuracy.filter(pl.col("method") == "aelp")
    assert all(ours[f"{loss}_difference"].abs().max() == 0.0 for loss in LOSSES)
    for loss in LOSSES:
        assert (accuracy[f"{loss}_difference_low"] <= accuracy[f"{loss}_difference_high"]).all()
    assert (accuracy["coverage_low"] <= accuracy["coverage"]).all()
    assert (accuracy["coverage"] <= accuracy["coverage_high"]).all()


def test_origins_come_every_week_from_day_14_and_end_where_the_actuals_do(forecasts: pl.DataFrame) -> None:
    by_horizon = forecasts.group_by("horizon_days").agg(pl.col("origin").unique().sort()).sort("horizon_days")
    assert by_horizon["origin"].to_list() == [[14, 21, 28, 35, 42], [14, 21, 28, 35]]


def test_no_forecast_sees_the_future(world: Any, forecasts: pl.DataFrame) -> None:
    origin = 28
    cut = world.daily["date"].min() + timedelta(days=origin)
    rng = np.random.default_rng(4)
    # Everything from the origin on changes, except the spend that is given.
    tampered = world.daily.with_columns(
        pl.when(pl.col("date") >= cut)
        .then(pl.Series(rng.integers(0, 5000, world.daily.height).astype(float)))
        .otherwise(name)
        .alias(name)
        for name in ("clicks", "conversions", "impressions")
    )
    again = backtest(tampered, world.as_of_date)
    made = pl.col("origin") <= origin
    assert again.filter(made).select(QUANTILES).equals(forecasts.filter(made).select(QUANTILES))
    assert not again.filter(~made).select(QUANTILES).equals(forecasts.filter(~made).select(QUANTILES))
    # The spend forecast is not given spend either.
    spent = world.daily.with_columns(
        pl.when(pl.col("date") >= cut).then(pl.col("cost") * 3 + 1).otherwise("cost").alias("cost")
    )
    spend = made & (pl.col("metric") == "spend")
    assert (
        backtest(spent, world.as_of_date)
        .filter(spend)
        .select(QUANTILES)
        .equals(forecasts.filter(spend).select(QUANTILES))
    )


def test_the_order_of_rows_does_not_matter(world: Any, forecasts: pl.DataFrame) -> None:
    for seed in (1, 2, 3):
        assert backtest(world.daily.sample(fraction=1.0, shuffle=True, seed=seed), world.as_of_date).equals(
            forecasts
        )


def test_every_method_is_scored_on_the_same_forecasts(forecasts: pl.DataFrame) -> None:
    keys = ["metric", "horizon_days", "origin", "series"]
    of_method = [forecasts.filter(pl.col("method") == method).select(*keys, "actual") for method in METHODS]
    assert all(part.sort(keys).equals(of_method[0].sort(keys)) for part in of_method)


def test_a_raise_is_forecast_by_the_curve_its_morning_knew() -> None:
    first = date(2026, 1, 5)
    cost = np.where(np.arange(35) < 28, 100.0, 300.0)
    raised = pl.DataFrame(
        {
            "date": [first + timedelta(days=day) for day in range(35)],
            "platform": "meta",
            "account_id": "a1",
            "track": "t",
            "lever_id": "l",
            "cost": cost,
            "impressions": 100 * cost,
            "clicks": 4000 * (cost / 100) ** 0.6,
            "conversions": 1000 * (cost / 100) ** 0.3,
        }
    )
    asked = []

    def curves(morning: date) -> pl.DataFrame:
        asked.append(morning)
        lever = raised.head(1).select("platform", "account_id", "lever_id")
        return lever.with_columns(cluster=pl.lit("c"), elasticity_mean=0.3)

    after = (pl.col("origin") == 28) & (pl.col("metric") == "conversions") & (pl.col("method") == "aelp")
    end = raised["date"].max() + timedelta(days=1)
    by_prior = backtest(raised, end).filter(after, pl.col("horizon_days") == 7)
    by_curve = backtest(raised, end, curves=curves).filter(after, pl.col("horizon_days") == 7)
    assert asked == [first + timedelta(days=day) for day in (14, 21, 28)]
    came = float(by_curve["actual"].item())
    assert by_curve["p50"].item() == pytest.approx(came, rel=0.05)
    assert by_prior["p50"].item() > 1.2 * came


def test_a_perfectly_steady_account_is_forecast_exactly_by_last_week() -> None:
    days = [date(2026, 1, 5) + timedelta(days=day) for day in range(42)]
    steady = pl.DataFrame(
        {
            "date": days,
            "platform": "meta",
            "account_id": "a1",
            "track": "t",
            "lever_id": "l",
            "cost": 100.0,
            "impressions": 10_000.0,
            "clicks": 200.0,
            "conversions": 10.0,
        }
    )
    made = backtest(steady, days[-1] + timedelta(days=1)).filter(
        pl.col("method").is_in(NAIVE) & (pl.col("horizon_days") == 7)
    )
    expected = {"clicks": 1400.0, "conversions": 70.0, "spend": 700.0}
    for metric, amount in expected.items():
        of_metric = made.filter(pl.col("metric") == metric)
        for level in QUANTILES:
            assert of_metric[level].to_numpy() == pytest.approx(amount)
        assert of_metric["crps"].to_numpy() == pytest.approx(0.0, abs=1e-9)


def test_crps_sees_every_draw_and_of_a_single_number_is_its_error(forecasts: pl.DataFrame) -> None:
    rows = forecasts.with_columns(error=(pl.col("actual") - pl.col("p50")).abs())
    point = rows.filter((pl.col("method") == "triangular") & (pl.col("metric") == "spend"))
    assert point["crps"].to_list() == pytest.approx(point["error"].to_list())
    # A law that has spread loses less than its median alone, on average over what comes.
    spread = rows.join(point, on=["method", "metric"], how="anti").group_by("method", "metric")
    assert spread.agg(pl.col("crps").mean() < pl.col("error").mean())["crps"].all()


def test_coverage_by_traffic_adds_up_to_the_coverage_of_all(forecasts: pl.DataFrame) -> None:
    scores = score(forecasts, date(2026, 3, 1))
    quartiles = scores.select(pl.col("^coverage_traffic_q[1-4]$"))
    # 10 levers at 4 or 5 origins: the quartiles are equally large, or differ by one forecast.
    assert quartiles.mean_horizontal().to_numpy() == pytest.approx(scores["coverage"].to_numpy(), abs=0.02)
    assert (quartiles.max_horizontal() > quartiles.min_horizontal()).any()
    ours, classic = (
        scores.filter(pl.col("method") == name).sort("metric", "horizon_days")
        for name in ("aelp", "triangular")
    )
    for loss in LOSSES:
        difference = classic[f"{loss}_difference"].to_list()
        assert (classic[loss] - ours[loss]).to_list() == pytest.approx(difference)


def test_quartiles_of_traffic_go_from_the_quiet_levers_to_the_loud() -> None:
    """Forecasts miss exactly where traffic is lowest."""
    rows = pl.DataFrame(
        {
            "platform": "meta",
            "account_id": "a1",
            "metric": "clicks",
            "horizon_days": 7,
            "origin": [14] * 8 + [21] * 8,
            "series": [*range(8), *range(8)],
            "traffic": [float(level) for level in (80, 70, 60, 50, 40, 30, 20, 10)] * 2,
            "actual": [5.0] * 16,
            "p10": ([1.0] * 6 + [9.0] * 2) * 2,
            "p50": 9.0,
            "p90": 10.0,
            "crps": 1.0,
        }
    )
    made = pl.concat([rows.with_columns(method=pl.lit(method)) for method in METHODS])
    quartiles = score(made, date(2026, 3, 1)).select(pl.col("^coverage_traffic_q[1-4]$"))
    assert set(quartiles.iter_rows()) == {(0.0, 1.0, 1.0, 1.0)}


def test_what_cannot_be_scored_is_not_scored(world: Any) -> None:
    off = pl.col("date") >= world.daily["date"].min() + timedelta(days=24)
    stopped = world.daily.with_columns(
        pl.when((pl.col("lever_id") == "l000") & off).then(0.0).otherwise(name).alias(name)
        for name in ("cost", "clicks", "impressions", "conversions")
    )
    made = backtest(stopped, world.as_of_date).filter((pl.col("series") == 0) & (pl.col("method") == "aelp"))
    assert made.filter(pl.col("metric") == "clicks")["origin"].max() == 21
    # In the week after it stopped its spend is still forecast (and missed); afterwards it is known dead.
    assert made.filter(pl.col("metric") == "spend")["origin"].max() == 28


def test_nothing_to_score_gives_no_rows(world: Any) -> None:
    empty = FORECAST_ACCURACY.conform(
        forecast_accuracy(world.daily.clear(), world.as_of_date, rng=np.random.default_rng(1), **RULES)
    )
    assert empty.is_empty()
    short = world.daily.filter(pl.col("date") < world.daily["date"].min() + timedelta(days=15))
    assert backtest(short, short["date"].max() + timedelta(days=1)).is_empty()


def test_an_account_without_conversions_has_no_loss_to_share(world: Any) -> None:
    barren = world.daily.with_columns(conversions=pl.lit(0.0))
    scores = FORECAST_ACCURACY.conform(score(backtest(barren, world.as_of_date), world.as_of_date))
    conversions = scores.filter(pl.col("metric") == "conversions")
    assert conversions["pinball"].null_count() == conversions["width"].null_count() == conversions.height
    # None promised, none came: the p10 of every forecast is 0.
    assert conversions.filter(pl.col("method") == "aelp")["coverage"].min() == 1.0


def test_maturity_moves_the_first_and_last_origin(world: Any) -> None:
    made = backtest(world.daily, world.as_of_date, maturity_days=7)
    assert made.filter(pl.col("horizon_days") == 7)["origin"].unique().sort().to_list() == [21, 28, 35]
    assert made.select(pl.col(QUANTILES).is_finite().all()).row(0) == (True, True, True)


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_intervals_cover_and_beat_the_naive_methods_in_a_world_they_do_not_match(
    ad_world: Callable[..., Any], seed: int
) -> None:
    world = ad_world(seed, levers=24, days=63, drift=0.03, dispersion=2.0)
    scores = score(backtest(world.daily, world.as_of_date), world.as_of_date)
    counted = scores.filter(pl.col("metric") != "spend")
    ours = counted.filter(pl.col("method") == "aelp")
    assert ours["coverage"].is_between(0.65, 0.97).all()
    assert ours["coverage"].mean() == pytest.approx(0.8, abs=0.1)
    others = counted.filter(pl.col("method") != "aelp")
    assert (others.group_by("method").agg(pl.col("pinball_difference").sum())["pinball_difference"] > 0).all()
    assert (others.group_by("method").agg(pl.col("crps_difference").sum())["crps_difference"] > 0).all()
    # In single cells the classic method, which averages the whole past, may win where little moves.
    assert (others.filter(pl.col("method").is_in(NAIVE))["pinball_difference_high"] > 0).all()


def real_days(shared_data: Path, level: str) -> pl.DataFrame:
    """Campaign × banner arms (or campaigns) of the display set; its `revenue` is what the advertiser paid."""
    source = shared_data / "online_ad_performance" / "online_advertising_performance_apr_may.csv"
    if not source.is_file():
        pytest.skip(f"no {source.name} in the real exports")
    arm = pl.col("campaign_number") + " / " + pl.col("banner")
    return pl.read_csv(source, null_values=["#N/A"], infer_schema_length=None).select(
        date=pl.date(2020, pl.col("month").replace_strict({"April": 4, "May": 5, "June": 6}), pl.col("day")),
        platform=pl.lit("display"),
        account_id=pl.lit("online_ad_performance"),
        track=pl.lit("display"),
        lever_id=arm if level == "arm" else pl.col("campaign_number"),
        cost="revenue",
        impressions="displays",
        clicks="clicks",
        conversions=pl.col("post_click_conversions").cast(pl.Float64),
    )


@pytest.mark.real_data
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_on_real_days_coverage_is_near_80_percent_and_the_loss_is_smaller(
    shared_data: Path, seed: int
) -> None:
    daily = real_days(shared_data, "arm")
    as_of = daily["date"].max() + timedelta(days=1)
    started = time.process_time()
    scores = forecast_accuracy(daily, as_of, rng=np.random.default_rng(seed), **RULES)
    assert time.process_time() - started < 20.0
    counted = scores.filter(pl.col("metric") != "spend")
    ours = counted.filter(pl.col("method") == "aelp")
    assert (ours["coverage_low"] <= 0.8).all()
    # Conversions a week ahead are the edge: in May their rate per click rose by half within two weeks and
    # a price fell by 43 % overnight, so two of six weeks are missed; the interval ends at 0.78 to 0.81.
    edge = (pl.col("metric") == "conversions") & (pl.col("horizon_days") == 7)
    assert (ours.filter(~edge)["coverage_high"] >= 0.8).all()
    assert ours.filter(edge)["coverage_high"][0] >= 0.77
    assert ours.filter(edge)["coverage"][0] >= 0.65
    others = counted.filter(pl.col("method") != "aelp")
    assert (others["pinball_difference"] > 0).all()
    # Beyond the luck of the weeks drawn: conversions a week ahead, and clicks beside the classic method,
    # whose intervals are also wider by more than that luck.
    week = others.filter((pl.col("metric") == "conversions") & (pl.col("horizon_days") == 7))
    assert (week.filter(pl.col("method").is_in(NAIVE))["pinball_difference_low"] > 0).all()
    classic = others.filter((pl.col("method") == "triangular") & (pl.col("metric") == "clicks"))
    assert (classic["pinball_difference_low"] > 0).all()
    assert (classic["crps_difference_low"] > 0).all()
    assert (classic["width_difference_low"] > 0).all()


@pytest.mark.real_data
def test_on_real_campaigns_the_loss_is_smaller_too(shared_data: Path) -> None:
    daily = real_days(shared_data, "campaign")
    scores = forecast_accuracy(
        daily, daily["date"].max() + timedelta(days=1), rng=np.random.default_rng(1), **RULES
    )
    naive = scores.filter((pl.col("metric") != "spend") & (pl.col("method") != "aelp"))
    assert (naive["pinball_difference"] > 0).all()
