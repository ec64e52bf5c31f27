-- stg_vendor_files__creatives: one row per vendor folder, file, creative and row, on the day the file was dropped.
{% set fields = {
    'vendor': 'STRING',
    'file_name': 'STRING',
    'creative_name': 'STRING',
    'format': 'STRING',
    'headline': 'STRING',
    'body': 'STRING',
    'call_to_action': 'STRING',
    'link_url': 'STRING',
    'image_file': 'STRING',
    'image_hash': 'STRING',
    'theme': 'STRING',
    'created_on': 'DATE',
} %}

with counted as (
    {{ counted_rows('vendor_creatives') }}
),

parsed as (
    select
        *,
        {{ payload_document(fields) }}
    from counted
)

select
    source as platform,
    account_id,
    report_date as date,
    breakdown_set,
    file_sha256,
    creative_id,
    row_no,
    {{ payload_columns(fields) }},
    _batch_id,
    _ingested_at
from parsed
