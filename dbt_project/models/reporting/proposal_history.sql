-- proposal_history: one row per proposal, who decided on it, how long that took, and what came of it.
with decided as (
    select
        approvals.proposal_id,
        -- Put before people again, a proposal keeps its signatures; how long they take is counted anew.
        min(case when approvals.decided_at >= proposals.created_at then approvals.decided_at end) as first_decided_at,
        max(approvals.decided_at) as last_decided_at,
        count(*) as signatures,
        max(approvals.verdict) as verdict
    from {{ source('ops', 'approvals') }} as approvals
    inner join {{ source('ops', 'proposals') }} as proposals on approvals.proposal_id = proposals.proposal_id
    group by approvals.proposal_id
),

changed as (
    select
        changes.proposal_id,
        max(case when changes.kind = 'apply' then changes.change_id end) as change_id,
        max(case when changes.kind = 'apply' then changes.mode end) as mode,
        max(case when changes.kind = 'apply' then changes.status end) as change_status,
        max(case when changes.kind = 'apply' then changes.created_at end) as changed_at,
        -- Undone only once its inverse is, where the change was made: a rollback that was refused, or still waits, or
        -- is in shadow of a change that was sent, leaves it as it is. Withdrawn: there was nothing to undo.
        max(
            case
                when
                    changes.kind = 'rollback'
                    and (
                        changes.status = 'withdrawn'
                        or (changes.status in ('applied', 'shadow') and changes.mode = undone.mode)
                    )
                    then changes.finished_at
            end
        ) as rolled_back_at,
        max(case when changes.kind = 'rollback' then changes.reason end) as rollback_reason,
        max(case when changes.kind = 'apply' then outbox.request end) as request,
        max(case when changes.kind = 'apply' then outbox.sent_at end) as sent_at,
        max(case when changes.kind = 'apply' then snapshots.budget end) as budget_after
    from {{ source('ops', 'canary_changes') }} as changes
    left join {{ source('ops', 'canary_changes') }} as undone
        on changes.undoes = undone.change_id
    left join {{ source('ops', 'outbox') }} as outbox
        on changes.change_id = outbox.change_id
    left join {{ source('ops', 'canary_budgets_snapshot') }} as snapshots
        on changes.change_id = snapshots.change_id and snapshots.moment = 'after'
    group by changes.proposal_id
)

select
    proposals.proposal_id,
    proposals.as_of_date,
    proposals.decision_id,
    proposals.track,
    proposals.platform,
    proposals.account_id,
    proposals.lever_id,
    proposals.entity_name as lever_name,
    proposals.type,
    proposals.current_budget,
    proposals.proposed_budget,
    proposals.currency,
    proposals.reason,
    proposals.status,
    proposals.created_at,
    decided.verdict,
    decided.signatures,
    decided.last_decided_at as decided_at,
    {{ hours_between('proposals.created_at', 'decided.first_decided_at') }} as hours_to_first_decision,
    changed.change_id,
    changed.mode,
    changed.change_status,
    changed.budget_after,
    changed.request,
    changed.sent_at,
    changed.rolled_back_at,
    changed.rollback_reason,
    draws.arm as drawn_to,
    draws.hold_probability,
    case when draws.arm = 'hold' then draws.window_ends_at end as held_until,
    {{ hours_between('changed.changed_at', 'changed.rolled_back_at') }} as hours_to_rollback
from {{ source('ops', 'proposals') }} as proposals
left join decided on proposals.proposal_id = decided.proposal_id
left join changed on proposals.proposal_id = changed.proposal_id
left join {{ source('ops', 'apply_hold_assignments') }} as draws on proposals.proposal_id = draws.proposal_id
