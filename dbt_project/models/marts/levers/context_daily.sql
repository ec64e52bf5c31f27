-- context_daily: one row per day, platform, account, track, lever, breakdown and value: to whom it delivered where.
-- Every breakdown repeats the lever's full total: choose one, never add two. A view, because tracks follow the
-- settings in force. Who saw what is the platform's choice: differences are no effects.
{{ config(materialized='view') }}

with levers as (
    select * from {{ ref('int_levers') }}
),

-- Read anew for each breakdown: a CTE named twice is built whole by DuckDB, whatever days are asked for.
told as (
    select
        date,
        'meta' as platform,
        account_id,
        campaign_id,
        adset_id as adgroup_id,
        ad_id,
        'placement' as dimension,
        'placement' as breakdown,
        publisher_platform || '_' || platform_position as value,
        spend as cost,
        impressions,
        inline_link_clicks as clicks,
        purchases_7d_click as conversions_click,
        purchases_1d_view as conversions_view
    from {{ ref('meta_ad_performance_by_place') }}
    union all
    select
        date,
        'meta' as platform,
        account_id,
        campaign_id,
        adset_id as adgroup_id,
        ad_id,
        'segment' as dimension,
        'device' as breakdown,
        impression_device as value,
        spend as cost,
        impressions,
        inline_link_clicks as clicks,
        purchases_7d_click as conversions_click,
        purchases_1d_view as conversions_view
    from {{ ref('meta_ad_performance_by_place') }}
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        adset_id as adgroup_id,
        cast(null as string) as ad_id,
        'segment' as dimension,
        'age_gender' as breakdown,
        age || ' ' || gender as value,
        spend as cost,
        impressions,
        inline_link_clicks as clicks,
        purchases_7d_click as conversions_click,
        purchases_1d_view as conversions_view
    from {{ ref('stg_meta__insights_by_segment') }}
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        adset_id as adgroup_id,
        cast(null as string) as ad_id,
        'daypart' as dimension,
        'hour' as breakdown,
        hour as value,
        spend as cost,
        impressions,
        inline_link_clicks as clicks,
        cast(null as {{ type_of('NUMERIC') }}) as conversions_click,
        cast(null as {{ type_of('NUMERIC') }}) as conversions_view
    from {{ ref('stg_meta__insights_by_hour') }}
    union all
    -- Google's campaigns with ads count by their ads, Performance Max by its total.
    select
        date,
        platform,
        account_id,
        campaign_id,
        ad_group_id as adgroup_id,
        ad_id,
        'placement' as dimension,
        'placement' as breakdown,
        lower(network) as value,
        cost,
        impressions,
        clicks,
        conversions as conversions_click,
        view_through_conversions as conversions_view
    from {{ ref('int_google_ads_daily') }}
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        ad_group_id as adgroup_id,
        ad_id,
        'segment' as dimension,
        'device' as breakdown,
        lower(device) as value,
        cost,
        impressions,
        clicks,
        conversions as conversions_click,
        view_through_conversions as conversions_view
    from {{ ref('int_google_ads_daily') }}
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        ad_group_id as adgroup_id,
        cast(null as string) as ad_id,
        'segment' as dimension,
        breakdown_set as breakdown,
        coalesce(segment, criterion_id) as value,
        cost,
        impressions,
        clicks,
        conversions as conversions_click,
        cast(null as {{ type_of('NUMERIC') }}) as conversions_view
    from {{ ref('stg_google_ads__demographics') }}
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        cast(null as string) as adgroup_id,
        cast(null as string) as ad_id,
        'daypart' as dimension,
        'hour' as breakdown,
        case when length(hour) = 1 then '0' || hour else hour end as value,
        cost,
        impressions,
        clicks,
        conversions as conversions_click,
        cast(null as {{ type_of('NUMERIC') }}) as conversions_view
    from {{ ref('stg_google_ads__campaign_by_hour') }}
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        adgroup_id,
        ad_id,
        'placement' as dimension,
        'placement' as breakdown,
        placement as value,
        cost,
        impressions,
        clicks,
        conversions_click,
        conversions_view
    from {{ ref('stg_files__ad_performance') }}
    where breakdown_set = 'placement'
),

reached as (
    select
        told.*,
        {{ joined_lever_id('told.date') }} as lever_id
    from told
    {{ joined_levers('told') }}
),

final as (
    select
        reached.date,
        reached.platform,
        reached.account_id,
        tracks.track,
        reached.lever_id,
        reached.dimension,
        reached.breakdown,
        reached.value,
        sum(coalesce(reached.cost, 0)) as cost,
        {{ sum_count('coalesce(reached.impressions, 0)') }} as impressions,
        {{ sum_count('coalesce(reached.clicks, 0)') }} as clicks,
        sum(reached.conversions_click) as conversions_click,
        sum(reached.conversions_view) as conversions_view
    from reached
    inner join {{ ref('int_campaign_tracks') }} as tracks
        on
            reached.platform = tracks.platform
            and reached.account_id = tracks.account_id
            and reached.campaign_id = tracks.campaign_id
    where reached.lever_id is not null
    group by
        reached.date,
        reached.platform,
        reached.account_id,
        tracks.track,
        reached.lever_id,
        reached.dimension,
        reached.breakdown,
        reached.value
)

select * from final
