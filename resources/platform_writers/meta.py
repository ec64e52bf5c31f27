"""Meta through the Graph API: budgets and statuses of campaigns and ad sets, switches of ads, launches.

Here: reading one object, listing some, posting one form. Not here: sessions and errors
(`resources.connectors.meta`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.meta.credentials import MetaCredentials
from resources.connectors.meta.graph import API_VERSION, LIVE, Graph
from resources.connectors.meta.texts import money, part, required
from resources.control.arm_payloads import ArmTarget, ArmValue
from resources.control.payloads import LeverStatus, LeverTarget, LeverValue
from resources.platform_writers.interface import Made, arm_value, lever_value

_WORDS: Mapping[str, LeverStatus] = {"ACTIVE": "active", "PAUSED": "paused"}
_FIELDS = {
    "campaign": "status",
    "adset": "status,daily_budget,campaign_id",
    "ad": "status,adset_id",
    "creative": "status",
}
_PARENTS = {"adset": "campaign_id", "ad": "adset_id"}
_PAGE = 200


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
        self._graph.call(request["method"], _path(request["path"]), request["form"])

    def create(self, request: Mapping[str, Any]) -> str:
        answer = self._graph.call(request["method"], _path(request["path"]), request["form"])
        return required(answer.body, "id")

    def listed(self, path: str) -> list[tuple[str, str]]:
        asked = {"fields": "id,name", "limit": _PAGE}
        return [
            (required(row, "id"), str(row.get("name")))
            for rows, _ in self._graph.pages(_path(path), asked)
            for row in rows
        ]

    def look(self, kind: str, entity_id: str, currency: str) -> Made:
        answer = self._graph.call("GET", (), {"ids": entity_id, "fields": _FIELDS[kind]})
        entity = part(answer.body, entity_id)
        status = required(entity, "status")
        budget = money(entity.get("daily_budget"), currency, "daily_budget")
        parent = entity.get(_PARENTS.get(kind, ""))
        return Made(
            "gone" if status == "DELETED" else _WORDS.get(status, status),
            None if budget is None else Decimal(budget),
            None if parent is None else str(parent),
        )

    def close(self) -> None:
        """Meta's SDK keeps nothing open."""


def _path(rendered: str) -> tuple[str, ...]:
    """The parts of a rendered path.

    Raises:
        PlatformError: it was rendered for another version of the API.
    """
    _, version, *path = rendered.split("/")
    if version != API_VERSION:
        raise PlatformError(
            ErrorClass.PERMANENT, f"Meta: the call was rendered for {version}, this is {API_VERSION}."
        )
    return tuple(path)
