"""Meta's objects, levers, activity log and hourly spend against the loopback Graph API.

Truth is the simulated business, and what was written to the server.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import polars as pl
import pytest

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.meta.credentials import MetaCredentials
from resources.connectors.meta.source import MetaSource
from resources.connectors.source import Account, Pull, Source
from resources.creative_assets import AssetStore
from resources.landing.streams import STREAMS
from resources.sandbox.backend_frames import creatives_frame, levers_frame
from resources.sandbox.frames import Reports, Window
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.http import Answer, LoopbackServer, Request
from resources.sandbox.servers.meta import MetaServer

TOKEN = "EAAB-sandbox-token-7f3c"
TODAY = date(2026, 6, 30)
NOW = datetime(2026, 6, 30, 8, tzinfo=ZoneInfo(ACCOUNT_ZONE))
ACCOUNT = Account("418802716650377", "Northstar US", "USD", "America/New_York")
CAMPAIGN = "120201000000000001"
NOWHERE = Path("/dev/null/creative_assets")  # for tests that keep no image


def source(url: str, folder: Path = NOWHERE) -> MetaSource:
    return MetaSource(
        MetaCredentials(TOKEN),
        assets=AssetStore(folder),
        base_url=url,
        sleep=lambda seconds: None,
        now=lambda: NOW,
    )


def read(meta: Source, name: str, first: date = TODAY, last: date = TODAY, **given: Any) -> pl.DataFrame:
    report = next(r for r in meta.reports if r.name == name)
    pages = list(meta.pages(Pull(ACCOUNT, report, first, last, **given)))
    return pl.concat([page.rows for page in pages], how="diagonal_relaxed")


def write(server: MetaServer, entity_id: str, **form: str) -> httpx.Response:
    return httpx.post(f"{server.url}/v26.0/{entity_id}", data=form | {"access_token": TOKEN})


def as_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers as plain texts, booleans as words."""
    return frame.with_columns(
        pl.col(pl.Float64).map_elements(
            lambda x: format(Decimal(repr(x)).normalize(), "f"), return_dtype=pl.String
        ),
        pl.col(pl.Boolean).cast(pl.String),
    )


def levers_of(served: ServedAccount, day: date) -> pl.DataFrame:
    business, known = served.simulated.business, served.simulated.business.day_of(day) - 1
    frame = levers_frame(business, served.simulated.ledger, Window(known, known, known))
    unsaid = "source", "account_id", "snapshot_date", "budget_id"
    return as_texts(frame.filter(pl.col("source") == "meta").drop(unsaid))


@pytest.mark.parametrize("days", [0, 9])
def test_levers_are_those_of_the_account_managers_export(served: ServedAccount, days: int) -> None:
    served.now = lambda: NOW + timedelta(days=days)
    expected = levers_of(served, TODAY + timedelta(days=days))
    with MetaServer(served, TOKEN) as server:
        rows = read(source(server.url), "levers/none", *(2 * [TODAY + timedelta(days=days)]))
    assert set(expected["lever_level"]) == {"campaign", "adset"}
    assert (
        rows.drop("report_date").select(expected.columns).sort("lever_id").equals(expected.sort("lever_id"))
    )
    assert set(rows["report_date"]) == {TODAY + timedelta(days=days)}


def test_a_written_budget_and_status_show_in_the_levers_and_in_the_log(served: ServedAccount) -> None:
    with MetaServer(served, TOKEN) as server:
        adset = next(a["id"] for a in server.entities.adsets() if "daily_budget" in a)
        assert write(server, CAMPAIGN, daily_budget="1234567").json() == {"success": True}
        assert write(server, adset, status="PAUSED").json() == {"success": True}
        meta = source(server.url)
        levers = read(meta, "levers/none").rows_by_key("entity_id", named=True, unique=True)
        log = read(meta, "meta_activities/none")
    assert levers[CAMPAIGN]["budget"] == "12345.67"
    assert levers[CAMPAIGN]["last_edited_at"] == "2026-06-30T08:00:00-04:00"
    assert levers[adset]["status"] == "paused"
    assert levers[adset]["budget"] != "0"
    assert set(log["event_type"]) == {"update_campaign_budget", "update_ad_set_run_status"}
    told = json.loads(log.filter(pl.col("object_id") == CAMPAIGN)["extra_data"][0])
    assert told["new_value"] == 1234567


