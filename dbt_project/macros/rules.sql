{# Which of the settings' rules a campaign falls under: the first in order that matches. #}

{# A CTE's body: platform, account_id, campaign_id of `campaigns` with the rules' `answer`; priority 1 is the one. #}
{% macro matched_rules(rules, answer, platform_pattern) -%}
    select
        campaigns.platform,
        campaigns.account_id,
        campaigns.campaign_id,
        rules.{{ answer }},
        row_number() over (
            partition by campaigns.platform, campaigns.account_id, campaigns.campaign_id
            order by rules.rule_order
        ) as priority
    from campaigns
    cross join {{ rules }} as rules
    where
        {{ matches_pattern('campaigns.platform', 'rules.' ~ platform_pattern) }}
        and {{ matches_pattern('campaigns.account_id', 'rules.account_pattern') }}
        and {{ matches_pattern("coalesce(campaigns.campaign_name, '')", 'rules.campaign_pattern') }}
{%- endmacro %}
