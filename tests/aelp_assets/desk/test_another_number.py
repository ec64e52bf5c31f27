"""A person's own number on the review desk: judged, forecast, proposed."""

from __future__ import annotations

import json
from decimal import Decimal

import httpx
import pytest

from aelp_assets.desk.cards import signups_change
from aelp_assets.desk.figures import forecast_at
from resources.warehouse import warehouses_to_look_into
from tests.aelp_assets.desk.browsing import Browser, desk_of, said, words
from tests.aelp_assets.stored_figures import stored_figures
from tests.resources.control.proposing import TEN, lever, proposed, status_of


def test_another_number_is_judged_forecast_proposed_and_approved_as_any_other(governance, tmp_environment):
    (old,) = proposed(governance, lever("l1"))
    stored_figures(tmp_environment)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    browser = Browser(desk)
    page = words(browser.get(f"/proposals/{old}/counter?budget=510"))
    assert "They allow 510.00 a day" in page
    assert "510.00 interpolated 12.8 25.5 51.0 90 200 no end 75 %" in page
    assert "Expected as the decision counts it: +0.10 signups a day" in page
    assert "approving it adds 10.00 a day, for which your signature is enough" in page
    assert "on 30 Jun, the first day forecast; CAC cap 240" in page
    done = browser.post(f"/proposals/{old}/propose", budget="510", reason="a launch is near")
    (new,) = [row for row in governance.proposals(TEN) if row["status"] == "pending"]
    assert f"Proposed by hand: {new['proposal_id']} at 510.00 a day" in said(done)
    assert (new["proposed_by"], new["reason"], new["type"]) == ("jo", "a launch is near", "raise")
    assert status_of(governance, old) == "superseded"
    seen = words(done)
    assert "By hand, jo; AELP had proposed 525.00." in seen
    assert "Signups a day +0.10" in seen, "less in proportion to what the decision expected of 25"
    assert said(browser.post(f"/proposals/{new['proposal_id']}/approve", reason="as said")).startswith("Appr")
    (change,) = governance.changes()
    assert json.loads(change["request"])["form"] == {"daily_budget": "51000"}


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ("900", "500.00 -> 900.00 is more than 5% in one edit"),
        ("510.005", "510.005 is not in whole increments of 0.01 and whole cents"),
        ("0.5", "0.50 is below the platform minimum 1.00"),
        ("500", "500.00 is in force; to leave it so, reject"),
        ("525.00", "proposes already; approve it"),
        ("1,250", "'1,250' is no budget; write it as 1250 or 1250.50"),
        ("-3", "is no budget"),
        ("١٢", "is no budget"),
        ("1e9", "is no budget"),
        ("", "is no budget"),
    ],
)
def test_a_number_that_cannot_be_is_refused_before_and_after_it_is_sent(governance, browser, budget, told):
    (old,) = proposed(governance, lever("l1"))
    if budget:
        looked = words(browser.get(str(httpx.URL(f"/proposals/{old}/counter", params={"budget": budget}))))
        assert told in looked
        assert f"Propose {budget}" not in looked
    page = browser.post(f"/proposals/{old}/propose", budget=budget, reason="my own view")
    assert told in said(page)
    assert [row["proposal_id"] for row in governance.proposals(TEN)] == [old]
    assert status_of(governance, old) == "pending"


def test_a_number_needs_a_reason_and_an_open_proposal(governance, browser):
    (old,) = proposed(governance, lever("l1"))
    assert "needs a reason" in said(browser.post(f"/proposals/{old}/propose", budget="510", reason=" "))
    governance.approve(old, "sam", "quicker", TEN)
    assert "is approved" in said(browser.post(f"/proposals/{old}/propose", budget="510", reason="late"))
    answer = browser.send("GET", f"/proposals/{old}/counter")
    assert answer.status_code == 303
    assert "is approved" in said(browser.get(answer.headers["location"]))


def test_outside_what_was_forecast_nothing_is_invented(governance, tmp_environment):
    (old,) = proposed(governance, lever("l1"))
    stored_figures(tmp_environment)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    page = words(Browser(desk).get(f"/proposals/{old}/counter?budget=700"))
    assert "Nothing was forecast of 700.00: the budgets end at 450.00 and 550.00." in page
    assert "interpolated" not in page.replace("A budget between", "")


def test_between_two_budgets_each_quantile_lies_on_its_line():
    names = ("signups_p10", "signups_p50", "signups_p90", "cac_p10", "cac_p50", "cac_p90", "p_cac_within_cap")
    names += ("platform_cac_p50", "backend_cac_p50", "incremental_cac_p50")
    low = {"budget": Decimal(100)} | dict.fromkeys(names, 10.0)
    high = {"budget": Decimal(200)} | dict.fromkeys(names, 20.0) | {"cac_p90": None}
    found = forecast_at([low, high], Decimal(125))
    assert found == {"budget": Decimal(125)} | dict.fromkeys(names, 12.5) | {"cac_p90": None}
    assert forecast_at([low, high], Decimal(100)) == low
    assert forecast_at([low, high], Decimal(99)) is None
    assert forecast_at([], Decimal(100)) is None


def test_another_budget_brings_what_the_lever_s_own_curve_says():
    decided = {
        "current_budget": Decimal(500),
        "proposed_budget": Decimal(525),
        "expected_signups_change": 0.25,
    }
    own = signups_change(decided | {"elasticity": 0.3}, Decimal(600), 0.7)
    assert own == pytest.approx(0.25 * (1.2**0.3 - 1) / (1.05**0.3 - 1))
    configured = 0.25 * (1.2**0.7 - 1) / (1.05**0.7 - 1)
    assert signups_change(decided | {"elasticity": None}, Decimal(600), 0.7) == pytest.approx(configured)
    assert signups_change(decided, Decimal(600), 0.7) == pytest.approx(configured)
