-- creative_video_views: one row per platform, account and creative whose video was played for three seconds.
-- Days without a report of plays count in no column, so every rate divides plays by the impressions they come from.
-- Only Meta is asked for plays.
{{ config(materialized='table') }}

with played as (
    select
        'meta' as platform,
        account_id,
        coalesce(creative_id, ad_id) as creative_id,
        date,
        impressions,
        video_3s_views,
        video_thruplays,
        case when video_thruplays is not null then video_3s_views end as views_with_thruplays,
        video_p25,
        video_p50,
        video_p75,
        video_p100
    from {{ ref('meta_ad_performance') }}
    where video_3s_views is not null
),

summed as (
    select
        platform,
        account_id,
        creative_id,
        min(date) as first_date,
        max(date) as last_date,
        {{ sum_count('impressions') }} as impressions,
        {{ sum_count('video_3s_views') }} as video_3s_views,
        {{ sum_count('video_thruplays') }} as video_thruplays,
        {{ sum_count('views_with_thruplays') }} as views_with_thruplays,
        {{ sum_count('video_p25') }} as video_p25,
        {{ sum_count('video_p50') }} as video_p50,
        {{ sum_count('video_p75') }} as video_p75,
        {{ sum_count('video_p100') }} as video_p100
    from played
    group by platform, account_id, creative_id
),

final as (
    select
        platform,
        account_id,
        creative_id,
        first_date,
        last_date,
        impressions,
        video_3s_views,
        video_thruplays,
        video_p25,
        video_p50,
        video_p75,
        video_p100,
        {{ safe_ratio('video_3s_views', 'impressions') }} as hook_rate,
        {{ safe_ratio('video_thruplays', 'views_with_thruplays') }} as hold_rate
    from summed
    where video_3s_views > 0        -- a still image has none
)

select * from final
