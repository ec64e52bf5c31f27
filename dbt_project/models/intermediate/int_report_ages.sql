-- int_report_ages: one row per platform, account and account-local day: its latest pull, and how old it was then.
-- A view: a day ages with every pull, whichever call it was. A day on which nothing happened was pulled, too.
{{ config(materialized='view') }}

select
    platform,
    account_id,
    date,
    max(last_pulled_at) as last_pulled_at,
    max(last_pulled_age) as age
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
