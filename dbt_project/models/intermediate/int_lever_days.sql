-- int_lever_days: one row per platform, account, lever and day: budget_levers before tracks are known.
-- Platform levers come from the day's snapshot. Where an export carries none, its mapping declares a level and
-- the entities of that level stand for levers: on every account day, those with data in its trailing seven days.
-- Tracks stay out (budget_levers adds them), so a new rule or a campaign's first name also reaches old days.
{{ daily_config(cluster=['platform', 'account_id'], rolling_days=6) }}

with ads as (
    select
        date,
        platform,
        account_id,
        campaign_id,
        campaign_name,
        adgroup_id,
        ad_id,
        cost,
        currency
    from {{ ref('ads_ad_daily') }}
    where {{ in_window('date', before=6) }}
),

week as (
    {{ numbers(7, 'day_offset') }}
),

-- An ad is an arm for seven days after it delivered: each delivery stands until the next or the seventh day,
-- so that every ad counts once a day.
deliveries as (
    select
        *,
        lead({{ day_number('date') }}) over (
            partition by platform, account_id, ad_id
            order by date
        ) - {{ day_number('date') }} as days_to_next
    from ads
),

active_ads as (
    select
        {{ add_days('deliveries.date', 'week.day_offset') }} as date,
        deliveries.platform,
        deliveries.account_id,
        deliveries.campaign_id,
        deliveries.adgroup_id,
        deliveries.ad_id
    from deliveries
    cross join week
    where week.day_offset < coalesce(deliveries.days_to_next, 7)
),

arms as (
    select
        date,
        platform,
        account_id,
        'campaign' as arm_level,
        campaign_id as entity_id,
        count(*) as arms
    from active_ads
    group by date, platform, account_id, campaign_id
    union all
    select
        date,
        platform,
        account_id,
        'adgroup' as arm_level,
        adgroup_id as entity_id,
        count(*) as arms
    from active_ads
    group by date, platform, account_id, adgroup_id
    union all
    select
        date,
        platform,
        account_id,
        'ad' as arm_level,
        ad_id as entity_id,
        count(*) as arms
    from active_ads
    group by date, platform, account_id, ad_id
),

platform_levers as (
    select
        date,
        platform,
        account_id,
        lever_id,
        lever_level,
        'platform' as lever_source,
        campaign_id,
        entity_id,
        budget_id,
        entity_name,
        budget_type,
        currency,
        budget as current_budget,
        minimum_budget,
        budget_increment,
        is_shared,
        learning_state,
        last_edited_at,
        status
    from {{ ref('stg_levers__levers') }}
    where {{ in_window('date') }}
),

declared_ads as (
    select
        ads.*,
        accounts.declared_lever as lever_level,
        case accounts.declared_lever
            when 'campaign' then ads.campaign_id
            when 'adgroup' then ads.adgroup_id
            else ads.ad_id
        end as entity_id
    from ads
    inner join {{ ref('stg_ops__accounts') }} as accounts
        on
            ads.platform = accounts.platform
            and ads.account_id = accounts.account_id
    where accounts.declared_lever in ('campaign', 'adgroup', 'ad')
),

declared_account_days as (
    select
        date,
        platform,
        account_id,
        count(*) over (
            partition by platform, account_id
            order by {{ day_number('date') }}
            range between 6 preceding and current row
        ) as days_with_data
    from declared_ads
    group by date, platform, account_id
),

-- Divided by the account's days with data, so that an account's budgets add up to its mean daily cost.
declared_levers as (
    select
        days.date,
        entities.platform,
        entities.account_id,
        entities.entity_id as lever_id,
        entities.lever_level,
        'declared' as lever_source,
        max(entities.campaign_id) as campaign_id,
        entities.entity_id,
        cast(null as {{ type_of('STRING') }}) as budget_id,
        case
            when entities.lever_level = 'campaign' then max(entities.campaign_name)
            else entities.entity_id
        end as entity_name,
        'daily' as budget_type,
        max(entities.currency) as currency,
        cast(
            round(cast(sum(entities.cost) / max(days.days_with_data) as {{ type_of('NUMERIC') }}), 2)
            as {{ type_of('NUMERIC') }}
        ) as current_budget,
        cast(0 as {{ type_of('NUMERIC') }}) as minimum_budget,
        cast('0.01' as {{ type_of('NUMERIC') }}) as budget_increment,
        false as is_shared,
        'active' as learning_state,
        cast(null as {{ type_of('TIMESTAMP') }}) as last_edited_at,
        'active' as status
    from declared_ads as entities
    cross join week
    inner join declared_account_days as days
        on
            entities.platform = days.platform
            and entities.account_id = days.account_id
            and {{ add_days('entities.date', 'week.day_offset') }} = days.date
    where {{ in_window('days.date') }}
    group by days.date, entities.platform, entities.account_id, entities.lever_level, entities.entity_id
),

levers as (
    select * from platform_levers
    union all
    select * from declared_levers
),

final as (
    select
        levers.*,
        coalesce(arms.arms, 0) as arms
    from levers
    left join arms
        on
            levers.date = arms.date
            and levers.platform = arms.platform
            and levers.account_id = arms.account_id
            and levers.entity_id = arms.entity_id
            and case when levers.lever_level = 'adset' then 'adgroup' else levers.lever_level end = arms.arm_level
)

select * from final
{{- physical_order('date') }}
