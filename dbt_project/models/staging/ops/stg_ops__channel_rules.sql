-- stg_ops__channel_rules: one row per channel rule of the media mix; the lowest rule_order that matches wins.
select
    rule_order,
    channel,
    platform_pattern,
    account_pattern,
    campaign_pattern
from {{ source('ops', 'channel_rules') }}
