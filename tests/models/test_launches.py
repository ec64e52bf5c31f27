"""Launch plans: cents that add up, one paused lever each, and nothing that has not passed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from models.guardrails import FreezeWindow
from models.launches import LaunchRules, launch_links, plan_faults, plan_launches, tracked_link
from resources.warehouse.tables import LAUNCH_PLANS

MORNING = date(2026, 6, 30)
MONEY = pl.Decimal(38, 9)
RULES = LaunchRules(
    frequency_cap=3,
    frequency_days=7,
    placements={"meta": ("facebook", "instagram", "audience_network")},
    test_excluded=("audience_network",),
    test_above_cap=0.5,
    test_minimum=Decimal(500),
    test_hour=14,
    timezone=ZoneInfo("America/New_York"),
    utm_sources={"meta": "facebook"},
    utm_mediums={"meta": "paid_social"},
)


def slate(*rows: tuple[str, str, float], platform: str = "meta") -> pl.DataFrame:
    """Creatives of one track as (id, budget, P(CAC <= cap)), best first."""
    return pl.DataFrame(
        {
            "as_of_date": [MORNING] * len(rows),
            "track": ["security"] * len(rows),
            "rank": range(1, len(rows) + 1),
            "platform": [platform] * len(rows),
            "account_id": ["a1"] * len(rows),
            "creative_id": [row[0] for row in rows],
            "role": ["explore"] * len(rows),
            "budget": pl.Series([Decimal(row[1]) for row in rows], dtype=MONEY),
            "p_best": [0.1] * len(rows),
            "p_meets_cap": [row[2] for row in rows],
            "p_one_click": [0.9] * len(rows),
        }
    )


def lever(
    campaign: str,
    level: str,
    *,
    platform="meta",
    minimum="1",
    increment="0.01",
    source="platform",
    budget="10",
):
    return {
        "date": MORNING,
        "platform": platform,
        "account_id": "a1",
        "lever_level": level,
        "lever_source": source,
        "campaign_id": campaign,
        "track": "security",
        "currency": "USD",
        "current_budget": Decimal(budget),
        "minimum_budget": None if minimum is None else Decimal(minimum),
        "budget_increment": Decimal(increment),
        "status": "active",
    }


def levers(*rows) -> pl.DataFrame:
    money = ("current_budget", "minimum_budget", "budget_increment")
    return pl.DataFrame(list(rows), schema_overrides=dict.fromkeys(money, MONEY))


LEVERS = levers(
    lever("cbo", "campaign", budget="9000"), lever("c1", "adset"), lever("c2", "adset", budget="20")
)


def creatives(*ids: str) -> pl.DataFrame:
    names = ("creative_name", "theme", "headline", "body", "call_to_action")
    return pl.DataFrame(
        [
            {
                **{"platform": "meta", "account_id": "a1", "creative_id": name},
                **dict.fromkeys(names, "text"),
                "link_url": "https://shop.example/page?size=2&utm_source=old#top",
            }
            for name in ids
        ]
    )


def planned(rows: pl.DataFrame, *, refused=(), known=LEVERS, rules=RULES):
    linked = launch_links(rows, creatives("1", "2"), known, rules)
    passed = pl.lit(True) if not refused else ~pl.col("creative_id").is_in(list(refused))
    reviews = rows.select("track", "platform", "account_id", "creative_id", passed.alias("passed"))
    plans, left_out = plan_launches(linked, reviews, known, rules)
    return plans, left_out, plan_faults(plans, left_out, rows, reviews, rules)


def test_each_creative_becomes_one_paused_ad_set_of_the_largest_campaign_that_leaves_budgets_to_ad_sets():
    plans, left_out, faults = planned(slate(("1", "120.01", 0.9), ("2", "79.99", 0.6)))
    assert LAUNCH_PLANS.conform(plans).height == 2
    assert plans.columns == LAUNCH_PLANS.column_names
    assert not faults
    assert left_out.is_empty()
    assert plans["daily_budget_cents"].to_list() == [12001, 7999]
    assert set(plans["status"]) == {"paused"}
    assert set(plans["parent_campaign_id"]) == {"c2"}
    assert plans["entity_name"].n_unique() == plans["launch_id"].n_unique() == 2
    assert set(plans["lane"]) == {"main"}
    assert plans["starts_at"][0] == datetime(2026, 7, 1, 4, tzinfo=UTC)
    assert json.loads(plans["placements"][0]) == ["facebook", "instagram", "audience_network"]
    assert plans.select("theme", "frequency_cap", "frequency_days").row(0) == ("text", 3, 7)


def test_a_link_keeps_its_own_parameters_and_gets_the_launch_s_utm():
    plans, *_ = planned(slate(("1", "120", 0.9)))
    assert plans["link"][0] == (
        "https://shop.example/page?size=2&utm_source=facebook&utm_medium=paid_social&utm_campaign=c2&utm_content=1#top"
    )
    assert tracked_link(None, {}) is None


def test_what_has_not_passed_or_was_never_reviewed_is_left_out_with_its_money():
    plans, left_out, faults = planned(slate(("1", "120", 0.9), ("2", "80", 0.9)), refused=["1"])
    assert plans["creative_id"].to_list() == ["2"]
    assert left_out.row(0)[1:3] == ("1", Decimal(120))
    assert not faults
    rows = slate(("1", "120", 0.9))
    linked = launch_links(rows, creatives("1"), LEVERS, RULES)
    nobody = rows.select(
        "track", "platform", "account_id", "creative_id", pl.lit(True).alias("passed")
    ).clear()
    assert plan_launches(linked, nobody, LEVERS, RULES)[0].is_empty()


def test_a_creative_that_would_break_the_cap_is_screened_at_14_without_the_audience_network():
    plans, left_out, faults = planned(slate(("1", "600", 0.05), ("2", "80", 0.9)))
    test, main = plans.row(0, named=True), plans.row(1, named=True)
    assert (test["lane"], main["lane"]) == ("test", "main")
    assert test["starts_at"] == datetime(2026, 6, 30, 18, tzinfo=UTC)
    assert json.loads(test["placements"]) == ["facebook", "instagram"]
    assert test["daily_budget"] == 500
    assert left_out["budget"].sum() == 100
    assert not faults


def test_tests_pool_their_money_and_those_it_does_not_pay_wait():
    rows = slate(("1", "300", 0.4), ("2", "260.5", 0.3), ("3", "40", 0.2))
    plans, left_out, faults = planned(rows)
    assert plans.select("creative_id", "daily_budget").rows() == [("1", Decimal(500))]
    assert left_out["creative_id"].to_list() == ["2", "3"]
    assert left_out["budget"].sum() == Decimal("100.5")
    assert not faults
    nothing, left_out, faults = planned(slate(("1", "300", 0.4)))
    assert nothing.is_empty()
    assert left_out["budget"].to_list() == [300]
    assert not faults


def test_a_budget_below_the_minimum_is_not_launched_and_one_between_steps_is_rounded_down():
    known = levers(lever("g", "adgroup", platform="tiktok", minimum="20", increment="1"))
    plans, left_out, faults = planned(
        slate(("1", "25.40", 0.9), ("2", "20.99", 0.9), platform="tiktok"), known=known
    )
    assert plans["daily_budget"].to_list() == [25, 20]
    assert left_out["budget"].sum() == Decimal("1.39")
    assert not faults
    plans, left_out, faults = planned(slate(("1", "19.99", 0.9), platform="tiktok"), known=known)
    assert plans.is_empty()
    assert "below the platform's minimum" in left_out["reason"][0]
    assert not faults


@pytest.mark.parametrize(
    "known",
    [
        LEVERS.clear(),
        levers(lever("x", "adset", source="declared")),
        levers(lever("x", "adset", minimum=None)),
    ],
)
def test_where_no_real_lever_or_minimum_is_known_a_launch_is_advisory(known):
    plans, *_ = planned(slate(("1", "120", 0.9)), known=known)
    assert plans["advisory"].to_list() == [True]


@pytest.mark.parametrize(
    ("window", "out"),
    [
        (FreezeWindow("sale", date(2026, 6, 30), date(2026, 6, 30)), {"1", "2"}),
        # The main lane starts with the next day, tests with this one.
        (FreezeWindow("sale", (7, 1), (7, 3)), {"1"}),
        (FreezeWindow("sale", (7, 1), (7, 3), "balance"), set()),
        (FreezeWindow("sale", (7, 2), (7, 3)), set()),
    ],
)
def test_nothing_is_planned_on_a_frozen_day_or_to_start_on_one(window, out):
    rules = replace(RULES, freeze_windows=(window,))
    plans, left, faults = planned(slate(("1", "100.00", 0.9), ("2", "500.00", 0.1)), rules=rules)
    frozen = left.filter(pl.col("reason").str.contains("nothing is launched during sale"))
    assert faults == []
    assert set(frozen["creative_id"]) == out
    assert set(plans["creative_id"]) == {"1", "2"} - out


def test_the_second_reading_finds_a_launch_in_a_freeze_window():
    rows = slate(("1", "100.00", 0.9))
    plans, left, _ = planned(rows)
    rules = replace(RULES, freeze_windows=(FreezeWindow("sale", (7, 1), (7, 3)),))
    reviews = plans.select("track", "platform", "account_id", "creative_id").with_columns(passed=True)
    (fault,) = plan_faults(plans, left, rows, reviews, rules)
    assert "during sale" in fault


def test_the_second_reading_finds_what_a_wrong_plan_does():
    rows = slate(("1", "120", 0.9), ("2", "80", 0.9))
    linked = launch_links(rows, creatives("1", "2"), LEVERS, RULES)
    reviews = rows.select("track", "platform", "account_id", "creative_id", pl.lit(True).alias("passed"))
    plans, left_out = plan_launches(linked, reviews, LEVERS, RULES)
    cent = pl.lit(Decimal("0.01")).cast(MONEY)
    wrongs = {
        "without a passed review": (plans, reviews.with_columns(pl.lit(False).alias("passed"))),
        "launched active": (plans.with_columns(pl.lit("active").alias("status")), reviews),
        "are not the slate's": (plans.head(1), reviews),
        "does not take": (plans.with_columns((pl.col("daily_budget") - cent).cast(MONEY)), reviews),
        "more than one lever": (pl.concat([plans, plans]), reviews),
    }
    assert plan_faults(plans, left_out, rows, reviews, RULES) == []
    for said, (wrong, judged) in wrongs.items():
        assert any(said in fault for fault in plan_faults(wrong, left_out, rows, judged, RULES)), said


def test_a_platform_without_a_placement_left_to_test_on_is_refused():
    with pytest.raises(ValueError, match="left for the test lane"):
        replace(RULES, placements={"meta": ("audience_network",)})
