from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import plausibility
from models.plausibility import AUDIT_SCHEMA, audit_accounts, first_digits, leading_digits

START = date(2026, 1, 1)


def account_days(cost, impressions, clicks, conversions=None, account="a", digits=None) -> pl.DataFrame:
    n = len(cost)
    counts = np.zeros(9) if digits is None else digits
    return pl.DataFrame(
        {
            "date": [START + timedelta(days=i) for i in range(n)],
            "platform": ["meta"] * n,
            "account_id": [account] * n,
            "rows": [1] * n,
            "impressions": np.asarray(impressions, dtype=np.int64),
            "clicks": np.asarray(clicks, dtype=np.int64),
            "cost": np.round(np.asarray(cost, dtype=float), 2),
            "conversions_click": np.zeros(n) if conversions is None else conversions,
            "conversions_view": np.zeros(n),
        }
    ).with_columns(pl.lit(int(counts[d - 1])).alias(f"cost_digit_{d}") for d in range(1, 10))


def business(seed: int, days: int, spread: float = 0.4, memory: float = 0.7) -> pl.DataFrame:
    """Spend of an AR(1) in logarithms, auction prices that wander, clicks drawn from impressions."""
    rng = np.random.default_rng(seed)
    level = np.zeros(days)
    for t in range(1, days):
        level[t] = memory * level[t - 1] + rng.normal(0, spread * np.sqrt(1 - memory**2))
    cost = 500 * np.exp(level)
    impressions = rng.poisson(cost / (8 * np.exp(rng.normal(0, 0.15, days))) * 1000)
    clicks = rng.binomial(impressions, 0.01 * np.exp(rng.normal(0, 0.1)))
    return account_days(cost, impressions, clicks, rng.binomial(clicks, 0.03))


def noise(seed: int, days: int) -> pl.DataFrame:
    """The negative control's law: every column uniform, none knowing of another."""
    rng = np.random.default_rng(seed)
    return account_days(
        rng.uniform(30, 150, days), rng.integers(1000, 3400, days), rng.integers(15, 75, days)
    )


def verdict(audits: pl.DataFrame) -> bool:
    assert audits["decision_eligible"].n_unique() == 1
    return audits["decision_eligible"][0]


def status(audits: pl.DataFrame) -> dict[str, str]:
    return dict(audits.select("check_name", "status").iter_rows())


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("days", [30, 120, 365])
def test_an_account_whose_spend_lasts_and_buys_clicks_passes(seed, days):
    audits = audit_accounts(business(seed, days))
    assert verdict(audits)
    assert status(audits)["spend_moves_with_clicks"] == "passed"


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("days", [60, 120, 365])
def test_columns_that_know_nothing_of_each_other_fail(seed, days):
    audits = audit_accounts(noise(seed, days))
    assert not verdict(audits)
    assert status(audits)["spend_moves_with_clicks"] == "failed"


@given(st.integers(0, 10_000), st.floats(0.25, 0.8), st.floats(0.5, 0.95))
def test_plausible_accounts_pass_over_a_wide_range_of_spread_and_memory(seed, spread, memory):
    assert verdict(audit_accounts(business(seed, 180, spread, memory)))


@given(st.integers(0, 10_000))
def test_a_year_of_noise_fails_whatever_its_seed(seed):
    assert not verdict(audit_accounts(noise(seed, 365)))


@given(st.integers(0, 10_000))
def test_a_real_account_with_its_spend_shuffled_fails(seed):
    days = business(7, 365)
    shuffled = days.with_columns(pl.col("cost").shuffle(seed))
    assert not verdict(audit_accounts(shuffled))


@given(st.floats(0.01, 1000.0))
def test_the_currency_does_not_matter(rate):
    days = business(3, 120)
    other = days.with_columns(pl.col("cost") * rate)
    assert verdict(audit_accounts(other)) == verdict(audit_accounts(days))


def test_the_order_of_rows_does_not_matter():
    days = business(3, 120)
    assert audit_accounts(days.sample(fraction=1, shuffle=True, seed=1)).equals(audit_accounts(days))


def test_spend_held_by_a_fixed_budget_is_not_held_against_an_account():
    rng = np.random.default_rng(1)
    impressions = business(1, 90)["impressions"].to_numpy()
    cost = rng.normal(100, 1, 90)
    audits = audit_accounts(account_days(cost, impressions, rng.binomial(impressions, 0.01)))
    assert status(audits)["spend_moves_with_clicks"] == "skipped"
    assert status(audits)["spend_persists"] != "failed"
    assert verdict(audits)


def test_one_bad_account_does_not_touch_the_others():
    good, bad = business(1, 90), noise(2, 365).with_columns(account_id=pl.lit("b"))
    audits = audit_accounts(pl.concat([good.cast(bad.schema), bad]))
    by_account = dict(audits.select("account_id", "decision_eligible").unique().iter_rows())
    assert by_account == {"a": True, "b": False}


def test_more_clicks_than_impressions_in_total_is_impossible():
    days = business(1, 90).with_columns(clicks=pl.col("impressions") * 2)
    audits = audit_accounts(days)
    assert status(audits)["ratios_possible"] == "failed"
    assert status(audits)["impossible_counts"] == "failed"
    assert not verdict(audits)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("which", [55, 70, 89], ids=["oldest", "middle", "newest"])
@pytest.mark.parametrize("wrong", [{"clicks": 1000.0}, {"clicks": 0.005}, {"cost": 100.0}], ids=str)
def test_one_day_whose_price_is_none_sets_an_account_aside(seed, which, wrong):
    audits = audit_accounts(with_day(business(seed, 90), which, **wrong))
    assert not verdict(audits)
    row = audits.row(by_predicate=pl.col("check_name") == "cost_per_click_steady", named=True)
    assert row["status"] == "failed"
    assert str(START + timedelta(days=which)) in row["detail"]


