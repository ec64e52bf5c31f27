-- conversion_delay: one row per platform, account and age in days: how conversions of a day arrive as it ages.
-- Read from restatements, so ages are only as fine as the pulls: what comes between two pulls shows at the later one.
-- A day counts at an age only while it was followed: from its first pull to its last, unchanged pulls included.
-- share_arrived chains the growth from each age to the next over the days seen at both, so days that are still young
-- and days first pulled late (a backfill) bias nothing. It is a share of what is known at the oldest age to which
-- conversions were followed: of older ages only days without any tell, so it is NULL there, and all over an account
-- that knows none. Before an age at which the first conversions come, nothing has arrived: 0; where younger days know
-- some, what comes from nothing at a later age says no more of the others: there the chain stands still.
-- conversions_known and conversions_known_before are what that growth rests on; the forecast learns from them.
{{ config(materialized='view') }}

with known as (
    select
        *,
        lead(age) over (
            partition by stream, breakdown_set, platform, account_id, date
            order by age
        ) as next_age,
        max(date) over (partition by platform, account_id) as newest
    from {{ ref('int_conversions_as_known') }}
),

-- The newest 180 days of an account: delays change with its campaigns and windows.
recent as (
    select
        known.stream,
        known.breakdown_set,
        known.platform,
        known.account_id,
        known.date,
        known.age,
        known.conversions,
        coalesce(known.next_age - 1, least(pulled.last_pulled_age, {{ var('oldest_age') }})) as last_age
    from known
    inner join {{ ref('stg_ops__pulled_days') }} as pulled
        on
            known.stream = pulled.stream
            and known.breakdown_set = pulled.breakdown_set
            and known.platform = pulled.platform
            and known.account_id = pulled.account_id
            and known.date = pulled.date
    where
        known.date > {{ add_days('known.newest', '-180') }}
        -- What the calls took over was emptied, not taken back: it was followed until then.
        and (known.stream != 'file_ad_performance' or known.next_age is not null or pulled.has_rows)
),

ages as (
    {{ numbers((var('oldest_age') | int) + 1, 'age') }}
),

followed as (
    select
        recent.stream,
        recent.breakdown_set,
        recent.platform,
        recent.account_id,
        recent.date,
        ages.age,
        recent.conversions,
        lag(recent.conversions) over (
            partition by recent.stream, recent.breakdown_set, recent.platform, recent.account_id, recent.date
            order by ages.age
        ) as conversions_before
    from recent
    inner join ages on ages.age between recent.age and recent.last_age
),

-- What the first pull brings arrived by then, if that pull was no later than the day after.
by_age as (
    select
        platform,
        account_id,
        age,
        count(*) as cohort_days,
        sum(conversions - coalesce(conversions_before, 0)) as conversions_arrived,
        sum(conversions) as known,
        sum(case when conversions_before is not null then conversions end) as known_now,
        sum(conversions_before) as known_before
    from followed
    where conversions_before is not null or age <= 1
    group by platform, account_id, age
),

growth as (
    select
        *,
        case
            when known_now > 0 and known_before > 0 then ln({{ safe_ratio('known_now', 'known_before') }})
            else 0
        end as log_growth,
        case when known_now > 0 and known_before = 0 then 1 else 0 end as grew_from_nothing,
        max(case when known_now > 0 or known_before > 0 then age end) over (partition by platform, account_id)
            as oldest_known_age,
        min(case when known > 0 or known_before > 0 then age end) over (partition by platform, account_id)
            as first_known_age,
        count(*) over (partition by platform, account_id) as ages_seen
    from by_age
),

final as (
    select
        platform,
        account_id,
        cast(age as int64) as age,
        cohort_days,
        conversions_arrived,
        known_now as conversions_known,
        known_before as conversions_known_before,
        case
            when ages_seen > 1 and age <= oldest_known_age then
                case
                    when sum(case when age = first_known_age then grew_from_nothing end) over later_ages > 0
                        then cast(0 as {{ type_of('FLOAT64') }})
                    else round(exp(-coalesce(sum(log_growth) over later_ages, 0)), 12)
                end
        end as share_arrived
    from growth
    window later_ages as (
        partition by platform, account_id
        order by age
        rows between 1 following and unbounded following
    )
)

select * from final
