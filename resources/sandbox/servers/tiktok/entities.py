"""Campaigns, ad groups and ads of the simulated TikTok account, as its lists show them.

Here: objects as of last night, with what was written since. Not here: paging and faults (`server`), what may
be written (`writes`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, time
from typing import Any

from resources.sandbox.catalogue import PLATFORMS, TIKTOK
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.written import WrittenChanges

ADVERTISER_ID = PLATFORMS[TIKTOK].account_id

Objects = list[dict[str, Any]]


class Entities:
    """The advertiser's objects; budgets lie in the ad groups, in dollars a day."""

    def __init__(self, served: ServedAccount, written: WrittenChanges) -> None:
        self._served = served
        self._written = written

    def campaigns(self) -> Objects:
        business = self._served.simulated.business
        created = datetime.combine(business.start, time(15), UTC)
        listed = []
        for index, platform in enumerate(business.campaigns.platform):
            if platform != TIKTOK:
                continue
            campaign_id = business.campaigns.id[index]
            status = self._written.of(campaign_id).status or "ENABLE"
            listed.append(
                {
                    "advertiser_id": ADVERTISER_ID,
                    "campaign_id": campaign_id,
                    "campaign_name": business.campaigns.name[index],
                    "objective_type": "WEB_CONVERSIONS",
                    "budget_mode": "BUDGET_MODE_INFINITE",
                    "budget": 0.0,
                    "budget_optimize_on": False,
                    "operation_status": status,
                    "secondary_status": f"CAMPAIGN_STATUS_{status}",
                    "create_time": _utc(created),
                    "modify_time": _utc(self._written.last_edit(campaign_id, created)),
                }
            )
        return listed

    def adgroups(self) -> Objects:
        """Ad groups with the budgets in force at the end of yesterday, or written since."""
        business = self._served.simulated.business
        campaigns = {campaign["campaign_id"]: campaign for campaign in self.campaigns()}
        launched = {
            entity: business.date_of(max(int(day), -200))
            for entity, day in zip(business.levers.entity_id, business.levers.first_day, strict=True)
        }
        listed = []
        known = self._served.known
        for lever in self._served.levers(TIKTOK, known, known).iter_rows(named=True):
            adgroup_id, campaign = lever["entity_id"], campaigns[lever["campaign_id"]]
            written = self._written.of(adgroup_id)
            status = written.status or ("ENABLE" if lever["status"] == "active" else "DISABLE")
            edited = datetime.fromisoformat(lever["last_edited_at"])
            listed.append(
                {
                    "advertiser_id": ADVERTISER_ID,
                    "campaign_id": lever["campaign_id"],
                    "campaign_name": campaign["campaign_name"],
                    "adgroup_id": adgroup_id,
                    "adgroup_name": lever["entity_name"],
                    "budget_mode": "BUDGET_MODE_DAY",
                    "budget": lever["budget"] if written.budget is None else float(written.budget),
                    "operation_status": status,
                    "secondary_status": _delivery(status, campaign["operation_status"]),
                    "optimization_goal": "CONVERT",
                    "create_time": _utc(datetime.combine(launched[adgroup_id], time(15), UTC)),
                    "modify_time": _utc(self._written.last_edit(adgroup_id, edited)),
                }
            )
        return listed

    def ads(self, wanted: Collection[str] | None = None) -> Objects:
        """Ads launched by the end of yesterday; of `wanted` ids only, where given."""
        business = self._served.simulated.business
        today = business.day_of(self._served.today)
        listed = []
        for index, adset in enumerate(business.ads.adset):
            campaign = business.adsets.campaign[adset]
            ad, first = business.ads.id[index], int(business.ads.first_day[index])
            if business.campaigns.platform[campaign] != TIKTOK or first >= today:
                continue
            if wanted is not None and ad not in wanted:
                continue
            listed.append(
                {
                    "advertiser_id": ADVERTISER_ID,
                    "campaign_id": business.campaigns.id[campaign],
                    "campaign_name": business.campaigns.name[campaign],
                    "adgroup_id": business.adsets.id[adset],
                    "adgroup_name": business.adsets.name[adset],
                    "ad_id": ad,
                    "ad_name": business.ads.name[index],
                    "operation_status": "ENABLE" if today <= business.ads.last_day[index] else "DISABLE",
                }
            )
        return listed


def _delivery(own: str, above: str) -> str:
    if own == "DISABLE":
        return "ADGROUP_STATUS_DISABLE"
    return "ADGROUP_STATUS_CAMPAIGN_DISABLE" if above == "DISABLE" else "ADGROUP_STATUS_DELIVERY_OK"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
