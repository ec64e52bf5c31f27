-- Numbers that landed as text nobody can read are NULL in staging: kept visible here, not blocking.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'stg_meta__insights'}}}) }}
{% set models = [
    'stg_meta__insights',
    'stg_meta__insights_by_placement',
    'stg_meta__hourly_spend',
    'stg_platforms__intraday_spend',
    'stg_meta__insights_by_hour',
    'stg_meta__insights_by_segment',
    'stg_google_ads__ad_performance',
    'stg_google_ads__campaign_performance',
    'stg_google_ads__campaign_by_hour',
    'stg_google_ads__demographics',
    'stg_google_ads__conversions',
    'stg_google_ads__keywords',
    'stg_tiktok__ads_report',
    'stg_linkedin__ad_analytics',
    'stg_files__ad_performance',
    'stg_impact__actions',
    'stg_ga4__reports',
    'stg_ga4__events',
] %}

with counted as (
    {%- for model in models %}
    select
        '{{ model }}' as model,
        platform,
        account_id,
        date,
        sum(unreadable_numbers) as unreadable_numbers
    from {{ ref(model) }}
    where {{ tested_days('date') }}
    group by platform, account_id, date
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from counted
where unreadable_numbers > 0
