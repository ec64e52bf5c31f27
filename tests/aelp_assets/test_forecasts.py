"""The forecast assets around the mathematics: mornings without a lever, and what a person is shown."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg
import numpy as np
import polars as pl
import pytest

from aelp_assets.creative_rates import creative_rates
from aelp_assets.forecast_review import HINDCAST_DRAWS, hindcast
from aelp_assets.forecasts import by_lever, by_track, calendar, forecast, forecast_morning
from aelp_assets.response import past_curves
from models import forecasting
from resources.settings import PROJECT_ROOT, CalendarEvent, load_settings
from resources.warehouse.tables import (
    AD_SCORES,
    CREATIVE_RATES,
    DECISION_ACCOUNTS,
    FORECAST_OUTLOOK,
    FORECAST_RESULTS,
    LEVER_CLUSTERS,
    PLACEMENT_BASELINES,
    RESPONSE_CURVES,
)

DAY = date(2026, 6, 30)
LEVER_DAYS = {
    **dict.fromkeys(("platform", "account_id", "track", "lever_id"), pl.String),
    **dict.fromkeys(("impressions", "clicks"), pl.Int64),
    **dict.fromkeys(("cost", "conversions_click", "conversions_view"), pl.Decimal(38, 9)),
    "date": pl.Date,
}
DELAY = {
    **dict.fromkeys(("platform", "account_id"), pl.String),
    **dict.fromkeys(("conversions_known", "conversions_known_before"), pl.Decimal(38, 9)),
    "age": pl.Int64,
}
AGES = {"date": pl.Date, "platform": pl.String, "account_id": pl.String, "age": pl.Int64}
LEVERS = {
    **dict.fromkeys(("platform", "account_id", "track", "lever_id", "lever_level"), pl.String),
    **dict.fromkeys(("campaign_id", "entity_id", "entity_name", "lever_source", "currency"), pl.String),
    **dict.fromkeys(("budget_type", "learning_state", "status"), pl.String),
    **dict.fromkeys(("current_budget", "minimum_budget", "budget_increment"), pl.Decimal(38, 9)),
    "is_shared": pl.Boolean,
    "last_edited_at": pl.Datetime("us", "UTC"),
    "arms": pl.Int64,
    "date": pl.Date,
}
TRAITS = dict.fromkeys(("platform", "account_id", "lever_id", "trait", "value"), pl.String)
ARM_LEVERS = dict.fromkeys(("platform", "account_id", "ad_id", "creative_id", "lever_id", "track"), pl.String)
ORDERS_BESIDE_CLAIMS = {
    "date": pl.Date,
    "track": pl.String,
    **dict.fromkeys(("platform_conversions_click", "platform_conversions_view"), pl.Decimal(38, 9)),
    "backend_new_customer_orders": pl.Int64,
}


def test_a_morning_without_an_eligible_account_forecasts_nothing_and_says_so():
    results, outlook = forecast(
        dg.build_asset_context(partition_key=DAY.isoformat()),
        pl.DataFrame(schema=LEVER_DAYS),
        pl.DataFrame(schema=LEVERS),
        pl.DataFrame(schema=DECISION_ACCOUNTS.polars_schema),
        pl.DataFrame(schema=LEVER_DAYS).drop("lever_id"),
        pl.DataFrame(schema=DELAY),
        pl.DataFrame(schema=AGES),
        pl.DataFrame(schema=PLACEMENT_BASELINES.polars_schema),
        pl.DataFrame(schema=ORDERS_BESIDE_CLAIMS),
        pl.DataFrame(schema=LEVER_CLUSTERS.polars_schema),
        pl.DataFrame(schema=RESPONSE_CURVES.polars_schema),
        pl.DataFrame(schema=AD_SCORES.polars_schema),
        pl.DataFrame(schema=ARM_LEVERS),
        settings=load_settings(PROJECT_ROOT / "aelp.yaml"),
    )
    for made, table in ((results, FORECAST_RESULTS), (outlook, FORECAST_OUTLOOK)):
        assert table.conform(made.value).is_empty()
        assert made.metadata["plot"].value.startswith("![plot]")
        assert all(check.passed for check in made.check_results)


def test_the_calendar_is_cut_to_the_days_at_hand_and_those_forecast():
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    days = pl.DataFrame({"date": [date(2025, 12, 1), DAY]})
    held = [(event.name, event.first_day, event.track) for event in calendar(settings, days, DAY)]
    assert held == [
        ("black_friday", date(2025, 11, 24), None),
        ("new_year", date(2025, 12, 27), "balance"),
    ]
    assert calendar(settings, days.clear(), DAY) == []


@pytest.mark.parametrize(("apart", "passed"), [(1.9, True), (2.1, False), (1 / 2.1, False)])
def test_the_identity_speaks_of_a_broken_chain_only_where_it_found_one(apart, passed):
    outlook = pl.DataFrame(schema=FORECAST_OUTLOOK.polars_schema)
    baselines = pl.DataFrame(schema=PLACEMENT_BASELINES.polars_schema)
    columns = forecasting.cac_identity(baselines, outlook).clear(n=1)
    made = by_track(outlook, {}, columns.with_columns(relative_gap=pl.lit(apart - 1)))
    (check,) = made.check_results
    assert check.passed is passed
    assert ("broken" in (check.description or "")) is not passed


def test_quantiles_out_of_order_fail_the_forecast():
    wrong = {"spend_p10": 2.0, "spend_p50": 1.0, "spend_p90": 3.0}
    names = {"platform": "meta", "account_id": "1", "track": "balance", "lever_id": "a"}
    frame = pl.DataFrame(
        [{**names, **wrong, "target_date": DAY, "is_current_budget": True}],
        schema=FORECAST_RESULTS.polars_schema,
    )
    (check,) = by_lever(frame, {}, pl.DataFrame(schema=LEVERS)).check_results
    assert not check.passed
    assert check.description == "1 rows break p10 <= p50 <= p90."


def test_a_morning_without_an_eligible_account_has_no_creative_rates_and_says_so():
    made = creative_rates(
        dg.build_asset_context(partition_key=DAY.isoformat()),
        pl.DataFrame(schema={**LEVER_DAYS, "creative_id": pl.String, "placement": pl.String}),
        pl.DataFrame(schema=DECISION_ACCOUNTS.polars_schema),
        pl.DataFrame(schema=PLACEMENT_BASELINES.polars_schema),
        pl.DataFrame(schema=AD_SCORES.polars_schema),
        settings=load_settings(PROJECT_ROOT / "aelp.yaml"),
    )
    assert CREATIVE_RATES.conform(made.value).is_empty()
    assert made.metadata["plot"].value.startswith("![plot]")
    assert all(check.passed for check in made.check_results)


def test_a_hindcast_is_the_forecast_of_its_morning_from_what_lay_before_it():
    shipped = load_settings(PROJECT_ROOT / "aelp.yaml")
    event = CalendarEvent(name="sale", first_day=date(2026, 5, 20), last_day=date(2026, 5, 26))
    rules = shipped.forecast.model_copy(
        update={"draws": HINDCAST_DRAWS, "budget_multipliers": (1.0,), "outlook_days": 28}
    )
    settings = shipped.model_copy(update={"events": [event], "forecast": rules})
    days, levers, accounts = small_account()
    tracks = days.drop("lever_id")
    traits = pl.DataFrame(schema=TRAITS)

    def seen(settings=settings, days=days):
        found, outlook = hindcast(days, levers, accounts, days.drop("lever_id"), traits, settings, DAY)
        return found.drop("basis"), outlook.drop("basis")

    then = pl.col("date") < DAY
    before = days.filter(then), levers.filter(then), accounts
    curves = past_curves(*before, traits, settings, DAY)
    assert curves["lever_id"].to_list() == ["a"]
    results, _ = forecast_morning(*before, tracks.filter(then), settings, DAY, curves=curves)
    made, outlook = seen()
    current = results.filter("is_current_budget").rename({"as_of_date": "made_on"})
    assert made.equals(current.select(made.columns).cast(made.schema))
    since = pl.when(then).then("clicks").otherwise(pl.col("clicks") * 9)
    assert all(
        a.equals(b) for a, b in zip(seen(days=days.with_columns(clicks=since)), (made, outlook), strict=True)
    )
    unknown, _ = seen(settings.model_copy(update={"events": []}))
    assert not unknown.equals(made)  # the sale is no ordinary week


def small_account():
    """Ninety days of a lever at 100 a day, the last 15 of them after the morning; a sale doubles clicks."""
    first = DAY - timedelta(days=75)
    lever = {"platform": "meta", "account_id": "1", "track": "security", "lever_id": "a"}
    rng = np.random.default_rng(1)
    dates = [first + timedelta(days=step) for step in range(90)]
    days = [
        {
            **lever,
            "date": day,
            "impressions": 9_000,
            "clicks": int(rng.poisson(100 * (1 + sale))),
            "cost": 100,
        }
        | {"conversions_click": int(rng.poisson(5)), "conversions_view": 0}
        for day in dates
        for sale in (date(2026, 5, 20) <= day <= date(2026, 5, 26),)
    ]
    levers = [
        {**lever, "date": day, "lever_level": "adset", "lever_source": "platform", "current_budget": 100}
        | {"status": "active", "budget_type": "daily", "is_shared": False, "arms": 1, "entity_id": "a"}
        for day in dates
    ]
    verdict = {"as_of_date": DAY, "platform": "meta", "account_id": "1", "maturity_days": 7}
    return (
        pl.DataFrame(days, schema=LEVER_DAYS),
        pl.DataFrame(levers, schema=LEVERS),
        pl.DataFrame([verdict | {"eligible": True, "reason": "ok"}], schema=DECISION_ACCOUNTS.polars_schema),
    )
