"""Forecasts: orientation, sums, shared draws, what is unknown stays unknown, and order never matters."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecasting import build_panel, cac_identity, fit_rates, forecast_levers, forecast_outlook
from models.forecasting.delivery import days_of_known_budget, learn_delivery
from models.forecasting.draws import clumps, dispersed
from models.forecasting.rates import Link
from models.quantiles import out_of_order, quantile_rows
from resources.warehouse.tables import FORECAST_OUTLOOK, FORECAST_RESULTS

CAPS = {"track0": 60.0, "track1": 60.0}
MINIMUM = {"track0": 50.0, "track1": 50.0}
METRICS = ["spend", "impressions", "clicks", "signups", "cac"]
DELIVERY: dict[str, Any] = {"delivery_mean": 0.85, "delivery_strength": 40.0, "draws": 400}


def fit(world: Any, levers: pl.DataFrame, daily: pl.DataFrame | None = None, maturity_days: int = 7) -> Any:
    panel = build_panel(world.daily if daily is None else daily, world.as_of_date, levers=levers)
    return fit_rates(panel, maturity_days=maturity_days, elasticity=0.7)


def results_of(
    world: Any, levers: pl.DataFrame, model: Any = None, seed: int = 7, **changes: Any
) -> pl.DataFrame:
    rules = {"budget_multipliers": (0.8, 1.0, 1.25), "horizon_days": 3, "cac_caps": CAPS} | DELIVERY | changes
    delivery = rules.pop("delivery", world.no_delivery)
    return forecast_levers(
        model or fit(world, levers),
        levers,
        delivery,
        world.as_of_date,
        rng=np.random.default_rng(seed),
        **rules,
    )


def outlook_of(
    world: Any, levers: pl.DataFrame, model: Any = None, seed: int = 7, **changes: Any
) -> pl.DataFrame:
    rules = {"outlook_days": 30, "cac_caps": CAPS, "minimum_daily_signups": MINIMUM} | DELIVERY | changes
    return forecast_outlook(
        model or fit(world, levers),
        levers,
        world.no_delivery,
        world.as_of_date,
        rng=np.random.default_rng(seed),
        **rules,
    )


@pytest.fixture(scope="module")
def world(ad_world: Callable[..., Any]) -> Any:
    return ad_world(3, levers=12)


@pytest.fixture(scope="module")
def levers(world: Any) -> pl.DataFrame:
    return world.levers()


@pytest.fixture(scope="module")
def model(world: Any, levers: pl.DataFrame) -> Any:
    return fit(world, levers)


def test_results_are_the_table_with_every_lever_budget_and_day(
    world: Any, levers: pl.DataFrame, model: Any
) -> None:
    results = FORECAST_RESULTS.conform(results_of(world, levers, model))
    assert results.height == 12 * 3 * 3
    assert not results.select(FORECAST_RESULTS.grain).is_duplicated().any()
    assert sorted(results["target_date"].unique()) == [
        world.as_of_date + timedelta(days=day) for day in range(3)
    ]
    assert results.filter("is_current_budget")["budget"].unique().to_list() == [levers["current_budget"][0]]
    assert out_of_order(results, METRICS) == 0


def test_the_good_end_of_cac_is_its_tenth_percentile(world: Any, levers: pl.DataFrame, model: Any) -> None:
    results = results_of(world, levers, model).filter("is_current_budget")
    finite = results.drop_nulls("cac_p90")
    assert (finite["cac_p10"] < finite["cac_p90"]).all()
    # p_cac_within_cap is a probability of the same draws: a cap at the median is met half the time.
    lever = finite.row(0, named=True)
    capped = results_of(world, levers, model, cac_caps=dict.fromkeys(CAPS, lever["cac_p50"])).filter(
        (pl.col("lever_id") == lever["lever_id"])
        & (pl.col("target_date") == lever["target_date"])
        & pl.col("is_current_budget")
    )
    assert capped["p_cac_within_cap"][0] == pytest.approx(0.5, abs=0.05)


def test_more_budget_spends_more_and_buys_dearer_signups(
    world: Any, levers: pl.DataFrame, model: Any
) -> None:
    results = results_of(world, levers, model, budget_multipliers=(0.5, 1.0, 2.0), draws=2000)
    for _, lever in results.sort("budget").group_by("lever_id", "target_date", maintain_order=True):
        for metric in ("spend", "impressions", "clicks", "signups"):
            for level in ("p10", "p50", "p90"):
                values = lever[f"{metric}_{level}"].to_numpy()
                assert (np.diff(values) >= 0).all(), (metric, level)
        ratio = lever["clicks_p50"].to_numpy() / lever["spend_p50"].to_numpy()
        assert (np.diff(ratio) <= 1e-9).all()


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_forecast_medians_recover_the_true_rates(ad_world: Callable[..., Any], seed: int) -> None:
    # No drift, so the truth today is the truth of the world; its own usual spend as budget.
    world = ad_world(seed, levers=16, days=90, drift=0.0, shock=0.05)
    usual = world.daily.group_by("lever_id").agg(pl.col("cost").tail(28).mean()).sort("lever_id")["cost"]
    levers = world.levers().with_columns(
        pl.Series("current_budget", (usual / 0.85).round(2)).cast(pl.Decimal(38, 9))
    )
    results = (
        results_of(world, levers, horizon_days=1, draws=2000).filter("is_current_budget").sort("lever_id")
    )
    found = results["clicks_p50"].to_numpy() / results["spend_p50"].to_numpy()
    assert np.median(np.abs(np.log(found / world.clicks_per_dollar))) < 0.08
    truth = world.clicks_per_dollar * world.conversions_per_click * results["spend_p50"].to_numpy()
    busy = truth >= 5
    assert np.median(np.abs(np.log(results["signups_p50"].to_numpy()[busy] / truth[busy]))) < 0.25
    for low, high, actual in (("signups_p10", "signups_p90", truth),):
        inside = (results[low].to_numpy() <= actual) & (actual <= results[high].to_numpy())
        assert inside.mean() > 0.75


def test_delivery_starts_at_85_percent_and_is_learnt(world: Any, levers: pl.DataFrame, model: Any) -> None:
    week: dict[str, Any] = {"draws": 4000, "horizon_days": 7}  # weekdays even out
    prior = results_of(world, levers, model, **week).filter("is_current_budget")
    assert prior["spend_p50"].mean() == pytest.approx(0.85 * 200.0, rel=0.01)
    half = pl.DataFrame(
        {
            "date": [world.as_of_date - timedelta(days=day) for day in range(1, 61)],
            "platform": "meta",
            "account_id": "a1",
            "lever_id": "l000",
            "budget": 100.0,
            "cost": 50.0,
        }
    )
    learnt = results_of(world, levers, model, **week, delivery=half).filter("is_current_budget")
    by_lever = learnt.group_by("lever_id").agg(pl.col("spend_p50").mean()).sort("lever_id")["spend_p50"]
    assert by_lever[0] < 0.6 * 200.0
    # One lever that stands still has a reason of its own: the others are believed to do a little worse.
    assert 0.75 * 200.0 < by_lever[1] < 0.82 * 200.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_days_above_their_budget_are_learnt_and_forecast(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lever, day = np.meshgrid(np.arange(12), np.arange(10), indexing="ij")
    own, around = rng.normal(0.0, 0.04, 12), rng.normal(0.0, 0.08, (12, 17))
    weekdays = np.tile(np.log([1.05, 1.05, 1.05, 1.0, 0.95, 0.95, 0.95]), (12, 1))
    dates = [date(2026, 6, 1) + timedelta(days=each) for each in range(17)]
    told = 0.97 * np.exp(own[:, None] + around + weekdays[:, [each.weekday() for each in dates]])
    days = pl.DataFrame(
        {
            "lever": lever.ravel(),
            "date": [dates[each] for each in day.ravel()],
            "budget": 100.0,
            "cost": 100.0 * told[:, :10].ravel(),
        }
    )
    belief = learn_delivery(days, weekdays, mean=0.85, strength=40.0)
    assert np.exp(belief.mean).mean() == pytest.approx(np.exp(np.log(0.97) + own).mean(), abs=0.02)
    spread = np.sqrt(belief.common_sd**2 + belief.own_sd**2 + belief.day_sd**2)[:, None]
    coming = np.log(told[:, 10:]) - weekdays[:, [each.weekday() for each in dates[10:]]]
    inside = np.abs(coming - belief.mean[:, None]) < 1.2816 * spread
    assert 0.7 < inside.mean() < 0.95


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_few_days_far_off_do_not_widen_the_interval_of_the_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    log_share = rng.normal(np.log(0.95), 0.08, (30, 35))
    log_share -= 0.8 * (rng.random(log_share.shape) < 0.04)
    lever, day = np.meshgrid(np.arange(30), np.arange(28), indexing="ij")
    days = pl.DataFrame(
        {
            "lever": lever.ravel(),
            "date": [date(2026, 6, 1) + timedelta(days=int(each)) for each in day.ravel()],
            "budget": 100.0,
            "cost": 100.0 * np.exp(log_share[:, :28].ravel()),
        }
    )
    belief = learn_delivery(days, np.zeros((30, 7)), mean=0.85, strength=40.0)
    spread = np.sqrt(belief.common_sd**2 + belief.own_sd**2 + belief.day_sd**2)[:, None]
    inside = np.abs(log_share[:, 28:] - belief.mean[:, None]) < 1.2816 * spread
    assert 0.72 < inside.mean() < 0.88


def test_a_first_snapshot_tells_of_the_days_since_its_last_edit() -> None:
    lever = {"platform": "meta", "account_id": "a1", "lever_id": "l1"}
    days = pl.DataFrame(
        [{**lever, "date": date(2026, 6, day), "cost": 0.0 if day == 15 else 90.0} for day in range(1, 22)]
    )
    seen = {
        "status": "active",
        "current_budget": 100.0,
        "last_edited_at": datetime(2026, 6, 11, 23, tzinfo=UTC),
    }

    def known(**first: Any) -> list[int]:
        rows = [lever | seen | {"date": date(2026, 6, day)} for day in (20, 21)]
        found = days_of_known_budget(pl.DataFrame([rows[0] | first, rows[1]]), days)
        assert (found["budget"] == 100.0).all()
        return sorted(found["date"].dt.day().to_list())

    assert known() == [13, 14, 16, 17, 18, 19, 20, 21]
    assert known(last_edited_at=None) == [20, 21]
    assert 20 not in known(status="paused")


def test_nothing_known_of_delivery_is_the_prior() -> None:
    none = pl.DataFrame(
        schema={"lever": pl.UInt32, "date": pl.Date, "budget": pl.Float64, "cost": pl.Float64}
    )
    belief = learn_delivery(none, np.zeros((3, 7)), mean=0.85, strength=40.0)
    assert np.exp(belief.mean) == pytest.approx(0.85)
    assert belief.common_sd**2 + belief.own_sd**2 == pytest.approx(0.15 / (0.85 * 41))


def test_a_declared_budget_is_forecast_from_spend_itself(world: Any) -> None:
    spent = world.daily.group_by("lever_id").agg(pl.col("cost").tail(7).mean()).sort("lever_id")["cost"]
    levers = world.levers(source="declared").with_columns(
        pl.Series("current_budget", spent.round(2)).cast(pl.Decimal(38, 9))
    )
    results = results_of(world, levers).filter("is_current_budget")
    ratio = (
        results.sort("lever_id", "target_date")["spend_p50"].to_numpy().reshape(12, 3).mean(axis=1)
        / spent.to_numpy()
    )
    assert np.median(ratio) == pytest.approx(1.0, abs=0.15)


def test_the_order_of_rows_does_not_matter(world: Any, levers: pl.DataFrame) -> None:
    first = results_of(world, levers)
    month = outlook_of(world, levers)
    for seed in (1, 2, 3):
        shuffled = world.daily.sample(fraction=1.0, shuffle=True, seed=seed)
        mixed = levers.sample(fraction=1.0, shuffle=True, seed=seed)
        model = fit(world, mixed, shuffled)
        assert results_of(world, mixed, model).equals(first)
        assert outlook_of(world, mixed, model).equals(month)


def test_outlook_is_the_table_and_its_means_add_up(world: Any, levers: pl.DataFrame, model: Any) -> None:
    outlook = FORECAST_OUTLOOK.conform(outlook_of(world, levers, model))
    assert outlook.height == 3 * 31
    assert out_of_order(outlook, ["spend", "signups", "cac"]) == 0
    for measure in ("spend_mean", "signups_mean"):
        by_track = outlook.pivot(on="track", index=["horizon", "target_date"], values=measure)
        assert by_track["combined"].to_numpy() == pytest.approx(
            (by_track["track0"] + by_track["track1"]).to_numpy(), rel=1e-12
        )
        days = outlook.filter(pl.col("horizon") == "day").group_by("track").agg(pl.col(measure).sum())
        totals = outlook.filter(pl.col("horizon") == "total").select("track", total=measure)
        both = days.join(totals, on="track")
        assert both["total"].to_numpy() == pytest.approx(both[measure].to_numpy(), rel=1e-12)
    combined = outlook.filter(pl.col("track") == "combined")
    assert combined["p_cac_within_cap"].null_count() == combined["p_meets_minimum"].null_count() == 31


@pytest.mark.parametrize("world_seed", [3, 4, 5])
def test_no_single_draw_rules_the_mean(ad_world: Callable[..., Any], world_seed: int) -> None:
    # After 20 days rates are wide; unbounded t tails gave a month's mean 1.4 to 1.5 times its median here.
    young = ad_world(world_seed, levers=12, days=20)
    model = fit(young, young.levers())
    for seed in range(20):
        month = outlook_of(young, young.levers(), model, seed, draws=2000)
        total = month.filter(pl.col("horizon") == "total")
        for measure in ("spend", "signups"):
            assert (total[f"{measure}_mean"] < 1.2 * total[f"{measure}_p50"]).all(), (seed, measure)


def test_totals_are_joint_draws_wider_than_independence_and_narrower_than_added_quantiles(
    world: Any, levers: pl.DataFrame, model: Any
) -> None:
    outlook = outlook_of(world, levers, model, draws=3000)
    total = outlook.filter(pl.col("horizon") == "total").sort("track")
    width = dict(zip(total["track"], total["signups_p90"] - total["signups_p10"], strict=True))
    days = outlook.filter((pl.col("horizon") == "day") & (pl.col("track") == "track0"))
    daily = (days["signups_p90"] - days["signups_p10"]).to_numpy()
    assert np.sqrt((daily**2).sum()) < width["track0"] < daily.sum()
    assert width["combined"] < width["track0"] + width["track1"]


def test_the_outlook_sees_the_same_draws_as_the_lever_forecast(world: Any, model: Any) -> None:
    levers = world.levers()
    one = levers.with_columns(
        pl.when(pl.col("lever_id") == "l000")
        .then("current_budget")
        .otherwise(pl.lit(0))
        .alias("current_budget")
    )
    alone = results_of(world, one, model, draws=1000).filter(
        (pl.col("lever_id") == "l000") & pl.col("is_current_budget")
    )
    month = outlook_of(world, one, model, draws=1000).filter(
        (pl.col("track") == "track0") & (pl.col("horizon") == "day")
    )
    assert month.head(3)["spend_p50"].to_list() == pytest.approx(alone["spend_p50"].to_list(), rel=1e-6)
    assert month.head(3)["spend_p10"].to_list() == pytest.approx(alone["spend_p10"].to_list(), rel=1e-6)


def test_a_lever_without_budget_buys_nothing_and_meets_no_cap(world: Any, model: Any) -> None:
    results = results_of(world, world.levers("0.00"), model)
    assert results.height == 12 * 3  # every multiple of nothing is the same budget
    assert results["is_current_budget"].all()
    assert results["spend_p90"].sum() == results["signups_p90"].sum() == 0.0
    assert results["cac_p10"].null_count() == results.height
    assert results["p_cac_within_cap"].sum() == 0.0


def test_a_new_lever_starts_at_its_track(ad_world: Callable[..., Any]) -> None:
    world = ad_world(3, levers=12)
    stranger = world.levers().head(1).with_columns(pl.lit("new").alias("lever_id"))
    levers = pl.concat([world.levers(), stranger])
    results = results_of(world, levers, horizon_days=1, draws=2000).filter("is_current_budget")
    new = results.filter(pl.col("lever_id") == "new").row(0, named=True)
    peers = results.filter((pl.col("track") == "track0") & (pl.col("lever_id") != "new"))
    per_dollar = peers["clicks_p50"] / peers["spend_p50"]
    assert per_dollar.min() < new["clicks_p50"] / new["spend_p50"] < per_dollar.max()
    width = np.log(new["clicks_p90"] / new["clicks_p10"])
    assert width > np.log((peers["clicks_p90"] / peers["clicks_p10"]).to_numpy()).max()


def test_an_arm_without_conversions_is_pooled_not_hopeless(ad_world: Callable[..., Any]) -> None:
    world = ad_world(4, levers=12)
    barren = world.daily.with_columns(
        pl.when(pl.col("lever_id") == "l001").then(0.0).otherwise("conversions").alias("conversions")
    )
    levers = world.levers()
    results = results_of(world, levers, fit(world, levers, barren), horizon_days=1, draws=2000)
    arm = results.filter((pl.col("lever_id") == "l001") & pl.col("is_current_budget")).row(0, named=True)
    peers = results.filter(
        (pl.col("track") == "track1") & (pl.col("lever_id") != "l001") & pl.col("is_current_budget")
    )
    assert 0.0 <= arm["signups_p50"] < peers["signups_p50"].median()
    assert arm["cac_p90"] is None
    assert 0.0 <= arm["p_cac_within_cap"] < 0.5


def test_nothing_known_of_conversions_is_null_not_zero(world: Any, levers: pl.DataFrame) -> None:
    immature = fit(world, levers, maturity_days=90)
    results = results_of(world, levers, immature)
    assert results["signups_p50"].null_count() == results["p_cac_within_cap"].null_count() == results.height
    assert results["spend_p50"].null_count() == results["clicks_p50"].null_count() == 0
    outlook = outlook_of(world, levers, immature, outlook_days=7)
    assert outlook["signups_mean"].null_count() == outlook.height
    assert outlook["spend_mean"].null_count() == 0


def test_no_levers_no_rows(world: Any, levers: pl.DataFrame, model: Any) -> None:
    none = levers.clear()
    assert FORECAST_RESULTS.conform(results_of(world, none, model)).is_empty()
    assert FORECAST_OUTLOOK.conform(outlook_of(world, none, model)).is_empty()
    empty = fit_rates(build_panel(world.daily.clear(), world.as_of_date), maturity_days=7, elasticity=0.7)
    assert empty.series.is_empty()


def test_levers_without_any_history_at_all_still_get_their_spend(world: Any, levers: pl.DataFrame) -> None:
    results = results_of(world, levers, fit(world, levers, world.daily.clear()))
    assert results["spend_p50"].null_count() == 0
    assert results["clicks_p50"].null_count() == results.height


def test_immature_conversions_do_not_touch_the_forecast(world: Any, levers: pl.DataFrame) -> None:
    recent = pl.col("date") > world.as_of_date - timedelta(days=7)
    tampered = world.daily.with_columns(
        pl.when(recent).then(pl.col("conversions") * 9).otherwise("conversions").alias("conversions")
    )
    assert results_of(world, levers, fit(world, levers, tampered)).equals(results_of(world, levers))


def test_what_happens_from_the_as_of_day_on_is_never_used(world: Any, levers: pl.DataFrame) -> None:
    later = world.daily.tail(5).with_columns(date=pl.lit(world.as_of_date), cost=pl.lit(1e6))
    assert results_of(world, levers, fit(world, levers, pl.concat([world.daily, later]))).equals(
        results_of(world, levers)
    )


def test_the_cac_identity_ties_rates_to_the_outlook(ad_world: Callable[..., Any]) -> None:
    world = ad_world(5, levers=12, days=90, drift=0.0, shock=0.05, elasticity=1.0)
    usual = world.daily.group_by("lever_id").agg(pl.col("cost").tail(28).mean()).sort("lever_id")["cost"]
    levers = world.levers().with_columns(
        pl.Series("current_budget", (usual / 0.85).round(2)).cast(pl.Decimal(38, 9))
    )
    sums = world.daily.group_by("track").agg(pl.col("cost", "impressions", "clicks", "conversions").sum())
    baselines = sums.select(
        "track",
        placement=pl.lit("all"),
        weighting=pl.lit("spend"),
        cpm=1000 * pl.col("cost") / pl.col("impressions"),
        ctr=pl.col("clicks") / pl.col("impressions"),
        cvr=pl.col("conversions") / pl.col("clicks"),
    )
    outlook = outlook_of(world, levers, draws=1000)
    assert cac_identity(baselines, outlook)["relative_gap"].abs().max() < 0.15
    ten_fold = baselines.with_columns(pl.col("cvr") / 10)
    assert cac_identity(ten_fold, outlook)["relative_gap"].abs().min() > 0.8


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("mean", "dispersion"), [(0.3, 1.0), (4.0, 2.5), (4.0, 0.4), (900.0, 1.7)])
def test_counting_noise_has_the_mean_and_variance_it_claims(
    seed: int, mean: float, dispersion: float
) -> None:
    draws = dispersed(
        np.full((1, 200_000), mean, dtype=np.float32), np.array([dispersion]), np.random.default_rng(seed)
    )
    assert draws.mean() == pytest.approx(mean, rel=0.02)
    assert draws.var() == pytest.approx(dispersion * mean, rel=0.05)
    assert draws.min() >= 0
    clumped = clumps(
        np.full((1, 200_000), mean, dtype=np.float32), np.array([dispersion]), np.random.default_rng(seed)
    )
    assert clumped.mean() == pytest.approx(mean, rel=0.02)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(0, 1e6) | st.just(float("inf")), min_size=1, max_size=60),
)
def test_quantiles_are_ordered_and_mean_what_they_say(values: list[float]) -> None:
    draws = np.array([values])
    low, middle, high = quantile_rows(draws)[0]
    assert low <= middle <= high
    for level, quantile in ((0.1, low), (0.5, middle), (0.9, high)):
        assert (draws <= quantile).mean() >= level


@settings(max_examples=8, deadline=None)
@given(
    budgets=st.lists(st.integers(0, 500_000), min_size=12, max_size=12),
    multipliers=st.lists(st.floats(0.05, 5.0), min_size=1, max_size=4),
)
def test_any_budgets_give_ordered_quantiles_probabilities_and_monotone_spend(
    world: Any, levers: pl.DataFrame, model: Any, budgets: list[int], multipliers: list[float]
) -> None:
    funded = levers.with_columns(
        pl.Series("current_budget", [cents / 100 for cents in budgets]).cast(pl.Decimal(38, 9))
    )
    results = FORECAST_RESULTS.conform(
        results_of(world, funded, model, budget_multipliers=multipliers, draws=200, horizon_days=1)
    )
    assert out_of_order(results, METRICS) == 0
    assert results["p_cac_within_cap"].is_between(0.0, 1.0).all()
    ordered = results.sort("lever_id", "budget")
    steps = ordered.select(pl.col("spend_p10", "spend_p50", "spend_p90").diff().over("lever_id")).drop_nulls()
    assert all((column >= -1e-6).all() for column in steps)
    assert (results["spend_p90"] <= results["budget"].cast(pl.Float64) * 1.0001).all()


def test_faulty_input_is_refused_by_name(world: Any, levers: pl.DataFrame, model: Any) -> None:
    with pytest.raises(ValueError, match="no CAC cap for the tracks"):
        results_of(world, levers, model, cac_caps={"track0": 1.0})
    with pytest.raises(ValueError, match="multipliers must be positive"):
        results_of(world, levers, model, budget_multipliers=(0.0, 1.0))
    with pytest.raises(ValueError, match="appear once"):
        results_of(world, pl.concat([levers, levers]), model)
    with pytest.raises(ValueError, match="not in the fitted panel"):
        results_of(world, levers.with_columns(pl.lit("x").alias("lever_id")).head(1), model)
    with pytest.raises(ValueError, match="forecasts from"):
        forecast_levers(
            model,
            levers,
            world.no_delivery,
            date(2020, 1, 1),
            cac_caps=CAPS,
            budget_multipliers=(1.0,),
            horizon_days=1,
            rng=np.random.default_rng(1),
            **DELIVERY,
        )
    with pytest.raises(ValueError, match="negative or non-finite"):
        build_panel(world.daily.with_columns(cost=-1.0), world.as_of_date)
    with pytest.raises(ValueError, match="lack the columns"):
        build_panel(world.daily.drop("clicks"), world.as_of_date)


def test_drawing_is_fast_enough_for_a_morning(ad_world: Callable[..., Any]) -> None:
    world = ad_world(6, levers=64)
    levers = world.levers()
    model = fit(world, levers)
    started = time.process_time()
    results_of(
        world, levers, model, budget_multipliers=(0.8, 0.95, 1.0, 1.05, 1.1, 1.25), horizon_days=7, draws=2000
    )
    rate = 64 * 6 * 7 * 2000 / (time.process_time() - started)
    assert rate > 2e6, f"{rate:,.0f} draws a second of CPU"  # about 14 million on an idle core


def test_series_answer_to_spend_as_the_curve_of_their_cluster_says(ad_world: Callable[..., Any]) -> None:
    world = ad_world(5, levers=8, days=60, spend=4000.0)
    panel = build_panel(world.daily, world.as_of_date)
    rules: dict[str, Any] = {"maturity_days": 0, "elasticity": 0.7}
    keys = panel.series.select("platform", "account_id", "lever_id")
    curves = keys.head(6).with_columns(
        cluster=pl.Series(["steep", "flat"] * 3), elasticity_mean=pl.Series([0.9, 0.4] * 3)
    )
    plain, curved = fit_rates(panel, **rules), fit_rates(panel, **rules, curves=curves)
    assert curved.elasticity[:6] == pytest.approx([0.9, 0.4] * 3)
    assert (
        np.ptp(curved.elasticity[6:]) == 0
    )  # those without a curve learn from what is left of their account
    assert 0.4 < curved.elasticity[6] < 0.9
    assert (curved.slopes <= 0).all()
    clicks = curved.slopes[Link.CLICKS]
    assert clicks[1] == clicks[3] == clicks[5] != clicks[6]
    levers, flat = world.levers("4000.00"), panel.series["lever_id"][1]
    wanted = {name: plain if name == "plain" else curved for name in ("plain", "curved")}
    gain = {}
    for name, model in wanted.items():
        rows = results_of(world, levers, model).filter(pl.col("lever_id") == flat)
        first = rows.filter(pl.col("target_date") == pl.col("target_date").min()).sort("budget")
        gain[name] = first["signups_p50"][-1] / first["signups_p50"][0]
    assert gain["curved"] < gain["plain"]


def test_scores_move_what_a_lever_starts_from_and_its_own_days_take_over(
    ad_world: Callable[..., Any],
) -> None:
    world = ad_world(6, levers=8, days=60, spend=4000.0)
    levers = world.levers("4000.00")
    # One lever ran, the other was set up this morning.
    old, new = levers["lever_id"].sort().head(2)
    daily = world.daily.filter(pl.col("lever_id") != new)
    panel = build_panel(daily, world.as_of_date, levers=levers)
    promised = levers.filter(pl.col("lever_id").is_in([old, new])).select(
        "platform", "account_id", "lever_id", ctr_multiplier=pl.lit(1.5), cvr_multiplier=pl.lit(0.8)
    )
    rules: dict[str, Any] = {"maturity_days": 7, "elasticity": 0.7}
    plain, scored = fit_rates(panel, **rules), fit_rates(panel, **rules, multipliers=promised)
    rows = {name: panel.series["lever_id"].to_list().index(name) for name in (old, new)}
    moved = {
        link: scored.levels[link].log_rate - plain.levels[link].log_rate
        for link in (Link.SPEND, Link.IMPRESSIONS, Link.CLICKS, Link.SIGNUPS)
    }
    assert moved[Link.CLICKS][rows[new]] == pytest.approx(np.log(1.5), abs=0.1)
    assert moved[Link.SIGNUPS][rows[new]] == pytest.approx(np.log(0.8), abs=0.1)
    assert abs(moved[Link.CLICKS][rows[old]]) < 0.05
    assert not moved[Link.SPEND].any()
    assert not moved[Link.IMPRESSIONS].any()
    told = results_of(world, levers, scored).group_by("lever_id").agg(pl.col("score_multiplier").unique())
    said = dict(told.select("lever_id", pl.col("score_multiplier").list.first()).iter_rows())
    assert said[new] == said[old] == pytest.approx(1.2)
    assert set(said.values()) - {said[new]} == {1.0}
