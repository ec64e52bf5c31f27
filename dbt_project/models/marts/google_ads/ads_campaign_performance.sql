-- ads_campaign_performance: one row per Google Ads account, campaign, account-local day, network and device.
-- Google's own control total: what ads_ad_daily must add up to, Performance Max included.
{{ daily_config(cluster=['account_id', 'campaign_id']) }}

with final as (
    select
        date,
        account_id,
        campaign_id,
        campaign_name,
        channel_type,
        network,
        device,
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
        {{ text_hash(['campaign_name']) }} as name_hash
    from {{ ref('stg_google_ads__campaign_performance') }}
    where {{ in_window('date') }}
)

select * from final
{{- physical_order('date') }}
