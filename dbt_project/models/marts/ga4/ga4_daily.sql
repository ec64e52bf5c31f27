-- ga4_daily: one row per property, session source, medium, campaign, device and property day.
-- Sessions and key events come from two calls, each the property's total. A key event is dated on the day it
-- happened; ga4_lagged_daily also knows the visit before.
{{ daily_config(cluster=['account_id', 'session_source']) }}

with reports as (
    select
        date,
        account_id,
        breakdown_set,
        coalesce(session_source, '(not set)') as session_source,
        coalesce(session_medium, '(not set)') as session_medium,
        coalesce(session_campaign_name, '(not set)') as session_campaign,
        coalesce(device_category, '(not set)') as device_category,
        event_name,
        sessions,
        engaged_sessions,
        total_users,
        key_events,
        purchase_revenue,
        currency,
        case
            when
                data_loss_from_other_row
                or subject_to_thresholding
                or truncation_reasons is not null
                or samples_read_count < sampling_space_size
                then 1
            else 0
        end as is_estimate
    from {{ ref('stg_ga4__reports') }}
    -- each breakdown repeats the full total
    where breakdown_set in ('sessions', 'key_events') and {{ in_window('date') }}
),

channels as (
    select
        date,
        account_id,
        session_source,
        session_medium,
        session_campaign,
        device_category,
        {{ sum_count("case when breakdown_set = 'sessions' then sessions end") }} as sessions,
        {{ sum_count("case when breakdown_set = 'sessions' then engaged_sessions end") }} as engaged_sessions,
        {{ sum_count("case when breakdown_set = 'sessions' then total_users end") }} as users,
        sum(case when breakdown_set = 'key_events' then key_events end) as conversions,
        sum(case when breakdown_set = 'key_events' and event_name = 'purchase' then key_events end) as purchases,
        sum(case when breakdown_set = 'key_events' then purchase_revenue end) as revenue,
        max(currency) as currency,
        max(is_estimate) = 1 as is_estimate
    from reports
    group by date, account_id, session_source, session_medium, session_campaign, device_category
),

-- Google leaves out what did not happen; a call that was never answered says nothing of the kind.
answered as (
    select
        account_id,
        date,
        max(case when breakdown_set = 'sessions' then 1 else 0 end) = 1 as has_sessions,
        max(case when breakdown_set = 'key_events' then 1 else 0 end) = 1 as has_key_events
    from {{ ref('stg_ops__pulled_days') }}
    where stream = 'ga4_reports' and {{ in_window('date') }}
    group by account_id, date
),

completed as (
    select
        channels.date,
        channels.account_id,
        channels.session_source,
        channels.session_medium,
        channels.session_campaign,
        channels.device_category,
        case when answered.has_sessions then coalesce(channels.sessions, 0) end as sessions,
        case when answered.has_sessions then coalesce(channels.engaged_sessions, 0) end as engaged_sessions,
        case when answered.has_sessions then coalesce(channels.users, 0) end as users,
        case when answered.has_key_events then coalesce(channels.conversions, 0) end as conversions,
        case when answered.has_key_events then coalesce(channels.purchases, 0) end as purchases,
        case when answered.has_key_events then coalesce(channels.revenue, 0) end as revenue,
        channels.currency,
        channels.is_estimate
    from channels
    inner join answered
        on
            channels.account_id = answered.account_id
            and channels.date = answered.date
),

final as (
    select
        date,
        account_id,
        session_source,
        session_medium,
        session_campaign,
        device_category,
        sessions,
        engaged_sessions,
        users,
        conversions,
        purchases,
        revenue,
        {{ safe_ratio('engaged_sessions', 'sessions') }} as engagement_rate,
        {{ safe_ratio('conversions', 'sessions') }} as conversions_per_session,
        currency,
        is_estimate
    from completed
)

select * from final
{{- physical_order('date') }}
