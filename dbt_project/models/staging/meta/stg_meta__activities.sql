-- stg_meta__activities: one row per account and activity.
-- The log of a day is read on several days, so the latest telling of an activity is chosen before it is parsed.
{% set fields = {
    'event_type': 'STRING',
    'event_at': 'TIMESTAMP',
    'actor_id': 'STRING',
    'actor_name': 'STRING',
    'application_name': 'STRING',
    'object_type': 'STRING',
    'object_id': 'STRING',
    'object_name': 'STRING',
    'extra_data': 'STRING',
} %}

with counted as (
    {{ counted_rows('meta_activities') }}
),

ranked as (
    select
        *,
        min(report_date) over (partition by source, account_id, activity_id) as first_seen,
        max(report_date) over (partition by source, account_id, activity_id) as last_seen
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
    activity_id,
    {{ payload_columns(fields) }},
    _batch_id,
    _ingested_at
from parsed
