-- int_experiment_cells: one row per test, arm, period, hour and segment; users of one cell add up.
-- What a column does not tell stays NULL: 0 users and users not told are different things.
with added_up as (
    select
        platform,
        account_id,
        test_id,
        arm,
        period_start,
        period_end,
        hour,
        segment,
        max(test_name) as test_name,
        max(kind) as kind,
        max(track) as track,
        max(primary_metric) as primary_metric,
        max(planned_share) as planned_share,
        max(case when is_control then 1 else 0 end) = 1 as is_control,
        {{ sum_count('users') }} as users,
        {{ sum_count('impressions') }} as impressions,
        {{ sum_count('link_clicks') }} as link_clicks,
        sum(conversions_click) as conversions_click,
        sum(conversions_view) as conversions_view,
        sum(orders) as orders,
        {{ sum_count('positive_answers') }} as positive_answers,
        {{ sum_count('positive_answers + negative_answers') }} as answers,
        sum(spend) as spend
    from {{ ref('stg_files__experiment_arms') }}
    group by platform, account_id, test_id, arm, period_start, period_end, hour, segment
)

-- Apart from the sums: beside `group by hour`, which `hour` is meant (the column or its alias) is up to the engine.
select
    platform,
    account_id,
    test_id,
    arm,
    period_start,
    period_end,
    concat(hour, '|', segment) as cell,
    nullif(hour, '__none__') as hour,
    nullif(segment, '__none__') as segment,
    test_name,
    kind,
    track,
    primary_metric,
    planned_share,
    is_control,
    users,
    impressions,
    link_clicks,
    conversions_click,
    conversions_view,
    orders,
    positive_answers,
    answers,
    spend
from added_up
