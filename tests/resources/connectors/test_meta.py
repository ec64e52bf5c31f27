"""Meta through its SDK against the loopback Graph API: what arrives is what happened, or a named error.

Truth is the simulated business itself; no answer here comes from the connector.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.meta.credentials import MetaCredentials
from resources.connectors.meta.source import MetaSource
from resources.connectors.source import Account, Page, Pull, Report, Source
from resources.creative_assets import AssetStore
from resources.sandbox.frames import Reports
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.http import Answer, LoopbackServer, Request
from resources.sandbox.servers.meta import MetaServer

TOKEN = "EAAB-sandbox-token-7f3c"
SECRET = "app-secret-91d2"
FIRST, LAST = date(2026, 6, 10), date(2026, 6, 29)
TODAY = date(2026, 6, 30)
ACCOUNT = Account("418802716650377", "Northstar US", "USD", "America/New_York")
NOW = datetime(2026, 6, 30, 8, tzinfo=ZoneInfo(ACCOUNT_ZONE))

COUNTS = {
    "impressions": "Impressions",
    "reach": "Reach",
    "clicks": "Clicks (all)",
    "inline_link_clicks": "Link clicks",
    "purchases_7d_click": "Purchases (7-day click)",
    "purchases_1d_view": "Purchases (1-day view)",
}
UNIQUE = {"unique_inline_link_clicks": "Unique link clicks"}
MONEY = {
    "spend": "Amount spent (USD)",
    "purchase_value_7d_click": "Purchases conversion value (7-day click)",
    "purchase_value_1d_view": "Purchases conversion value (1-day view)",
}
TEXTS = {
    "campaign_id": "Campaign ID",
    "adset_id": "Ad set ID",
    "ad_id": "Ad ID",
    "campaign_name": "Campaign name",
    "adset_name": "Ad set name",
    "ad_name": "Ad name",
    "account_name": "Account name",
    "currency": "Currency",
    "creative_id": "Creative ID",
}
PLACE = {
    "publisher_platform": "Platform",
    "platform_position": "Placement",
    "impression_device": "Impression device",
}


def source(url: str, **given: Any) -> MetaSource:
    """A source that does not really sleep."""
    arguments: dict[str, Any] = {
        "assets": AssetStore(Path("/dev/null/creative_assets")),  # no image is asked for here
        "sleep": lambda seconds: None,
        "now": lambda: NOW,
        "timeout_seconds": 5.0,
        "rng": np.random.default_rng(1),
    }
    return MetaSource(MetaCredentials(TOKEN, SECRET), base_url=url, **(arguments | given))


def report(name: str) -> Report:
    return next(r for r in MetaSource.reports if r.name == name)


def pull(name: str = "meta_ads_insights/none", first: date = FIRST, last: date = LAST) -> Pull:
    return Pull(ACCOUNT, report(name), first, last)


def read(meta: Source, asked: Pull) -> pl.DataFrame:
    return pl.concat([page.rows for page in meta.pages(asked)], how="diagonal_relaxed")


def refused(meta: Source, asked: Pull) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        list(meta.pages(asked))
    assert TOKEN not in str(caught.value)
    assert SECRET not in str(caught.value)
    return caught.value


def truth(served: ServedAccount, placed: bool, first: date = FIRST, last: date = LAST) -> pl.DataFrame:
    """What the simulated account manager sees, in the stream's names and texts."""
    frame = served.rows(Reports.meta_by_placement if placed else Reports.meta, first, last)
    texts, counts = (TEXTS | PLACE, COUNTS) if placed else (TEXTS, COUNTS | UNIQUE)
    cents = [(pl.col(old) * 100).round().cast(pl.Int64).alias(new) for new, old in MONEY.items()]
    return frame.select(
        pl.col("Reporting starts").str.to_date().alias("report_date"),
        *(pl.col(old).alias(new) for new, old in texts.items()),
        *(pl.col(old).cast(pl.Int64).alias(new) for new, old in counts.items()),
        *cents,
    )


