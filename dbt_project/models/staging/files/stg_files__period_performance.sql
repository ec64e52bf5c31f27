-- stg_files__period_performance: one row per source, account, ad, placement, segment and period.
-- Totals of a week, a period or an unknown time: never in a daily mart.
{% set fields = {
    'account_name': 'STRING',
    'campaign_name': 'STRING',
    'adgroup_name': 'STRING',
    'ad_name': 'STRING',
    'creative_id': 'STRING',
    'currency': 'STRING',
    'period_start': 'DATE',
    'period_end': 'DATE',
    'impressions': 'INT64',
    'clicks': 'INT64',
    'cost': 'NUMERIC',
    'conversions_click': 'NUMERIC',
    'conversions_view': 'NUMERIC',
    'revenue': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('file_period_performance', dated=false) }}
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
    breakdown_set,
    campaign_id,
    adgroup_id,
    coalesce(nullif(ad_id, '__none__'), nullif(adgroup_id, '__none__'), campaign_id) as ad_id,
    placement,
    segment,
    period,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
