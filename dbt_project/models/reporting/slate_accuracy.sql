-- slate_accuracy: one row per slate morning, track and rank: what was promised of a creative, and how it then did.
-- Judged on the seven days from the morning on, wherever the creative ran, at what was really spent on it. A
-- platform's conversion counts what the reward definition said when the slate was made.
{% set judged_days = 7 %}

with slates as (
    select
        *,
        {{ add_days('as_of_date', judged_days - 1) }} as last_judged_date
    from {{ source('models', 'slates') }}
),

-- The newest day an account has at all: a creative that stopped has fewer.
known as (
    select
        platform,
        account_id,
        max(date) as newest
    from {{ ref('int_account_days') }}
    group by platform, account_id
),

delivered as (
    select
        slates.as_of_date,
        slates.track,
        slates.rank,
        sum(creatives.cost) as actual_cost,
        sum(creatives.conversions_click) as actual_conversions_click,
        sum(creatives.conversions_view) as actual_conversions_view
    from slates
    inner join {{ ref('int_creative_daily') }} as creatives
        on
            slates.platform = creatives.platform
            and slates.account_id = creatives.account_id
            and slates.track = creatives.track
            and slates.creative_id = creatives.creative_id
            and creatives.date between slates.as_of_date and slates.last_judged_date
    group by slates.as_of_date, slates.track, slates.rank
),

judged as (
    select
        slates.as_of_date,
        slates.track,
        slates.rank,
        slates.platform,
        slates.account_id,
        slates.creative_id,
        slates.role,
        slates.budget,
        slates.last_judged_date,
        slates.cac_p10,
        slates.cac_p50,
        slates.cac_p90,
        delivered.actual_cost,
        delivered.actual_conversions_click,
        delivered.actual_conversions_view,
        coalesce(
            known.newest >= {{ add_days('slates.last_judged_date', 'eligibility.maturity_days') }}, false
        ) as is_matured,
        delivered.actual_conversions_click * slates.signups_per_click_conversion
        + delivered.actual_conversions_view * slates.signups_per_view_conversion as actual_signups
    from slates
    left join delivered
        on
            slates.as_of_date = delivered.as_of_date
            and slates.track = delivered.track
            and slates.rank = delivered.rank
    left join known
        on
            slates.platform = known.platform
            and slates.account_id = known.account_id
    left join {{ source('ops', 'decision_accounts') }} as eligibility
        on
            slates.as_of_date = eligibility.as_of_date
            and slates.platform = eligibility.platform
            and slates.account_id = eligibility.account_id
)

select
    *,
    {{ safe_ratio('actual_cost', 'actual_signups') }} as actual_cac,
    {{ safe_ratio('actual_cost', 'cac_p90') }} as promised_signups_low,
    {{ safe_ratio('actual_cost', 'cac_p50') }} as promised_signups,
    {{ safe_ratio('actual_cost', 'cac_p10') }} as promised_signups_high
from judged
