-- No dollar is lost, doubled or left behind: raw = staging per stream, platform and day, and staging = mart per
-- mart, platform and day. Which batch counts is worked out a second way here (no later complete attempt), not
-- through latest_slices.
{{ config(meta={'dagster': {'ref': {'name': 'ads_ad_daily'}}}) }}
{% set streams = {
    'meta_ads_insights': ['stg_meta__insights', 'spend', 'meta_ad_performance'],
    'meta_ads_insights_by_placement': ['stg_meta__insights_by_placement', 'spend', 'meta_ad_performance_by_place'],
    'google_ads_ad_performance': ['stg_google_ads__ad_performance', 'cost', 'ads_ad_performance'],
    'google_ads_campaign_performance': ['stg_google_ads__campaign_performance', 'cost', 'ads_campaign_performance'],
    'tiktok_ads_report': ['stg_tiktok__ads_report', 'spend', none],
    'linkedin_ad_analytics': ['stg_linkedin__ad_analytics', 'spend', none],
    'file_ad_performance': ['stg_files__ad_performance', 'cost', none],
} %}

with complete as (
    select *
    from {{ source('ops', 'ingest_slices') }}
    where
        status = 'complete'
        and {{ tested_days('report_date') }}
),

counted as (
    select attempts.*
    from complete as attempts
    where not exists (
        select 1
        from complete as later
        where
            later.source = attempts.source
            and later.stream = attempts.stream
            and later.account_id = attempts.account_id
            and later.report_date = attempts.report_date
            and later.breakdown_set = attempts.breakdown_set
            and (
                later.completed_at > attempts.completed_at
                or (later.completed_at = attempts.completed_at and later.batch_id > attempts.batch_id)
            )
    )
),

{% for stream, (model, field, mart) in streams.items() -%}
raw_{{ stream }} as (
    select
        source,
        account_id,
        report_date,
        breakdown_set,
        _batch_id,
        {{ payload_document({field: 'NUMERIC'}) }}
    from {{ source('raw', stream) }}
    where {{ tested_days('report_date') }}
),

{% endfor -%}
landed as (
    {%- for stream, (model, field, mart) in streams.items() %}
    select
        '{{ stream }}' as stream,
        rows_of_stream.source as platform,
        rows_of_stream.account_id,
        rows_of_stream.breakdown_set,
        rows_of_stream.report_date as date,
        sum({{ payload_value(field, 'NUMERIC') }}) as spend
    from raw_{{ stream }} as rows_of_stream
    inner join counted
        on
            counted.stream = '{{ stream }}'
            and rows_of_stream.source = counted.source
            and rows_of_stream.account_id = counted.account_id
            and rows_of_stream.report_date = counted.report_date
            and rows_of_stream.breakdown_set = counted.breakdown_set
            and rows_of_stream._batch_id = counted.data_batch_id
    group by
        rows_of_stream.source,
        rows_of_stream.account_id,
        rows_of_stream.breakdown_set,
        rows_of_stream.report_date
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

staged as (
    {%- for stream, (model, field, mart) in streams.items() %}
    select
        '{{ stream }}' as stream,
        platform,
        account_id,
        breakdown_set,
        date,
        sum({{ field }}) as spend
    from {{ ref(model) }}
    where {{ tested_days('date') }}
    group by platform, account_id, breakdown_set, date
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- A breakdown repeats the total of a day that also landed without one.
staged_once as (
    select staged.*
    from staged
    left join {{ ref('stg_ops__slices_without_breakdown') }} as totals
        on
            staged.platform = totals.platform
            and staged.account_id = totals.account_id
            and staged.date = totals.date
            and totals.stream = case
                when staged.stream = 'meta_ads_insights_by_placement' then 'meta_ads_insights' else staged.stream
            end
    where
        (staged.breakdown_set = 'none' or totals.account_id is null)
        and staged.stream != 'google_ads_campaign_performance'
),

-- Google's campaigns count by their ads; by their total only on days without an ad row.
campaigns_without_ads as (
    select
        campaigns.platform,
        campaigns.date,
        campaigns.cost as spend
    from {{ ref('stg_google_ads__campaign_performance') }} as campaigns
    where
        {{ tested_days('campaigns.date') }}
        and not exists (
            select 1
            from {{ ref('stg_google_ads__ad_performance') }} as ads
            where
                ads.platform = campaigns.platform
                and ads.account_id = campaigns.account_id
                and ads.campaign_id = campaigns.campaign_id
                and ads.date = campaigns.date
        )
),

sides as (
    select
        'staging ' || stream as place,
        platform,
        date,
        spend as expected,
        0 as found
    from landed
    union all
    select
        'staging ' || stream as place,
        platform,
        date,
        0 as expected,
        spend as found
    from staged
    {%- for stream, (model, field, mart) in streams.items() if mart %}
    union all
    select
        '{{ mart }}' as place,
        platform,
        date,
        spend as expected,
        0 as found
    from staged
    where stream = '{{ stream }}'
    union all
    select
        '{{ mart }}' as place,
        '{{ 'google_ads' if stream.startswith('google_ads') else 'meta' }}' as platform,
        date,
        0 as expected,
        sum({{ field }}) as found
    from {{ ref(mart) }}
    where {{ tested_days('date') }}
    group by date
    {%- endfor %}
    union all
    select
        'ads_ad_daily' as place,
        platform,
        date,
        spend as expected,
        0 as found
    from staged_once
    union all
    select
        'ads_ad_daily' as place,
        platform,
        date,
        spend as expected,
        0 as found
    from campaigns_without_ads
    union all
    select
        'ads_ad_daily' as place,
        platform,
        date,
        0 as expected,
        sum(cost) as found
    from {{ ref('ads_ad_daily') }}
    where {{ tested_days('date') }}
    group by platform, date
),

compared as (
    select
        place,
        platform,
        date,
        coalesce(sum(expected), 0) as expected_spend,
        coalesce(sum(found), 0) as found_spend
    from sides
    group by place, platform, date
)

select * from compared
where expected_spend != found_spend
