"""A change of budget or status as the exact call its platform takes, and the call that undoes it.

Here: rendering, platform by platform, in their own units. Not here: whether it may be sent (`clearance`),
sending.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal

from resources.connectors.meta.texts import offset

META_VERSION = "v26.0"
TIKTOK_ROOT = "/open_api/v1.3"
MICROS = 1_000_000

LeverStatus = Literal["active", "paused"]


class Unwritable(Exception):
    """A change no call exists for."""


@dataclass(frozen=True)
class LeverTarget:
    """The entity a change is made to, as its platform names it.

    Attributes:
        budget_id: Google's campaign budget, which is an object of its own; None elsewhere.
    """

    platform: str
    account_id: str
    lever_id: str
    lever_level: str
    entity_id: str
    entity_name: str
    currency: str
    budget_id: str | None = None


@dataclass(frozen=True)
class LeverValue:
    """What a lever says: daily budget in account currency, and whether it delivers."""

    budget: Decimal
    status: LeverStatus

    def document(self) -> dict[str, str]:
        """As it is stored and hashed: one spelling per amount."""
        return {"budget": money(self.budget), "status": self.status}

    @classmethod
    def read(cls, document: Mapping[str, str]) -> LeverValue:
        """The value a document stands for."""
        status: LeverStatus = "paused" if document["status"] == "paused" else "active"
        return cls(Decimal(document["budget"]), status)


def money(amount: Decimal) -> str:
    """An amount without trailing zeros beyond the cents."""
    cents = amount.quantize(Decimal("0.01"))
    return f"{cents if cents == amount else amount.normalize():f}"


def change_payload(target: LeverTarget, before: LeverValue, after: LeverValue) -> dict[str, Any]:
    """The whole change: what people approve, hash and sign.

    Returns:
        target, before, after, request (the call) and inverse (the call that undoes it exactly).
    Raises:
        Unwritable: no platform call makes this change.
    """
    return {
        "target": asdict(target),
        "before": before.document(),
        "after": after.document(),
        "request": request(target, before, after),
        "inverse": request(target, after, before),
    }


def edit_payload(edit: Mapping[str, Any], target: LeverTarget | None) -> dict[str, Any]:
    """The change an edit asks for; a stop pauses and leaves the budget as it is.

    Args:
        edit: a row of `bandit_decisions` or of the proposals.
        target: the entity of its lever; None where the platform knows none.
    Raises:
        Unwritable: no target, or no platform call makes this change.
    """
    if target is None:
        raise Unwritable(f"{edit['lever_id']}: no such lever is known to the platform")
    before = LeverValue(edit["current_budget"], "active")
    if edit["type"] == "stop":
        return change_payload(target, before, LeverValue(edit["current_budget"], "paused"))
    return change_payload(target, before, LeverValue(edit["proposed_budget"], "active"))


def request(target: LeverTarget, before: LeverValue, after: LeverValue) -> dict[str, Any]:
    """The one call that takes a lever from `before` to `after`.

    Raises:
        Unwritable: an unknown platform or level, nothing changes, or budget and status both do (one entity,
            one field a change).
    """
    changes_budget, changes_status = before.budget != after.budget, before.status != after.status
    if changes_budget == changes_status:
        raise Unwritable(
            f"{target.lever_id}: a change moves either the budget or the status "
            f"(found {before.document()} to {after.document()})"
        )
    render = _RENDERED.get(target.platform)
    if render is None:
        raise Unwritable(f"{target.platform}: budgets of this platform cannot be written")
    return render(target, after, changes_budget)


def _meta(target: LeverTarget, after: LeverValue, changes_budget: bool) -> dict[str, Any]:
    if target.lever_level not in ("campaign", "adset"):
        raise Unwritable(f"{target.lever_id}: Meta keeps budgets at campaigns and ad sets")
    form = (
        {"daily_budget": str(_whole(after.budget * offset(target.currency), target))}
        if changes_budget
        else {"status": "ACTIVE" if after.status == "active" else "PAUSED"}
    )
    return {"method": "POST", "path": f"/{META_VERSION}/{target.entity_id}", "form": form}


def _google_ads(target: LeverTarget, after: LeverValue, changes_budget: bool) -> dict[str, Any]:
    customer = target.account_id.replace("-", "")
    if changes_budget:
        if target.budget_id is None:
            raise Unwritable(f"{target.lever_id}: its campaign budget is not known; pull google_ads again")
        service, method, field = "CampaignBudgetService", "MutateCampaignBudgets", "amount_micros"
        resource = f"customers/{customer}/campaignBudgets/{target.budget_id}"
        value: int | str = _whole(after.budget * MICROS, target)
    else:
        service, method, field = "CampaignService", "MutateCampaigns", "status"
        resource = f"customers/{customer}/campaigns/{target.entity_id}"
        value = "ENABLED" if after.status == "active" else "PAUSED"
    return {
        "service": service,
        "method": method,
        "customer_id": customer,
        "operations": [
            {"update": {"resource_name": resource, field: value}, "update_mask": {"paths": [field]}}
        ],
    }


def _tiktok(target: LeverTarget, after: LeverValue, changes_budget: bool) -> dict[str, Any]:
    level = target.lever_level
    if level not in ("campaign", "adgroup"):
        raise Unwritable(f"{target.lever_id}: TikTok keeps budgets at campaigns and ad groups")
    body: dict[str, Any] = {"advertiser_id": target.account_id}
    if not changes_budget:
        path = f"{TIKTOK_ROOT}/{level}/status/update/"
        body |= {
            f"{level}_ids": [target.entity_id],
            "operation_status": "ENABLE" if after.status == "active" else "DISABLE",
        }
    elif level == "campaign":
        path = f"{TIKTOK_ROOT}/campaign/update/"
        body |= {"campaign_id": target.entity_id, "budget": _number(after.budget, target)}
    else:
        path = f"{TIKTOK_ROOT}/adgroup/budget/update/"
        body |= {"budget": [{"adgroup_id": target.entity_id, "budget": _number(after.budget, target)}]}
    return {"method": "POST", "path": path, "body": body}


def _linkedin(target: LeverTarget, after: LeverValue, changes_budget: bool) -> dict[str, Any]:
    # What LinkedIn calls a campaign is everybody else's ad group.
    if target.lever_level != "adgroup":
        raise Unwritable(
            f"{target.lever_id}: budgets of LinkedIn's campaigns can be written, not of its groups"
        )
    changed: dict[str, Any] = (
        {"dailyBudget": {"amount": money(after.budget), "currencyCode": target.currency}}
        if changes_budget
        else {"status": "ACTIVE" if after.status == "active" else "PAUSED"}
    )
    return {
        "method": "POST",
        "path": f"/rest/adAccounts/{target.account_id}/adCampaigns/{target.entity_id}",
        "headers": {"X-RestLi-Method": "PARTIAL_UPDATE"},
        "body": {"patch": {"$set": changed}},
    }


def _whole(amount: Decimal, target: LeverTarget) -> int:
    if amount != amount.to_integral_value():
        raise Unwritable(f"{target.lever_id}: {amount} is no whole number of the platform's units")
    return int(amount)


def _number(amount: Decimal, target: LeverTarget) -> float:
    """A JSON number that says exactly this amount."""
    if Decimal(repr(float(amount))) != amount:
        raise Unwritable(f"{target.lever_id}: {amount} has more digits than a JSON number keeps")
    return float(amount)


_RENDERED = {"meta": _meta, "google_ads": _google_ads, "tiktok": _tiktok, "linkedin": _linkedin}
