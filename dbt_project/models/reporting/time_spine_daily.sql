-- time_spine_daily: one row per day from the first reported one on, 10,000 of them: what MetricFlow joins metrics to.
with digits as (
    {{ numbers(10, 'digit') }}
),

first_day as (
    select min(date) as first_date from {{ ref('ads_campaign_daily') }}
)

select
    {{ add_days(
        'first_day.first_date',
        'thousands.digit * 1000 + hundreds.digit * 100 + tens.digit * 10 + ones.digit'
    ) }} as date_day
from first_day
cross join digits as thousands
cross join digits as hundreds
cross join digits as tens
cross join digits as ones
where first_day.first_date is not null
