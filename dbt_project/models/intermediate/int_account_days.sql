-- int_account_days: one row per platform, account and account-local day, for the plausibility audit.
-- cost_digit_1 … cost_digit_9 count ad rows by the leading digit of their cost (Benford); zero cost has none.
with ads as (
    select
        date,
        platform,
        account_id,
        impressions,
        clicks,
        cost,
        conversions_click,
        conversions_view,
        substr(ltrim(replace(cast(cost as string), '.', ''), '0'), 1, 1) as leading_digit
    from {{ ref('ads_ad_daily') }}
)

select
    date,
    platform,
    account_id,
    count(*) as {{ quoted('rows') }},
    {{ sum_count('impressions') }} as impressions,
    {{ sum_count('clicks') }} as clicks,
    sum(cost) as cost,
    sum(conversions_click) as conversions_click,
    sum(conversions_view) as conversions_view,
    {{ sum_count("case when leading_digit = '1' then 1 else 0 end") }} as cost_digit_1,
    {{ sum_count("case when leading_digit = '2' then 1 else 0 end") }} as cost_digit_2,
    {{ sum_count("case when leading_digit = '3' then 1 else 0 end") }} as cost_digit_3,
    {{ sum_count("case when leading_digit = '4' then 1 else 0 end") }} as cost_digit_4,
    {{ sum_count("case when leading_digit = '5' then 1 else 0 end") }} as cost_digit_5,
    {{ sum_count("case when leading_digit = '6' then 1 else 0 end") }} as cost_digit_6,
    {{ sum_count("case when leading_digit = '7' then 1 else 0 end") }} as cost_digit_7,
    {{ sum_count("case when leading_digit = '8' then 1 else 0 end") }} as cost_digit_8,
    {{ sum_count("case when leading_digit = '9' then 1 else 0 end") }} as cost_digit_9
from ads
group by date, platform, account_id
