"""LinkedIn: budgets and statuses of campaigns, which are everybody else's ad groups.

Here: reading one campaign, one partial update. Not here: error bodies (`resources.connectors.linkedin`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from resources.connectors.linkedin import ENDPOINT, LinkedInCredentials, open_client, refuse
from resources.control.payloads import LeverStatus, LeverTarget, LeverValue
from resources.platform_writers.interface import lever_value

_WORDS: Mapping[str, LeverStatus] = {"ACTIVE": "active", "PAUSED": "paused"}


class LinkedInWriter:
    """LinkedIn's `PlatformWriter`.

    Args:
        now: the present moment; tells when a daily quota opens again.
        timeout_seconds: longest wait for each piece of an answer.
    """

    def __init__(
        self,
        credentials: LinkedInCredentials,
        now: Callable[[], datetime],
        *,
        endpoint: str = ENDPOINT,
        timeout_seconds: float = 60.0,
    ) -> None:
        self._now = now
        self._client = open_client(credentials, endpoint, timeout_seconds)

    def read(self, target: LeverTarget) -> LeverValue:
        reply = self._client.get(f"/rest/adAccounts/{target.account_id}/adCampaigns/{target.entity_id}")
        if reply.status != 200:
            refuse(self._client, reply, self._now())
        if not isinstance(reply.body, dict):
            self._client.malformed("a campaign that is no object")
        budget = reply.body.get("dailyBudget")
        amount = budget.get("amount") if isinstance(budget, dict) else None
        return lever_value(target, amount, reply.body.get("status"), _WORDS)

    def send(self, request: Mapping[str, Any]) -> None:
        reply = self._client.post(request["path"], request["body"], request["headers"])
        if reply.status not in (200, 204):
            refuse(self._client, reply, self._now())

    def close(self) -> None:
        self._client.close()
