-- forecast_vs_actual: one row per forecast morning, target day and lever, at the budget then in force.
-- Actuals are what the platform says today: later days may still restate conversions.
with forecasts as (
    select
        *,
        as_of_date
        = max(as_of_date) over (partition by target_date, platform, account_id, lever_id) as is_newest
    from {{ source('models', 'forecast_results') }}
    where is_current_budget
)

select
    forecasts.as_of_date,
    forecasts.target_date,
    forecasts.is_newest,
    {{ week_start('forecasts.target_date') }} as target_week,
    forecasts.platform,
    forecasts.account_id,
    forecasts.track,
    forecasts.lever_id,
    forecasts.budget,
    forecasts.spend_p10,
    forecasts.spend_p50,
    forecasts.spend_p90,
    actuals.cost as actual_spend,
    forecasts.clicks_p10,
    forecasts.clicks_p50,
    forecasts.clicks_p90,
    actuals.clicks as actual_clicks,
    forecasts.signups_p10,
    forecasts.signups_p50,
    forecasts.signups_p90,
    actuals.conversions_click as actual_conversions_click,
    actuals.conversions_view as actual_conversions_view,
    forecasts.cac_p10,
    forecasts.cac_p50,
    forecasts.cac_p90,
    {{ safe_ratio('actuals.cost', 'actuals.conversions_click') }} as actual_cost_per_click_conversion,
    actuals.clicks between forecasts.clicks_p10 and forecasts.clicks_p90 as clicks_inside_p10_p90
from forecasts
left join {{ ref('int_lever_daily') }} as actuals
    on
        forecasts.target_date = actuals.date
        and forecasts.platform = actuals.platform
        and forecasts.account_id = actuals.account_id
        and forecasts.lever_id = actuals.lever_id
