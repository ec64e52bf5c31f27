"""The account's state today: entities, budgets, ad texts, the change log, recommendations.

Here: their queries, and rows made of more than one of them. Not here: calling (`source`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.google_ads.queries import Column, Query, decimal_text

Row = dict[str, str | None]
# Asks one query and gives all of its rows.
Ask = Callable[[Query], list[Row]]

_CAMPAIGN = {"campaign_id": Column("campaign.id")}
_PARENTS = {**_CAMPAIGN, "ad_group_id": Column("ad_group.id")}

# Removed entities are among them: Google leaves them out only where asked to.
ENTITIES: Mapping[str, Query] = {
    "campaign": Query(
        "campaign",
        {
            "entity_id": Column("campaign.resource_name", "tail"),
            "name": Column("campaign.name"),
            "status": Column("campaign.status"),
            **_CAMPAIGN,
            "subtype": Column("campaign.advertising_channel_type"),
            "bidding_strategy_type": Column("campaign.bidding_strategy_type"),
            "bidding_strategy_status": Column("campaign.bidding_strategy_system_status"),
            "budget_id": Column("campaign.campaign_budget", "tail"),
        },
    ),
    "ad_group": Query(
        "ad_group",
        {
            "entity_id": Column("ad_group.resource_name", "tail"),
            "name": Column("ad_group.name"),
            "status": Column("ad_group.status"),
            **_PARENTS,
            "subtype": Column("ad_group.type"),
        },
    ),
    "ad": Query(
        "ad_group_ad",
        {
            "entity_id": Column("ad_group_ad.resource_name", "tail"),
            "name": Column("ad_group_ad.ad.name"),
            "status": Column("ad_group_ad.status"),
            **_PARENTS,
            "subtype": Column("ad_group_ad.ad.type"),
        },
    ),
    "keyword": Query(
        "ad_group_criterion",
        {
            "entity_id": Column("ad_group_criterion.resource_name", "tail"),
            "name": Column("ad_group_criterion.keyword.text"),
            "status": Column("ad_group_criterion.status"),
            **_PARENTS,
            "match_type": Column("ad_group_criterion.keyword.match_type"),
            "is_negative": Column("ad_group_criterion.negative"),
        },
        ("ad_group_criterion.type = 'KEYWORD'",),
    ),
    "asset_group": Query(
        "asset_group",
        {
            "entity_id": Column("asset_group.resource_name", "tail"),
            "name": Column("asset_group.name"),
            "status": Column("asset_group.status"),
            **_CAMPAIGN,
        },
    ),
    # Attribution windows belong to the action: a click-through window can be up to 90 days, and the days
    # inside the longest one may still gain conversions.
    "conversion_action": Query(
        "conversion_action",
        {
            "entity_id": Column("conversion_action.resource_name", "tail"),
            "name": Column("conversion_action.name"),
            "status": Column("conversion_action.status"),
            "subtype": Column("conversion_action.type"),
            "category": Column("conversion_action.category"),
            "is_primary": Column("conversion_action.primary_for_goal"),
            "click_window_days": Column("conversion_action.click_through_lookback_window_days"),
            "view_window_days": Column("conversion_action.view_through_lookback_window_days"),
            "counting_type": Column("conversion_action.counting_type"),
            "attribution_model": Column("conversion_action.attribution_model_settings.attribution_model"),
        },
    ),
}

_BUDGETS = Query(
    "campaign",
    {
        **_CAMPAIGN,
        "name": Column("campaign.name"),
        "status": Column("campaign.status"),
        "serving": Column("campaign.serving_status"),
        "channel": Column("campaign.advertising_channel_type"),
        "system_status": Column("campaign.bidding_strategy_system_status"),
        "budget_name": Column("campaign.campaign_budget"),
        "currency": Column("customer.currency_code"),
        "period": Column("campaign_budget.period"),
        "daily": Column("campaign_budget.amount_micros", "micros"),
        "total": Column("campaign_budget.total_amount_micros", "micros"),
        "shared": Column("campaign_budget.explicitly_shared"),
        "campaigns": Column("campaign_budget.reference_count"),
    },
    ("campaign.status != 'REMOVED'",),
)
_EDITS = Query(
    "change_status",
    {
        "budget_name": Column("change_status.campaign_budget"),
        "moment": Column("change_status.last_change_date_time"),
    },
    ("change_status.resource_type = 'CAMPAIGN_BUDGET'",),
    limit=10_000,
    newest_first="change_status.last_change_date_time",
)
_REMEMBERED_DAYS = 89  # Google keeps change_status for 90 days
_CURRENCY = Query(
    "currency_constant",
    {
        "unit": Column("currency_constant.billable_unit_micros", "micros"),
        "demand_gen": Column("currency_constant.demand_gen_info.minimum_budget_per_day_micros", "micros"),
    },
)
# Google names a least budget for Demand Gen alone. Elsewhere a hundred billable units ($1.00) stand for it:
# with less than a click's price a campaign does not serve.
_LEAST_UNITS = 100
_LEARNING = ("LEARNING_", "MULTIPLE_LEARNING")
_LIMITED = ("LIMITED_", "MULTIPLE_LIMITED", "MISCONFIGURED_", "MULTIPLE_MISCONFIGURED")


def entities(ask: Ask) -> list[Row]:
    """Everything that has a name and a status; conversion actions carry their attribution windows."""
    return [{"entity_type": kind, **row} for kind, query in ENTITIES.items() for row in ask(query)]


def levers(ask: Ask, today: date, timezone: str) -> list[Row]:
    """One lever per campaign that is not removed: its budget, in account currency.

    A budget several campaigns draw on gives a lever each, all of them marked as shared. last_edited_at is
    null where the budget has not changed for 90 days.
    """
    budgets = ask(_BUDGETS)
    if not budgets:
        return []
    since = today - timedelta(days=_REMEMBERED_DAYS)
    field = "change_status.last_change_date_time"
    edits: dict[str | None, str | None] = {}
    for edit in ask(_EDITS.where(f"{field} BETWEEN '{since} 00:00:00' AND '{today} 23:59:59'")):
        edits.setdefault(edit["budget_name"], _utc(edit["moment"], timezone))  # newest first
    code = budgets[0]["currency"]
    named = ask(_CURRENCY.where(f"currency_constant.code = '{code}'"))
    if len(named) != 1 or named[0]["unit"] is None:
        raise PlatformError(ErrorClass.TRANSIENT, f"Google Ads names {len(named)} billable units of {code}.")
    unit, demand_gen = named[0]["unit"], named[0]["demand_gen"]
    least = decimal_text(Decimal(unit) * _LEAST_UNITS)
    return [
        {
            "lever_id": f"campaign_{row['campaign_id']}",
            "lever_level": "campaign",
            "campaign_id": row["campaign_id"],
            "entity_id": row["campaign_id"],
            "budget_id": (row["budget_name"] or "").rpartition("/")[2] or None,
            "entity_name": row["name"],
            "budget_type": "daily" if row["period"] == "DAILY" else "lifetime",
            "currency": row["currency"],
            "budget": row["daily"] if row["period"] == "DAILY" else row["total"],
            "minimum_budget": (demand_gen or least) if row["channel"] == "DEMAND_GEN" else least,
            "budget_increment": unit,
            "is_shared": "true"
            if row["shared"] == "true" or row["campaigns"] not in (None, "1")
            else "false",
            "learning_state": _learning_state(row["system_status"]),
            "last_edited_at": edits.get(row["budget_name"]),
            "status": _status(row),
        }
        for row in budgets
    ]


def _status(row: Row) -> str:
    if row["status"] != "ENABLED":
        return "paused"
    return "ended" if row["serving"] == "ENDED" else "active"


def _learning_state(system_status: str | None) -> str | None:
    """learning, limited or active; null where the strategy reports none (paused, unavailable)."""
    if system_status is None or system_status in ("PAUSED", "UNAVAILABLE", "MULTIPLE"):
        return None
    if system_status.startswith(_LEARNING):
        return "learning"
    # Spending all of its budget is no trouble with learning.
    if system_status.startswith(_LIMITED) and system_status != "LIMITED_BY_BUDGET":
        return "limited"
    return "active"


# Ad types whose texts are their own; which of them is set depends on the type.
_TEXT_ADS = (
    "responsive_search_ad",
    "responsive_display_ad",
    "demand_gen_multi_asset_ad",
    "video_responsive_ad",
)
_HOW_MANY: tuple[Literal["first", "texts"], ...] = ("first", "texts")
_ADS = Query(
    "ad_group_ad",
    {
        "creative_id": Column("ad_group_ad.ad.id"),
        "creative_name": Column("ad_group_ad.ad.name"),
        "ad_type": Column("ad_group_ad.ad.type"),
        "link_url": Column("ad_group_ad.ad.final_urls", "first"),
        **{
            f"{kind}_{part}_{ad}": Column(f"ad_group_ad.ad.{ad}.{part}", kind)
            for kind in _HOW_MANY
            for part in ("headlines", "descriptions")
            for ad in _TEXT_ADS
        },
    },
    ("ad_group_ad.status != 'REMOVED'",),
)


def creatives(ask: Ask) -> list[Row]:
    """The texts of every ad that is not removed: the first of each, and all of them joined by " | "."""
    seen: dict[str | None, Row] = {}
    for row in ask(_ADS):
        kind = row["ad_type"] or ""
        seen.setdefault(
            row["creative_id"],
            {
                "creative_id": row["creative_id"],
                "creative_name": row["creative_name"],
                "format": _format(kind),
                "headline": _text(row, "first_headlines"),
                "body": _text(row, "first_descriptions"),
                "link_url": row["link_url"],
                "headlines": _text(row, "texts_headlines"),
                "descriptions": _text(row, "texts_descriptions"),
                "ad_type": kind or None,
            },
        )
    return list(seen.values())


def _text(row: Row, part: str) -> str | None:
    return next((text for ad in _TEXT_ADS if (text := row[f"{part}_{ad}"])), None)


def _format(ad_type: str) -> str:
    if "VIDEO" in ad_type:
        return "video"
    if "CAROUSEL" in ad_type:
        return "carousel"
    return "text" if "SEARCH" in ad_type or "TEXT" in ad_type or "CALL" in ad_type else "image"


_CHANGES = Query(
    "change_event",
    {
        "change_id": Column("change_event.resource_name", "tail"),
        "moment": Column("change_event.change_date_time"),
        "user_email": Column("change_event.user_email"),
        "client_type": Column("change_event.client_type"),
        "operation": Column("change_event.resource_change_operation"),
        "resource_type": Column("change_event.change_resource_type"),
        "resource_name": Column("change_event.change_resource_name"),
        "campaign_id": Column("change_event.campaign", "tail"),
        "changed_fields": Column("change_event.changed_fields"),
        "old_budget": Column(
            "change_event.old_resource.campaign_budget.amount_micros",
            "micros",
            selected="change_event.old_resource",
        ),
        "new_budget": Column(
            "change_event.new_resource.campaign_budget.amount_micros",
            "micros",
            selected="change_event.new_resource",
        ),
        "old_status": Column(
            "change_event.old_resource.campaign.status", selected="change_event.old_resource"
        ),
        "new_status": Column(
            "change_event.new_resource.campaign.status", selected="change_event.new_resource"
        ),
    },
    limit=10_000,
    newest_first="change_event.change_date_time",
)
_LOGGED_DAYS = 29  # Google keeps change_event for 30 days


def changes(ask: Ask, today: date, timezone: str) -> list[Row]:
    """The change log of the last 29 days and today; days are halved where one answer cannot hold them.

    Raises:
        PlatformError: PERMANENT where one day has more changes than Google will list.
    """
    rows: list[Row] = []
    spans = [(today - timedelta(days=_LOGGED_DAYS), today)]
    while spans:
        first, last = spans.pop()
        field = "change_event.change_date_time"
        found = ask(_CHANGES.where(f"{field} BETWEEN '{first} 00:00:00' AND '{last} 23:59:59.999999'"))
        if len(found) < (_CHANGES.limit or 0):
            rows += [{**row, "moment": None, "changed_at": _utc(row["moment"], timezone)} for row in found]
        elif first < last:
            middle = first + (last - first) // 2
            spans += [(first, middle), (middle + timedelta(days=1), last)]
        else:
            raise PlatformError(
                ErrorClass.PERMANENT,
                f"Google Ads lists no more than {_CHANGES.limit} changes, and {first} has at least as many: "
                "its log cannot be read completely.",
            )
    return [{name: value for name, value in row.items() if name != "moment"} for row in rows]


_RECOMMENDATIONS = Query(
    "recommendation",
    {
        "recommendation_id": Column("recommendation.resource_name", "tail"),
        "recommendation_type": Column("recommendation.type"),
        "campaign_id": Column("recommendation.campaign", "tail"),
        "is_dismissed": Column("recommendation.dismissed"),
        "current_budget": Column(
            "recommendation.campaign_budget_recommendation.current_budget_amount_micros",
            "micros",
            selected="recommendation.campaign_budget_recommendation",
        ),
        "recommended_budget": Column(
            "recommendation.campaign_budget_recommendation.recommended_budget_amount_micros",
            "micros",
            selected="recommendation.campaign_budget_recommendation",
        ),
        **{
            f"{when}_{name}": Column(
                f"recommendation.impact.{when}_metrics.{metric}",
                "micros" if name == "cost" else "plain",
                selected="recommendation.impact",
            )
            for when in ("base", "potential")
            for name, metric in (
                ("cost", "cost_micros"),
                ("clicks", "clicks"),
                ("conversions", "conversions"),
            )
        },
    },
)


def recommendations(ask: Ask) -> list[Row]:
    """What Google recommends, with what it expects of it."""
    return ask(_RECOMMENDATIONS)


def _utc(account_time: str | None, timezone: str) -> str | None:
    """Google writes the account's clock without a zone; landed moments are UTC."""
    if account_time is None:
        return None
    try:
        local = datetime.fromisoformat(account_time)
    except ValueError:
        raise PlatformError(
            ErrorClass.TRANSIENT, f"Google Ads answered {account_time!r} for a moment."
        ) from None
    return local.replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC).isoformat(timespec="seconds")
