-- stg_creatives__assets: one row per platform, account, kind and asset, as of its latest snapshot.
-- Snapshots repeat every asset, so the latest is chosen before any payload is parsed.
{% set fields = {
    'name': 'STRING',
    'width': 'INT64',
    'height': 'INT64',
    'length_seconds': 'NUMERIC',
    'status': 'STRING',
    'created_at': 'TIMESTAMP',
    'url': 'STRING',
    'content_sha256': 'STRING',
    'content_type': 'STRING',
    'byte_count': 'INT64',
    'outcome': 'STRING',
} %}

with counted as (
    {{ counted_rows('creative_assets') }}
),

ranked as (
    select
        *,
        min(report_date) over (partition by source, account_id, asset_kind, asset_id) as first_seen,
        max(report_date) over (partition by source, account_id, asset_kind, asset_id) as last_seen
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
    first_seen,
    last_seen,
    asset_kind,
    asset_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
