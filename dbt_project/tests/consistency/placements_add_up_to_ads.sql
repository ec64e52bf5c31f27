-- Per platform, account and day, int_placement_daily adds up to ads_ad_daily within placement_tolerance. A warning:
-- platforms round each placement, and the two calls are minutes apart, or one of them fails for days; a difference
-- of one platform's must not keep the others from being decided. What is counted twice: placements_are_counted_once.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'int_placement_daily'}}}) }}

{{ placement_differences(['cost', 'impressions', 'clicks', 'conversions_click'], var('placement_tolerance')) }}
