-- stg_google_ads__campaign_by_hour: one row per account, campaign, account-local day and hour.
-- A campaign's hours repeat its full total; a conversion stands at the hour of its click.
{% set fields = {
    'account_name': 'STRING',
    'currency': 'STRING',
    'campaign_name': 'STRING',
    'impressions': 'INT64',
    'clicks': 'INT64',
    'cost': 'NUMERIC',
    'conversions': 'NUMERIC',
    'conversions_value': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('google_ads_campaign_by_hour') }}
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
    hour,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
