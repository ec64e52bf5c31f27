-- int_placement_daily: one row per platform, account, track, campaign, placement and account-local day.
-- The placements of a day add up to ads_ad_daily. Where no placement was reported it is the platform's name.
with meta_days as (
    select
        date,
        account_id,
        campaign_id,
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

-- Meta days without a placement call, and platforms that have no placement.
unplaced as (
    select
        ads.date,
        ads.platform,
        ads.account_id,
        ads.campaign_id,
        ads.platform as placement,
        ads.impressions,
        ads.clicks,
        ads.cost,
        ads.conversions_click,
        ads.conversions_view
    from {{ ref('ads_ad_daily') }} as ads
    left join placed_days as placed
        on
            ads.platform = 'meta'
            and ads.account_id = placed.account_id
            and ads.date = placed.date
    where
        ads.platform in ('meta', 'tiktok', 'linkedin')
        and placed.account_id is null
),

placed as (
    select
        date,
        'meta' as platform,
        account_id,
        campaign_id,
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
        lower(network) as placement,
        impressions,
        clicks,
        cost,
        conversions as conversions_click,
        view_through_conversions as conversions_view
    from {{ ref('stg_google_ads__ad_performance') }}
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        coalesce(nullif(placement, '__none__'), platform) as placement,
        impressions,
        clicks,
        cost,
        conversions_click,
        conversions_view
    from file_days
    where breakdown_set = 'placement' or has_placements = 0
    union all
    select * from unplaced
),

summed as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        placement,
        {{ sum_count('coalesce(impressions, 0)') }} as impressions,
        {{ sum_count('coalesce(clicks, 0)') }} as clicks,
        sum(coalesce(cost, 0)) as cost,
        sum(coalesce(conversions_click, 0)) as conversions_click,
        sum(coalesce(conversions_view, 0)) as conversions_view
    from placed
    group by date, platform, account_id, campaign_id, placement
)

select
    summed.date,
    summed.platform,
    summed.account_id,
    tracks.track,
    summed.campaign_id,
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
