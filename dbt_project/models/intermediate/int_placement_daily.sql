-- int_placement_daily: one row per platform, account, track, campaign, placement and account-local day.
-- The placements of a day add up to ads_ad_daily. Where no placement was reported it is the platform's name.
select
    date,
    platform,
    account_id,
    track,
    campaign_id,
    placement,
    {{ sum_count('impressions') }} as impressions,
    {{ sum_count('clicks') }} as clicks,
    sum(cost) as cost,
    sum(conversions_click) as conversions_click,
    sum(conversions_view) as conversions_view
from {{ ref('int_creative_placement_daily') }}
group by date, platform, account_id, track, campaign_id, placement
