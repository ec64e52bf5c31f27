"""Campaigns, ad sets, creatives and ads made through the API, all of them paused.

Here: taking them as Meta does, showing, changing and deleting them. Not here: what the account had before
(`entities`). The simulated market knows nothing of them, so nothing of them can be switched on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from resources.sandbox.catalogue import META, PLATFORMS
from resources.sandbox.servers.account import Served
from resources.sandbox.servers.meta.wire import Refusal

EDGES = ("campaigns", "adsets", "adcreatives", "ads")
_GOALS = ("OFFSITE_CONVERSIONS", "LINK_CLICKS", "LANDING_PAGE_VIEWS", "IMPRESSIONS", "REACH")
_MINIMUM_CENTS = round(PLATFORMS[META].minimum_budget * 100)

Objects = list[dict[str, Any]]


@dataclass
class CreatedObjects:
    """What was made since the server started, by id.

    Args:
        served: the account; its moment stamps what is made.
    """

    served: Served
    _made: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def of(self, edge: str) -> Objects:
        """Objects of one of `EDGES`, deleted ones included, oldest first."""
        return [dict(entity) for made_in, entity in self._made.values() if made_in == edge]

    def __contains__(self, entity_id: str) -> bool:
        return entity_id in self._made

    def create(self, edge: str, form: Mapping[str, str], known: Mapping[str, Objects]) -> dict[str, Any]:
        """Make an object; answers its id.

        Args:
            known: all objects of the account by edge, and its images' hashes under `images`.
        Raises:
            Refusal: a field is missing or impossible, or names what is not there.
        """
        if not form.get("name"):
            raise Refusal(100, "Invalid parameter: name is required.", subcode=1885183)
        own = {
            "campaigns": _campaign,
            "adsets": _ad_set,
            "adcreatives": _creative,
            "ads": _ad,
        }[edge](form, {name: {entity["id"]: entity for entity in known[name]} for name in known})
        if "validate_only" in form.get("execution_options", ""):
            return {"success": True}
        entity_id = f"1209{len(self._made) + 1:014d}"
        account = {"id": entity_id, "account_id": PLATFORMS[META].account_id, "name": form["name"]}
        self._made[entity_id] = edge, account | own | self._stamped(edge, "PAUSED", created=True)
        return {"id": entity_id}

    def write(self, entity_id: str, form: Mapping[str, str]) -> dict[str, Any]:
        """Change the budget of what was made, pause it again or delete it with all it holds.

        Raises:
            Refusal: switching it on, a budget that is none, or a creative that an ad still shows.
        """
        edge, entity = self._made[entity_id]
        status = form.get("status", entity["status"])
        if entity["status"] == "DELETED":
            raise Refusal(100, f"Object with ID '{entity_id}' was deleted.", subcode=1487051)
        if status == "ACTIVE" and edge != "adcreatives":
            raise Refusal(100, "Invalid parameter: this simulated account delivers nothing made in it.")
        if status not in ("ACTIVE", "PAUSED", "DELETED"):
            raise Refusal(100, "(#100) param status must be one of {ACTIVE, PAUSED, DELETED}")
        if "daily_budget" in form:
            if edge != "adsets":
                raise Refusal(100, "Invalid parameter: the budget is set at the other level.", 1885621)
            entity["daily_budget"] = _cents(form["daily_budget"])
        shows = [ad for ad in self._living("ads") if ad["creative"]["id"] == entity_id]
        if status == "DELETED" and shows:
            raise Refusal(100, "Invalid parameter: the creative is used by an ad.", subcode=1487390)
        for each in [entity, *(self._below(entity_id) if status == "DELETED" else ())]:
            each.update(self._stamped(edge, status))
        return {"success": True}

    def _below(self, entity_id: str) -> Objects:
        """What is deleted with an object: the ad sets of a campaign, the ads of an ad set."""
        adsets = [adset for adset in self._living("adsets") if adset["campaign_id"] == entity_id]
        holders = {entity_id, *(adset["id"] for adset in adsets)}
        return [*adsets, *(ad for ad in self._living("ads") if ad["adset_id"] in holders)]

    def _living(self, edge: str) -> Iterator[dict[str, Any]]:
        for made_in, entity in self._made.values():
            if made_in == edge and entity["status"] != "DELETED":
                yield entity

    def _stamped(self, edge: str, status: str, *, created: bool = False) -> dict[str, Any]:
        if edge == "adcreatives":
            return {"status": "DELETED" if status == "DELETED" else "ACTIVE"}
        moment = self.served.now().strftime("%Y-%m-%dT%H:%M:%S%z")
        states = dict.fromkeys(("status", "configured_status", "effective_status"), status)
        return states | {"updated_time": moment} | ({"created_time": moment} if created else {})


def _campaign(form: Mapping[str, str], _: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if not isinstance(_json(form, "special_ad_categories"), list):
        raise Refusal(100, "(#100) The parameter special_ad_categories is required.")
    if "is_adset_budget_sharing_enabled" not in form:
        raise Refusal(100, "Invalid parameter: specify is_adset_budget_sharing_enabled.", subcode=4834011)
    _require_paused(form)
    return {
        "objective": _required(form, "objective"),
        "buying_type": form.get("buying_type", "AUCTION"),
        "is_adset_budget_sharing_enabled": form["is_adset_budget_sharing_enabled"] == "true",
    }


def _ad_set(form: Mapping[str, str], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    campaign = known["campaigns"].get(_required(form, "campaign_id"))
    if campaign is None or campaign["status"] == "DELETED":
        raise Refusal(100, f"Invalid parameter: no campaign {form['campaign_id']}.", subcode=1487634)
    if "daily_budget" in campaign:
        raise Refusal(100, "Invalid parameter: the budget is set at the campaign.", subcode=1885621)
    targeting, promoted = _json(form, "targeting") or {}, _json(form, "promoted_object")
    if not targeting.get("geo_locations"):
        raise Refusal(100, "Invalid parameter: targeting needs a location.", subcode=1885364)
    if targeting.get("targeting_automation", {}).get("advantage_audience") not in (0, 1):
        raise Refusal(100, "Invalid parameter: Advantage Audience Flag Required.", subcode=1870227)
    if _required(form, "optimization_goal") not in _GOALS:
        raise Refusal(100, "(#100) param optimization_goal is not one of the objective's.")
    if form["optimization_goal"] == "OFFSITE_CONVERSIONS" and not (promoted or {}).get("pixel_id"):
        raise Refusal(100, "Invalid parameter: a promoted object is required.", subcode=1885154)
    if _required(form, "billing_event") != "IMPRESSIONS":
        raise Refusal(100, "Invalid parameter: this billing event is not available.", subcode=2446404)
    _require_paused(form)
    try:
        starts = datetime.fromisoformat(_required(form, "start_time"))
    except ValueError:
        raise Refusal(100, "(#100) param start_time must be a datetime.") from None
    return {
        "campaign_id": campaign["id"],
        "daily_budget": _cents(_required(form, "daily_budget")),
        "bid_strategy": _required(form, "bid_strategy"),
        "billing_event": form["billing_event"],
        "optimization_goal": form["optimization_goal"],
        "targeting": targeting,
        "attribution_spec": [{"event_type": "CLICK_THROUGH", "window_days": 7}],
        "start_time": starts.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **({"promoted_object": promoted} if promoted else {}),
    }


def _creative(form: Mapping[str, str], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    story = _json(form, "object_story_spec") or {}
    link = story.get("link_data") or {}
    if not story.get("page_id") or not all(link.get(name) for name in ("link", "message", "image_hash")):
        raise Refusal(
            100, "Invalid parameter: the story needs a page, a link, a message and an image.", 1443115
        )
    if link["image_hash"] not in known["images"]:
        raise Refusal(100, f"Invalid parameter: no image {link['image_hash']}.", subcode=1487411)
    button = link.get("call_to_action", {}).get("type")
    return {
        "title": link.get("name"),
        "body": link["message"],
        "object_type": "SHARE",
        "image_hash": link["image_hash"],
        "object_story_spec": story,
        **({"call_to_action_type": button} if button else {}),
    }


def _ad(form: Mapping[str, str], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    adset = known["adsets"].get(_required(form, "adset_id"))
    creative = known["adcreatives"].get(str((_json(form, "creative") or {}).get("creative_id")))
    if adset is None or adset["status"] == "DELETED":
        raise Refusal(100, f"Invalid parameter: no ad set {form['adset_id']}.", subcode=1487634)
    if creative is None or creative["status"] == "DELETED":
        raise Refusal(100, "Invalid parameter: no such creative.", subcode=1487634)
    _require_paused(form)
    return {
        "campaign_id": adset["campaign_id"],
        "adset_id": adset["id"],
        "creative": {"id": creative["id"]},
    }


def _require_paused(form: Mapping[str, str]) -> None:
    if form.get("status") != "PAUSED":
        raise Refusal(100, "Invalid parameter: this simulated account delivers nothing made in it.")


def _required(form: Mapping[str, str], name: str) -> str:
    if not form.get(name):
        raise Refusal(100, f"(#100) The parameter {name} is required.")
    return form[name]


def _json(form: Mapping[str, str], name: str) -> Any:
    try:
        return json.loads(form[name]) if name in form else None
    except ValueError:
        raise Refusal(100, f"(#100) param {name} must be JSON.") from None


def _cents(text: str) -> str:
    if not text.isdigit() or int(text) < _MINIMUM_CENTS:
        raise Refusal(100, "Invalid parameter: your budget is too low.", subcode=1885272)
    return text
