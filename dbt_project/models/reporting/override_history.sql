-- override_history: one row per proposal that people decided otherwise, as the newest review judges it.
-- What came lies beside the forecasts of both paths; only the chosen one happened, and no person is named.
with newest as (
    select max(as_of_date) as as_of_date from {{ source('models', 'override_outcomes') }}
)

select
    outcomes.as_of_date,
    outcomes.proposal_id,
    outcomes.kind,
    outcomes.made_on,
    outcomes.chosen_on,
    outcomes.track,
    outcomes.platform,
    outcomes.account_id,
    outcomes.lever_id,
    proposals.entity_name as lever_name,
    proposals.currency,
    outcomes.current_budget,
    outcomes.proposed_budget,
    outcomes.chosen_budget,
    outcomes.reason,
    outcomes.first_day,
    outcomes.last_day,
    outcomes.days,
    outcomes.realised_signups,
    outcomes.realised_spend,
    outcomes.realised_contribution,
    outcomes.realised_contribution - outcomes.chosen_contribution_p90 as realised_less_chosen_low,
    outcomes.realised_contribution - outcomes.chosen_contribution_p50 as realised_less_chosen,
    outcomes.realised_contribution - outcomes.chosen_contribution_p10 as realised_less_chosen_high,
    outcomes.realised_contribution - outcomes.proposed_contribution_p90 as realised_less_proposed_low,
    outcomes.realised_contribution - outcomes.proposed_contribution_p50 as realised_less_proposed,
    outcomes.realised_contribution - outcomes.proposed_contribution_p10 as realised_less_proposed_high,
    outcomes.difference_p10,
    outcomes.difference_p50,
    outcomes.difference_p90,
    outcomes.p_ahead
from {{ source('models', 'override_outcomes') }} as outcomes
inner join newest on outcomes.as_of_date = newest.as_of_date
left join {{ source('ops', 'proposals') }} as proposals on outcomes.proposal_id = proposals.proposal_id
