-- stg_ops__conversions_as_pulled: one row per platform, account, report day and batch that changed it.
-- Click conversions of the day as that batch told them; a batch that emptied the day told none.
-- One call per platform, the one whose rows are the total. Ages as in stg_ops__pulled_days.
{% set streams = {
    'meta_ads_insights': ['none', 'purchases_7d_click'],
    'google_ads_ad_performance': ['network_device', 'conversions'],
    'tiktok_ads_report': ['none', 'conversions_click'],
    'linkedin_ad_analytics': ['none', 'conversions_post_click'],
    'file_ad_performance': ['none', 'conversions_click'],
} %}

with
{% for stream, (breakdown, field) in streams.items() -%}
landed_{{ stream }} as (
    select
        source,
        account_id,
        report_date,
        _batch_id,
        {{ payload_document({field: 'NUMERIC'}) }}
    from {{ source('raw', stream) }}
    where breakdown_set = '{{ breakdown }}' and report_date is not null
),

told_{{ stream }} as (
    select
        source,
        account_id,
        report_date,
        _batch_id,
        sum({{ payload_value(field, 'NUMERIC') }}) as conversions
    from landed_{{ stream }}
    group by source, account_id, report_date, _batch_id
),

{% endfor -%}
-- Only batches that brought something: an unchanged pull points at the batch it confirms.
changed as (
    select
        stream,
        source,
        account_id,
        report_date,
        breakdown_set,
        batch_id,
        completed_at
    from {{ source('ops', 'ingest_slices') }}
    where status = 'complete' and batch_id = data_batch_id and report_date is not null
)

{% for stream, (breakdown, field) in streams.items() -%}
select
    '{{ stream }}' as stream,
    changed.source as platform,
    changed.account_id,
    changed.report_date as date,
    changed.breakdown_set,
    changed.batch_id,
    changed.completed_at,
    {{ age_in_days('changed.completed_at', 'changed.report_date') }} as age,
    coalesce(told.conversions, 0) as conversions
from changed
left join told_{{ stream }} as told
    on
        changed.source = told.source
        and changed.account_id = told.account_id
        and changed.report_date = told.report_date
        and changed.batch_id = told._batch_id
where changed.stream = '{{ stream }}' and changed.breakdown_set = '{{ breakdown }}'
{{ 'union all' if not loop.last }}
{% endfor -%}
