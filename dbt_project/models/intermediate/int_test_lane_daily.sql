-- int_test_lane_daily: one row per Meta account, test-lane ad, place and account-local day: how it is clicked.
-- A launch's ad set says TEST in its name. Meta counts unique clicks only without breakdown, so an ad's share of
-- unique clicks is taken to be the same in all its places.
with places as (
    select
        date,
        'meta' as platform,
        account_id,
        ad_id,
        publisher_platform as placement,
        {{ sum_count('impressions') }} as impressions,
        {{ sum_count('inline_link_clicks') }} as link_clicks
    from {{ ref('meta_ad_performance_by_place') }}
    where adset_name like '%| TEST |%'
    group by date, account_id, ad_id, publisher_platform
)

select
    places.date,
    places.platform,
    places.account_id,
    places.ad_id,
    places.placement,
    places.impressions,
    places.link_clicks,
    places.link_clicks
    * coalesce({{ safe_ratio('rates.unique_inline_link_clicks', 'rates.inline_link_clicks') }}, 1)
        as unique_link_clicks
from places
left join {{ ref('unified_ctr') }} as rates
    on
        places.date = rates.date
        and places.platform = rates.platform
        and places.account_id = rates.account_id
        and places.ad_id = rates.ad_id
