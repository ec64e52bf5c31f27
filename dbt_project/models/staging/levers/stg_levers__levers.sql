-- stg_levers__levers: one row per platform, account, snapshot day and budget-carrying entity.
{% set fields = {
    'lever_level': 'STRING',
    'campaign_id': 'STRING',
    'entity_id': 'STRING',
    'budget_id': 'STRING',
    'entity_name': 'STRING',
    'budget_type': 'STRING',
    'currency': 'STRING',
    'budget': 'NUMERIC',
    'minimum_budget': 'NUMERIC',
    'budget_increment': 'NUMERIC',
    'is_shared': 'BOOL',
    'learning_state': 'STRING',
    'last_edited_at': 'TIMESTAMP',
    'status': 'STRING',
} %}

with counted as (
    {{ counted_rows('levers') }}
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
    lever_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
