-- creative_score_accuracy: one row per morning, track, platform, account, campaign, creative and placement: scores of
-- ads that had not run in the track, beside what they delivered in the 28 days from that morning on.
-- Ranks are within a morning's rivals of one campaign and placement; of equals each has the mean rank, told by
-- ranking from both ends: BigQuery has no windows by a FLOAT64.
{% set judged_days = 28 %}
{% set rivals = 'as_of_date, track, platform, account_id, campaign_id, placement' %}

with scores as (
    select
        *,
        {{ add_days('as_of_date', judged_days - 1) }} as last_judged_date,
        sum(delivered_impressions)
            over (partition by as_of_date, track, platform, account_id, creative_id) as shown_before
    from {{ source('models', 'ad_scores') }}
),

-- The newest day an account has at all: a creative that stopped has fewer.
known as (
    select
        platform,
        account_id,
        max(date) as newest
    from {{ ref('int_account_days') }}
    group by platform, account_id
),

delivered as (
    select
        scores.as_of_date,
        scores.track,
        scores.platform,
        scores.account_id,
        days.campaign_id,
        scores.creative_id,
        scores.placement,
        scores.last_judged_date,
        scores.model_version,
        scores.ctr_score,
        scores.ctr_lower_bound,
        scores.cvr_score,
        {{ sum_count('days.impressions') }} as impressions,
        {{ sum_count('days.clicks') }} as clicks,
        sum(days.cost) as cost,
        sum(days.conversions_click) as conversions_click
    from scores
    inner join {{ ref('int_creative_placement_daily') }} as days
        on
            scores.track = days.track
            and scores.platform = days.platform
            and scores.account_id = days.account_id
            and scores.creative_id = days.creative_id
            and scores.placement = days.placement
            and days.date between scores.as_of_date and scores.last_judged_date
    where scores.shown_before = 0 and scores.ctr_score is not null
    group by
        scores.as_of_date,
        scores.track,
        scores.platform,
        scores.account_id,
        days.campaign_id,
        scores.creative_id,
        scores.placement,
        scores.last_judged_date,
        scores.model_version,
        scores.ctr_score,
        scores.ctr_lower_bound,
        scores.cvr_score
),

rated as (
    select
        delivered.*,
        {{ safe_ratio('clicks', 'impressions') }} as ctr,
        {{ safe_ratio('conversions_click', 'clicks') }} as cvr,
        ctr_score * impressions as expected_clicks,
        cvr_score * clicks as expected_conversions_click
    from delivered
    where impressions > 0
),

ranked as (
    select
        *,
        count(*) over (partition by {{ rivals }}) as rivals,
        rank() over (partition by {{ rivals }} order by ctr_score desc) as score_rank_from_above,
        rank() over (partition by {{ rivals }} order by ctr_score) as score_rank_from_below,
        rank() over (partition by {{ rivals }} order by ctr desc) as ctr_rank_from_above,
        rank() over (partition by {{ rivals }} order by ctr) as ctr_rank_from_below
    from rated
)

select
    ranked.as_of_date,
    ranked.track,
    ranked.platform,
    ranked.account_id,
    ranked.campaign_id,
    ranked.creative_id,
    ranked.placement,
    ranked.model_version,
    ranked.last_judged_date,
    ranked.impressions,
    ranked.clicks,
    ranked.cost,
    ranked.conversions_click,
    ranked.ctr_score,
    ranked.ctr_lower_bound,
    ranked.cvr_score,
    ranked.expected_clicks,
    ranked.expected_conversions_click,
    ranked.ctr,
    ranked.cvr,
    ranked.rivals,
    (ranked.score_rank_from_above + ranked.rivals + 1 - ranked.score_rank_from_below) / 2.0 as score_rank,
    (ranked.ctr_rank_from_above + ranked.rivals + 1 - ranked.ctr_rank_from_below) / 2.0 as ctr_rank,
    ranked.ctr >= ranked.ctr_lower_bound as is_above_bound,
    coalesce(known.newest >= ranked.last_judged_date, false) as is_judged
from ranked
left join known
    on
        ranked.platform = known.platform
        and ranked.account_id = known.account_id
