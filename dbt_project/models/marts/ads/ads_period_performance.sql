-- ads_period_performance: one row per platform, account, ad, placement, segment and period.
-- Exports without a day, kept out of the daily marts: shown and audited, never forecast from.
{{ config(materialized='table') }}

with final as (
    select
        platform,
        account_id,
        campaign_id,
        campaign_name,
        adgroup_id,
        ad_id,
        placement,
        segment,
        period,
        period_start,
        period_end,
        coalesce(impressions, 0) as impressions,
        coalesce(clicks, 0) as clicks,
        coalesce(cost, 0) as cost,
        coalesce(conversions_click, 0) as conversions_click,
        coalesce(conversions_view, 0) as conversions_view,
        revenue,
        currency
    from {{ ref('stg_files__period_performance') }}
)

select * from final