def measured(rows: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    """Pulled texts as whole numbers and cents, in the columns and order of the truth."""
    assert rows.schema["spend"] == pl.String
    exact = [
        pl.col(name).map_elements(lambda text: int(Decimal(text) * 100), return_dtype=pl.Int64).alias(name)
        for name in MONEY
    ]
    counts = [name for name in (*COUNTS, *UNIQUE) if name in like.columns]
    return rows.with_columns(pl.col(counts).cast(pl.Int64), *exact).select(like.columns)


def same(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    return left.sort(left.columns).equals(right.select(left.columns).sort(left.columns))


@contextmanager
def canned(answer: Callable[[Request], Answer]) -> Iterator[str]:
    """A server with one answer: shapes a sound platform never sends."""
    with LoopbackServer(answer, FaultScript()) as server:
        yield server.url


def insight(**changes: Any) -> dict[str, Any]:
    return {
        "account_id": ACCOUNT.account_id,
        "account_currency": "USD",
        "campaign_id": "1",
        "adset_id": "2",
        "ad_id": "3",
        "impressions": "1000",
        "spend": "12.34",
        "date_start": "2026-06-29",
        "date_stop": "2026-06-29",
    } | changes


def list_of(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"data": list(rows), "paging": {"cursors": {"before": "a", "after": "b"}}}


def answering(
    body: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Callable[[Request], Answer]:
    """Insights get `body`; ads have no creative."""

    def answer(request: Request) -> Answer:
        if "ids" in request.form:
            return Answer({key: {"id": key} for key in request.form["ids"].split(",")})
        return Answer(body, status, headers or {})

    return answer


DAY = pull(first=LAST)


# --- what arrives is what happened ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "placed"),
    [("meta_ads_insights/none", False), ("meta_ads_insights_by_placement/placement", True)],
)
@pytest.mark.parametrize("page_size", [None, 50])
def test_pulled_rows_are_the_simulated_rows_to_the_cent(
    served: ServedAccount, name: str, placed: bool, page_size: int | None
) -> None:
    expected = truth(served, placed)
    with MetaServer(served, TOKEN) as server:
        rows = read(source(server.url), replace(pull(name), page_size=page_size))
    assert len(expected) > 300
    assert same(expected, measured(rows, expected))


def test_a_job_and_a_direct_call_bring_the_same_rows(served: ServedAccount) -> None:
    with MetaServer(served, TOKEN) as server:
        direct = read(source(server.url, synchronous_days=30), pull())
        assert not any(r.method == "POST" for r in server.requests)
        by_job = read(source(server.url, synchronous_days=0), pull())
        assert any(r.method == "POST" for r in server.requests)
    assert direct.height > 300
    assert by_job.equals(direct)


def test_placements_add_up_to_the_call_without_breakdown(served: ServedAccount) -> None:
    keys = ["report_date", "ad_id"]
    metrics = ["impressions", "clicks", "spend", *list(COUNTS)[-2:], *list(MONEY)[1:]]
    with MetaServer(served, TOKEN) as server:
        meta = source(server.url)
        total, placed = (
            read(meta, pull(name))
            .group_by(keys)
            .agg(pl.col(metrics).cast(pl.Decimal(20, 2)).sum())
            .sort(keys)
            for name in ("meta_ads_insights/none", "meta_ads_insights_by_placement/placement")
        )
    assert total.equals(placed)


def test_a_deleted_ad_that_spent_is_there(served: ServedAccount) -> None:
    first = date(2026, 5, 21)
    with MetaServer(served, TOKEN) as server:
        gone = {
            ad["id"]: ad["effective_status"]
            for ad in server.entities.ads()
            if ad["effective_status"] in ("DELETED", "ARCHIVED")
        }
        rows = read(source(server.url), pull(first=first, last=first + timedelta(days=29)))
    spent = rows.filter(pl.col("ad_id").is_in(list(gone)) & (pl.col("spend") != "0"))
    assert {gone[ad] for ad in spent["ad_id"]} == {"DELETED", "ARCHIVED"}


@pytest.mark.parametrize(
    "types",
    [
        ("purchase", "omni_purchase", "offsite_conversion.fb_pixel_purchase"),
        ("offsite_conversion.fb_pixel_purchase", "purchase"),
        ("offsite_conversion.fb_pixel_purchase",),
    ],
)
def test_overlapping_purchase_actions_count_once(served: ServedAccount, types: tuple[str, ...]) -> None:
    expected = truth(served, placed=False)
    with MetaServer(served, TOKEN) as server:
        server.insights.purchase_types = types
        rows = read(source(server.url), pull())
    assert expected["purchases_7d_click"].sum() > 0
    assert same(expected, measured(rows, expected))


def test_a_row_without_actions_has_no_purchases_and_unknown_fields_stay() -> None:
    with canned(answering(list_of(insight(mood={"b": 1.50, "a": [True]})))) as url:
        rows = read(source(url), DAY)
    assert rows.select("purchases_7d_click", "purchase_value_1d_view", "video_p25").row(0) == ("0", "0", "0")
    assert rows["mood"].to_list() == ['{"a":[true],"b":"1.5"}']
    assert rows.select("inline_link_clicks", "unique_inline_link_clicks").row(0) == ("0", "0")
    assert rows.select("adset_name", "reach").row(0) == (None, None)


def test_windows_stay_apart_and_the_sum_is_not_used() -> None:
    action = {"action_type": "purchase", "value": "9", "7d_click": "5", "1d_view": "3"}
    value = {"action_type": "purchase", "value": "90.5", "7d_click": "50.50"}
    body = list_of(insight(actions=[action], action_values=[value]))
    with canned(answering(body)) as url:
        rows = read(source(url), DAY)
    names = ("purchases_7d_click", "purchases_1d_view", "purchase_value_7d_click", "purchase_value_1d_view")
    assert rows.select(names).row(0) == ("5", "3", "50.5", "0")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("12.30", "12.3"), ("100", "100"), (7, "7"), (0.1, "0.1"), (1e-05, "0.00001"), ("1e2", "100")],
)
def test_numbers_are_plain_and_exact(sent: object, kept: str) -> None:
    with canned(answering(list_of(insight(spend=sent)))) as url:
        assert read(source(url), DAY)["spend"].to_list() == [kept]


