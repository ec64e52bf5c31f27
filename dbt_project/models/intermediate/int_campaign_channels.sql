-- int_campaign_channels: one row per platform, account and campaign, with its track and its channel in the media mix.
-- The first rule that matches wins; a campaign no rule matches is in its platform's own `other` channel.
with campaigns as (
    select * from {{ ref('int_campaign_tracks') }}
),

matches as (
    {{ matched_rules(ref('stg_ops__channel_rules'), 'channel', 'platform_pattern') }}
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
