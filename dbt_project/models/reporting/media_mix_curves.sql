-- media_mix_curves: one row per morning, track, channel and weekly spend: what it would bring.
select
    as_of_date,
    track,
    channel,
    spend,
    conversions_p10,
    conversions_p50,
    conversions_p90,
    roas_p50,
    marginal_cac_p50,
    extrapolated
from {{ source('models', 'mmm_curves') }}
