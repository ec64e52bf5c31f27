-- stg_ad_library__ads: one row per search and ad, as it was last found.
{% set fields = {
    'query': 'STRING',
    'searched_on': 'DATE',
    'search_truncated': 'BOOL',
    'page_id': 'STRING',
    'page_name': 'STRING',
    'created_at': 'STRING',
    'delivery_start': 'STRING',
    'delivery_stop': 'STRING',
    'bodies': 'STRING',
    'link_titles': 'STRING',
    'link_captions': 'STRING',
    'snapshot_url': 'STRING',
    'publisher_platforms': 'STRING',
    'languages': 'STRING',
    'currency': 'STRING',
    'spend_lower': 'NUMERIC',
    'spend_upper': 'NUMERIC',
    'impressions_lower': 'INT64',
    'impressions_upper': 'INT64',
} %}

with counted as (
    {{ counted_rows('ad_library') }}
),

ranked as (
    select
        *,
        min(report_date) over (partition by source, account_id, query_hash, ad_archive_id) as first_seen,
        max(report_date) over (partition by source, account_id, query_hash, ad_archive_id) as last_seen
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
    query_hash,
    ad_archive_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
