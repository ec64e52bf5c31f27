-- int_arm_daily: one row per platform, account, kind, arm and account-local day: what ads, ad groups, keywords did.
-- Kinds repeat one another: they are three readings of the same spend. `int_arms` says which of them are arms.
with delivered as (
    select
        date,
        platform,
        account_id,
        'ad' as arm_kind,
        ad_id as arm_id,
        impressions,
        clicks,
        cost,
        conversions_click,
        conversions_view
    from {{ ref('ads_ad_daily') }}
    union all
    select
        date,
        platform,
        account_id,
        'adgroup' as arm_kind,
        adgroup_id as arm_id,
        impressions,
        clicks,
        cost,
        conversions_click,
        conversions_view
    from {{ ref('ads_ad_daily') }}
    where adgroup_id is not null
    union all
    select
        date,
        platform,
        account_id,
        'keyword' as arm_kind,
        concat(ad_group_id, '~', criterion_id) as arm_id,
        impressions,
        clicks,
        cost,
        conversions as conversions_click,
        cast(null as {{ type_of('NUMERIC') }}) as conversions_view
    from {{ ref('stg_google_ads__keywords') }}
)

select
    date,
    platform,
    account_id,
    arm_kind,
    arm_id,
    {{ sum_count('impressions') }} as impressions,
    {{ sum_count('clicks') }} as clicks,
    sum(cost) as cost,
    sum(conversions_click) as conversions_click,
    sum(conversions_view) as conversions_view
from delivered
group by date, platform, account_id, arm_kind, arm_id
