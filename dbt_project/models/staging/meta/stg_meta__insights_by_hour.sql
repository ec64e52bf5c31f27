-- stg_meta__insights_by_hour: one row per Meta account, ad set, account-local day and hour.
-- An ad set's hours repeat its full total, and Meta tells no purchases by hour.
{% set fields = {
    'account_name': 'STRING',
    'currency': 'STRING',
    'campaign_name': 'STRING',
    'adset_name': 'STRING',
    'impressions': 'INT64',
    'clicks': 'INT64',
    'inline_link_clicks': 'INT64',
    'spend': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('meta_ads_insights_by_hour') }}
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
    hour,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
