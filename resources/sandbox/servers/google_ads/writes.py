"""Budget and status writes: what Google would refuse, and what is remembered of the others.

Here: CampaignBudgetService and CampaignService, and the switches of AdGroupService, AdGroupAdService and
AdGroupCriterionService, updates only. Not here: how snapshots show them (`tables`).
A living account behind the server goes on at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

import grpc

from resources.sandbox.servers.google_ads.failures import Refusal

BILLABLE_UNIT_MICROS = 10_000
_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_STATUSES = ("ENABLED", "PAUSED")
_Known = TypeVar("_Known")


@dataclass(frozen=True)
class Written:
    """One accepted change: `old` and `new` are micros for budgets, status names for campaigns."""

    moment: str
    campaign_id: int
    resource_type: str
    old: int | str
    new: int | str

    @property
    def budget(self) -> Decimal | None:
        """The new budget, dollars; None: a status was written."""
        return Decimal(self.new) / 1_000_000 if isinstance(self.new, int) else None

    @property
    def runs(self) -> bool | None:
        return None if isinstance(self.new, int) else self.new == "ENABLED"


@dataclass(frozen=True)
class Switched:
    """One accepted switch below a campaign.

    Attributes:
        resource_name: of the ad group, ad or keyword.
        entity_id: its own id, as the account behind the server knows it; None: it knows no such thing.
    """

    resource_name: str
    entity_id: str | None
    status: str


def budget_change(operation: Any, budgets: Mapping[str, tuple[int, int]], moment: str) -> Written:
    """The change a CampaignBudgetOperation makes.

    Args:
        budgets: campaign id and amount in micros by resource name.
        moment: account-local, as Google spells it.
    Raises:
        Refusal: as Google refuses it.
    """
    update = _update(operation, ("amount_micros",))
    campaign, before = _found(update.resource_name, budgets)
    amount = update.amount_micros
    if amount < 0:
        raise _refused("campaign_budget_error", "NEGATIVE_MONEY_AMOUNT", "A budget cannot be negative.")
    if amount < BILLABLE_UNIT_MICROS:
        raise _refused(
            "campaign_budget_error", "MONEY_AMOUNT_LESS_THAN_CURRENCY_MINIMUM_CPC", "The budget is too low."
        )
    if amount % BILLABLE_UNIT_MICROS:
        raise _refused(
            "campaign_budget_error",
            "NON_MULTIPLE_OF_MINIMUM_CURRENCY_UNIT",
            "Money amount is not a multiple of the minimum unit for the account's currency.",
        )
    return Written(moment, campaign, "CAMPAIGN_BUDGET", before, amount)


def status_change(operation: Any, campaigns: Mapping[str, tuple[int, str]], moment: str) -> Written:
    """The change a CampaignOperation makes.

    Args:
        campaigns: campaign id and status by resource name.
        moment: account-local, as Google spells it.
    Raises:
        Refusal: as Google refuses it.
    """
    update = _update(operation, ("status",))
    campaign, before = _found(update.resource_name, campaigns)
    if update.status.name not in _STATUSES:
        raise _refused("request_error", "INVALID_ENUM_VALUE", "Enum value is not permitted.")
    return Written(moment, campaign, "CAMPAIGN", before, update.status.name)


def switch(operation: Any, known: Mapping[str, tuple[str | None, str]]) -> Switched:
    """The switch an operation on an ad group, ad or keyword makes.

    Args:
        known: the account's id of it and its status by resource name.
    Raises:
        Refusal: as Google refuses it; what is removed can no longer be changed.
    """
    update = _update(operation, ("status",))
    entity_id, before = _found(update.resource_name, known)
    if before == "REMOVED":
        raise _refused("context_error", "OPERATION_NOT_PERMITTED_FOR_REMOVED_RESOURCE", "It was removed.")
    if update.status.name not in _STATUSES:
        raise _refused("request_error", "INVALID_ENUM_VALUE", "Enum value is not permitted.")
    return Switched(update.resource_name, entity_id, update.status.name)


def _update(operation: Any, writable: tuple[str, ...]) -> Any:
    if type(operation).pb(operation).WhichOneof("operation") != "update":
        raise _refused("mutate_error", "MUTATE_NOT_ALLOWED", "Only updates are possible here.")
    paths = list(operation.update_mask.paths)
    if not paths:
        raise _refused("field_mask_error", "FIELD_MASK_MISSING", "The field mask must be provided.")
    for path in paths:
        if path not in writable:
            raise _refused(
                "field_mask_error", "FIELD_NOT_FOUND", f"The field mask path {path} cannot be set."
            )
    return operation.update


def _found(name: str, resources: Mapping[str, _Known]) -> _Known:
    if name not in resources:
        raise _refused("mutate_error", "RESOURCE_NOT_FOUND", "Resource was not found.")
    return resources[name]


def _refused(kind: str, name: str, message: str) -> Refusal:
    return Refusal.of(_INVALID, kind, name, message)
