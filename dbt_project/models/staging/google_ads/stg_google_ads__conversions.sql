-- stg_google_ads__conversions: one row per account, ad group, conversion action and account-local day of the click.
-- Performance Max has no ad groups: ad_group_id is `__none__`.
{% set fields = {
    'account_name': 'STRING',
    'currency': 'STRING',
    'campaign_name': 'STRING',
    'ad_group_name': 'STRING',
    'conversion_action_name': 'STRING',
    'conversion_action_category': 'STRING',
    'conversions': 'NUMERIC',
    'conversions_value': 'NUMERIC',
    'all_conversions': 'NUMERIC',
    'all_conversions_value': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('google_ads_conversions') }}
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
    conversion_action_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
