-- stg_ops__accounts: one row per platform and account.
select
    source as platform,
    account_id,
    account_name,
    currency,
    timezone,
    declared_lever,
    maturity_days,
    last_landed_at
from {{ source('ops', 'accounts') }}
