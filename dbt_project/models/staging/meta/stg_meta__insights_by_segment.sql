-- stg_meta__insights_by_segment: one row per Meta account, ad set, account-local day, age and gender.
-- An ad set's rows repeat its full total, so never add them to the rows without breakdown.
{% set fields = {
    'account_name': 'STRING',
    'currency': 'STRING',
    'campaign_name': 'STRING',
    'adset_name': 'STRING',
    'impressions': 'INT64',
    'clicks': 'INT64',
    'inline_link_clicks': 'INT64',
    'spend': 'NUMERIC',
    'purchases_7d_click': 'NUMERIC',
    'purchases_1d_view': 'NUMERIC',
    'purchase_value_7d_click': 'NUMERIC',
    'purchase_value_1d_view': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('meta_ads_insights_by_segment') }}
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
    age,
    gender,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
