-- int_meta_ad_daily: one row per Meta account, ad and account-local day, from exactly one breakdown.
-- Days landed without a breakdown count as they are; other days are summed over their placements.
with placement_days as (
    select
        places.date,
        places.account_id,
        places.campaign_id,
        max(places.campaign_name) as campaign_name,
        places.adset_id,
        places.ad_id,
        max(places.creative_id) as creative_id,
        max(places.currency) as currency,
        {{ sum_count('places.impressions') }} as impressions,
        {{ sum_count('places.clicks') }} as clicks,
        {{ sum_count('places.inline_link_clicks') }} as inline_link_clicks,
        sum(places.spend) as spend,
        sum(places.purchases_7d_click) as purchases_7d_click,
        sum(places.purchases_1d_view) as purchases_1d_view,
        sum(places.purchase_value_7d_click) as purchase_value_7d_click
    from {{ ref('meta_ad_performance_by_place') }} as places
    left join {{ ref('stg_ops__slices_without_breakdown') }} as totals
        on
            totals.stream = 'meta_ads_insights'
            and places.account_id = totals.account_id
            and places.date = totals.date
    where totals.account_id is null
    group by places.date, places.account_id, places.campaign_id, places.adset_id, places.ad_id
)

select
    date,
    account_id,
    campaign_id,
    campaign_name,
    adset_id,
    ad_id,
    creative_id,
    currency,
    impressions,
    clicks,
    inline_link_clicks,
    unique_inline_link_clicks,
    spend,
    purchases_7d_click,
    purchases_1d_view,
    purchase_value_7d_click
from {{ ref('meta_ad_performance') }}
union all
select
    date,
    account_id,
    campaign_id,
    campaign_name,
    adset_id,
    ad_id,
    creative_id,
    currency,
    impressions,
    clicks,
    inline_link_clicks,
    cast(null as int64) as unique_inline_link_clicks,
    spend,
    purchases_7d_click,
    purchases_1d_view,
    purchase_value_7d_click
from placement_days
