-- ads_ad_daily: one row per platform, account, ad and account-local day.
-- conversions are the click window's; view conversions stand beside them, never added.
{{ daily_config(cluster=['platform', 'account_id', 'campaign_id']) }}

with meta as (
    select
        date,
        'meta' as platform,
        account_id,
        campaign_id,
        campaign_name,
        adset_id as adgroup_id,
        ad_id,
        creative_id,
        currency,
        impressions,
        inline_link_clicks as clicks,
        spend as cost,
        purchases_7d_click as conversions_click,
        purchases_1d_view as conversions_view,
        purchase_value_7d_click as revenue
    from {{ ref('int_meta_ad_daily') }}
    where {{ in_window('date') }}
),

google_ads as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        max(campaign_name) as campaign_name,
        ad_group_id as adgroup_id,
        ad_id,
        max(creative_id) as creative_id,
        max(currency) as currency,
        {{ sum_count('impressions') }} as impressions,
        {{ sum_count('clicks') }} as clicks,
        sum(cost) as cost,
        sum(conversions) as conversions_click,
        sum(view_through_conversions) as conversions_view,
        sum(conversions_value) as revenue
    from {{ ref('int_google_ads_daily') }}
    where {{ in_window('date') }}
    group by date, platform, account_id, campaign_id, ad_group_id, ad_id
),

tiktok as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        campaign_name,
        adgroup_id,
        ad_id,
        creative_id,
        currency,
        impressions,
        clicks,
        spend as cost,
        conversions_click,
        conversions_view,
        total_purchase_value as revenue
    from {{ ref('stg_tiktok__ads_report') }}
    where {{ in_window('date') }}
),

linkedin as (
    select
        date,
        platform,
        account_id,
        campaign_group_id as campaign_id,
        campaign_group_name as campaign_name,
        campaign_id as adgroup_id,
        creative_id as ad_id,
        creative_id,
        currency,
        impressions,
        clicks,
        spend as cost,
        conversions_post_click as conversions_click,
        conversions_post_view as conversions_view,
        conversion_value as revenue
    from {{ ref('stg_linkedin__ad_analytics') }}
    where {{ in_window('date') }}
),

files as (
    select
        landed.date,
        landed.platform,
        landed.account_id,
        landed.campaign_id,
        max(landed.campaign_name) as campaign_name,
        landed.adgroup_id,
        landed.ad_id,
        max(landed.creative_id) as creative_id,
        max(landed.currency) as currency,
        {{ sum_count('landed.impressions') }} as impressions,
        {{ sum_count('landed.clicks') }} as clicks,
        sum(landed.cost) as cost,
        sum(landed.conversions_click) as conversions_click,
        sum(landed.conversions_view) as conversions_view,
        sum(landed.revenue) as revenue
    from {{ ref('stg_files__ad_performance') }} as landed
    left join {{ ref('stg_ops__slices_without_breakdown') }} as totals
        on
            totals.stream = 'file_ad_performance'
            and landed.platform = totals.platform
            and landed.account_id = totals.account_id
            and landed.date = totals.date
    where
        -- each breakdown repeats the full total
        (landed.breakdown_set = 'none' or totals.account_id is null)
        and {{ in_window('landed.date') }}
    group by
        landed.date, landed.platform, landed.account_id, landed.campaign_id, landed.adgroup_id, landed.ad_id
),

platforms as (
    select * from meta
    union all
    select * from google_ads
    union all
    select * from tiktok
    union all
    select * from linkedin
    union all
    select * from files
),

-- A platform leaves out what did not happen, so a missing count is none. Missing revenue stays unknown.
completed as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        campaign_name,
        adgroup_id,
        ad_id,
        creative_id,
        coalesce(impressions, 0) as impressions,
        coalesce(clicks, 0) as clicks,
        coalesce(cost, 0) as cost,
        coalesce(conversions_click, 0) as conversions_click,
        coalesce(conversions_view, 0) as conversions_view,
        revenue,
        currency
    from platforms
),

final as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        campaign_name,
        adgroup_id,
        ad_id,
        creative_id,
        impressions,
        clicks,
        cost,
        conversions_click as conversions,
        conversions_click,
        conversions_view,
        revenue,
        {{ safe_ratio('clicks', 'impressions') }} as ctr,
        {{ safe_ratio('conversions_click', 'clicks') }} as cvr,
        {{ safe_ratio('cost', 'clicks') }} as avg_cpc,
        currency,
        {{ text_hash(['campaign_name']) }} as name_hash
    from completed
)

select * from final
{{- physical_order('date') }}
