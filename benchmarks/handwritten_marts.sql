-- What one person would write for this account alone: the three ad marts straight from raw, in one go.
-- Knows what the dbt models may not assume: these streams only, every Meta day landed without a breakdown too.
begin;

create temp table counted as
select stream, source, account_id, report_date, breakdown_set, data_batch_id
from warehouse.ops.ingest_slices
where status = 'complete'
qualify row_number() over (
    partition by source, stream, account_id, report_date, breakdown_set
    order by completed_at desc, batch_id desc
) = 1;

create table meta_ad_performance as
with parsed as (
    select
        landed.report_date as date,
        landed.account_id,
        landed.campaign_id,
        landed.adset_id,
        landed.ad_id,
        json_transform(payload, '{
            "campaign_name": "VARCHAR", "adset_name": "VARCHAR", "ad_name": "VARCHAR", "creative_id": "VARCHAR",
            "currency": "VARCHAR", "impressions": "BIGINT", "reach": "BIGINT", "clicks": "BIGINT",
            "inline_link_clicks": "BIGINT", "unique_inline_link_clicks": "BIGINT", "spend": "DECIMAL(38,9)",
            "purchases_7d_click": "DECIMAL(38,9)", "purchases_1d_view": "DECIMAL(38,9)",
            "purchase_value_7d_click": "DECIMAL(38,9)", "purchase_value_1d_view": "DECIMAL(38,9)",
            "video_3s_views": "BIGINT", "video_thruplays": "BIGINT", "video_p25": "BIGINT", "video_p50": "BIGINT",
            "video_p75": "BIGINT", "video_p100": "BIGINT"
        }') as seen
    from warehouse.raw.meta_ads_insights as landed
    inner join counted
        on
            counted.stream = 'meta_ads_insights'
            and landed.source = counted.source
            and landed.account_id = counted.account_id
            and landed.report_date = counted.report_date
            and landed.breakdown_set = counted.breakdown_set
            and landed._batch_id = counted.data_batch_id
)

select
    date,
    account_id,
    campaign_id,
    seen.campaign_name,
    adset_id,
    seen.adset_name,
    ad_id,
    seen.ad_name,
    seen.creative_id,
    seen.currency,
    seen.impressions,
    seen.reach,
    seen.clicks,
    seen.inline_link_clicks,
    seen.unique_inline_link_clicks,
    seen.spend,
    seen.purchases_7d_click,
    seen.purchases_1d_view,
    seen.purchase_value_7d_click,
    seen.purchase_value_1d_view,
    seen.video_3s_views,
    seen.video_thruplays,
    seen.video_p25,
    seen.video_p50,
    seen.video_p75,
    seen.video_p100,
    'impression' as conversion_date_basis,
    true as is_modelled,
    md5('=' || seen.campaign_name || '|=' || seen.adset_name || '|=' || seen.ad_name) as name_hash
from parsed
order by date;

create table meta_ad_performance_by_place as
with parsed as (
    select
        landed.report_date as date,
        landed.account_id,
        landed.campaign_id,
        landed.adset_id,
        landed.ad_id,
        landed.publisher_platform,
        landed.platform_position,
        landed.impression_device,
        json_transform(payload, '{
            "campaign_name": "VARCHAR", "adset_name": "VARCHAR", "ad_name": "VARCHAR", "creative_id": "VARCHAR",
            "currency": "VARCHAR", "impressions": "BIGINT", "reach": "BIGINT", "clicks": "BIGINT",
            "inline_link_clicks": "BIGINT", "spend": "DECIMAL(38,9)", "purchases_7d_click": "DECIMAL(38,9)",
            "purchases_1d_view": "DECIMAL(38,9)", "purchase_value_7d_click": "DECIMAL(38,9)",
            "purchase_value_1d_view": "DECIMAL(38,9)",
            "video_3s_views": "BIGINT", "video_thruplays": "BIGINT", "video_p25": "BIGINT", "video_p50": "BIGINT",
            "video_p75": "BIGINT", "video_p100": "BIGINT"
        }') as seen
    from warehouse.raw.meta_ads_insights_by_placement as landed
    inner join counted
        on
            counted.stream = 'meta_ads_insights_by_placement'
            and landed.source = counted.source
            and landed.account_id = counted.account_id
            and landed.report_date = counted.report_date
            and landed.breakdown_set = counted.breakdown_set
            and landed._batch_id = counted.data_batch_id
)

select
    date,
    account_id,
    campaign_id,
    seen.campaign_name,
    adset_id,
    seen.adset_name,
    ad_id,
    seen.ad_name,
    seen.creative_id,
    publisher_platform,
    platform_position,
    impression_device,
    seen.currency,
    seen.impressions,
    seen.reach,
    seen.clicks,
    seen.inline_link_clicks,
    seen.spend,
    seen.purchases_7d_click,
    seen.purchases_1d_view,
    seen.purchase_value_7d_click,
    seen.purchase_value_1d_view,
    seen.video_3s_views,
    seen.video_thruplays,
    seen.video_p25,
    seen.video_p50,
    seen.video_p75,
    seen.video_p100,
    'impression' as conversion_date_basis,
    true as is_modelled,
    md5('=' || seen.campaign_name || '|=' || seen.adset_name || '|=' || seen.ad_name) as name_hash
