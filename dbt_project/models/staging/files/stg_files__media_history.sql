-- stg_files__media_history: one row per source, account, track, channel and week of a media history file.
{% set fields = {
    'account_name': 'STRING',
    'currency': 'STRING',
    'period_start': 'DATE',
    'period_end': 'DATE',
    'spend': 'NUMERIC',
    'impressions': 'INT64',
    'clicks': 'INT64',
    'conversions_click': 'NUMERIC',
    'conversions_view': 'NUMERIC',
    'promotion_share': 'NUMERIC',
    'new_customers': 'INT64',
    'revenue': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('media_history', dated=false) }}
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
    track,
    channel,
    period,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
