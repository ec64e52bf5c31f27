-- stg_ops__media_weeks: one row per week of the media mix and track; track `*` stands for those not in the settings.
select
    week,
    track,
    event_share,
    promotion_share,
    freeze_share
from {{ source('ops', 'media_weeks') }}
