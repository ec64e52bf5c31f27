-- stg_ops__slices_without_breakdown: one row per stream, account and day landed without a breakdown.
-- On such a day the rows without breakdown are the total, even when there are none left.
select
    'meta_ads_insights' as stream,
    source as platform,
    account_id,
    report_date as date,
    row_count
from (
    {{ latest_slices('meta_ads_insights') }}
) as meta_slices
where breakdown_set = 'none'
union all
select
    'file_ad_performance' as stream,
    source as platform,
    account_id,
    report_date as date,
    row_count
from (
    {{ latest_slices('file_ad_performance') }}
) as file_slices
where breakdown_set = 'none'
