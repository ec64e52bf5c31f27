"""Campaigns, ad sets, ads, creatives and the activity log of the simulated Meta account, and writes to them.

Here: objects on the wire as of last night, with what was written since. Not here: paging, faults (`server`),
links to images (`images`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from resources.sandbox import copywriting
from resources.sandbox.backend_frames import creatives_frame, levers_frame
from resources.sandbox.catalogue import CURRENCY, META, PLATFORMS
from resources.sandbox.frames import Window
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.meta.wire import Refusal

ACCOUNT_ID = PLATFORMS[META].account_id
_MINIMUM_CENTS = round(PLATFORMS[META].minimum_budget * 100)
_LEARNING = {"learning": "LEARNING", "active": "SUCCESS", "limited": "FAIL"}
_ENDED = ("DELETED", "ARCHIVED")
_EVENTS = {"campaign": "update_campaign_budget", "adset": "update_ad_set_budget"}
_OBJECTS = {"campaign": "CAMPAIGN", "adset": "AD_SET"}
_TARGETING = {
    "age_min": 25,
    "age_max": 64,
    "geo_locations": {"countries": ["US"], "location_types": ["home", "recent"]},
    "targeting_automation": {"advantage_audience": 0},
}

Objects = list[dict[str, Any]]


@dataclass
class Written:
    """What was written to one campaign or ad set."""

    budget_cents: int | None = None
    status: str | None = None


@dataclass
class EntityStore:
    """The account's objects as they were last night, and later writes."""

    served: ServedAccount
    written: dict[str, Written] = field(default_factory=dict)
    log: Objects = field(default_factory=list)
    _lever_days: dict[int, Objects] = field(default_factory=dict)

    @property
    def _known(self) -> int:
        business, ledger = self.served.simulated.business, self.served.simulated.ledger
        return min(business.day_of(self.served.today) - 1, ledger.days - 1)

    def _levers(self) -> Objects:
        simulated, known = self.served.simulated, self._known
        if known not in self._lever_days:
            frame = levers_frame(simulated.business, simulated.ledger, Window(known, known, known))
            self._lever_days = {known: frame.filter(pl.col("source") == "meta").to_dicts()}
        return self._lever_days[known]

    def account(self) -> dict[str, Any]:
        return {
            "id": f"act_{ACCOUNT_ID}",
            "account_id": ACCOUNT_ID,
            "name": PLATFORMS[META].account_name,
            "account_status": 1,
            "currency": CURRENCY,
            "timezone_name": ACCOUNT_ZONE,
            "timezone_offset_hours_utc": -4,
            "min_daily_budget": _MINIMUM_CENTS,
            "spend_cap": "0",
            "amount_spent": "184220915",
            "created_time": "2024-01-09T10:00:00-0500",
        }

    def minimum_budgets(self) -> Objects:
        amounts = {"imp": 1, "high_freq": 5, "low_freq": 40, "video_views": 5}
        return [
            {"currency": CURRENCY}
            | {f"min_daily_budget_{name}": _MINIMUM_CENTS * times for name, times in amounts.items()}
        ]

    def campaigns(self) -> Objects:
        business = self.served.simulated.business
        objects = []
        levers = self._levers()
        for index in dict.fromkeys(business.campaigns.id.index(lever["campaign_id"]) for lever in levers):
            campaign_id = business.campaigns.id[index]
            mine = [lever for lever in levers if lever["campaign_id"] == campaign_id]
            own = [lever for lever in mine if lever["lever_level"] == "campaign"]
            paused = own and own[0]["status"] == "paused"
            configured = self.written.get(campaign_id, Written()).status or ("PAUSED" if paused else "ACTIVE")
            entity = {
                "id": campaign_id,
                "account_id": ACCOUNT_ID,
                "name": business.campaigns.name[index],
                "objective": "OUTCOME_SALES",
                "buying_type": "AUCTION",
                "status": configured,
                "configured_status": configured,
                "effective_status": configured,
                "is_adset_budget_sharing_enabled": False,
                "created_time": self._time(-500 + index),
                "updated_time": self._time(self._known),
                "start_time": self._time(-498 + index),
            }
            if own:
                entity |= {"daily_budget": self._budget(own[0]), "bid_strategy": "LOWEST_COST_WITHOUT_CAP"}
            objects.append(entity)
        return objects

    def adsets(self) -> Objects:
        business = self.served.simulated.business
        campaigns = {entity["id"]: entity for entity in self.campaigns()}
        by_lever = {lever["lever_id"]: lever for lever in self._levers()}
        objects = []
        for index, adset_id in enumerate(business.adsets.id):
            lever = by_lever.get(business.levers.id[business.adsets.lever[index]])
            if lever is None:
                continue
            own = lever["lever_level"] == "adset"
            configured = "PAUSED" if own and lever["status"] == "paused" else "ACTIVE"
            configured = self.written.get(adset_id, Written()).status or configured
            paused_above = campaigns[lever["campaign_id"]]["effective_status"] != "ACTIVE"
            edited = datetime.fromisoformat(lever["last_edited_at"])
            entity = {
                "id": adset_id,
                "account_id": ACCOUNT_ID,
                "campaign_id": lever["campaign_id"],
                "name": business.adsets.name[index],
                "status": configured,
                "configured_status": configured,
                "effective_status": "CAMPAIGN_PAUSED"
                if configured == "ACTIVE" and paused_above
                else configured,
                "billing_event": "IMPRESSIONS",
                "optimization_goal": "OFFSITE_CONVERSIONS",
                "learning_stage_info": {
                    "status": _LEARNING[lever["learning_state"]],
                    "conversions": 50,
                    "last_sig_edit_ts": int(edited.timestamp()),
                    "attribution_windows": ["1d_view", "7d_click"],
                },
                "targeting": _TARGETING | {"age_min": 25 + index % 10},
                "attribution_spec": [
                    {"event_type": "CLICK_THROUGH", "window_days": 7},
                    {"event_type": "VIEW_THROUGH", "window_days": 1},
                ],
                "created_time": self._time(-500 + index),
                "updated_time": self._time(self._known),
                "start_time": self._time(-498 + index),
            }
            if own:
                entity |= {"daily_budget": self._budget(lever), "bid_strategy": "LOWEST_COST_WITHOUT_CAP"}
            objects.append(entity)
        return objects

    def ads(self) -> Objects:
        business, today = self.served.simulated.business, self._known + 1
        adsets = {entity["id"]: entity for entity in self.adsets()}
        objects = []
        for index, ad_id in enumerate(business.ads.id):
            adset = adsets.get(business.adsets.id[business.ads.adset[index]])
            first, last = int(business.ads.first_day[index]), int(business.ads.last_day[index])
            if adset is None or first - 2 > today:
                continue
            if last <= today:
                status = _ENDED[index % 2]
            elif first > today:
                status = "PENDING_REVIEW"
            else:
                above = adset["effective_status"]
                status = "ADSET_PAUSED" if above == "PAUSED" else str(above)
            configured = status if status in _ENDED else "ACTIVE"
            objects.append(
                {
                    "id": ad_id,
                    "account_id": ACCOUNT_ID,
                    "campaign_id": adset["campaign_id"],
                    "adset_id": adset["id"],
                    "name": business.ads.name[index],
                    "status": configured,
                    "configured_status": configured,
                    "effective_status": status,
                    "creative": {"id": business.creative_ids[business.ads.creative[index]]},
                    "created_time": self._time(first - 2),
                    "updated_time": self._time(min(last, today)),
                }
            )
        return objects

    def creatives(self) -> Objects:
        return [_creative(record) for record in self._shown()]

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
                "id": _video_id(record),
                "title": record["headline"],
                "length": 15.5,
                "status": {"video_status": "ready"},
                "created_time": f"{record['created_on']}T10:00:00-0500",
                "image_hash": record["image_hash"],
            }
            for record in self._shown()
            if record["format"] == "video"
        ]

    @cached_property
    def images(self) -> dict[str, bytes]:
        """The rendered images by Meta's hash of them, an MD5."""
        return {self._hashes[index]: content for index, content in self._rendered.items()}

    def _shown(self) -> list[dict[str, Any]]:
        """Creatives with an ad, as the account manager's export has them."""
        window = Window(0, self._known, self._known)
        frame = creatives_frame(self.served.simulated.business, window, self._hashes, "images")
        return frame.filter(pl.col("source") == "meta").to_dicts()

    @cached_property
    def _hashes(self) -> dict[int, str]:
        return {
            index: hashlib.md5(content, usedforsecurity=False).hexdigest()
            for index, content in self._rendered.items()
        }

    @cached_property
    def _rendered(self) -> dict[int, bytes]:
        business = self.served.simulated.business
        rendered = range(len(business.creatives)) if business.scale.render_images else range(0)
        return {index: copywriting.render(business.creatives, index) for index in rendered}

    def activities(self) -> Objects:
        """Budget edits of the simulated manager, and what was written here, newest first."""
        business, states = self.served.simulated.business, self.served.simulated.ledger.levers
        events = list(self.log)
        for lever in np.flatnonzero(business.levers.platform == META):
            level = business.levers.level[lever]
            edits = states.last_edit[: self._known + 1, lever]
            second = 9 * 3600 + 60 * ((int(lever) * 37) % 480)
            for day in np.unique(edits):
                budgets = states.budget[:, lever]
                old, new = (float(budgets[max(0, int(day) - back)]) for back in (1, 0))
                events.append(
                    self._event(
                        self._moment(int(day), second),
                        _EVENTS[level],
                        _OBJECTS[level],
                        business.levers.entity_id[lever],
                        business.levers.entity_name[lever],
                        {"old_value": round(old * 100), "new_value": round(new * 100)},
                    )
                )
        return sorted(events, key=lambda event: event["event_time"], reverse=True)

    def write(self, entity_id: str, form: Mapping[str, str]) -> dict[str, Any]:
        """Change the daily budget or the status of a campaign or ad set.

        Raises:
            Refusal: an unknown object, one whose budget lies elsewhere, or an amount below the minimum.
        """
        kind = "campaign"
        found = {entity["id"]: entity for entity in self.campaigns()}
        if entity_id not in found:
            kind, found = "adset", {entity["id"]: entity for entity in self.adsets()}
        entity = found.get(entity_id)
        if entity is None:
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
            name = "update_campaign_run_status" if kind == "campaign" else "update_ad_set_run_status"
            event = event or (name, {"old_value": entity["status"], "new_value": form["status"]})
        if event is not None and "validate_only" not in form.get("execution_options", ""):
            self.written[entity_id] = change
            self.log.append(
                self._event(self.served.now(), event[0], _OBJECTS[kind], entity_id, entity["name"], event[1])
            )
        return {"success": True}

    def _budget(self, lever: Mapping[str, Any]) -> str:
        written = self.written.get(lever["entity_id"], Written()).budget_cents
        return str(written if written is not None else round(lever["budget"] * 100))

    def _moment(self, day: int, second: int) -> datetime:
        midnight = datetime.combine(self.served.simulated.business.date_of(day), time())
        return (midnight + timedelta(seconds=second)).replace(tzinfo=ZoneInfo(ACCOUNT_ZONE))

    def _time(self, day: int) -> str:
        return self._moment(day, 36_000).strftime("%Y-%m-%dT%H:%M:%S%z")

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


def _video_id(record: Mapping[str, Any]) -> str:
    return f"8{record['creative_id']}"


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
            "video_id": _video_id(record),
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
