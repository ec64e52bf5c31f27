"""Change histories as edits of levers: Meta's activities, Google's change events."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl

from aelp_assets.external_edits import as_table, edits_on_google, edits_on_meta, values_in_force
from tests.resources.control.paper_platform import paused, running

AT = datetime(2026, 6, 30, 15, tzinfo=UTC)
TODAY = date(2026, 6, 30)


def levers(*rows: dict) -> pl.DataFrame:
    known = {
        "platform": "meta", "account_id": "a1", "date": TODAY, "lever_id": "adset_1", "campaign_id": "c1",
        "entity_id": "1", "budget_id": None, "currency": "USD", "budget": Decimal(500), "status": "active",
        "_ingested_at": AT,
    }  # fmt: skip
    return pl.DataFrame(
        [known | row for row in rows],
        schema_overrides={"budget": pl.Decimal(38, 9), "budget_id": pl.String},
    )


def activities(*rows: dict) -> pl.DataFrame:
    known = {
        "platform": "meta", "account_id": "a1", "activity_id": "x", "event_at": AT, "object_id": "1",
        "event_type": "update_ad_set_budget", "actor_name": "Pat Lee",
        "extra_data": '{"old_value": 50000, "new_value": 65050}',
    }  # fmt: skip
    return pl.DataFrame([known | row for row in rows])


def test_a_budget_edit_on_meta_is_told_in_the_account_s_currency():
    told = edits_on_meta(activities({}), levers({}))
    assert [(each.lever[2], each.before, each.after, each.person) for each in told] == [
        ("adset_1", "500.00", "650.50", "Pat Lee")
    ]
    (yen,) = edits_on_meta(activities({}), levers({"currency": "JPY"}))
    assert (yen.before, yen.after) == ("50000.00", "65050.00")


def test_status_edits_count_and_other_events_and_other_objects_do_not():
    log = activities(
        {
            "event_type": "update_ad_set_run_status",
            "extra_data": '{"old_value": "Active", "new_value": "Inactive"}',
        },
        {"event_type": "update_ad_set_name"},
        {"object_id": "2"},
    )
    (only,) = edits_on_meta(log, levers({}))
    assert (only.field, only.before, only.after) == ("status", "active", "inactive")


def test_values_that_are_not_told_plainly_are_unknown():
    for extra in (None, "", "not json", "[]", '{"old_value": {"a": 1}, "new_value": "much"}'):
        (told,) = edits_on_meta(activities({"extra_data": extra}), levers({}))
        assert (told.before, told.after) == (None, None)


def changes(*rows: dict) -> pl.DataFrame:
    known = {
        "platform": "google_ads", "account_id": "g1", "change_id": "1", "changed_at": AT,
        "user_email": "pat@example.com", "operation": "UPDATE",
        "resource_name": "customers/1/campaignBudgets/29", "campaign_id": "21",
        "old_budget": None, "new_budget": None, "old_status": None, "new_status": None,
    }  # fmt: skip
    money = {"old_budget": pl.Decimal(38, 9), "new_budget": pl.Decimal(38, 9)}
    words = {"old_status": pl.String, "new_status": pl.String}
    return pl.DataFrame([known | row for row in rows], schema_overrides=money | words)


def test_a_budget_two_campaigns_draw_on_was_edited_for_both_and_a_status_for_one():
    on_google = [
        {"platform": "google_ads", "account_id": "g1", "lever_id": f"campaign_{n}", "campaign_id": str(n),
         "entity_id": str(n), "budget_id": "29"}
        for n in (21, 22)
    ]  # fmt: skip
    log = changes(
        {"old_budget": Decimal(40), "new_budget": Decimal("55.5")},
        {"old_status": "ENABLED", "new_status": "PAUSED", "resource_name": "customers/1/campaigns/21"},
        {"operation": "CREATE", "new_budget": Decimal(1)},
    )
    told = [
        (each.lever[2], each.field, each.before, each.after)
        for each in edits_on_google(log, levers(*on_google, {}))
    ]
    assert told == [
        ("campaign_21", "budget", "40.00", "55.50"),
        ("campaign_22", "budget", "40.00", "55.50"),
        ("campaign_21", "status", "enabled", "paused"),
    ]


def test_the_value_in_force_is_that_of_the_newest_snapshot():
    rows = levers(
        {"date": date(2026, 6, 29), "budget": Decimal(400)},
        {},
        {"lever_id": "adset_2", "entity_id": "2", "status": "paused"},
        {"lever_id": "adset_3", "entity_id": "3", "budget": None},
    )
    assert values_in_force(rows, []) == {
        ("meta", "a1", "adset_1"): running("500"),
        ("meta", "a1", "adset_2"): paused("500"),
    }


def test_an_edit_told_twice_is_one_row():
    edits = list(edits_on_meta(activities({}, {"activity_id": "y"}), levers({})))
    assert (len(edits), as_table(edits).height, as_table([]).height) == (2, 1, 0)
