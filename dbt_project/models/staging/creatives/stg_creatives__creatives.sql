-- stg_creatives__creatives: one row per platform, account and creative, as of its latest snapshot.
-- Snapshots repeat every creative, so the latest is chosen before any payload is parsed.
{% set fields = {
    'creative_name': 'STRING',
    'format': 'STRING',
    'headline': 'STRING',
    'body': 'STRING',
    'call_to_action': 'STRING',
    'link_url': 'STRING',
    'image_file': 'STRING',
    'image_hash': 'STRING',
    'video_id': 'STRING',
    'theme': 'STRING',
    'created_on': 'DATE',
} %}

with counted as (
    {{ counted_rows('creatives') }}
),

ranked as (
    select
        *,
        min(report_date) over (partition by source, account_id, creative_id) as first_seen,
        max(report_date) over (partition by source, account_id, creative_id) as last_seen
    from counted
),

parsed as (
    select
        *,
        {{ payload_document(fields) }}
    from ranked
    where report_date = last_seen
)

select
    source as platform,
    account_id,
    creative_id,
    first_seen,
    last_seen,
    {{ payload_columns(fields) }},
    _batch_id,
    _ingested_at
from parsed
