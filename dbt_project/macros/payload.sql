{#
    The one place that reads raw.*.payload (canonical JSON text, numbers as text).
    `fields` maps a payload key to its type; a missing key, an empty text or a number that does not
    parse is NULL, so a changed export never breaks a build (`unreadable_numbers` counts the last kind).
#}

{# The select item that every other macro here reads. DuckDB parses the text once per row; BigQuery per field. #}
{% macro payload_document(fields) -%}
    {%- if target.type == 'duckdb' -%}
        {%- set structure = {} -%}
        {%- for field in fields -%}{%- do structure.update({field: 'VARCHAR'}) -%}{%- endfor -%}
        try(json_transform(payload, '{{ tojson(structure) }}')) as document
    {%- else -%}
        payload as document
    {%- endif -%}
{%- endmacro %}

{% macro payload_text(field) -%}
    {%- if target.type == 'duckdb' -%}
        nullif(document['{{ field }}'], '')
    {%- else -%}
        nullif(json_value(document, '$.{{ field }}'), '')
    {%- endif -%}
{%- endmacro %}

{# One field as its type. Counts are read as NUMERIC and rounded, so `12.0` is 12. #}
{% macro payload_value(field, type) -%}
    {%- if type == 'STRING' -%}
        {{ payload_text(field) }}
    {%- elif type == 'INT64' -%}
        {{ float_to_integer(try_cast_to(payload_text(field), 'NUMERIC')) }}
    {%- elif type == 'BOOL' -%}
        case lower({{ payload_text(field) }}) when 'true' then true when 'false' then false end
    {%- else -%}
        {{ try_cast_to(payload_text(field), type) }}
    {%- endif -%}
{%- endmacro %}

{% macro payload_columns(fields) -%}
    {%- for field, type in fields.items() -%}
        {{ payload_value(field, type) }} as {{ field }}
        {%- if not loop.last %},
    {% endif -%}
    {%- endfor -%}
{%- endmacro %}

{# How many numeric fields of the row hold text that is not a number. #}
{% macro unreadable_numbers(fields) -%}
    {%- set terms = [] -%}
    {%- for field, type in fields.items() if type in ('INT64', 'NUMERIC') -%}
        {%- do terms.append(
            'case when ' ~ payload_text(field) ~ ' is not null and '
            ~ try_cast_to(payload_text(field), 'NUMERIC') ~ ' is null then 1 else 0 end'
        ) -%}
    {%- endfor -%}
    cast({{ terms | join('\n    + ') }} as int64)
{%- endmacro %}
