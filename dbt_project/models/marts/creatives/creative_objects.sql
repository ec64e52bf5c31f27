-- creative_objects: one row per platform, account and creative, as of its latest snapshot.
{{ config(materialized='table') }}

with creatives as (
    select * from {{ ref('stg_creatives__creatives') }}
),

assets as (
    select
        platform,
        account_id,
        asset_kind,
        asset_id,
        content_sha256
    from {{ ref('stg_creatives__assets') }}
),

final as (
    select
        creatives.platform,
        creatives.account_id,
        creatives.creative_id,
        creatives.creative_name,
        creatives.format,
        creatives.headline,
        creatives.body,
        creatives.call_to_action,
        creatives.link_url,
        creatives.image_file,
        creatives.image_hash,
        -- The image chosen for a video goes before the thumbnail its platform made.
        coalesce(images.content_sha256, thumbnails.content_sha256) as content_sha256,
        creatives.video_id,
        films.content_sha256 as video_sha256,
        creatives.theme,
        creatives.created_on,
        creatives.first_seen,
        creatives.last_seen,
        {{ text_hash([
            'creatives.format', 'creatives.headline', 'creatives.body', 'creatives.call_to_action',
            'creatives.link_url', 'creatives.image_hash'
        ]) }} as content_hash
    from creatives
    left join assets as images
        on
            creatives.platform = images.platform
            and creatives.account_id = images.account_id
            and creatives.image_hash = images.asset_id
            and images.asset_kind = 'image'
    left join assets as thumbnails
        on
            creatives.platform = thumbnails.platform
            and creatives.account_id = thumbnails.account_id
            and creatives.video_id = thumbnails.asset_id
            and thumbnails.asset_kind = 'video_thumbnail'
    left join assets as films
        on
            creatives.platform = films.platform
            and creatives.account_id = films.account_id
            and creatives.video_id = films.asset_id
            and films.asset_kind = 'video'
)

select * from final
