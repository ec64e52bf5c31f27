-- int_track_daily: one row per platform, account, track and account-local day: what a track's levers did together.
-- Long histories are read here: events come once a year, and levers are many.
select
    date,
    platform,
    account_id,
    track,
    {{ sum_count('impressions') }} as impressions,
    {{ sum_count('clicks') }} as clicks,
    sum(cost) as cost,
    sum(conversions_click) as conversions_click,
    sum(conversions_view) as conversions_view
from {{ ref('int_lever_daily') }}
group by date, platform, account_id, track
