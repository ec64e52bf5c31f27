-- Per platform, account and day, int_placement_daily lies within half of ads_ad_daily's cost and impressions: what is
-- counted twice is off by 100 %, a call that failed or came minutes later by less. Conversions arrive for weeks.
{{ config(meta={'dagster': {'ref': {'name': 'int_placement_daily'}}}) }}

{{ placement_differences(['cost', 'impressions'], 0.5) }}
