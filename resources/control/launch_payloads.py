"""A launch as the calls that make it, paused, one object each: ad set, creative, ad, where needed a campaign.

Here: Meta's calls there and back, and which launches no call exists for. Not here: what may be launched
(`launch_limits`), sending (`launch_writer`).

Calls of a later step name what an earlier one made: `{adset}` stands for its id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from resources.connectors.meta.texts import offset
from resources.control.payloads import META_VERSION, LeverValue, Unwritable, money

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
# The only fields that name what an earlier step made: texts are sent as they are.
_REFERRING = ("campaign_id", "adset_id", "creative")


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
        target, launch (as `read_launch` reads it), before (nothing), after (its budget, paused), request (the
        calls that make it, in order) and inverse (the calls that delete what they made).
    Raises:
        Unwritable: no call makes it; says what is missing.
    """
    if launch.platform != "meta":
        raise Unwritable(f"{launch.launch_id}: {launch.platform}'s launches are advice; set it up by hand")
    paused = LeverValue(launch.daily_budget, "paused")
    steps = _steps(launch)
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
        "launch": {**asdict(launch), "daily_budget": money(launch.daily_budget)},
        "before": LeverValue(Decimal(0), "paused").document(),
        "after": paused.document(),
        "request": {"steps": steps},
        "inverse": {"steps": [_removal(step["makes"]) for step in _undone_in_order(steps)]},
    }


def read_launch(document: Mapping[str, Any]) -> Launch:
    """The launch a payload's document stands for.

    Raises:
        KeyError, TypeError, ValueError: it stands for none.
    """
    lists = ("placements", "countries", "ages", "audiences")
    told = {**document, "daily_budget": Decimal(document["daily_budget"])}
    return Launch(**told | {name: tuple(document[name]) for name in lists})


def filled(step: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """A step's call with the ids of what was made before it; fit for `PlatformWriter.send`."""
    form = {name: _named(value, ids) if name in _REFERRING else value for name, value in step["form"].items()}
    return {"method": step["method"], "path": _named(step["path"], ids), "form": form}


def listed_at(step: Mapping[str, Any], ids: Mapping[str, str]) -> str:
    """Where the platform lists what a step makes."""
    return _named(step["listed"], ids)


def _named(text: str, ids: Mapping[str, str]) -> str:
    for kind, entity_id in ids.items():
        text = text.replace(f"{{{kind}}}", entity_id)
    return text


def _steps(launch: Launch) -> list[dict[str, Any]]:
    """One call per object, each with the list it would be found in by its name."""
    account, parent = f"act_{launch.account_id}", launch.parent_campaign_id or "{campaign}"
    ad = {
        "name": launch.entity_name,
        "adset_id": "{adset}",
        "creative": {"creative_id": "{creative}"},
        "status": "PAUSED",
    }
    made = [
        ("adset", f"{account}/adsets", f"{parent}/adsets", _ad_set(launch)),
        ("creative", f"{account}/adcreatives", f"{account}/adcreatives", _creative(launch)),
        ("ad", f"{account}/ads", "{adset}/ads", ad),
    ]
    if launch.parent_campaign_id is None:  # no campaign of the track leaves budgets to its ad sets
        made.insert(0, ("campaign", f"{account}/campaigns", f"{account}/campaigns", _campaign(launch)))
    return [
        {
            "makes": kind,
            "method": "POST",
            "path": f"/{META_VERSION}/{path}",
            "form": {name: _text(value) for name, value in fields.items()},
            "listed": f"/{META_VERSION}/{listed}",
        }
        for kind, path, listed, fields in made
    ]


def _undone_in_order(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # Meta deletes no creative an ad still shows, so the ad goes first.
    order = ("ad", "creative", "adset", "campaign")
    return sorted(steps, key=lambda step: order.index(step["makes"]))


def _removal(kind: str) -> dict[str, Any]:
    return {
        "removes": kind,
        "method": "POST",
        "path": f"/{META_VERSION}/{{{kind}}}",
        "form": {"status": "DELETED"},
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _campaign(launch: Launch) -> dict[str, Any]:
    return {
        "name": launch.entity_name,
        "objective": "OUTCOME_SALES",
        "buying_type": "AUCTION",
        "special_ad_categories": [],
        "is_adset_budget_sharing_enabled": False,
        "status": "PAUSED",
    }


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
    if launch.currency is None:
        raise Unwritable(f"{launch.launch_id}: not known: currency")
    units = launch.daily_budget * offset(launch.currency)
    if units != units.to_integral_value():
        raise Unwritable(f"{launch.launch_id}: {launch.daily_budget} is no whole number of Meta's units")
    fields: dict[str, Any] = {
        "name": launch.entity_name,
        "campaign_id": launch.parent_campaign_id or "{campaign}",
        "daily_budget": str(int(units)),
        "billing_event": "IMPRESSIONS",
        "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
        "targeting": {
            "geo_locations": {"countries": list(launch.countries)},
            "age_min": launch.ages[0],
            "age_max": launch.ages[1],
            # Since v23 an ad set must say so; on, Meta would go beyond these ages.
            "targeting_automation": {"advantage_audience": 0},
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
