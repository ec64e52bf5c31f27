-- int_campaign_tracks: one row per platform, account and campaign, with the track its latest name belongs to.
-- The first rule that matches wins; a campaign no rule matches is 'unassigned', shown and never allocated to.
with named as (
    select
        platform,
        account_id,
        campaign_id,
        campaign_name,
        date
    from {{ ref('ads_campaign_daily') }}
    union all
    select distinct
        platform,
        account_id,
        campaign_id,
        campaign_name,
        date '1970-01-01' as date
    from {{ ref('ads_period_performance') }}
),

ranked as (
    select
        platform,
        account_id,
        campaign_id,
        campaign_name,
        row_number() over (
            partition by platform, account_id, campaign_id
            order by date desc, campaign_name asc
        ) as recency
    from named
),

campaigns as (
    select * from ranked
    where recency = 1
),

matches as (
    {{ matched_rules(ref('stg_ops__track_rules'), 'track', 'source_pattern') }}
)

select
    campaigns.platform,
    campaigns.account_id,
    campaigns.campaign_id,
    campaigns.campaign_name,
    coalesce(matches.track, 'unassigned') as track
from campaigns
left join matches
    on
        campaigns.platform = matches.platform
        and campaigns.account_id = matches.account_id
        and campaigns.campaign_id = matches.campaign_id
        and matches.priority = 1
