-- stg_ops__spend_pulls: one row per platform, account and day whose spend was asked for while it was not over.
-- read_at: when the last reading that came whole began; what was spent later it cannot hold.
-- error_class and message are of the last attempt, NULL where it succeeded.
select
    platform,
    account_id,
    date,
    max(case when failed_days = 0 then started_at end) as read_at,
    max(started_at) as asked_at,
    max(case when recency = 1 then error_class end) as error_class,
    max(case when recency = 1 then message end) as message
from (
    select
        source as platform,
        account_id,
        last_day as date,
        started_at,
        failed_days,
        error_class,
        message,
        row_number() over (
            partition by source, account_id, last_day
            order by started_at desc, finished_at desc
        ) as recency
    from {{ source('ops', 'source_pulls') }}
    where stream in ('meta_hourly_spend', 'intraday_spend')
) as attempts
group by platform, account_id, date
