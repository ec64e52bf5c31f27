-- int_arm_daily: one row per platform, account, kind, arm and account-local day: what each arm of `int_arms` did.
-- Kinds repeat one another: a lever's ads, ad groups and keywords are three readings of the same spend.
with arms as (
    select * from {{ ref('int_arms') }}
),

delivered as (
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
    arms.track,
    arms.lever_id,
    delivered.arm_kind,
    delivered.arm_id,
    {{ sum_count('delivered.impressions') }} as impressions,
    {{ sum_count('delivered.clicks') }} as clicks,
    sum(delivered.cost) as cost,
    sum(delivered.conversions_click) as conversions_click,
    sum(delivered.conversions_view) as conversions_view
from delivered
inner join arms
    on
        delivered.platform = arms.platform
        and delivered.account_id = arms.account_id
        and delivered.arm_kind = arms.arm_kind
        and delivered.arm_id = arms.arm_id
group by
    delivered.date,
    delivered.platform,
    delivered.account_id,
    arms.track,
    arms.lever_id,
    delivered.arm_kind,
    delivered.arm_id
