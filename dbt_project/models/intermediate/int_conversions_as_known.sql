-- int_conversions_as_known: one row per stream, platform, account, report day and age in days at which it changed.
-- Click conversions of the day as known at that age, by its last batch. The oldest age stands for all after it.
{{ daily_config(cluster=['platform', 'account_id']) }}

with told as (
    select
        date,
        stream,
        breakdown_set,
        platform,
        account_id,
        least(age, {{ var('oldest_age') }}) as age,
        batch_id,
        completed_at,
        conversions
    from {{ ref('stg_ops__conversions_as_pulled') }}
    where {{ in_window('date') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by stream, breakdown_set, platform, account_id, date, age
            order by completed_at desc, batch_id desc
        ) as recency
    from told
),

final as (
    select
        date,
        stream,
        breakdown_set,
        platform,
        account_id,
        age,
        conversions
    from ranked
    where recency = 1
)

select * from final
{{- physical_order('date') }}
