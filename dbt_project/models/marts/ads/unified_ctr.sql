-- unified_ctr: one row per platform, account, ad and account-local day: click rates that can be compared.
-- Meta says clicks (all), link clicks and unique link clicks; other platforms only link clicks.
-- The 7-day columns cover this day and the six before it. unique_*_7d adds daily uniques: a person who clicks
-- on two days counts twice. Its rate leaves out the impressions of days whose uniques nobody told.
{{ daily_config(cluster=['platform', 'account_id'], rolling_days=6) }}

with meta as (
    select
        date,
        'meta' as platform,
        account_id,
        ad_id,
        coalesce(impressions, 0) as impressions,
        coalesce(clicks, 0) as clicks,
        coalesce(inline_link_clicks, 0) as inline_link_clicks,
        unique_inline_link_clicks
    from {{ ref('int_meta_ad_daily') }}
    where {{ in_window('date', before=6) }}
),

-- Every other row, a file's rows of an account called meta among them.
others as (
    select
        daily.date,
        daily.platform,
        daily.account_id,
        daily.ad_id,
        daily.impressions,
        daily.clicks,
        daily.clicks as inline_link_clicks,
        cast(null as int64) as unique_inline_link_clicks
    from {{ ref('ads_ad_daily') }} as daily
    left join meta
        on
            daily.platform = meta.platform
            and daily.account_id = meta.account_id
            and daily.ad_id = meta.ad_id
            and daily.date = meta.date
    where
        meta.ad_id is null
        and {{ in_window('daily.date', before=6) }}
),

ads as (
    select * from meta
    union all
    select * from others
),

rolled as (
    select
        *,
        sum(impressions) over last_seven_days as impressions_7d,
        sum(clicks) over last_seven_days as clicks_7d,
        sum(inline_link_clicks) over last_seven_days as inline_link_clicks_7d,
        sum(unique_inline_link_clicks) over last_seven_days as unique_inline_link_clicks_7d,
        sum(case when unique_inline_link_clicks is not null then impressions end) over last_seven_days
            as impressions_with_uniques_7d
    from ads
    window last_seven_days as (
        partition by platform, account_id, ad_id
        order by {{ day_number('date') }}
        range between 6 preceding and current row
    )
),

final as (
    select
        date,
        platform,
        account_id,
        ad_id,
        impressions,
        inline_link_clicks,
        unique_inline_link_clicks,
        {{ safe_ratio('clicks', 'impressions') }} as ctr,
        {{ safe_ratio('inline_link_clicks', 'impressions') }} as link_ctr,
        {{ safe_ratio('unique_inline_link_clicks', 'impressions') }} as link_ctr_unique,
        cast(impressions_7d as int64) as impressions_7d,
        cast(inline_link_clicks_7d as int64) as inline_link_clicks_7d,
        cast(unique_inline_link_clicks_7d as int64) as unique_inline_link_clicks_7d,
        {{ safe_ratio('clicks_7d', 'impressions_7d') }} as ctr_7d,
        {{ safe_ratio('inline_link_clicks_7d', 'impressions_7d') }} as link_ctr_7d,
        {{ safe_ratio('unique_inline_link_clicks_7d', 'impressions_with_uniques_7d') }} as link_ctr_unique_7d
    from rolled
    where {{ in_window('date') }}
)

select * from final
{{- physical_order('date') }}
