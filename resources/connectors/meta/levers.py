"""Budget levers: the campaigns and ad sets that carry a budget, and what may be done to it.

Here: from Meta's objects to rows of `levers`. Not here: listing objects (`entities`), budget edits' log
(`activities`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.meta.entities import LEARNING_STATES, Record
from resources.connectors.meta.texts import moment, money, offset, part, required, text
from resources.connectors.source import Account

_DELIVERING = ("ACTIVE", "IN_PROCESS", "WITH_ISSUES")
# Which minimum holds depends on what is paid for.
_MINIMUMS = {
    "IMPRESSIONS": "min_daily_budget_imp",
    "LINK_CLICKS": "min_daily_budget_high_freq",
    "CLICKS": "min_daily_budget_high_freq",
    "PAGE_LIKES": "min_daily_budget_high_freq",
    "POST_ENGAGEMENT": "min_daily_budget_high_freq",
    "VIDEO_VIEWS": "min_daily_budget_video_views",
    "THRUPLAY": "min_daily_budget_video_views",
}
_OTHER_MINIMUM = "min_daily_budget_low_freq"

Entity = Mapping[str, Any]


def lever_records(
    campaigns: Iterable[Entity],
    adsets: Iterable[Entity],
    minimums: Iterable[Entity],
    edits: Mapping[str, str],
    account: Account,
) -> list[Record]:
    """A row per campaign or ad set that carries a budget itself.

    A campaign's minimum is the sum of its ad sets'; it is learning while any of its ad sets is. Lifetime
    budgets are kept as what they are (`budget_type` lifetime). A lever was edited last when its budget was,
    or when an ad set of it went back to learning.

    Args:
        minimums: Meta's minimum daily budgets, a row per currency.
        edits: the last budget edit by object, ISO 8601 in the account's zone.
    Raises:
        PlatformError: TRANSIENT, where Meta names no minimum for the account's currency.
    """
    amounts = next((row for row in minimums if row.get("currency") == account.currency), None)
    if amounts is None:
        raise PlatformError(ErrorClass.TRANSIENT, f"Meta names no minimum budgets for {account.currency}.")
    children: dict[str, list[Entity]] = defaultdict(list)
    for adset in adsets:
        children[str(adset.get("campaign_id"))].append(adset)
    records = []
    for campaign in campaigns:
        sets = children[required(campaign, "id")]
        if _budget(campaign, account.currency) is not None:
            records.append(_record("campaign", campaign, campaign, sets, amounts, edits, account))
            continue
        records += [
            _record("adset", adset, campaign, [adset], amounts, edits, account)
            for adset in sets
            if _budget(adset, account.currency) is not None
        ]
    return records


def _record(
    level: str,
    entity: Entity,
    campaign: Entity,
    sets: list[Entity],
    amounts: Entity,
    edits: Mapping[str, str],
    account: Account,
) -> Record:
    currency, zone = account.currency, account.timezone
    budget_type, budget = _budget(entity, currency) or ("daily", None)
    minimum = sum(
        Decimal(
            money(
                amounts.get(_MINIMUMS.get(str(adset.get("billing_event")), _OTHER_MINIMUM)),
                currency,
                "minimum",
            )
            or 0
        )
        for adset in sets
    )
    learning = [part(adset, "learning_stage_info") for adset in sets]
    states = {LEARNING_STATES.get(str(stage.get("status"))) for stage in learning}
    resets = [moment(stage.get("last_sig_edit_ts"), zone) for stage in learning]
    edited = [when for when in (*resets, edits.get(required(entity, "id"))) if when is not None]
    return {
        "lever_id": f"{level}_{required(entity, 'id')}",
        "lever_level": level,
        "campaign_id": required(campaign, "id"),
        "entity_id": required(entity, "id"),
        "entity_name": text(entity.get("name")),
        "budget_type": budget_type,
        "currency": currency,
        "budget": budget,
        "minimum_budget": format(minimum, "f"),
        "budget_increment": format(Decimal(1) / offset(currency), "f"),
        "is_shared": text(level == "adset" and campaign.get("is_adset_budget_sharing_enabled") is True),
        "learning_state": next((s for s in ("learning", "active", "limited") if s in states), None),
        "last_edited_at": max(edited, key=datetime.fromisoformat, default=None),
        "status": "active" if entity.get("effective_status") in _DELIVERING else "paused",
    }


def _budget(entity: Entity, currency: str) -> tuple[str, str] | None:
    for kind in ("daily", "lifetime"):
        amount = money(entity.get(f"{kind}_budget"), currency, f"{kind}_budget")
        if amount is not None:
            return kind, amount
    return None
