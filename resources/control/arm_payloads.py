"""A switch of an arm (an ad, ad group or keyword) as the exact call its platform takes, and the call back.

Here: rendering, and telling an arm's change from a lever's when it is read back. Not here: when an arm may be
switched (`arm_rules`), whether it may be sent (`clearance`), budgets (`payloads`): an arm has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from resources.control.payloads import META_VERSION, LeverStatus, LeverTarget, LeverValue, Unwritable

# Split tests are recorded for a person who sets them up: no call exists for them.
SPLIT_TEST = "split_test"
SWITCHES: Mapping[str, tuple[LeverStatus, LeverStatus]] = {
    "pause": ("active", "paused"),
    "enable": ("paused", "active"),
}
"""What each switch starts from, and what it leads to."""
ARM_TYPES = (*SWITCHES, SPLIT_TEST)

# Service, method, collection, and whether a resource is named below its ad group.
_GOOGLE: Mapping[str, tuple[str, str, str, bool]] = {
    "ad": ("AdGroupAdService", "MutateAdGroupAds", "adGroupAds", True),
    "adgroup": ("AdGroupService", "MutateAdGroups", "adGroups", False),
    # Its id is ad group~criterion already.
    "keyword": ("AdGroupCriterionService", "MutateAdGroupCriteria", "adGroupCriteria", False),
}


@dataclass(frozen=True)
class ArmTarget:
    """An arm as its platform names it.

    Attributes:
        lever_id: whose budget it draws on.
        arm_kind: ad, adgroup (an ad set on Meta) or keyword.
        adgroup_id: of an ad or keyword; None where not known.
    """

    platform: str
    account_id: str
    lever_id: str
    arm_kind: str
    arm_id: str
    entity_name: str
    adgroup_id: str | None = None

    @property
    def object_id(self) -> str:
        """What its proposals and changes are kept under, beside the levers' ids."""
        return object_id(self.arm_kind, self.arm_id)


@dataclass(frozen=True)
class ArmValue:
    """What an arm says: whether its own switch is on."""

    status: LeverStatus

    def document(self) -> dict[str, str]:
        """As it is stored and hashed."""
        return {"status": self.status}


def object_id(arm_kind: str, arm_id: str) -> str:
    """An arm's own id among levers: `ad:120203…`."""
    return f"{arm_kind}:{arm_id}"


def read_value(document: Mapping[str, str]) -> LeverValue | ArmValue:
    """The value a document of a change stands for: without a budget it is an arm's."""
    if "budget" in document:
        return LeverValue.read(document)
    return ArmValue("paused" if document["status"] == "paused" else "active")


def read_target(document: Mapping[str, Any]) -> LeverTarget | ArmTarget:
    """The target a document of a payload stands for.

    Raises:
        TypeError: it is neither a lever's nor an arm's.
    """
    return ArmTarget(**document) if "arm_kind" in document else LeverTarget(**document)


def arm_payload(target: ArmTarget, kind: str, design: str | None = None) -> dict[str, Any]:
    """The whole proposal: what people approve, hash and sign.

    Args:
        kind: pause, enable or split_test.
        design: of a split test, JSON.
    Returns:
        target, before, after, and of a switch request (the call) and inverse (the call that undoes it), of a
        split test its design: a person sets it up.
    Raises:
        Unwritable: no platform call makes this switch.
    """
    common = {"target": asdict(target)}
    if kind == SPLIT_TEST:
        running = ArmValue("active").document()
        return {**common, "before": running, "after": running, "design": json.loads(design or "{}")}
    before, after = (ArmValue(status) for status in SWITCHES[kind])
    return {
        **common,
        "before": before.document(),
        "after": after.document(),
        "request": _request(target, after),
        "inverse": _request(target, before),
    }


def _request(target: ArmTarget, after: ArmValue) -> dict[str, Any]:
    if target.platform == "meta" and target.arm_kind in ("ad", "adgroup"):
        form = {"status": "ACTIVE" if after.status == "active" else "PAUSED"}
        return {"method": "POST", "path": f"/{META_VERSION}/{target.arm_id}", "form": form}
    if target.platform == "google_ads" and target.arm_kind in _GOOGLE:
        return _google_ads(target, after)
    raise Unwritable(
        f"{target.object_id}: {target.platform} is not told to switch its {target.arm_kind}s; do it by hand"
    )


def _google_ads(target: ArmTarget, after: ArmValue) -> dict[str, Any]:
    customer = target.account_id.replace("-", "")
    service, method, collection, is_below = _GOOGLE[target.arm_kind]
    if is_below and target.adgroup_id is None:
        raise Unwritable(f"{target.object_id}: its ad group is not known; pull google_ads again")
    name = f"{target.adgroup_id}~{target.arm_id}" if is_below else target.arm_id
    update = {
        "resource_name": f"customers/{customer}/{collection}/{name}",
        "status": "ENABLED" if after.status == "active" else "PAUSED",
    }
    return {
        "service": service,
        "method": method,
        "customer_id": customer,
        "operations": [{"update": update, "update_mask": {"paths": ["status"]}}],
    }
