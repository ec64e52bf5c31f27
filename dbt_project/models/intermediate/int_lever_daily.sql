-- int_lever_daily: one row per platform, account, track, lever and account-local day: what a lever's ads did.
-- The lowest lever that was there on the day or later wins, else the lowest an ad ever had: an archived lever keeps
-- its history, and the days after it go to the lever above, where there is one (its campaign took over the budget).
-- Ads no lever reaches are left out: nothing can be moved there.
with levers as (
    select * from {{ ref('int_levers') }}
),

reached as (
    select
        ads.date,
        ads.platform,
        ads.account_id,
        ads.campaign_id,
        {{ joined_lever_id('ads.date') }} as lever_id,
        ads.impressions,
        ads.clicks,
        ads.cost,
        ads.conversions_click,
        ads.conversions_view,
        ads.revenue
    from {{ ref('ads_ad_daily') }} as ads
    {{ joined_levers('ads') }}
)

select
    reached.date,
    reached.platform,
    reached.account_id,
    tracks.track,
    reached.lever_id,
    {{ sum_count('reached.impressions') }} as impressions,
    {{ sum_count('reached.clicks') }} as clicks,
    sum(reached.cost) as cost,
    sum(reached.conversions_click) as conversions_click,
    sum(reached.conversions_view) as conversions_view,
    sum(reached.revenue) as revenue
from reached
inner join {{ ref('int_campaign_tracks') }} as tracks
    on
        reached.platform = tracks.platform
        and reached.account_id = tracks.account_id
        and reached.campaign_id = tracks.campaign_id
where reached.lever_id is not null
group by reached.date, reached.platform, reached.account_id, tracks.track, reached.lever_id
