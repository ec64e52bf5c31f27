-- stg_meta__insights_by_placement: one row per Meta account, ad, account-local day and placement.
-- Each ad's rows repeat its full total, so never add them to the rows without breakdown.
{% set fields = {
    'account_name': 'STRING',
    'campaign_name': 'STRING',
    'adset_name': 'STRING',
    'ad_name': 'STRING',
    'creative_id': 'STRING',
    'currency': 'STRING',
    'impressions': 'INT64',
    'reach': 'INT64',
    'clicks': 'INT64',
    'inline_link_clicks': 'INT64',
    'spend': 'NUMERIC',
    'purchases_7d_click': 'NUMERIC',
    'purchases_1d_view': 'NUMERIC',
    'purchase_value_7d_click': 'NUMERIC',
    'purchase_value_1d_view': 'NUMERIC',
    'video_3s_views': 'INT64',
    'video_thruplays': 'INT64',
    'video_p25': 'INT64',
    'video_p50': 'INT64',
    'video_p75': 'INT64',
    'video_p100': 'INT64',
} %}

with counted as (
    {{ counted_rows('meta_ads_insights_by_placement') }}
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
    adset_id,
    ad_id,
    publisher_platform,
    platform_position,
    impression_device,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
