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
    # Periods are the weeks of the media mix: whole, on the settings' first day, one outcome a track.
    is_weekly: bool = False
    # Arms of split tests: of any time, and of no account that money could be decided for.
    is_experiment: bool = False

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
        if self.is_weekly:
            return tuple(key for key in self.keys if key != "period")
        if self.is_experiment:
            return ("test_id", "arm")
        return (self.campaign_key,) if self.campaign_key is not None else self.keys[:1]

    @property
    def is_period(self) -> bool:
        return "period" in self.keys

    @property
    def has_account_fields(self) -> bool:
        """Whether the payload repeats account_name and currency (performance streams do)."""
        return "account_name" in self.fields


_NAMES: dict[str, FieldKind] = {"account_name": "text", "currency": "text"}

_VIDEO_QUARTERS: dict[str, FieldKind] = {
    "video_p25": "count",
    "video_p50": "count",
    "video_p75": "count",
    "video_p100": "count",
}

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
    "video_3s_views": "count",
    "video_thruplays": "count",
    **_VIDEO_QUARTERS,
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

_GOOGLE_DELIVERY: dict[str, FieldKind] = {
    "impressions": "count",
    "clicks": "count",
    "cost": "spend",
    "conversions": "quantity",
    "conversions_value": "value",
}
# Rates are fractions of impressions.
_GOOGLE_VIDEO: dict[str, FieldKind] = {
    "video_views": "count",
    "video_view_rate": "quantity",
    "video_p25_rate": "quantity",
    "video_p50_rate": "quantity",
    "video_p75_rate": "quantity",
    "video_p100_rate": "quantity",
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
            tables.META_ENTITIES,
            {
                "name": "text",
                "status": "text",
                "effective_status": "text",
                "campaign_id": "text",
                "adset_id": "text",
                "creative_id": "text",
                "objective": "text",
                "bid_strategy": "text",
                "optimization_goal": "text",
                "billing_event": "text",
                "currency": "text",
                "daily_budget": "spend",
                "lifetime_budget": "spend",
                "spend_cap": "spend",
                "daily_spend_cap": "spend",
                "daily_minimum_spend": "spend",
                "amount_spent": "spend",
                "minimum_budget": "spend",
                "learning_state": "text",
                "learning_reset_at": "timestamp",
                "targeting": "text",
                "attribution": "text",
                "starts_at": "timestamp",
                "ends_at": "timestamp",
                "created_at": "timestamp",
                "updated_at": "timestamp",
            },
        ),
        Stream(
            tables.META_ACTIVITIES,
            {
                "event_type": "text",
                "event_at": "timestamp",
                "actor_id": "text",
                "actor_name": "text",
                "application_name": "text",
                "object_type": "text",
                "object_id": "text",
                "object_name": "text",
                "extra_data": "text",
            },
        ),
        Stream(
            tables.META_HOURLY_SPEND,
            {
                **_NAMES,
                "campaign_name": "text",
                "adset_name": "text",
                "impressions": "count",
                "clicks": "count",
                "spend": "spend",
            },
            impressions="impressions",
            clicks="clicks",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.META_ADS_INSIGHTS_BY_HOUR,
            {
                **_NAMES,
                "campaign_name": "text",
                "adset_name": "text",
                "impressions": "count",
                "clicks": "count",
                "inline_link_clicks": "count",
                "spend": "spend",
            },
            impressions="impressions",
            clicks="clicks",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.META_ADS_INSIGHTS_BY_SEGMENT,
            {
                **_NAMES,
                "campaign_name": "text",
                "adset_name": "text",
                "impressions": "count",
                "clicks": "count",
                "inline_link_clicks": "count",
                "spend": "spend",
                "purchases_7d_click": "quantity",
                "purchases_1d_view": "quantity",
                "purchase_value_7d_click": "value",
                "purchase_value_1d_view": "value",
            },
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
                **_GOOGLE_VIDEO,
            },
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.GOOGLE_ADS_CAMPAIGN_PERFORMANCE,
            {
                **_NAMES,
                "campaign_name": "text",
                "channel_type": "text",
                "impressions": "count",
                "clicks": "count",
                "cost": "spend",
                "conversions": "quantity",
                "view_through_conversions": "quantity",
                "conversions_value": "value",
                **_GOOGLE_VIDEO,
            },
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.GOOGLE_ADS_CAMPAIGN_BY_HOUR,
            {**_NAMES, "campaign_name": "text", **_GOOGLE_DELIVERY},
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.GOOGLE_ADS_DEMOGRAPHICS,
            {
                **_NAMES,
                "campaign_name": "text",
                "ad_group_name": "text",
                "segment": "text",
                **_GOOGLE_DELIVERY,
            },
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.GOOGLE_ADS_CONVERSIONS,
            {
                **_NAMES,
                "campaign_name": "text",
                "ad_group_name": "text",
                "conversion_action_name": "text",
                "conversion_action_category": "text",
                "conversions": "quantity",
                "conversions_value": "value",
                "all_conversions": "quantity",
                "all_conversions_value": "value",
            },
            campaign_key="campaign_id",
        ),
        Stream(
            tables.GOOGLE_ADS_KEYWORDS,
            {
                **_NAMES,
                "campaign_name": "text",
                "ad_group_name": "text",
                "keyword_text": "text",
                "match_type": "text",
                "impressions": "count",
                "clicks": "count",
                "cost": "spend",
                "conversions": "quantity",
                "conversions_value": "value",
            },
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions",
            campaign_key="campaign_id",
        ),
        Stream(
            tables.GOOGLE_ADS_ENTITIES,
            {
                "name": "text",
                "status": "text",
                "campaign_id": "text",
                "ad_group_id": "text",
                "subtype": "text",
                "bidding_strategy_type": "text",
                "bidding_strategy_status": "text",
                "budget_id": "text",
                "match_type": "text",
                "is_negative": "boolean",
                "category": "text",
                "is_primary": "boolean",
                "click_window_days": "count",
                "view_window_days": "count",
                "counting_type": "text",
                "attribution_model": "text",
            },
        ),
        Stream(
            tables.GOOGLE_ADS_CHANGES,
            {
                "changed_at": "timestamp",
                "user_email": "text",
                "client_type": "text",
                "operation": "text",
                "resource_type": "text",
                "resource_name": "text",
                "campaign_id": "text",
                "changed_fields": "text",
                "old_budget": "spend",
                "new_budget": "spend",
                "old_status": "text",
                "new_status": "text",
            },
        ),
        Stream(
            tables.GOOGLE_ADS_RECOMMENDATIONS,
            {
                "recommendation_type": "text",
                "campaign_id": "text",
                "is_dismissed": "boolean",
                "current_budget": "spend",
                "recommended_budget": "spend",
                "base_cost": "spend",
                "potential_cost": "spend",
                "base_clicks": "quantity",
                "potential_clicks": "quantity",
                "base_conversions": "quantity",
                "potential_conversions": "quantity",
            },
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
                "video_plays": "count",
                "video_2s_views": "count",
                "video_6s_views": "count",
                **_VIDEO_QUARTERS,
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
                "video_plays": "count",
                "video_views": "count",
                **_VIDEO_QUARTERS,
            },
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions_post_click",
            campaign_key="campaign_group_id",
        ),
        Stream(
            tables.INTRADAY_SPEND,
            {**_NAMES, "campaign_name": "text", "adgroup_name": "text", "spend": "spend"},
            campaign_key="campaign_id",
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
            tables.MEDIA_HISTORY,
            {
                **_NAMES,
                "period_start": "date",
                "period_end": "date",
                "spend": "spend",
                "impressions": "count",
                "clicks": "count",
                "conversions_click": "quantity",
                "conversions_view": "quantity",
                "promotion_share": "quantity",
                "new_customers": "count",
                "revenue": "value",
            },
            impressions="impressions",
            clicks="clicks",
            click_conversions="conversions_click",
            campaign_key="channel",
            is_weekly=True,
        ),
        Stream(
            tables.EXPERIMENT_ARMS,
            {
                "period_start": "date",
                "period_end": "date",
                "test_name": "text",
                "kind": "text",
                "track": "text",
                "primary_metric": "text",
                "planned_share": "quantity",
                "is_control": "boolean",
                "headline": "text",
                "body": "text",
                "description": "text",
                "image_id": "text",
                "creative_id": "text",
                "users": "count",
                "impressions": "count",
                "link_clicks": "count",
                "conversions_click": "quantity",
                "conversions_view": "quantity",
                "orders": "quantity",
                "positive_answers": "count",
                "negative_answers": "count",
                "spend": "spend",
            },
            impressions="impressions",
            clicks="link_clicks",
            # A newer file about one test leaves the account's other tests as they are.
            campaign_key="test_id",
            is_experiment=True,
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
            tables.GA4_REPORTS,
            {
                "session_source": "text",
                "session_medium": "text",
                "session_campaign_name": "text",
                "device_category": "text",
                "event_name": "text",
                "sessions": "count",
                "engaged_sessions": "count",
                "total_users": "count",
                "key_events": "quantity",
                "purchase_revenue": "value",
                "currency": "text",
                "timezone": "text",
                "data_loss_from_other_row": "boolean",
                "subject_to_thresholding": "boolean",
                "truncation_reasons": "text",
                "samples_read_count": "count",
                "sampling_space_size": "count",
            },
        ),
        Stream(
            tables.GA4_EVENTS,
            {
                "event_name": "text",
                "event_at": "timestamp",
                "user_pseudo_id_hash": "text",
                "user_id_hash": "text",
                "ga_session_id": "text",
                "gclid": "text",
                "fbclid": "text",
                "analytics_storage": "text",
                "ads_storage": "text",
                "transaction_id": "text",
                "purchase_revenue": "value",
                "traffic_source": "text",
                "traffic_medium": "text",
                "traffic_campaign": "text",
                "device_category": "text",
                "country": "text",
                "event_params": "text",
                "user_properties": "text",
            },
        ),
        Stream(
            tables.VENDOR_CREATIVES,
            {
                "vendor": "text",
                "file_name": "text",
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
            tables.AD_LIBRARY,
            {
                "query": "text",
                "searched_on": "date",
                "search_truncated": "boolean",
                "page_id": "text",
                "page_name": "text",
                "created_at": "text",
                "delivery_start": "text",
                "delivery_stop": "text",
                "bodies": "text",
                "link_titles": "text",
                "link_captions": "text",
                "snapshot_url": "text",
                "publisher_platforms": "text",
                "languages": "text",
                "currency": "text",
                "spend_lower": "quantity",
                "spend_upper": "quantity",
                "impressions_lower": "count",
                "impressions_upper": "count",
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
                "video_id": "text",
                "theme": "text",
                "created_on": "date",
            },
        ),
        Stream(
            tables.CREATIVE_ASSETS,
            {
                "name": "text",
                "width": "count",
                "height": "count",
                "length_seconds": "quantity",
                "status": "text",
                "created_at": "timestamp",
                "url": "text",
                "content_sha256": "text",
                "content_type": "text",
                "byte_count": "count",
                "outcome": "text",
            },
        ),
        Stream(
            tables.LEVERS,
            {
                "lever_level": "text",
                "campaign_id": "text",
                "entity_id": "text",
                "budget_id": "text",
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
        Stream(
            tables.IMPACT_ACTIONS,
            {
                "campaign_id": "text",
                "campaign_name": "text",
                "action_tracker_id": "text",
                "action_tracker_name": "text",
                "media_partner_id": "text",
                "media_partner_name": "text",
                "state": "text",
                "currency": "text",
                "amount": "value",
                "payout": "value",
                "client_cost": "value",
                "intended_amount": "value",
                "intended_payout": "value",
                "event_date": "timestamp",
                "creation_date": "timestamp",
                "referring_date": "timestamp",
                "locking_date": "timestamp",
                "cleared_date": "timestamp",
                "order_id": "text",
                "customer_status": "text",
                "promo_code": "text",
            },
        ),
    )
}
