-- creative_history: one row per platform, account, track, creative and placement: what it did there before, and when.
-- Each part stands alone: its version says how it was worked out, and where too little is known to tell it, the part
-- and its version are NULL. It is of all days landed: no ranking of an earlier morning may learn from it.
{{ config(materialized='table') }}

with creative_days as (
    select
        date,
        platform,
        account_id,
        track,
        creative_id,
        placement,
        {{ sum_count('impressions') }} as impressions,
        {{ sum_count('clicks') }} as clicks,
        sum(cost) as cost,
        sum(conversions_click) as conversions_click
    from {{ ref('int_creative_placement_daily') }}
    group by date, platform, account_id, track, creative_id, placement
),

market as (
    select * from {{ ref('int_placement_market_daily') }}
),

-- A day is matured once it was pulled when its account's conversions had come in, by placement, too: another call.
matured_days as (
    select
        ages.platform,
        ages.account_id,
        ages.date
    from {{ ref('int_report_ages') }} as ages
    inner join {{ ref('stg_ops__accounts') }} as accounts
        on
            ages.platform = accounts.platform
            and ages.account_id = accounts.account_id
    cross join {{ ref('stg_ops__reward_definitions') }} as definition
    where ages.youngest_age > coalesce(accounts.maturity_days, definition.maturity_days)
),

days as (
    select
        creative_days.date,
        creative_days.platform,
        creative_days.account_id,
        creative_days.track,
        creative_days.creative_id,
        creative_days.placement,
        creative_days.impressions,
        creative_days.clicks,
        creative_days.cost,
        case when creative_days.impressions > 0 then creative_days.date end as shown_on,
        case when matured_days.date is not null then creative_days.clicks else 0 end as matured_clicks,
        case when matured_days.date is not null then creative_days.conversions_click else 0 end
            as matured_conversions,
        -- Against the other creatives of each day as Mantel and Haenszel weigh strata: a day without any counts 0.
        -- Summed in whole billionths, its ratios to six decimals: sums of floats follow the order of the rows.
        {{ whole_billionths(safe_ratio(
            'creative_days.clicks * (market.impressions - creative_days.impressions)', 'market.impressions'
        )) }} as clicks_compared,
        {{ whole_billionths(safe_ratio(
            '(market.clicks - creative_days.clicks) * creative_days.impressions', 'market.impressions'
        )) }} as clicks_of_others,
        case
            when market.trailing_cost_per_impression is not null
                then {{ whole_billionths('market.cost_per_impression * creative_days.impressions') }}
        end as cost_on_days,
        {{ whole_billionths('market.trailing_cost_per_impression * creative_days.impressions') }} as cost_before,
        case when creative_days.impressions > 0 then market.competitor_ads end as competitor_ads
    from creative_days
    left join market
        on
            creative_days.date = market.date
            and creative_days.platform = market.platform
            and creative_days.account_id = market.account_id
            and creative_days.track = market.track
            and creative_days.placement = market.placement
    left join matured_days
        on
            creative_days.date = matured_days.date
            and creative_days.platform = matured_days.platform
            and creative_days.account_id = matured_days.account_id
),

totals as (
    select
        platform,
        account_id,
        track,
        creative_id,
        placement,
        min(shown_on) as first_date,
        max(shown_on) as last_date,
        count(shown_on) as days_shown,
        {{ sum_count('impressions') }} as impressions,
        {{ sum_count('clicks') }} as clicks,
        sum(cost) as cost,
        {{ sum_count('matured_clicks') }} as matured_clicks,
        sum(matured_conversions) as matured_conversions,
        sum(clicks_compared) as clicks_compared,
        sum(clicks_of_others) as clicks_of_others,
        sum(cost_on_days) as cost_on_days,
        sum(cost_before) as cost_before,
        avg(competitor_ads) as competitor_ads
    from days
    group by platform, account_id, track, creative_id, placement
),

summed as (
    select * from totals
    where impressions > 0
),

-- The placement's year up to the creative's last day there, where it has run that long.
seasons as (
    select
        summed.platform,
        summed.account_id,
        summed.track,
        summed.creative_id,
        summed.placement,
        sum(market.impressions) as impressions,
        sum(market.clicks) as clicks,
        sum(market.cost) as cost,
        sum(case when days.shown_on is not null then market.impressions end) as impressions_on_days,
        sum(case when days.shown_on is not null then market.clicks end) as clicks_on_days,
        sum(case when days.shown_on is not null then market.cost end) as cost_on_days
    from summed
    inner join market
        on
            summed.platform = market.platform
            and summed.account_id = market.account_id
            and summed.track = market.track
            and summed.placement = market.placement
            and summed.last_date >= market.date
            and market.date >= {{ add_days('summed.last_date', '-364') }}
            and market.first_date <= {{ add_days('summed.last_date', '-364') }}
    left join days
        on
            summed.platform = days.platform
            and summed.account_id = days.account_id
            and summed.track = days.track
            and summed.creative_id = days.creative_id
            and summed.placement = days.placement
            and market.date = days.date
    group by summed.platform, summed.account_id, summed.track, summed.creative_id, summed.placement
),

final as (
    select
        summed.platform,
        summed.account_id,
        summed.track,
        summed.creative_id,
        summed.placement,
        summed.first_date,
        summed.last_date,
        summed.days_shown,
        summed.impressions,
        summed.clicks,
        summed.cost,
        {{ safe_ratio('summed.clicks', 'summed.impressions') }} as ctr,
        summed.matured_clicks,
        summed.matured_conversions,
        {{ safe_ratio('summed.matured_conversions', 'summed.matured_clicks') }} as cvr,
        round({{ safe_ratio('summed.clicks_compared', 'summed.clicks_of_others') }}, 6) as ctr_against_others,
        'rates_v1' as rates_version,
        {{ safe_ratio('seasons.clicks_on_days', 'seasons.impressions_on_days') }}
        / nullif({{ safe_ratio('seasons.clicks', 'seasons.impressions') }}, 0) as season_ctr,
        {{ safe_ratio('seasons.cost_on_days', 'seasons.impressions_on_days') }}
        / nullif({{ safe_ratio('seasons.cost', 'seasons.impressions') }}, 0) as season_cpm,
        case when seasons.clicks > 0 or seasons.cost > 0 then 'season_v1' end as season_version,
        round({{ safe_ratio('summed.cost_on_days', 'summed.cost_before') }}, 6) as cpm_against_trailing,
        case when summed.cost_before > 0 then 'auction_v1' end as auction_version,
        cast(summed.competitor_ads as {{ type_of('FLOAT64') }}) as competitor_ads,
        case when summed.competitor_ads is not null then 'competitors_v1' end as competitors_version
    from summed
    left join seasons
        on
            summed.platform = seasons.platform
            and summed.account_id = seasons.account_id
            and summed.track = seasons.track
            and summed.creative_id = seasons.creative_id
            and summed.placement = seasons.placement
)

select * from final
