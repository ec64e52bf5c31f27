-- stg_google_ads__entities: one row per account and entity, as of the latest snapshot that had it.
-- Snapshots repeat every entity, so the latest is chosen before any payload is parsed.
{% set fields = {
    'name': 'STRING',
    'status': 'STRING',
    'campaign_id': 'STRING',
    'ad_group_id': 'STRING',
    'subtype': 'STRING',
    'bidding_strategy_type': 'STRING',
    'bidding_strategy_status': 'STRING',
    'budget_id': 'STRING',
    'match_type': 'STRING',
    'is_negative': 'BOOL',
    'category': 'STRING',
    'is_primary': 'BOOL',
    'click_window_days': 'INT64',
    'view_window_days': 'INT64',
    'counting_type': 'STRING',
    'attribution_model': 'STRING',
} %}

with counted as (
    {{ counted_rows('google_ads_entities') }}
),

ranked as (
    select
        *,
        min(report_date) over (partition by source, account_id, entity_type, entity_id) as first_seen,
        max(report_date) over (partition by source, account_id, entity_type, entity_id) as last_seen
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
    entity_type,
    entity_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
