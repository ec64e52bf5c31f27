-- Of a week and track one side tells all channels, and a complete week knows all of them and what the track sold.
{{ config(meta={'dagster': {'ref': {'name': 'mmm_input_weekly'}}}) }}

with weeks as (
    select
        week,
        track,
        count(*) as channels,
        max(count(*)) over (partition by track) as channels_of_track,
        count(distinct told_by) as sides,
        count(distinct case when is_complete then 1 else 0 end) as verdicts,
        count(distinct coalesce(new_customers, -1)) as outcomes,
        max(case when is_complete then 1 else 0 end) as is_complete,
        min(case when spend is null then 0 else 1 end) as is_known
    from {{ ref('mmm_input_weekly') }}
    group by week, track
)

select * from weeks
where
    channels != channels_of_track
    or sides != 1
    or verdicts != 1
    or outcomes != 1
    or (is_complete = 1 and is_known = 0)
