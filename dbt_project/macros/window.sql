{#
    Ranges of days: which days an incremental run replaces, and how each warehouse replaces them.

    vars min_date and max_date (both or neither): the run replaces [min_date - lookback_days, max_date].
    Without them: from lookback_days before the newest day in the table, with no end.
    A model whose days depend on days before them says so in `meta.rolling_days`: a day changes the values of
    the rolling_days after it, so these are replaced too, and its inputs are read that far back.
    `--full-refresh` and the first build ignore all of it.
#}

{% macro shifted(day, days) -%}
    {{ return((modules.datetime.date.fromisoformat(day) + modules.datetime.timedelta(days=days)).isoformat()) }}
{%- endmacro %}

{# {'first', 'last'} as ISO days, or none where the vars are absent. #}
{% macro requested_window() -%}
    {%- set first = var('min_date', none) -%}
    {%- set last = var('max_date', none) -%}
    {%- if (first is none) != (last is none) -%}
        {% do exceptions.raise_compiler_error('Give both min_date and max_date, or neither.') %}
    {%- endif -%}
    {%- if first is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- if first | string > last | string -%}
        {% do exceptions.raise_compiler_error('min_date ' ~ first ~ ' is after max_date ' ~ last ~ '.') %}
    {%- endif -%}
    {{ return({'first': shifted(first | string, -(var('lookback_days') | int)), 'last': last | string}) }}
{%- endmacro %}

{% macro rolling_days() -%}
    {{ return((config.get('meta', {}) or {}).get('rolling_days', 0)) }}
{%- endmacro %}

{# The days this run of an incremental model replaces; `last` is none where the range has no end. #}
{% macro replaced_window() -%}
    {%- set requested = requested_window() -%}
    {%- if requested is not none -%}
        {{ return({'first': requested['first'], 'last': shifted(requested['last'], rolling_days())}) }}
    {%- endif -%}
    {%- set newest = run_query('select cast(max(date) as string) as newest from ' ~ this).columns[0].values()[0] -%}
    {%- if newest is none -%}
        {{ return({'first': none, 'last': none}) }}
    {%- endif -%}
    {{ return({'first': shifted(newest | string, -(var('lookback_days') | int)), 'last': none}) }}
{%- endmacro %}

{# `first <= column <= last` for constants, so that both warehouses can skip other days. #}
{% macro between_days(column, first, last) -%}
    {%- if first is none and last is none -%}
        true
    {%- else -%}
        {%- if first is not none -%}{{ column }} >= date '{{ first }}'{%- endif -%}
        {%- if first is not none and last is not none %} and {% endif -%}
        {%- if last is not none -%}{{ column }} <= date '{{ last }}'{%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Days an incremental model replaces; `before` widens the range for the inputs of rolling sums. #}
{% macro in_window(column='date', before=0) -%}
    {%- if execute and is_incremental() -%}
        {%- set window = replaced_window() -%}
        {%- set first = shifted(window['first'], -before) if window['first'] is not none else none -%}
        {{ between_days(column, first, window['last']) }}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#
    Data tests look at the days the vars name (and the rolling days after), so that a daily run costs the same in year
    three. Not at the lookback before them: a day that fails and was given up would fail the builds beside it.
#}
{% macro tested_days(column='date', rolling=6) -%}
    {%- set requested = requested_window() -%}
    {%- if requested is none or flags.FULL_REFRESH -%}
        true
    {%- else -%}
        {{ between_days(column, var('min_date') | string, shifted(requested['last'], rolling)) }}
    {%- endif -%}
{%- endmacro %}

{#
    DuckDB strategy `replace_days`: delete the whole range, then insert, in the materialization's transaction.
    A day that vanished upstream leaves too, which delete+insert by key cannot do.
#}
{% macro get_incremental_replace_days_sql(arguments) -%}
    {%- set window = replaced_window() -%}
    {%- set columns = get_quoted_csv(arguments['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arguments['target_relation'] }}
    where {{ between_days('date', window['first'], window['last']) }};
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arguments['temp_relation'] }}
{%- endmacro %}

{#
    BigQuery: insert_overwrite with a static list of partitions, worked out when the model runs (its own
    `partitions` config is fixed when the project is parsed). An open range ends at the newest day on either side.
#}
{% macro bq_insert_overwrite_sql(
    tmp_relation, target_relation, sql, unique_key, partition_by, partitions, dest_columns, tmp_relation_exists, copy_partitions
) -%}
    {%- set window = replaced_window() -%}
    {%- if window['first'] is none or window['last'] is none -%}
        {%- set bounds = run_query(
            'select cast(min(date) as string) as first, cast(max(date) as string) as last from ('
            ~ 'select date from ' ~ tmp_relation ~ ' union all select date from ' ~ target_relation ~ ') as days'
        ).rows[0] -%}
        {%- set first = window['first'] or bounds[0] or '1970-01-01' -%}
        {%- set last = [bounds[1] or first, first] | max -%}
    {%- else -%}
        {%- set first, last = window['first'], window['last'] -%}
    {%- endif -%}
    {%- set days = (
        modules.datetime.date.fromisoformat(last) - modules.datetime.date.fromisoformat(first)
    ).days -%}
    {%- set replaced = [] -%}
    {%- for offset in range(days + 1) -%}
        {%- do replaced.append("date '" ~ shifted(first, offset) ~ "'") -%}
    {%- endfor -%}
    {{ bq_static_insert_overwrite_sql(
        tmp_relation, target_relation, sql, partition_by, replaced, dest_columns, tmp_relation_exists, false
    ) }}
{%- endmacro %}

{#
    How a mart by day is stored. `first` of the cluster columns is what people filter on.
    A table of an earlier version gains new columns in place; its days are stale and rebuilt, which fills them.
#}
{% macro daily_config(cluster, rolling_days=0) -%}
    {{ config(
        materialized='incremental',
        incremental_strategy='insert_overwrite' if target.type == 'bigquery' else 'replace_days',
        on_schema_change='append_new_columns',
        partition_by={'field': 'date', 'data_type': 'date'} if target.type == 'bigquery' else none,
        cluster_by=cluster if target.type == 'bigquery' else none,
        tags=['daily'],
        meta={'rolling_days': rolling_days},
    ) }}
{%- endmacro %}
