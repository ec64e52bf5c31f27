-- int_campaign_channels: one row per platform, account and campaign, with its track and its channel in the media mix.
-- The first rule that matches wins; a campaign no rule matches is in its platform's own `other` channel.
with campaigns as (
    select * from {{ ref('int_campaign_tracks') }}
),

matches as (
    select
        campaigns.platform,
        campaigns.account_id,
        campaigns.campaign_id,
        rules.channel,
        row_number() over (
            partition by campaigns.platform, campaigns.account_id, campaigns.campaign_id
            order by rules.rule_order
        ) as priority
    from campaigns
    cross join {{ ref('stg_ops__channel_rules') }} as rules
    where
        {{ matches_pattern('campaigns.platform', 'rules.platform_pattern') }}
        and {{ matches_pattern('campaigns.account_id', 'rules.account_pattern') }}
        and {{ matches_pattern("coalesce(campaigns.campaign_name, '')", 'rules.campaign_pattern') }}
)

select
    campaigns.platform,
    campaigns.account_id,
    campaigns.campaign_id,
    campaigns.campaign_name,
    campaigns.track,
    coalesce(matches.channel, campaigns.platform || '_other') as channel
from campaigns
left join matches
    on
        campaigns.platform = matches.platform
        and campaigns.account_id = matches.account_id
        and campaigns.campaign_id = matches.campaign_id
        and matches.priority = 1
