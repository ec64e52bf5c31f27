-- ads_campaign_daily: one row per platform, account, campaign and account-local day.
-- Ratios are taken from the sums, never averaged over ads.
{{ daily_config(cluster=['platform', 'account_id']) }}

with campaigns as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        max(campaign_name) as campaign_name,
        {{ sum_count('impressions') }} as impressions,
        {{ sum_count('clicks') }} as clicks,
        sum(cost) as cost,
        sum(conversions_click) as conversions_click,
        sum(conversions_view) as conversions_view,
        sum(revenue) as revenue,
        max(currency) as currency
    from {{ ref('ads_ad_daily') }}
    where {{ in_window('date') }}
    group by date, platform, account_id, campaign_id
),

final as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        campaign_name,
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
    from campaigns
)

select * from final
{{- physical_order('date') }}
