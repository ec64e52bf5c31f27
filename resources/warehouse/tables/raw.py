"""The raw layer: rows as a platform or a file told them, immutable, under one envelope.

Here: every table in schema `raw`. Not here: whether a row counts (`landing.py` says it, through the ledger).
"""

from __future__ import annotations

from resources.warehouse.schema import Column, Table, TableName
from resources.warehouse.tables.columns import columns

_ENVELOPE_HEAD = columns(
    ("source", "STRING", "Platform, or the label of a file drop that names none.", True),
    ("account_id", "STRING", "Account as the source names it.", True),
    ("report_date", "DATE", "Account-local day the row reports."),
    ("breakdown_set", "STRING", "Which breakdown the call had; each repeats the full total.", True),
)
_ENVELOPE_TAIL = columns(
    ("payload", "STRING", "Canonical JSON text of the row; numbers kept as text so money stays exact.", True),
    ("payload_hash", "STRING", "sha256 of the payload.", True),
    ("_batch_id", "STRING", "The load that wrote this row.", True),
    ("_ingested_at", "TIMESTAMP", "When it was written.", True),
    ("_api_version", "STRING", "API version or export format.", True),
    ("_request_hash", "STRING", "Hash of the request or of the file's content.", True),
)


def _raw(table: str, description: str, keys: tuple[str, ...]) -> Table:
    return Table(
        name=TableName("raw", table),
        description=description,
        columns=_ENVELOPE_HEAD
        + tuple(Column(key, "STRING", f"Grain key: {key}.", required=True) for key in keys)
        + _ENVELOPE_TAIL,
        grain=("source", "account_id", "report_date", "breakdown_set", *keys, "_batch_id"),
        partition="report_date",
        cluster=("account_id", "_batch_id"),
    )


