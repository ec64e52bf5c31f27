-- stg_ops__reward_definitions: one row per version; the settings hold one, so it is the one in force.
select
    version,
    click_incrementality_mean,
    view_incrementality_mean,
    maturity_days
from {{ source('ops', 'reward_definitions') }}
