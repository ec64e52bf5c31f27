-- stg_files__ad_performance: one row per source, account, ad, account-local day, placement and segment.
{% set fields = {
    'account_name': 'STRING',
    'campaign_name': 'STRING',
    'adgroup_name': 'STRING',
    'ad_name': 'STRING',
    'creative_id': 'STRING',
    'currency': 'STRING',
    'impressions': 'INT64',
    'clicks': 'INT64',
    'cost': 'NUMERIC',
    'conversions_click': 'NUMERIC',
    'conversions_view': 'NUMERIC',
    'revenue': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('file_ad_performance') }}
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
    ad_id as reported_ad_id,
    -- A source without ads is kept at its lowest entity, so that ad_id is never missing downstream.
    coalesce(nullif(ad_id, '__none__'), nullif(adgroup_id, '__none__'), campaign_id) as ad_id,
    placement,
    segment,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
