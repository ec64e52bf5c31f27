-- decision_summary: one row per decision morning and lever: what was decided, on what belief, and why.
select
    decisions.as_of_date,
    decisions.decision_id,
    decisions.platform,
    decisions.account_id,
    accounts.account_name,
    decisions.track,
    decisions.lever_id,
    levers.entity_name as lever_name,
    decisions.lever_level,
    decisions.lever_source,
    decisions.advisory,
    decisions.type,
    decisions.current_budget,
    decisions.proposed_budget,
    decisions.change_fraction,
    decisions.reason,
    decisions.binding_rules,
    posteriors.spend as matured_spend,
    posteriors.reward_mean,
    posteriors.cac_p10,
    posteriors.cac_p50,
    posteriors.cac_p90,
    decisions.p_cac_above_cap,
    decisions.track_p_cac_above_cap,
    posteriors.p_best,
    posteriors.p_meets_cap,
    decisions.expected_signups_change,
    decisions.expected_loss,
    decisions.learning_cost,
    decisions.p_raise,
    decisions.p_cut,
    decisions.p_hold,
    runs.half_life_days,
    runs.draws,
    runs.posterior_hash,
    {{ timestamp_diff_hours(start_of_day('decisions.as_of_date'), 'snapshots.last_edited_at') }} as hours_since_edit,
    eligibility.eligible as account_eligible,
    eligibility.reason as account_reason,
    accounts.currency
from {{ source('models', 'bandit_decisions') }} as decisions
left join {{ source('models', 'bandit_posteriors') }} as posteriors
    on
        decisions.as_of_date = posteriors.as_of_date
        and decisions.platform = posteriors.platform
        and decisions.account_id = posteriors.account_id
        and decisions.lever_id = posteriors.lever_id
left join {{ source('models', 'policy_runs') }} as runs
    on
        decisions.as_of_date = runs.as_of_date
        and decisions.track = runs.track
left join {{ ref('int_levers') }} as levers
    on
        decisions.platform = levers.platform
        and decisions.account_id = levers.account_id
        and decisions.lever_id = levers.lever_id
left join {{ ref('budget_levers') }} as snapshots
    on
        decisions.as_of_date = snapshots.date
        and decisions.platform = snapshots.platform
        and decisions.account_id = snapshots.account_id
        and decisions.lever_id = snapshots.lever_id
left join {{ source('ops', 'decision_accounts') }} as eligibility
    on
        decisions.as_of_date = eligibility.as_of_date
        and decisions.platform = eligibility.platform
        and decisions.account_id = eligibility.account_id
left join {{ ref('stg_ops__accounts') }} as accounts
    on
        decisions.platform = accounts.platform
        and decisions.account_id = accounts.account_id
