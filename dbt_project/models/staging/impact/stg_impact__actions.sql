-- stg_impact__actions: one row per Impact account, action and account-local day of its event.
-- An action's state may change until it is locked, so past days are restated.
{% set fields = {
    'campaign_id': 'STRING',
    'campaign_name': 'STRING',
    'action_tracker_id': 'STRING',
    'action_tracker_name': 'STRING',
    'media_partner_id': 'STRING',
    'media_partner_name': 'STRING',
    'state': 'STRING',
    'currency': 'STRING',
    'amount': 'NUMERIC',
    'payout': 'NUMERIC',
    'client_cost': 'NUMERIC',
    'intended_amount': 'NUMERIC',
    'intended_payout': 'NUMERIC',
    'event_date': 'TIMESTAMP',
    'creation_date': 'TIMESTAMP',
    'referring_date': 'TIMESTAMP',
    'locking_date': 'TIMESTAMP',
    'cleared_date': 'TIMESTAMP',
    'order_id': 'STRING',
    'customer_status': 'STRING',
    'promo_code': 'STRING',
} %}

with counted as (
    {{ counted_rows('impact_actions') }}
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
    action_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
