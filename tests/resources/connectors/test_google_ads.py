"""Google Ads through google-ads against the loopback server: rows are the truth, faults are named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import grpc
import polars as pl
import pytest
from google.ads.googleads.v26.services.services.campaign_budget_service import CampaignBudgetServiceClient
from google.ads.googleads.v26.services.services.campaign_budget_service.transports.grpc import (
    CampaignBudgetServiceGrpcTransport,
)
from google.api_core.exceptions import InvalidArgument

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.google_ads.credentials import GoogleAdsCredentials
from resources.connectors.google_ads.source import GoogleAdsSource
from resources.connectors.source import Account, Pull
from resources.sandbox.backend_frames import creatives_frame, levers_frame
from resources.sandbox.frames import Reports
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.google_ads import CUSTOMER_ID, MANAGER_ID, GoogleAdsServer, gaql
from resources.sandbox.servers.google_ads.failures import Refusal
from resources.sandbox.servers.google_ads.writes import Written
from resources.sandbox.servers.http import Answer, LoopbackServer

TOKEN = "ya29.a0-sandbox-token"
ACCOUNT = Account("472-118-9034", "Northstar Search & Display", "USD", "America/New_York")
FIRST, LAST = date(2026, 6, 16), date(2026, 6, 29)
TODAY = date(2026, 6, 30)
PMAX = "21000000008"
AD = "google_ads_ad_performance/network_device"
CAMPAIGN = "google_ads_campaign_performance/network_device"
ACTION = "google_ads_conversions/action"
KEYWORDS = "google_ads_keywords/none"

_STATUS = grpc.StatusCode
Serve = Callable[..., tuple[GoogleAdsServer, GoogleAdsSource]]


@pytest.fixture
def serve(served: ServedAccount) -> Iterator[Serve]:
    """Start a server with these faults and options, and a source that reads it."""
    opened: list[GoogleAdsSource | GoogleAdsServer] = []

    def start(
        *faults: Fault,
        credentials: GoogleAdsCredentials | None = None,
        customer_ids: tuple[str, ...] = (),
        timeout_seconds: float = 10.0,
        **options: Any,
    ) -> tuple[GoogleAdsServer, GoogleAdsSource]:
        server = GoogleAdsServer(served, TOKEN, FaultScript(faults), **{"batch_rows": 40, **options})
        source = GoogleAdsSource(
            credentials or GoogleAdsCredentials(access_token=TOKEN),
            customer_ids,
            endpoint=server.endpoint,
            timeout_seconds=timeout_seconds,
        )
        opened.extend((server, source))
        return server, source

    yield start
    for resource in reversed(opened):
        resource.close()


def pull(source: GoogleAdsSource, name: str, first: date = FIRST, last: date = LAST, **parts: Any) -> Pull:
    report = next(report for report in source.reports if report.name == name)
    if report.is_snapshot:
        first = last = TODAY
    return Pull(ACCOUNT, report, first, last, **parts)


def rows(source: GoogleAdsSource, name: str, **parts: Any) -> pl.DataFrame:
    return pl.concat(
        [page.rows for page in source.pages(pull(source, name, **parts))], how="diagonal_relaxed"
    )


def cents(column: str) -> pl.Expr:
    """Decimal text as exact hundredths."""
    return pl.col(column).map_elements(lambda text: int(Decimal(text) * 100), return_dtype=pl.Int64)


def truth(served: ServedAccount) -> pl.DataFrame:
    """What the simulated account says of those days, with exact hundredths."""
    return served.rows(Reports.google_ads, FIRST, LAST).select(
        pl.col("Day").str.to_date().alias("report_date"),
        pl.col("Campaign ID").alias("campaign_id"),
        pl.col("Ad group ID").alias("ad_group_id"),
        pl.col("Ad ID").alias("ad_id"),
        pl.col("Network (with search partners)").alias("network"),
        pl.col("Device").alias("device"),
        pl.col("Impr.").alias("impressions"),
        pl.col("Clicks").alias("clicks"),
        (pl.col("Cost") * 100).round(0).cast(pl.Int64).alias("cost"),
        (pl.col("Conversions") * 100).round(0).cast(pl.Int64).alias("conversions"),
        (pl.col("Conv. value") * 100).round(0).cast(pl.Int64).alias("conversions_value"),
        pl.col("View-through conv.").alias("view_through_conversions"),
    )


def counted(frame: pl.DataFrame) -> pl.DataFrame:
    """Pulled ad rows in the shape of `truth`."""
    return frame.select(
        "report_date",
        *("campaign_id", "ad_group_id", "ad_id", "network", "device"),
        *(pl.col(name).cast(pl.Int64) for name in ("impressions", "clicks")),
        *(cents(name) for name in ("cost", "conversions", "conversions_value")),
        pl.col("view_through_conversions").cast(pl.Int64),
    )


def same_rows(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    return left.sort(left.columns).equals(right.sort(left.columns).select(left.columns))


def total(frame: pl.DataFrame, metric: str, *by: str) -> dict[tuple[Any, ...], Decimal]:
    sums: dict[tuple[Any, ...], Decimal] = {}
    for *key, value in frame.select(*by, metric).iter_rows():
        sums[tuple(key)] = sums.get(tuple(key), Decimal(0)) + Decimal(value)
    return {key: value for key, value in sums.items() if value}


def refused(source: GoogleAdsSource, name: str = AD, **parts: Any) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        rows(source, name, **parts)
    assert TOKEN not in str(raised.value)
    assert TOKEN not in repr(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    return raised.value


# --- rows --------------------------------------------------------------------------------------------


def test_ad_rows_are_the_simulated_truth_to_the_cent(serve: Serve, served: ServedAccount) -> None:
    _, source = serve()
    pulled = rows(source, AD)
    assert same_rows(counted(pulled), truth(served))
    fractional = pulled["conversions"].str.contains(".", literal=True).sum()
    assert fractional > 0
    assert set(pulled["account_name"]) == {ACCOUNT.name}
    assert set(pulled["currency"]) == {"USD"}


def test_a_day_restated_later_is_pulled_with_its_late_conversions(
    serve: Serve, served: ServedAccount
) -> None:
    _, source = serve()
    before = total(rows(source, AD), "conversions")[()]
    morning = served.now()
    served.now = lambda: morning + timedelta(days=10)
    after = total(rows(source, AD), "conversions")[()]
    assert after > before


def test_ads_add_up_to_their_campaign_where_campaigns_have_ads(serve: Serve) -> None:
    _, source = serve()
    ads, campaigns = rows(source, AD), rows(source, CAMPAIGN)
    by = ("report_date", "campaign_id", "network", "device")
    for metric in ("impressions", "clicks", "cost", "conversions", "conversions_value"):
        assert total(ads, metric, *by) == total(campaigns, metric, *by)


def test_performance_max_is_in_the_campaign_total_and_in_no_ad_row(
    serve: Serve, served: ServedAccount
) -> None:
    _, source = serve(without_ads=frozenset({PMAX}))
    ads, campaigns, actions = rows(source, AD), rows(source, CAMPAIGN), rows(source, ACTION)
    expected = truth(served).filter(pl.col("campaign_id") == PMAX)
    found = campaigns.filter(pl.col("campaign_id") == PMAX)
    assert PMAX not in set(ads["campaign_id"])
    assert set(found["channel_type"]) == {"PERFORMANCE_MAX"}
    assert set(found["network"]) == {"Cross-network"}
    assert total(found, "cost")[()] * 100 == expected["cost"].sum()
    by_action = actions.filter(pl.col("campaign_id") == PMAX)
    assert set(by_action["ad_group_id"]) == {"__none__"}
    assert total(by_action, "conversions")[()] * 100 == expected["conversions"].sum()


def test_conversions_by_action_add_up_to_the_ads_and_secondary_actions_count_for_nothing(
    serve: Serve,
) -> None:
    server, source = serve()
    ads, actions = rows(source, AD), rows(source, ACTION)
    by = ("report_date", "campaign_id", "ad_group_id")
    assert total(actions, "conversions", *by) == total(ads, "conversions", *by)
    secondary = actions.filter(pl.col("conversion_action_name") == "Newsletter sign-up")
    assert total(secondary, "conversions") == {}
    assert total(secondary, "all_conversions")[()] > 0
    assert not any(
        "segments.conversion_action" in asked.query and "cost_micros" in asked.query
        for asked in server.requests
    )


def test_google_refuses_cost_beside_a_conversion_action() -> None:
    query = (
        "SELECT segments.date, segments.conversion_action, metrics.cost_micros FROM campaign "
        "WHERE segments.date BETWEEN '2026-06-01' AND '2026-06-02'"
    )
    with pytest.raises(Refusal, match="incompatible"):
        gaql.parse(query)


def test_keywords_add_up_to_their_ad_groups_to_the_micro(serve: Serve) -> None:
    _, source = serve()
    keywords = rows(source, KEYWORDS)
    by = ("report_date", "campaign_id", "ad_group_id")
    assert total(keywords, "cost", *by) == total(rows(source, AD), "cost", *by)
    assert keywords["cost"].str.contains(r"\.\d{6}$").any()
    assert not keywords["cost"].str.contains("[eE]").any()


def test_a_removed_ad_keeps_its_spend(serve: Serve, served: ServedAccount) -> None:
    server, source = serve()
    ad = truth(served)["ad_id"][0]
    server.remove_ad(ad)
    assert same_rows(counted(rows(source, AD)), truth(served))
    entities = rows(source, "google_ads_entities/none").filter(pl.col("entity_id").str.ends_with(f"~{ad}"))
    assert entities.filter(pl.col("entity_type") == "ad")["status"].to_list() == ["REMOVED"]
    assert ad not in set(rows(source, "creatives/none")["creative_id"])


def test_a_pull_of_some_parents_asks_for_those_campaigns_only(serve: Serve, served: ServedAccount) -> None:
    server, source = serve()
    parents = source.parents(pull(source, AD))
    assert set(parents) == set(truth(served)["campaign_id"])
    half = tuple(parents[:2])
    part = rows(source, AD, parents=half)
    assert f"campaign.id IN ({', '.join(half)})" in server.requests[-1].query
    assert set(part["campaign_id"]) == set(half)
    rest = rows(source, AD, parents=tuple(parents[2:]))
    assert same_rows(counted(pl.concat([part, rest])), truth(served))


def test_days_without_delivery_are_pulled_as_no_rows(serve: Serve) -> None:
    _, source = serve()
    asked = pull(source, AD, date(2024, 1, 1), date(2024, 1, 2))
    assert [page.rows.height for page in source.pages(asked)] == [0]


# --- today's state ------------------------------------------------------------------------------------


def test_levers_are_those_the_account_manager_exports(serve: Serve, served: ServedAccount) -> None:
    _, source = serve()
    business = served.simulated.business
    window = served.window(LAST, LAST)
    assert window is not None
    expected = levers_frame(business, served.simulated.ledger, window).filter(
        pl.col("source") == "google_ads"
    )
    found = rows(source, "levers/none")
    texts = (
        "lever_id",
        "lever_level",
        "campaign_id",
        "entity_id",
        "entity_name",
        "budget_type",
        "currency",
        "budget_id",
    )
    for column in (*texts, "learning_state", "status"):
        assert found[column].to_list() == expected[column].to_list()
    for column in ("budget", "minimum_budget", "budget_increment"):
        assert found[column].cast(pl.Float64).to_list() == expected[column].to_list()
    assert found["is_shared"].to_list() == ["false"] * found.height
    edited = [
        pl.Series(frame["last_edited_at"]).str.to_datetime(time_zone="UTC") for frame in (found, expected)
    ]
    assert edited[0].to_list() == edited[1].to_list()
    assert set(found["report_date"]) == {TODAY}


def test_creatives_have_the_ads_texts(serve: Serve, served: ServedAccount) -> None:
    _, source = serve()
    window = served.window(LAST, LAST)
    assert window is not None
    exported = creatives_frame(served.simulated.business, window, {}, "images")
    expected = exported.filter(pl.col("source") == "google_ads")
    columns = ["creative_id", "creative_name", "headline", "body", "link_url"]
    found = rows(source, "creatives/none")
    assert same_rows(found.select(columns), expected.select(columns))
    assert found["headlines"].str.contains(" | Cancel any time", literal=True).all()


def test_entities_carry_the_windows_of_conversion_actions(serve: Serve) -> None:
    _, source = serve(without_ads=frozenset({PMAX}))
    entities = rows(source, "google_ads_entities/none")
    assert set(entities["entity_type"]) == {
        "campaign",
        "ad_group",
        "ad",
        "keyword",
        "asset_group",
        "conversion_action",
    }
    assert entities.select("entity_type", "entity_id").is_unique().all()
    actions = entities.filter(pl.col("entity_type") == "conversion_action")
    assert actions["click_window_days"].to_list() == ["30", "90"]
    assert source.longest_window_days(ACCOUNT) == 30  # the 90 days belong to an action that does not count


def test_the_change_log_says_who_changed_a_budget_and_to_what(serve: Serve) -> None:
    _, source = serve()
    changes = rows(source, "google_ads_changes/none")
    levers = rows(source, "levers/none")
    latest = changes.sort("changed_at").group_by("campaign_id", maintain_order=True).last()
    joined = latest.join(levers, on="campaign_id")
    assert joined.height > 0
    assert joined["new_budget"].to_list() == joined["budget"].to_list()
    assert joined["changed_at"].to_list() == joined["last_edited_at"].to_list()
    assert changes["user_email"].null_count() == 0


def test_recommendations_name_campaign_and_budget(serve: Serve) -> None:
    _, source = serve()
    found = rows(source, "google_ads_recommendations/none").join(
        rows(source, "levers/none"), on="campaign_id"
    )
    assert found.height == 4
    assert found["current_budget"].to_list() == found["budget"].to_list()


@pytest.mark.parametrize(
    ("edit", "column", "value"),
    [
        ({"campaign_budget__explicitly_shared": True}, "is_shared", "true"),
        ({"campaign_budget__reference_count": 2}, "is_shared", "true"),
        ({"campaign__advertising_channel_type": "DEMAND_GEN"}, "minimum_budget", "5"),
        ({"campaign__bidding_strategy_system_status": "LEARNING_NEW"}, "learning_state", "learning"),
        ({"campaign__bidding_strategy_system_status": "LIMITED_BY_DATA"}, "learning_state", "limited"),
        ({"campaign__bidding_strategy_system_status": "LIMITED_BY_BUDGET"}, "learning_state", "active"),
        ({"campaign__bidding_strategy_system_status": "UNAVAILABLE"}, "learning_state", None),
        ({"campaign__status": "PAUSED"}, "status", "paused"),
        ({"campaign__serving_status": "ENDED"}, "status", "ended"),
        ({"campaign_budget__period": "CUSTOM_PERIOD"}, "budget_type", "lifetime"),
        (
            {
                "campaign_budget__period": "CUSTOM_PERIOD",
                "campaign_budget__total_amount_micros": 9_000_000_000,
            },
            "budget",
            "9000",
        ),
    ],
)
def test_a_lever_says_what_is_special_about_its_campaign(
    serve: Serve, edit: dict[str, Any], column: str, value: str | None
) -> None:
    server, source = serve()
    server.edit_campaign(PMAX, **edit)
    found = rows(source, "levers/none")
    changed = found.filter(pl.col("campaign_id") == PMAX)
    assert changed[column].to_list() == [value]


def test_a_removed_campaign_keeps_its_spend_and_is_no_lever(serve: Serve, served: ServedAccount) -> None:
    server, source = serve()
    server.edit_campaign(PMAX, campaign__status="REMOVED")
    assert same_rows(counted(rows(source, AD)), truth(served))
    assert PMAX not in set(rows(source, "levers/none")["campaign_id"])
    entities = rows(source, "google_ads_entities/none").filter(pl.col("entity_id") == PMAX)
    assert entities["status"].to_list() == ["REMOVED"]


def test_a_change_log_longer_than_one_answer_is_read_whole(serve: Serve) -> None:
    server, source = serve()
    short = rows(source, "google_ads_changes/none").height
    server.written.extend(
        Written(
            f"2026-06-{1 + n % 28:02d} 10:00:{n % 60:02d}.{n:06d}", int(PMAX), "CAMPAIGN_BUDGET", n, n + 1
        )
        for n in range(10_500)
    )
    assert rows(source, "google_ads_changes/none")["change_id"].n_unique() == short + 10_500


def test_a_day_with_more_changes_than_google_lists_is_not_taken_for_complete(serve: Serve) -> None:
    server, source = serve()
    change = Written("2026-06-20 10:00:00.000000", int(PMAX), "CAMPAIGN_BUDGET", 1, 2)
    server.written.extend([change] * 10_000)
    error = refused(source, "google_ads_changes/none")
    assert error.error_class is ErrorClass.PERMANENT
    assert "2026-06-20" in str(error)


def test_a_snapshot_divided_by_campaigns_is_the_whole_snapshot(serve: Serve) -> None:
    _, source = serve()
    for name in ("google_ads_entities/none", "levers/none", "creatives/none"):
        whole = rows(source, name)
        parents = tuple(source.parents(pull(source, name)))
        parts = [rows(source, name, parents=part) for part in (parents[:1], parents[1:])]
        assert same_rows(pl.concat(parts, how="diagonal_relaxed").unique(), whole)
    assert source.parents(pull(source, "google_ads_changes/none")) == ()


def test_a_budget_written_through_the_api_is_in_the_next_snapshot(serve: Serve) -> None:
    server, source = serve()
    before = rows(source, "levers/none")
    lever = before["campaign_id"][0]
    change = {"resource_name": f"customers/{CUSTOMER_ID}/campaignBudgets/{int(lever) + 8_000_000_000}"}
    mask = {"paths": ["amount_micros"]}
    written = {"update": {**change, "amount_micros": 512_340_000}, "update_mask": mask}
    refused = {"update": {**change, "amount_micros": 512_345_678}, "update_mask": mask}
    with grpc.insecure_channel(server.endpoint) as channel:
        service = CampaignBudgetServiceClient(transport=CampaignBudgetServiceGrpcTransport(channel=channel))

        def mutate(operation: dict[str, Any], *, validate_only: bool = False) -> Any:
            request = {"customer_id": CUSTOMER_ID, "operations": [operation], "validate_only": validate_only}
            metadata = [("authorization", f"Bearer {TOKEN}")]
            return service.mutate_campaign_budgets(request=request, metadata=metadata)

        mutate(written, validate_only=True)
        assert same_rows(rows(source, "levers/none"), before)
        with pytest.raises(InvalidArgument, match="multiple of the minimum unit"):
            mutate(refused)
        assert mutate(written).results[0].resource_name == change["resource_name"]
    after = rows(source, "levers/none").filter(pl.col("campaign_id") == lever)
    assert after["budget"].to_list() == ["512.34"]
    assert after["last_edited_at"].to_list() == ["2026-06-30T12:00:00+00:00"]
    newest = rows(source, "google_ads_changes/none").sort("changed_at").row(-1, named=True)
    assert (newest["campaign_id"], newest["new_budget"]) == (lever, "512.34")
    assert newest["client_type"] == "GOOGLE_ADS_API"


# --- accounts -----------------------------------------------------------------------------------------


def test_accounts_are_spelt_as_exports_spell_them(serve: Serve) -> None:
    _, source = serve()
    assert list(source.accounts()) == [ACCOUNT]


def test_a_manager_lists_its_client_accounts(serve: Serve) -> None:
    credentials = GoogleAdsCredentials(access_token=TOKEN, login_customer_id=MANAGER_ID)
    server, source = serve(credentials=credentials)
    assert list(source.accounts()) == [ACCOUNT]
    assert {asked.metadata["login-customer-id"] for asked in server.requests} == {MANAGER_ID}


def test_a_developer_token_is_sent_only_where_given(serve: Serve) -> None:
    server, source = serve()
    source.accounts()
    assert all("developer-token" not in asked.metadata for asked in server.requests)
    server, source = serve(credentials=GoogleAdsCredentials(access_token=TOKEN, developer_token="dev-123"))
    source.accounts()
    assert {asked.metadata["developer-token"] for asked in server.requests} == {"dev-123"}


@pytest.mark.parametrize("customer_ids", [(), (CUSTOMER_ID,)])
def test_a_disabled_customer_is_loud(serve: Serve, customer_ids: tuple[str, ...]) -> None:
    server, source = serve(customer_ids=customer_ids)
    server.disable()
    with pytest.raises(PlatformError, match="CUSTOMER_NOT_ENABLED"):
        source.accounts()
    error = refused(source)
    assert error.error_class is ErrorClass.PERMANENT
    assert "CUSTOMER_NOT_ENABLED" in str(error)
    assert "reactivate it in Google Ads" in str(error)


def test_a_closed_account_does_not_hide_the_others(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server, source = serve(customer_ids=("123-456-7890", CUSTOMER_ID))
    message = "The customer account can't be accessed because it is not yet enabled."
    server.refuse_next(
        Refusal.of(_STATUS.PERMISSION_DENIED, "authorization_error", "CUSTOMER_NOT_ENABLED", message)
    )
    assert list(source.accounts()) == [ACCOUNT]
    assert "account 123-456-7890: CUSTOMER_NOT_ENABLED" in caplog.text


# --- what goes wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error_class", "wait_seconds"),
    [
        (FaultKind.THROTTLE, ErrorClass.THROTTLE, 30.0),
        (FaultKind.DAILY_QUOTA, ErrorClass.DEFER, 6 * 3600.0),
        (FaultKind.SERVER_ERROR, ErrorClass.TRANSIENT, None),
        (FaultKind.EXPIRED_TOKEN, ErrorClass.AUTH, None),
        (FaultKind.TOO_MUCH, ErrorClass.SHRINK, None),
        (FaultKind.STREAM_BREAK, ErrorClass.TRANSIENT, None),
    ],
)
@pytest.mark.parametrize("name", [AD, ACTION, "google_ads_entities/none", "levers/none"])
def test_every_fault_says_what_is_to_be_done(
    serve: Serve,
    served: ServedAccount,
    name: str,
    kind: FaultKind,
    error_class: ErrorClass,
    wait_seconds: float | None,
) -> None:
    server, source = serve(Fault(kind))
    error = refused(source, name)
    assert (error.error_class, error.wait_seconds) == (error_class, wait_seconds)
    assert len(server.requests) == 1  # nothing is tried again in secret
    assert rows(source, name).height > 0


def test_a_stalled_stream_ends_with_the_timeout(serve: Serve) -> None:
    _, source = serve(Fault(FaultKind.STALL), timeout_seconds=0.3)
    assert refused(source).error_class is ErrorClass.TRANSIENT


def test_a_stream_that_breaks_after_its_first_batch_never_ends_a_pull_quietly(serve: Serve) -> None:
    _, source = serve(Fault(FaultKind.STREAM_BREAK))
    pages = source.pages(pull(source, AD))
    assert next(pages).rows.height == 40
    with pytest.raises(PlatformError) as raised:
        next(pages)
    assert raised.value.error_class is ErrorClass.TRANSIENT


def test_a_batch_sent_twice_changes_nothing_but_repeats(serve: Serve, served: ServedAccount) -> None:
    _, source = serve(Fault(FaultKind.DUPLICATE_PAGE))
    pulled = rows(source, AD)
    assert pulled.height == truth(served).height + 40
    assert same_rows(counted(pulled.unique()), truth(served))
    _, source = serve(Fault(FaultKind.DUPLICATE_PAGE))
    snapshot = rows(source, "google_ads_entities/none")
    assert snapshot.select("entity_type", "entity_id").is_unique().all()


@pytest.mark.parametrize(
    ("refusal", "error_class", "wait_seconds"),
    [
        (("RESOURCE_EXHAUSTED", "quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED", 7200.0), "DEFER", 7200.0),
        (
            ("RESOURCE_EXHAUSTED", "quota_error", "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION", 5.0),
            "THROTTLE",
            5.0,
        ),
        (("INTERNAL", "internal_error", "TRANSIENT_ERROR", None), "TRANSIENT", None),
        (("INVALID_ARGUMENT", "request_error", "EXPIRED_PAGE_TOKEN", None), "TRANSIENT", None),
        (("PERMISSION_DENIED", "authorization_error", "USER_PERMISSION_DENIED", None), "AUTH", None),
        (("PERMISSION_DENIED", "authorization_error", "PROJECT_DISABLED", None), "AUTH", None),
        (("UNAUTHENTICATED", "authentication_error", "OAUTH_TOKEN_REVOKED", None), "AUTH", None),
        (("INVALID_ARGUMENT", "query_error", "UNRECOGNIZED_FIELD", None), "PERMANENT", None),
        (("INVALID_ARGUMENT", "query_error", "DATE_RANGE_TOO_WIDE", None), "SHRINK", None),
        (("PERMISSION_DENIED", None, None, None), "AUTH", None),
        (("UNAVAILABLE", None, None, None), "TRANSIENT", None),
        (("RESOURCE_EXHAUSTED", None, None, None), "THROTTLE", None),
        (("UNIMPLEMENTED", None, None, None), "PERMANENT", None),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_errors_are_sorted_by_googles_own_codes(
    serve: Serve,
    refusal: tuple[str, str | None, str | None, float | None],
    error_class: str,
    wait_seconds: float | None,
) -> None:
    status, kind, name, retry = refusal
    message = f"Refused Bearer {TOKEN}."  # no platform should, but one might
    server, source = serve()
    if kind is None or name is None:
        server.refuse_next(Refusal(_STATUS[status], message))
    else:
        server.refuse_next(Refusal.of(_STATUS[status], kind, name, message, retry))
    error = refused(source)
    assert (error.error_class, error.wait_seconds) == (ErrorClass(error_class), wait_seconds)
    assert (name or status) in str(error)


def test_a_wrong_token_is_refused_without_being_shown(serve: Serve) -> None:
    credentials = GoogleAdsCredentials(access_token="ya29.not-this-one", developer_token="dev-123")
    _, source = serve(credentials=credentials)
    error = refused(source)
    assert error.error_class is ErrorClass.AUTH
    assert "ya29.not-this-one" not in str(error)
    assert "ya29.not-this-one" not in repr(credentials)
    assert "dev-123" not in repr(credentials)
    assert set(source.secrets) == {"ya29.not-this-one", "dev-123"}


def test_no_token_travels_in_clear_to_another_machine(serve: Serve) -> None:
    server, _ = serve()
    _, _, port = server.endpoint.rpartition(":")
    elsewhere = GoogleAdsSource(  # a name that is not known as this machine's own is spoken to in TLS only
        GoogleAdsCredentials(access_token=TOKEN), endpoint=f"LOCALHOST:{port}", timeout_seconds=2.0
    )
    error = refused(elsewhere)
    elsewhere.close()
    assert error.error_class is ErrorClass.TRANSIENT
    assert server.requests == []


# --- access tokens --------------------------------------------------------------------------------------


def login(token_server: LoopbackServer) -> GoogleAdsCredentials:
    return GoogleAdsCredentials(
        client_id="client",
        client_secret="very-secret",
        refresh_token="1//refresh",
        token_uri=f"{token_server.url}/token",
    )


def test_a_refresh_token_is_turned_into_access_tokens_that_stay_secret(
    serve: Serve, served: ServedAccount
) -> None:
    answer = Answer({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
    with LoopbackServer(lambda request: answer, FaultScript()) as token_server:
        _, source = serve(credentials=login(token_server))
        assert same_rows(counted(rows(source, AD)), truth(served))
        rows(source, CAMPAIGN)
        assert [request.form["grant_type"] for request in token_server.requests] == ["refresh_token"]
    assert TOKEN in source.secrets


def test_a_revoked_refresh_token_stops_the_source_before_any_call(serve: Serve) -> None:
    answer = Answer({"error": "invalid_grant", "error_description": "Bad 1//refresh"}, status=400)
    with LoopbackServer(lambda request: answer, FaultScript()) as token_server:
        server, source = serve(credentials=login(token_server))
        error = refused(source)
    assert error.error_class is ErrorClass.AUTH
    assert "AELP_GOOGLE_ADS_REFRESH_TOKEN" in str(error)
    assert "1//refresh" not in str(error)
    assert server.requests == []


def test_a_token_server_that_cannot_be_reached_is_asked_again_later(serve: Serve) -> None:
    with LoopbackServer(lambda request: Answer({}), FaultScript()) as token_server:
        credentials = login(token_server)
    _, source = serve(credentials=credentials)
    assert refused(source).error_class is ErrorClass.TRANSIENT


# --- credentials ----------------------------------------------------------------------------------------


def test_missing_credentials_name_the_variables_to_set() -> None:
    with pytest.raises(MissingCredentials, match="AELP_GOOGLE_ADS_REFRESH_TOKEN") as raised:
        GoogleAdsCredentials.from_environment(
            {"AELP_GOOGLE_ADS_CLIENT_ID": "id", "AELP_GOOGLE_ADS_CLIENT_SECRET": "very-secret"}
        )
    assert "AELP_GOOGLE_ADS_CLIENT_ID" not in str(raised.value)
    assert "very-secret" not in str(raised.value)


def test_credentials_are_read_from_their_variables() -> None:
    variables = {
        "AELP_GOOGLE_ADS_CLIENT_ID": "id",
        "AELP_GOOGLE_ADS_CLIENT_SECRET": "very-secret",
        "AELP_GOOGLE_ADS_REFRESH_TOKEN": "1//refresh",
        "AELP_GOOGLE_ADS_LOGIN_CUSTOMER_ID": "901-811-6230",
    }
    credentials = GoogleAdsCredentials.from_environment(variables)
    assert credentials.login_customer_id == MANAGER_ID
    assert set(credentials.secrets) == {"very-secret", "1//refresh"}
    assert "very-secret" not in repr(credentials)


def test_a_manager_s_id_that_is_none_is_named() -> None:
    variables = {"AELP_GOOGLE_ADS_ACCESS_TOKEN": TOKEN, "AELP_GOOGLE_ADS_LOGIN_CUSTOMER_ID": "northstar"}
    with pytest.raises(MissingCredentials, match="LOGIN_CUSTOMER_ID is 'northstar'"):
        GoogleAdsCredentials.from_environment(variables)


def test_a_service_account_file_that_cannot_be_read_is_named(tmp_path: Any) -> None:
    key = tmp_path / "key.json"
    key.write_text('{"private_key": "very-secret"}')
    credentials = GoogleAdsCredentials(service_account_file=str(key))
    with pytest.raises(MissingCredentials, match=r"key\.json") as raised:
        GoogleAdsSource(credentials)
    assert "very-secret" not in str(raised.value)


# --- what today spent so far --------------------------------------------------------------------------


def test_today_s_spend_comes_by_campaign_and_hour_as_late_as_google_tells_it(
    serve: Serve, served: ServedAccount
) -> None:
    server, source = serve()
    eight = rows(source, "intraday_spend/none")
    asked = server.requests[-1].query
    assert "segments.date BETWEEN '2026-06-30' AND '2026-06-30'" in asked
    assert {"segments.hour", "metrics.cost_micros"} <= set(asked.split("FROM")[0].replace(",", " ").split())
    assert sorted(set(eight["hour"]), key=int) == [str(hour) for hour in range(5)]  # three hours behind
    assert eight.select("campaign_id", "adgroup_id", "hour").is_unique().all()
    night = served.now().replace(hour=23, minute=59)
    served.now = lambda: night
    later = rows(source, "intraday_spend/none")
    assert sorted(set(later["hour"]), key=int) == [str(hour) for hour in range(21)]
    spent, by_night = (frame["spend"].cast(pl.Decimal(20, 6)).sum() for frame in (eight, later))
    whole = served.rows_today(Reports.google_ads)["Cost"].sum()
    assert 0 < spent < by_night < Decimal(str(round(whole, 2)))
    assert rows(source, "intraday_spend/none").equals(later)


def test_before_three_in_the_morning_google_has_nothing_of_the_day_to_tell(
    serve: Serve, served: ServedAccount
) -> None:
    night = served.now().replace(hour=2, minute=59)
    served.now = lambda: night
    _, source = serve()
    assert rows(source, "intraday_spend/none").is_empty()
