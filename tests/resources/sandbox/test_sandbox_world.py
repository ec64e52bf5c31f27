"""Facts about the simulated business: its economics, its laws and its books."""

from __future__ import annotations

import ast
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import resources.sandbox
from resources.sandbox import Simulated, laws, simulate_account, truth
from resources.sandbox.business import draw_business
from resources.sandbox.catalogue import (
    ACTIVE,
    BRAND_SEARCH,
    LEARNING,
    META,
    PROSPECTING,
    REMARKETING,
    SCALES,
    TRACKS,
)
from resources.sandbox.kernel import simulate
from resources.sandbox.ledger import CLICK, UNREPORTED, VIEW, observe
from resources.sandbox.orders import CAUSED, ORGANIC

TODAY = date(2026, 6, 30)
SEEDS = (1, 7, 20261120)


@lru_cache(maxsize=4)
def demo(seed: int) -> Simulated:
    return simulate_account("demo", seed, TODAY)


def reported(run: Simulated, first: int, last: int, known: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spend, click and view conversions by lever."""
    business, ledger = run.business, run.ledger
    seen = observe(ledger, first, last, known)
    lever = business.adsets.lever[business.ads.adset[business.cells.ad[ledger.delivery.cell[seen.rows]]]]
    size = len(business.levers.id)
    return (
        np.bincount(lever, weights=ledger.delivery.cents[seen.rows], minlength=size) / 100,
        np.bincount(lever, weights=seen.click_credit, minlength=size) / 100,
        np.bincount(lever, weights=seen.view_credit, minlength=size) / 100,
    )


def test_no_module_of_the_sandbox_imports_models():
    for path in Path(resources.sandbox.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not any(name.split(".")[0] in ("models", "aelp_assets", "sensors") for name in names), path


@pytest.mark.parametrize("seed", SEEDS)
def test_economics_leave_good_bad_and_uncertain_levers(seed: int):
    run = demo(seed)
    days = run.business.days
    spend, clicks, views = reported(run, days - 42, days - 15, days - 1)
    track = run.business.levers.track
    rng = np.random.default_rng(0)
    # The decision maker's uncertainty: incrementality shared by all levers, gamma noise on counts.
    incrementality = rng.normal(1.0, 0.15, 400).clip(0.4)
    for index, kind in enumerate(TRACKS):
        mine = (track == index) & (spend > 0)
        reward = clicks[mine] + 0.25 * views[mine]
        cac = spend[mine].sum() / reward.sum()
        assert 0.5 * kind.cac_cap < cac < 0.92 * kind.cac_cap
        assert 18_000 < spend[mine].sum() / 28 < 28_000
        above = stats.gamma.cdf(
            1 / kind.cac_cap,
            2.0 + reward[:, None] * incrementality,
            scale=1 / (2.0 * kind.cac_cap + spend[mine][:, None]),
        ).mean(axis=1)
        enough = spend[mine] >= 4 * kind.cac_cap
        assert (enough & (above > 0.9)).sum() >= 1
        assert (above < 0.01).sum() >= 1
        assert ((above > 0.01) & (above < 0.9)).mean() > 1 / 3
        assert spend[mine][above > 0.9].sum() < 0.25 * spend[mine].sum()
    # Worst-case over-delivery of all budgets still fits under a daily cap of $30,000 a track.
    at_the_end = run.business.budgets[days - 1]
    for index in range(len(TRACKS)):
        assert at_the_end[track == index].sum() * 1.25 < 33_000


@pytest.mark.parametrize("seed", SEEDS)
def test_levers_never_spend_beyond_their_daily_and_weekly_limits(seed: int):
    run = demo(seed)
    spend, budget = run.ledger.levers.cents / 100, run.ledger.levers.budget
    assert (spend <= 1.25 * budget + 0.005).all()
    assert (spend > budget).any()  # over-delivery does happen
    days = [run.business.date_of(day) for day in range(run.ledger.days)]
    sundays = [i for i, day in enumerate(days) if day.weekday() == 6 and i + 7 <= len(days)]
    assert len(sundays) > 10
    for sunday in sundays:
        week = slice(sunday, sunday + 7)
        assert (spend[week].sum(axis=0) <= budget[week].sum(axis=0) + 0.005).all()


def test_lever_spend_is_the_sum_of_its_deliveries():
    run = demo(1)
    assert run.ledger.levers.cents.sum() == run.ledger.delivery.cents.sum()
    assert (run.ledger.delivery.clicks >= run.ledger.delivery.link_clicks).all()
    assert (run.ledger.delivery.clicks <= run.ledger.delivery.impressions).all()
    assert (run.ledger.delivery.reach <= run.ledger.delivery.impressions).all()
    assert (run.ledger.delivery.reach >= 1).all()


def test_a_longer_run_repeats_a_shorter_one_exactly():
    business = draw_business(SCALES["tiny"], 3, TODAY)
    short, long = simulate(business, 30), simulate(business, 40)
    rows = len(short.delivery.day)
    for name, values in vars(short.delivery).items():
        assert np.array_equal(values, getattr(long.delivery, name)[:rows]), name
    before = long.conversions.row < rows
    for name, values in vars(short.conversions).items():
        assert np.array_equal(values, getattr(long.conversions, name)[before]), name


def test_orders_of_past_days_do_not_change_when_days_are_added():
    near = simulate_account("tiny", 3, TODAY)
    far = simulate_account("tiny", 3, TODAY, further_days=5)
    count = len(near.orders)
    for name, values in vars(near.orders).items():
        assert np.array_equal(values, getattr(far.orders, name)[:count]), name


def test_seeds_make_different_worlds():
    one, two = simulate_account("tiny", 1, TODAY), simulate_account("tiny", 2, TODAY)
    assert not np.array_equal(one.business.budgets, two.business.budgets)


@pytest.mark.parametrize("seed", SEEDS)
def test_view_through_claims_are_mostly_not_incremental(seed: int):
    run = demo(seed)
    claims = run.ledger.conversions
    views, clicks = claims.kind == VIEW, claims.kind == CLICK
    assert 0.08 < claims.caused[views].mean() < 0.30
    audience = run.business.levers.audience[
        run.business.adsets.lever[
            run.business.ads.adset[run.business.cells.ad[run.ledger.delivery.cell[claims.row]]]
        ]
    ]
    assert claims.caused[clicks & (audience == PROSPECTING)].mean() > 0.88
    assert claims.caused[clicks & (audience == REMARKETING)].mean() < 0.80
    assert claims.caused[views & (audience == REMARKETING)].mean() < 0.15
    assert claims.caused[clicks & (audience == BRAND_SEARCH)].mean() < 0.30


@pytest.mark.parametrize("seed", SEEDS)
def test_remarketing_looks_better_than_it_is(seed: int):
    run = demo(seed)
    days = run.business.days
    spend, clicks, views = reported(run, days - 42, days - 15, days - 1)
    caused = truth.true_levers(run.business, run.ledger, days - 42, days - 15)[
        "incremental_orders"
    ].to_numpy()
    for audience in (REMARKETING, BRAND_SEARCH):
        mine = run.business.levers.audience == audience
        claimed = (clicks + 0.25 * views)[mine].sum()
        assert caused[mine].sum() < 0.8 * claimed, audience
    assert spend.sum() > 0


def test_reported_conversions_only_grow_and_stop_after_fourteen_days():
    run = demo(1)
    totals = [int(observe(run.ledger, 50, 60, known).click_credit.sum()) for known in range(60, 80)]
    assert totals == sorted(totals)
    assert totals[0] < 0.95 * totals[-1]
    assert totals[14] == totals[-1]  # 14 days after the last of the days


def test_arrivals_follow_the_delay_law_of_the_truth():
    run = demo(1)
    claims, day = run.ledger.conversions, run.ledger.delivery.day
    age = claims.shown_on - day[claims.row]
    ad = run.business.cells.ad[run.ledger.delivery.cell[claims.row]]
    track = run.business.levers.track[run.business.adsets.lever[run.business.ads.adset[ad]]]
    law = truth.true_delays(run.business)
    for index, kind in enumerate(TRACKS):
        for window, which in (("7d_click", CLICK), ("1d_view", VIEW)):
            mine = (track == index) & (claims.kind == which)
            observed = np.bincount(age[mine], minlength=15)
            assert len(observed) == 15
            expected = law.filter(track=kind.name, conversion_window=window)["probability"].to_numpy()
            assert expected.sum() == pytest.approx(1.0)
            likely = expected * mine.sum() > 8
            assert (
                stats.chisquare(
                    np.append(observed[likely], observed[~likely].sum() + 1e-9),
                    np.append(expected[likely], expected[~likely].sum() + 1e-9 / mine.sum()) * mine.sum(),
                ).pvalue
                > 1e-4
            )


def test_the_backend_counts_each_order_once():
    run = demo(1)
    claims, orders = run.ledger.conversions, run.orders
    placed = (claims.ordered_on < run.ledger.days) & claims.caused
    assert (orders.origin == CAUSED).sum() == placed.sum()
    # Platforms together claim more than the ads caused.
    claimed = ((claims.kind != UNREPORTED) & (claims.ordered_on < run.ledger.days)).sum()
    assert claimed > 1.1 * placed.sum()
    assert (orders.origin == ORGANIC).sum() > 0
    assert (orders.paid_on >= orders.day).all()
    assert (orders.refunded_on > orders.day).all()


def test_spend_per_new_customer_of_the_backend_lies_below_the_incremental_cac():
    run = demo(1)
    spend = run.ledger.levers.cents.sum() / 100
    caused = run.ledger.delivery.expected_incremental.sum()
    assert spend / run.orders.is_new.sum() < spend / caused


def test_a_bold_edit_restarts_learning_and_volume_ends_it():
    business = draw_business(SCALES["demo"], 1, TODAY)
    budgets = np.repeat(business.levers.base_budget[None, :], 30, axis=0)
    budgets[:, business.levers.last_day < business.days] = 0
    usual = np.where(business.levers.platform == META, business.levers.base_budget, 0)
    lever = int(np.argmin(np.abs(usual - 2_500)))
    budgets[15:, lever] *= 1.3
    states = simulate(business, 30, budgets).levers.learning[:, lever]
    assert states[14] == ACTIVE
    assert states[15] == LEARNING
    assert states[29] == ACTIVE
    assert (simulate(business, 30, budgets).levers.last_edit[15:, lever] == 15).all()


def test_doubling_a_budget_buys_less_than_twice_the_orders():
    business = draw_business(SCALES["demo"], 1, TODAY)
    base = np.repeat(business.levers.base_budget[None, :], 40, axis=0)
    caused = []
    for factor in (1.0, 2.0):
        ledger = simulate(business, 40, base * factor)
        caused.append((ledger.levers.cents.sum() / 100, ledger.delivery.expected_incremental.sum()))
    assert caused[1][0] == pytest.approx(2 * caused[0][0], rel=0.05)
    assert 1.25 < caused[1][1] / caused[0][1] < 1.80


def test_budgets_of_the_wrong_shape_are_refused():
    business = draw_business(SCALES["tiny"], 1, TODAY)
    with pytest.raises(ValueError, match="budgets must be non-negative with shape"):
        simulate(business, 5, np.zeros((5, 1)))
    with pytest.raises(ValueError, match="days must lie in"):
        simulate(business, business.horizon + 1)


@given(
    share=st.floats(0.001, 0.45),
    spread=st.floats(0.05, 1.5),
    mean=st.floats(0.5, 200.0),
)
def test_the_auction_gets_dearer_with_what_is_bought_and_never_beats_the_market_mean(share, spread, mean):
    few, more = laws.auction_cpm(
        np.array([mean, mean]), np.array([spread, spread]), np.array([share, 2 * share])
    )
    assert 0 < few < more < mean


@settings(deadline=None)
@given(scale=st.floats(0.3, 8.0), window=st.integers(1, 10), view=st.booleans())
def test_delays_are_probabilities_within_the_window(scale, window, view):
    pmf = laws.order_delay(scale, window, view)
    assert len(pmf) == window + 1
    assert (pmf >= 0).all()
    assert pmf.sum() == pytest.approx(1.0)
    shown = laws.reported_delay(pmf)
    assert len(shown) == laws.MAX_DELAY_DAYS + 1
    assert shown.sum() == pytest.approx(1.0)
