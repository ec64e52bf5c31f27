-- slate_summary: one row per slate morning, track and rank, with the creative a person would look at.
select
    slates.as_of_date,
    slates.track,
    slates.rank,
    slates.platform,
    slates.account_id,
    accounts.account_name,
    slates.creative_id,
    creatives.creative_name,
    creatives.format,
    creatives.headline,
    creatives.body,
    creatives.call_to_action,
    creatives.theme,
    creatives.image_file,
    slates.role,
    slates.status,
    slates.budget,
    accounts.currency,
    slates.p_best,
    slates.p_meets_cap,
    slates.p_one_click,
    slates.signups_p10,
    slates.signups_p50,
    slates.signups_p90,
    slates.cac_p10,
    slates.cac_p50,
    slates.cac_p90
from {{ source('models', 'slates') }} as slates
left join {{ ref('creative_objects') }} as creatives
    on
        slates.platform = creatives.platform
        and slates.account_id = creatives.account_id
        and slates.creative_id = creatives.creative_id
left join {{ ref('stg_ops__accounts') }} as accounts
    on
        slates.platform = accounts.platform
        and slates.account_id = accounts.account_id
