"""The context asset: nothing where nobody may be decided on, and a breakdown that lacks spend is named."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg
import polars as pl

from aelp_assets.contexts import context_rates
from resources.settings import PROJECT_ROOT, load_settings
from resources.warehouse.tables import CONTEXT_RATES, DECISION_ACCOUNTS

DAY = date(2026, 6, 30)
SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")
TRACK = next(iter(SETTINGS.tracks))
SCHEMA = {
    "date": pl.Date,
    **dict.fromkeys(("platform", "account_id", "track", "lever_id"), pl.String),
    **dict.fromkeys(("dimension", "breakdown", "value"), pl.String),
    "cost": pl.Decimal(38, 9),
    **dict.fromkeys(("impressions", "clicks"), pl.Int64),
    **dict.fromkeys(("conversions_click", "conversions_view"), pl.Decimal(38, 9)),
}


def morning(rows: list[dict], eligible: bool = True):
    account = {"as_of_date": DAY, "platform": "meta", "account_id": "a", "last_report_date": DAY}
    account |= {"maturity_days": 7, "eligible": eligible, "reason": "as the test says"}
    common = {"platform": "meta", "account_id": "a", "track": TRACK, "lever_id": "L", "impressions": 1000}
    common |= {"date": DAY - timedelta(days=9), "clicks": 20, "conversions_click": 1, "conversions_view": 0}
    return context_rates(
        dg.build_asset_context(partition_key=DAY.isoformat()),
        pl.DataFrame([common | row for row in rows], schema=SCHEMA),
        pl.DataFrame([account], schema=DECISION_ACCOUNTS.polars_schema),
        settings=SETTINGS.model_copy(update={"bandit": SETTINGS.bandit.model_copy(update={"draws": 200})}),
    )


def part(breakdown: str, value: str, cost: int, dimension: str = "segment") -> dict:
    return {"dimension": dimension, "breakdown": breakdown, "value": value, "cost": cost}


FEED = part("placement", "feed", 100, "placement")


def test_a_morning_without_an_eligible_account_has_no_context_rates_and_says_so():
    made = morning([FEED], eligible=False)
    assert CONTEXT_RATES.conform(made.value).is_empty()
    assert made.metadata["plot"].value.startswith("![plot]")
    assert all(check.passed for check in made.check_results)


def test_a_breakdown_with_less_spend_than_another_of_its_lever_is_named():
    in_order, add_up = morning([FEED, part("device", "iphone", 60)]).check_results
    assert in_order.passed
    assert not add_up.passed
    assert add_up.severity == dg.AssetCheckSeverity.WARN
    assert add_up.description == "1 breakdowns hold less spend than another of their lever: device."


def test_breakdowns_that_add_up_pass_and_rows_fit_their_table():
    made = morning([FEED, part("device", "iphone", 60), part("device", "ipad", 40)])
    assert all(check.passed for check in made.check_results)
    assert CONTEXT_RATES.conform(made.value).height == 3
