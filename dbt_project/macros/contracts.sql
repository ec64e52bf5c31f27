{#
    Contracts name BigQuery types and are enforced, on either engine, as the types of `type_of`: names and types
    of the query are asserted against the YAML before anything is built.
#}

{% macro default__get_empty_schema_sql(columns) -%}
    select
        {%- for column in columns.values() %}
        cast(null as {{ type_of(column['data_type']) }}) as {{ column['name'] }}{{ ',' if not loop.last }}
        {%- endfor %}
{%- endmacro %}

{% macro bigquery__get_empty_schema_sql(columns) -%}
    {{ default__get_empty_schema_sql(columns) }}
{%- endmacro %}

{# The emulator cannot parse a column list before AS; without it the query's own types, asserted above, stand. #}
{% macro default__get_table_columns_and_constraints() -%}
    {%- if not env_var('AELP_BIGQUERY_ENDPOINT', '') or target.type == 'duckdb' -%}
        (
            {%- for column in model['columns'].values() %}
            {{ column['name'] }} {{ type_of(column['data_type']) if target.type == 'duckdb' else column['data_type'] }}{{ ',' if not loop.last }}
            {%- endfor %}
        )
    {%- endif -%}
{%- endmacro %}
