-- meta_ad_performance_by_place: one row per Meta account, ad, account-local day, platform, position and device.
-- An ad's rows add up to its row in meta_ad_performance. No unique metrics: a person seen on two placements
-- counts once on each.
{{ daily_config(cluster=['account_id', 'campaign_id']) }}

with insights as (
    select * from {{ ref('stg_meta__insights_by_placement') }}
    where
        breakdown_set = 'placement'
        and {{ in_window('date') }}
),

final as (
    select
        date,
        account_id,
        campaign_id,
        campaign_name,
        adset_id,
        adset_name,
        ad_id,
        ad_name,
        creative_id,
        publisher_platform,
        platform_position,
        impression_device,
        currency,
        impressions,
        reach,
        clicks,
        inline_link_clicks,
        spend,
        purchases_7d_click,
        purchases_1d_view,
        purchase_value_7d_click,
        purchase_value_1d_view,
        video_3s_views,
        video_thruplays,
        video_p25,
        video_p50,
        video_p75,
        video_p100,
        'impression' as conversion_date_basis,
        true as is_modelled,
        {{ text_hash(['campaign_name', 'adset_name', 'ad_name']) }} as name_hash
    from insights
)

select * from final
{{- physical_order('date') }}
