{#
    The load contract: which raw rows count.
    A slice is (source, stream, account_id, report_date, breakdown_set). Its latest complete attempt names the
    batch whose rows count. Latest row per key would be wrong: a row that vanished from the export would survive.
#}

{# One row per slice of a stream. A filter on report_date passes through, because it is a partition key. #}
{% macro latest_slices(stream) -%}
    select
        source,
        account_id,
        report_date,
        breakdown_set,
        data_batch_id,
        row_count
    from (
        select
            source,
            account_id,
            report_date,
            breakdown_set,
            data_batch_id,
            row_count,
            row_number() over (
                partition by source, account_id, report_date, breakdown_set
                order by completed_at desc, batch_id desc
            ) as recency
        from {{ source('ops', 'ingest_slices') }}
        where stream = '{{ stream }}' and status = 'complete'
    ) as attempts
    where recency = 1
{%- endmacro %}

{# The raw rows of a stream that count. Undated rows are matched by `dated=false`: they have no report_date to filter on. #}
{% macro counted_rows(stream, dated=true) -%}
    select landed.*
    from {{ source('raw', stream) }} as landed
    inner join (
        {{ latest_slices(stream) }}
    ) as slices
        on
            landed.source = slices.source
            and landed.account_id = slices.account_id
            {%- if dated %}
            and landed.report_date = slices.report_date
            {%- else %}
            and landed.report_date is null
            and slices.report_date is null
            {%- endif %}
            and landed.breakdown_set = slices.breakdown_set
            and landed._batch_id = slices.data_batch_id
{%- endmacro %}
