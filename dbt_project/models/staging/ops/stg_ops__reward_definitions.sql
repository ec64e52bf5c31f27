-- stg_ops__reward_definitions: the one reward definition in force.
select
    version,
    click_incrementality_mean,
    view_incrementality_mean,
    maturity_days
from {{ source('ops', 'reward_definitions') }}
