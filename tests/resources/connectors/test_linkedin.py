"""LinkedIn against its loopback API: truncation, silence and daily limits are never taken for an answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import httpx
import polars as pl
import pytest

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.linkedin import LinkedIn, LinkedInCredentials
from resources.connectors.source import Account, Pull
from resources.sandbox.backend_frames import levers_frame
from resources.sandbox.build import simulate_account
from resources.sandbox.catalogue import LINKEDIN
from resources.sandbox.frames import Reports
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.http import Answer, LoopbackServer, Request
from resources.sandbox.servers.linkedin import LinkedInServer
from resources.sandbox.servers.plays import clips_of
from tests.resources.connectors.plays import played

TOKEN = "li-secret-0815"
FIRST, LAST = date(2026, 6, 5), date(2026, 6, 29)
ANALYTICS = "/rest/adAnalytics"
PLAYED = {
    "video_plays": "started",
    "video_views": "2_seconds_half_in_view",
    "video_p25": "p25",
    "video_p50": "p50",
    "video_p75": "p75",
    "video_p100": "p100",
}
ACCOUNT = Account("508733911", "Northstar LinkedIn", "USD", "UTC")
NOW = datetime(2026, 6, 30, 8, tzinfo=ZoneInfo(ACCOUNT_ZONE))


@pytest.fixture(scope="module")
def several() -> ServedAccount:
    """An account with two campaigns and three creatives: enough for pages."""
    return ServedAccount(simulate_account("demo", 20261120, NOW.date()), lambda: NOW)


@contextmanager
def connected(
    served: ServedAccount,
    *faults: Fault,
    token: str = TOKEN,
    accounts: tuple[str, ...] = (),
    per_page: int = 1000,
    longest_uri: int = 8_000,
    timeout_seconds: float = 5.0,  # fifteen thousand elements take a while to be written
) -> Iterator[tuple[LinkedIn, LinkedInServer]]:
    with LinkedInServer(served, TOKEN, FaultScript(faults), longest_uri) as server:
        source = LinkedIn(
            LinkedInCredentials(token),
            accounts,
            served.now,
            endpoint=server.url,
            timeout_seconds=timeout_seconds,
            entities_per_page=per_page,
        )
        try:
            yield source, server
        finally:
            source.close()


def creatives(
    source: LinkedIn, first: date = FIRST, last: date = LAST, parents: tuple[str, ...] | None = None
) -> pl.DataFrame:
    (page,) = source.pages(Pull(ACCOUNT, source.reports[0], first, last, parents))
    return page.rows


def refusal(act: Callable[[], object]) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        act()
    assert TOKEN not in f"{raised.value!r} {raised.value}"
    assert raised.value.__suppress_context__
    return raised.value


def money(dollars: float) -> str:
    return f"{dollars:.2f}".rstrip("0").rstrip(".")


def truth(served: ServedAccount, first: date = FIRST, last: date = LAST) -> pl.DataFrame:
    """The simulated rows as the stream would hold them."""
    clips = clips_of(served, LINKEDIN)
    rows = [
        {
            "report_date": date.fromisoformat(row["Start Date (in UTC)"]),
            "campaign_group_id": row["Campaign Group ID"],
            "campaign_id": row["Campaign ID"],
            "creative_id": row["Ad ID"],
            "account_name": row["Account Name"],
            "currency": row["Currency"],
            "campaign_group_name": row["Campaign Group Name"],
            "campaign_name": row["Campaign Name"],
            "ad_name": row["Ad Name"],
            "impressions": str(row["Impressions"]),
            "clicks": str(row["Clicks"]),
            "spend": money(row["Total Spent"]),
            "conversions_post_click": str(row["Conversions (post-click)"]),
            "conversions_post_view": str(row["Conversions (post-view)"]),
            "conversion_value": money(row["Total Conversion Value"]),
            **{
                field: played(row["Impressions"], depth, clips.get(row["Ad ID"]))
                for field, depth in PLAYED.items()
            },
        }
        for row in served.rows(Reports.linkedin, first, last).to_dicts()
    ]
    return pl.DataFrame(rows).sort("report_date", "creative_id")


def same(rows: pl.DataFrame, expected: pl.DataFrame) -> bool:
    return rows.select(expected.columns).sort("report_date", "creative_id").equals(expected)


@pytest.mark.parametrize("per_page", [1, 1000])
def test_the_rows_are_the_simulated_truth(several: ServedAccount, per_page: int) -> None:
    expected = truth(several)
    assert expected["creative_id"].n_unique() > 1
    with connected(several, per_page=per_page) as (source, _):
        assert same(creatives(source), expected)


def test_one_request_names_no_more_fields_than_linkedin_takes(several: ServedAccount) -> None:
    with connected(several) as (source, server):
        creatives(source)
        (asked,) = [
            request.form["fields"].split(",") for request in server.requests if request.path == ANALYTICS
        ]
    assert len(asked) == len(set(asked)) <= 20


def test_plays_are_those_of_videos(several: ServedAccount) -> None:
    clips = clips_of(several, LINKEDIN)
    with connected(several) as (source, _):
        rows = creatives(source).select("creative_id", *PLAYED).cast(dict.fromkeys(PLAYED, pl.Int64))
    is_video = rows["creative_id"].is_in([*clips])
    assert 0 < is_video.sum() < rows.height
    assert rows.filter(~is_video).select(pl.sum_horizontal(pl.col(*PLAYED).sum())).item() == 0
    for earlier, later in itertools.pairwise(PLAYED):
        assert (rows[earlier] >= rows[later]).all()
    assert rows["video_p100"].sum() > 0


def test_a_part_of_the_campaigns_brings_their_rows_only(several: ServedAccount) -> None:
    expected = truth(several)
    with connected(several, per_page=1) as (source, _):
        campaigns = source.parents(Pull(ACCOUNT, source.reports[0], LAST, LAST))
        parts = [creatives(source, parents=(campaign,)) for campaign in campaigns]
    assert len(campaigns) == expected["campaign_id"].n_unique() > 1
    assert [part["campaign_id"].unique().to_list() for part in parts] == [[each] for each in campaigns]
    assert same(pl.concat(parts), expected)


def test_names_are_read_once_for_many_spans(served: ServedAccount) -> None:
    with connected(served) as (source, server):
        creatives(source)
        before = len(server.requests)
        creatives(source, LAST, LAST)
        assert [request.path for request in server.requests[before:]] == [ANALYTICS]


def test_a_creative_launched_meanwhile_gets_its_names(several: ServedAccount) -> None:
    business = several.simulated.business
    ours = business.campaigns.platform[business.adsets.campaign[business.ads.adset]] == LINKEDIN
    launched = business.date_of(business.ads.first_day[ours].max())
    assert business.start < launched
    present = [datetime.combine(launched, time(12), UTC)]
    young = ServedAccount(several.simulated, lambda: present[0])
    with connected(young) as (source, _):
        before = creatives(source, launched - timedelta(days=20), launched - timedelta(days=1))
        present[0] = NOW
        after = creatives(source, launched, launched + timedelta(days=9))
    assert set(after["creative_id"]) - set(before["creative_id"])
    assert same(after, truth(several, launched, launched + timedelta(days=9)))


@pytest.mark.parametrize(
    ("kind", "error_class", "wait"),
    [
        (FaultKind.THROTTLE, ErrorClass.THROTTLE, 37.0),
        # 8:00 in New York is 12:00 UTC: half a day to the next window.
        (FaultKind.DAILY_QUOTA, ErrorClass.DEFER, 12 * 3600.0),
        (FaultKind.TOO_MUCH, ErrorClass.SHRINK, None),
        (FaultKind.SERVER_ERROR, ErrorClass.TRANSIENT, None),
        (FaultKind.EXPIRED_TOKEN, ErrorClass.AUTH, None),
        (FaultKind.HTML_ERROR, ErrorClass.TRANSIENT, None),
        (FaultKind.STALL, ErrorClass.TRANSIENT, None),
        (FaultKind.TRUNCATED, ErrorClass.TRANSIENT, None),
    ],
)
def test_a_fault_is_told_by_its_class_and_the_next_try_is_whole(
    served: ServedAccount, kind: FaultKind, error_class: ErrorClass, wait: float | None
) -> None:
    patience = 0.4 if kind is FaultKind.STALL else 5.0
    with connected(served, Fault(kind, ANALYTICS), timeout_seconds=patience) as (source, _):
        error = refusal(lambda: creatives(source))
        assert (error.error_class, error.wait_seconds) == (error_class, wait)
        assert same(creatives(source), truth(served))


def test_a_full_answer_of_fifteen_thousand_is_taken_for_truncated(served: ServedAccount) -> None:
    with connected(served, Fault(FaultKind.TOO_MUCH, ANALYTICS)) as (source, _):
        assert "15000" in str(refusal(lambda: creatives(source)))


def test_an_address_too_long_asks_for_fewer_campaigns(served: ServedAccount) -> None:
    campaigns = tuple(str(320_000_000 + number) for number in range(400))
    with connected(served) as (source, _):
        error = refusal(lambda: creatives(source, parents=campaigns))
        assert (error.error_class, error.wait_seconds) == (ErrorClass.SHRINK, None)
        assert "414" in str(error)
        assert creatives(source, parents=campaigns[:100]).height > 0


@pytest.mark.parametrize("kind", [FaultKind.EMPTY_MIDDLE, FaultKind.DUPLICATE_PAGE])
@pytest.mark.parametrize("path", ["/creatives", "/adCampaigns"])
def test_odd_pages_of_entities_lose_no_name(several: ServedAccount, kind: FaultKind, path: str) -> None:
    with connected(several, Fault(kind, path), per_page=1) as (source, _):
        assert same(creatives(source), truth(several))


def test_a_cursor_that_points_back_is_no_end(several: ServedAccount) -> None:
    with connected(several, Fault(FaultKind.CURSOR_LOOP, "/creatives"), per_page=1) as (source, _):
        error = refusal(lambda: creatives(source))
        assert error.error_class is ErrorClass.TRANSIENT
        assert same(creatives(source), truth(several))


def test_a_broken_page_of_names_fails_the_pull(served: ServedAccount) -> None:
    with connected(served, Fault(FaultKind.HTML_ERROR, "/creatives")) as (source, _):
        assert refusal(lambda: creatives(source)).error_class is ErrorClass.TRANSIENT


def test_an_empty_day_is_complete_while_the_member_has_a_role(served: ServedAccount) -> None:
    with connected(served) as (source, server):
        server.hide(LAST)
        assert creatives(source, LAST, LAST).is_empty()
        assert server.requests[-1].path == "/rest/adAccountUsers"


def test_an_empty_answer_without_a_role_is_a_missing_permission(served: ServedAccount) -> None:
    with connected(served) as (source, server):
        server.revoke_access()
        error = refusal(lambda: creatives(source))
    assert error.error_class is ErrorClass.AUTH
    assert "role" in str(error)


def test_a_field_nobody_asked_for_lands_beside_the_others(served: ServedAccount) -> None:
    with connected(served, Fault(FaultKind.UNKNOWN_FIELD, ANALYTICS)) as (source, _):
        rows = creatives(source)
    assert rows["surpriseMetric"].unique().to_list() == ["7"]
    assert same(rows, truth(served))


def test_a_missing_optional_metric_is_null(served: ServedAccount) -> None:
    with connected(served, Fault(FaultKind.MISSING_FIELD, ANALYTICS)) as (source, _):
        rows = creatives(source)
    assert rows["conversions_post_view"].null_count() == rows.height
    assert same(rows.drop("conversions_post_view"), truth(served).drop("conversions_post_view"))


def test_a_day_outside_the_request_is_refused(served: ServedAccount) -> None:
    inner = served.rows
    served.rows = lambda report, first, last: inner(report, first - timedelta(days=1), last)  # type: ignore[method-assign]
    with connected(served) as (source, _):
        error = refusal(lambda: creatives(source))
    assert error.error_class is ErrorClass.TRANSIENT
    assert "2026-06-04" in str(error)


def test_a_wrong_token_is_refused_as_such(served: ServedAccount) -> None:
    with connected(served, token=TOKEN + "-old") as (source, _):
        error = refusal(source.accounts)
    assert error.error_class is ErrorClass.AUTH
    assert "INVALID_ACCESS_TOKEN" in str(error)


def test_accounts_report_in_utc_and_a_named_one_without_a_role_is_loud(served: ServedAccount) -> None:
    with connected(served) as (source, _):
        assert source.accounts() == [ACCOUNT]
    with connected(served, accounts=(ACCOUNT.account_id, "7")) as (source, _):
        error = refusal(source.accounts)
    assert error.error_class is ErrorClass.AUTH
    assert "account 7" in str(error)


@pytest.mark.parametrize("per_page", [1, 1000])
def test_levers_are_those_of_the_sandbox(several: ServedAccount, per_page: int) -> None:
    day = LAST
    window = several.window(day, day)
    assert window is not None
    simulated = several.simulated
    frame = levers_frame(simulated.business, simulated.ledger, window).filter(pl.col("source") == "linkedin")
    expected = {
        row["lever_id"]: {
            **{name: row[name] for name in ("lever_id", "lever_level", "campaign_id", "entity_id")},
            **{name: row[name] for name in ("entity_name", "budget_type", "currency", "status")},
            **{name: money(row[name]) for name in ("budget", "minimum_budget", "budget_increment")},
            "is_shared": "false",
            "budget_id": None,
            "last_edited_at": datetime.fromisoformat(row["last_edited_at"]).astimezone(UTC).isoformat(),
        }
        for row in frame.to_dicts()
    }
    with connected(several, per_page=per_page) as (source, _):
        (page,) = source.pages(Pull(ACCOUNT, source.reports[1], NOW.date(), NOW.date()))
    assert page.rows["report_date"].unique().to_list() == [NOW.date()]
    # LinkedIn knows no learning stage.
    assert page.rows["learning_state"].unique().to_list() == ["active"]
    rows = page.rows.drop("report_date", "learning_state").to_dicts()
    assert {row["lever_id"]: row for row in rows} == expected


def write(server: LinkedInServer, path: str, body: object, **headers: str) -> httpx.Response:
    given = {
        "Authorization": f"Bearer {TOKEN}",
        "LinkedIn-Version": "202603",
        "X-Restli-Protocol-Version": "2.0.0",
        "X-RestLi-Method": "PARTIAL_UPDATE",
    }
    return httpx.post(f"{server.url}/rest/adAccounts/{path}", json=body, headers=given | headers)


def levers(source: LinkedIn) -> dict[str, dict[str, object]]:
    (page,) = source.pages(Pull(ACCOUNT, source.reports[1], NOW.date(), NOW.date()))
    return {row["entity_id"]: row for row in page.rows.to_dicts()}


def test_budget_and_status_are_written_in_one_update(several: ServedAccount) -> None:
    with connected(several) as (source, server):
        before = levers(source)
        campaign = next(entity for entity, row in before.items() if row["status"] == "active")
        money = {"amount": "75.50", "currencyCode": "USD"}
        fields = {"dailyBudget": money, "status": "PAUSED"}
        reply = write(server, f"508733911/adCampaigns/{campaign}", {"patch": {"$set": fields}})
        after = levers(source)
    assert (reply.status_code, reply.content, "content-length" in reply.headers) == (204, b"", False)
    changed = {"budget": "75.5", "status": "paused", "last_edited_at": "2026-06-30T12:00:00+00:00"}
    assert after == before | {campaign: before[campaign] | changed}


def test_a_paused_group_pauses_its_campaigns_without_editing_them(several: ServedAccount) -> None:
    with connected(several) as (source, server):
        before = levers(source)
        group = next(row["campaign_id"] for row in before.values() if row["status"] == "active")
        path = f"508733911/adCampaignGroups/{group}"
        assert write(server, path, {"patch": {"$set": {"status": "PAUSED"}}}).status_code == 204
        paused = levers(source)
        assert write(server, path, {"patch": {"$set": {"status": "ACTIVE"}}}).status_code == 204
        assert levers(source) == before
    assert paused == {
        entity: row | ({"status": "paused"} if row["campaign_id"] == group else {})
        for entity, row in before.items()
    }


def budget(amount: object, currency: str = "USD") -> dict[str, object]:
    return {"patch": {"$set": {"dailyBudget": {"amount": amount, "currencyCode": currency}}}}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (budget("9.99"), "FIELD_VALUE_TOO_LOW", "dailyBudget/amount"),
        (budget("50", "EUR"), "CURRENCY_MISMATCH", "dailyBudget/currencyCode"),
        (budget(50), "FIELD_INVALID", "dailyBudget/amount"),
        (budget("much"), "FIELD_INVALID", "dailyBudget/amount"),
        (budget("Infinity"), "FIELD_INVALID", "dailyBudget/amount"),
        ({"patch": {"$set": {"status": "NAPPING"}}}, "FIELD_INVALID", "status"),
        ({"patch": {"$set": {"status": "PAUSED", "name": "new"}}}, "FIELD_INVALID", "name"),
    ],
)
def test_a_refused_update_names_its_field_and_changes_nothing(
    served: ServedAccount, body: object, code: str, field: str
) -> None:
    with connected(served) as (source, server):
        before = levers(source)
        reply = write(server, f"508733911/adCampaigns/{next(iter(before))}", body)
        assert levers(source) == before
    assert (reply.status_code, reply.json()["code"]) == (400, code)
    (told,) = reply.json()["errorDetails"]["inputErrors"]
    assert (told["code"], told["input"]["inputPath"]["fieldPath"]) == (code, field)


def test_an_update_is_only_taken_for_what_it_is_and_from_whom_it_may_come(served: ServedAccount) -> None:
    pause = {"patch": {"$set": {"status": "PAUSED"}}}
    with connected(served) as (source, server):
        before = levers(source)
        campaign, group = next((entity, row["campaign_id"]) for entity, row in before.items())
        mine = f"508733911/adCampaigns/{campaign}"
        refused = [
            write(server, mine, pause, **{"X-RestLi-Method": "UPDATE"}),
            write(server, mine, {"$set": {"status": "PAUSED"}}),
            write(server, mine, {"patch": {"$set": {}}}),
            write(server, f"508733911/adCampaignGroups/{group}", budget("50")),
            write(server, f"508733911/adCampaigns/{group}", pause),
            write(server, f"7/adCampaigns/{campaign}", pause),
            write(server, mine, pause, Authorization="Bearer old"),
        ]
        assert levers(source) == before
        server.revoke_access()
        refused.append(write(server, mine, pause))
    assert [reply.status_code for reply in refused] == [400, 400, 400, 400, 404, 403, 401, 403]


@contextmanager
def answering(answer: Callable[[Request], Answer]) -> Iterator[LinkedIn]:
    with LoopbackServer(answer, FaultScript()) as server:
        source = LinkedIn(LinkedInCredentials(TOKEN), (), lambda: NOW, endpoint=server.url)
        try:
            yield source
        finally:
            source.close()


DAY = {"year": 2026, "month": 6, "day": 29}
ELEMENT = {
    "dateRange": {"start": DAY, "end": DAY},
    "pivotValues": ["urn:li:sponsoredCreative:9"],
    "impressions": 3,
    "clicks": 1,
    "costInLocalCurrency": "12.3456789012",
}


@pytest.mark.parametrize(
    ("answer", "error_class", "wait"),
    [
        (Answer({"message": "The limit of calls is reached"}, 429), ErrorClass.THROTTLE, None),
        (Answer({"message": "Not enough permissions to access"}, 403), ErrorClass.AUTH, None),
        (Answer({"code": "NONEXISTENT_VERSION", "message": TOKEN}, 426), ErrorClass.PERMANENT, None),
        (Answer({"code": "ILLEGAL_ARGUMENT"}, 400), ErrorClass.PERMANENT, None),
        (Answer({"message": "Service unavailable"}, 503), ErrorClass.TRANSIENT, None),
        (Answer({"paging": {}}), ErrorClass.TRANSIENT, None),
        (Answer([]), ErrorClass.TRANSIENT, None),
        (Answer({"elements": [ELEMENT | {"pivotValues": []}]}), ErrorClass.TRANSIENT, None),
        (Answer({"elements": [ELEMENT | {"dateRange": {"start": {}}}]}), ErrorClass.TRANSIENT, None),
        (Answer({"elements": [ELEMENT | {"clicks": None}]}), ErrorClass.TRANSIENT, None),
        (Answer({"elements": [ELEMENT | {"clicks": "few"}]}), ErrorClass.PERMANENT, None),
    ],
)
def test_what_is_no_good_answer_is_told_by_its_class(
    answer: Answer, error_class: ErrorClass, wait: float | None
) -> None:
    with answering(lambda request: answer) as source:
        error = refusal(lambda: creatives(source, LAST, LAST))
    assert (error.error_class, error.wait_seconds) == (error_class, wait)


def test_spend_of_a_creative_nobody_knows_any_more_still_counts() -> None:
    def answer(request: Request) -> Answer:
        return Answer({"elements": [ELEMENT] if request.path == ANALYTICS else []})

    with answering(answer) as source:
        row = creatives(source, LAST, LAST).row(0, named=True)
    assert (row["creative_id"], row["spend"]) == ("9", "12.3456789012")
    assert (row["campaign_id"], row["campaign_group_id"]) == ("__none__", "__none__")


def test_a_group_that_divides_its_budget_is_the_lever_of_its_campaigns() -> None:
    divided = {"amount": "300", "currencyCode": "EUR"}
    lists = {
        "adCampaignGroups": [
            {"id": 1, "name": "Divides", "status": "ACTIVE", "dailyBudget": divided}
            | {"budgetOptimization": {"budgetOptimizationStrategy": "DYNAMIC"}},
            {"id": 2, "name": "Caps", "status": "PAUSED", "totalBudget": divided},
        ],
        "adCampaigns": [
            {"id": 11, "campaignGroup": "urn:li:sponsoredCampaignGroup:1", "status": "ACTIVE"}
            | {"dailyBudget": divided},
            {"id": 21, "campaignGroup": "urn:li:sponsoredCampaignGroup:2", "status": "ACTIVE"}
            | {"totalBudget": {"amount": "5000.50", "currencyCode": "EUR"}},
            {"id": 22, "campaignGroup": "urn:li:sponsoredCampaignGroup:2", "status": "ARCHIVED"}
            | {"dailyBudget": divided},
        ],
    }
    with answering(lambda request: Answer({"elements": lists[request.path.split("/")[-1]]})) as source:
        (page,) = source.pages(Pull(ACCOUNT, source.reports[1], LAST, LAST))
    shown = ["lever_id", "lever_level", "budget_type", "budget", "currency", "minimum_budget", "status"]
    assert page.rows.select(shown).rows() == [
        ("campaign_1", "campaign", "daily", "300", "EUR", None, "active"),
        ("adgroup_21", "adgroup", "lifetime", "5000.5", "EUR", None, "paused"),
    ]


def test_missing_credentials_name_their_variables() -> None:
    with pytest.raises(MissingCredentials, match=r"AELP_LINKEDIN_ACCESS_TOKEN"):
        LinkedInCredentials.from_environment({})
    given = LinkedInCredentials.from_environment({"AELP_LINKEDIN_ACCESS_TOKEN": f" {TOKEN}\n"})
    assert given == LinkedInCredentials(TOKEN)
    assert TOKEN not in repr(given)


# --- what today spent so far --------------------------------------------------------------------------


def day_so_far(source: LinkedIn, day: date) -> pl.DataFrame:
    report = next(report for report in source.reports if report.stream.name == "intraday_spend")
    (page,) = source.pages(Pull(ACCOUNT, report, day, day))
    return page.rows


def test_today_s_spend_is_one_figure_per_campaign_that_grows_with_the_day(served: ServedAccount) -> None:
    with connected(served) as (source, server):
        eight = day_so_far(source, served.today)
        (asked,) = [each.form for each in server.requests if each.path == ANALYTICS]
        assert (asked["pivot"], asked["timeGranularity"]) == ("CAMPAIGN", "DAILY")
        later_on = served.now().replace(hour=19)  # eleven at night in UTC, by which LinkedIn counts its days
        served.now = lambda: later_on
        later = day_so_far(source, served.today)
    assert set(eight["hour"]) == {"__none__"}
    assert eight["campaign_id"].is_in(truth(served)["campaign_group_id"].implode()).all()
    assert set(eight["adgroup_id"]) <= set(truth(served)["campaign_id"])
    spent, by_night = (float(frame["spend"].cast(pl.Decimal(20, 2)).sum()) for frame in (eight, later))
    assert 0 < spent < by_night < served.rows_today(Reports.linkedin)["Total Spent"].sum()


def test_no_spend_today_and_no_permission_are_told_apart(served: ServedAccount) -> None:
    tomorrow = served.today + timedelta(days=1)
    with connected(served) as (source, server):
        assert day_so_far(source, tomorrow).is_empty()
        server.revoke_access()
        error = refusal(lambda: day_so_far(source, served.today))
    assert error.error_class is ErrorClass.AUTH
    assert "508733911" in str(error)
