"""The response assets around the mathematics: what counts as evidence, brand search, empty mornings."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from aelp_assets.response import by_cluster, by_lever, lever_clusters, morning_curves, response
from models.response_curves import curves_of_levers
from resources.settings import PROJECT_ROOT, CalendarEvent, Settings, load_settings
from resources.warehouse.tables import DECISION_ACCOUNTS, LEVER_CLUSTERS, RESPONSE_CURVES
from tests.aelp_assets.test_forecasts import LEVER_DAYS, LEVERS

MORNING = date(2026, 6, 30)
SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")
TRAITS = dict.fromkeys(("platform", "account_id", "lever_id", "trait", "value"), pl.String)
GOOGLE = {"platform": "google_ads", "account_id": "g"}
MONEY = pl.Decimal(38, 9)


def search_account(days: int = 120) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Two search campaigns, one for the brand; budgets step up and down by a third every ten days."""
    spent, budgets, rng = [], [], np.random.default_rng(3)
    for name in ("brand", "generic"):
        for age in range(days, -1, -1):
            when = MORNING - timedelta(days=age)
            budget = 1500.0 if age // 10 % 2 else 2000.0
            lever = {**GOOGLE, "track": "security", "lever_id": name, "date": when}
            budgets.append(lever | {"lever_source": "platform", "currency": "USD", "status": "active"})
            budgets[-1] |= {"current_budget": Decimal(budget), "learning_state": "active"}
            if age:
                signups = rng.poisson(60 * (budget / 1500) ** 0.4)
                spent.append(lever | {"cost": Decimal(budget), "conversions_click": Decimal(int(signups))})
                spent[-1] |= {"conversions_view": Decimal(0)}
    traits = [
        GOOGLE | {"lever_id": name, "trait": trait, "value": value}
        for name, campaign in (
            ("brand", "US | Security | Brand Search"),
            ("generic", "US | Security | Nonbrand"),
        )
        for trait, value in (("campaign_name", campaign), ("campaign_type", "SEARCH"))
    ]
    accounts = pl.DataFrame([{**GOOGLE, "eligible": True, "maturity_days": 14}])
    money = dict.fromkeys(("cost", "conversions_click", "conversions_view"), MONEY)
    return (
        pl.DataFrame(spent, schema_overrides=money),
        pl.DataFrame(budgets, schema_overrides={"current_budget": MONEY}),
        accounts,
        pl.DataFrame(traits, schema=TRAITS),
    )


def made(settings: Settings = SETTINGS, **changes: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    days, budgets, accounts, traits = search_account()
    clusters = lever_clusters(budgets, traits, settings, MORNING)
    curves = morning_curves(
        changes.get("days", days), budgets, changes.get("accounts", accounts), clusters, settings, MORNING
    )
    return clusters, curves


def test_brand_search_has_a_curve_of_its_own_and_may_not_rise_before_an_experiment():
    clusters, curves = made()
    assert LEVER_CLUSTERS.conform(clusters).height == RESPONSE_CURVES.conform(curves).height == 2
    brand, generic = curves.sort("is_brand_search", descending=True).iter_rows(named=True)
    assert (brand["may_rise"], generic["may_rise"]) == (False, True)
    assert (brand["prior_mean"], generic["prior_mean"]) == (0.3, 0.7)
    assert generic["basis"] == "budgets"
    assert generic["elasticity_p50"] < 0.66
    assert dict(curves_of_levers(clusters, curves).select("lever_id", "may_rise").iter_rows()) == {
        "brand": False,
        "generic": True,
    }
    tested = SETTINGS.overlap.brand_search.model_copy(update={"experiment": "geo test of May 2026"})
    overlap = SETTINGS.overlap.model_copy(update={"brand_search": tested})
    assert made(SETTINGS.model_copy(update={"overlap": overlap}))[1]["may_rise"].all()


def test_only_matured_ordinary_days_of_eligible_accounts_are_evidence():
    _, whole = made()
    days, _, accounts, _ = search_account()
    young = pl.when(pl.col("date") >= MORNING - timedelta(days=14)).then(0).otherwise("conversions_click")
    assert made(days=days.with_columns(conversions_click=young.cast(MONEY)))[1].equals(whole)
    assert (
        made(accounts=accounts.with_columns(eligible=pl.lit(value=False)))[1]["basis"].unique().item()
        == "none"
    )
    sale = CalendarEvent(
        name="sale", first_day=date(2026, 4, 1), last_day=date(2026, 5, 15), track="security"
    )
    without = made(SETTINGS.model_copy(update={"events": (sale,)}))[1]
    assert (without["evidence_days"] < whole["evidence_days"]).all()


def test_search_without_any_brand_where_the_settings_name_one_is_said():
    clusters, _ = made()
    traits = search_account()[-1]
    (passed,) = by_lever(clusters, traits, SETTINGS).check_results
    assert passed.passed
    nobody = clusters.with_columns(is_brand_search=pl.lit(value=False))
    (missed,) = by_lever(nobody, traits, SETTINGS).check_results
    assert not missed.passed
    assert "None of 2 search campaigns" in str(missed.description)


def test_a_curve_without_diminishing_returns_stops_the_morning():
    _, curves = made()
    for wrong in (
        {"elasticity_p90": 1.0},
        {"elasticity_p10": 0.9},
        {"prior_share": 1.1},
        {"elasticity_p50": None},
    ):
        spoilt = curves.with_columns(
            pl.lit(value, dtype=pl.Float64).alias(name) for name, value in wrong.items()
        )
        (check,) = by_cluster(spoilt).check_results
        assert not check.passed


def test_a_morning_without_a_lever_has_no_curves_and_says_so():
    clusters, curves = response(
        dg.build_asset_context(partition_key=MORNING.isoformat()),
        pl.DataFrame(schema=LEVER_DAYS),
        pl.DataFrame(schema=LEVERS),
        pl.DataFrame(schema=DECISION_ACCOUNTS.polars_schema),
        pl.DataFrame(schema=TRAITS),
        settings=SETTINGS,
    )
    assert LEVER_CLUSTERS.conform(clusters.value).is_empty()
    assert RESPONSE_CURVES.conform(curves.value).is_empty()
    assert curves.metadata["plot"].value.startswith("![plot]")
    assert all(check.passed for each in (clusters, curves) for check in each.check_results)