def test_restated_vanished_and_hidden_days_show_as_the_platform_has_them_now(served: ServedAccount) -> None:
    day = date(2026, 6, 27)
    with MetaServer(served, TOKEN) as server:
        meta = source(server.url)
        before = read(meta, pull(first=day, last=day))
        served.now = lambda: NOW + timedelta(days=10)
        expected = truth(served, False, day, day)
        after = read(meta, pull(first=day, last=day))
        server.hide(day)
        hidden = read(meta, pull(first=day, last=day))
    assert before["purchases_7d_click"].cast(pl.Int64).sum() < expected["purchases_7d_click"].sum()
    assert same(expected, measured(after, expected))
    assert hidden.is_empty()


def test_parents_are_the_campaigns_with_rows_and_divide_the_pull_without_loss(served: ServedAccount) -> None:
    with MetaServer(served, TOKEN) as server:
        meta = source(server.url)
        whole = read(meta, pull())
        parents = tuple(meta.parents(pull()))
        half = len(parents) // 2
        parts = [read(meta, replace(pull(), parents=part)) for part in (parents[:half], parents[half:])]
    assert set(parents) == set(whole["campaign_id"])
    assert min(part.height for part in parts) > 0
    assert same(whole, pl.concat(parts))


# --- what goes wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error_class", "wait"),
    [
        (FaultKind.THROTTLE, ErrorClass.THROTTLE, 300.0),
        (FaultKind.TOO_MUCH, ErrorClass.SHRINK, None),
        (FaultKind.SERVER_ERROR, ErrorClass.TRANSIENT, None),
        (FaultKind.HTML_ERROR, ErrorClass.TRANSIENT, None),
        (FaultKind.TRUNCATED, ErrorClass.TRANSIENT, None),
        (FaultKind.STALL, ErrorClass.TRANSIENT, None),
        (FaultKind.EXPIRED_TOKEN, ErrorClass.AUTH, None),
        (FaultKind.CURSOR_LOOP, ErrorClass.TRANSIENT, None),
    ],
)
@pytest.mark.parametrize("nth", [1, 3])
def test_each_fault_is_told_by_its_class(
    served: ServedAccount, kind: FaultKind, error_class: ErrorClass, wait: float | None, nth: int
) -> None:
    script = FaultScript([Fault(kind, "act_418802716650377/insights", nth, times=2)])
    with MetaServer(served, TOKEN, script, stall_seconds=0.6) as server:
        meta = source(server.url, synchronous_days=30, timeout_seconds=0.3)
        error = refused(meta, replace(pull(), page_size=50))
    assert script.played[kind] > 0
    assert (error.error_class, error.wait_seconds) == (error_class, wait)


