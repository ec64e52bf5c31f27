-- stg_google_ads__recommendations: one row per account and recommendation, as of the latest snapshot that had it.
-- One that an account's newest snapshot lacks was applied, dismissed or withdrawn: compare last_seen.
{% set fields = {
    'recommendation_type': 'STRING',
    'campaign_id': 'STRING',
    'is_dismissed': 'BOOL',
    'current_budget': 'NUMERIC',
    'recommended_budget': 'NUMERIC',
    'base_cost': 'NUMERIC',
    'potential_cost': 'NUMERIC',
    'base_clicks': 'NUMERIC',
    'potential_clicks': 'NUMERIC',
    'base_conversions': 'NUMERIC',
    'potential_conversions': 'NUMERIC',
} %}

with counted as (
    {{ counted_rows('google_ads_recommendations') }}
),

ranked as (
    select
        *,
        min(report_date) over (partition by source, account_id, recommendation_id) as first_seen,
        max(report_date) over (partition by source, account_id, recommendation_id) as last_seen
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
    recommendation_id,
    {{ payload_columns(fields) }},
    {{ unreadable_numbers(fields) }} as unreadable_numbers,
    _batch_id,
    _ingested_at
from parsed
