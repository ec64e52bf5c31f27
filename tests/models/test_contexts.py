"""Placements, segments, dayparts beside their lever: recovered, pooled, silent where nothing is known."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from models.arms import ArmRules, arm_faults
from models.bandits.contexts import ContextRules, context_rates, daypart
from models.context_arms import losing_contexts
from models.rewards import RewardDefinition
from resources.warehouse.tables import CONTEXT_RATES

AS_OF = date(2026, 6, 5)
LAST = AS_OF - timedelta(days=8)  # of the matured window
DAYS = 28
REWARD = RewardDefinition("test")
ACCOUNTS = pl.DataFrame(
    {"platform": ["meta"] * 2, "account_id": ["a0", "a1"], "maturity_days": [7, 7]},
)
CAPS = {"t": 120.0}
RULES = ArmRules(stop_probability=0.9, stop_spend_caps=4.0)


def rated(days: pl.DataFrame, *, accounts: pl.DataFrame = ACCOUNTS, draws: int = 960, **rules: float):
    return context_rates(
        days,
        accounts,
        as_of_date=AS_OF,
        window_days=DAYS,
        prior_conversions=2.0,
        caps=CAPS,
        reward=REWARD,
        rules=ContextRules(**rules),
        draws=draws,
        rng=np.random.default_rng(7),
    )


def context_days(rows: list[dict]) -> pl.DataFrame:
    common = {"platform": "meta", "account_id": "a0", "track": "t", "lever_id": "L", "date": LAST}
    common |= {"dimension": "placement", "breakdown": "placement", "conversions_view": 0.0}
    common |= {"impressions": 1000, "clicks": 20}
    return pl.DataFrame(
        [common | row for row in rows],
        schema_overrides={
            "cost": pl.Float64,
            "conversions_click": pl.Float64,
            "conversions_view": pl.Float64,
        },
    )


def each_day(values: dict[str, tuple[float, float | None]], **common) -> pl.DataFrame:
    """The same spend and signups of each value on every day of the window."""
    return context_days(
        [
            {"date": LAST - timedelta(days=age), "value": value, "cost": cost, "conversions_click": signups}
            | common
            for age in range(DAYS)
            for value, (cost, signups) in values.items()
        ]
    )


def world(seed: int, signups: float, restless: float = 0.0) -> tuple[pl.DataFrame, dict]:
    """Two accounts of ten levers, eight values each; the true rate of each beside its lever.

    Args:
        signups: of a lever in the window.
        restless: squared variation of a value's rate from day to day.
    """
    rng = np.random.default_rng(seed)
    values, rows, truth = 8, [], {}
    of_track = np.exp(rng.normal(0, 0.3, values))
    for account in ("a0", "a1"):
        of_account = of_track * np.exp(rng.normal(0, 0.15, values))
        for number in range(8):
            lever = f"{account}.{number}"
            theta = of_account * np.exp(rng.normal(0, 0.2, values))
            share = rng.dirichlet(np.full(values, 2.0))
            relative = theta / (share @ theta)
            truth |= {(lever, f"v{value}"): relative[value] for value in range(values)}
            for age in range(DAYS):
                cost = share * signups * 100 / DAYS * np.exp(rng.normal(0, 0.3))
                rate = relative / 100 * np.exp(rng.normal(0, 0.2))
                if restless:
                    rate = rate * rng.gamma(1 / restless, restless, values)
                bought = rng.poisson(rate * cost)
                rows += [
                    {
                        "date": LAST - timedelta(days=age),
                        "account_id": account,
                        "lever_id": lever,
                        "value": f"v{value}",
                        "cost": cost[value],
                        "conversions_click": float(bought[value]),
                    }
                    for value in range(values)
                ]
    return context_days(rows), truth


@pytest.mark.parametrize(("signups", "restless"), [(60.0, 0.0), (60.0, 1.0), (10.0, 0.0)])
def test_true_rates_lie_inside_the_intervals_as_often_as_promised_and_are_nearer_than_the_average(
    signups, restless
):
    covered, gained, flagged = [], [], []
    for seed in (1, 2, 3):
        days, truth = world(seed, signups, restless)
        rows = rated(days)
        true = np.array([truth[key] for key in rows.select("lever_id", "value").rows()])
        low, middle, high = (rows[f"relative_signups_per_dollar_p{q}"].to_numpy() for q in (10, 50, 90))
        covered.append(((low <= true) & (true <= high)).mean())
        gained.append(((np.log(middle / true)) ** 2).mean() / (np.log(true) ** 2).mean())
        by_signups = (rows["basis"] == "signups").to_numpy()
        flagged += list(true[by_signups & (rows["p_worse"].to_numpy() > 0.9)] < 0.8)
    assert 0.72 <= np.mean(covered) <= 0.92
    assert min(covered) > 0.65
    assert max(gained) < 1.0, "nearer to the truth than taking every value for average"
    assert not flagged or np.mean(flagged) > 0.75


def test_restless_days_are_seen_and_widen_what_is_said():
    steady, restless = (rated(world(1, 60.0, restless)[0]) for restless in (0.0, 3.0))
    assert steady["dispersion"].max() < 1.15 < 1.4 < restless["dispersion"].min()


def test_a_value_without_evidence_stands_at_one_and_is_called_neither_worse_nor_best():
    rows = rated(each_day({"feed": (100, 2.0), "stories": (100, 2.0), "reels": (0.1, 0.0)}))
    reels = rows.row(by_predicate=pl.col("value") == "reels", named=True)
    assert reels["relative_signups_per_dollar_p50"] == pytest.approx(1.0, abs=0.15)  # of a skewed belief
    assert reels["relative_signups_per_dollar_p10"] < 0.8 < 1.25 < reels["relative_signups_per_dollar_p90"]
    assert reels["own_weight"] < 0.02
    assert reels["p_worse"] < 0.5


def test_a_lever_that_never_sold_anything_says_nothing_of_its_values():
    rows = rated(each_day({"feed": (100, 0.0), "stories": (10, 0.0)}), fewest_signups=0.0)
    assert rows["relative_signups_per_dollar_p50"].to_list() == pytest.approx([1.0, 1.0], abs=0.1)
    assert rows["own_weight"].to_list() == [0.0, 0.0]
    assert (rows["p_cac_above_cap"] > 0.9).all()


def test_a_single_value_is_its_lever():
    rows = rated(each_day({"feed": (100, 1.0)}))
    assert rows["relative_signups_per_dollar_p10"][0] == pytest.approx(1.0)
    assert rows["relative_signups_per_dollar_p90"][0] == pytest.approx(1.0)
    assert (rows["p_worse"][0], rows["p_best"][0]) == (0.0, 1.0)


def test_a_small_lever_leans_on_its_account():
    large = each_day({"feed": (300, 6.0), "stories": (300, 1.0)}, lever_id="large")
    small = each_day({"feed": (3, 0.04), "stories": (3, 0.04)}, lever_id="small")
    alone = rated(small, fewest_signups=0.0)
    together = rated(pl.concat([large, small]), fewest_signups=0.0).filter(pl.col("lever_id") == "small")
    stories = pl.col("value") == "stories"
    assert alone.filter(stories)["relative_signups_per_dollar_p50"][0] == pytest.approx(1.0, abs=0.1)
    assert together.filter(stories)["relative_signups_per_dollar_p50"][0] < 0.7


def test_values_are_compared_on_the_same_days():
    """Stories spends on the days on which everything sells half as well: it is no worse than feed."""
    good = {"feed": (190.0, 3.8), "stories": (10.0, 0.2)}
    bad = {"feed": (10.0, 0.1), "stories": (190.0, 1.9)}
    rows = rated(
        context_days(
            [
                {
                    "date": LAST - timedelta(days=age),
                    "value": value,
                    "cost": cost,
                    "conversions_click": signups,
                }
                for age in range(DAYS)
                for value, (cost, signups) in (good if age % 2 else bad).items()
            ]
        )
    )
    assert rows["signups"][0] > 1.6 * rows["signups"][1]
    assert rows["relative_signups_per_dollar_p50"].to_list() == pytest.approx([1.0, 1.0], abs=0.05)


def test_hours_without_conversions_are_judged_by_clicks_in_dayparts_of_four():
    hours = each_day(
        {f"{hour:02d}": (10.0, None) for hour in range(24)}, dimension="daypart", breakdown="hour"
    )
    nights = pl.when(pl.col("value") < "04").then(8).otherwise("clicks").cast(pl.Int64)
    rows = rated(hours.with_columns(nights.alias("clicks")))
    assert rows["value"].to_list() == ["00-03", "04-07", "08-11", "12-15", "16-19", "20-23"]
    assert rows["basis"].unique().to_list() == ["clicks"]
    assert rows["p_worse"].to_list()[0] > 0.9 > 0.1 > max(rows["p_worse"].to_list()[1:])
    untold = ("signups", "cac_p50", "p_cac_above_cap", "relative_signups_per_dollar_p50")
    assert all(rows[name].null_count() == rows.height for name in untold)
    assert pl.select(daypart(pl.lit("23"))).item() == "20-23"


def test_the_answer_has_the_table_s_columns_and_does_not_depend_on_the_order_of_rows():
    days, _ = world(1, 20.0)
    rows = rated(days)
    assert dict(rows.schema) == dict(CONTEXT_RATES.polars_schema)
    assert rated(days.sample(fraction=1.0, shuffle=True, seed=3)).equals(rows)
    assert rows.group_by("lever_id").agg(pl.col("p_best").sum())["p_best"].to_list() == pytest.approx(
        [1.0] * 16
    )
    assert rated(days.clear()).is_empty()


def test_negative_spend_is_refused():
    with pytest.raises(ValueError, match="negative cost"):
        rated(each_day({"feed": (-1.0, 0.0)}))


# --- what is put before people --------------------------------------------------------------------------


def advised(days: pl.DataFrame, **accounts) -> pl.DataFrame:
    rates = rated(days, accounts=ACCOUNTS.with_columns(**accounts))
    return losing_contexts(rates, CAPS, RULES, probability=0.9)


LOSING = {"feed": (200.0, 4.0), "audience_network": (60.0, 0.1)}  # CAC 50 and 600, the cap is 120


def test_a_placement_that_loses_money_and_is_worse_than_its_lever_is_put_before_people():
    (row,) = advised(each_day(LOSING)).rows(named=True)
    assert (row["type"], row["arm_kind"], row["arm_id"]) == (
        "exclude_placement",
        "placement",
        "L~placement~audience_network",
    )
    assert row["advisory"]
    assert row["status"] is None
    assert "What was delivered there, not what delivering there does" in row["reason"]
    assert arm_faults(advised(each_day(LOSING))) == []


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"feed": (200.0, 0.4), "stories": (200.0, 0.4)}, "as bad as its lever"),
        ({"feed": (200.0, 8.0), "stories": (200.0, 3.0)}, "worse, and within the cap"),
        ({"feed": (200.0, 4.0), "stories": (12.0, 0.01)}, "less than four caps of spend"),
        ({"feed": (200.0, 0.02), "stories": (60.0, 0.0)}, "too few signups to judge by"),
    ],
)
def test_nothing_is_advised_of_a_value_that_is(values, why):
    assert advised(each_day(values)).is_empty(), why


@pytest.mark.parametrize(
    ("platform", "breakdown", "value", "expected"),
    [
        ("meta", "age_gender", "18-24 male", []),
        ("meta", "device", "ipad", []),
        ("google_ads", "placement", "google search", []),
        ("google_ads", "placement", "search partners", ["exclude_placement"]),
        ("google_ads", "device", "tablets", ["adjust_bid"]),
        ("google_ads", "age", "18-24", ["adjust_bid"]),
    ],
)
def test_only_what_a_person_can_do_on_the_platform_is_advised(platform, breakdown, value, expected):
    days = each_day({"good": LOSING["feed"], value: LOSING["audience_network"]}).with_columns(
        pl.lit(platform).alias("platform"), pl.lit(breakdown).alias("breakdown")
    )
    found = advised(days, platform=pl.lit(platform))
    assert found["type"].to_list() == expected
    assert all("bid adjustment of -" in reason for reason in found["reason"] if expected == ["adjust_bid"])
