-- int_media_history_weekly: one row per week, track and channel of the media history files.
-- Files of several agencies add up; what a track sold stands on each row and is taken once.
with definition as (
    select * from {{ ref('stg_ops__reward_definitions') }}
)

select
    history.period_start as week,
    history.track,
    history.channel,
    sum(history.spend) as spend,
    {{ sum_count('history.impressions') }} as impressions,
    {{ sum_count('history.clicks') }} as clicks,
    sum(history.conversions_click) as conversions_click,
    sum(history.conversions_view) as conversions_view,
    max(history.promotion_share) as promotion_share,
    max(history.new_customers) as new_customers,
    max(history.revenue) as revenue,
    min(case when history.spend is null then 0 else 1 end) = 1 as is_read,
    min(
        case
            when {{ age_in_days('history._ingested_at', 'history.period_start') }} >= 7 + definition.maturity_days
                then 1
            else 0
        end
    ) = 1 as is_matured
from {{ ref('stg_files__media_history') }} as history
cross join definition
group by history.period_start, history.track, history.channel
