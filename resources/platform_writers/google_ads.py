"""Google Ads: campaign budgets and campaign statuses.

Here: reading one campaign with its budget, one mutation. Not here: channel and errors
(`resources.connectors.google_ads`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.ads.googleads.v26.services.services.campaign_budget_service import CampaignBudgetServiceClient
from google.ads.googleads.v26.services.services.campaign_budget_service.transports.grpc import (
    CampaignBudgetServiceGrpcTransport,
)
from google.ads.googleads.v26.services.services.campaign_service import CampaignServiceClient
from google.ads.googleads.v26.services.services.campaign_service.transports.grpc import (
    CampaignServiceGrpcTransport,
)

from resources.connectors.google_ads.api import LIVE_ENDPOINT, GoogleAdsApi
from resources.connectors.google_ads.credentials import GoogleAdsCredentials
from resources.connectors.google_ads.queries import Column, Query, one_of
from resources.control.payloads import LeverStatus, LeverTarget, LeverValue
from resources.platform_writers.interface import NoLongerALever, lever_value

_WORDS: Mapping[str, LeverStatus] = {"ENABLED": "active", "PAUSED": "paused"}
_SERVICES: Mapping[str, tuple[type, type, str]] = {
    "MutateCampaignBudgets": (
        CampaignBudgetServiceClient,
        CampaignBudgetServiceGrpcTransport,
        "mutate_campaign_budgets",
    ),
    "MutateCampaigns": (CampaignServiceClient, CampaignServiceGrpcTransport, "mutate_campaigns"),
}
_CAMPAIGN = Query(
    "campaign",
    {
        "status": Column("campaign.status"),
        "budget_id": Column("campaign.campaign_budget", "tail"),
        "period": Column("campaign_budget.period"),
        "budget": Column("campaign_budget.amount_micros", "micros"),
    },
)


class GoogleAdsWriter:
    """Google Ads' `PlatformWriter`.

    Args:
        endpoint: host, or host:port; plain gRPC where it is this machine.
        timeout_seconds: for a whole call.
    """

    def __init__(
        self,
        credentials: GoogleAdsCredentials,
        *,
        endpoint: str = LIVE_ENDPOINT,
        timeout_seconds: float = 60.0,
    ) -> None:
        self._api = GoogleAdsApi(credentials, endpoint, timeout_seconds)

    def read(self, target: LeverTarget) -> LeverValue:
        query = _CAMPAIGN.where(one_of("campaign.id", [target.entity_id]))
        customer = target.account_id.replace("-", "")
        found = [
            dict(zip(columns, row, strict=True))
            for response in self._api.search(customer, query.text, f"campaign {target.entity_id}")
            for columns in [_CAMPAIGN.read(response)]
            for row in zip(*columns.values(), strict=True)
        ]
        if len(found) != 1:
            raise NoLongerALever(f"{target.lever_id}: Google Ads knows {len(found)} such campaigns")
        (campaign,) = found
        if target.budget_id not in (None, campaign["budget_id"]):
            raise NoLongerALever(f"{target.lever_id} draws on budget {campaign['budget_id']} now")
        budget = campaign["budget"] if campaign["period"] == "DAILY" else None
        return lever_value(target, budget, campaign["status"], _WORDS)

    def send(self, request: Mapping[str, Any]) -> None:
        service, transport, method = _SERVICES[request["method"]]
        mutation = {name: request[name] for name in ("customer_id", "operations")}
        self._api.mutate(service, transport, method, mutation, f"{request['method']}")

    def close(self) -> None:
        self._api.close()
