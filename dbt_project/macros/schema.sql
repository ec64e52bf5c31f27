{# Schemas are exactly raw, staging, intermediate, ops, gaelp_training, gaelp_users, with an optional prefix. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ env_var('AELP_DATASET_PREFIX', '') }}{{ (custom_schema_name or 'staging') | trim }}
{%- endmacro %}

{# On BigQuery a flat JSON comment becomes the job's labels. #}
{% macro query_comment(node) -%}
    {{ return(tojson({'aelp_component': 'dbt', 'node': node.name if node else 'run'})) }}
{%- endmacro %}