@pytest.mark.parametrize("kind", [FaultKind.EMPTY_MIDDLE, FaultKind.DUPLICATE_PAGE])
@pytest.mark.parametrize("nth", [1, 3, 7])
def test_an_empty_or_repeated_page_loses_no_row(served: ServedAccount, kind: FaultKind, nth: int) -> None:
    expected = truth(served, placed=False)
    script = FaultScript([Fault(kind, "/insights", nth, times=2)])
    with MetaServer(served, TOKEN, script) as server:
        rows = read(source(server.url), replace(pull(), page_size=50))
    assert script.played[kind] == 2
    assert (rows.height > expected.height) == (kind is FaultKind.DUPLICATE_PAGE)
    assert same(expected, measured(rows.unique(), expected))


def test_fields_come_and_go_without_harm(served: ServedAccount) -> None:
    script = FaultScript(
        [Fault(FaultKind.UNKNOWN_FIELD, "/insights", 1), Fault(FaultKind.MISSING_FIELD, "/insights", 2)]
    )
    expected = truth(served, placed=False)
    with MetaServer(served, TOKEN, script) as server:
        rows = read(source(server.url), replace(pull(), page_size=100))
    assert rows["attributed_mood"][:100].to_list() == ["hopeful"] * 100
    assert rows["reach"].null_count() == 100
    kept = expected.drop("reach", "adset_name", "ad_name")
    whole = rows.with_columns(pl.col("reach").fill_null("0"))
    assert same(kept, measured(whole, expected).select(kept.columns))


def test_a_failed_job_asks_for_less(served: ServedAccount) -> None:
    script = FaultScript([Fault(FaultKind.JOB_FAILED, "insights", 2)])
    with MetaServer(served, TOKEN, script) as server:
        error = refused(source(server.url), pull())
    assert script.played[FaultKind.JOB_FAILED] == 1
    assert error.error_class is ErrorClass.SHRINK


def test_a_skipped_job_asks_for_less(served: ServedAccount) -> None:
    with MetaServer(served, TOKEN) as server:
        server.job_stages = [("Job Started", 0), ("Job Skipped", 0)]
        assert refused(source(server.url), pull()).error_class is ErrorClass.SHRINK


def test_a_stalled_job_is_given_up_after_its_time(served: ServedAccount) -> None:
    slept: list[float] = []
    with MetaServer(served, TOKEN) as server:
        server.job_stages = [("Job Running", 40)]
        meta = source(server.url, sleep=slept.append, job_patience_seconds=120.0)
        error = refused(meta, pull())
    assert error.error_class is ErrorClass.TRANSIENT
    assert 120 <= sum(slept) <= 120 + 1.25 * 30
    assert max(slept) <= 1.25 * 30
    assert len(set(slept)) == len(slept)  # jittered


