"""CAC by three counts and the contribution margin: what each means, and how sure each is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.forecasting import METRICS, build_panel, fit_economics, fit_rates, forecast_levers
from models.quantiles import out_of_order
from models.rewards import RewardDefinition
from resources.warehouse.tables import FORECAST_RESULTS

REWARD = RewardDefinition("click1_view025_v1")
CERTAIN = RewardDefinition("certain", click_sd=0.0, view_sd=0.0)
CONTRIBUTION = {"track0": 300.0, "track1": 200.0}
AS_OF = date(2026, 6, 30)


@pytest.fixture(scope="module")
def world(ad_world: Callable[..., Any]) -> Any:
    return ad_world(5, levers=6)


def lever_days(world: Any, views_per_click: float) -> pl.DataFrame:
    return world.daily.with_columns(
        conversions_click=pl.col("conversions"), conversions_view=pl.col("conversions") * views_per_click
    )


def store(ratio: float, seed: int = 1, *, as_of: date = AS_OF, spread: float = 0.0, days: int = 56):
    """Claims of about 60 a day in track0 and the orders beside them, 14 days old and older."""
    rng = np.random.default_rng(seed)
    mean = 60.0 * rng.gamma(1 / spread**2, spread**2, days) if spread else np.full(days, 60.0)
    return pl.DataFrame(
        {
            "date": [as_of - timedelta(days=14 + age) for age in range(days)],
            "track": "track0",
            "platform_conversions_click": rng.poisson(0.7 * mean),
            "platform_conversions_view": rng.poisson(0.3 * mean),
            "backend_new_customer_orders": rng.poisson(ratio * (60.0 if spread else mean), days),
        }
    )


def economics_of(world: Any, views_per_click: float = 0.0, **changes: Any) -> Any:
    rules: dict[str, Any] = {
        "maturity_days": 14,
        "reward": REWARD,
        "contribution_per_signup": CONTRIBUTION,
    } | changes
    days, beside = lever_days(world, views_per_click), store(0.5, as_of=world.as_of_date)
    return fit_economics(days, beside, world.levers(), world.as_of_date, **rules)


def results_of(world: Any, economics: Any, **changes: Any) -> pl.DataFrame:
    levers = world.levers()
    model = fit_rates(
        build_panel(world.daily, world.as_of_date, levers=levers), maturity_days=7, elasticity=0.7
    )
    rules: dict[str, Any] = {"budget_multipliers": (0.8, 1.25), "horizon_days": 2, "draws": 960} | changes
    results = forecast_levers(
        model,
        levers,
        world.no_delivery,
        world.as_of_date,
        cac_caps={"track0": 60.0, "track1": 60.0},
        delivery_mean=0.85,
        delivery_strength=40.0,
        rng=np.random.default_rng(3),
        economics=economics,
        **rules,
    )
    return FORECAST_RESULTS.conform(results)


def middle(results: pl.DataFrame, track: str = "track0") -> pl.DataFrame:
    return results.filter(pl.col("track") == track).select(pl.col("^.*_p50$"))


def test_without_views_platforms_claim_what_is_forecast_and_the_store_books_its_share(world: Any) -> None:
    results = results_of(world, economics_of(world, reward=CERTAIN))
    assert out_of_order(results, METRICS) == 0
    found = middle(results)
    # Half an order a claim: twice the CAC. Claims without views are the forecast's own signups.
    assert (found["platform_cac_p50"] / found["cac_p50"]).to_numpy() == pytest.approx(1.0, abs=0.02)
    assert (found["backend_cac_p50"] / found["cac_p50"]).to_numpy() == pytest.approx(2.0, rel=0.06)
    assert found["incremental_cac_p50"].to_numpy() == pytest.approx(found["cac_p50"].to_numpy(), rel=0.02)


def test_views_make_the_platform_s_cac_look_better_than_what_advertising_caused(world: Any) -> None:
    results = results_of(world, economics_of(world, views_per_click=1.0), draws=4800)
    # c = v: claimed 2c, weighted 1.25c.
    found = middle(results)
    assert (found["platform_cac_p50"] / found["cac_p50"]).to_numpy() == pytest.approx(1.25 / 2, rel=0.03)
    assert (found["incremental_cac_p50"] / found["cac_p50"]).median() == pytest.approx(1.0, rel=0.04)
    # Incrementality adds its own doubt to the luck of the day.
    busy = results.drop_nulls(["cac_p90", "incremental_cac_p90"])
    wider = busy["incremental_cac_p90"] / busy["incremental_cac_p10"] > busy["cac_p90"] / busy["cac_p10"]
    assert wider.mean() > 0.8


def test_more_views_than_anyone_else_s_are_learnt_per_lever_and_little_data_stays_with_the_pool(
    world: Any,
) -> None:
    views = pl.when(pl.col("lever_id") == "l000").then(pl.col("conversions") * 4).otherwise(0.0)
    days = lever_days(world, 0.0).with_columns(conversions_view=views)
    few = pl.col("lever_id").is_in(["l001", "l003", "l005"]) | (pl.col("date") < world.as_of_date)
    economics = fit_economics(
        days.filter(few & ~pl.col("lever_id").is_in(["l002"])),
        store(0.5, as_of=world.as_of_date),
        world.levers(),
        world.as_of_date,
        maturity_days=14,
        reward=REWARD,
        contribution_per_signup=CONTRIBUTION,
    )
    share = economics.claims.with_columns(share=pl.col("views") / (pl.col("views") + pl.col("others")))
    by_lever = dict(share.select("lever_id", "share").iter_rows())
    assert by_lever["l000"] == pytest.approx(0.8, abs=0.05)
    pool = days.filter((pl.col("track") == "track0") & (pl.col("lever_id") != "l002"))
    usual = pool["conversions_view"].sum() / (pool["conversions_view"] + pool["conversions_click"]).sum()
    assert by_lever["l002"] == pytest.approx(usual, abs=0.05)
    assert by_lever["l001"] < 0.05


def test_a_track_without_orders_has_no_backend_cac_and_keeps_the_others(world: Any) -> None:
    results = results_of(world, economics_of(world))
    other = results.filter(pl.col("track") == "track1")
    assert other["backend_cac_p10"].null_count() == other.height
    assert other["platform_cac_p50"].null_count() == 0
    bare = results_of(world, None)
    for column in ("platform_cac_p50", "contribution_margin_p50"):
        assert bare[column].null_count() == bare.height
    kept = ["cac_p50", "signups_p50", "spend_p90", "p_cac_within_cap"]
    assert bare.select(kept).equals(results.select(kept)), "the counts draw from streams of their own"


def test_the_margin_is_signups_times_their_contribution_less_spend(world: Any) -> None:
    nothing, million = (
        economics_of(world, contribution_per_signup=dict.fromkeys(CONTRIBUTION, amount))
        for amount in (0.0, 1e6)
    )
    worthless, dear = results_of(world, nothing), results_of(world, million)
    assert worthless["contribution_margin_p50"].to_numpy() == pytest.approx(
        -worthless["spend_p50"].to_numpy(), rel=2e-3
    )
    assert dear["contribution_margin_p90"].to_numpy() == pytest.approx(
        1e6 * dear["signups_p90"].to_numpy(), rel=0.01, abs=2000
    )


def test_orders_per_claim_cover_the_truth_as_often_as_they_say() -> None:
    """Also where claims wobble by a third from day to day while orders do not."""
    for spread in (0.0, 0.33):
        inside = []
        for seed in range(120):
            beside = store(0.6, seed, spread=spread)
            found = fit_economics(
                NO_DAYS, beside, NO_LEVERS, AS_OF, maturity_days=14, reward=REWARD, contribution_per_signup={}
            ).orders["track0"]
            draws = np.random.default_rng(seed).gamma(found.shape, found.mean / found.shape, 1000)
            inside.append(np.quantile(draws, 0.1) <= 0.6 <= np.quantile(draws, 0.9))
        assert 0.7 <= np.mean(inside) <= 0.9, spread


NO_LEVERS = pl.DataFrame(schema=dict.fromkeys(("platform", "account_id", "track", "lever_id"), pl.String))
NO_DAYS = NO_LEVERS.with_columns(
    date=pl.lit(None, pl.Date), conversions_click=pl.lit(0.0), conversions_view=pl.lit(0.0)
)


def test_days_still_young_and_a_track_with_too_few_days_teach_nothing() -> None:
    rules: dict[str, Any] = {"maturity_days": 14, "reward": REWARD, "contribution_per_signup": {}}
    mature = store(0.6)
    young = mature.with_columns(
        pl.col("date") + timedelta(days=13), backend_new_customer_orders=pl.lit(10_000, pl.Int64)
    ).filter(pl.col("date") > AS_OF - timedelta(days=14))
    both = fit_economics(NO_DAYS, pl.concat([mature, young]), NO_LEVERS, AS_OF, **rules)
    assert both.orders == fit_economics(NO_DAYS, mature, NO_LEVERS, AS_OF, **rules).orders
    assert not fit_economics(NO_DAYS, mature.head(6), NO_LEVERS, AS_OF, **rules).orders


def test_a_track_nobody_gave_a_contribution_is_refused(world: Any) -> None:
    with pytest.raises(ValueError, match="track1"):
        economics_of(world, contribution_per_signup={"track0": 1.0})
