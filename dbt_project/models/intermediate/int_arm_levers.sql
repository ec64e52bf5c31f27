-- int_arm_levers: one row per platform, account and ad seen in the account's last 90 days, with the lever that
-- moves it now. The lowest lever wins (ad, then ad group, then campaign). An ad no lever reaches has none.
with newest as (
    select
        platform,
        account_id,
        max(date) as date
    from {{ ref('ads_campaign_daily') }}
    group by platform, account_id
),

-- The bound of the account that stopped first, as one value that lets the scan skip days.
bound as (
    select {{ add_days('min(date)', '-90') }} as date
    from newest
),

ranked as (
    select
        ads.platform,
        ads.account_id,
        ads.campaign_id,
        ads.adgroup_id,
        ads.ad_id,
        ads.creative_id,
        row_number() over (
            partition by ads.platform, ads.account_id, ads.ad_id
            order by ads.date desc
        ) as recency
    from {{ ref('ads_ad_daily') }} as ads
    inner join newest
        on
            ads.platform = newest.platform
            and ads.account_id = newest.account_id
            and ads.date > {{ add_days('newest.date', '-90') }}
    where ads.date > (select bound.date from bound)
),

arms as (
    select * from ranked
    where recency = 1
),

levers as (
    select * from {{ ref('int_levers') }}
    where is_current
)

select
    arms.platform,
    arms.account_id,
    arms.campaign_id,
    arms.adgroup_id,
    arms.ad_id,
    arms.creative_id,
    {{ joined_lever_id() }} as lever_id,
    tracks.track
from arms
inner join {{ ref('int_campaign_tracks') }} as tracks
    on
        arms.platform = tracks.platform
        and arms.account_id = tracks.account_id
        and arms.campaign_id = tracks.campaign_id
{{ joined_levers('arms') }}
