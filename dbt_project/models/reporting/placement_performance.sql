-- placement_performance: one row per Meta ad, day, platform, position and device, with whether it shows a video.
-- Meta tells 0 plays of a still image: only what its creative did elsewhere tells it from a video nobody watched.
select
    performance.date,
    performance.account_id,
    performance.campaign_id,
    performance.campaign_name,
    performance.adset_id,
    performance.adset_name,
    performance.ad_id,
    performance.ad_name,
    performance.publisher_platform,
    performance.platform_position,
    performance.impression_device,
    performance.currency,
    performance.impressions,
    performance.inline_link_clicks,
    performance.spend,
    performance.purchases_7d_click,
    performance.purchases_1d_view,
    performance.purchase_value_7d_click,
    performance.video_3s_views,
    videos.creative_id is not null as is_video
from {{ ref('meta_ad_performance_by_place') }} as performance
left join {{ ref('creative_video_views') }} as videos
    on
        videos.platform = 'meta'
        and performance.account_id = videos.account_id
        and performance.creative_id = videos.creative_id