def test_a_write_that_meta_would_refuse_changes_nothing(served: ServedAccount) -> None:
    with MetaServer(served, TOKEN) as server:
        before = server.entities.campaigns()
        child = next(a["id"] for a in server.entities.adsets() if a["campaign_id"] == CAMPAIGN)
        too_low = write(server, CAMPAIGN, daily_budget="199")
        elsewhere = write(server, child, daily_budget="5000")
        tried = write(server, CAMPAIGN, daily_budget="5000", execution_options='["validate_only"]')
        unknown = write(server, "1", status="PAUSED")
        assert server.entities.campaigns() == before
        assert server.entities.log == []
    assert [r.status_code for r in (too_low, elsewhere, tried, unknown)] == [400, 400, 200, 400]
    assert too_low.json()["error"]["error_subcode"] == 1885272


def test_creatives_are_those_of_the_creative_export(served: ServedAccount) -> None:
    business = served.simulated.business
    expected = creatives_frame(business, Window(0, 39, 39), {}, "").filter(pl.col("source") == "meta")
    fields = [f for f in STREAMS["creatives"].fields if f not in ("image_file", "image_hash", "video_id")]
    with MetaServer(served, TOKEN) as server:
        rows = read(source(server.url), "creatives/none")
    columns = ["creative_id", *fields]
    assert set(expected["format"]) == {"image", "video", "carousel"}
    assert rows.select(columns).sort("creative_id").equals(expected.select(columns).sort("creative_id"))
    assert rows["image_hash"].str.contains("^[0-9a-f]{32}$").all()
    assert rows["video_id"].is_not_null().equals(rows["format"] == "video")


def test_entities_include_archived_and_deleted_ones_with_targeting_and_budgets(served: ServedAccount) -> None:
    with MetaServer(served, TOKEN) as server:
        rows = read(source(server.url), "meta_entities/none", page_size=5)
        ads = {ad["id"]: ad["effective_status"] for ad in server.entities.ads()}
    by_type = rows.partition_by("entity_type", as_dict=True)
    assert {key[0] for key in by_type} == {"account", "campaign", "adset", "ad", "creative"}
    assert dict(by_type[("ad",)].select("entity_id", "effective_status").iter_rows()) == ads
    assert {"ACTIVE", "ARCHIVED", "DELETED"} <= set(ads.values())
    assert rows.select("entity_type", "entity_id").is_unique().all()
    adset = by_type[("adset",)].row(0, named=True)
    assert json.loads(adset["targeting"])["geo_locations"]["countries"] == ["US"]
    assert adset["learning_state"] in ("learning", "active", "limited")
    campaign = by_type[("campaign",)].filter(pl.col("entity_id") == CAMPAIGN).row(0, named=True)
    assert campaign["daily_budget"] == "9660"
    spent = served.rows(Reports.meta, served.start, served.known)["Amount spent (USD)"].sum()
    assert by_type[("account",)]["amount_spent"].to_list() == [f"{spent:.2f}"]
    assert by_type[("ad",)]["creative_id"].null_count() == 0


def test_the_activity_log_is_the_managers_edits_by_local_day(served: ServedAccount) -> None:
    first, last = date(2026, 6, 1), date(2026, 6, 29)
    business, states = served.simulated.business, served.simulated.ledger.levers
    meta_levers = np.flatnonzero(business.levers.platform == 0)
    edits = {
        (business.levers.entity_id[lever], business.date_of(int(day)))
        for lever in meta_levers
        for day in states.last_edit[:40, lever]
        if first <= business.date_of(int(day)) <= last
    }
    with MetaServer(served, TOKEN) as server:
        rows = read(source(server.url), "meta_activities/none", first, last, page_size=3)
    assert len(edits) > 5
    assert set(rows.select("object_id", "report_date").iter_rows()) == edits
    assert rows["activity_id"].is_unique().all()


def test_a_change_at_midnight_belongs_to_the_day_that_begins(served: ServedAccount) -> None:
    served.now = lambda: NOW.replace(hour=0) + timedelta(days=1)
    with MetaServer(served, TOKEN) as server:
        write(server, CAMPAIGN, daily_budget="1234567")
        meta = source(server.url)
        assert read(meta, "meta_activities/none").is_empty()
        tomorrow = TODAY + timedelta(days=1)
        assert read(meta, "meta_activities/none", tomorrow, tomorrow)["object_id"].to_list() == [CAMPAIGN]


