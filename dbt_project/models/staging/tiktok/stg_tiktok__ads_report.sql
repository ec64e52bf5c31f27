-- stg_tiktok__ads_report: one row per TikTok advertiser, ad and account-local day.
{% set fields = {
    'account_name': 'STRING',
    'campaign_name': 'STRING',
    'adgroup_name': 'STRING',
    'ad_name': 'STRING',
    'creative_id': 'STRING',
    'currency': 'STRING',
    'impressions': 'INT64',
    'clicks': 'INT64',
    'spend': 'NUMERIC',
    'conversions_click': 'NUMERIC',
    'conversions_view': 'NUMERIC',
    'total_purchase_value': 'NUMERIC',
    'video_plays': 'INT64',
    'video_2s_views': 'INT64',
    'video_6s_views': 'INT64',
    'video_p25': 'INT64',
    'video_p50': 'INT64',
    'video_p75': 'INT64',
    'video_p100': 'INT64',
} %}

with counted as (
    {{ counted_rows('tiktok_ads_report') }}
),

parsed as (
    select
        *,
        {{ payload_document(fields) }}
    from counted
)

select
    source as platform,
    account_id,
    report_date as date,
    breakdown_set,
    campaign_id,
    adgroup_id,
    ad_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
