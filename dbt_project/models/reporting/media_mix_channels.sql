-- media_mix_channels: one row per morning, track and channel: what it brought, and where its next dollars go.
-- Newest of all tracks, which one run fits: a track that is no more has no newest fit.
select
    channels.as_of_date,
    channels.track,
    channels.channel,
    channels.as_of_date = max(channels.as_of_date) over () as is_newest,
    channels.model,
    channels.spend,
    channels.contribution_p10,
    channels.contribution_p50,
    channels.contribution_p90,
    channels.contribution_share_p50,
    channels.roas_p10,
    channels.roas_p50,
    channels.roas_p90,
    channels.carry_over_weeks_p50,
    channels.saturation_spend_p50,
    channels.contraction,
    channels.disagrees,
    allocations.current_spend,
    allocations.proposed_spend,
    allocations.binding,
    allocations.marginal_cac_p50,
    allocations.marginal_cac_p90,
    allocations.probability_within_cap,
    allocations.p_better,
    allocations.envelope,
    allocations.reason
from {{ source('models', 'mmm_channels') }} as channels
left join {{ source('models', 'mmm_allocations') }} as allocations
    on
        channels.as_of_date = allocations.as_of_date
        and channels.track = allocations.track
        and channels.channel = allocations.channel
