-- int_creative_daily: one row per platform, account, track, creative and account-local day.
-- An ad whose creative is unknown stands for its own creative.
select
    ads.date,
    ads.platform,
    ads.account_id,
    tracks.track,
    coalesce(ads.creative_id, ads.ad_id) as creative_id,
    {{ sum_count('ads.impressions') }} as impressions,
    {{ sum_count('ads.clicks') }} as clicks,
    sum(ads.cost) as cost,
    sum(ads.conversions_click) as conversions_click,
    sum(ads.conversions_view) as conversions_view,
    coalesce(ages.is_matured, false) as is_matured
from {{ ref('ads_ad_daily') }} as ads
inner join {{ ref('int_campaign_tracks') }} as tracks
    on
        ads.platform = tracks.platform
        and ads.account_id = tracks.account_id
        and ads.campaign_id = tracks.campaign_id
left join {{ ref('int_report_ages') }} as ages
    on
        ads.platform = ages.platform
        and ads.account_id = ages.account_id
        and ads.date = ages.date
group by
    ads.date, ads.platform, ads.account_id, tracks.track, coalesce(ads.creative_id, ads.ad_id), ages.is_matured
