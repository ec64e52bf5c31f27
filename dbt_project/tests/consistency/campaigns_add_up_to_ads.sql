-- Per platform, account, campaign and day, ads_campaign_daily is the sum of ads_ad_daily, to the last digit.
{{ config(meta={'dagster': {'ref': {'name': 'ads_campaign_daily'}}}) }}
{% set metrics = ['cost', 'impressions', 'clicks', 'conversions_click', 'conversions_view'] %}

with ads as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        {{ sums(metrics) }}
    from {{ ref('ads_ad_daily') }}
    where {{ tested_days('date') }}
    group by date, platform, account_id, campaign_id
),

campaigns as (
    select * from {{ ref('ads_campaign_daily') }}
    where {{ tested_days('date') }}
)

select
    coalesce(ads.date, campaigns.date) as date,
    coalesce(ads.platform, campaigns.platform) as platform,
    coalesce(ads.account_id, campaigns.account_id) as account_id,
    coalesce(ads.campaign_id, campaigns.campaign_id) as campaign_id,
    ads.cost as ad_cost,
    campaigns.cost as campaign_cost
from ads
full outer join campaigns
    on
        ads.date = campaigns.date
        and ads.platform = campaigns.platform
        and ads.account_id = campaigns.account_id
        and ads.campaign_id = campaigns.campaign_id
where
    ads.date is null
    or campaigns.date is null
    {%- for metric in metrics %}
    or ads.{{ metric }} != campaigns.{{ metric }}
    {%- endfor %}
