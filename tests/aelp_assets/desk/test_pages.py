"""What the review desk shows: cards with their evidence, limits and calls, and that it stays text."""

from __future__ import annotations

import html
import json
from decimal import Decimal

import duckdb
import polars as pl
import pytest

from resources.control.external_edits import withdraw_overtaken
from resources.control.payloads import LeverValue
from resources.control.store import open_control_store
from resources.warehouse import open_warehouse, publish_analyst_copy, warehouses_to_look_into
from resources.warehouse.interface import Append
from resources.warehouse.tables import EXPERIMENTS
from tests.aelp_assets.desk.browsing import HOSTILE, Browser, desk_of, said, words
from tests.aelp_assets.stored_figures import row_of, stored_figures
from tests.resources.control.proposing import LAUNCH, TEN, lever, proposed, put_launches, states_of


def test_a_proposal_is_shown_with_its_evidence_its_limit_and_its_call(
    governance, tmp_environment, monkeypatch
):
    monkeypatch.setenv("AELP_UI_URL", "https://dagster.example/prod")
    (proposal_id,) = proposed(governance, lever("l1", expected_loss_rate=0.01))
    stored_figures(tmp_environment)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    page = Browser(desk).get()
    seen = words(page)
    for told in (
        "security morning of 30 Jun 2026 · 1 waiting",
        "In force 500.00 a day → if all of this is approved 525.00 · cap 30,000.00 , for budgets 24,000.00",
        "meta · Ad set l1 500.00 → 525.00 USD a day, +5.0 %",
        "Raise from 500.00 to 525.00 a day: the sampler asks for 1,000.00",
        "CAC, good end to bad end 181 to 287 cap 240",
        "P(CAC ≤ cap) 80 %",
        # Halfway between the forecasts of 500 and 550; the store's orders are not known.
        "CAC forecast: 150 as platforms claim, – as the store books, 212 as caused by advertising.",
        "Signups a day +0.25",
        "Expected loss a week 37 now 35",
        "Learning cost 37",
        "Rules that bind pace",
        "Runs out 01 Jul 13:00",
        "Approving adds 25.00 a day; your signature is enough.",
        '"daily_budget": "52500"',
        proposal_id,
        "You decide as jo",
        "nothing is sent",
    ):
        assert told in seen, told
    assert 'href="https://dagster.example/prod/assets/gaelp_training/bandit_decisions' in page
    assert 'class="cac doubtful"' in page, "the bad end lies above the cap"
    assert "nobody can approve it here: meta · l7: stop." in seen


def test_an_experiment_that_a_raise_would_disturb_is_named_and_refuses_nothing(governance, tmp_environment):
    proposed(governance, lever("l1"), lever("l3", p_cac_above_cap=0.95, thompson_budget=None))
    stored_figures(tmp_environment)
    told = {"status": "running", "last_day": None}
    here, there = (json.dumps([{"platform": "meta", "account_id": account}]) for account in ("a1", "a2"))
    rows = [
        row_of(EXPERIMENTS, **told, experiment_id="1", compared="hooks: 2 arms", occupies=here),
        row_of(EXPERIMENTS, **told, experiment_id="2", compared="pages: 2 arms", occupies=there),
    ]
    warehouse = open_warehouse(tmp_environment)
    warehouse.ensure_tables([EXPERIMENTS])
    warehouse.write(Append(EXPERIMENTS, pl.DataFrame(rows, schema=EXPERIMENTS.polars_schema)))
    page = Browser(desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))).get()
    seen = words(page)
    assert "An experiment goes on here, and would tell less: hooks: 2 arms (" in seen
    assert seen.count("An experiment goes on here") == 1, "a stop is not held against"
    assert "pages: 2 arms" not in seen
    assert "Approving adds 25.00 a day; your signature is enough." in seen


def test_stops_stand_first_and_what_is_beyond_the_limit_says_so(governance):
    proposed(
        governance,
        lever("l1"),
        lever(
            "l2", **dict.fromkeys(("current_budget", "midnight_budget", "budget_7_days_ago"), Decimal(2000))
        ),
        lever("l3", p_cac_above_cap=0.95, thompson_budget=None),
    )
    seen = words(Browser(desk_of(governance)).get())
    assert seen.index("Ad set l3") < seen.index("Ad set l1")
    assert "500.00 → stop" in seen
    assert "Approve the stop" in seen
    assert "Approving adds nothing" in seen


