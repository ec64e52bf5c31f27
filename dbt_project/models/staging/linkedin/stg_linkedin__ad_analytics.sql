-- stg_linkedin__ad_analytics: one row per LinkedIn account, creative and account-local day.
-- LinkedIn says campaign group, campaign, creative where others say campaign, ad group, ad.
{% set fields = {
    'account_name': 'STRING',
    'campaign_group_name': 'STRING',
    'campaign_name': 'STRING',
    'ad_name': 'STRING',
    'currency': 'STRING',
    'impressions': 'INT64',
    'clicks': 'INT64',
    'spend': 'NUMERIC',
    'conversions_post_click': 'NUMERIC',
    'conversions_post_view': 'NUMERIC',
    'conversion_value': 'NUMERIC',
    'video_plays': 'INT64',
    'video_views': 'INT64',
    'video_p25': 'INT64',
    'video_p50': 'INT64',
    'video_p75': 'INT64',
    'video_p100': 'INT64',
} %}

with counted as (
    {{ counted_rows('linkedin_ad_analytics') }}
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
    campaign_group_id,
    campaign_id,
    creative_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
