-- budget_levers: one row per platform, account, lever and day: what a budget edit can really move.
-- A view: tracks follow the rules in force now, for every day.
{{ config(materialized='view') }}

with final as (
    select
        levers.date,
        levers.platform,
        levers.account_id,
        levers.lever_id,
        levers.lever_level,
        levers.lever_source,
        levers.campaign_id,
        levers.entity_id,
        levers.budget_id,
        levers.entity_name,
        coalesce(tracks.track, 'unassigned') as track,
        levers.budget_type,
        levers.currency,
        levers.current_budget,
        levers.minimum_budget,
        levers.budget_increment,
        levers.is_shared,
        levers.learning_state,
        levers.last_edited_at,
        levers.status,
        levers.arms
    from {{ ref('int_lever_days') }} as levers
    left join {{ ref('int_campaign_tracks') }} as tracks
        on
            levers.platform = tracks.platform
            and levers.account_id = tracks.account_id
            and levers.campaign_id = tracks.campaign_id
)

select * from final
