-- int_report_ages: one row per platform, account and account-local day: when it was pulled last, and how old it was
-- when two of its calls were. A view: a day ages as these are repeated. A day without delivery was pulled, too.
-- conversion_age: of the call that tells its conversions (int_conversion_ages), whatever other calls were repeated
-- later. On Google Ads the campaigns' call counts as well, which alone tells Performance Max: the one pulled at the
-- younger age. Where none of them told of the day, its conversions are another call's (placements alone): the latest.
-- youngest_age: of the call that was not repeated for longest; at that age the day was known in every breakdown.
-- Calls and files whose latest pull holds no rows count where no other holds any: what was taken over stays as it is.
-- is_matured: by the reward and the accounts' ages in force; without either nothing is.
{{ config(materialized='view') }}

with pulled as (
    select
        platform,
        account_id,
        date,
        max(last_pulled_at) as last_pulled_at,
        coalesce(min(case when has_rows then last_pulled_age end), min(last_pulled_age)) as youngest_age,
        max(last_pulled_age) as oldest_age,
        min(case when stream = 'google_ads_campaign_performance' then last_pulled_age end) as campaign_age
    from {{ ref('stg_ops__pulled_days') }}
    where
        stream in (
            'meta_ads_insights',
            'meta_ads_insights_by_placement',
            'google_ads_ad_performance',
            'google_ads_campaign_performance',
            'tiktok_ads_report',
            'linkedin_ad_analytics',
            'file_ad_performance'
        )
    group by platform, account_id, date
),

aged as (
    select
        pulled.platform,
        pulled.account_id,
        pulled.date,
        pulled.last_pulled_at,
        least(
            coalesce(conversions.age, pulled.oldest_age), coalesce(pulled.campaign_age, pulled.oldest_age)
        ) as conversion_age,
        pulled.youngest_age
    from pulled
    left join {{ ref('int_conversion_ages') }} as conversions
        on
            pulled.platform = conversions.platform
            and pulled.account_id = conversions.account_id
            and pulled.date = conversions.date
),

maturity as (
    select
        accounts.platform,
        accounts.account_id,
        coalesce(accounts.maturity_days, definition.maturity_days) as maturity_days
    from {{ ref('stg_ops__accounts') }} as accounts
    cross join {{ ref('stg_ops__reward_definitions') }} as definition
)

select
    aged.*,
    coalesce(aged.conversion_age > maturity.maturity_days, false) as is_matured
from aged
left join maturity
    on
        aged.platform = maturity.platform
        and aged.account_id = maturity.account_id
