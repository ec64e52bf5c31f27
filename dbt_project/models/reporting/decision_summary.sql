-- decision_summary: one row per decision morning and lever: what was decided, on what belief, and why.
-- A decision can be judged off-policy once its own raise was drawn for, where the arms differ in what was sent.
with newest as (  -- no window, behind which a reader of one morning would read them all
    select max(as_of_date) as as_of_date
    from {{ source('models', 'bandit_decisions') }}
),

proposed as (
    select
        decision_id,
        max(case when status in ('approved', 'rolled_back') then 1 else 0 end) as is_approved
    from {{ source('ops', 'proposals') }}
    group by decision_id
),

drawn as (  -- a lever is drawn for once a morning, so at most one draw answers a decision
    select
        proposals.decision_id,
        proposals.proposed_by,
        draws.mode,
        draws.arm,
        case when draws.arm = 'hold' then draws.hold_probability else 1 - draws.hold_probability end as propensity
    from {{ source('ops', 'apply_hold_assignments') }} as draws
    inner join {{ source('ops', 'proposals') }} as proposals on draws.proposal_id = proposals.proposal_id
)

select
    decisions.as_of_date,
    decisions.as_of_date = newest.as_of_date as is_newest,
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
    decisions.cluster,
    decisions.elasticity,
    curves.elasticity_p10,
    curves.elasticity_p90,
    coalesce(curves.is_brand_search, false) as is_brand_search,
    decisions.expected_loss,
    decisions.learning_cost,
    decisions.p_raise,
    decisions.p_cut,
    decisions.p_hold,
    coalesce(drawn.proposed_by = 'aelp' and drawn.mode != 'shadow', false) as is_off_policy_evaluable,
    drawn.arm,
    drawn.propensity,
    case
        when drawn.proposed_by != 'aelp' then 'another amount was drawn for, which a person put in its place'
        when drawn.mode = 'shadow' then 'drawn for in shadow, where neither arm is sent'
        when drawn.arm is not null then null
        when decisions.type != 'raise' then 'only raises are drawn for'
        when proposed.decision_id is null then 'it was not put before people'
        when proposed.is_approved = 0 then 'nobody has approved it'
        else 'approved without a draw: none is held, or the lever was drawn for already'
    end as off_policy_reason,
    runs.half_life_days,
    runs.draws,
    runs.posterior_hash,
    {{ timestamp_diff_hours(start_of_day('decisions.as_of_date'), 'snapshots.last_edited_at') }} as hours_since_edit,
    eligibility.eligible as account_eligible,
    eligibility.reason as account_reason,
    accounts.currency
from {{ source('models', 'bandit_decisions') }} as decisions
cross join newest
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
left join {{ source('models', 'response_curves') }} as curves
    on
        decisions.as_of_date = curves.as_of_date
        and decisions.cluster = curves.cluster
left join drawn on decisions.decision_id = drawn.decision_id
left join proposed on decisions.decision_id = proposed.decision_id
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
