"""Accounts, campaigns, ad sets, ads and creatives as Meta has them now.

Here: which objects are listed, and each as a row of `meta_entities` or `creatives`. Not here: what of them
carries a budget (`levers`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from resources.connectors.meta.graph import Graph, Row
from resources.connectors.meta.texts import moment, money, part, parts, required, text
from resources.connectors.source import Account

Record = dict[str, str | None]

_OBJECTS_PER_PAGE = 200
LEARNING_STATES = {"LEARNING": "learning", "SUCCESS": "active", "FAIL": "limited"}
_THEME_LABEL = "theme:"


@dataclass(frozen=True)
class Edge:
    """A list of an account's objects; those of each group of statuses are asked for by themselves.

    Meta leaves out archived and deleted objects unless asked, and answers for deleted ones slowest.
    """

    entity_type: str
    path: str
    fields: tuple[str, ...]
    live: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        return (self.live, ("ARCHIVED",), ("DELETED",)) if self.live else ((),)


_COMMON = ("id", "name", "status", "effective_status", "created_time", "updated_time")
_LIVE = ("ACTIVE", "PAUSED", "IN_PROCESS", "WITH_ISSUES")
CAMPAIGNS = Edge(
    "campaign",
    "campaigns",
    (
        *_COMMON,
        "objective",
        "bid_strategy",
        "daily_budget",
        "lifetime_budget",
        "spend_cap",
        "is_adset_budget_sharing_enabled",
        "start_time",
        "stop_time",
    ),
    _LIVE,
)
ADSETS = Edge(
    "adset",
    "adsets",
    (
        *_COMMON,
        "campaign_id",
        "bid_strategy",
        "optimization_goal",
        "billing_event",
        "daily_budget",
        "lifetime_budget",
        "lifetime_spend_cap",
        "daily_spend_cap",
        "daily_min_spend_target",
        "learning_stage_info",
        "targeting",
        "attribution_spec",
        "start_time",
        "end_time",
    ),
    (*_LIVE, "CAMPAIGN_PAUSED"),
)
ADS = Edge(
    "ad",
    "ads",
    (*_COMMON, "campaign_id", "adset_id", "creative{id}"),
    (
        *_LIVE,
        "CAMPAIGN_PAUSED",
        "ADSET_PAUSED",
        "PENDING_REVIEW",
        "DISAPPROVED",
        "PREAPPROVED",
        "PENDING_BILLING_INFO",
    ),
)
CREATIVES = Edge(
    "creative",
    "adcreatives",
    (
        "id",
        "name",
        "status",
        "title",
        "body",
        "call_to_action_type",
        "object_type",
        "object_story_spec",
        "asset_feed_spec",
        "link_url",
        "image_hash",
        "video_id",
        "adlabels",
    ),
)
ACCOUNT_FIELDS = (
    "id",
    "account_id",
    "name",
    "currency",
    "timezone_name",
    "account_status",
    "spend_cap",
    "amount_spent",
    "min_daily_budget",
    "created_time",
)


def listed(
    graph: Graph,
    account: Account,
    edge: Edge,
    *,
    live_only: bool = False,
    fields: tuple[str, ...] | None = None,
    page_size: int | None = None,
) -> Iterator[tuple[list[Row], float]]:
    """Pages of an account's objects, each with the advised wait; raises PlatformError."""
    for statuses in edge.groups[:1] if live_only else edge.groups:
        asked: dict[str, Any] = {
            "fields": ",".join(fields or edge.fields),
            "limit": page_size or _OBJECTS_PER_PAGE,
        }
        if statuses:
            field = f"{edge.entity_type}.effective_status"
            asked["filtering"] = [{"field": field, "operator": "IN", "value": list(statuses)}]
        yield from graph.pages((f"act_{account.account_id}", edge.path), asked)


def account_record(entity: Mapping[str, Any], account: Account) -> Record:
    """The account's own row; its status is Meta's number (1 active, 2 disabled, 3 unsettled, …)."""
    currency = account.currency
    return {
        "entity_type": "account",
        "entity_id": account.account_id,
        "name": text(entity.get("name")),
        "status": text(entity.get("account_status")),
        "currency": currency,
        "spend_cap": money(entity.get("spend_cap"), currency, "spend_cap"),
        "amount_spent": money(entity.get("amount_spent"), currency, "amount_spent") or "0",
        "minimum_budget": money(entity.get("min_daily_budget"), currency, "min_daily_budget"),
        "created_at": moment(entity.get("created_time"), account.timezone),
    }


