-- int_experiment_arms: one row per split test and arm: what it showed, as its file tells or as the creative it names
-- has it. An arm whose contents changed while it ran is left out: its rate is of no one thing.
with told as (
    select
        platform,
        account_id,
        test_id,
        arm,
        max(creative_id) as creative_id,
        max(headline) as headline,
        max(body) as body,
        max(description) as description,
        max(image_id) as image_id
    from {{ ref('stg_files__experiment_arms') }}
    group by platform, account_id, test_id, arm
    having
        count(distinct creative_id) <= 1
        and count(distinct headline) <= 1
        and count(distinct body) <= 1
        and count(distinct description) <= 1
        and count(distinct image_id) <= 1
),

creatives as (
    select * from {{ ref('creative_objects') }}
),

images as (
    select
        platform,
        account_id,
        asset_id,
        content_sha256
    from {{ ref('stg_creatives__assets') }}
    where asset_kind = 'image'
),

shown as (
    select
        told.platform,
        told.account_id,
        told.test_id,
        told.arm,
        told.creative_id,
        creatives.format,
        coalesce(told.headline, creatives.headline) as headline,
        coalesce(told.body, creatives.body) as body,
        creatives.call_to_action,
        creatives.link_url,
        told.description,
        told.image_id,
        case when told.image_id is null then creatives.image_hash else images.asset_id end as image_hash,
        case when told.image_id is null then creatives.content_sha256 else images.content_sha256 end as content_sha256
    from told
    left join creatives
        on
            told.platform = creatives.platform
            and told.account_id = creatives.account_id
            and told.creative_id = creatives.creative_id
    left join images
        on
            told.platform = images.platform
            and told.account_id = images.account_id
            and told.image_id = images.asset_id
)

select
    platform,
    account_id,
    test_id,
    arm,
    creative_id,
    headline,
    body,
    call_to_action,
    description,
    image_id,
    content_sha256,
    {{ text_hash(['format', 'headline', 'body', 'call_to_action', 'link_url', 'image_hash']) }} as content_hash
from shown
