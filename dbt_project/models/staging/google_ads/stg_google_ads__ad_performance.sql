-- stg_google_ads__ad_performance: one row per account, ad, account-local day, network and device.
-- One breakdown whose sum is the total: there is no row without it.
{% set fields = {
    'account_name': 'STRING',
    'campaign_name': 'STRING',
    'ad_group_name': 'STRING',
    'creative_id': 'STRING',
    'currency': 'STRING',
    'impressions': 'INT64',
    'clicks': 'INT64',
    'cost': 'NUMERIC',
    'conversions': 'NUMERIC',
    'view_through_conversions': 'NUMERIC',
    'conversions_value': 'NUMERIC',
    'video_views': 'INT64',
    'video_view_rate': 'NUMERIC',
    'video_p25_rate': 'NUMERIC',
    'video_p50_rate': 'NUMERIC',
    'video_p75_rate': 'NUMERIC',
    'video_p100_rate': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('google_ads_ad_performance') }}
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
    ad_group_id,
    ad_id,
    network,
    device,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
