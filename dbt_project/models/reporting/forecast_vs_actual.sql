-- forecast_vs_actual: one row per forecast morning, target day and lever, at the budget then in force.
-- Actuals are what the platform says today: later days may still restate conversions. A lever of which nothing was
-- reported on a day of its account did nothing that day, once the day was read after it was over.
with landed as (
    select
        days.date,
        days.platform,
        days.account_id
    from {{ ref('int_report_ages') }} as days
    inner join {{ ref('stg_ops__accounts') }} as accounts
        on
            days.platform = accounts.platform
            and days.account_id = accounts.account_id
    where days.date < {{ day_in_zone('days.last_pulled_at', 'accounts.timezone') }}
),

forecasts as (
    select
        *,
        as_of_date
        = max(as_of_date) over (partition by target_date, platform, account_id, lever_id) as is_newest
    from {{ source('models', 'forecast_results') }}
    where is_current_budget
),

judged as (
    select
        forecasts.*,
        case when landed.date is not null then coalesce(actuals.cost, 0) end as actual_spend,
        case when landed.date is not null then coalesce(actuals.clicks, 0) end as actual_clicks,
        case when landed.date is not null then coalesce(actuals.conversions_click, 0) end
            as actual_conversions_click,
        case when landed.date is not null then coalesce(actuals.conversions_view, 0) end
            as actual_conversions_view
    from forecasts
    left join landed
        on
            forecasts.target_date = landed.date
            and forecasts.platform = landed.platform
            and forecasts.account_id = landed.account_id
    left join {{ ref('int_lever_daily') }} as actuals
        on
            forecasts.target_date = actuals.date
            and forecasts.platform = actuals.platform
            and forecasts.account_id = actuals.account_id
            and forecasts.lever_id = actuals.lever_id
)

select
    as_of_date,
    target_date,
    is_newest,
    {{ week_start('target_date') }} as target_week,
    platform,
    account_id,
    track,
    lever_id,
    budget,
    spend_p10,
    spend_p50,
    spend_p90,
    actual_spend,
    clicks_p10,
    clicks_p50,
    clicks_p90,
    actual_clicks,
    signups_p10,
    signups_p50,
    signups_p90,
    actual_conversions_click,
    actual_conversions_view,
    cac_p10,
    cac_p50,
    cac_p90,
    {{ safe_ratio('actual_spend', 'actual_conversions_click') }} as actual_cost_per_click_conversion,
    actual_clicks between clicks_p10 and clicks_p90 as clicks_inside_p10_p90
from judged
