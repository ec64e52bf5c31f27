"""Budgets and statuses written to every platform that has budget levers, as the next pull reads them.

A decision that was applied must come back as the lever's state, whichever platform it was applied on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
import polars as pl
import pytest
from google.ads.googleads.v26.services.services.campaign_budget_service import CampaignBudgetServiceClient
from google.ads.googleads.v26.services.services.campaign_budget_service.transports.grpc import (
    CampaignBudgetServiceGrpcTransport,
)
from google.ads.googleads.v26.services.services.campaign_service import CampaignServiceClient
from google.ads.googleads.v26.services.services.campaign_service.transports.grpc import (
    CampaignServiceGrpcTransport,
)
from google.api_core.exceptions import GoogleAPICallError

from resources.connectors.google_ads.credentials import GoogleAdsCredentials
from resources.connectors.google_ads.source import GoogleAdsSource
from resources.connectors.linkedin import LinkedIn, LinkedInCredentials
from resources.connectors.meta.credentials import MetaCredentials
from resources.connectors.meta.source import MetaSource
from resources.connectors.source import Account, Pull
from resources.connectors.tiktok import TikTok, TikTokCredentials
from resources.creative_assets import AssetStore
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.google_ads import CUSTOMER_ID, GoogleAdsServer
from resources.sandbox.servers.linkedin import LinkedInServer
from resources.sandbox.servers.meta import MetaServer
from resources.sandbox.servers.tiktok import TikTokServer

TOKEN = "sandbox-secret-7f3c"
TODAY = date(2026, 6, 30)

Row = dict[str, Any]


@dataclass(frozen=True)
class Platform:
    """How one platform is served, read and written to.

    `budget` and `status` write to a lever's entity and say whether the platform took it; the words for a
    paused and a running entity are `statuses`. `endpoints` are those of the two writes.
    """

    account_id: str
    serve: Callable[..., Any]
    connect: Callable[[Any, ServedAccount], Any]
    budget: Callable[[Any, Row, str], bool]
    status: Callable[[Any, Row, str], bool]
    statuses: tuple[str, str]
    endpoints: tuple[str, str]
    too_low: str


def meta_write(server: Any, lever: Row, **form: str) -> bool:
    url = f"{server.url}/v26.0/{lever['entity_id']}"
    return httpx.post(url, data=form | {"access_token": TOKEN}).is_success


def google_write(server: Any, client: Any, transport: Any, method: str, change: Row) -> bool:
    operation = {"update": change, "update_mask": {"paths": [name for name in change if "name" not in name]}}
    request = {"customer_id": CUSTOMER_ID, "operations": [operation]}
    with grpc.insecure_channel(server.endpoint) as channel:
        service = client(transport=transport(channel=channel))
        try:
            getattr(service, method)(
                request=request, metadata=[("authorization", f"Bearer {TOKEN}")], retry=None, timeout=5
            )
        except GoogleAPICallError:
            return False
    return True


def google_budget(server: Any, lever: Row, dollars: str) -> bool:
    name = f"customers/{CUSTOMER_ID}/campaignBudgets/{int(lever['campaign_id']) + 8_000_000_000}"
    change = {"resource_name": name, "amount_micros": round(float(dollars) * 1e6)}
    client, transport = CampaignBudgetServiceClient, CampaignBudgetServiceGrpcTransport
    return google_write(server, client, transport, "mutate_campaign_budgets", change)


def google_status(server: Any, lever: Row, status: str) -> bool:
    change = {"resource_name": f"customers/{CUSTOMER_ID}/campaigns/{lever['campaign_id']}", "status": status}
    client, transport = CampaignServiceClient, CampaignServiceGrpcTransport
    return google_write(server, client, transport, "mutate_campaigns", change)


def tiktok_write(server: Any, path: str, **body: Any) -> bool:
    url = f"{server.url}/open_api/v1.3{path}"
    given = {"advertiser_id": "7194406226318590977", **body}
    reply = httpx.post(url, json=given, headers={"Access-Token": TOKEN})
    return reply.status_code == 200 and reply.json()["code"] == 0


def linkedin_write(server: Any, lever: Row, **fields: Any) -> bool:
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "LinkedIn-Version": "202603",
        "X-Restli-Protocol-Version": "2.0.0",
        "X-RestLi-Method": "PARTIAL_UPDATE",
    }
    url = f"{server.url}/rest/adAccounts/508733911/adCampaigns/{lever['entity_id']}"
    return httpx.post(url, json={"patch": {"$set": fields}}, headers=headers).status_code == 204


NO_ASSETS = AssetStore(Path("no asset is asked for"))
PLATFORMS = {
    "meta": Platform(
        "418802716650377",
        MetaServer,
        lambda server, served: MetaSource(
            MetaCredentials(TOKEN),
            assets=NO_ASSETS,
            base_url=server.url,
            sleep=lambda _: None,
            now=served.now,
        ),
        lambda server, lever, dollars: meta_write(
            server, lever, daily_budget=str(round(float(dollars) * 100))
        ),
        lambda server, lever, status: meta_write(server, lever, status=status),
        ("PAUSED", "ACTIVE"),
        ("/v26.0/1", "/v26.0/1"),
        "0.50",
    ),
    "google_ads": Platform(
        "472-118-9034",
        GoogleAdsServer,
        lambda server, served: GoogleAdsSource(
            GoogleAdsCredentials(access_token=TOKEN), (), endpoint=server.endpoint, timeout_seconds=10.0
        ),
        google_budget,
        google_status,
        ("PAUSED", "ENABLED"),
        ("MutateCampaignBudgets", "MutateCampaigns"),
        "0.005",
    ),
    "tiktok": Platform(
        "7194406226318590977",
        TikTokServer,
        lambda server, served: TikTok(
            TikTokCredentials(TOKEN), ("7194406226318590977",), served.now, endpoint=server.url
        ),
        lambda server, lever, dollars: tiktok_write(
            server,
            "/adgroup/budget/update/",
            budget=[{"adgroup_id": lever["entity_id"], "budget": float(dollars)}],
        ),
        lambda server, lever, status: tiktok_write(
            server, "/adgroup/status/update/", adgroup_ids=[lever["entity_id"]], operation_status=status
        ),
        ("DISABLE", "ENABLE"),
        ("/adgroup/budget/update/", "/adgroup/status/update/"),
        "19.99",
    ),
    "linkedin": Platform(
        "508733911",
        LinkedInServer,
        lambda server, served: LinkedIn(LinkedInCredentials(TOKEN), (), served.now, endpoint=server.url),
        lambda server, lever, dollars: linkedin_write(
            server, lever, dailyBudget={"amount": dollars, "currencyCode": "USD"}
        ),
        lambda server, lever, status: linkedin_write(server, lever, status=status),
        ("PAUSED", "ACTIVE"),
        ("/adCampaigns/", "/adCampaigns/"),
        "9.99",
    ),
}


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> Platform:
    return PLATFORMS[request.param]


@contextmanager
def running(
    platform: Platform, served: ServedAccount, *faults: Fault
) -> Iterator[tuple[Any, Callable[[], dict[str, Row]]]]:
    """A server, and what a pull of its levers says now, by lever."""
    with platform.serve(served, TOKEN, FaultScript(faults)) as server:

        def pulled() -> dict[str, Row]:
            source = platform.connect(server, served)
            report = next(r for r in source.reports if r.name == "levers/none")
            account = Account(platform.account_id, "Northstar", "USD", "America/New_York")
            try:
                pages = list(source.pages(Pull(account, report, TODAY, TODAY)))
            finally:
                getattr(source, "close", lambda: None)()  # Meta's keeps nothing open
            rows = pl.concat([page.rows for page in pages], how="diagonal_relaxed")
            return {row["lever_id"]: row for row in rows.to_dicts()}

        yield server, pulled


def a_running_lever(levers: dict[str, Row]) -> Row:
    return next(levers[name] for name in sorted(levers) if levers[name]["status"] == "active")


def test_a_budget_written_on_the_server_is_the_levers_budget_at_the_next_pull(
    platform: Platform, served: ServedAccount
) -> None:
    with running(platform, served) as (server, pulled):
        before = pulled()
        lever = a_running_lever(before)
        assert platform.budget(server, lever, "512.34")
        after = pulled()
    edited = after.pop(lever["lever_id"])
    assert datetime.fromisoformat(edited.pop("last_edited_at")) == served.now()
    assert edited == {name: v for name, v in lever.items() if name != "last_edited_at"} | {"budget": "512.34"}
    assert after == {name: row for name, row in before.items() if name != lever["lever_id"]}


def test_a_paused_lever_is_shown_paused_with_its_budget_until_it_runs_again(
    platform: Platform, served: ServedAccount
) -> None:
    paused, active = platform.statuses
    with running(platform, served) as (server, pulled):
        lever = a_running_lever(pulled())
        states = []
        for status in (paused, active):
            assert platform.status(server, lever, status)
            shown = pulled()[lever["lever_id"]]
            states.append((shown["status"], shown["budget"]))
    assert states == [("paused", lever["budget"]), ("active", lever["budget"])]


def test_what_a_platform_refuses_changes_nothing(platform: Platform, served: ServedAccount) -> None:
    nowhere = {"entity_id": "999", "campaign_id": "999"}
    with running(platform, served) as (server, pulled):
        before = pulled()
        lever = a_running_lever(before)
        assert not platform.budget(server, lever, platform.too_low)
        assert not platform.status(
            server, lever, "REMOVED" if platform.serve is GoogleAdsServer else "NAPPING"
        )
        assert not platform.budget(server, nowhere, "512.34")
        assert not platform.status(server, nowhere, platform.statuses[0])
        assert pulled() == before


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.SERVER_ERROR, FaultKind.EXPIRED_TOKEN])
def test_a_write_that_meets_a_fault_has_changed_nothing_and_the_next_one_counts(
    platform: Platform, served: ServedAccount, kind: FaultKind
) -> None:
    endpoints = platform.endpoints
    faults = [Fault(kind, each, times=endpoints.count(each)) for each in dict.fromkeys(endpoints)]
    with running(platform, served, *faults) as (server, pulled):
        before = pulled()
        lever = a_running_lever(before)
        assert not platform.budget(server, lever, "512.34")
        assert not platform.status(server, lever, platform.statuses[0])
        assert pulled() == before
        assert platform.budget(server, lever, "512.34")
        assert platform.status(server, lever, platform.statuses[0])
        shown = pulled()[lever["lever_id"]]
    assert (shown["budget"], shown["status"]) == ("512.34", "paused")


def test_a_written_budget_outlives_the_simulated_managers_later_edits(
    platform: Platform, served: ServedAccount
) -> None:
    evening = served.now()
    with running(platform, served) as (server, pulled):
        lever = a_running_lever(pulled())
        assert platform.budget(server, lever, "512.34")
        served.now = lambda: evening.replace(month=7, day=9)
        shown = pulled()[lever["lever_id"]]
    assert shown["budget"] == "512.34"
    assert datetime.fromisoformat(shown["last_edited_at"]) >= evening
