-- Per Google Ads account, campaign and day, ads add up to the control total, within a cent and placement_tolerance.
-- A campaign without ad rows enters ads_ad_daily as its total and is equal by construction. A warning: two calls made
-- minutes apart differ without anything being lost here.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'ads_campaign_performance'}}}) }}

with ads as (
    select
        date,
        account_id,
        campaign_id,
        sum(cost) as cost,
        sum(conversions_click) as conversions
    from {{ ref('ads_ad_daily') }}
    where
        platform = 'google_ads'
        and {{ tested_days('date') }}
    group by date, account_id, campaign_id
),

campaigns as (
    select
        date,
        account_id,
        campaign_id,
        sum(coalesce(cost, 0)) as cost,
        sum(coalesce(conversions, 0)) as conversions
    from {{ ref('ads_campaign_performance') }}
    where {{ tested_days('date') }}
    group by date, account_id, campaign_id
)

select
    campaigns.date,
    campaigns.account_id,
    campaigns.campaign_id,
    ads.cost as ad_cost,
    campaigns.cost as campaign_cost,
    ads.conversions as ad_conversions,
    campaigns.conversions as campaign_conversions
from campaigns
left join ads
    on
        campaigns.date = ads.date
        and campaigns.account_id = ads.account_id
        and campaigns.campaign_id = ads.campaign_id
where
    ads.campaign_id is null
    or abs(ads.cost - campaigns.cost) > 0.01 + {{ var('placement_tolerance') }} * campaigns.cost
    or abs(ads.conversions - campaigns.conversions)
    > 0.01 + {{ var('placement_tolerance') }} * campaigns.conversions