def with_day(days: pl.DataFrame, which: int, **factors: float) -> pl.DataFrame:
    told = pl.col("date") == START + timedelta(days=which)
    return days.with_columns(
        pl.when(told).then((pl.col(name) * factor).ceil()).otherwise(name).cast(days.schema[name]).alias(name)
        for name, factor in factors.items()
    )


def test_a_wrong_day_that_decisions_hardly_rest_on_any_more_is_let_be():
    assert verdict(audit_accounts(with_day(business(1, 90), 54, clicks=1000.0)))
    assert not verdict(audit_accounts(with_day(business(1, 90), 55, clicks=1000.0)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_happens_to_honest_accounts_is_no_wrong_price(seed):
    steady = business(seed, 90)
    assert verdict(audit_accounts(with_day(steady, 80, clicks=30.0))), "bots"
    paused = pl.col("date").is_between(START + timedelta(days=70), START + timedelta(days=72))
    brand_alone = steady.with_columns(cost=pl.when(paused).then(pl.col("cost") / 20).otherwise("cost"))
    assert verdict(audit_accounts(brand_alone)), "the dear campaigns paused"


def test_a_day_of_few_clicks_has_no_price_to_hold():
    days = business(1, 90)
    hardly = pl.col("date") == START + timedelta(days=80)
    one_click = {"clicks": 1, "cost": 0.001}
    few = days.with_columns(
        pl.when(hardly).then(value).otherwise(name).cast(days.schema[name]).alias(name)
        for name, value in one_click.items()
    )
    assert status(audit_accounts(few))["cost_per_click_steady"] == "passed"


def test_too_few_days_are_no_evidence_for_or_against():
    audits = audit_accounts(business(1, 10))
    assert set(status(audits).values()) <= {"skipped", "passed"}
    assert not verdict(audits)
    assert "14 are needed" in " ".join(audits["detail"])


def test_days_with_gaps_are_paired_by_date_not_by_place():
    days = business(4, 200).filter(pl.col("date").dt.weekday() <= 5)
    assert status(audit_accounts(days))["spend_persists"] == "passed"


def periods(cost, clicks, start=None) -> pl.DataFrame:
    n = len(cost)
    return pl.DataFrame(
        {
            "platform": ["kag"] * n,
            "account_id": ["k"] * n,
            "period_start": pl.Series(start if start is not None else [None] * n, dtype=pl.Date),
            "impressions": np.asarray(clicks) * 100,
            "clicks": np.asarray(clicks),
            "cost": np.asarray(cost, dtype=float),
            "conversions_click": np.zeros(n),
        }
    )


def test_an_undated_account_skips_what_needs_days_and_says_so():
    rng = np.random.default_rng(1)
    clicks = rng.poisson(rng.lognormal(2, 1, 400))
    audits = audit_accounts(pl.DataFrame(schema=business(1, 2).schema), periods(clicks * 1.5, clicks))
    persistence = audits.row(by_predicate=pl.col("check_name") == "spend_persists", named=True)
    assert persistence["status"] == "skipped"
    assert "no days" in persistence["detail"]
    assert persistence["statistic"] is None
    assert verdict(audits)


def test_weekly_periods_are_judged_in_order_of_time():
    rng = np.random.default_rng(1)
    level = np.cumsum(rng.normal(0, 0.2, 80))
    start = [START + timedelta(days=7 * i) for i in range(80)]
    lasting = audit_accounts(
        pl.DataFrame(schema=business(1, 2).schema), periods(np.exp(level), np.zeros(80, dtype=int), start)
    )
    jumping = audit_accounts(
        pl.DataFrame(schema=business(1, 2).schema),
        periods(rng.uniform(1, 9, 80), np.zeros(80, dtype=int), start),
    )
    assert status(lasting)["spend_persists"] == "passed"
    assert status(lasting)["spend_moves_with_clicks"] == "skipped"
    assert status(jumping)["spend_persists"] == "failed"
    assert verdict(lasting)
    assert not verdict(jumping)


@given(st.integers(1, 9), st.integers(-6, 8))
def test_leading_digits_are_right_at_powers_of_ten(digit, power):
    counts = leading_digits(np.array([digit * 10.0**power]))
    assert counts[digit - 1] == 1
    assert counts.sum() == 1


def test_benford_needs_rows_and_span_and_never_decides_alone():
    rng = np.random.default_rng(1)
    assert first_digits(leading_digits(rng.lognormal(2, 2, 5000))).status == "passed"
    assert first_digits(leading_digits(rng.lognormal(2, 2, 200))).status == "skipped"
    assert first_digits(leading_digits(rng.uniform(30, 69, 5000))).status == "skipped"
    uniform = np.full(9, 1000.0)
    uniform[8] = 20_000.0
    assert first_digits(uniform).status == "failed"
    audits = audit_accounts(business(1, 90).with_columns(pl.lit(5000).alias("cost_digit_9"), *[
        pl.lit(10).alias(f"cost_digit_{d}") for d in range(1, 9)
    ]))  # fmt: skip
    assert status(audits)["first_digits"] == "failed"
    assert verdict(audits)


def test_the_result_has_the_documented_columns():
    audits = audit_accounts(business(1, 30))
    assert audits.schema == AUDIT_SCHEMA
    assert set(audits["check_name"]) == set(plausibility.WEIGHTS)
    assert (
        audits.filter(pl.col("status") == "skipped").select("statistic", "threshold").null_count().row(0)
        == (audits.filter(pl.col("status") == "skipped").height,) * 2
    )
