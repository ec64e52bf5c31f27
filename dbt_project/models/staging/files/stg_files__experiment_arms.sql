-- stg_files__experiment_arms: one row per source, account, test, arm, period, hour, segment and user of a split test.
{% set fields = {
    'period_start': 'DATE',
    'period_end': 'DATE',
    'test_name': 'STRING',
    'kind': 'STRING',
    'track': 'STRING',
    'primary_metric': 'STRING',
    'planned_share': 'NUMERIC',
    'is_control': 'BOOL',
    'headline': 'STRING',
    'body': 'STRING',
    'description': 'STRING',
    'image_id': 'STRING',
    'creative_id': 'STRING',
    'users': 'INT64',
    'impressions': 'INT64',
    'link_clicks': 'INT64',
    'conversions_click': 'NUMERIC',
    'conversions_view': 'NUMERIC',
    'orders': 'NUMERIC',
    'positive_answers': 'INT64',
    'negative_answers': 'INT64',
    'spend': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('experiment_arms', dated=false) }}
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
    breakdown_set,
    test_id,
    arm,
    period,
    hour,
    segment,
    unit_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
