-- launch_summary: one row per slate morning, track and rank: what became of each creative of the slate.
select
    slates.as_of_date,
    slates.track,
    slates.rank,
    slates.platform,
    slates.account_id,
    slates.creative_id,
    slates.budget as slate_budget,
    reviews.policy_profile,
    reviews.passed as passed_policy,
    reviews.flags as policy_flags,
    plans.launch_id,
    plans.entity_name,
    plans.theme,
    plans.lane,
    plans.lane_reason,
    plans.daily_budget,
    plans.currency,
    plans.frequency_cap,
    plans.frequency_days,
    plans.placements,
    plans.link,
    plans.starts_at,
    plans.advisory
from {{ source('models', 'slates') }} as slates
left join {{ source('models', 'policy_reviews') }} as reviews
    on
        slates.as_of_date = reviews.as_of_date
        and slates.track = reviews.track
        and slates.platform = reviews.platform
        and slates.account_id = reviews.account_id
        and slates.creative_id = reviews.creative_id
left join {{ source('models', 'launch_plans') }} as plans
    on
        slates.as_of_date = plans.as_of_date
        and slates.track = plans.track
        and slates.platform = plans.platform
        and slates.account_id = plans.account_id
        and slates.creative_id = plans.creative_id