def test_a_job_meta_does_not_know_yet_is_tried_again(served: ServedAccount) -> None:
    unknown = {"error": {"message": "Unsupported get request.", "code": 100, "error_subcode": 33}}

    def answer(request: Request) -> Answer:
        return Answer({"report_run_id": "77"}) if request.method == "POST" else Answer(unknown, 400)

    with canned(answer) as url:
        assert refused(source(url), pull()).error_class is ErrorClass.TRANSIENT
        assert refused(source(url), DAY).error_class is ErrorClass.PERMANENT


@pytest.mark.parametrize(
    ("told", "error_class"),
    [
        ({"error_code": 80000, "error_message": "too many calls"}, ErrorClass.THROTTLE),
        ({"error_code": 190, "error_message": "expired"}, ErrorClass.AUTH),
        ({"error_code": 2, "error_message": "went wrong"}, ErrorClass.SHRINK),
    ],
)
def test_a_failed_job_says_why(told: dict[str, Any], error_class: ErrorClass) -> None:
    def answer(request: Request) -> Answer:
        if request.method == "POST":
            return Answer({"report_run_id": "77"})
        return Answer({"id": "77", "async_status": "Job Failed", "async_percent_completion": 3} | told)

    with canned(answer) as url:
        assert refused(source(url), pull()).error_class is error_class


@pytest.mark.parametrize(
    ("error", "status", "error_class"),
    [
        ({"code": 4, "message": "Application request limit reached"}, 400, ErrorClass.THROTTLE),
        ({"code": 17, "error_subcode": 2446079, "message": "User request limit"}, 400, ErrorClass.THROTTLE),
        ({"code": 32, "message": "Page request limit"}, 400, ErrorClass.THROTTLE),
        ({"code": 613, "message": "Calls to this api have exceeded"}, 400, ErrorClass.THROTTLE),
        ({"code": 80000, "message": "too many calls"}, 400, ErrorClass.THROTTLE),
        ({"code": 80014, "message": "too many calls"}, 400, ErrorClass.THROTTLE),
        ({"code": 1, "message": "Please reduce the amount of data"}, 500, ErrorClass.SHRINK),
        ({"code": 100, "error_subcode": 1487534, "message": "too much"}, 400, ErrorClass.SHRINK),
        ({"code": 2, "error_subcode": 1504018, "message": "timed out"}, 400, ErrorClass.SHRINK),
        ({"code": 2, "error_subcode": 1504038, "message": "x", "is_transient": True}, 500, ErrorClass.SHRINK),
        ({"code": 2, "error_subcode": 1504044, "message": "x"}, 400, ErrorClass.SHRINK),
        ({"code": 1, "error_subcode": 99, "message": "An unknown error occurred"}, 500, ErrorClass.TRANSIENT),
        ({"code": 2, "message": "Service temporarily unavailable"}, 400, ErrorClass.TRANSIENT),
        ({"code": 100, "error_subcode": 960, "message": "Request aborted"}, 400, ErrorClass.TRANSIENT),
        ({"code": 5001, "message": "later", "is_transient": True}, 400, ErrorClass.TRANSIENT),
        ({"code": 100, "message": "(#100) Cannot include account_id"}, 400, ErrorClass.TRANSIENT),
        ({"code": 190, "error_subcode": 460, "message": "password changed"}, 400, ErrorClass.AUTH),
        ({"code": 10, "message": "no permission"}, 403, ErrorClass.AUTH),
        ({"code": 294, "message": "needs ads_management"}, 400, ErrorClass.AUTH),
        ({"code": 3018, "message": "beyond 37 months"}, 400, ErrorClass.PERMANENT),
        ({"code": 100, "message": "(#100) not valid for fields param"}, 400, ErrorClass.PERMANENT),
        (
            {"code": 2635, "message": "deprecated version", "error_data": "not json"},
            400,
            ErrorClass.PERMANENT,
        ),
        ("out of order", 503, ErrorClass.TRANSIENT),
    ],
)
def test_every_known_refusal_has_its_class(error: object, status: int, error_class: ErrorClass) -> None:
    with canned(answering({"error": error}, status)) as url:
        assert refused(source(url), DAY).error_class is error_class


