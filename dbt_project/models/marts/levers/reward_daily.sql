-- reward_daily: one row per platform, account, track, lever and cohort day: what its spend has earned so far.
-- A view: tracks and the reward follow the settings in force, and a day ages with every pull.
-- Completion is the share of what a matured cohort knows, so that young and matured cohorts count in one unit.
-- It is known where days were followed to maturity; view conversions, which nobody follows, are taken to come alike.
{{ config(materialized='view') }}

with definition as (
    select * from {{ ref('stg_ops__reward_definitions') }}
),

accounts as (
    select
        accounts.platform,
        accounts.account_id,
        definition.version,
        definition.click_incrementality_mean,
        definition.view_incrementality_mean,
        coalesce(accounts.maturity_days, definition.maturity_days) as maturity_days
    from {{ ref('stg_ops__accounts') }} as accounts
    cross join definition
),

followed as (
    select
        delay.platform,
        delay.account_id,
        delay.age,
        delay.share_arrived,
        max(case when delay.age = accounts.maturity_days then delay.share_arrived end)
            over (partition by delay.platform, delay.account_id) as share_at_maturity,
        -- As sure as the fewest days that any later step of the curve rests on.
        min(delay.cohort_days) over (
            partition by delay.platform, delay.account_id
            order by delay.age
            rows between 1 following and unbounded following
        ) as days_behind
    from {{ ref('conversion_delay') }} as delay
    inner join accounts
        on
            delay.platform = accounts.platform
            and delay.account_id = accounts.account_id
    where delay.age <= accounts.maturity_days
),

curve as (
    select
        platform,
        account_id,
        age,
        days_behind,
        least({{ safe_ratio('share_arrived', 'share_at_maturity') }}, 1) as completion
    from followed
    where share_arrived > 0 and share_at_maturity > 0
),

aged as (
    select
        levers.date,
        levers.platform,
        levers.account_id,
        levers.track,
        levers.lever_id,
        levers.cost,
        coalesce(levers.conversions_click, 0) as conversions_click,
        coalesce(levers.conversions_view, 0) as conversions_view,
        ages.conversion_age as age,
        coalesce(ages.conversion_age > accounts.maturity_days, false) as is_matured,
        curve.days_behind,
        case
            when ages.conversion_age > accounts.maturity_days then 1
            else curve.completion
        end as completion,
        accounts.version,
        accounts.click_incrementality_mean,
        accounts.view_incrementality_mean
    from {{ ref('int_lever_daily') }} as levers
    left join accounts
        on
            levers.platform = accounts.platform
            and levers.account_id = accounts.account_id
    left join {{ ref('int_report_ages') }} as ages
        on
            levers.platform = ages.platform
            and levers.account_id = ages.account_id
            and levers.date = ages.date
    left join curve
        on
            levers.platform = curve.platform
            and levers.account_id = curve.account_id
            and ages.conversion_age = curve.age
),

final as (
    select
        date,
        platform,
        account_id,
        track,
        lever_id,
        cost,
        conversions_click,
        conversions_view,
        age,
        is_matured,
        cast(completion as {{ type_of('FLOAT64') }}) as completion,
        case
            when is_matured then cast(0 as {{ type_of('FLOAT64') }})
            else sqrt(completion * (1 - completion) / (coalesce(days_behind, 0) + 1))
        end as completion_sd,
        {{ safe_ratio('conversions_click', 'completion') }} as corrected_click_conversions,
        {{ safe_ratio('conversions_view', 'completion') }} as corrected_view_conversions,
        {{ safe_ratio(
            '(conversions_click * click_incrementality_mean + conversions_view * view_incrementality_mean)',
            'completion'
        ) }} as reward,
        version as reward_version
    from aged
)

select * from final
