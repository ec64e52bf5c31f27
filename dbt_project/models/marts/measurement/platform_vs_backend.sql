-- platform_vs_backend: one row per track and cohort day, with its age: what platforms claim beside backend orders.
-- A view: tracks follow the rules in force now, and a day ages with every pull.
{{ config(materialized='view') }}

with claimed as (
    select
        campaigns.date,
        tracks.track,
        ages.conversion_age as age,
        campaigns.conversions_click,
        campaigns.conversions_view
    from {{ ref('ads_campaign_daily') }} as campaigns
    inner join {{ ref('int_campaign_tracks') }} as tracks
        on
            campaigns.platform = tracks.platform
            and campaigns.account_id = tracks.account_id
            and campaigns.campaign_id = tracks.campaign_id
    left join {{ ref('int_report_ages') }} as ages
        on
            campaigns.platform = ages.platform
            and campaigns.account_id = ages.account_id
            and campaigns.date = ages.date
),

sides as (
    select
        date,
        track,
        age,
        conversions_click,
        conversions_view,
        0 as orders,
        0 as new_customer_orders,
        0 as refunded_orders
    from claimed
    union all
    select
        date,
        coalesce(track, 'unassigned') as track,
        cast(null as int64) as age,
        cast(0 as {{ type_of('NUMERIC') }}) as conversions_click,
        cast(0 as {{ type_of('NUMERIC') }}) as conversions_view,
        1 as orders,
        case when is_new_customer then 1 else 0 end as new_customer_orders,
        case when is_refunded then 1 else 0 end as refunded_orders
    from {{ ref('orders') }}
),

-- The account whose conversions were pulled longest ago says how mature a track's day is.
summed as (
    select
        date,
        track,
        min(age) as age,
        sum(conversions_click) as platform_conversions_click,
        sum(conversions_view) as platform_conversions_view,
        {{ sum_count('orders') }} as backend_orders,
        {{ sum_count('new_customer_orders') }} as backend_new_customer_orders,
        {{ sum_count('refunded_orders') }} as backend_refunded_orders
    from sides
    group by date, track
),

final as (
    select
        date,
        track,
        age,
        case
            when age <= 3 then '0-3'
            when age <= 7 then '4-7'
            when age <= 14 then '8-14'
            when age > 14 then '15+'
            else 'no delivery'
        end as age_bucket,
        platform_conversions_click,
        platform_conversions_view,
        backend_orders,
        backend_new_customer_orders,
        backend_refunded_orders,
        {{ safe_ratio('platform_conversions_click', 'backend_orders') }} as click_conversions_per_order,
        {{ safe_ratio('platform_conversions_view', 'backend_orders') }} as view_conversions_per_order
    from summed
)

select * from final
