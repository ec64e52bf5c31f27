-- mmm_input_weekly: one row per week, track and channel of the media mix; what the track sold repeats on each.
-- A table, made anew with every build, as settings and the age of days change weeks long past.
-- A week and track comes either from the accounts' daily reports or from a media history file, never from both: the
-- file tells the weeks before the first that the reports tell whole. Every track has all its channels in all weeks
-- from its first to its last: 0 is known to be nothing, NULL is not known.
{{ config(materialized='table') }}
{% set delivered = ['spend', 'impressions', 'clicks', 'conversions_click', 'conversions_view'] %}

with reported as (
    select * from {{ ref('int_channel_weekly') }}
),

history as (
    select * from {{ ref('int_media_history_weekly') }}
),

outcomes as (
    select * from {{ ref('int_outcome_weekly') }}
),

stores as (
    select count(*) as weeks_known from outcomes
),

-- A week is told whole where every channel was read, late enough, and the stores too if there is one.
reported_weeks as (
    select
        reported.week,
        reported.track,
        (
            min(case when reported.is_read and reported.is_matured then 1 else 0 end) = 1
            and (max(outcomes.new_customers) is not null or max(stores.weeks_known) = 0)
        ) as is_whole
    from reported
    cross join stores
    left join outcomes
        on
            reported.week = outcomes.week
            and reported.track = outcomes.track
    group by reported.week, reported.track
),

first_whole as (
    select
        track,
        min(week) as week
    from reported_weeks
    where is_whole
    group by track
),

history_weeks as (
    select
        history.week,
        history.track,
        min(case when history.is_read and history.is_matured and history.new_customers is not null then 1 else 0 end)
        = 1 as is_whole,
        max(history.promotion_share) as promotion_share,
        max(history.new_customers) as new_customers,
        max(history.revenue) as revenue
    from history
    left join first_whole on history.track = first_whole.track
    where first_whole.week is null or history.week < first_whole.week
    group by history.week, history.track
),

bounds as (
    select
        track,
        min(week) as first_week,
        max(week) as last_week
    from (
        select
            week,
            track
        from reported_weeks
        union all
        select
            week,
            track
        from history_weeks
    ) as told
    group by track
),

last_history_weeks as (
    select
        track,
        max(week) as last_week
    from history_weeks
    group by track
),

-- A channel that only the history knows has stopped if it spent nothing in the last week it tells; where a file
-- leaves that spend empty, nobody knows.
history_ends as (
    select
        history.track,
        history.channel,
        max(
            case
                when history.week = ends.last_week and (history.spend != 0 or not history.is_read) then 1
                else 0
            end
        ) = 0 as has_ended
    from history
    inner join last_history_weeks as ends on history.track = ends.track
    group by history.track, history.channel
),

channels as (
    select
        track,
        channel,
        max(is_reported) as is_reported
    from (
        select
            track,
            channel,
            1 as is_reported
        from reported
        union all
        select
            history.track,
            history.channel,
            0 as is_reported
        from history
        inner join history_weeks
            on
                history.week = history_weeks.week
                and history.track = history_weeks.track
    ) as known
    group by track, channel
),

-- The settings' calendar for each track: its own row, or that of all tracks the settings do not have.
weeks as (
    select
        calendar.week,
        bounds.track,
        calendar.event_share,
        calendar.promotion_share,
        calendar.freeze_share
    from bounds
    inner join {{ ref('stg_ops__media_weeks') }} as calendar
        on calendar.week between bounds.first_week and bounds.last_week
    where
        calendar.track = bounds.track
        or (
            calendar.track = '*'
            and bounds.track not in (select own.track from {{ ref('stg_ops__media_weeks') }} as own)
        )
),

grid as (
    select
        weeks.week,
        weeks.track,
        channels.channel,
        weeks.event_share,
        weeks.freeze_share,
        coalesce(cast(history_weeks.promotion_share as {{ type_of('FLOAT64') }}), weeks.promotion_share)
            as promotion_share,
        case
            when history_weeks.week is not null then 'history'
            when reported_weeks.week is not null then 'reports'
            else 'none'
        end as told_by,
        channels.is_reported = 0 and history_ends.has_ended as has_stopped,
        coalesce(history_weeks.is_whole, reported_weeks.is_whole, false) as is_whole,
        case when history_weeks.week is not null then history_weeks.new_customers else outcomes.new_customers end
            as new_customers,
        case when history_weeks.week is not null then history_weeks.revenue else outcomes.revenue end as revenue
    from weeks
    inner join channels on weeks.track = channels.track
    left join history_weeks
        on
            weeks.week = history_weeks.week
            and weeks.track = history_weeks.track
    left join reported_weeks
        on
            weeks.week = reported_weeks.week
            and weeks.track = reported_weeks.track
    left join outcomes
        on
            weeks.week = outcomes.week
            and weeks.track = outcomes.track
    left join history_ends
        on
            channels.track = history_ends.track
            and channels.channel = history_ends.channel
),

placed as (
    select
        grid.*,
        (
            (grid.told_by = 'history' and history.week is null)
            or (grid.told_by = 'reports' and reported.week is null and grid.has_stopped)
        ) as is_nothing,
        {% for column in delivered -%}
        history.{{ column }} as history_{{ column }},
        reported.{{ column }} as reported_{{ column }}
        {%- if not loop.last %},
        {% endif -%}
        {%- endfor %}
    from grid
    left join history
        on
            grid.told_by = 'history'
            and grid.week = history.week
            and grid.track = history.track
            and grid.channel = history.channel
    left join reported
        on
            grid.told_by = 'reports'
            and grid.week = reported.week
            and grid.track = reported.track
            and grid.channel = reported.channel
),

told as (
    select
        week,
        track,
        channel,
        told_by,
        {% for column in delivered -%}
        case when is_nothing then 0 else coalesce(history_{{ column }}, reported_{{ column }}) end as {{ column }},
        {% endfor -%}
        new_customers,
        revenue,
        event_share,
        promotion_share,
        freeze_share,
        is_whole
    from placed
),

final as (
    select
        told.week,
        told.track,
        told.channel,
        told.told_by,
        cast(told.spend as {{ type_of('NUMERIC') }}) as spend,
        told.impressions,
        told.clicks,
        cast(told.conversions_click as {{ type_of('NUMERIC') }}) as conversions_click,
        cast(told.conversions_view as {{ type_of('NUMERIC') }}) as conversions_view,
        cast(
            told.conversions_click * definition.click_incrementality_mean
            + coalesce(told.conversions_view, 0) * definition.view_incrementality_mean
            as {{ type_of('FLOAT64') }}
        ) as conversions,
        definition.version as reward_version,
        told.new_customers,
        told.revenue,
        told.event_share,
        told.promotion_share,
        told.freeze_share,
        cast(row_number() over (partition by told.track, told.channel order by told.week) - 1 as int64) as trend,
        (
            told.is_whole
            and min(case when told.spend is null then 0 else 1 end) over (partition by told.track, told.week) = 1
        ) as is_complete
    from told
    cross join {{ ref('stg_ops__reward_definitions') }} as definition
)

select * from final
