-- ga4_lagged_daily: one row per property, day of purchase, day of the visit it is credited to, and its channel.
-- Credit goes to the browser's last visit with a known channel, at most 30 days before; without one, to the
-- visit of the purchase itself: (direct), or (not set) where the browser did not consent to be known.
{% set lag_days = 30 %}
{{ daily_config(cluster=['account_id', 'session_source'], rolling_days=lag_days) }}

with visits as (
    select
        date,
        account_id,
        user_pseudo_id_hash,
        ga_session_id,
        started_at,
        source,
        coalesce(medium, '(not set)') as medium,
        coalesce(campaign, '(not set)') as campaign
    from {{ ref('stg_ga4__sessions') }}
    where source is not null and {{ in_window('date', before=lag_days) }}
),

-- A page that is loaded again sends its purchase again.
sent as (
    select
        *,
        lag(date) over (
            partition by account_id, transaction_id
            order by event_at, event_hash
        ) as sent_before
    from {{ ref('stg_ga4__conversions') }}
    where {{ in_window('date', before=lag_days) }}
),

purchases as (
    select *
    from sent
    where
        (
            transaction_id is null
            or sent_before is null
            or {{ day_number('date') }} - {{ day_number('sent_before') }} > {{ lag_days }}
        )
        and {{ in_window('date') }}
),

paired as (
    select
        purchases.date,
        purchases.account_id,
        purchases.user_pseudo_id_hash,
        purchases.purchase_revenue,
        visits.date as visit_date,
        visits.source,
        visits.medium,
        visits.campaign,
        row_number() over (
            partition by purchases.account_id, purchases.date, purchases.export_kind, purchases.event_hash
            order by visits.started_at desc, visits.ga_session_id desc
        ) as recency
    from purchases
    left join visits
        on
            purchases.account_id = visits.account_id
            and purchases.user_pseudo_id_hash = visits.user_pseudo_id_hash
            and purchases.event_at >= visits.started_at
            and {{ add_days('purchases.date', '-' ~ lag_days) }} <= visits.date
),

credited as (
    select
        date,
        account_id,
        coalesce(visit_date, date) as visit_date,
        purchase_revenue,
        case
            when source is not null then source
            when user_pseudo_id_hash is not null then '(direct)'
            else '(not set)'
        end as session_source,
        case
            when source is not null then medium
            when user_pseudo_id_hash is not null then '(none)'
            else '(not set)'
        end as session_medium,
        coalesce(campaign, '(not set)') as session_campaign
    from paired
    where recency = 1
),

final as (
    select
        date,
        visit_date,
        cast({{ day_number('date') }} - {{ day_number('visit_date') }} as int64) as lag_days,
        account_id,
        session_source,
        session_medium,
        session_campaign,
        count(*) as purchases,
        sum(purchase_revenue) as revenue
    from credited
    group by date, visit_date, account_id, session_source, session_medium, session_campaign
)

select * from final
{{- physical_order('date') }}
