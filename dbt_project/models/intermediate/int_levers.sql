-- int_levers: one row per platform, account and lever, as of the last day it was seen.
-- is_current: seen in its account's latest snapshot (declared levers: on the account's latest day). An archived lever
-- keeps the days up to `last_seen`; after it, a higher lever that reaches its ads takes them (`macros/levers.sql`).
with ranked as (
    select
        *,
        row_number() over (
            partition by platform, account_id, lever_id
            order by date desc
        ) as recency,
        max(date) over (partition by platform, account_id) as newest
    from {{ ref('int_lever_days') }}
)

select
    platform,
    account_id,
    lever_id,
    lever_source,
    campaign_id,
    entity_id,
    entity_name,
    -- Ad sets and ad groups are one level to an ad.
    case when lever_level = 'adset' then 'adgroup' else lever_level end as arm_level,
    date as last_seen,
    date = newest as is_current
from ranked
where recency = 1
