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
    delivered.date,
    delivered.platform,
    delivered.account_id,
    delivered.arm_kind,
    delivered.arm_id,
    {{ sum_count('delivered.impressions') }} as impressions,
    {{ sum_count('delivered.clicks') }} as clicks,
    sum(delivered.cost) as cost,
    sum(delivered.conversions_click) as conversions_click,
    sum(delivered.conversions_view) as conversions_view,
    coalesce(ages.is_matured, false) as is_matured
from delivered
left join {{ ref('int_report_ages') }} as ages
    on
        delivered.platform = ages.platform
        and delivered.account_id = ages.account_id
        and delivered.date = ages.date
group by
    delivered.date, delivered.platform, delivered.account_id, delivered.arm_kind, delivered.arm_id, ages.is_matured
