-- stg_platforms__intraday_spend: one row per platform, account, day of its own, campaign, ad group and hour.
-- Of days that were not over when they were read, for pacing; the daily calls are the totals. Google Ads has no
-- ad group here, LinkedIn no hour (`__none__`): its one figure is the day's so far.
{% set fields = {
    'account_name': 'STRING',
    'currency': 'STRING',
    'campaign_name': 'STRING',
    'adgroup_name': 'STRING',
    'spend': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('intraday_spend') }}
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
    hour,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
