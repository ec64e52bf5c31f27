-- stg_ga4__sessions: one row per property, browser, session and property day, of browsers that consented to be known.
-- A session over midnight has a row on each day, as Google counts it. Its channel is that of its first event
-- with one; source is NULL where none has.
with events as (
    select
        *,
        -- A Google click id is only ever on an ad's link; Facebook's is on every link that leaves Facebook.
        coalesce(
            nullif(traffic_source, '(direct)'),
            case when gclid is not null then 'google' when fbclid is not null then 'facebook' end
        ) as source,
        case
            when coalesce(traffic_source, '(direct)') = '(direct)' and gclid is not null then 'cpc'
            when traffic_source = '(direct)' then null  -- its medium is that of no channel
            else traffic_medium
        end as medium
    from {{ ref('stg_ga4__events') }}
    where user_pseudo_id_hash is not null and ga_session_id is not null
),

ranked as (
    select
        *,
        row_number() over (
            partition by platform, account_id, date, user_pseudo_id_hash, ga_session_id
            order by case when source is null then 1 else 0 end, event_at, event_hash
        ) as place
    from events
)

select
    platform,
    account_id,
    date,
    user_pseudo_id_hash,
    ga_session_id,
    min(event_at) as started_at,
    max(event_at) as ended_at,
    count(*) as events,
    count(case when event_name = 'page_view' then 1 end) as page_views,
    count(case when event_name = 'purchase' then 1 end) as purchases,
    max(case when place = 1 then source end) as source,
    max(case when place = 1 and source is not null then medium end) as medium,
    max(case when place = 1 and source is not null then traffic_campaign end) as campaign,
    max(gclid) as gclid,
    max(fbclid) as fbclid,
    max(device_category) as device_category,
    max(country) as country
from ranked
group by platform, account_id, date, user_pseudo_id_hash, ga_session_id
