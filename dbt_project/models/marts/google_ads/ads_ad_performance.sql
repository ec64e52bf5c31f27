-- ads_ad_performance: one row per Google Ads account, ad, account-local day, network and device.
-- Ads as Google reports them; campaigns without ads are in ads_campaign_performance only.
{{ daily_config(cluster=['account_id', 'campaign_id']) }}

with final as (
    select
        date,
        account_id,
        campaign_id,
        campaign_name,
        ad_group_id,
        ad_group_name,
        ad_id,
        network,
        device,
        creative_id,
        currency,
        impressions,
        clicks,
        cost,
        conversions,
        view_through_conversions,
        conversions_value,
        video_views,
        video_view_rate,
        video_p25_rate,
        video_p50_rate,
        video_p75_rate,
        video_p100_rate,
        'click' as conversion_date_basis,
        true as is_modelled,
        {{ text_hash(['campaign_name', 'ad_group_name']) }} as name_hash
    from {{ ref('stg_google_ads__ad_performance') }}
    where {{ in_window('date') }}
)

select * from final
{{- physical_order('date') }}