def test_the_longest_told_wait_is_kept() -> None:
    told = {"code": 80004, "message": "busy", "error_data": {"estimated_time_to_regain_access": 12}}
    usage = {"1": [{"estimated_time_to_regain_access": 7}, {"estimated_time_to_regain_access": 3}]}
    headers = {"X-Business-Use-Case-Usage": json.dumps(usage)}
    with canned(answering({"error": told}, 400, headers)) as url:
        assert refused(source(url), DAY).wait_seconds == 12 * 60
    del told["error_data"]
    with canned(answering({"error": told}, 400, headers)) as url:
        assert refused(source(url), DAY).wait_seconds == 7 * 60


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, 0),
        ({"X-Business-Use-Case-Usage": '{"1": [{"call_count": 89, "total_time": 12}]}'}, 0),
        ({"X-Business-Use-Case-Usage": '{"2": [{"call_count": 1}, {"total_cputime": 90}]}'}, 60),
        ({"x-business-use-case-usage": '{"1": [{"estimated_time_to_regain_access": 4}]}'}, 240),
        ({"X-Ad-Account-Usage": '{"acc_id_util_pct": 95.5, "reset_time_duration": 170}'}, 170),
        ({"X-App-Usage": '{"call_count": 91, "total_time": 2}'}, 60),
        ({"X-FB-Ads-Insights-Throttle": '{"app_id_util_pct": 2, "acc_id_util_pct": 100}'}, 60),
        ({"X-Business-Use-Case-Usage": "unreadable", "X-App-Usage": "[]"}, 0),
    ],
)
def test_usage_above_ninety_percent_asks_for_a_pause(headers: dict[str, str], wait: float) -> None:
    with canned(answering(list_of(insight()), headers=headers)) as url:
        pages: list[Page] = list(source(url).pages(DAY))
    assert [page.wait_seconds for page in pages] == [wait]


@pytest.mark.parametrize(
    ("body", "error_class"),
    [
        (list_of(insight(date_start="2026-06-28", date_stop="2026-06-28")), ErrorClass.TRANSIENT),
        (list_of(insight(date_start="2026-06-28")), ErrorClass.TRANSIENT),
        (list_of(insight(date_stop=None)), ErrorClass.TRANSIENT),
        (list_of(insight(account_id="999")), ErrorClass.TRANSIENT),
        (list_of(insight(spend="twelve")), ErrorClass.TRANSIENT),
        (list_of(insight(impressions=None)), ErrorClass.TRANSIENT),
        (list_of(insight(impressions=True)), ErrorClass.TRANSIENT),
        (list_of(insight(actions={"purchase": 1})), ErrorClass.TRANSIENT),
        (list_of(insight(actions=[{"action_type": "purchase", "7d_click": "NaN"}])), ErrorClass.TRANSIENT),
        (list_of(insight(actions=[{"action_type": "purchase", "7d_click": "1"}] * 2)), ErrorClass.PERMANENT),
        ({"data": [insight()]}, ErrorClass.TRANSIENT),
        ({"data": {"0": insight()}}, ErrorClass.TRANSIENT),
        ({"paging": {}}, ErrorClass.TRANSIENT),
        ({"data": ["row"], "paging": {}}, ErrorClass.TRANSIENT),
        ({"data": [insight()], "paging": {"next": 7}}, ErrorClass.TRANSIENT),
        ([insight()], ErrorClass.TRANSIENT),
    ],
)
def test_what_cannot_be_an_answer_never_ends_quietly(body: Any, error_class: ErrorClass) -> None:
    with canned(answering(body)) as url:
        assert refused(source(url), DAY).error_class is error_class