def record(edge: Edge, entity: Mapping[str, Any], account: Account) -> Record:
    """One object as a row of `meta_entities`; money in account currency, nested settings as JSON."""
    currency, zone = account.currency, account.timezone
    learning = part(entity, "learning_stage_info")
    creative = part(entity, "creative")
    cap = entity.get("spend_cap") or entity.get("lifetime_spend_cap")
    return {
        "entity_type": edge.entity_type,
        "entity_id": required(entity, "id"),
        "name": text(entity.get("name")),
        "status": text(entity.get("status")),
        "effective_status": text(entity.get("effective_status")),
        "campaign_id": text(entity.get("campaign_id")),
        "adset_id": text(entity.get("adset_id")),
        "creative_id": text(creative.get("id")),
        "objective": text(entity.get("objective")),
        "bid_strategy": text(entity.get("bid_strategy")),
        "optimization_goal": text(entity.get("optimization_goal")),
        "billing_event": text(entity.get("billing_event")),
        "currency": currency,
        "daily_budget": money(entity.get("daily_budget"), currency, "daily_budget"),
        "lifetime_budget": money(entity.get("lifetime_budget"), currency, "lifetime_budget"),
        "spend_cap": money(cap, currency, "spend_cap"),
        "daily_spend_cap": money(entity.get("daily_spend_cap"), currency, "daily_spend_cap"),
        "daily_minimum_spend": money(
            entity.get("daily_min_spend_target"), currency, "daily_min_spend_target"
        ),
        "learning_state": LEARNING_STATES.get(str(learning.get("status"))),
        "learning_reset_at": moment(learning.get("last_sig_edit_ts"), zone),
        "targeting": text(entity.get("targeting")),
        "attribution": text(entity.get("attribution_spec")),
        "starts_at": moment(entity.get("start_time"), zone),
        "ends_at": moment(entity.get("end_time") or entity.get("stop_time"), zone),
        "created_at": moment(entity.get("created_time"), zone),
        "updated_at": moment(entity.get("updated_time"), zone),
    }


def creative_record(creative: Mapping[str, Any], created_on: str | None) -> Record:
    """One creative as a row of `creatives`.

    Meta keeps text and link in the object story, in an asset feed for dynamic creatives, or at the top for
    old ones. The theme is what the team says in an ad label `theme:…`. Creatives carry no date: `created_on`
    is their first ad's.
    """
    story = part(creative, "object_story_spec")
    link, video = part(story, "link_data"), part(story, "video_data")
    feed = part(creative, "asset_feed_spec")
    told = link or video
    call = part(told, "call_to_action")
    target = part(call, "value").get("link")
    return {
        "creative_id": required(creative, "id"),
        "creative_name": text(creative.get("name")),
        "format": _format(creative, link, video),
        "headline": text(
            link.get("name") or video.get("title") or creative.get("title") or _first(feed, "titles", "text")
        ),
        "body": text(told.get("message") or creative.get("body") or _first(feed, "bodies", "text")),
        "call_to_action": _label(call.get("type") or creative.get("call_to_action_type")),
        "link_url": text(
            link.get("link") or target or creative.get("link_url") or _first(feed, "link_urls", "website_url")
        ),
        "image_hash": text(
            creative.get("image_hash") or told.get("image_hash") or _first(feed, "images", "hash")
        ),
        "video_id": text(
            creative.get("video_id") or video.get("video_id") or _first(feed, "videos", "video_id")
        ),
        "theme": _theme(creative),
        "created_on": created_on,
    }


def _format(creative: Mapping[str, Any], link: Mapping[str, Any], video: Mapping[str, Any]) -> str:
    if len(parts(link, "child_attachments")) > 1:
        return "carousel"
    return "video" if video or creative.get("video_id") else "image"


def _first(feed: Mapping[str, Any], name: str, field: str) -> object:
    listed = parts(feed, name)
    return listed[0].get(field) if listed else None


def _label(call_type: object) -> str | None:
    """LEARN_MORE as people read it on the button."""
    return str(call_type).replace("_", " ").capitalize() if call_type else None


def _theme(creative: Mapping[str, Any]) -> str | None:
    names = [str(label.get("name")) for label in parts(creative, "adlabels")]
    themes = [name.removeprefix(_THEME_LABEL).strip() for name in names if name.startswith(_THEME_LABEL)]
    return themes[0] if themes else None


def local_day(value: object, zone: str) -> str | None:
    """The account-local day of a Graph API time."""
    read = moment(value, zone)
    return (
        None if read is None else datetime.fromisoformat(read).astimezone(ZoneInfo(zone)).date().isoformat()
    )
