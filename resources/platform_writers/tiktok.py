"""TikTok: budgets and statuses of campaigns and ad groups.

Here: reading one entity, posting one update. Not here: return codes (`resources.connectors.tiktok`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from resources.connectors.rows import text
from resources.connectors.tiktok import ENDPOINT, ROOT, TikTokCredentials, answered, open_client
from resources.control.payloads import LeverStatus, LeverTarget, LeverValue
from resources.platform_writers.interface import NoLongerALever, lever_value

_WORDS: Mapping[str, LeverStatus] = {"ENABLE": "active", "DISABLE": "paused"}
_DAILY = ("BUDGET_MODE_DAY", "BUDGET_MODE_DYNAMIC_DAILY_BUDGET")


class TikTokWriter:
    """TikTok's `PlatformWriter`.

    Args:
        timeout_seconds: longest wait for each piece of an answer.
    """

    def __init__(
        self, credentials: TikTokCredentials, *, endpoint: str = ENDPOINT, timeout_seconds: float = 60.0
    ) -> None:
        self._client = open_client(credentials, endpoint, timeout_seconds)

    def read(self, target: LeverTarget) -> LeverValue:
        level, path = target.lever_level, f"/{target.lever_level}/get/"
        asked = {
            "advertiser_id": target.account_id,
            "filtering": json.dumps({f"{level}_ids": [target.entity_id]}),
        }
        listed = answered(self._client, self._client.get(ROOT + path, asked), path).get("list")
        if not isinstance(listed, list):
            self._client.malformed(f"{path} has no list")
        found = [each for each in listed if text(each.get(f"{level}_id")) == target.entity_id]
        if len(found) != 1:
            raise NoLongerALever(f"{target.lever_id}: TikTok lists {len(found)} of it")
        (entity,) = found
        budget = entity.get("budget") if entity.get("budget_mode") in _DAILY else None
        return lever_value(target, budget, entity.get("operation_status"), _WORDS)

    def send(self, request: Mapping[str, Any]) -> None:
        path: str = request["path"]
        answered(self._client, self._client.post(path, request["body"]), path)

    def close(self) -> None:
        self._client.close()
