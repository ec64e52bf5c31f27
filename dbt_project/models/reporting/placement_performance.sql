-- placement_performance: one row per Meta ad, day, platform, position and device, with whether it shows a video.
-- Meta tells 0 plays of a still image: only what its creative did elsewhere tells it from a video nobody watched.
with played as (
    select
        account_id,
        creative_id
    from {{ ref('creative_video_views') }}
    where platform = 'meta'
    union distinct
    select        -- an account, or its plays, may have come by placement alone
        account_id,
        coalesce(creative_id, ad_id) as creative_id
    from {{ ref('meta_ad_performance_by_place') }}
    where video_3s_views > 0
)

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
    played.creative_id is not null as is_video
from {{ ref('meta_ad_performance_by_place') }} as performance
left join played
    on
        performance.account_id = played.account_id
        and coalesce(performance.creative_id, performance.ad_id) = played.creative_id
