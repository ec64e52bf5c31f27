-- int_outcome_weekly: one row per week and track with backend orders: what the stores booked, advertised or not.
-- Only weeks in which every day of every store was read once it was over; a track without an order then is no row.
with weeks as (
    select distinct week from {{ ref('stg_ops__media_weeks') }}
),

read_days as (
    select
        platform,
        account_id,
        date
    from {{ ref('stg_ops__pulled_days') }}
    where stream = 'orders' and last_pulled_age >= 1
),

stores as (
    select count(*) as number
    from (
        select distinct
            platform,
            account_id
        from read_days
    ) as known
),

read_weeks as (
    select
        weeks.week,
        count(*) as store_days
    from weeks
    inner join read_days on read_days.date between weeks.week and {{ add_days('weeks.week', '6') }}
    group by weeks.week
),

complete_weeks as (
    select read_weeks.week
    from read_weeks
    cross join stores
    where read_weeks.store_days = 7 * stores.number
),

tracks as (
    select distinct coalesce(track, 'unassigned') as track
    from {{ ref('orders') }}
),

booked as (
    select
        date,
        coalesce(track, 'unassigned') as track,
        sum(case when is_new_customer then 1 else 0 end) as new_customers,
        sum(coalesce(value, 0)) as revenue
    from {{ ref('orders') }}
    group by date, coalesce(track, 'unassigned')
)

select
    complete_weeks.week,
    tracks.track,
    {{ sum_count('coalesce(booked.new_customers, 0)') }} as new_customers,
    sum(coalesce(booked.revenue, 0)) as revenue
from complete_weeks
cross join tracks
left join booked
    on
        tracks.track = booked.track
        and booked.date between complete_weeks.week and {{ add_days('complete_weeks.week', '6') }}
group by complete_weeks.week, tracks.track
