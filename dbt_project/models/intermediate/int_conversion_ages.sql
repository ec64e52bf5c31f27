-- int_conversion_ages: one row per platform, account and report day: how old the day was when its conversions were
-- last pulled. Where two streams tell of an account's day, the one pulled at the younger age counts, of those that
-- hold rows: what another stream took over is emptied once and never pulled again. A file is not, either, where the
-- calls found no ads (Performance Max, which the campaigns' call tells).
with told as (
    select
        date,
        stream,
        breakdown_set,
        platform,
        account_id
    from {{ ref('int_conversions_as_known') }}
    group by date, stream, breakdown_set, platform, account_id
)

select
    told.date,
    told.platform,
    told.account_id,
    coalesce(
        min(case when pulled.has_rows then pulled.last_pulled_age end),
        min(case when told.stream != 'file_ad_performance' then pulled.last_pulled_age end),
        min(pulled.last_pulled_age)
    ) as age
from told
inner join {{ ref('stg_ops__pulled_days') }} as pulled
    on
        told.stream = pulled.stream
        and told.breakdown_set = pulled.breakdown_set
        and told.platform = pulled.platform
        and told.account_id = pulled.account_id
        and told.date = pulled.date
group by told.date, told.platform, told.account_id
