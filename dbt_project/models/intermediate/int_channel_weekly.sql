-- int_channel_weekly: one row per week, track and channel of the accounts' daily reports.
-- Weeks run from the first that began after the track's first delivery, so that it is whole, to the last read. A
-- channel without delivery in a week that was read spent 0; where a day of one of its accounts was not read, nothing
-- is said (NULL).
-- A table, made anew with every build: the media mix reads it several times, and it reaches down to every pull.
{{ config(materialized='table') }}

with campaigns as (
    select
        daily.date,
        daily.platform,
        daily.account_id,
        channels.track,
        channels.channel,
        daily.impressions,
        daily.clicks,
        daily.cost,
        daily.conversions_click,
        daily.conversions_view
    from {{ ref('ads_campaign_daily') }} as daily
    inner join {{ ref('int_campaign_channels') }} as channels
        on
            daily.platform = channels.platform
            and daily.account_id = channels.account_id
            and daily.campaign_id = channels.campaign_id
),

daily as (
    select
        date,
        track,
        channel,
        {{ sums(['impressions', 'clicks', 'cost', 'conversions_click', 'conversions_view']) }}
    from campaigns
    group by date, track, channel
),

begun as (
    select
        track,
        min(date) as first_day
    from daily
    group by track
),

accounts as (
    select distinct
        track,
        channel,
        platform,
        account_id
    from campaigns
),

told as (
    select
        weeks.week,
        accounts.track,
        accounts.channel,
        min(case when weeks.is_read then 1 else 0 end) = 1 as is_read,
        min(case when weeks.is_matured then 1 else 0 end) = 1 as is_matured
    from accounts
    inner join begun on accounts.track = begun.track
    inner join {{ ref('int_account_weeks') }} as weeks
        on
            accounts.platform = weeks.platform
            and accounts.account_id = weeks.account_id
            and begun.first_day <= weeks.week
    group by weeks.week, accounts.track, accounts.channel
),

final as (
    select
        told.week,
        told.track,
        told.channel,
        told.is_read,
        told.is_matured,
        sum(daily.cost) as cost,
        {{ sum_count('daily.impressions') }} as impressions,
        {{ sum_count('daily.clicks') }} as clicks,
        sum(daily.conversions_click) as conversions_click,
        sum(daily.conversions_view) as conversions_view
    from told
    left join daily
        on
            told.track = daily.track
            and told.channel = daily.channel
            and daily.date between told.week and {{ add_days('told.week', '6') }}
    group by told.week, told.track, told.channel, told.is_read, told.is_matured
)

select
    week,
    track,
    channel,
    is_read,
    is_matured,
    case when is_read then coalesce(cost, 0) end as spend,
    case when is_read then coalesce(impressions, 0) end as impressions,
    case when is_read then coalesce(clicks, 0) end as clicks,
    case when is_read then coalesce(conversions_click, 0) end as conversions_click,
    case when is_read then coalesce(conversions_view, 0) end as conversions_view
from final
