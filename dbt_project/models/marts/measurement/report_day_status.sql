-- report_day_status: one row per stream, platform, account, breakdown and report day: is it final yet?
-- Final: pulled completely when the platform's window had closed. A day nobody asked for again stays open.
-- A view, because a day ages with every pull and its rows do not change with it.
{{ config(materialized='view') }}
-- Age in days from which a platform no longer restates a day, as the connectors' reports say (a test compares).
{% set windows = {
    'meta_ads_insights': 28,
    'meta_ads_insights_by_placement': 28,
    'meta_ads_insights_by_segment': 28,
    'meta_ads_insights_by_hour': 3,
    'google_ads_ad_performance': 30,
    'google_ads_campaign_performance': 30,
    'google_ads_campaign_by_hour': 30,
    'google_ads_demographics': 30,
    'google_ads_conversions': 30,
    'tiktok_ads_report': 28,
    'linkedin_ad_analytics': 35,
    'impact_actions': 90,
    'ga4_reports': 12,
    'ga4_events': 4,
} %}

with windows as (
    {% for stream, days in windows.items() -%}
    select
        '{{ stream }}' as stream,
        cast({{ days }} as int64) as final_after_days
    {{ 'union all' if not loop.last }}
    {% endfor -%}
),

final as (
    select
        pulled.date,
        pulled.stream,
        pulled.platform,
        pulled.account_id,
        pulled.breakdown_set,
        pulled.last_pulled_at,
        pulled.last_pulled_age,
        windows.final_after_days,
        pulled.last_pulled_age >= windows.final_after_days as is_final
    from {{ ref('stg_ops__pulled_days') }} as pulled
    inner join windows on pulled.stream = windows.stream
)

select * from final
