-- int_video_views_daily: one row per platform, account, ad and account-local day with a report of plays.
-- No two platforms mean the same by a view: hook_definition and hold_definition name what theirs counts, and what
-- a platform does not tell is NULL.
{{ daily_config(cluster=['platform', 'account_id']) }}

with meta as (
    select
        date,
        'meta' as platform,
        account_id,
        ad_id,
        coalesce(creative_id, ad_id) as creative_id,
        impressions,
        cast(null as {{ type_of('INT64') }}) as video_plays,
        cast(null as {{ type_of('INT64') }}) as video_2s_views,
        video_3s_views,
        cast(null as {{ type_of('INT64') }}) as video_6s_views,
        video_thruplays,
        video_p25,
        video_p50,
        video_p75,
        video_p100,
        '3_seconds' as hook_definition,
        video_3s_views as hook_views,
        '15_seconds_or_whole' as hold_definition,
        video_thruplays as hold_views
    from {{ ref('meta_ad_performance') }}
    where {{ in_window('date') }}
),

tiktok as (
    select
        date,
        platform,
        account_id,
        ad_id,
        coalesce(creative_id, ad_id) as creative_id,
        impressions,
        video_plays,
        video_2s_views,
        cast(null as {{ type_of('INT64') }}) as video_3s_views,
        video_6s_views,
        cast(null as {{ type_of('INT64') }}) as video_thruplays,
        video_p25,
        video_p50,
        video_p75,
        video_p100,
        '2_seconds' as hook_definition,
        video_2s_views as hook_views,
        '6_seconds_or_whole' as hold_definition,
        video_6s_views as hold_views
    from {{ ref('stg_tiktok__ads_report') }}
    where {{ in_window('date') }}
),

linkedin as (
    select
        date,
        platform,
        account_id,
        creative_id as ad_id,
        creative_id,
        impressions,
        video_plays,
        video_views as video_2s_views,
        cast(null as {{ type_of('INT64') }}) as video_3s_views,
        cast(null as {{ type_of('INT64') }}) as video_6s_views,
        cast(null as {{ type_of('INT64') }}) as video_thruplays,
        video_p25,
        video_p50,
        video_p75,
        video_p100,
        '2_seconds_half_in_view' as hook_definition,
        video_views as hook_views,
        -- LinkedIn counts nobody at a later second, only at quarters of the length.
        cast(null as {{ type_of('STRING') }}) as hold_definition,
        cast(null as {{ type_of('INT64') }}) as hold_views
    from {{ ref('stg_linkedin__ad_analytics') }}
    where {{ in_window('date') }}
),

platforms as (
    select * from meta
    union all
    select * from tiktok
    union all
    select * from linkedin
)

select * from platforms
where hook_views is not null
{{- physical_order('date') }}
