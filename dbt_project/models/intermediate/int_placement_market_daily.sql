-- int_placement_market_daily: one row per platform, account, track, placement and day with impressions: what all that
-- ran there did, what an impression cost in the 90 days before, and how many ads others ran.
-- A table: the medians are read more than once.
{{ config(materialized='table') }}

with summed as (
    select
        date,
        platform,
        account_id,
        track,
        placement,
        {{ sum_count('impressions') }} as impressions,
        {{ sum_count('clicks') }} as clicks,
        sum(cost) as cost,
        {{ safe_ratio('sum(cost)', 'sum(impressions)') }} as cost_per_impression
    from {{ ref('int_placement_daily') }}
    group by date, platform, account_id, track, placement
),

shown as (
    select * from summed
    where impressions > 0
),

-- Neither engine has a median over days that roll, so they are put in order: 30 of the 90 must be known.
days_before as (
    select
        shown.date,
        shown.platform,
        shown.account_id,
        shown.track,
        shown.placement,
        earlier.cost_per_impression,
        row_number() over (
            partition by shown.date, shown.platform, shown.account_id, shown.track, shown.placement
            order by earlier.cost_per_impression, earlier.date
        ) as position,
        count(*) over (
            partition by shown.date, shown.platform, shown.account_id, shown.track, shown.placement
        ) as days
    from shown
    inner join shown as earlier
        on
            shown.platform = earlier.platform
            and shown.account_id = earlier.account_id
            and shown.track = earlier.track
            and shown.placement = earlier.placement
            and shown.date > earlier.date
            and earlier.date >= {{ add_days('shown.date', '-90') }}
),

medians as (
    select
        date,
        platform,
        account_id,
        track,
        placement,
        avg(cost_per_impression) as cost_per_impression
    from days_before
    where
        days >= 30
        and 2 * position between days and days + 2        -- the middle one, or the middle two
    group by date, platform, account_id, track, placement
),

-- From a search's first answer to its last; one that was cut short counts nothing.
searches as (
    select
        query_hash,
        min(first_seen) as first_day,
        max(last_seen) as last_day
    from {{ ref('stg_ad_library__ads') }}
    group by query_hash
    having max(case when search_truncated then 1 else 0 end) = 0
),

-- Days as ISO texts, as the library gives them. An ad no longer found is taken to have ended when last found.
others as (
    select
        query_hash,
        ad_archive_id,
        coalesce(substr(delivery_start, 1, 10), cast(first_seen as string)) as started,
        least(
            coalesce(substr(delivery_stop, 1, 10), cast(last_seen as string)), cast(last_seen as string)
        ) as ended
    from {{ ref('stg_ad_library__ads') }}
),

meta_days as (
    select distinct date
    from shown
    where platform = 'meta'        -- the library tells of no other platform
),

competitors as (
    select
        meta_days.date,
        count(
            distinct case
                when cast(meta_days.date as string) between others.started and others.ended
                    then others.ad_archive_id
            end
        ) as ads
    from meta_days
    inner join searches on meta_days.date between searches.first_day and searches.last_day
    inner join others on searches.query_hash = others.query_hash
    group by meta_days.date
)

select
    shown.date,
    shown.platform,
    shown.account_id,
    shown.track,
    shown.placement,
    shown.impressions,
    shown.clicks,
    shown.cost,
    shown.cost_per_impression,
    medians.cost_per_impression as trailing_cost_per_impression,
    case when shown.platform = 'meta' then competitors.ads end as competitor_ads,
    min(shown.date) over (
        partition by shown.platform, shown.account_id, shown.track, shown.placement
    ) as first_date
from shown
left join medians
    on
        shown.date = medians.date
        and shown.platform = medians.platform
        and shown.account_id = medians.account_id
        and shown.track = medians.track
        and shown.placement = medians.placement
left join competitors on shown.date = competitors.date
