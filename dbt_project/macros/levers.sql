{# Which lever moves an ad: its own, else its ad group's, else its campaign's. #}

{# Joins a CTE `levers` of int_levers to rows with platform, account_id, campaign_id, adgroup_id and ad_id. #}
{% macro joined_levers(rows) -%}
    left join levers as ad_levers
        on
            ad_levers.arm_level = 'ad'
            and {{ rows }}.platform = ad_levers.platform
            and {{ rows }}.account_id = ad_levers.account_id
            and {{ rows }}.ad_id = ad_levers.entity_id
    left join levers as adgroup_levers
        on
            adgroup_levers.arm_level = 'adgroup'
            and {{ rows }}.platform = adgroup_levers.platform
            and {{ rows }}.account_id = adgroup_levers.account_id
            and {{ rows }}.adgroup_id = adgroup_levers.entity_id
    left join levers as campaign_levers
        on
            campaign_levers.arm_level = 'campaign'
            and {{ rows }}.platform = campaign_levers.platform
            and {{ rows }}.account_id = campaign_levers.account_id
            and {{ rows }}.campaign_id = campaign_levers.entity_id
{%- endmacro %}

{#
    The lowest of them. With a day, the lowest that was there that day or later, so that an ad set whose budget its
    campaign took over gets nothing from then on; where none was, the lowest all the same.
#}
{% macro joined_lever_id(day=none) -%}
    coalesce(
        {%- if day is not none %}
        {%- for level in ['ad_levers', 'adgroup_levers', 'campaign_levers'] %}
        case when {{ level }}.is_current or {{ level }}.last_seen >= {{ day }} then {{ level }}.lever_id end,
        {%- endfor %}
        {%- endif %}
        ad_levers.lever_id, adgroup_levers.lever_id, campaign_levers.lever_id
    )
{%- endmacro %}