def test_a_proposal_an_edit_on_the_platform_overtook_is_named_and_offers_nothing(
    tmp_path, browser, governance
):
    (proposal,) = proposed(governance, lever("l1"))
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    withdraw_overtaken(engine, [], {("meta", "a1", "l1"): LeverValue(Decimal(650), "active")}, TEN)
    engine.dispose()
    page = browser.get()
    assert "the raise was withdrawn. The platform says 650.00 active, not 500.00 active" in words(page)
    assert f"/proposals/{proposal}" not in page


def test_a_launch_is_shown_with_its_call_and_takes_no_other_number(governance, browser):
    (one,) = put_launches(governance, LAUNCH).new
    page = browser.get()
    assert "0.00 → 120.01 USD a day" in words(page)
    assert "Launch creative c1 at 120.01 a day, in the main lane, paused." in words(page)
    assert "act_a1/adsets" in page
    assert f"/proposals/{one}/counter" not in page
    assert f"/proposals/{one}/approve" in page


@pytest.mark.parametrize(("others", "told"), [([], "0.00"), ([None, "active"], "1,000.00")])
def test_what_is_in_force_is_the_budget_of_all_that_may_deliver(governance, browser, others, told):
    may_deliver = [lever(f"l{number}", status=status) for number, status in enumerate(others, 2)]
    put_launches(governance, LAUNCH, states=states_of(lever("l1", status="paused"), *may_deliver))
    seen = words(browser.get())
    assert f"In force {told} a day" in seen
    assert "cannot be told" not in seen


def test_an_empty_desk_says_so(browser):
    assert "Nothing waits for a decision." in browser.get()


def test_whatever_a_lever_is_called_stays_text(governance, tmp_environment):
    proposed(governance, lever(HOSTILE))
    stored_figures(tmp_environment, HOSTILE)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    browser = Browser(desk)
    (proposal,) = governance.proposals(TEN)
    refused = browser.post(f"/proposals/{proposal['proposal_id']}/approve", reason="")
    typed = browser.post("/changes/none/rollback", reason=f'">{HOSTILE}')
    number = browser.get(f"/proposals/{proposal['proposal_id']}/counter?budget={HOSTILE}")
    for page in (browser.get(), refused, typed, number):
        assert "<script" not in page
        assert " style=" not in page, "the policy would drop it"
    assert "&lt;script&gt;" in refused
    browser.post(f"/proposals/{proposal['proposal_id']}/approve", reason=HOSTILE)
    page = browser.get()
    assert "<script" not in page
    assert "rollback" in page


def test_what_a_proposal_rests_on_is_a_page_linked_from_its_card(governance, browser):
    (about,) = proposed(governance, lever("l1"))
    assert f'href="/explain/{about}"' in browser.get()
    page = browser.get(f"/explain/{about}")
    assert "Raw meta_ads_insights: 3 rows" in page
    assert HOSTILE not in page
    assert html.escape(HOSTILE, quote=False).split("&")[1] in page
    nothing = browser.followed(browser.send("GET", "/explain/nothing"))
    assert "is kept here" in said(nothing)


def test_while_a_run_holds_the_warehouse_the_published_copy_is_read(governance, tmp_environment):
    proposed(governance, lever("l1"))
    stored_figures(tmp_environment)
    publish_analyst_copy(tmp_environment)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    with duckdb.connect(str(tmp_environment.duckdb_path)):
        page = words(Browser(desk).get())
    assert "181 to 287" in page
    assert "figures are missing" not in page


def test_without_any_figures_decisions_still_work_and_the_page_says_so(governance, tmp_environment):
    (proposal_id,) = proposed(governance, lever("l1"))
    stored_figures(tmp_environment)
    desk = desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment))
    with duckdb.connect(str(tmp_environment.duckdb_path)):
        browser = Browser(desk)
        page = words(browser.get())
        assert "Decisions work, figures are missing." in page
        assert "is in use by" in page
        assert "500.00 → 525.00" in page
        number = words(browser.get(f"/proposals/{proposal_id}/counter?budget=510"))
        assert "They allow 510.00 a day" in number
        assert "The forecast cannot be read now." in number
        approved = browser.post(f"/proposals/{proposal_id}/approve", reason="fine")
    assert said(approved).startswith("Approved")
