-- orders: one row per store and order, on the account-local day it was placed. The final judge of conversions.
{{ daily_config(cluster=['store_id', 'track']) }}

with final as (
    select
        date,
        store_id,
        order_id,
        customer_id,
        track,
        currency,
        value,
        is_new_customer,
        refunded_at is not null as is_refunded,
        refunded_at,
        trial_started_at,
        paid_at,
        ordered_at,
        utm_source,
        utm_campaign,
        utm_content
    from {{ ref('stg_orders__orders') }}
    where {{ in_window('date') }}
)

select * from final
{{- physical_order('date') }}
