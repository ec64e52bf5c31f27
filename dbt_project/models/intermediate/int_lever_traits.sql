-- int_lever_traits: one row per platform, account, lever, trait and value: what platforms say of whom a lever's money
-- reaches, as they word it. Which levers compete for the same people is made of this (`models/overlap.py`).
-- As of each object's latest snapshot; archived and deleted ad sets and removed keywords reach nobody.
with levers as (
    select
        platform,
        account_id,
        lever_id,
        arm_level,
        campaign_id,
        entity_id
    from {{ ref('int_levers') }}
),

names as (
    select
        levers.platform,
        levers.account_id,
        levers.lever_id,
        'campaign_name' as trait,
        campaigns.campaign_name as value
    from levers
    inner join {{ ref('int_campaign_tracks') }} as campaigns
        on
            levers.platform = campaigns.platform
            and levers.account_id = campaigns.account_id
            and levers.campaign_id = campaigns.campaign_id
),

meta_entities as (
    select * from {{ ref('stg_meta__entities') }}
),

meta_objectives as (
    select
        levers.platform,
        levers.account_id,
        levers.lever_id,
        'campaign_type' as trait,
        campaigns.objective as value
    from levers
    inner join meta_entities as campaigns
        on
            levers.platform = campaigns.platform
            and levers.account_id = campaigns.account_id
            and levers.campaign_id = campaigns.entity_id
            and campaigns.entity_type = 'campaign'
),

meta_adsets as (
    select
        levers.platform,
        levers.account_id,
        levers.lever_id,
        adsets.targeting,
        adsets.optimization_goal
    from levers
    inner join meta_entities as adsets
        on
            levers.platform = adsets.platform
            and levers.account_id = adsets.account_id
            and adsets.entity_type = 'adset'
            and (
                (levers.arm_level = 'campaign' and levers.entity_id = adsets.campaign_id)
                or (levers.arm_level = 'adgroup' and levers.entity_id = adsets.entity_id)
            )
    where coalesce(adsets.status, '') not in ('ARCHIVED', 'DELETED')
),

google_entities as (
    select * from {{ ref('stg_google_ads__entities') }}
),

google_types as (
    select
        levers.platform,
        levers.account_id,
        levers.lever_id,
        'campaign_type' as trait,
        campaigns.subtype as value
    from levers
    inner join google_entities as campaigns
        on
            levers.platform = campaigns.platform
            and levers.account_id = campaigns.account_id
            and levers.campaign_id = campaigns.entity_id
            and campaigns.entity_type = 'campaign'
),

google_keywords as (
    select
        levers.platform,
        levers.account_id,
        levers.lever_id,
        'keyword' as trait,
        words.name as value
    from levers
    inner join google_entities as words
        on
            levers.platform = words.platform
            and levers.account_id = words.account_id
            and levers.campaign_id = words.campaign_id
            and words.entity_type = 'keyword'
    where
        not coalesce(words.is_negative, false)
        and coalesce(words.status, '') != 'REMOVED'
),

pages as (
    select
        arms.platform,
        arms.account_id,
        arms.lever_id,
        'landing_page' as trait,
        creatives.link_url as value
    from {{ ref('int_arm_levers') }} as arms
    inner join {{ ref('creative_objects') }} as creatives
        on
            arms.platform = creatives.platform
            and arms.account_id = creatives.account_id
            and arms.creative_id = creatives.creative_id
    where arms.lever_id is not null
),

traits as (
    select * from names
    union all
    select * from meta_objectives
    union all
    select
        platform,
        account_id,
        lever_id,
        'targeting' as trait,
        targeting as value
    from meta_adsets
    union all
    select
        platform,
        account_id,
        lever_id,
        'event' as trait,
        optimization_goal as value
    from meta_adsets
    union all
    select * from google_types
    union all
    select * from google_keywords
    union all
    select * from pages
)

select distinct
    platform,
    account_id,
    lever_id,
    trait,
    value
from traits
where value is not null
