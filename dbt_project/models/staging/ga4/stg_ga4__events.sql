-- stg_ga4__events: one row per property, event and property day; identifiers are hashed.
-- A day's rows are of one export table: daily, else fresh, else intraday.
{% set fields = {
    'event_name': 'STRING',
    'event_at': 'TIMESTAMP',
    'user_pseudo_id_hash': 'STRING',
    'user_id_hash': 'STRING',
    'ga_session_id': 'STRING',
    'gclid': 'STRING',
    'fbclid': 'STRING',
    'analytics_storage': 'STRING',
    'ads_storage': 'STRING',
    'transaction_id': 'STRING',
    'purchase_revenue': 'NUMERIC',
    'traffic_source': 'STRING',
    'traffic_medium': 'STRING',
    'traffic_campaign': 'STRING',
    'device_category': 'STRING',
    'country': 'STRING',
    'event_params': 'STRING',
    'user_properties': 'STRING',
} %}

with counted as (
    {{ counted_rows('ga4_events') }}
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
    export_kind,
    event_hash,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