from parsed
order by date;

create table ads_ad_daily as
with google as (
    select
        landed.*,
        json_transform(payload, '{
            "campaign_name": "VARCHAR", "creative_id": "VARCHAR", "currency": "VARCHAR", "impressions": "BIGINT",
            "clicks": "BIGINT", "cost": "DECIMAL(38,9)", "conversions": "DECIMAL(38,9)",
            "view_through_conversions": "DECIMAL(38,9)", "conversions_value": "DECIMAL(38,9)"
        }') as seen
    from warehouse.raw.google_ads_ad_performance as landed
    inner join counted
        on
            counted.stream = 'google_ads_ad_performance'
            and landed.source = counted.source
            and landed.account_id = counted.account_id
            and landed.report_date = counted.report_date
            and landed.breakdown_set = counted.breakdown_set
            and landed._batch_id = counted.data_batch_id
),

tiktok as (
    select
        landed.*,
        json_transform(payload, '{
            "campaign_name": "VARCHAR", "creative_id": "VARCHAR", "currency": "VARCHAR", "impressions": "BIGINT",
            "clicks": "BIGINT", "spend": "DECIMAL(38,9)", "conversions_click": "DECIMAL(38,9)",
            "conversions_view": "DECIMAL(38,9)", "total_purchase_value": "DECIMAL(38,9)"
        }') as seen
    from warehouse.raw.tiktok_ads_report as landed
    inner join counted
        on
            counted.stream = 'tiktok_ads_report'
            and landed.source = counted.source
            and landed.account_id = counted.account_id
            and landed.report_date = counted.report_date
            and landed.breakdown_set = counted.breakdown_set
            and landed._batch_id = counted.data_batch_id
),

linkedin as (
    select
        landed.*,
        json_transform(payload, '{
            "campaign_group_name": "VARCHAR", "currency": "VARCHAR", "impressions": "BIGINT", "clicks": "BIGINT",
            "spend": "DECIMAL(38,9)", "conversions_post_click": "DECIMAL(38,9)",
            "conversions_post_view": "DECIMAL(38,9)", "conversion_value": "DECIMAL(38,9)"
        }') as seen
    from warehouse.raw.linkedin_ad_analytics as landed
    inner join counted
        on
            counted.stream = 'linkedin_ad_analytics'
            and landed.source = counted.source
            and landed.account_id = counted.account_id
            and landed.report_date = counted.report_date
            and landed.breakdown_set = counted.breakdown_set
            and landed._batch_id = counted.data_batch_id
),

platforms as (
    select
        date,
        'meta' as platform,
        account_id,
        campaign_id,
        campaign_name,
        adset_id as adgroup_id,
        ad_id,
        creative_id,
        impressions,
        inline_link_clicks as clicks,
        spend as cost,
        purchases_7d_click as conversions_click,
        purchases_1d_view as conversions_view,
        purchase_value_7d_click as revenue,
        currency
    from meta_ad_performance
    union all
    select
        report_date,
        source,
        account_id,
        campaign_id,
        max(seen.campaign_name),
        ad_group_id,
        ad_id,
        max(seen.creative_id),
        sum(seen.impressions)::bigint,
        sum(seen.clicks)::bigint,
        sum(seen.cost),
        sum(seen.conversions),
        sum(seen.view_through_conversions),
        sum(seen.conversions_value),
        max(seen.currency)
    from google
    group by report_date, source, account_id, campaign_id, ad_group_id, ad_id
    union all
    select
        report_date,
        source,
        account_id,
        campaign_id,
        seen.campaign_name,
        adgroup_id,
        ad_id,
        seen.creative_id,
        seen.impressions,
        seen.clicks,
        seen.spend,
        seen.conversions_click,
        seen.conversions_view,
        seen.total_purchase_value,
        seen.currency
    from tiktok
    union all
    select
        report_date,
        source,
        account_id,
        campaign_group_id,
        seen.campaign_group_name,
        campaign_id,
        creative_id,
        creative_id,
        seen.impressions,
        seen.clicks,
        seen.spend,
        seen.conversions_post_click,
        seen.conversions_post_view,
        seen.conversion_value,
        seen.currency
    from linkedin
)

select
    date,
    platform,
    account_id,
    campaign_id,
    campaign_name,
    adgroup_id,
    ad_id,
    creative_id,
    coalesce(impressions, 0) as impressions,
    coalesce(clicks, 0) as clicks,
    coalesce(cost, 0) as cost,
    coalesce(conversions_click, 0) as conversions,
    coalesce(conversions_click, 0) as conversions_click,
    coalesce(conversions_view, 0) as conversions_view,
    revenue,
    coalesce(clicks, 0)::double / nullif(impressions::double, 0) as ctr,
    coalesce(conversions_click, 0)::double / nullif(clicks::double, 0) as cvr,
    coalesce(cost, 0)::double / nullif(clicks::double, 0) as avg_cpc,
    currency,
    md5('=' || campaign_name) as name_hash
from platforms
order by date;

commit;
