-- int_report_ages: one row per platform, account and account-local day: its latest pull, and how old it was then.
-- A view: a day ages with every pull, whichever call it was. A day on which nothing happened was pulled, too.
-- conversion_age: of the call that tells its conversions (int_conversion_ages), whatever other calls were repeated
-- later. On Google Ads the campaigns' call counts as well, which alone tells Performance Max: the one pulled at the
-- younger age. Where none of them told of the day, its conversions are another call's (placements alone): the latest.
-- youngest_age: of the call that was not repeated for longest; at that age the day was known in every breakdown.
{{ config(materialized='view') }}

with pulled as (
    select
        platform,
        account_id,
        date,
        max(last_pulled_at) as last_pulled_at,
        min(last_pulled_age) as youngest_age,
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
)

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
