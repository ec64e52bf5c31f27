{# One platform's rows of a mart over all platforms. #}
{% macro rows_of_platform(mart, platform) -%}
    select *
    from {{ mart }}
    where platform = '{{ platform }}'
{%- endmacro %}
