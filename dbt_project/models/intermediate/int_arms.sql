-- int_arms: one row per platform, account, kind and arm that has no budget of its own: ads, ad sets and ad groups
-- inside a campaign's budget, keywords. Its switch (status) is its own; NULL where no snapshot says it.
with levers as (
    select * from {{ ref('int_levers') }}
    where is_current
),

ads as (
    select
        arms.platform,
        arms.account_id,
        arms.track,
        arms.lever_id,
        levers.lever_source,
        levers.arm_level,
        arms.campaign_id,
        arms.adgroup_id,
        arms.ad_id
    from {{ ref('int_arm_levers') }} as arms
    inner join levers
        on
            arms.platform = levers.platform
            and arms.account_id = levers.account_id
            and arms.lever_id = levers.lever_id
    where levers.arm_level != 'ad'
),

adgroups as (
    select
        platform,
        account_id,
        min(track) as track,
        min(lever_id) as lever_id,
        min(lever_source) as lever_source,
        adgroup_id
    from ads
    where
        arm_level = 'campaign'
        and adgroup_id is not null
    group by platform, account_id, adgroup_id
),

google_entities as (
    select * from {{ ref('stg_google_ads__entities') }}
),

keywords as (
    select
        words.platform,
        words.account_id,
        tracks.track,
        levers.lever_id,
        levers.lever_source,
        words.ad_group_id,
        words.entity_id
    from google_entities as words
    inner join levers
        on
            levers.arm_level = 'campaign'
            and words.platform = levers.platform
            and words.account_id = levers.account_id
            and words.campaign_id = levers.entity_id
    inner join {{ ref('int_campaign_tracks') }} as tracks
        on
            words.platform = tracks.platform
            and words.account_id = tracks.account_id
            and words.campaign_id = tracks.campaign_id
    where
        words.entity_type = 'keyword'
        and not coalesce(words.is_negative, false)
),

arms as (
    select
        platform,
        account_id,
        track,
        lever_id,
        lever_source,
        'ad' as arm_kind,
        ad_id as arm_id,
        adgroup_id
    from ads
    union all
    select
        platform,
        account_id,
        track,
        lever_id,
        lever_source,
        'adgroup' as arm_kind,
        adgroup_id as arm_id,
        adgroup_id
    from adgroups
    union all
    select
        platform,
        account_id,
        track,
        lever_id,
        lever_source,
        'keyword' as arm_kind,
        entity_id as arm_id,
        ad_group_id as adgroup_id
    from keywords
),

switches as (
    select
        platform,
        account_id,
        case entity_type when 'adset' then 'adgroup' else entity_type end as arm_kind,
        entity_id as arm_id,
        name,
        status
    from {{ ref('stg_meta__entities') }}
    where entity_type in ('ad', 'adset')
    union all
    select
        platform,
        account_id,
        case entity_type when 'ad_group' then 'adgroup' else entity_type end as arm_kind,
        -- Google names an ad ad group~ad; reports have the ad alone.
        case entity_type
            when 'ad' then replace(entity_id, concat(ad_group_id, '~'), '')
            else entity_id
        end as arm_id,
        name,
        status
    from google_entities
    where entity_type in ('ad', 'ad_group', 'keyword')
)

select
    arms.platform,
    arms.account_id,
    arms.track,
    arms.lever_id,
    arms.lever_source,
    arms.arm_kind,
    arms.arm_id,
    arms.adgroup_id,
    switches.name as arm_name,
    case
        when switches.status in ('ACTIVE', 'ENABLED') then 'active'
        when switches.status = 'PAUSED' then 'paused'
        when switches.status is not null then 'removed'
    end as status
from arms
left join switches
    on
        arms.platform = switches.platform
        and arms.account_id = switches.account_id
        and arms.arm_kind = switches.arm_kind
        and arms.arm_id = switches.arm_id
