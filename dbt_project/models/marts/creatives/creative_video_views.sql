-- creative_video_views: one row per platform, account and creative whose video was played.
-- Days without a report of views count in no column, so every rate divides views by the impressions they come from.
-- Platforms count views their own way: compare rates of one hook_definition or hold_definition only.
{{ config(materialized='table') }}

with summed as (
    select
        platform,
        account_id,
        creative_id,
        hook_definition,
        hold_definition,
        min(date) as first_date,
        max(date) as last_date,
        {{ sum_count('impressions') }} as impressions,
        {{ sum_count('video_plays') }} as video_plays,
        {{ sum_count('video_2s_views') }} as video_2s_views,
        {{ sum_count('video_3s_views') }} as video_3s_views,
        {{ sum_count('video_6s_views') }} as video_6s_views,
        {{ sum_count('video_thruplays') }} as video_thruplays,
        {{ sum_count('video_p25') }} as video_p25,
        {{ sum_count('video_p50') }} as video_p50,
        {{ sum_count('video_p75') }} as video_p75,
        {{ sum_count('video_p100') }} as video_p100,
        {{ sum_count('hook_views') }} as hook_views,
        {{ sum_count('hold_views') }} as hold_views,
        {{ sum_count('case when hold_views is not null then hook_views end') }} as views_with_holds
    from {{ ref('int_video_views_daily') }}
    group by platform, account_id, creative_id, hook_definition, hold_definition
),

final as (
    select
        platform,
        account_id,
        creative_id,
        first_date,
        last_date,
        impressions,
        video_plays,
        video_2s_views,
        video_3s_views,
        video_6s_views,
        video_thruplays,
        video_p25,
        video_p50,
        video_p75,
        video_p100,
        hook_definition,
        {{ safe_ratio('hook_views', 'impressions') }} as hook_rate,
        hold_definition,
        {{ safe_ratio('hold_views', 'views_with_holds') }} as hold_rate
    from summed
    where hook_views > 0 or video_plays > 0        -- a still image has neither
)

select * from final
