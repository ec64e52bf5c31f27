"""Budget and status writes: what LinkedIn would refuse, and what is remembered of the others.

Here: Rest.li partial updates of one campaign or campaign group. Not here: how finders show them (`entities`).
Not modelled: budgets of campaign groups, statuses other than ACTIVE and PAUSED.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from resources.sandbox.catalogue import CURRENCY, LINKEDIN, PLATFORMS
from resources.sandbox.servers.http import Answer
from resources.sandbox.servers.linkedin.entities import ACCOUNT_ID, Entities
from resources.sandbox.servers.linkedin.wire import error, no_access
from resources.sandbox.servers.written import WrittenChanges

PATH = re.compile(r"^/rest/adAccounts/(\d+)/(adCampaigns|adCampaignGroups)/(\d+)$")
_STATUSES = ("ACTIVE", "PAUSED")
_MINIMUM = Decimal(str(PLATFORMS[LINKEDIN].minimum_budget))
_WRITABLE = {"adCampaigns": ("dailyBudget", "status"), "adCampaignGroups": ("status",)}


class _Refused(Exception):
    """A value that LinkedIn does not take, in its error body."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        details = {"description": message, "input": {"inputPath": {"fieldPath": field}}, "code": code}
        body = {
            "message": message,
            "serviceErrorCode": 10007,
            "status": 400,
            "code": code,
            "errorDetailType": "com.linkedin.common.error.BadRequest",
            "errorDetails": {"inputErrors": [details]},
        }
        self.answer = Answer(body, 400)


class Writes:
    """What a partial update changes.

    Args:
        entities: the objects as they are shown now.
        written: where accepted writes go.
    """

    def __init__(self, entities: Entities, written: WrittenChanges) -> None:
        self._entities = entities
        self._written = written
        self._lock = threading.Lock()

    def answer(self, path: re.Match[str], method: str, body: Any) -> Answer:
        """204 where it is done; otherwise nothing has changed.

        Args:
            path: what `PATH` matched.
            method: the header X-RestLi-Method.
        """
        account_id, kind, entity_id = path.groups()
        if account_id != ACCOUNT_ID:
            return no_access(path.string)
        patched = body.get("patch") if isinstance(body, dict) else None
        fields = patched.get("$set") if isinstance(patched, dict) else None
        if method.upper() != "PARTIAL_UPDATE" or not isinstance(fields, dict) or not fields:
            return error(400, "ILLEGAL_ARGUMENT", 0, "A PARTIAL_UPDATE with patch.$set is needed")
        with self._lock:
            listed = self._entities.campaigns() if kind == "adCampaigns" else self._entities.groups()
            if int(entity_id) not in {entity["id"] for entity in listed}:
                return error(404, "RESOURCE_NOT_FOUND", 0, f"Could not find entity {entity_id}")
            try:
                budget, status = _read(fields, _WRITABLE[kind])
            except _Refused as refused:
                return refused.answer
            self._written.add(entity_id, budget=budget, status=status)
        return Answer(b"", 204)


def _read(fields: Mapping[str, Any], writable: tuple[str, ...]) -> tuple[Decimal | None, str | None]:
    for name in fields:
        if name not in writable:
            raise _Refused("FIELD_INVALID", name, f"/{name} cannot be set here")
    status = fields.get("status")
    if "status" in fields and status not in _STATUSES:
        raise _Refused("FIELD_INVALID", "status", f"/status must be one of {', '.join(_STATUSES)}")
    return (_amount(fields["dailyBudget"]) if "dailyBudget" in fields else None), status


def _amount(given: Any) -> Decimal:
    path = "dailyBudget/amount"
    money = given if isinstance(given, dict) else {}
    try:
        amount = Decimal(money["amount"]) if isinstance(money.get("amount"), str) else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise _Refused("FIELD_INVALID", path, f"/{path} must be a decimal number as text")
    if money.get("currencyCode") != CURRENCY:
        raise _Refused("CURRENCY_MISMATCH", "dailyBudget/currencyCode", f"The account's is {CURRENCY}")
    if amount < _MINIMUM:
        message = f"/{path} cannot be set to {amount:f}; it cannot be lower than {_MINIMUM:f}"
        raise _Refused("FIELD_VALUE_TOO_LOW", path, message)
    return amount
