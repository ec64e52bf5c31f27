-- stg_ops__track_rules: one row per track rule; the lowest rule_order that matches wins.
select
    rule_order,
    track,
    source_pattern,
    account_pattern,
    campaign_pattern
from {{ source('ops', 'track_rules') }}
