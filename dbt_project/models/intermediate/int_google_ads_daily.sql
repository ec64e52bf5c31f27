-- int_google_ads_daily: one row per platform, account, ad, account-local day, network and device.
-- A campaign without ad rows on a day (Performance Max has none) stands there as one ad under its own id, so that
-- no cost is missing. A campaign with ad rows counts by them alone: its control total is never added.
with told as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        campaign_name,
        ad_group_id,
        ad_id,
        network,
        device,
        creative_id,
        currency,
        impressions,
        clicks,
        cost,
        conversions,
        view_through_conversions,
        conversions_value,
        0 as is_total
    from {{ ref('stg_google_ads__ad_performance') }}
    union all
    select
        date,
        platform,
        account_id,
        campaign_id,
        campaign_name,
        campaign_id as ad_group_id,
        campaign_id as ad_id,
        network,
        device,
        cast(null as string) as creative_id,
        currency,
        impressions,
        clicks,
        cost,
        conversions,
        view_through_conversions,
        conversions_value,
        1 as is_total
    from {{ ref('stg_google_ads__campaign_performance') }}
),

marked as (
    select
        *,
        min(is_total) over (partition by date, platform, account_id, campaign_id) as has_only_total
    from told
)

select
    date,
    platform,
    account_id,
    campaign_id,
    campaign_name,
    ad_group_id,
    ad_id,
    network,
    device,
    creative_id,
    currency,
    impressions,
    clicks,
    cost,
    conversions,
    view_through_conversions,
    conversions_value
from marked
where is_total = has_only_total
