-- stg_ga4__reports: one row per property, report, set of dimensions and property day.
{% set fields = {
    'session_source': 'STRING',
    'session_medium': 'STRING',
    'session_campaign_name': 'STRING',
    'device_category': 'STRING',
    'event_name': 'STRING',
    'sessions': 'INT64',
    'engaged_sessions': 'INT64',
    'total_users': 'INT64',
    'key_events': 'NUMERIC',
    'purchase_revenue': 'NUMERIC',
    'currency': 'STRING',
    'timezone': 'STRING',
    'data_loss_from_other_row': 'BOOL',
    'subject_to_thresholding': 'BOOL',
    'truncation_reasons': 'STRING',
    'samples_read_count': 'INT64',
    'sampling_space_size': 'INT64',
} %}

with counted as (
    {{ counted_rows('ga4_reports') }}
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
    report,
    dimensions_hash,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
