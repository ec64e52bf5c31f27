-- stg_orders__orders: one row per store and backend order, as the store last reported its day.
{% set fields = {
    'customer_id': 'STRING',
    'ordered_at': 'TIMESTAMP',
    'currency': 'STRING',
    'value': 'NUMERIC',
    'is_new_customer': 'BOOL',
    'track': 'STRING',
    'refunded_at': 'TIMESTAMP',
    'trial_started_at': 'TIMESTAMP',
    'paid_at': 'TIMESTAMP',
    'utm_source': 'STRING',
    'utm_campaign': 'STRING',
    'utm_content': 'STRING',
} %}

with counted as (
    {{ counted_rows('orders') }}
),

parsed as (
    select
        *,
        {{ payload_document(fields) }}
    from counted
)

select
    account_id as store_id,
    report_date as date,
    order_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
