-- creative_score_summary: one row per track, platform, account, creative and placement of the newest ranking: its
-- scores beside everything delivered so far and what policy says. Delivered sums are of all days landed.
{% set keys = ['track', 'platform', 'account_id', 'creative_id'] %}

with scores as (
    select
        *,
        max(as_of_date) over () as newest_date
    from {{ source('models', 'ad_scores') }}
),

delivered as (
    select
        {{ keys | join(', ') }},
        placement,
        {{ sum_count('impressions') }} as impressions,
        {{ sum_count('clicks') }} as clicks,
        sum(cost) as cost,
        sum(conversions_click) as conversions_click
    from {{ ref('int_creative_placement_daily') }}
    group by {{ keys | join(', ') }}, placement
),

reviews as (
    select
        *,
        row_number() over (partition by {{ keys | join(', ') }} order by as_of_date desc) as age_rank
    from {{ source('models', 'policy_reviews') }}
)

select
    scores.as_of_date,
    scores.track,
    scores.platform,
    scores.account_id,
    scores.creative_id,
    creatives.creative_name,
    creatives.headline,
    scores.placement,
    scores.ctr_score,
    scores.ctr_lower_bound,
    scores.cvr_score,
    scores.p_above_placement,
    scores.model_version,
    cards.lead_rank,
    cards.rivals,
    cards.not_scored,
    coalesce(delivered.impressions, 0) as impressions,
    coalesce(delivered.clicks, 0) as clicks,
    coalesce(delivered.cost, 0) as cost,
    coalesce(delivered.conversions_click, 0) as conversions_click,
    {{ safe_ratio('delivered.clicks', 'delivered.impressions') }} as ctr,
    {{ safe_ratio('delivered.conversions_click', 'delivered.clicks') }} as cvr,
    {{ safe_ratio('delivered.cost', 'delivered.conversions_click') }} as cost_per_click_conversion,
    cards.texts_pass,
    cards.text_flags,
    reviews.as_of_date as reviewed_on,
    reviews.passed as review_passed
from scores
left join {{ source('models', 'score_cards') }} as cards
    on
        scores.as_of_date = cards.as_of_date
        and scores.track = cards.track
        and scores.platform = cards.platform
        and scores.account_id = cards.account_id
        and scores.creative_id = cards.creative_id
left join delivered
    on
        scores.track = delivered.track
        and scores.platform = delivered.platform
        and scores.account_id = delivered.account_id
        and scores.creative_id = delivered.creative_id
        and scores.placement = delivered.placement
left join reviews
    on
        scores.track = reviews.track
        and scores.platform = reviews.platform
        and scores.account_id = reviews.account_id
        and scores.creative_id = reviews.creative_id
        and reviews.age_rank = 1
left join {{ ref('creative_objects') }} as creatives
    on
        scores.platform = creatives.platform
        and scores.account_id = creatives.account_id
        and scores.creative_id = creatives.creative_id
where scores.as_of_date = scores.newest_date