def test_a_wrong_token_and_a_dead_host_say_so_without_the_token(served: ServedAccount) -> None:
    with MetaServer(served, "another-token") as server:
        error = refused(source(server.url), DAY)
    assert error.error_class is ErrorClass.AUTH
    assert "AELP_META_ACCESS_TOKEN" in str(error)
    assert refused(source(server.url), DAY).error_class is ErrorClass.TRANSIENT
    assert TOKEN not in repr(MetaCredentials(TOKEN, SECRET))


def test_a_platform_that_repeats_the_token_is_scrubbed() -> None:
    leak = {"error": {"code": 100, "message": f"Bad call: access_token={TOKEN}&x=1 of {SECRET}"}}
    with canned(answering(leak, 400)) as url:
        assert "Bad call" in str(refused(source(url), DAY))


def test_days_beyond_metas_memory_are_refused_before_asking(served: ServedAccount) -> None:
    with MetaServer(served, TOKEN) as server:
        error = refused(source(server.url), pull(first=date(2023, 5, 30), last=date(2023, 5, 31)))
        assert not server.requests
        assert read(source(server.url), pull(first=date(2023, 6, 1), last=date(2023, 6, 1))).is_empty()
    assert error.error_class is ErrorClass.PERMANENT
    assert "2023-05-31" in str(error)


def test_reach_by_placement_is_not_asked_for_where_meta_keeps_none(served: ServedAccount) -> None:
    name = "meta_ads_insights_by_placement/placement"
    with MetaServer(served, TOKEN) as server:
        meta = source(server.url)
        read(meta, pull(name, TODAY - timedelta(days=395), TODAY - timedelta(days=395)))
        read(meta, pull(name, TODAY - timedelta(days=394), TODAY - timedelta(days=394)))
        asked = [request.form["fields"].split(",") for request in server.requests]
    assert ["reach" in fields for fields in asked] == [False, True]


# --- accounts and credentials ----------------------------------------------------------------------------


def test_accounts_are_those_of_the_token_or_those_configured(served: ServedAccount) -> None:
    with MetaServer(served, TOKEN) as server:
        assert source(server.url).accounts() == [ACCOUNT]
        assert source(server.url, account_ids=["act_418802716650377"]).accounts() == [ACCOUNT]
        with pytest.raises(PlatformError) as caught:
            source(server.url, account_ids=["1"]).accounts()
    assert caught.value.error_class is ErrorClass.AUTH


def test_an_account_that_is_gone_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    said = "Unsupported get request. Object with ID 'act_1' does not exist"
    gone = {"error": {"code": 100, "error_subcode": 33, "message": said}}
    described = {"account_id": "2", "name": "Main", "currency": "EUR", "timezone_name": "Europe/Berlin"}

    def answer(request: Request) -> Answer:
        return Answer(gone, 400) if "act_1" in request.path else Answer(described)

    with canned(answer) as url:
        found = source(url, account_ids=["1", "2"]).accounts()
        assert found == [Account("2", "Main", "EUR", "Europe/Berlin")]
        assert "act_1: Meta refused (code 100, subcode 33" in caplog.text
        with pytest.raises(PlatformError, match="does not exist") as caught:
            source(url, account_ids=["1"]).accounts()
    assert caught.value.error_class is ErrorClass.PERMANENT


def test_missing_credentials_name_the_variable() -> None:
    with pytest.raises(MissingCredentials, match="AELP_META_ACCESS_TOKEN"):
        MetaCredentials.from_environment({"AELP_META_ACCESS_TOKEN": " "})
    variables = {"AELP_META_ACCESS_TOKEN": TOKEN, "AELP_META_APP_SECRET": SECRET}
    assert MetaCredentials.from_environment(variables) == MetaCredentials(TOKEN, SECRET)
