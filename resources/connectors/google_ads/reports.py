"""Reports by day: which query brings which stream's rows.

Here: performance of ads, campaigns, keywords, hours and demographics, conversions by action, today's spend by
hour. Not here: states of today (`snapshots`), calling (`source`). There is never a condition on status:
removed ads keep their spend.
"""

from __future__ import annotations

from collections.abc import Mapping

from resources.connectors.google_ads.queries import Column, Query

# As the report editor spells them, so that a day keeps its keys whether it came as a file or through the API.
NETWORKS: Mapping[str, str] = {
    "SEARCH": "Google search",
    "SEARCH_PARTNERS": "Search partners",
    "CONTENT": "Google Display Network",
    "YOUTUBE": "YouTube",
    "MIXED": "Cross-network",
    "GOOGLE_TV": "Google TV",
    "GOOGLE_OWNED_CHANNELS": "Google owned channels",
    "GMAIL": "Gmail",
    "DISCOVER": "Discover",
    "MAPS": "Maps",
}
DEVICES: Mapping[str, str] = {
    "MOBILE": "Mobile phones",
    "DESKTOP": "Computers",
    "TABLET": "Tablets",
    "CONNECTED_TV": "TV screens",
    "OTHER": "Other",
}
# As Meta spells them.
AGES: Mapping[str, str] = {
    "AGE_RANGE_18_24": "18-24",
    "AGE_RANGE_25_34": "25-34",
    "AGE_RANGE_35_44": "35-44",
    "AGE_RANGE_45_54": "45-54",
    "AGE_RANGE_55_64": "55-64",
    "AGE_RANGE_65_UP": "65+",
    "AGE_RANGE_UNDETERMINED": "unknown",
}
GENDERS: Mapping[str, str] = {"MALE": "male", "FEMALE": "female", "UNDETERMINED": "unknown"}

_ACCOUNT = {
    "report_date": Column("segments.date"),
    "customer_id": Column("customer.id"),
    "account_name": Column("customer.descriptive_name"),
    "currency": Column("customer.currency_code"),
    "campaign_id": Column("campaign.id"),
    "campaign_name": Column("campaign.name"),
}
_AD_GROUP = {"ad_group_id": Column("ad_group.id"), "ad_group_name": Column("ad_group.name")}
_PLACE = {
    "network": Column("segments.ad_network_type", names=NETWORKS),
    "device": Column("segments.device", names=DEVICES),
}
_CONVERSIONS = {
    "conversions": Column("metrics.conversions"),
    "conversions_value": Column("metrics.conversions_value"),
}
_DELIVERY = {
    "impressions": Column("metrics.impressions"),
    "clicks": Column("metrics.clicks"),
    "cost": Column("metrics.cost_micros", "micros"),
    **_CONVERSIONS,
}
_VIDEO = {
    "view_through_conversions": Column("metrics.view_through_conversions"),
    "video_views": Column("metrics.video_trueview_views"),
    "video_view_rate": Column("metrics.video_trueview_view_rate"),
    "video_p25_rate": Column("metrics.video_quartile_p25_rate"),
    "video_p50_rate": Column("metrics.video_quartile_p50_rate"),
    "video_p75_rate": Column("metrics.video_quartile_p75_rate"),
    "video_p100_rate": Column("metrics.video_quartile_p100_rate"),
}
# Google refuses cost, impressions and clicks beside a conversion action: one click has many actions.
_ACTIONS = {
    "conversion_action_id": Column("segments.conversion_action", "tail"),
    "conversion_action_name": Column("segments.conversion_action_name"),
    "conversion_action_category": Column("segments.conversion_action_category"),
    **_CONVERSIONS,
    "all_conversions": Column("metrics.all_conversions"),
    "all_conversions_value": Column("metrics.all_conversions_value"),
}

AD_PERFORMANCE = (
    Query(
        "ad_group_ad",
        {**_ACCOUNT, **_AD_GROUP, "ad_id": Column("ad_group_ad.ad.id"), **_PLACE, **_DELIVERY, **_VIDEO},
    ),
)
CAMPAIGN_PERFORMANCE = (
    Query(
        "campaign",
        {
            **_ACCOUNT,
            "channel_type": Column("campaign.advertising_channel_type"),
            **_PLACE,
            **_DELIVERY,
            **_VIDEO,
        },
    ),
)
# Performance Max has no ad groups: its conversions come by campaign, the ad group is `__none__`.
CONVERSIONS = (
    Query("ad_group", {**_ACCOUNT, **_AD_GROUP, **_ACTIONS}),
    Query("campaign", {**_ACCOUNT, **_ACTIONS}, ("campaign.advertising_channel_type = 'PERFORMANCE_MAX'",)),
)
KEYWORDS = (
    Query(
        "keyword_view",
        {
            **_ACCOUNT,
            **_AD_GROUP,
            "criterion_id": Column("ad_group_criterion.criterion_id"),
            "keyword_text": Column("ad_group_criterion.keyword.text"),
            "match_type": Column("ad_group_criterion.keyword.match_type"),
            **_DELIVERY,
        },
    ),
)
# Google tells the hour of the account's own clock, and keeps hours without delivery back.
INTRADAY_SPEND = (
    Query(
        "campaign",
        {**_ACCOUNT, "hour": Column("segments.hour"), "spend": Column("metrics.cost_micros", "micros")},
    ),
)
HOURS = (Query("campaign", {**_ACCOUNT, "hour": Column("segments.hour"), **_DELIVERY}),)


def _demographics(resource: str, path: str, names: Mapping[str, str]) -> tuple[Query, ...]:
    """A view has a row per ad group and criterion; Google does not cross age with gender."""
    criterion = {
        "criterion_id": Column("ad_group_criterion.criterion_id"),
        "segment": Column(path, names=names),
    }
    return (Query(resource, {**_ACCOUNT, **_AD_GROUP, **criterion, **_DELIVERY}),)


# By stream and breakdown.
BY_DAY: Mapping[tuple[str, str], tuple[Query, ...]] = {
    ("google_ads_ad_performance", "network_device"): AD_PERFORMANCE,
    ("google_ads_campaign_performance", "network_device"): CAMPAIGN_PERFORMANCE,
    ("google_ads_campaign_by_hour", "hour"): HOURS,
    ("google_ads_demographics", "age"): _demographics(
        "age_range_view", "ad_group_criterion.age_range.type", AGES
    ),
    ("google_ads_demographics", "gender"): _demographics(
        "gender_view", "ad_group_criterion.gender.type", GENDERS
    ),
    ("google_ads_conversions", "action"): CONVERSIONS,
    ("google_ads_keywords", "none"): KEYWORDS,
}
# Of a day that is not over; asked for with the snapshots.
OF_TODAY: Mapping[tuple[str, str], tuple[Query, ...]] = {("intraday_spend", "none"): INTRADAY_SPEND}
