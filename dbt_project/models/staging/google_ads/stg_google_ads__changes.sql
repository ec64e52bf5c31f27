-- stg_google_ads__changes: one row per account and change.
-- Each snapshot repeats the log of 29 days, so the latest telling of a change is chosen before it is parsed.
{% set fields = {
    'changed_at': 'TIMESTAMP',
    'user_email': 'STRING',
    'client_type': 'STRING',
    'operation': 'STRING',
    'resource_type': 'STRING',
    'resource_name': 'STRING',
    'campaign_id': 'STRING',
    'changed_fields': 'STRING',
    'old_budget': 'NUMERIC',
    'new_budget': 'NUMERIC',
    'old_status': 'STRING',
    'new_status': 'STRING',
} %}

with counted as (
    {{ counted_rows('google_ads_changes') }}
),

ranked as (
    select
        *,
        min(report_date) over (partition by source, account_id, change_id) as first_seen,
        max(report_date) over (partition by source, account_id, change_id) as last_seen
    from counted
),

parsed as (
    select
        *,
        {{ payload_document(fields) }}
    from ranked
    where report_date = last_seen
)

select
    source as platform,
    account_id,
    first_seen,
    last_seen,
    change_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
