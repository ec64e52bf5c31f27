-- ads_conversion_action_stats: one row per Google Ads account, ad group, conversion action and day of the click.
-- Only `conversions` are in the columns Google bids on; all_conversions hold secondary actions too.
{{ daily_config(cluster=['account_id', 'campaign_id']) }}

with final as (
    select
        date,
        account_id,
        campaign_id,
        campaign_name,
        ad_group_id,
        ad_group_name,
        conversion_action_id,
        conversion_action_name,
        conversion_action_category,
        currency,
        conversions,
        conversions_value,
        all_conversions,
        all_conversions_value,
        'click' as conversion_date_basis,
        true as is_modelled,
        {{ text_hash(['campaign_name', 'ad_group_name', 'conversion_action_name']) }} as name_hash
    from {{ ref('stg_google_ads__conversions') }}
    where {{ in_window('date') }}
)

select * from final
{{- physical_order('date') }}
