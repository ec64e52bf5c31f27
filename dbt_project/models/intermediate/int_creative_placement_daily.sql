-- int_creative_placement_daily: one row per platform, account, track, campaign, creative, placement and day.
-- An ad whose creative is unknown stands for its own. The placements of a day add up to ads_ad_daily. Where no
-- placement was reported it is the platform's name.
-- Each stream is read once, by where its rows come from: a platform's name does not say (files carry any).
with meta_days as (
    select
        date,
        account_id,
        campaign_id,
        coalesce(creative_id, ad_id) as creative_id,
        publisher_platform || '_' || platform_position as placement,
        impressions,
        inline_link_clicks as clicks,
        spend as cost,
        purchases_7d_click as conversions_click,
        purchases_1d_view as conversions_view
    from {{ ref('meta_ad_performance_by_place') }}
),

file_days as (
    select
        *,
        max(case when breakdown_set = 'placement' then 1 else 0 end)
            over (partition by date, platform, account_id) as has_placements
    from {{ ref('stg_files__ad_performance') }}
),

placed_days as (
    select distinct
        date,
        account_id
    from {{ ref('meta_ad_performance_by_place') }}
),

-- Meta's own days without a placement call; a file's rows of an account called meta come with the files.
unplaced_meta_days as (
    select
        ads.date,
        ads.account_id,
        ads.campaign_id,
        coalesce(ads.creative_id, ads.ad_id) as creative_id,
        ads.impressions,
        ads.inline_link_clicks as clicks,
        ads.spend as cost,
        ads.purchases_7d_click as conversions_click,
        ads.purchases_1d_view as conversions_view
    from {{ ref('int_meta_ad_daily') }} as ads
    left join placed_days as placed
        on
            ads.account_id = placed.account_id
            and ads.date = placed.date
    where placed.account_id is null
),

placed as (
    select
        date,
        'meta' as platform,
        account_id,
        campaign_id,
        creative_id,
        placement,
        impressions,
        clicks,
        cost,
        conversions_click,
        conversions_view
    from meta_days
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        coalesce(creative_id, ad_id) as creative_id,
        lower(network) as placement,
        impressions,
        clicks,
        cost,
        conversions as conversions_click,
        view_through_conversions as conversions_view
    from {{ ref('int_google_ads_daily') }}
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        coalesce(creative_id, ad_id) as creative_id,
        coalesce(nullif(placement, '__none__'), platform) as placement,
        impressions,
        clicks,
        cost,
        conversions_click,
        conversions_view
    from file_days
    where breakdown_set = 'placement' or has_placements = 0
    union all
    select
        date,
        'meta' as platform,
        account_id,
        campaign_id,
        creative_id,
        'meta' as placement,
        impressions,
        clicks,
        cost,
        conversions_click,
        conversions_view
    from unplaced_meta_days
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        coalesce(creative_id, ad_id) as creative_id,
        platform as placement,
        impressions,
        clicks,
        spend as cost,
        conversions_click,
        conversions_view
    from {{ ref('stg_tiktok__ads_report') }}
    union all
    select
        date,
        platform,
        account_id,
        campaign_group_id as campaign_id,
        creative_id,
        platform as placement,
        impressions,
        clicks,
        spend as cost,
        conversions_post_click as conversions_click,
        conversions_post_view as conversions_view
    from {{ ref('stg_linkedin__ad_analytics') }}
),

summed as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        creative_id,
        placement,
        {{ sum_count('coalesce(impressions, 0)') }} as impressions,
        {{ sum_count('coalesce(clicks, 0)') }} as clicks,
        sum(coalesce(cost, 0)) as cost,
        sum(coalesce(conversions_click, 0)) as conversions_click,
        sum(coalesce(conversions_view, 0)) as conversions_view
    from placed
    group by date, platform, account_id, campaign_id, creative_id, placement
)

select
    summed.date,
    summed.platform,
    summed.account_id,
    tracks.track,
    summed.campaign_id,
    summed.creative_id,
    summed.placement,
    summed.impressions,
    summed.clicks,
    summed.cost,
    summed.conversions_click,
    summed.conversions_view
from summed
inner join {{ ref('int_campaign_tracks') }} as tracks
    on
        summed.platform = tracks.platform
        and summed.account_id = tracks.account_id
        and summed.campaign_id = tracks.campaign_id
