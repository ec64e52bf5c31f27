-- stg_google_ads__campaign_performance: one row per account, campaign, account-local day, network and device.
-- The control total: Performance Max has rows here and no ads. Video rates are fractions of impressions.
{% set fields = {
    'account_name': 'STRING',
    'currency': 'STRING',
    'campaign_name': 'STRING',
    'channel_type': 'STRING',
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
    {{ counted_rows('google_ads_campaign_performance') }}
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
    network,
    device,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