def test_snapshots_pass_on_the_advised_pause(served: ServedAccount, tmp_path: Path) -> None:
    with MetaServer(served, TOKEN) as server:
        server.usage_percent = 93
        meta = source(server.url, tmp_path)
        for report in meta.reports:
            pages = list(meta.pages(Pull(ACCOUNT, report, TODAY, TODAY)))
            assert {page.wait_seconds for page in pages} == {60.0}


def test_todays_hours_add_up_to_no_more_than_the_day_and_none_is_in_the_future(served: ServedAccount) -> None:
    day = served.simulated.business.day_of(TODAY)
    whole = served.reports.meta(Window(day, day, day))["Amount spent (USD)"].sum()
    with MetaServer(served, TOKEN) as server:
        rows = read(source(server.url), "meta_hourly_spend/none")
        served.now = lambda: NOW.replace(hour=23, minute=59)
        later = read(source(server.url), "meta_hourly_spend/none")
    assert sorted(set(rows["hour"])) == [f"{hour:02d}" for hour in range(8)]
    spent, by_night = (frame["spend"].cast(pl.Decimal(20, 2)).sum() for frame in (rows, later))
    assert 0 < spent < by_night <= Decimal(str(round(whole, 2)))
    assert rows.select("campaign_id", "adset_id", "hour").is_unique().all()


@pytest.mark.parametrize(
    "endpoint", ["campaigns", "adsets", "activities", "minimum_budgets", "ads", "adcreatives"]
)
def test_a_snapshot_half_read_is_an_error(served: ServedAccount, endpoint: str) -> None:
    names = ("levers/none", "creatives/none")
    for kind, error_class in (
        (FaultKind.THROTTLE, ErrorClass.THROTTLE),
        (FaultKind.HTML_ERROR, ErrorClass.TRANSIENT),
    ):
        script = FaultScript([Fault(kind, f"/{endpoint}", 1)])
        with MetaServer(served, TOKEN, script) as server:
            raised = []
            for name in names:
                try:
                    read(source(server.url), name)
                except PlatformError as error:
                    raised.append(error.error_class)
        assert raised == [error_class]


@pytest.mark.parametrize("kind", [FaultKind.EMPTY_MIDDLE, FaultKind.DUPLICATE_PAGE])
def test_entity_pages_lose_nothing(served: ServedAccount, kind: FaultKind) -> None:
    script = FaultScript([Fault(kind, "/ads", 2)])
    with MetaServer(served, TOKEN, script) as server:
        meta = source(server.url)
        faulty = read(meta, "meta_entities/none", page_size=4)
        sound = read(meta, "meta_entities/none", page_size=4)
    assert script.played[kind] == 1
    assert set(faulty["entity_id"]) == set(sound["entity_id"])


def test_an_unreadable_creative_leaves_the_metrics(served: ServedAccount) -> None:
    row = {
        "account_id": ACCOUNT.account_id,
        "campaign_id": "1",
        "adset_id": "2",
        "ad_id": "3",
        "impressions": "10",
        "spend": "1",
        "date_start": "2026-06-29",
        "date_stop": "2026-06-29",
    }

    def answer(request: Request) -> Answer:
        if "ids" in request.form:
            return Answer({"error": {"code": 100, "error_subcode": 33, "message": "no such ad"}}, 400)
        return Answer({"data": [row], "paging": {"cursors": {}}})

    with LoopbackServer(answer, FaultScript()) as server:
        day = date(2026, 6, 29)
        rows = read(source(server.url), "meta_ads_insights/none", day, day)
    assert rows.select("spend", "creative_id").row(0) == ("1", None)


def objects(bodies: dict[str, list[dict[str, Any]]]) -> Callable[[Request], Answer]:
    """Each edge answers with its list, whatever is asked."""
    return lambda request: Answer({"data": bodies[request.path.rsplit("/", 1)[-1]], "paging": {}})


MINIMUMS = [
    {"currency": "USD", "min_daily_budget_imp": 100, "min_daily_budget_video_views": 500},
    {"currency": "JPY", "min_daily_budget_imp": 120},
]


