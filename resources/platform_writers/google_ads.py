"""Google Ads: campaign budgets and campaign statuses, switches of ad groups, ads and keywords.

Here: reading one campaign with its budget or one arm, one mutation. Not here: channel and errors
(`resources.connectors.google_ads`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.ads.googleads.v26.services.services.ad_group_ad_service import AdGroupAdServiceClient
from google.ads.googleads.v26.services.services.ad_group_ad_service.transports.grpc import (
    AdGroupAdServiceGrpcTransport,
)
from google.ads.googleads.v26.services.services.ad_group_criterion_service import (
    AdGroupCriterionServiceClient,
)
from google.ads.googleads.v26.services.services.ad_group_criterion_service.transports.grpc import (
    AdGroupCriterionServiceGrpcTransport,
)
from google.ads.googleads.v26.services.services.ad_group_service import AdGroupServiceClient
from google.ads.googleads.v26.services.services.ad_group_service.transports.grpc import (
    AdGroupServiceGrpcTransport,
)
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
from resources.control.arm_payloads import ArmTarget, ArmValue
from resources.control.payloads import LeverStatus, LeverTarget, LeverValue
from resources.platform_writers.interface import NoLongerALever, arm_value, lever_value

_WORDS: Mapping[str, LeverStatus] = {"ENABLED": "active", "PAUSED": "paused"}
_SERVICES: Mapping[str, tuple[type, type, str]] = {
    "MutateCampaignBudgets": (
        CampaignBudgetServiceClient,
        CampaignBudgetServiceGrpcTransport,
        "mutate_campaign_budgets",
    ),
    "MutateCampaigns": (CampaignServiceClient, CampaignServiceGrpcTransport, "mutate_campaigns"),
    "MutateAdGroups": (AdGroupServiceClient, AdGroupServiceGrpcTransport, "mutate_ad_groups"),
    "MutateAdGroupAds": (AdGroupAdServiceClient, AdGroupAdServiceGrpcTransport, "mutate_ad_group_ads"),
    "MutateAdGroupCriteria": (
        AdGroupCriterionServiceClient,
        AdGroupCriterionServiceGrpcTransport,
        "mutate_ad_group_criteria",
    ),
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
# Resource, and the fields that name one arm of it.
_ARMS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "adgroup": ("ad_group", ("ad_group.id",)),
    "ad": ("ad_group_ad", ("ad_group.id", "ad_group_ad.ad.id")),
    "keyword": ("ad_group_criterion", ("ad_group.id", "ad_group_criterion.criterion_id")),
}


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
        found = self._found(target.account_id, query, f"campaign {target.entity_id}")
        if len(found) != 1:
            raise NoLongerALever(f"{target.lever_id}: Google Ads knows {len(found)} such campaigns")
        (campaign,) = found
        if target.budget_id not in (None, campaign["budget_id"]):
            raise NoLongerALever(f"{target.lever_id} draws on budget {campaign['budget_id']} now")
        budget = campaign["budget"] if campaign["period"] == "DAILY" else None
        return lever_value(target, budget, campaign["status"], _WORDS)

    def read_arm(self, target: ArmTarget) -> ArmValue:
        resource, fields = _ARMS[target.arm_kind]
        # A keyword's id is ad group~criterion already.
        name = f"{target.adgroup_id}~{target.arm_id}" if target.arm_kind == "ad" else target.arm_id
        named = [one_of(field, [part]) for field, part in zip(fields, name.split("~"), strict=True)]
        query = Query(resource, {"status": Column(f"{resource}.status")}).where(*named)
        found = self._found(target.account_id, query, target.object_id)
        if len(found) != 1:
            raise NoLongerALever(f"{target.object_id}: Google Ads knows {len(found)} of it")
        return arm_value(target, found[0]["status"], _WORDS)

    def _found(self, account_id: str, query: Query, about: str) -> list[dict[str, str | None]]:
        return [
            dict(zip(columns, row, strict=True))
            for response in self._api.search(account_id.replace("-", ""), query.text, about)
            for columns in [query.read(response)]
            for row in zip(*columns.values(), strict=True)
        ]

    def send(self, request: Mapping[str, Any]) -> None:
        service, transport, method = _SERVICES[request["method"]]
        mutation = {name: request[name] for name in ("customer_id", "operations")}
        self._api.mutate(service, transport, method, mutation, f"{request['method']}")

    def close(self) -> None:
        self._api.close()
