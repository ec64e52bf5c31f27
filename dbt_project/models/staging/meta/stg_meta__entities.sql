-- stg_meta__entities: one row per account and entity, as of the latest snapshot that had it.
-- Snapshots repeat every entity, so the latest is chosen before any payload is parsed.
{% set fields = {
    'name': 'STRING',
    'status': 'STRING',
    'effective_status': 'STRING',
    'campaign_id': 'STRING',
    'adset_id': 'STRING',
    'creative_id': 'STRING',
    'objective': 'STRING',
    'bid_strategy': 'STRING',
    'optimization_goal': 'STRING',
    'billing_event': 'STRING',
    'currency': 'STRING',
    'daily_budget': 'NUMERIC',
    'lifetime_budget': 'NUMERIC',
    'spend_cap': 'NUMERIC',
    'daily_spend_cap': 'NUMERIC',
    'daily_minimum_spend': 'NUMERIC',
    'amount_spent': 'NUMERIC',
    'minimum_budget': 'NUMERIC',
    'learning_state': 'STRING',
    'learning_reset_at': 'TIMESTAMP',
    'targeting': 'STRING',
    'attribution': 'STRING',
    'starts_at': 'TIMESTAMP',
    'ends_at': 'TIMESTAMP',
    'created_at': 'TIMESTAMP',
    'updated_at': 'TIMESTAMP',
} %}

with counted as (
    {{ counted_rows('meta_entities') }}
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
