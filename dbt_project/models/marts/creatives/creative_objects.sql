-- creative_objects: one row per platform, account and creative, as of its latest snapshot.
{{ config(materialized='table') }}

with final as (
    select
        platform,
        account_id,
        creative_id,
        creative_name,
        format,
        headline,
        body,
        call_to_action,
        link_url,
        image_file,
        image_hash,
        theme,
        created_on,
        first_seen,
        last_seen,
        {{ text_hash(['format', 'headline', 'body', 'call_to_action', 'link_url', 'image_hash']) }} as content_hash
    from {{ ref('stg_creatives__creatives') }}
)

select * from final
