-- Per week and track told by reports and complete, all channels together spent what the campaigns did, to the cent.
{{ config(meta={'dagster': {'ref': {'name': 'mmm_input_weekly'}}}) }}

with weeks as (
    select
        week,
        track,
        sum(spend) as spend
    from {{ ref('mmm_input_weekly') }}
    where told_by = 'reports' and is_complete
    group by week, track
),

campaigns as (
    select
        daily.date,
        tracks.track,
        sum(daily.cost) as cost
    from {{ ref('ads_campaign_daily') }} as daily
    inner join {{ ref('int_campaign_tracks') }} as tracks
        on
            daily.platform = tracks.platform
            and daily.account_id = tracks.account_id
            and daily.campaign_id = tracks.campaign_id
    group by daily.date, tracks.track
)

select
    weeks.week,
    weeks.track,
    weeks.spend,
    sum(coalesce(campaigns.cost, 0)) as cost
from weeks
left join campaigns
    on
        weeks.track = campaigns.track
        and campaigns.date between weeks.week and {{ add_days('weeks.week', '6') }}
group by weeks.week, weeks.track, weeks.spend
having weeks.spend != sum(coalesce(campaigns.cost, 0))