META_ADS_INSIGHTS = _raw(
    "meta_ads_insights",
    "Meta ad by day, no breakdown: the only source of unique metrics.",
    ("campaign_id", "adset_id", "ad_id"),
)
META_ADS_INSIGHTS_BY_PLACEMENT = _raw(
    "meta_ads_insights_by_placement",
    "Meta ad by day by placement.",
    ("campaign_id", "adset_id", "ad_id", "publisher_platform", "platform_position", "impression_device"),
)
META_ENTITIES = _raw(
    "meta_entities",
    "Meta account, campaigns, ad sets, ads, creatives as of a snapshot day, archived and deleted too.",
    ("entity_type", "entity_id"),
)
META_ACTIVITIES = _raw(
    "meta_activities",
    "Meta's log of who changed what, by the account-local day of the change.",
    ("activity_id",),
)
META_HOURLY_SPEND = _raw(
    "meta_hourly_spend",
    "Meta ad set by account-local hour of the day.",
    ("campaign_id", "adset_id", "hour"),
)
META_ADS_INSIGHTS_BY_HOUR = _raw(
    "meta_ads_insights_by_hour",
    "Meta ad set by day and account-local hour: delivery only, Meta breaks no purchases down by hour.",
    ("campaign_id", "adset_id", "hour"),
)
META_ADS_INSIGHTS_BY_SEGMENT = _raw(
    "meta_ads_insights_by_segment",
    "Meta ad set by day, age and gender.",
    ("campaign_id", "adset_id", "age", "gender"),
)
GOOGLE_ADS_AD_PERFORMANCE = _raw(
    "google_ads_ad_performance",
    "Google Ads ad by day, network and device.",
    ("campaign_id", "ad_group_id", "ad_id", "network", "device"),
)
GOOGLE_ADS_CAMPAIGN_PERFORMANCE = _raw(
    "google_ads_campaign_performance",
    "Google Ads campaign by day, network and device: the control total. Performance Max has no ad rows.",
    ("campaign_id", "network", "device"),
)
GOOGLE_ADS_CAMPAIGN_BY_HOUR = _raw(
    "google_ads_campaign_by_hour",
    "Google Ads campaign by day and account-local hour.",
    ("campaign_id", "hour"),
)
GOOGLE_ADS_DEMOGRAPHICS = _raw(
    "google_ads_demographics",
    "Google Ads ad group by day and age range, and by day and gender: two breakdowns that Google never "
    "crosses. Performance Max has none.",
    ("campaign_id", "ad_group_id", "criterion_id"),
)
GOOGLE_ADS_CONVERSIONS = _raw(
    "google_ads_conversions",
    "Google Ads conversions by day of the click and conversion action; cost cannot be split that way.",
    ("campaign_id", "ad_group_id", "conversion_action_id"),
)
GOOGLE_ADS_KEYWORDS = _raw(
    "google_ads_keywords", "Google Ads keyword by day.", ("campaign_id", "ad_group_id", "criterion_id")
)
GOOGLE_ADS_ENTITIES = _raw(
    "google_ads_entities",
    "Google Ads campaigns, ad groups, ads, keywords, asset groups and conversion actions as of a snapshot "
    "day, removed ones included.",
    ("entity_type", "entity_id"),
)
GOOGLE_ADS_CHANGES = _raw(
    "google_ads_changes",
    "Google Ads' log of who changed what, its last 29 days as of a snapshot day.",
    ("change_id",),
)
GOOGLE_ADS_RECOMMENDATIONS = _raw(
    "google_ads_recommendations",
    "What Google Ads recommends as of a snapshot day.",
    ("recommendation_id",),
)
TIKTOK_ADS_REPORT = _raw("tiktok_ads_report", "TikTok ad by day.", ("campaign_id", "adgroup_id", "ad_id"))
INTRADAY_SPEND = _raw(
    "intraday_spend",
    "Spend of a day that is not over, by what carries budgets: Google Ads campaign and TikTok ad group by "
    "account-local hour; LinkedIn campaign, whose hour is `__none__`: its reports know days alone.",
    ("campaign_id", "adgroup_id", "hour"),
)
LINKEDIN_AD_ANALYTICS = _raw(
    "linkedin_ad_analytics",
    "LinkedIn creative by day.",
    ("campaign_group_id", "campaign_id", "creative_id"),
)
FILE_AD_PERFORMANCE = _raw(
    "file_ad_performance",
    "Any other daily export, in the documented generic long format or through a mapping file.",
    ("campaign_id", "adgroup_id", "ad_id", "placement", "segment"),
)
FILE_PERIOD_PERFORMANCE = _raw(
    "file_period_performance",
    "Exports without a day: totals of a week, a period or an unknown time. Never in daily marts.",
    ("campaign_id", "adgroup_id", "ad_id", "placement", "segment", "period"),
)
MEDIA_HISTORY = _raw(
    "media_history",
    "Weeks of a media mix from before the daily reports: spend and delivery by channel, the track's outcome "
    "repeated on each of its rows. An agency's history file.",
    ("track", "channel", "period"),
)
EXPERIMENT_ARMS = _raw(
    "experiment_arms",
    "Split tests by arm and period (a day, a week), cut further by hour, segment or user where an export "
    "does; what an arm showed stands on its rows.",
    ("test_id", "arm", "hour", "segment", "unit_id", "period"),
)
ORDERS = _raw("orders", "Backend orders by the account-local day they were placed.", ("order_id",))
CREATIVES = _raw("creatives", "Creative objects as of a snapshot day.", ("creative_id",))
CREATIVE_ASSETS = _raw(
    "creative_assets",
    "Images and video thumbnails of an account as of a snapshot day; the bytes lie in "
    "AELP_HOME/creative_assets under their sha256.",
    ("asset_kind", "asset_id"),
)
LEVERS = _raw("levers", "Budget-carrying entities as of a snapshot day.", ("lever_id",))
IMPACT_ACTIONS = _raw(
    "impact_actions",
    "Impact.com affiliate actions by the account-local day of the event; the state may change until locked.",
    ("action_id",),
)
GA4_REPORTS = _raw(
    "ga4_reports",
    "Google Analytics sessions and key events by property day, channel and device.",
    ("report", "dimensions_hash"),
)
GA4_EVENTS = _raw(
    "ga4_events",
    "Google Analytics events of the BigQuery export, identifiers hashed; each day from its best table.",
    ("export_kind", "event_hash"),
)
VENDOR_CREATIVES = _raw(
    "vendor_creatives",
    "Creatives as vendors delivered them, by the day their file was dropped.",
    ("file_sha256", "creative_id", "row_no"),
)
AD_LIBRARY = _raw(
    "ad_library",
    "Ads found in the ad library, as last found on a snapshot day.",
    ("query_hash", "ad_archive_id"),
)
