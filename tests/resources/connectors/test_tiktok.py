"""TikTok against its loopback API: every row, every refusal, and nothing that looks complete but is not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta

import httpx
import polars as pl
import pytest

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.source import Account, Pull
from resources.connectors.tiktok import TikTok, TikTokCredentials
from resources.landing.streams import STREAMS
from resources.sandbox.backend_frames import levers_frame
from resources.sandbox.catalogue import TIKTOK
from resources.sandbox.frames import Reports
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.http import Answer, LoopbackServer, Request
from resources.sandbox.servers.plays import clips_of
from resources.sandbox.servers.tiktok import TikTokServer
from tests.resources.connectors.plays import played

TOKEN = "tt-secret-4711"
ADVERTISER = "7194406226318590977"
FIRST, LAST = date(2026, 6, 10), date(2026, 6, 29)
REPORT = "/report/integrated/get/"
ACCOUNT = Account(ADVERTISER, "Northstar TikTok US", "USD", "America/New_York")
STREAM = STREAMS["tiktok_ads_report"]
PLAYED = {
    "video_plays": "started",
    "video_2s_views": "2_seconds",
    "video_6s_views": "6_seconds",
    "video_p25": "p25",
    "video_p50": "p50",
    "video_p75": "p75",
    "video_p100": "p100",
}


@contextmanager
def connected(
    served: ServedAccount,
    *faults: Fault,
    token: str = TOKEN,
    page_size: int = 1000,
    advertisers: tuple[str, ...] = (ADVERTISER,),
    now: Callable[[], datetime] | None = None,
) -> Iterator[tuple[TikTok, TikTokServer]]:
    with TikTokServer(served, TOKEN, FaultScript(faults)) as server:
        source = TikTok(
            TikTokCredentials(token),
            advertisers,
            served.now if now is None else now,
            endpoint=server.url,
            timeout_seconds=0.4,
            page_size=page_size,
        )
        try:
            yield source, server
        finally:
            source.close()


def ads(source: TikTok, first: date = FIRST, last: date = LAST) -> pl.DataFrame:
    pages = list(source.pages(Pull(ACCOUNT, source.reports[0], first, last)))
    return pl.concat([page.rows for page in pages], how="diagonal")


def refusal(act: Callable[[], object]) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        act()
    assert TOKEN not in f"{raised.value!r} {raised.value}"
    assert raised.value.__suppress_context__
    return raised.value


def money(dollars: float) -> str:
    text = f"{dollars:.2f}"
    return text.rstrip("0").rstrip(".")


def truth(served: ServedAccount, first: date = FIRST, last: date = LAST) -> pl.DataFrame:
    """The simulated rows as the stream would hold them."""
    clips = clips_of(served, TIKTOK)
    rows = [
        {
            "report_date": date.fromisoformat(row["By Day"]),
            "campaign_id": row["Campaign ID"],
            "adgroup_id": row["Ad group ID"],
            "ad_id": row["Ad ID"],
            "account_name": row["Advertiser name"],
            "currency": row["Currency"],
            "campaign_name": row["Campaign name"],
            "adgroup_name": row["Ad group name"],
            "ad_name": row["Ad name"],
            "impressions": str(row["Impressions"]),
            "clicks": str(row["Clicks (destination)"]),
            "spend": money(row["Cost"]),
            "conversions_click": str(row["Conversions (click)"]),
            "conversions_view": str(row["Conversions (view)"]),
            "total_purchase_value": money(row["Total purchase value"]),
            **{
                field: played(row["Impressions"], depth, clips.get(row["Ad ID"]))
                for field, depth in PLAYED.items()
            },
        }
        for row in served.rows(Reports.tiktok, first, last).to_dicts()
    ]
    return pl.DataFrame(rows).sort("report_date", "ad_id")


def test_the_rows_are_the_simulated_truth(served: ServedAccount) -> None:
    expected = truth(served)
    with connected(served) as (source, _):
        rows = ads(source)
    assert expected.height > 60
    assert rows.select(expected.columns).sort("report_date", "ad_id").equals(expected)
    assert rows["creative_id"].null_count() == rows.height


def test_plays_are_those_of_videos_and_images_have_none(served: ServedAccount) -> None:
    clips = clips_of(served, TIKTOK)
    with connected(served) as (source, _):
        rows = ads(source).select("ad_id", "impressions", *PLAYED).cast(dict.fromkeys(PLAYED, pl.Int64))
    videos = rows.filter(pl.col("ad_id").is_in([*clips]))
    images = rows.filter(~pl.col("ad_id").is_in([*clips]))
    assert videos.height > 10
    assert images.height > 10
    assert images.select(pl.sum_horizontal(pl.col(*PLAYED).sum())).item() == 0
    # Nobody gets further without having got so far; 2 seconds and 6 stand where a quarter of 16 seconds does.
    course = ("video_plays", "video_2s_views", "video_p25", "video_6s_views", "video_p50", "video_p100")
    for earlier, later in itertools.pairwise(course):
        assert (videos[earlier] >= videos[later]).all()
    assert 0 < videos["video_p100"].sum() < videos["video_2s_views"].sum()


def test_a_play_metric_an_ad_cannot_have_is_unknown_and_not_none() -> None:
    odd = metrics(video_play_actions="-", video_watched_2s="0", video_views_p25=7)
    body = {"code": 0, "data": {"list": [odd], "page_info": INFO}}
    with answering(lambda request: Answer(body)) as source:
        row = ads(source, LAST, LAST).row(0, named=True)
    assert {name: row[name] for name in PLAYED} == dict.fromkeys(PLAYED) | {
        "video_2s_views": "0",
        "video_p25": "7",
    }


def test_every_page_is_read_however_small(served: ServedAccount) -> None:
    expected = truth(served)
    with connected(served, page_size=7) as (source, server):
        rows = ads(source)
        assert len(server.requests) == -(-expected.height // 7)
    assert rows.select(expected.columns).sort("report_date", "ad_id").equals(expected)


def test_a_day_without_delivery_has_no_rows_and_is_complete(served: ServedAccount) -> None:
    with connected(served) as (source, server):
        server.hide(LAST)
        assert ads(source, LAST, LAST).is_empty()
        assert ads(source).height == truth(served).height - truth(served, LAST, LAST).height


def test_conversions_arrive_when_the_platform_restates(served: ServedAccount) -> None:
    before = truth(served)
    with connected(served) as (source, _):
        later = served.now() + timedelta(days=7)
        served.now = lambda: later
        after = ads(source).select(before.columns).sort("report_date", "ad_id")
    total = pl.col("conversions_click").cast(pl.Int64).sum()
    assert after.select(total).item() > before.select(total).item()
    assert after.equals(truth(served))


@pytest.mark.parametrize(
    ("kind", "error_class", "wait"),
    [
        (FaultKind.THROTTLE, ErrorClass.THROTTLE, 300.0),
        (FaultKind.EXPIRED_TOKEN, ErrorClass.AUTH, None),
        (FaultKind.SERVER_ERROR, ErrorClass.TRANSIENT, None),
        (FaultKind.HTML_ERROR, ErrorClass.TRANSIENT, None),
        (FaultKind.STALL, ErrorClass.TRANSIENT, None),
        (FaultKind.TRUNCATED, ErrorClass.TRANSIENT, None),
        (FaultKind.EMPTY_MIDDLE, ErrorClass.TRANSIENT, None),
        (FaultKind.DUPLICATE_PAGE, ErrorClass.TRANSIENT, None),
    ],
)
def test_a_fault_is_told_by_its_class_and_the_next_try_is_whole(
    served: ServedAccount, kind: FaultKind, error_class: ErrorClass, wait: float | None
) -> None:
    expected = truth(served)
    with connected(served, Fault(kind, REPORT), page_size=20) as (source, _):
        error = refusal(lambda: ads(source))
        assert (error.error_class, error.wait_seconds) == (error_class, wait)
        assert ads(source).select(expected.columns).sort("report_date", "ad_id").equals(expected)


def test_a_throttle_behind_http_200_is_no_success(served: ServedAccount) -> None:
    throttled = Fault(FaultKind.THROTTLE, REPORT, times=2)
    with connected(served, throttled) as (source, server):
        bare = httpx.get(f"{server.url}/open_api/v1.3{REPORT}", headers={"Access-Token": TOKEN})
        assert (bare.status_code, bare.json()["code"]) == (200, 40100)
        assert refusal(lambda: ads(source)).error_class is ErrorClass.THROTTLE


def test_a_field_nobody_asked_for_lands_beside_the_others(served: ServedAccount) -> None:
    with connected(served, Fault(FaultKind.UNKNOWN_FIELD, REPORT)) as (source, _):
        rows = ads(source)
    assert rows["surprise_metric"].unique().to_list() == ["7"]
    assert rows.height == truth(served).height


def test_a_missing_metric_is_null_and_missing_parents_are_looked_up(served: ServedAccount) -> None:
    expected = truth(served)
    with connected(served, Fault(FaultKind.MISSING_FIELD, REPORT)) as (source, _):
        rows = ads(source).sort("report_date", "ad_id")
    assert rows["conversions_view"].null_count() == rows.height
    kept = [name for name in expected.columns if name != "conversions_view"]
    assert rows.select(kept).equals(expected.select(kept))


def test_a_day_outside_the_request_is_refused(served: ServedAccount) -> None:
    with connected(served) as (source, _):
        inner = served.rows
        served.rows = lambda report, first, last: inner(report, first - timedelta(days=1), last)  # type: ignore[method-assign]
        error = refusal(lambda: ads(source))
    assert error.error_class is ErrorClass.TRANSIENT
    assert "2026-06-09" in str(error)


def test_a_span_too_long_is_refused_for_good(served: ServedAccount) -> None:
    with connected(served) as (source, _):
        error = refusal(lambda: ads(source, LAST - timedelta(days=30), LAST))
    assert error.error_class is ErrorClass.PERMANENT
    assert "40002" in str(error)


def test_a_wrong_token_is_refused_as_such(served: ServedAccount) -> None:
    with connected(served, token="tt-secret-4711-old") as (source, _):
        error = refusal(lambda: ads(source))
    assert error.error_class is ErrorClass.AUTH
    assert "AELP_TIKTOK_ACCESS_TOKEN" in str(error)


def test_the_account_is_described_with_its_own_zone(served: ServedAccount) -> None:
    with connected(served) as (source, _):
        assert source.accounts() == [ACCOUNT]


def test_an_advertiser_the_token_cannot_read_is_loud(served: ServedAccount) -> None:
    with connected(served, advertisers=(ADVERTISER, "1")) as (source, _):
        assert refusal(source.accounts).error_class is ErrorClass.AUTH


@pytest.mark.parametrize("page_size", [1, 1000])
def test_levers_are_those_of_the_sandbox(served: ServedAccount, page_size: int) -> None:
    day = date(2026, 6, 29)
    window = served.window(day, day)
    assert window is not None
    simulated = served.simulated
    frame = levers_frame(simulated.business, simulated.ledger, window).filter(pl.col("source") == "tiktok")
    expected = {
        row["lever_id"]: {
            **{name: row[name] for name in ("lever_level", "campaign_id", "entity_id", "entity_name")},
            **{name: row[name] for name in ("budget_type", "currency", "learning_state", "status")},
            **{name: money(row[name]) for name in ("budget", "minimum_budget", "budget_increment")},
            "is_shared": "false",
            "budget_id": None,
            "last_edited_at": datetime.fromisoformat(row["last_edited_at"]).astimezone(UTC).isoformat(),
        }
        for row in frame.to_dicts()
    }
    today = date(2026, 6, 30)
    with connected(served, page_size=page_size) as (source, _):
        pages = list(source.pages(Pull(ACCOUNT, source.reports[1], today, today)))
    rows = pages[0].rows
    assert rows["report_date"].unique().to_list() == [today]
    assert {row["lever_id"]: row for row in rows.drop("report_date").to_dicts()} == {
        lever: {"lever_id": lever, **fields} for lever, fields in expected.items()
    }


def test_an_ad_group_a_few_days_old_is_learning(served: ServedAccount) -> None:
    created = datetime.combine(served.simulated.business.start, time(15), UTC) - timedelta(days=200)
    for age, state in ((6, "learning"), (8, "active")):
        with connected(served, now=lambda age=age: created + timedelta(days=age)) as (source, _):  # type: ignore[misc]
            rows = next(iter(source.pages(Pull(ACCOUNT, source.reports[1], LAST, LAST)))).rows
        assert rows["learning_state"].unique().to_list() == [state]


def write(server: TikTokServer, path: str, body: object, token: str = TOKEN) -> tuple[int, str, object]:
    reply = httpx.post(f"{server.url}/open_api/v1.3{path}", json=body, headers={"Access-Token": token})
    assert reply.status_code == 200
    told = reply.json()
    return told["code"], told["message"], told["data"]


def levers(source: TikTok) -> dict[str, dict[str, object]]:
    today = date(2026, 6, 30)
    (page,) = source.pages(Pull(ACCOUNT, source.reports[1], today, today))
    return {row["entity_id"]: row for row in page.rows.to_dicts()}


BUDGETS, STATUSES = "/adgroup/budget/update/", "/adgroup/status/update/"
CAMPAIGN_STATUSES = "/campaign/status/update/"


def test_several_ad_groups_are_written_in_one_call(served: ServedAccount) -> None:
    with connected(served) as (source, server):
        before = levers(source)
        budgets = [{"adgroup_id": each, "budget": 40 + at} for at, each in enumerate(before)]
        ids = list(before)
        assert write(server, BUDGETS, {"advertiser_id": ADVERTISER, "budget": budgets}) == (0, "OK", {})
        body = {"advertiser_id": ADVERTISER, "adgroup_ids": ids, "operation_status": "DISABLE"}
        assert write(server, STATUSES, body) == (0, "OK", {"adgroup_ids": ids, "status": "DISABLE"})
        after = levers(source)
    assert [row["budget"] for row in after.values()] == [str(40 + at) for at in range(len(ids))]
    assert {row["status"] for row in after.values()} == {"paused"}
    assert {row["last_edited_at"] for row in after.values()} == {"2026-06-30T12:00:00+00:00"}


def test_a_paused_campaign_pauses_its_ad_groups_without_editing_them(served: ServedAccount) -> None:
    with connected(served) as (source, server):
        before = levers(source)
        campaign = next(iter(before.values()))["campaign_id"]
        body = {"advertiser_id": ADVERTISER, "campaign_ids": [campaign], "operation_status": "DISABLE"}
        code, _, data = write(server, CAMPAIGN_STATUSES, body)
        after = levers(source)
        listed = httpx.get(
            f"{server.url}/open_api/v1.3/adgroup/get/?page_size=1000", headers={"Access-Token": TOKEN}
        ).json()["data"]["list"]
    assert (code, data) == (
        0,
        {
            "campaign_ids": [campaign],
            "status": "DISABLE",
            "campaign_list": [{"campaign_id": campaign, "status": "DISABLE"}],
        },
    )
    paused = {entity for entity, row in before.items() if row["campaign_id"] == campaign}
    assert after == {
        entity: row | ({"status": "paused"} if entity in paused else {}) for entity, row in before.items()
    }
    shown = {row["adgroup_id"]: (row["operation_status"], row["secondary_status"]) for row in listed}
    assert {shown[entity] for entity in paused if before[entity]["status"] == "active"} == {
        ("ENABLE", "ADGROUP_STATUS_CAMPAIGN_DISABLE")
    }


@pytest.mark.parametrize(
    ("path", "given", "code", "said"),
    [
        (BUDGETS, {"budget": [{"adgroup_id": "ID", "budget": 19.99}]}, 40002, "at least 20"),
        (BUDGETS, {"budget": [{"adgroup_id": "ID", "budget": "50"}]}, 40002, "a number"),
        (BUDGETS, {"budget": [{"adgroup_id": "ID", "budget": True}]}, 40002, "a number"),
        (BUDGETS, {"budget": [{"adgroup_id": "9", "budget": 50}]}, 40002, "does not exist"),
        (BUDGETS, {"budget": []}, 40002, "1-20"),
        (BUDGETS, {"budget": [{"adgroup_id": "ID", "budget": 50}] * 21}, 40002, "1-20"),
        (
            BUDGETS,
            {"budget": [{"adgroup_id": "ID", "budget": 50}], "scheduled_budget": []},
            40002,
            "not served",
        ),
        (
            BUDGETS,
            {"budget": [{"adgroup_id": "ID", "budget": 50}], "advertiser_id": "1"},
            40001,
            "permission",
        ),
        (STATUSES, {"adgroup_ids": ["ID"], "operation_status": "PAUSED"}, 40002, "operation_status"),
        (STATUSES, {"adgroup_ids": ["ID", "9"], "operation_status": "DISABLE"}, 40002, "not all"),
        (STATUSES, {"adgroup_ids": ["ID"] * 21, "operation_status": "DISABLE"}, 40002, "1-20"),
        (CAMPAIGN_STATUSES, {"campaign_ids": ["ID"], "operation_status": "DISABLE"}, 40002, "not all"),
        ("/campaign/update/", {"campaign_id": "ID", "budget": 50}, 40002, "does not exist"),
        ("/campaign/update/", {"campaign_id": "CAMPAIGN", "budget": 50}, 40002, "BUDGET_MODE_INFINITE"),
    ],
)
def test_a_refused_write_says_why_and_changes_nothing(
    served: ServedAccount, path: str, given: dict[str, object], code: int, said: str
) -> None:
    with connected(served) as (source, server):
        before = levers(source)
        adgroup = next(iter(before))
        text = json.dumps({"advertiser_id": ADVERTISER, **given}).replace('ID"', f'{adgroup}"')
        body = json.loads(text.replace("CAMPAIGN", str(before[adgroup]["campaign_id"])))
        told = write(server, path, body)
        assert told[0] == code
        assert said in told[1]
        assert levers(source) == before


def test_one_bad_budget_keeps_the_others_from_being_written(served: ServedAccount) -> None:
    with connected(served) as (source, server):
        before = levers(source)
        first, *_, last = before
        budgets = [{"adgroup_id": first, "budget": 50}, {"adgroup_id": last, "budget": 1}]
        assert write(server, BUDGETS, {"advertiser_id": ADVERTISER, "budget": budgets})[0] == 40002
        assert write(server, BUDGETS, ["no object"])[0] == 40002
        assert write(server, BUDGETS, {"advertiser_id": ADVERTISER, "budget": budgets[:1]}, "old")[0] == 40105
        assert levers(source) == before


ROW = {
    "dimensions": {"ad_id": "3", "stat_time_day": "2026-06-29 00:00:00"},
    "metrics": {"campaign_id": "1", "adgroup_id": "2", "impressions": "5", "clicks": "0", "spend": "1.50"},
}
INFO = {"page": 1, "page_size": 1000, "total_number": 1, "total_page": 1}


@contextmanager
def answering(answer: Callable[[Request], Answer]) -> Iterator[TikTok]:
    with LoopbackServer(answer, FaultScript()) as server:
        source = TikTok(
            TikTokCredentials(TOKEN), (ADVERTISER,), lambda: datetime.now(UTC), endpoint=server.url
        )
        try:
            yield source
        finally:
            source.close()


def metrics(**change: object) -> dict[str, object]:
    return ROW | {"metrics": ROW["metrics"] | change}


@pytest.mark.parametrize(
    ("body", "error_class", "wait"),
    [
        ({"code": 40001, "message": "No permission"}, ErrorClass.AUTH, None),
        ({"code": 40002, "message": "Invalid metric"}, ErrorClass.PERMANENT, None),
        ({"code": 40100, "message": "Too many requests"}, ErrorClass.THROTTLE, 300.0),
        ({"code": 40105, "message": f"Token {TOKEN} is wrong"}, ErrorClass.AUTH, None),
        ({"code": 50002, "message": "Service error"}, ErrorClass.TRANSIENT, None),
        ({"code": 51010, "message": "Timed out"}, ErrorClass.TRANSIENT, None),
        ({"message": "what is this"}, ErrorClass.TRANSIENT, None),
        ([], ErrorClass.TRANSIENT, None),
        ({"code": 0, "data": {"page_info": INFO}}, ErrorClass.TRANSIENT, None),
        ({"code": 0, "data": {"list": [ROW]}}, ErrorClass.TRANSIENT, None),
        ({"code": 0, "data": {"list": [ROW], "page_info": INFO | {"page": 2}}}, ErrorClass.TRANSIENT, None),
        (
            {"code": 0, "data": {"list": [ROW, ROW], "page_info": INFO | {"total_number": 2}}},
            ErrorClass.TRANSIENT,
            None,
        ),
        (
            {"code": 0, "data": {"list": [metrics(spend="1,50")], "page_info": INFO}},
            ErrorClass.PERMANENT,
            None,
        ),
        ({"code": 0, "data": {"list": [metrics(spend=None)], "page_info": INFO}}, ErrorClass.TRANSIENT, None),
        ({"code": 0, "data": {"list": [{"metrics": {}}], "page_info": INFO}}, ErrorClass.TRANSIENT, None),
    ],
)
def test_what_is_no_good_answer_is_told_by_its_class(
    body: object, error_class: ErrorClass, wait: float | None
) -> None:
    with answering(lambda request: Answer(body)) as source:
        error = refusal(lambda: ads(source, LAST, LAST))
    assert (error.error_class, error.wait_seconds) == (error_class, wait)


def test_numbers_keep_every_digit() -> None:
    odd = metrics(spend="0.0000001", cta_conversion=12345678901234567890, vta_conversion="-")
    body = {"code": 0, "data": {"list": [odd], "page_info": INFO}}
    with answering(lambda request: Answer(body)) as source:
        row = ads(source, LAST, LAST).row(0, named=True)
    assert row["spend"] == "0.0000001"
    assert row["conversions_click"] == "12345678901234567890"
    assert row["conversions_view"] is None


def test_a_campaign_that_carries_its_budget_is_the_lever_of_its_ad_groups() -> None:
    lists = {
        "campaign": [
            {"campaign_id": "1", "campaign_name": "CBO", "budget_optimize_on": True, "budget": 75.5}
            | {"budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET", "operation_status": "DISABLE"},
            {"campaign_id": "2", "campaign_name": "ABO", "budget_optimize_on": False, "budget": 0}
            | {"budget_mode": "BUDGET_MODE_INFINITE", "operation_status": "ENABLE"},
        ],
        "adgroup": [
            {"campaign_id": "1", "adgroup_id": "11", "budget_mode": "BUDGET_MODE_INFINITE", "budget": 0},
            {"campaign_id": "2", "adgroup_id": "21", "budget_mode": "BUDGET_MODE_TOTAL", "budget": 900},
        ],
    }

    def answer(request: Request) -> Answer:
        listed = lists[request.path.split("/")[-3]]
        info = INFO | {"total_number": len(listed)}
        return Answer({"code": 0, "data": {"list": listed, "page_info": info}})

    with answering(answer) as source:
        (page,) = source.pages(Pull(ACCOUNT, source.reports[1], LAST, LAST))
    shown = ["lever_id", "lever_level", "budget_type", "budget", "minimum_budget", "status"]
    assert page.rows.select(shown).rows() == [
        ("campaign_1", "campaign", "daily", "75.5", "50", "paused"),
        ("adgroup_21", "adgroup", "lifetime", "900", None, "active"),
    ]


def test_missing_credentials_name_their_variables() -> None:
    with pytest.raises(MissingCredentials, match=r"set AELP_TIKTOK_ACCESS_TOKEN\."):
        TikTokCredentials.from_environment({})
    given = TikTokCredentials.from_environment({"AELP_TIKTOK_ACCESS_TOKEN": f" {TOKEN}\n"})
    assert given == TikTokCredentials(TOKEN)
    assert TOKEN not in repr(given)


def test_credentials_never_leave_without_tls() -> None:
    with pytest.raises(ValueError, match="https"):
        TikTok(TikTokCredentials(TOKEN), ("1",), lambda: datetime.now(UTC), endpoint="http://tiktok.example")


def test_the_token_travels_in_the_header_only(served: ServedAccount) -> None:
    with connected(served) as (source, server):
        ads(source)
        assert all(TOKEN not in json.dumps(dict(request.form)) for request in server.requests)


# --- what today spent so far --------------------------------------------------------------------------


def hours(source: TikTok, day: date) -> pl.DataFrame:
    report = next(report for report in source.reports if report.stream.name == "intraday_spend")
    return pl.concat([page.rows for page in source.pages(Pull(ACCOUNT, report, day, day))])


def test_today_s_spend_comes_by_ad_group_and_hour_up_to_ten_minutes_ago(served: ServedAccount) -> None:
    with connected(served, page_size=7) as (source, server):
        eight = hours(source, served.today)
        assert json.loads(server.requests[-1].form["dimensions"]) == ["adgroup_id", "stat_time_hour"]
        night = served.now().replace(hour=23, minute=59)
        served.now = lambda: night
        later = hours(source, served.today)
        assert hours(source, served.today - timedelta(days=1)).is_empty()
    assert sorted(set(eight["hour"]), key=int) == [str(hour) for hour in range(8)]
    assert eight.select("adgroup_id", "hour").is_unique().all()
    assert eight["campaign_id"].is_in(truth(served)["campaign_id"].implode()).all()
    spent, by_night = (frame["spend"].cast(pl.Decimal(20, 2)).sum() for frame in (eight, later))
    whole = served.rows_today(Reports.tiktok)["Cost"].sum()
    assert 0 < float(spent) < float(by_night) <= round(whole, 2)


def test_an_hour_of_another_day_is_no_answer() -> None:
    row = {
        "dimensions": {"adgroup_id": "1", "stat_time_hour": "2026-06-29 03:00:00"},
        "metrics": {"campaign_id": "2", "spend": "1.00"},
    }
    info = {"page": 1, "page_size": 1000, "total_number": 1, "total_page": 1}
    body = {"code": 0, "message": "OK", "data": {"list": [row], "page_info": info}}

    def answer(_request: Request) -> Answer:
        return Answer(body)

    with LoopbackServer(answer, FaultScript()) as server:
        source = TikTok(TikTokCredentials(TOKEN), (), lambda: datetime.now(UTC), endpoint=server.url)
        error = refusal(lambda: hours(source, date(2026, 6, 30)))
        source.close()
    assert error.error_class is ErrorClass.TRANSIENT
    assert "a row of 2026-06-29" in str(error)
