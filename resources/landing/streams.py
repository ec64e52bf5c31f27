"""What each raw stream may hold: its keys, its payload fields and what kind of value each is.

Here: the target side of every mapping. Not here: where an export keeps those values (`mappings/*.yaml`)
and the tables themselves (`resources.warehouse.tables`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from resources.warehouse import tables
from resources.warehouse.schema import Table

# count: whole and >= 0; quantity: >= 0, may be fractional (platforms report fractional conversions);
# spend: money >= 0; value: money that may be negative after refunds (flagged, kept).
FieldKind = Literal["text", "count", "quantity", "spend", "value", "boolean", "timestamp", "date"]

NUMERIC_KINDS: frozenset[FieldKind] = frozenset({"count", "quantity", "spend", "value"})


@dataclass(frozen=True)
class Stream:
    """One raw table as the file drop sees it. Field names are payload keys."""

    table: Table
    fields: Mapping[str, FieldKind]
    impressions: str | None = None
    clicks: str | None = None
    click_conversions: str | None = None
    # The key that two exports of one account-day must share to be pulls of the same thing.
    campaign_key: str | None = None

    @property
    def name(self) -> str:
        return self.table.name.table

    @property
    def keys(self) -> tuple[str, ...]:
        """Grain keys inside a slice, in table order."""
        envelope = ("source", "account_id", "report_date", "breakdown_set", "_batch_id")
        return tuple(key for key in self.table.grain if key not in envelope)

    @property
    def required_keys(self) -> tuple[str, ...]:
        """Keys without which a row means nothing; the others may be `__none__`."""
        return (self.campaign_key,) if self.campaign_key is not None else self.keys[:1]

    @property
    def is_period(self) -> bool:
        return "period" in self.keys

    @property
    def has_account_fields(self) -> bool:
        """Whether the payload repeats account_name and currency (performance streams do)."""
        return "account_name" in self.fields


_NAMES: dict[str, FieldKind] = {"account_name": "text", "currency": "text"}

_META: dict[str, FieldKind] = {
    **_NAMES,
    "campaign_name": "text",
    "adset_name": "text",
    "ad_name": "text",
    "creative_id": "text",
    "impressions": "count",
    "reach": "count",
    "clicks": "count",
    "inline_link_clicks": "count",
    "spend": "spend",
    "purchases_7d_click": "quantity",
    "purchases_1d_view": "quantity",
    "purchase_value_7d_click": "value",
    "purchase_value_1d_view": "value",
}
_FILE: dict[str, FieldKind] = {
    **_NAMES,
    "campaign_name": "text",
    "adgroup_name": "text",
    "ad_name": "text",
    "creative_id": "text",
    "impressions": "count",
    "clicks": "count",
    "cost": "spend",
    "conversions_click": "quantity",
    "conversions_view": "quantity",
    "revenue": "value",
}

STREAMS: Mapping[str, Stream] = {
    stream.name: stream
    for stream in (
        Stream(
            tables.META_ADS_INSIGHTS,
            {**_META, "unique_inline_link_clicks": "count"},
            impressions="impressions",
            clicks="clicks",
            click_conversions="purchases_7d_click",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.META_ADS_INSIGHTS_BY_PLACEMENT,
            _META,
            impressions="impressions",
            clicks="clicks",
            click_conversions="purchases_7d_click",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.GOOGLE_ADS_AD_PERFORMANCE,
            {
                **_NAMES,
                "campaign_name": "text",
                "ad_group_name": "text",
                "creative_id": "text",
                "impressions": "count",
                "clicks": "count",
                "cost": "spend",
                "conversions": "quantity",
                "view_through_conversions": "quantity",
                "conversions_value": "value",
            },
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.TIKTOK_ADS_REPORT,
            {
                **_NAMES,
                "campaign_name": "text",
                "adgroup_name": "text",
                "ad_name": "text",
                "creative_id": "text",
                "impressions": "count",
                "clicks": "count",
                "spend": "spend",
                "conversions_click": "quantity",
                "conversions_view": "quantity",
                "total_purchase_value": "value",
            },
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions_click",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.LINKEDIN_AD_ANALYTICS,
            {
                **_NAMES,
                "campaign_group_name": "text",
                "campaign_name": "text",
                "ad_name": "text",
                "impressions": "count",
                "clicks": "count",
                "spend": "spend",
                "conversions_post_click": "quantity",
                "conversions_post_view": "quantity",
                "conversion_value": "value",
            },
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions_post_click",
            campaign_key="campaign_group_id",
        ),
        Stream(
            tables.FILE_AD_PERFORMANCE,
            _FILE,
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions_click",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.FILE_PERIOD_PERFORMANCE,
            {**_FILE, "period_start": "date", "period_end": "date"},
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions_click",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.ORDERS,
            {
                "customer_id": "text",
                "ordered_at": "timestamp",
                "currency": "text",
                "value": "value",
                "is_new_customer": "boolean",
                "track": "text",
                "refunded_at": "timestamp",
                "trial_started_at": "timestamp",
                "paid_at": "timestamp",
                "utm_source": "text",
                "utm_campaign": "text",
                "utm_content": "text",
            },
        ),
        Stream(
            tables.CREATIVES,
            {
                "creative_name": "text",
                "format": "text",
                "headline": "text",
                "body": "text",
                "call_to_action": "text",
                "link_url": "text",
                "image_file": "text",
                "image_hash": "text",
                "theme": "text",
                "created_on": "date",
            },
        ),
        Stream(
            tables.LEVERS,
            {
                "lever_level": "text",
                "campaign_id": "text",
                "entity_id": "text",
                "entity_name": "text",
                "budget_type": "text",
                "currency": "text",
                "budget": "spend",
                "minimum_budget": "spend",
                "budget_increment": "spend",
                "is_shared": "boolean",
                "learning_state": "text",
                "last_edited_at": "timestamp",
                "status": "text",
            },
        ),
    )
}
