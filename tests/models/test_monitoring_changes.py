"""Why a day differs from another: parts that add up, in either direction, at zero, and with known causes."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.monitoring import arrival, changes
from models.monitoring.changes import PARTS

MONDAY = date(2026, 6, 29)
SUNDAY = MONDAY - timedelta(days=1)
KEYS = {"platform": "meta", "account_id": "1", "track": "security"}
COUNT = st.integers(0, 40)


@st.composite
def lever_days(draw):
    """Up to four levers on two days; any of them idle, without clicks, or with conversions out of nothing."""
    rows = []
    for lever in range(draw(st.integers(1, 4))):
        for day in (SUNDAY, MONDAY):
            cost = draw(st.decimals(0, 500, places=2))
            counts = dict(zip(("impressions", "clicks"), draw(st.tuples(COUNT, COUNT)), strict=True))
            signups = draw(COUNT) / 4
            rows.append(
                {"date": day, **KEYS, "lever_id": str(lever), "cost": float(cost), **counts}
                | {"signups": signups}
            )
    share, restated = (draw(st.floats(0.2, 1.0)) for _ in range(2))
    known = pl.DataFrame(
        {"date": [SUNDAY, MONDAY], "platform": "meta", "account_id": "1"}
        | {"share": [1.0, share], "restatement": [restated, 1.0]}
    )
    return pl.DataFrame(rows), known


def explained(days, known, day=MONDAY, base=SUNDAY):
    return changes.explain_changes(days, known, comparisons={"c": (day, base)})


@settings(max_examples=30, deadline=None)
@given(lever_days())
def test_parts_add_up_to_the_cent_and_before_and_after_are_what_was_counted(case):
    days, known = case
    rows = explained(days, known)
    assert rows.filter(pl.sum_horizontal(PARTS) != pl.col("change")).is_empty()
    assert rows.filter(pl.col("after") - pl.col("before") != pl.col("change")).is_empty()
    signups = rows.filter((pl.col("metric") == "signups") & (pl.col("platform") == "all")).row(0, named=True)
    for name, day in (("before", SUNDAY), ("after", MONDAY)):
        counted = days.filter(pl.col("date") == day)["signups"].sum()
        assert float(signups[name]) == pytest.approx(counted, abs=0.005)


@settings(max_examples=20, deadline=None)
@given(lever_days())
def test_the_way_back_has_the_same_parts_with_the_other_sign(case):
    days, known = case
    there, back = explained(days, known), explained(days, known, SUNDAY, MONDAY)
    for name in PARTS:
        forth = there[name].drop_nulls().cast(pl.Float64).to_numpy()
        assert forth == pytest.approx(-back[name].drop_nulls().cast(pl.Float64).to_numpy(), abs=0.05)


factors = hnp.arrays(np.float64, (4, 3), elements=st.floats(0, 10))


@settings(max_examples=20, deadline=None)
@given(factors, factors, st.permutations(range(4)))
def test_parts_follow_their_factor_whatever_place_it_has(before, after, order):
    parts = changes.shapley_of_product(before, after)
    moved = np.prod(after, axis=0).sum() - np.prod(before, axis=0).sum()
    assert parts.sum() == pytest.approx(moved, rel=1e-9, abs=1e-6)
    shuffled = changes.shapley_of_product(before[order], after[order])
    assert shuffled == pytest.approx(parts[list(order)], rel=1e-9, abs=1e-6)


def test_a_factor_that_did_not_move_has_no_part():
    before, after = np.array([[2.0], [3.0], [5.0]]), np.array([[4.0], [3.0], [6.0]])
    parts = changes.shapley_of_product(before, after)
    assert parts[1] == 0
    # two factors that move: each gets the mean of moving first and moving last
    assert parts[0] == pytest.approx(3 * (2 * 5 + 2 * 6) / 2)


def lever(day, name="L", cost=100.0, impressions=10_000, clicks=100, signups=10.0, **more):
    row = {"date": day, **KEYS, "lever_id": name, "cost": cost, "impressions": impressions}
    return row | {"clicks": clicks, "signups": signups} | more


def parts_of(days, known=None, metric="signups"):
    empty = {"date": pl.Date, "platform": pl.String, "account_id": pl.String}
    known = (
        pl.DataFrame(schema=empty | dict.fromkeys(("share", "restatement"), pl.Float64))
        if known is None
        else known
    )
    rows = explained(pl.DataFrame(days), known)
    return rows.filter((pl.col("metric") == metric) & (pl.col("platform") == "all")).row(0, named=True)


def told(row):
    return {name: float(row[name]) for name in PARTS if row[name]}


def test_twice_the_spend_at_the_same_rates_is_all_spend_and_no_change_of_cac():
    double = lever(MONDAY, cost=200.0, impressions=20_000, clicks=200, signups=20.0)
    assert told(parts_of([lever(SUNDAY), double])) == {"spend": 10.0}
    assert told(parts_of([lever(SUNDAY), double], metric="cac")) == {}


@pytest.mark.parametrize(
    ("moved", "part"),
    [
        ({"impressions": 5_000, "clicks": 50, "signups": 5.0}, "cpm"),
        ({"clicks": 50, "signups": 5.0}, "ctr"),
        ({"signups": 5.0}, "cvr"),
    ],
)
def test_half_of_one_rate_is_all_that_rate_s(moved, part):
    days = [lever(SUNDAY), lever(MONDAY, **moved)]
    assert told(parts_of(days)) == {part: -5.0}
    assert told(parts_of(days, metric="cac")) == {part: 10.0}


def test_money_that_moves_to_a_worse_lever_is_mix():
    sunday = [lever(SUNDAY), lever(SUNDAY, "bad", signups=2.0)]
    monday = [
        lever(MONDAY, cost=50.0, impressions=5_000, clicks=50, signups=5.0),
        lever(MONDAY, "bad", cost=150.0, impressions=15_000, clicks=150, signups=3.0),
    ]
    assert told(parts_of(sunday + monday)) == {"mix": -4.0}


def test_what_has_not_arrived_is_delay_and_what_was_taken_back_is_restatement():
    known = pl.DataFrame(
        {"date": [SUNDAY, MONDAY], "platform": "meta", "account_id": "1", "share": [1.0, 0.5]}
    )
    days = [lever(SUNDAY), lever(MONDAY, signups=5.0)]
    late = known.with_columns(restatement=pl.lit(1.0))
    assert told(parts_of(days, late)) == {"delay": -5.0}
    taken = known.with_columns(share=pl.lit(1.0), restatement=pl.Series([1.25, 1.0]))
    row = parts_of([lever(SUNDAY), lever(MONDAY, signups=8.0)], taken)
    assert told(row) == {"restatement": -2.0}


def test_a_lever_that_starts_is_mix_and_signups_without_a_click_stand_apart():
    new = lever(MONDAY, "new", cost=100.0)
    row = parts_of([lever(SUNDAY), lever(MONDAY), new])
    assert told(row) == {"spend": 10.0}  # as good as the old one: only more money
    view = lever(MONDAY, "view", cost=0.0, impressions=0, clicks=0, signups=0.25)
    assert told(parts_of([lever(SUNDAY), lever(MONDAY), view])) == {"without_clicks": 0.25}


def test_a_day_without_signups_has_no_cac_and_says_so():
    row = parts_of([lever(SUNDAY), lever(MONDAY, signups=0.0)], metric="cac")
    assert row["change"] is None
    assert row["sentence"] == "Security: no CAC to compare, one of the days has no signup."


def test_the_sentence_names_the_larger_parts_largest_first():
    amounts = {name: Decimal(0) for name in ("before", "after", "change", *PARTS)}
    amounts |= {"before": Decimal(112), "after": Decimal(98), "change": Decimal(-14)}
    amounts |= {
        "mix": Decimal(-3),
        "cvr": Decimal("-10.50"),
        "delay": Decimal("-0.4"),
        "spend": Decimal("-0.1"),
    }
    assert changes.sentence(
        "security", "signups", amounts | {"delay": Decimal("-2"), "cvr": Decimal("-8.9")}
    ) == ("Security: −14 signups (112 → 98): −8.9 CVR, −3.0 mix, −2.0 not yet arrived.")


# --- arrival ----------------------------------------------------------------------------------------

MORNING = date(2026, 6, 30)
ACCOUNTS = pl.DataFrame({"platform": ["meta"], "account_id": ["1"], "maturity_days": [14]})
NO_DELAY = pl.DataFrame(
    schema={"platform": pl.String, "account_id": pl.String, "age": pl.Int64, "share_arrived": pl.Float64}
)


def aged_days(share_at, clicks=20_000, rate=0.05):
    ages = range(1, 43)
    return pl.DataFrame(
        {
            "date": [MORNING - timedelta(days=age) for age in ages],
            "platform": "meta",
            "account_id": "1",
            "clicks": clicks,
            "signups": [clicks * rate * share_at(age) for age in ages],
        }
    )


def test_shares_are_read_from_how_rates_rise_with_age_until_restatements_tell_them():
    days = aged_days(lambda age: min(1.0, 0.4 + 0.05 * age))
    by_age = arrival.arrival_shares(days, NO_DELAY, ACCOUNTS, as_of_date=MORNING)
    assert set(by_age["basis"]) == {"ages"}
    truth = [min(1.0, 0.4 + 0.05 * age) for age in by_age["age"]]
    assert by_age["share"].to_numpy() == pytest.approx(np.array(truth), abs=0.02)
    followed = [("meta", "1", 1, 0.3), ("meta", "1", 2, 0.6), ("meta", "1", 14, 1.0)]
    delay = pl.DataFrame(followed, schema=NO_DELAY.schema, orient="row")
    learnt = arrival.arrival_shares(days, delay, ACCOUNTS, as_of_date=MORNING)
    assert learnt.select("age", "share", "basis").rows()[:2] == [
        (1, 0.3, "restatements"),
        (2, 0.6, "restatements"),
    ]


def test_an_age_at_which_nothing_was_known_yet_is_read_from_rates():
    days = aged_days(lambda age: min(1.0, 0.4 + 0.05 * age))
    by_age = arrival.arrival_shares(days, NO_DELAY, ACCOUNTS, as_of_date=MORNING)
    followed = [("meta", "1", 1, 0.0), ("meta", "1", 2, 0.6), ("meta", "1", 14, 1.0)]
    delay = pl.DataFrame(followed, schema=NO_DELAY.schema, orient="row")
    found = arrival.arrival_shares(days, delay, ACCOUNTS, as_of_date=MORNING)
    assert found.row(0) == by_age.row(0)
    assert found["basis"].to_list()[:2] == ["ages", "restatements"]


def test_days_followed_briefly_tell_the_growth_and_rates_the_rest():
    days = aged_days(lambda age: min(1.0, 0.4 + 0.05 * age))
    by_age = arrival.arrival_shares(days, NO_DELAY, ACCOUNTS, as_of_date=MORNING)
    briefly = pl.DataFrame(
        [("meta", "1", 1, 0.8), ("meta", "1", 2, 1.0)], schema=NO_DELAY.schema, orient="row"
    )
    found = arrival.arrival_shares(days, briefly, ACCOUNTS, as_of_date=MORNING)
    at_two = by_age["share"][1]
    assert found["share"].to_list()[:2] == pytest.approx([0.8 * at_two, at_two])
    assert found["share"].to_list()[2:] == by_age["share"].to_list()[2:]
    assert found["basis"].to_list() == ["restatements"] * 2 + ["ages"] * 11


def test_shares_never_fall_with_age_nor_are_they_ever_nothing():
    rng = np.random.default_rng(7)
    days = aged_days(lambda age: 0.0 if age < 3 else float(rng.uniform(0.2, 1.4)), clicks=40)
    shares = arrival.arrival_shares(days, NO_DELAY, ACCOUNTS, as_of_date=MORNING)["share"].to_list()
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] <= 1


def test_an_account_whose_days_are_final_at_once_has_no_late_share():
    final = ACCOUNTS.with_columns(maturity_days=pl.lit(0))
    assert arrival.arrival_shares(aged_days(lambda _: 1.0), NO_DELAY, final, as_of_date=MORNING).is_empty()


def test_a_restatement_is_what_late_arrivals_do_not_explain():
    shares = pl.DataFrame(
        [("meta", "1", 1, 0.5, "restatements"), ("meta", "1", 2, 0.75, "restatements")],
        schema=arrival.SCHEMA,
        orient="row",
    )
    known = pl.DataFrame(
        [
            (SUNDAY, "meta", "1", 1, Decimal(40)),
            (SUNDAY, "meta", "1", 2, Decimal(54)),  # 60 were due
            (MONDAY, "meta", "1", 1, Decimal(30)),
        ],
        schema=["date", "platform", "account_id", "age", "conversions"],
        orient="row",
    )
    found = arrival.restated(known, shares, as_of_date=MORNING, days=9).sort("date")
    assert found["restatement"].to_list() == pytest.approx([0.9, 1.0])
    assert found["age"].to_list() == [2, 1]
    assert found["share"].to_list() == [0.75, 0.5]
