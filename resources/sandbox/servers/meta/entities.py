"""Campaigns, ad sets, ads, creatives and the activity log of the Meta account, and writes to them.

Here: objects on the wire as of last night, with what was written since. Not here: taking new ones
(`created`), paging, faults (`server`), links to images (`images`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from resources.sandbox import copywriting
from resources.sandbox.catalogue import CURRENCY, META, PLATFORMS
from resources.sandbox.frames import Reports
from resources.sandbox.servers.account import ACCOUNT_ZONE, Served, moment_of
from resources.sandbox.servers.meta.created import CreatedObjects
from resources.sandbox.servers.meta.wire import Refusal

ACCOUNT_ID = PLATFORMS[META].account_id
_MINIMUM_CENTS = round(PLATFORMS[META].minimum_budget * 100)
_LEARNING = {"learning": "LEARNING", "active": "SUCCESS", "limited": "FAIL"}
_ENDED = ("DELETED", "ARCHIVED")
_EVENTS = {"campaign": "update_campaign_budget", "adset": "update_ad_set_budget"}
_OBJECTS = {"campaign": "CAMPAIGN", "adset": "AD_SET", "ad": "AD"}
_SWITCHED = {
    "campaign": "update_campaign_run_status",
    "adset": "update_ad_set_run_status",
    "ad": "update_ad_run_status",
}
_TARGETING = {
    "age_min": 25,
    "age_max": 64,
    "geo_locations": {"countries": ["US"], "location_types": ["home", "recent"]},
    "targeting_automation": {"advantage_audience": 0},
}

Objects = list[dict[str, Any]]


@dataclass
class Written:
    """What was written to one campaign, ad set or ad."""

    budget_cents: int | None = None
    status: str | None = None


@dataclass
class EntityStore:
    """The account's objects as they were last night, and later writes."""

    served: Served
    written: dict[str, Written] = field(default_factory=dict)
    log: Objects = field(default_factory=list)
    created: CreatedObjects = field(init=False)
    _nights: dict[date, tuple[Objects, Objects]] = field(default_factory=dict)
    _spent: dict[date, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.created = CreatedObjects(self.served)

    def create(self, edge: str, form: Mapping[str, str]) -> dict[str, Any]:
        """Make a campaign, ad set, creative or ad; raises Refusal."""
        known = {
            "campaigns": self.campaigns(),
            "adsets": self.adsets(),
            "adcreatives": self.creatives(),
            "images": [{"id": record["image_hash"]} for record in self._shown()],
        }
        return self.created.create(edge, form, known)

    def _last_night(self) -> tuple[Objects, Objects]:
        """Ads and levers as known last night."""
        known = self.served.known
        if known not in self._nights:
            levers = self.served.levers(META, known, known)
            self._nights = {known: (self.served.ads(META).to_dicts(), levers.to_dicts())}
        return self._nights[known]

    def account(self) -> dict[str, Any]:
        return {
            "id": f"act_{ACCOUNT_ID}",
            "account_id": ACCOUNT_ID,
            "name": self.served.account_name(META),
            "account_status": 1,
            "currency": CURRENCY,
            "timezone_name": ACCOUNT_ZONE,
            "timezone_offset_hours_utc": -4,
            "min_daily_budget": _MINIMUM_CENTS,
            "spend_cap": "0",
            "amount_spent": str(self._spent_cents()),
            "created_time": self._time(self.served.start - timedelta(days=600)),
        }

    def _spent_cents(self) -> int:
        known = self.served.known
        if known not in self._spent:
            rows = self.served.rows(Reports.meta, self.served.start, known)
            self._spent = {known: int((rows[f"Amount spent ({CURRENCY})"] * 100).round().sum())}
        return self._spent[known]

    def minimum_budgets(self) -> Objects:
        amounts = {"imp": 1, "high_freq": 5, "low_freq": 40, "video_views": 5}
        return [
            {"currency": CURRENCY}
            | {f"min_daily_budget_{name}": _MINIMUM_CENTS * times for name, times in amounts.items()}
        ]

    def campaigns(self) -> Objects:
        ads, levers = self._last_night()
        budgets = {lever["entity_id"]: lever for lever in levers}
        created = self.served.start - timedelta(days=500)
        objects = []
        for index, (campaign_id, ad) in enumerate({ad["campaign_id"]: ad for ad in ads}.items()):
            lever = budgets.get(campaign_id)
            configured = self._configured(campaign_id, lever)
            entity = {
                "id": campaign_id,
                "account_id": ACCOUNT_ID,
                "name": ad["campaign_name"],
                "objective": "OUTCOME_SALES",
                "buying_type": "AUCTION",
                "status": configured,
                "configured_status": configured,
                "effective_status": configured,
                "is_adset_budget_sharing_enabled": False,
                "created_time": self._time(created + timedelta(days=index)),
                "updated_time": self._time(self.served.known),
                "start_time": self._time(created + timedelta(days=index + 2)),
            }
            objects.append(entity | self._budget(lever))
        return objects + self.created.of("campaigns")

    def adsets(self) -> Objects:
        ads, levers = self._last_night()
        campaigns = {entity["id"]: entity for entity in self.campaigns()}
        budgets = {lever["entity_id"]: lever for lever in levers}
        by_id = {lever["lever_id"]: lever for lever in levers}
        created = self.served.start - timedelta(days=500)
        objects = []
        for index, (adset_id, ad) in enumerate({ad["adset_id"]: ad for ad in ads}.items()):
            own, lever = budgets.get(adset_id), by_id.get(ad["lever_id"])
            configured = self._configured(adset_id, own)
            paused_above = campaigns[ad["campaign_id"]]["effective_status"] != "ACTIVE"
            entity = {
                "id": adset_id,
                "account_id": ACCOUNT_ID,
                "campaign_id": ad["campaign_id"],
                "name": ad["adset_name"],
                "status": configured,
                "configured_status": configured,
                "effective_status": "CAMPAIGN_PAUSED"
                if configured == "ACTIVE" and paused_above
                else configured,
                "billing_event": "IMPRESSIONS",
                "optimization_goal": "OFFSITE_CONVERSIONS",
                "targeting": _TARGETING | {"age_min": 25 + index % 10},
                "attribution_spec": [
                    {"event_type": "CLICK_THROUGH", "window_days": 7},
                    {"event_type": "VIEW_THROUGH", "window_days": 1},
                ],
                "created_time": self._time(created + timedelta(days=index)),
                "updated_time": self._time(self.served.known),
                "start_time": self._time(created + timedelta(days=index + 2)),
            }
            if lever is not None:
                entity["learning_stage_info"] = {
                    "status": _LEARNING[lever["learning_state"]],
                    "conversions": 50,
                    "last_sig_edit_ts": int(datetime.fromisoformat(lever["last_edited_at"]).timestamp()),
                    "attribution_windows": ["1d_view", "7d_click"],
                }
            objects.append(entity | self._budget(own))
        return objects + self.created.of("adsets")

    def ads(self) -> Objects:
        today = self.served.known + timedelta(days=1)
        adsets = {entity["id"]: entity for entity in self.adsets()}
        objects = []
        for index, ad in enumerate(self._last_night()[0]):
            created = ad["first_day"] - timedelta(days=2)
            if created > today:
                continue
            if ad["last_day"] is not None and ad["last_day"] <= today:
                status = _ENDED[index % 2]
            elif self._configured(ad["ad_id"], None) == "PAUSED":
                status = "PAUSED"
            elif ad["first_day"] > today:
                status = "PENDING_REVIEW"
            else:
                above = adsets[ad["adset_id"]]["effective_status"]
                status = "ADSET_PAUSED" if above == "PAUSED" else str(above)
            configured = status if status in (*_ENDED, "PAUSED") else "ACTIVE"
            entity = {
                "id": ad["ad_id"],
                "account_id": ACCOUNT_ID,
                "campaign_id": ad["campaign_id"],
                "adset_id": ad["adset_id"],
                "name": ad["ad_name"],
                "status": configured,
                "configured_status": configured,
                "effective_status": status,
                "created_time": self._time(created),
                "updated_time": self._time(min(ad["last_day"] or today, today)),
            }
            objects.append(
                entity | ({"creative": {"id": ad["creative_id"]}} if ad["creative_id"] is not None else {})
            )
        return objects + self.created.of("ads")

    def creatives(self) -> Objects:
        return [_creative(record) for record in self._shown()] + self.created.of("adcreatives")

    def ad_images(self) -> Objects:
        """The account's image library, without links."""
        objects: dict[str, dict[str, Any]] = {}
        for record in self._shown():
            image_hash = record["image_hash"]
            if image_hash in self.images:
                objects[image_hash] = {
                    "id": f"{ACCOUNT_ID}:{image_hash}",
                    "account_id": ACCOUNT_ID,
                    "hash": image_hash,
                    "name": f"{record['creative_name']}.png",
                    "width": copywriting.IMAGE_PIXELS,
                    "height": copywriting.IMAGE_PIXELS,
                    "status": "ACTIVE",
                    "created_time": f"{record['created_on']}T10:00:00-0500",
                }
        return list(objects.values())

    def ad_videos(self) -> Objects:
        """The account's videos, without links; Meta itself does not say `image_hash`, their thumbnail's."""
        return [
            {
                "id": video_id_of(record["creative_id"]),
                "title": record["headline"],
                "length": 15.5,
                "status": {"video_status": "ready"},
                "created_time": f"{record['created_on']}T10:00:00-0500",
                "image_hash": record["image_hash"],
            }
            for record in self._shown()
            if record["format"] == "video"
        ]

    @property
    def images(self) -> Mapping[str, bytes]:
        """The rendered images by Meta's hash of them, an MD5."""
        return self.served.images(META)

    def _shown(self) -> Objects:
        """Creatives with an ad, as the account manager's export has them."""
        return self.served.creatives(META).to_dicts()

    def activities(self) -> Objects:
        """Budget edits of the account's manager, and what was written here, newest first."""
        events = self.log + [
            self._event(
                edit.moment,
                _EVENTS[edit.level],
                _OBJECTS[edit.level],
                edit.entity_id,
                edit.entity_name,
                {"old_value": round(edit.old * 100), "new_value": round(edit.new * 100)},
            )
            for edit in self.served.budget_edits(META)
        ]
        return sorted(events, key=lambda event: event["event_time"], reverse=True)

    def write(self, entity_id: str, form: Mapping[str, str]) -> dict[str, Any]:
        """Change the daily budget or the status of a campaign or ad set, or the status of an ad.

        Raises:
            Refusal: an unknown object, one whose budget lies elsewhere, or an amount below the minimum.
        """
        if entity_id in self.created:
            return self.created.write(entity_id, form)
        kind, entity = self._written_to(entity_id)
        if entity is None or entity["status"] in _ENDED:
            raise Refusal(
                100, f"Unsupported post request. Object with ID '{entity_id}' does not exist.", subcode=33
            )
        change = Written(**vars(self.written.get(entity_id, Written())))
        event: tuple[str, dict[str, Any]] | None = None
        if "daily_budget" in form:
            cents = int(form["daily_budget"])
            if "daily_budget" not in entity:
                raise Refusal(100, "Invalid parameter: the budget is set at the other level.", 1885621)
            sets = [adset for adset in self.adsets() if adset["campaign_id"] == entity_id]
            if cents < _MINIMUM_CENTS * max(1, len(sets) if kind == "campaign" else 1):
                raise Refusal(100, "Invalid parameter: your budget is too low.", subcode=1885272)
            change.budget_cents = cents
            event = (_EVENTS[kind], {"old_value": int(entity["daily_budget"]), "new_value": cents})
        if "status" in form:
            if form["status"] not in ("ACTIVE", "PAUSED"):
                raise Refusal(100, "(#100) param status must be one of {ACTIVE, PAUSED}")
            change.status = form["status"]
            event = event or (_SWITCHED[kind], {"old_value": entity["status"], "new_value": form["status"]})
        if event is not None and "validate_only" not in form.get("execution_options", ""):
            self.written[entity_id] = change
            self.served.take_write(
                entity_id,
                budget=Decimal(form["daily_budget"]) / 100 if "daily_budget" in form else None,
                runs=form["status"] == "ACTIVE" if "status" in form else None,
            )
            self.log.append(
                self._event(self.served.now(), event[0], _OBJECTS[kind], entity_id, entity["name"], event[1])
            )
        return {"success": True}

    def _written_to(self, entity_id: str) -> tuple[str, dict[str, Any] | None]:
        """An object with its kind; None where there is none of that id."""
        for kind, objects in (("campaign", self.campaigns), ("adset", self.adsets), ("ad", self.ads)):
            for entity in objects():
                if entity["id"] == entity_id:
                    return kind, entity
        return "ad", None

    def _configured(self, entity_id: str, own: Mapping[str, Any] | None) -> str:
        paused = own is not None and own["status"] == "paused"
        return self.written.get(entity_id, Written()).status or ("PAUSED" if paused else "ACTIVE")

    def _budget(self, own: Mapping[str, Any] | None) -> dict[str, Any]:
        """The fields of an object's own budget; none where it carries none."""
        if own is None:
            return {}
        written = self.written.get(own["entity_id"], Written()).budget_cents
        cents = written if written is not None else round(own["budget"] * 100)
        return {"daily_budget": str(cents), "bid_strategy": "LOWEST_COST_WITHOUT_CAP"}

    def _time(self, day: date) -> str:
        return moment_of(day, 36_000).strftime("%Y-%m-%dT%H:%M:%S%z")

    def _event(
        self, when: datetime, event: str, object_type: str, object_id: str, name: str, extra: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "actor_id": "102233445566778",
            "actor_name": "Account Manager",
            "application_name": "Ads Manager",
            "event_time": when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S%z"),
            "event_type": event,
            "object_id": object_id,
            "object_name": name,
            "object_type": object_type,
            "extra_data": json.dumps(extra | {"currency": CURRENCY}),
        }


def video_id_of(creative_id: str) -> str:
    """The id of a creative's video; its clip is drawn from this name."""
    return f"8{creative_id}"


def _creative(record: Mapping[str, Any]) -> dict[str, Any]:
    """One creative as its object story says it: link, video or carousel."""
    call = {
        "type": record["call_to_action"].upper().replace(" ", "_"),
        "value": {"link": record["link_url"]},
    }
    creative = {
        "id": record["creative_id"],
        "account_id": ACCOUNT_ID,
        "name": record["creative_name"],
        "status": "ACTIVE",
        "title": record["headline"],
        "body": record["body"],
        "call_to_action_type": call["type"],
        "image_hash": record["image_hash"],
        "thumbnail_url": f"https://scontent.example/{record['image_hash'][:16]}.png",
        "adlabels": [{"id": f"9{record['creative_id']}", "name": f"theme:{record['theme']}"}],
    }
    link = {
        "name": record["headline"],
        "message": record["body"],
        "link": record["link_url"],
        "call_to_action": call,
    }
    if record["format"] == "video":
        video = {
            "video_id": video_id_of(record["creative_id"]),
            "title": record["headline"],
            "message": record["body"],
            "call_to_action": call,
        }
        return creative | {
            "object_type": "VIDEO",
            "video_id": video["video_id"],
            "object_story_spec": {"page_id": "101", "video_data": video},
        }
    if record["format"] == "carousel":
        link["child_attachments"] = [
            {"name": f"{record['headline']} ({card})", "link": record["link_url"]} for card in (1, 2, 3)
        ]
    return creative | {
        "object_type": "SHARE",
        "object_story_spec": {"page_id": "101", "link_data": link},
    }
