"""Campaign groups, campaigns and creatives of the simulated LinkedIn account, as its finders show them.

Here: objects as of last night, with what was written since. Not here: cursors and faults (`server`), what may
be written (`writes`).
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from resources.sandbox.catalogue import CURRENCY, LINKEDIN, PLATFORMS
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.written import WrittenChanges

ACCOUNT_ID = PLATFORMS[LINKEDIN].account_id
_ACCOUNT = f"urn:li:sponsoredAccount:{ACCOUNT_ID}"

Objects = list[dict[str, Any]]


class Entities:
    """The account's objects; budgets lie in the campaigns, in dollars a day."""

    def __init__(self, served: ServedAccount, written: WrittenChanges) -> None:
        self._served = served
        self._written = written

    @property
    def _created(self) -> datetime:
        return datetime.combine(self._served.simulated.business.start - timedelta(days=200), time(15), UTC)

    def groups(self) -> Objects:
        campaigns = self._served.simulated.business.campaigns
        return [
            {
                "id": int(campaigns.id[index]),
                "name": campaigns.name[index],
                "account": _ACCOUNT,
                "status": self._written.of(campaigns.id[index]).status or "ACTIVE",
                "changeAuditStamps": self._stamps(campaigns.id[index], self._created),
            }
            for index, platform in enumerate(campaigns.platform)
            if platform == LINKEDIN
        ]

    def campaigns(self) -> Objects:
        """Campaigns with the budgets in force at the end of yesterday, or written since."""
        listed = []
        known = self._served.known
        for lever in self._served.levers(LINKEDIN, known, known).iter_rows(named=True):
            written = self._written.of(lever["entity_id"])
            amount = f"{lever['budget']:.2f}" if written.budget is None else f"{written.budget:f}"
            edited = datetime.fromisoformat(lever["last_edited_at"])
            listed.append(
                {
                    "id": int(lever["entity_id"]),
                    "name": lever["entity_name"],
                    "account": _ACCOUNT,
                    "campaignGroup": f"urn:li:sponsoredCampaignGroup:{lever['campaign_id']}",
                    "dailyBudget": {"amount": amount, "currencyCode": CURRENCY},
                    "costType": "CPM",
                    "type": "SPONSORED_UPDATES",
                    "status": written.status or ("ACTIVE" if lever["status"] == "active" else "PAUSED"),
                    "changeAuditStamps": self._stamps(lever["entity_id"], edited),
                }
            )
        return listed

    def creatives(self) -> Objects:
        """Creatives launched by the end of yesterday."""
        business = self._served.simulated.business
        today = business.day_of(self._served.today)
        listed = []
        for index, adset in enumerate(business.ads.adset):
            first = int(business.ads.first_day[index])
            if business.campaigns.platform[business.adsets.campaign[adset]] != LINKEDIN or first >= today:
                continue
            running = bool(today <= business.ads.last_day[index])
            created = datetime.combine(business.date_of(max(first, -200)), time(15), UTC)
            listed.append(
                {
                    "id": f"urn:li:sponsoredCreative:{business.ads.id[index]}",
                    "name": business.ads.name[index],
                    "account": _ACCOUNT,
                    "campaign": f"urn:li:sponsoredCampaign:{business.adsets.id[adset]}",
                    "intendedStatus": "ACTIVE" if running else "PAUSED",
                    "isServing": running,
                    "createdAt": _epoch(created),
                    "lastModifiedAt": _epoch(created),
                }
            )
        return listed

    def _stamps(self, entity_id: str, edited: datetime) -> dict[str, dict[str, int]]:
        last = self._written.last_edit(entity_id, edited)
        return {"created": {"time": _epoch(self._created)}, "lastModified": {"time": _epoch(last)}}


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
