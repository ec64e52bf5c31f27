-- arm_summary: one row per morning, platform, account, kind and arm: what is proposed for what has no budget.
select
    decisions.as_of_date,
    decisions.track,
    decisions.platform,
    decisions.account_id,
    accounts.account_name,
    decisions.lever_id,
    levers.entity_name as lever_name,
    decisions.arm_kind,
    decisions.arm_id,
    decisions.arm_name,
    decisions.status,
    decisions.type,
    decisions.reason,
    decisions.advisory,
    decisions.spend,
    accounts.currency,
    decisions.cac_p10,
    decisions.cac_p50,
    decisions.cac_p90,
    decisions.p_cac_above_cap,
    decisions.p_best,
    decisions.p_ctr_below,
    decisions.design
from {{ source('models', 'arm_decisions') }} as decisions
left join {{ ref('int_levers') }} as levers
    on
        decisions.platform = levers.platform
        and decisions.account_id = levers.account_id
        and decisions.lever_id = levers.lever_id
left join {{ ref('stg_ops__accounts') }} as accounts
    on
        decisions.platform = accounts.platform
        and decisions.account_id = accounts.account_id
