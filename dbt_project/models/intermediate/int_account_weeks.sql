-- int_account_weeks: one row per platform, account and week of the media mix: was it read whole, and late enough?
-- From the week of the first report day of all accounts to that of the last. An account that was read no more while
-- others were has stopped, if it spent nothing in its last seven days: then it is 0. If it spent, nobody knows.
with weeks as (
    select distinct week from {{ ref('stg_ops__media_weeks') }}
),

ages as (
    select
        ages.platform,
        ages.account_id,
        ages.date,
        case
            when ages.conversion_age > coalesce(accounts.maturity_days, definition.maturity_days) then 1
            else 0
        end as matured
    from {{ ref('int_report_ages') }} as ages
    cross join {{ ref('stg_ops__reward_definitions') }} as definition
    left join {{ ref('stg_ops__accounts') }} as accounts
        on
            ages.platform = accounts.platform
            and ages.account_id = accounts.account_id
),

spans as (
    select
        platform,
        account_id,
        max(date) as last_day
    from ages
    group by platform, account_id
),

ends as (
    select
        spans.platform,
        spans.account_id,
        spans.last_day,
        sum(coalesce(days.cost, 0)) as last_cost
    from spans
    left join {{ ref('int_account_days') }} as days
        on
            spans.platform = days.platform
            and spans.account_id = days.account_id
            and days.date > {{ add_days('spans.last_day', '-7') }}
    group by spans.platform, spans.account_id, spans.last_day
),

bounds as (
    select
        min(date) as first_day,
        max(date) as last_day
    from ages
),

asked as (
    select
        weeks.week,
        ends.platform,
        ends.account_id,
        (
            ends.last_cost = 0
            and ends.last_day < {{ add_days('weeks.week', '6') }}
            and ends.last_day < {{ add_days('bounds.last_day', '-7') }}
        ) as has_stopped
    from ends
    cross join bounds
    inner join weeks
        on
            bounds.last_day >= weeks.week
            and bounds.first_day <= {{ add_days('weeks.week', '6') }}
),

final as (
    select
        asked.week,
        asked.platform,
        asked.account_id,
        asked.has_stopped,
        count(ages.date) as days_read,
        {{ sum_count('coalesce(ages.matured, 0)') }} as days_matured
    from asked
    left join ages
        on
            asked.platform = ages.platform
            and asked.account_id = ages.account_id
            and ages.date between asked.week and {{ add_days('asked.week', '6') }}
    group by asked.week, asked.platform, asked.account_id, asked.has_stopped
)

select
    week,
    platform,
    account_id,
    days_read,
    days_matured,
    has_stopped,
    has_stopped or days_read = 7 as is_read,
    has_stopped or days_matured = 7 as is_matured
from final
