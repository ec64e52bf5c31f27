{#
    Every difference between DuckDB and BigQuery, each with the meaning both must have.
    Not here: reading payloads (payload.sql), ranges of days (window.sql).
#}

{#
    Types are written as BigQuery names them, in YAML and in SQL. DuckDB knows STRING, INT64, BOOL and DATE too.
    BigQuery's NUMERIC has 9 decimals, said here because the emulator reads a bare NUMERIC as 3.
#}
{% macro type_of(name) -%}
    {%- if target.type == 'duckdb' -%}
        {{ {'NUMERIC': 'decimal(38, 9)', 'FLOAT64': 'double', 'TIMESTAMP': 'timestamptz'}.get(name, name) }}
    {%- else -%}
        {{ {'NUMERIC': 'numeric(38, 9)'}.get(name, name) }}
    {%- endif -%}
{%- endmacro %}

{# NULL where the text is not a value of the type; never an error. #}
{% macro try_cast_to(expression, type) -%}
    {%- if target.type == 'duckdb' -%}
        try_cast({{ expression }} as {{ type_of(type) }})
    {%- else -%}
        safe_cast({{ expression }} as {{ type_of(type) }})
    {%- endif -%}
{%- endmacro %}

{# A number to INT64, half away from zero: 2.5 -> 3, -2.5 -> -3. (A bare cast of a double rounds half to even on DuckDB.) #}
{% macro float_to_integer(expression) -%}
    {{ try_cast_to('round(' ~ expression ~ ')', 'INT64') }}
{%- endmacro %}

{# numerator / denominator as FLOAT64; NULL where the denominator is 0 or either is NULL. #}
{% macro safe_ratio(numerator, denominator) -%}
    cast({{ numerator }} as {{ type_of('FLOAT64') }}) / nullif(cast({{ denominator }} as {{ type_of('FLOAT64') }}), 0)
{%- endmacro %}

{# A number in whole billionths: sums do not follow the order of the rows. As INT64 they would end at nine billion. #}
{% macro whole_billionths(expression) -%}
    cast(round({{ expression }} * 1000000000) as {{ type_of('NUMERIC') }})
{%- endmacro %}

{# Sum of counts, INT64 on both (DuckDB widens to HUGEINT). #}
{% macro sum_count(expression) -%}
    cast(sum({{ expression }}) as int64)
{%- endmacro %}

{# Sums of several columns under their own names. #}
{% macro sums(columns) -%}
    {%- for column in columns -%}
        sum({{ column }}) as {{ column }}
        {%- if not loop.last %},
        {% endif -%}
    {%- endfor -%}
{%- endmacro %}

{# The whole numbers 0 … count - 1 as rows of one column. #}
{% macro numbers(count, name) -%}
    {%- for number in range(count) -%}
        select {{ number }} as {{ name }}
        {%- if not loop.last %}
    union all
    {% endif -%}
    {%- endfor -%}
{%- endmacro %}

{# Days since 1970-01-01: the order key of windows over days, because BigQuery ranges need a number. #}
{% macro day_number(day) -%}
    {%- if target.type == 'duckdb' -%}
        date_diff('day', date '1970-01-01', {{ day }})
    {%- else -%}
        unix_date({{ day }})
    {%- endif -%}
{%- endmacro %}

{# A DATE moved by a whole number of days. #}
{% macro add_days(day, days) -%}
    {%- if target.type == 'duckdb' -%}
        cast({{ day }} + cast({{ days }} as integer) as date)
    {%- else -%}
        date_add({{ day }}, interval ({{ days }}) day)
    {%- endif -%}
{%- endmacro %}

{# The Monday on or before a DATE. 1970-01-01 was a Thursday, so day number + 3 counts from a Monday. #}
{% macro week_start(day) -%}
    {{ add_days(day, '-mod(mod(' ~ day_number(day) ~ ' + 3, 7) + 7, 7)') }}
{%- endmacro %}

{# Whole hours elapsed from `earlier` to `later`, cut towards zero: 23:59 to 01:00 is 1, not the 2 clock hours touched. #}
{% macro timestamp_diff_hours(later, earlier) -%}
    {%- if target.type == 'duckdb' -%}
        date_sub('hour', {{ earlier }}, {{ later }})
    {%- else -%}
        div(timestamp_diff({{ later }}, {{ earlier }}, microsecond), 3600000000)
    {%- endif -%}
{%- endmacro %}

{# Hours elapsed from `earlier` to `later`, as a fraction. #}
{% macro hours_between(earlier, later) -%}
    {%- if target.type == 'duckdb' -%}
        cast(date_sub('microsecond', {{ earlier }}, {{ later }}) as double) / 3600000000
    {%- else -%}
        cast(timestamp_diff({{ later }}, {{ earlier }}, microsecond) as float64) / 3600000000
    {%- endif -%}
{%- endmacro %}

{# Midnight UTC of a DATE. #}
{% macro start_of_day(day) -%}
    {%- if target.type == 'duckdb' -%}
        cast({{ day }} as timestamp) at time zone 'UTC'
    {%- else -%}
        timestamp({{ day }})
    {%- endif -%}
{%- endmacro %}

{# The DATE of a moment in an IANA zone. #}
{% macro day_in_zone(moment, zone) -%}
    {%- if target.type == 'duckdb' -%}
        cast({{ moment }} at time zone {{ zone }} as date)
    {%- else -%}
        date({{ moment }}, {{ zone }})
    {%- endif -%}
{%- endmacro %}

{# Whole 24 hours since a report day began in UTC; a moment before it has age 0. #}
{% macro age_in_days(moment, day) -%}
    {{ float_to_integer('floor(greatest(' ~ timestamp_diff_hours(moment, start_of_day(day)) ~ ', 0) / 24)') }}
{%- endmacro %}

{# Hex md5 of some text columns; NULL and empty text count as different. #}
{% macro text_hash(columns) -%}
    {%- set parts = [] -%}
    {%- for column in columns -%}
        {%- do parts.append("coalesce('=' || " ~ column ~ ", '-')") -%}
    {%- endfor -%}
    {%- set text = parts | join(" || '|' || ") -%}
    {%- if target.type == 'duckdb' -%}
        md5({{ text }})
    {%- else -%}
        to_hex(md5({{ text }}))
    {%- endif -%}
{%- endmacro %}

{#
    LIKE without case; `\_`, `\%` and `\\` in the pattern are literal. DuckDB needs ESCAPE for that, BigQuery forbids it
    and the emulator forgets it, so literal characters are put out of LIKE's reach instead.
#}
{% macro matches_pattern(value, pattern) -%}
    replace(replace(replace(lower({{ value }}), chr(92), chr(1)), '_', chr(2)), '%', chr(3))
    like replace(replace(replace(
        lower({{ pattern }}), chr(92) || chr(92), chr(1)), chr(92) || '_', chr(2)), chr(92) || '%', chr(3)
    )
{%- endmacro %}

{# A column whose name is a keyword somewhere (`rows` in BigQuery). #}
{% macro quoted(name) -%}
    {%- if target.type == 'duckdb' -%}
        "{{ name }}"
    {%- else -%}
        `{{ name }}`
    {%- endif -%}
{%- endmacro %}

{# DuckDB has no partitions: rows in day order let a date filter skip row groups. BigQuery partitions instead. #}
{% macro physical_order(column) -%}
    {%- if target.type == 'duckdb' %}
order by {{ column }}
    {%- endif -%}
{%- endmacro %}
