-- stg_ops__pulled_days: one row per stream, platform, account, report day and breakdown: its latest complete pull.
-- A pull that found nothing new counts too: it says that the day still stands as it did.
-- An unchanged pull holds the rows it confirms; what was emptied holds none.
-- Ages are whole 24 hours since the day began in UTC, so they do not depend on anybody's zone.
select
    stream,
    source as platform,
    account_id,
    report_date as date,
    breakdown_set,
    max(completed_at) as last_pulled_at,
    max({{ age_in_days('completed_at', 'report_date') }}) as last_pulled_age,
    max_by(row_count, completed_at) > 0 as has_rows
from {{ source('ops', 'ingest_slices') }}
where status = 'complete' and report_date is not null
group by stream, source, account_id, report_date, breakdown_set
