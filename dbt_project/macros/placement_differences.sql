{# Account days on which one of these of int_placement_daily is off ads_ad_daily by more than one and this share. #}
{% macro placement_differences(metrics, tolerance) -%}
with placements as (
    select
        date,
        platform,
        account_id,
        {{ sums(metrics) }}
    from {{ ref('int_placement_daily') }}
    where {{ tested_days('date') }}
    group by date, platform, account_id
),

ads as (
    select
        date,
        platform,
        account_id,
        {{ sums(metrics) }}
    from {{ ref('ads_ad_daily') }}
    where {{ tested_days('date') }}
    group by date, platform, account_id
)

select
    coalesce(ads.date, placements.date) as date,
    coalesce(ads.platform, placements.platform) as platform,
    coalesce(ads.account_id, placements.account_id) as account_id,
    {%- for metric in metrics %}
    ads.{{ metric }} as ad_{{ metric }},
    placements.{{ metric }} as placement_{{ metric }}{{ ',' if not loop.last }}
    {%- endfor %}
from ads
full outer join placements
    on
        ads.date = placements.date
        and ads.platform = placements.platform
        and ads.account_id = placements.account_id
where
    ads.date is null
    or placements.date is null
    {%- for metric in metrics %}
    or abs(ads.{{ metric }} - placements.{{ metric }}) > 1 + {{ tolerance }} * ads.{{ metric }}
    {%- endfor %}
{%- endmacro %}
