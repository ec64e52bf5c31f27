"""Budget and status writes: what TikTok would refuse, and what is remembered of the others.

Here: POST bodies of /adgroup/ and /campaign/ updates; a call is done as a whole or not at all. Not here: how
lists show it (`entities`). Not modelled: the floor at 105 % of the day's spend, scheduled budgets, deletion.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from resources.sandbox.catalogue import PLATFORMS, TIKTOK
from resources.sandbox.servers.tiktok.entities import ADVERTISER_ID, Entities
from resources.sandbox.servers.written import WrittenChanges

MOST_ENTITIES = 20  # of one status update; taken for budgets too, where TikTok's reference names none
NO_PERMISSION = 40001
INVALID = 40002
_STATUSES = ("ENABLE", "DISABLE")
_MINIMUM = Decimal(str(PLATFORMS[TIKTOK].minimum_budget))


class Refusal(Exception):
    """A return code that is not 0, and its message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Writes:
    """What a POST changes, by path below the API's root.

    Args:
        entities: the objects as they are shown now.
        written: where accepted writes go.
    """

    def __init__(self, entities: Entities, written: WrittenChanges) -> None:
        self._entities = entities
        self._written = written
        self._lock = threading.Lock()
        self._routes: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "/adgroup/budget/update/": self._adgroup_budgets,
            "/adgroup/status/update/": lambda body: self._statuses(body, "adgroup"),
            "/campaign/update/": self._campaign_budget,
            "/campaign/status/update/": lambda body: self._statuses(body, "campaign"),
        }

    def __contains__(self, path: str) -> bool:
        return path in self._routes

    def apply(self, path: str, body: Any) -> dict[str, Any]:
        """The data of the answer.

        Raises:
            Refusal: as TikTok refuses it; then nothing has changed.
        """
        if not isinstance(body, dict):
            raise Refusal(INVALID, "The request body must be a JSON object")
        if body.get("advertiser_id") != ADVERTISER_ID:
            raise Refusal(NO_PERMISSION, "No permission to operate advertiser.")
        with self._lock:
            return self._routes[path](body)

    def _adgroup_budgets(self, body: Mapping[str, Any]) -> dict[str, Any]:
        asked = _several(body, "budget")
        _only(body, "budget")
        known = {adgroup["adgroup_id"] for adgroup in self._entities.adgroups()}
        budgets: dict[str, Decimal] = {}
        for each in asked:
            if not isinstance(each, dict) or each.get("adgroup_id") not in known:
                raise Refusal(INVALID, "budget.adgroup_id: the ad group does not exist")
            budgets[each["adgroup_id"]] = _amount(each.get("budget"))
        for adgroup_id, budget in budgets.items():
            self._written.add(adgroup_id, budget=budget)
        return {}

    def _campaign_budget(self, body: Mapping[str, Any]) -> dict[str, Any]:
        _only(body, "campaign_id", "budget")
        modes = {campaign["campaign_id"]: campaign["budget_mode"] for campaign in self._entities.campaigns()}
        if body.get("campaign_id") not in modes:
            raise Refusal(INVALID, "campaign_id: the campaign does not exist")
        # Each campaign of the account leaves budgets to its ad groups; the mode cannot be changed later.
        raise Refusal(INVALID, f"budget: cannot be set where budget_mode is {modes[body['campaign_id']]}")

    def _statuses(self, body: Mapping[str, Any], level: str) -> dict[str, Any]:
        ids = _several(body, f"{level}_ids")
        _only(body, f"{level}_ids", "operation_status")
        status = body.get("operation_status")
        if status not in _STATUSES:
            raise Refusal(INVALID, f"operation_status: must be one of {', '.join(_STATUSES)}")
        listed = self._entities.adgroups() if level == "adgroup" else self._entities.campaigns()
        known = {entity[f"{level}_id"] for entity in listed}
        if any(entity_id not in known for entity_id in ids):
            raise Refusal(INVALID, f"{level}_ids: not all of them exist")
        for entity_id in ids:
            self._written.add(entity_id, status=status)
        data: dict[str, Any] = {f"{level}_ids": ids, "status": status}
        if level == "campaign":
            data["campaign_list"] = [{"campaign_id": each, "status": status} for each in ids]
        return data


def _several(body: Mapping[str, Any], name: str) -> list[Any]:
    given = body.get(name)
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_ENTITIES:
        raise Refusal(INVALID, f"{name}: the allowed quantity range is 1-{MOST_ENTITIES}")
    return given


def _only(body: Mapping[str, Any], *names: str) -> None:
    """A parameter the sandbox does not play is refused rather than passed over."""
    others = sorted(set(body) - {"advertiser_id", *names})
    if others:
        raise Refusal(INVALID, f"{', '.join(others)}: not served here")


def _amount(given: Any) -> Decimal:
    if type(given) not in (int, float) or not isfinite(given):
        raise Refusal(INVALID, "budget: must be a number")
    budget = Decimal(str(given))
    if budget < _MINIMUM:
        raise Refusal(INVALID, f"budget: must be at least {_MINIMUM:f}")
    return budget
