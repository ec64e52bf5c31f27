-- media_mix_channels: one row per morning, track and channel: what it brought, and where its next dollars go.
-- Only a fit that may be believed has channels. Each morning's diagnostics name every track there is, so that the
-- newest fit of a track that is no more is not taken for one in force.
with last_fitted as (
    select max(as_of_date) as as_of_date
    from {{ source('models', 'mmm_fit_diagnostics') }}
),

newest as (
    select
        channels.track,
        max(channels.as_of_date) as as_of_date
    from {{ source('models', 'mmm_channels') }} as channels
    inner join {{ source('models', 'mmm_fit_diagnostics') }} as fits on channels.track = fits.track
    inner join last_fitted on fits.as_of_date = last_fitted.as_of_date
    group by channels.track
)

select
    channels.as_of_date,
    channels.track,
    channels.channel,
    newest.track is not null as is_newest,
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
left join newest
    on
        channels.as_of_date = newest.as_of_date
        and channels.track = newest.track
left join {{ source('models', 'mmm_allocations') }} as allocations
    on
        channels.as_of_date = allocations.as_of_date
        and channels.track = allocations.track
        and channels.channel = allocations.channel
