-- A landed history week is a week of the calendar in force, and its files agree on what the track sold.
-- After a change of media_mix.week_starts_on: export the history anew.
{{ config(meta={'dagster': {'ref': {'name': 'stg_files__media_history'}}}) }}

with calendar as (
    select distinct week from {{ ref('stg_ops__media_weeks') }}
),

bounds as (
    select min(week) as first_week from calendar
)

select
    history.period_start as week,
    history.track,
    min(history.new_customers) as fewest_new_customers,
    max(history.new_customers) as most_new_customers
from {{ ref('stg_files__media_history') }} as history
cross join bounds
left join calendar on history.period_start = calendar.week
where history.period_start >= bounds.first_week
group by history.period_start, history.track
having
    max(calendar.week) is null
    or min(history.new_customers) != max(history.new_customers)
    or min(history.revenue) != max(history.revenue)
