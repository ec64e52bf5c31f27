-- stg_google_ads__demographics: one row per account, ad group, account-local day, breakdown and criterion.
-- The breakdowns are age and gender. Either breakdown repeats the ad group's full total; Performance Max has
-- no rows here.
{% set fields = {
    'account_name': 'STRING',
    'currency': 'STRING',
    'campaign_name': 'STRING',
    'ad_group_name': 'STRING',
    'segment': 'STRING',
    'impressions': 'INT64',
    'clicks': 'INT64',
    'cost': 'NUMERIC',
    'conversions': 'NUMERIC',
    'conversions_value': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('google_ads_demographics') }}
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
    criterion_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