def levers(bodies: dict[str, list[dict[str, Any]]], account: Account = ACCOUNT) -> list[dict[str, Any]]:
    given = {"minimum_budgets": MINIMUMS, "activities": []} | bodies
    with LoopbackServer(objects(given), FaultScript()) as server:
        meta = source(server.url)
        report = next(r for r in meta.reports if r.name == "levers/none")
        (page,) = meta.pages(Pull(account, report, TODAY, TODAY))
    return page.rows.to_dicts()


def adset(**changes: Any) -> dict[str, Any]:
    return {
        "id": "2",
        "campaign_id": "1",
        "name": "set",
        "effective_status": "ACTIVE",
        "billing_event": "IMPRESSIONS",
    } | changes


def test_a_currency_without_cents_is_not_divided() -> None:
    campaign = {"id": "1", "name": "c", "effective_status": "ACTIVE", "daily_budget": "0"}
    bodies = {"campaigns": [campaign], "adsets": [adset(daily_budget="15000")]}
    (lever,) = levers(bodies, Account("9", "Tokyo", "JPY", "Asia/Tokyo"))
    names = ("lever_id", "budget", "minimum_budget", "budget_increment", "last_edited_at")
    assert [lever[name] for name in names] == ["adset_2", "15000", "120", "1", None]


def test_a_campaign_budget_stands_for_its_ad_sets() -> None:
    campaign = {"id": "1", "name": "c", "effective_status": "PAUSED", "lifetime_budget": "123456"}
    sets = [
        adset(learning_stage_info={"status": "SUCCESS", "last_sig_edit_ts": 1782000000}),
        adset(id="3", billing_event="THRUPLAY", learning_stage_info={"status": "LEARNING"}),
        adset(id="4", campaign_id="8"),
    ]
    edit = {
        "event_type": "update_campaign_budget",
        "object_id": "1",
        "event_time": "2026-06-29T23:30:00+0000",
    }
    (lever,) = levers({"campaigns": [campaign], "adsets": sets, "activities": [edit]})
    assert lever["lever_id"] == "campaign_1"
    assert (lever["budget_type"], lever["budget"], lever["minimum_budget"]) == ("lifetime", "1234.56", "6")
    assert (lever["status"], lever["learning_state"]) == ("paused", "learning")
    assert lever["last_edited_at"] == "2026-06-29T19:30:00-04:00"


def test_ad_sets_that_share_their_budgets_say_so() -> None:
    campaign = {"id": "1", "effective_status": "ACTIVE", "is_adset_budget_sharing_enabled": True}
    (lever,) = levers({"campaigns": [campaign], "adsets": [adset(daily_budget="5000")]})
    assert (lever["is_shared"], lever["budget"]) == ("true", "50")


def test_dynamic_creatives_are_read_from_their_asset_feed() -> None:
    feed = {
        "titles": [{"text": "Sleep well"}, {"text": "Rest"}],
        "bodies": [{"text": "Tonight."}],
        "link_urls": [{"website_url": "https://www.northstar.example/x"}],
        "images": [{"hash": "abc"}],
    }
    creative = {"id": "5", "name": "dynamic", "asset_feed_spec": feed, "call_to_action_type": "SIGN_UP"}
    ads = [
        {"id": "7", "created_time": "2026-06-02T01:00:00+0000", "creative": {"id": "5"}},
        {"id": "8", "created_time": "2026-06-09T12:00:00-0400", "creative": {"id": "5"}},
    ]
    with LoopbackServer(objects({"ads": ads, "adcreatives": [creative]}), FaultScript()) as server:
        (row,) = read(source(server.url), "creatives/none").to_dicts()
    assert (row["headline"], row["body"], row["image_hash"]) == ("Sleep well", "Tonight.", "abc")
    assert (row["link_url"], row["call_to_action"]) == ("https://www.northstar.example/x", "Sign up")
    assert row["created_on"] == "2026-06-01"
    assert row["theme"] is None


@pytest.mark.parametrize(
    "creative", [{"name": "no id"}, {"id": "5", "object_story_spec": "text"}, {"id": "5", "adlabels": ["x"]}]
)
def test_objects_of_an_unknown_shape_are_an_error(creative: dict[str, Any]) -> None:
    with LoopbackServer(objects({"ads": [], "adcreatives": [creative]}), FaultScript()) as server:
        with pytest.raises(PlatformError) as caught:
            read(source(server.url), "creatives/none")
    assert caught.value.error_class is ErrorClass.TRANSIENT
