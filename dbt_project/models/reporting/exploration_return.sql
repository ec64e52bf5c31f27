-- exploration_return: one row per track, platform, account, creative and day it ran on while a slate had it.
-- A slate speaks for the seven days from its morning on; of several the newest, so that a day counts once.
{% set slate_days = 7 %}

with delivered as (
    select
        creatives.date,
        slates.as_of_date,
        creatives.track,
        creatives.platform,
        creatives.account_id,
        creatives.creative_id,
        slates.role,
        creatives.impressions,
        creatives.clicks,
        creatives.cost,
        creatives.conversions_click,
        creatives.conversions_view,
        row_number() over (
            partition by
                creatives.date, creatives.track, creatives.platform, creatives.account_id, creatives.creative_id
            order by slates.as_of_date desc, slates.rank asc
        ) as slate_age
    from {{ ref('int_creative_daily') }} as creatives
    inner join {{ source('models', 'slates') }} as slates
        on
            creatives.track = slates.track
            and creatives.platform = slates.platform
            and creatives.account_id = slates.account_id
            and creatives.creative_id = slates.creative_id
            and creatives.date between slates.as_of_date and {{ add_days('slates.as_of_date', slate_days - 1) }}
),

known as (
    select
        platform,
        account_id,
        max(date) as newest
    from {{ ref('int_account_days') }}
    group by platform, account_id
)

select
    delivered.date,
    delivered.as_of_date,
    delivered.track,
    delivered.platform,
    delivered.account_id,
    delivered.creative_id,
    delivered.role,
    delivered.impressions,
    delivered.clicks,
    delivered.cost,
    delivered.conversions_click,
    delivered.conversions_view,
    coalesce(
        known.newest >= {{ add_days('delivered.date', 'eligibility.maturity_days') }}, false
    ) as is_matured
from delivered
left join known
    on
        delivered.platform = known.platform
        and delivered.account_id = known.account_id
left join {{ source('ops', 'decision_accounts') }} as eligibility
    on
        delivered.as_of_date = eligibility.as_of_date
        and delivered.platform = eligibility.platform
        and delivered.account_id = eligibility.account_id
where delivered.slate_age = 1
