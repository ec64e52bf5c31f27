"""A launch as the one call that would make it, paused: a creative, an ad set with a budget of its own, an ad.

Here: Meta's batch of three, and which launches no call exists for. Not here: what may be launched
(`governance`), sending: launches are rendered and never sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from resources.connectors.meta.texts import offset
from resources.control.payloads import META_VERSION, LeverValue, Unwritable

# The words people read on a button, as Meta names them.
CALLS_TO_ACTION = {
    "book now": "BOOK_NOW",
    "download": "DOWNLOAD",
    "get offer": "GET_OFFER",
    "get started": "GET_STARTED",
    "learn more": "LEARN_MORE",
    "shop now": "SHOP_NOW",
    "sign up": "SIGN_UP",
    "subscribe": "SUBSCRIBE",
}
# A later call of a batch names what an earlier one made.
_CREATIVE, _AD_SET = "{result=creative:$.id}", "{result=adset:$.id}"


@dataclass(frozen=True)
class Launch:
    """A row of `launch_plans` with all its platform asks for. Money in account currency.

    Attributes:
        starts_at: ISO moment with its offset.
        link: landing page with its UTM parameters.
        page_id, pixel_id: who the ad speaks as, and what counts its conversions; None where not configured.
        audiences: ids of curated audiences it is shown to; none: everyone of those places and ages.
    """

    launch_id: str
    track: str
    platform: str
    account_id: str
    creative_id: str
    entity_name: str
    lever_level: str
    currency: str | None
    parent_campaign_id: str | None
    daily_budget: Decimal
    lane: str
    placements: tuple[str, ...]
    starts_at: str
    link: str | None
    headline: str | None
    body: str | None
    call_to_action: str | None
    image_hash: str | None
    format: str | None
    page_id: str | None
    pixel_id: str | None
    countries: tuple[str, ...]
    ages: tuple[int, int]
    audiences: tuple[str, ...] = ()


def launch_payload(launch: Launch) -> dict[str, Any]:
    """The whole launch: what people approve, hash and sign.

    Returns:
        target, before (nothing), after (its budget, paused), request (the call), inverse (deletes the ad set
        the call made, its ad with it).
    Raises:
        Unwritable: no call makes it; says what is missing.
    """
    if launch.platform != "meta":
        raise Unwritable(f"{launch.launch_id}: {launch.platform}'s launches are advice; set it up by hand")
    paused = LeverValue(launch.daily_budget, "paused")
    return {
        "target": {
            "platform": launch.platform,
            "account_id": launch.account_id,
            "lever_id": launch.launch_id,
            "lever_level": launch.lever_level,
            "entity_name": launch.entity_name,
            "currency": launch.currency,
            "creative_id": launch.creative_id,
            "parent_campaign_id": launch.parent_campaign_id,
        },
        "before": LeverValue(Decimal(0), "paused").document(),
        "after": paused.document(),
        "request": _batch(launch),
        "inverse": {"method": "POST", "path": f"/{META_VERSION}/{_AD_SET}", "form": {"status": "DELETED"}},
    }


def _batch(launch: Launch) -> dict[str, Any]:
    """Three calls in one, each naming what the one before it made."""
    account = f"act_{launch.account_id}"
    calls = [
        ("creative", f"{account}/adcreatives", _creative(launch)),
        ("adset", f"{account}/adsets", _ad_set(launch)),
        (
            "ad",
            f"{account}/ads",
            {
                "name": launch.entity_name,
                "adset_id": _AD_SET,
                "creative": {"creative_id": _CREATIVE},
                "status": "PAUSED",
            },
        ),
    ]
    batch = [
        {"method": "POST", "name": name, "relative_url": f"{META_VERSION}/{path}", "body": _form(fields)}
        for name, path, fields in calls
    ]
    return {"method": "POST", "path": f"/{META_VERSION}/", "form": {"batch": json.dumps(batch)}}


def _creative(launch: Launch) -> dict[str, Any]:
    # The creative that ran cannot be given other tracking: an equal one is made.
    texts = {
        "page_id": launch.page_id,
        "link": launch.link,
        "headline": launch.headline,
        "body": launch.body,
        "image_hash": launch.image_hash,
    }
    if launch.format != "image":
        raise Unwritable(f"{launch.launch_id}: only single images are rendered, this is {launch.format}")
    if missing := [name for name, value in texts.items() if not value]:
        raise Unwritable(f"{launch.launch_id}: not known: {', '.join(missing)}")
    link_data: dict[str, Any] = {
        "link": launch.link,
        "message": launch.body,
        "name": launch.headline,
        "image_hash": launch.image_hash,
    }
    if launch.call_to_action is not None:
        button = CALLS_TO_ACTION.get(launch.call_to_action.casefold())
        if button is None:
            raise Unwritable(f"{launch.launch_id}: Meta has no button {launch.call_to_action!r}")
        link_data["call_to_action"] = {"type": button}
    story = {"page_id": launch.page_id, "link_data": link_data}
    return {"name": launch.entity_name, "object_story_spec": story}


def _ad_set(launch: Launch) -> dict[str, Any]:
    if launch.parent_campaign_id is None or launch.currency is None:
        raise Unwritable(f"{launch.launch_id}: no campaign of {launch.track} leaves budgets to its ad sets")
    units = launch.daily_budget * offset(launch.currency)
    if units != units.to_integral_value():
        raise Unwritable(f"{launch.launch_id}: {launch.daily_budget} is no whole number of Meta's units")
    fields: dict[str, Any] = {
        "name": launch.entity_name,
        "campaign_id": launch.parent_campaign_id,
        "daily_budget": str(int(units)),
        "billing_event": "IMPRESSIONS",
        "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
        "targeting": {
            "geo_locations": {"countries": list(launch.countries)},
            "age_min": launch.ages[0],
            "age_max": launch.ages[1],
            **({"publisher_platforms": list(launch.placements)} if launch.placements else {}),
            **({"custom_audiences": [{"id": name} for name in launch.audiences]} if launch.audiences else {}),
        },
        "start_time": launch.starts_at,
        "status": "PAUSED",
    }
    # Meta caps frequency only where reach is bought: the plan's cap is watched, not set.
    if launch.lane == "test":
        return fields | {"optimization_goal": "LINK_CLICKS"}
    if launch.pixel_id is None:
        raise Unwritable(f"{launch.launch_id}: not known: pixel_id")
    promoted = {"pixel_id": launch.pixel_id, "custom_event_type": "PURCHASE"}
    return fields | {"optimization_goal": "OFFSITE_CONVERSIONS", "promoted_object": promoted}


def _form(fields: Mapping[str, Any]) -> str:
    """A form as a batch carries it: encoded, but for the references Meta itself fills in."""
    parts = []
    for name, value in fields.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        encoded = quote(text, safe="")
        for reference in (_CREATIVE, _AD_SET):
            encoded = encoded.replace(quote(reference, safe=""), reference)
        parts.append(f"{name}={encoded}")
    return "&".join(parts)
