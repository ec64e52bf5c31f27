"""Arms without a budget of their own: switched or tested on their own evidence, and never given money."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from models.arms import TYPES, ArmRules, arm_faults, decide_arms
from models.rewards import RewardDefinition
from resources.warehouse.tables import ARM_DECISIONS

AS_OF = date(2026, 6, 30)
MONEY = pl.Decimal(38, 9)
ACCOUNTS = pl.DataFrame({"platform": ["meta"], "account_id": ["a1"], "maturity_days": [7]})
RULES = ArmRules(stop_probability=0.9, stop_spend_caps=4.0)
NO_TESTS = pl.DataFrame(
    schema={
        **dict.fromkeys(("platform", "account_id", "ad_id"), pl.String),
        "impressions": pl.Int64,
        "unique_link_clicks": pl.Float64,
        "p_ctr_below": pl.Float64,
        "clears_in": pl.String,
        "fails": pl.Boolean,
    }
)


def arm(
    name, *, status="active", spend=100, sales=1.0, clicks=100, shown=10_000, lever="L", kind="ad", **other
):
    """An arm with so much of everything on each of 28 days, all but the `unread` ages read matured."""
    return (
        {"arm_id": name, "status": status, "lever_id": lever, "arm_kind": kind}
        | other
        | {"daily": (spend, sales, clicks, shown)}
    )


def decided(*arms, tests=NO_TESTS, rules=RULES, seed=1):
    common = {"platform": "meta", "account_id": "a1", "track": "security"}
    names = ("arm_id", "status", "lever_id", "arm_kind")
    frame = pl.DataFrame(
        [
            common
            | {name: one[name] for name in names}
            | {"lever_source": one.get("source", "platform"), "arm_name": f"name of {one['arm_id']}"}
            for one in arms
        ],
        schema_overrides={"status": pl.String},
    )
    days = pl.DataFrame(
        [
            {"platform": "meta", "account_id": "a1"}
            | {name: one[name] for name in ("arm_id", "arm_kind")}
            | {
                "date": AS_OF - timedelta(days=age),
                "cost": one["daily"][0],
                "conversions_click": one["daily"][1],
            }
            | {"conversions_view": 0, "clicks": one["daily"][2], "impressions": one["daily"][3]}
            | {"is_matured": age not in one.get("unread", ())}
            for one in arms
            for age in range(1, 40)
        ],
        schema_overrides={"conversions_click": pl.Float64},
    ).with_columns(pl.col("cost", "conversions_click", "conversions_view").cast(MONEY))
    rows = decide_arms(
        frame,
        days,
        tests,
        ACCOUNTS,
        as_of_date=AS_OF,
        window_days=28,
        prior_conversions=2.0,
        caps={"security": 240.0},
        rules=rules,
        reward=RewardDefinition("test"),
        draws=2000,
        rng=np.random.default_rng(seed),
    )
    return {row["arm_id"]: row for row in rows.iter_rows(named=True)}, rows


def test_an_arm_far_above_the_cap_is_paused_and_the_good_ones_hold():
    found, rows = decided(arm("bad", sales=0.1), arm("good", sales=1.0))
    assert (found["bad"]["type"], found["good"]["type"]) == ("pause", "hold")
    assert "P(CAC > 240)" in found["bad"]["reason"]
    assert ARM_DECISIONS.conform(rows).height == 2
    assert rows.columns == ARM_DECISIONS.column_names
    assert rows["p_best"].sum() == pytest.approx(1)
    assert arm_faults(rows) == []


def test_days_last_read_young_neither_pause_an_arm_nor_count_as_its_clicks():
    found, _ = decided(arm("away", sales=0.1, unread=range(36)), arm("good"))
    assert found["away"]["type"] == "hold"
    assert (found["away"]["spend"], found["away"]["clicks"]) == (0, 0)


def test_too_little_spend_never_pauses_and_the_last_running_arm_is_the_lever_s_to_stop():
    assert decided(arm("thin", spend=20, sales=0.0), arm("good"))[0]["thin"]["type"] == "hold"
    found, rows = decided(arm("worst", sales=0.02), arm("bad", sales=0.15), arm("off", status="paused"))
    assert {name: row["type"] for name, row in found.items()} == {
        "worst": "pause",
        "bad": "hold",
        "off": "enable",
    }
    assert "the lever's to stop" in found["bad"]["reason"]
    assert arm_faults(rows) == []


def test_an_arm_is_pooled_to_its_own_lever():
    thin = {"spend": 5, "sales": 0.0}
    found, _ = decided(
        arm("of_good", **thin, lever="G"),
        arm("good", spend=500, sales=5.0, lever="G"),
        arm("of_bad", **thin, lever="B"),
        arm("bad", spend=500, sales=0.5, lever="B"),
    )
    assert found["of_good"]["p_cac_above_cap"] < 0.5 < found["of_bad"]["p_cac_above_cap"]


def test_a_paused_arm_is_enabled_on_evidence_alone():
    found, _ = decided(
        arm("proven", status="paused"), arm("unproven", status="paused", spend=5, sales=0.5), arm("on")
    )
    assert (found["proven"]["type"], found["unproven"]["type"]) == ("enable", "hold")


def test_what_is_removed_is_left_out_and_an_unknown_switch_is_not_touched():
    found, _ = decided(arm("gone", status="removed"), arm("unknown", status=None, sales=0.01), arm("on"))
    assert "gone" not in found
    assert found["unknown"]["type"] == "hold"
    assert "not known" in found["unknown"]["reason"]


def test_two_arms_too_close_to_call_are_tested_side_by_side_within_the_lever_s_own_money():
    found, rows = decided(
        arm("a", spend=200, sales=2.0, clicks=100),
        arm("b", spend=200, sales=1.9, clicks=150),
        arm("c", sales=0.5),
    )
    tested = [row for row in found.values() if row["type"] == "split_test"]
    (test,) = tested
    design = json.loads(test["design"])
    assert sorted(design["arms"]) == ["a", "b"]
    assert design["budget_share"] == pytest.approx(0.8)
    assert design["power"] >= 0.8
    assert design["days"] in RULES.durations
    assert arm_faults(rows) == []


def test_keywords_and_settled_levers_are_not_tested():
    words = decided(arm("a", kind="keyword", clicks=100), arm("b", kind="keyword", clicks=150))[0]
    assert {row["type"] for row in words.values()} == {"hold"}
    clear = decided(arm("a", sales=2.0), arm("b", sales=0.7))[0]
    assert clear["a"]["p_best"] > 0.9
    assert {row["type"] for row in clear.values()} == {"hold"}


def test_a_test_lane_ad_nobody_clicks_is_paused_though_it_is_its_ad_set_s_only_one():
    failed = {
        "platform": "meta",
        "account_id": "a1",
        "ad_id": "t",
        "impressions": 9000,
        "unique_link_clicks": 12.0,
    }
    tests = pl.DataFrame(
        [{**failed, "p_ctr_below": 0.99, "clears_in": None, "fails": True}], schema=NO_TESTS.schema
    )
    found, rows = decided(arm("t", spend=5, sales=0.0), tests=tests)
    assert found["t"]["type"] == "pause"
    assert (
        "Fast fail: P(CTR < 0.5%) is 99% after 9,000 impressions and 12 unique link clicks"
        in found["t"]["reason"]
    )
    assert arm_faults(rows) == []


def test_declared_levers_make_advice_and_no_decision_holds_a_budget():
    found, rows = decided(arm("bad", sales=0.1, source="declared"), arm("good", source="declared"))
    assert found["bad"]["advisory"]
    assert not [name for name in rows.columns if "budget" in name]
    assert set(rows["type"]) <= set(TYPES)


def test_the_second_reading_finds_what_a_wrong_decision_does():
    _, rows = decided(arm("a", sales=2.0), arm("b", sales=0.7), arm("off", status="paused", sales=0.1))

    def said(kind: str, *, arms=("a", "b", "off"), design=None) -> str:
        here = pl.col("arm_id").is_in(list(arms))
        wrong = rows.with_columns(
            pl.when(here).then(pl.lit(kind)).otherwise("type").alias("type"), pl.lit(design).alias("design")
        )
        return "; ".join(arm_faults(wrong))

    assert "every ad of it is paused" in said("pause")
    assert "pause of an arm that is paused" in said("pause", arms=["off"])
    assert "enable of an arm that is active" in said("enable", arms=["a"])
    assert "raise is no decision about an arm" in said("raise", arms=["a"])
    assert "two running arms" in said("split_test", arms=["a"], design='{"arms": ["a", "off"]}')
    assert "two running arms" in said("split_test", arms=["a"])


def test_the_same_seed_gives_the_same_decisions():
    arms = [arm("a", sales=1.0), arm("b", sales=0.9)]
    assert decided(*arms)[1].equals(decided(*arms)[1])
