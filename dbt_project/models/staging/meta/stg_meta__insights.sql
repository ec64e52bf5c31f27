-- stg_meta__insights: one row per Meta account, ad and account-local day, no breakdown.
-- The only Meta call whose unique clicks are true.
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
    'unique_inline_link_clicks': 'INT64',
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
    {{ counted_rows('meta_ads_insights') }}
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
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
