"""Meta: budgets and statuses of campaigns and ad sets, switches of ads, through the Graph API.

Here: reading one object, posting one form. Not here: sessions and errors (`resources.connectors.meta`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.meta.credentials import MetaCredentials
from resources.connectors.meta.graph import API_VERSION, LIVE, Graph
from resources.connectors.meta.texts import money, part, required
from resources.control.arm_payloads import ArmTarget, ArmValue
from resources.control.payloads import LeverStatus, LeverTarget, LeverValue
from resources.platform_writers.interface import arm_value, lever_value

_WORDS: Mapping[str, LeverStatus] = {"ACTIVE": "active", "PAUSED": "paused"}


class MetaWriter:
    """Meta's `PlatformWriter`.

    Args:
        endpoint: scheme and host of the Graph API.
        timeout_seconds: for connecting, and for each silence while reading.
    """

    def __init__(
        self, credentials: MetaCredentials, *, endpoint: str = LIVE, timeout_seconds: float = 60.0
    ) -> None:
        self._graph = Graph(credentials, endpoint, timeout_seconds)

    def read(self, target: LeverTarget) -> LeverValue:
        asked = {"ids": target.entity_id, "fields": "status,daily_budget"}
        entity = part(self._graph.call("GET", (), asked).body, target.entity_id)
        budget = money(entity.get("daily_budget"), target.currency, "daily_budget")
        return lever_value(target, budget, required(entity, "status"), _WORDS)

    def read_arm(self, target: ArmTarget) -> ArmValue:
        entity = part(
            self._graph.call("GET", (), {"ids": target.arm_id, "fields": "status"}).body, target.arm_id
        )
        return arm_value(target, required(entity, "status"), _WORDS)

    def send(self, request: Mapping[str, Any]) -> None:
        _, version, *path = request["path"].split("/")
        if version != API_VERSION:
            raise PlatformError(
                ErrorClass.PERMANENT, f"Meta: the call was rendered for {version}, this is {API_VERSION}."
            )
        self._graph.call(request["method"], tuple(path), request["form"])

    def close(self) -> None:
        """Meta's SDK keeps nothing open."""
