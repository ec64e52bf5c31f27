-- Hand-written answers for every macro whose engines disagree on the bare function. A row is a wrong answer.
with weeks as (
    -- a Monday
    select
        date '2026-06-29' as day,
        date '2026-06-29' as expected
    union all
    -- the Sunday after it
    select
        date '2026-07-05' as day,
        date '2026-06-29' as expected
    union all
    -- the Sunday before it
    select
        date '2026-06-28' as day,
        date '2026-06-22' as expected
    union all
    -- across a year
    select
        date '2025-01-01' as day,
        date '2024-12-30' as expected
    union all
    -- before day number 0
    select
        date '1969-12-31' as day,
        date '1969-12-29' as expected
),

integers as (
    select
        cast('2.5' as {{ type_of('FLOAT64') }}) as number,
        3 as expected
    union all
    select
        cast('0.5' as {{ type_of('FLOAT64') }}) as number,
        1 as expected
    union all
    select
        cast('-2.5' as {{ type_of('FLOAT64') }}) as number,
        -3 as expected
    union all
    select
        cast('2.4999' as {{ type_of('FLOAT64') }}) as number,
        2 as expected
),

hours as (
    select
        cast('2026-01-02 01:00:00+00:00' as {{ type_of('TIMESTAMP') }}) as later,
        cast('2026-01-01 23:59:00+00:00' as {{ type_of('TIMESTAMP') }}) as earlier,
        3660 as seconds,
        1 as expected
    union all
    select
        cast('2026-01-02 00:58:59+00:00' as {{ type_of('TIMESTAMP') }}) as later,
        cast('2026-01-01 23:59:00+00:00' as {{ type_of('TIMESTAMP') }}) as earlier,
        3599 as seconds,
        0 as expected
    union all
    select
        cast('2026-01-01 23:59:00+00:00' as {{ type_of('TIMESTAMP') }}) as later,
        cast('2026-01-02 01:00:00+00:00' as {{ type_of('TIMESTAMP') }}) as earlier,
        -3660 as seconds,
        -1 as expected
    union all
    -- Clocks that jump (US daylight saving, 8 March 2026) do not stretch an hour.
    select
        cast('2026-03-08 12:00:00+00:00' as {{ type_of('TIMESTAMP') }}) as later,
        cast('2026-03-07 12:00:00+00:00' as {{ type_of('TIMESTAMP') }}) as earlier,
        86400 as seconds,
        24 as expected
),

-- The last moment of a day, the first of the next, two days on, and a moment before it began.
ages as (
    {%- for moment, expected in [
        ('2026-01-01 23:59:59', 0), ('2026-01-02 00:00:00', 1), ('2026-01-03 13:00:00', 2), ('2025-12-30 12:00:00', 0),
    ] %}
    select
        cast('{{ moment }}+00:00' as {{ type_of('TIMESTAMP') }}) as later,
        {{ expected }} as expected
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Half past four in UTC is the day before in New York in winter, not in summer; in Tokyo a day begins at three.
zoned as (
    {%- for moment, zone, expected in [
        ('2026-01-02 04:30:00', 'America/New_York', '2026-01-01'),
        ('2026-07-02 04:30:00', 'America/New_York', '2026-07-02'),
        ('2026-01-01 15:00:00', 'Asia/Tokyo', '2026-01-02'),
        ('2026-01-01 23:30:00', 'UTC', '2026-01-01'),
    ] %}
    select
        cast('{{ moment }}+00:00' as {{ type_of('TIMESTAMP') }}) as moment,
        '{{ zone }}' as zone,
        '{{ expected }}' as expected
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

ratios as (
    select
        1 as numerator,
        4 as denominator,
        '0.25' as expected
    union all
    select
        1 as numerator,
        0 as denominator,
        'none' as expected
    union all
    select
        0 as numerator,
        0 as denominator,
        'none' as expected
),

-- `#` stands for the backslash, which the engines write differently in a literal.
patterns as (
    {%- for name, pattern, expected in [
        ('Brand Security US', '%security%', 'true'),
        ('Balance', '%security%', 'false'),
        ('securityX', 'security_', 'true'),
        ('brand_us', 'brand#_us', 'true'),
        ('brandxus', 'brand#_us', 'false'),
        ('brand_us', 'brand_us', 'true'),
        ('brandxus', 'brand_us', 'true'),
        ('100% off', '100#%%', 'true'),
        ('1000 off', '100#%%', 'false'),
        ('a#b', 'a##b', 'true'),
        ('a#_', 'a##_', 'true'),
    ] %}
    select
        replace('{{ name }}', '#', chr(92)) as name,
        replace('{{ pattern }}', '#', chr(92)) as pattern,
        '{{ expected }}' as expected
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

answers as (
    select
        'week_start' as macro,
        cast({{ week_start('day') }} as string) as answer,
        cast(expected as string) as expected
    from weeks
    union all
    select
        'float_to_integer' as macro,
        cast({{ float_to_integer('number') }} as string) as answer,
        cast(expected as string) as expected
    from integers
    union all
    select
        'timestamp_diff_hours' as macro,
        cast({{ timestamp_diff_hours('later', 'earlier') }} as string) as answer,
        cast(expected as string) as expected
    from hours
    union all
    select
        'hours_between' as macro,
        cast(cast(round({{ hours_between('earlier', 'later') }} * 3600) as int64) as string) as answer,
        cast(seconds as string) as expected
    from hours
    union all
    -- As much as some currencies spend on one creative; the BigQuery emulator's decimals end at a million.
    {%- set large = 20000000000 if target.type == 'duckdb' else 500000 %}
    select
        'whole_billionths' as macro,
        cast(
            cast({{ whole_billionths('cast(' ~ large ~ '.5 as ' ~ type_of('FLOAT64') ~ ')') }} / 500000000 as int64)
            as string
        ) as answer,
        '{{ 2 * large + 1 }}' as expected
    union all
    select
        'age_in_days' as macro,
        cast({{ age_in_days('later', "date '2026-01-01'") }} as string) as answer,
        cast(expected as string) as expected
    from ages
    union all
    select
        'day_in_zone' as macro,
        cast({{ day_in_zone('moment', 'zone') }} as string) as answer,
        expected
    from zoned
    union all
    select
        'safe_ratio' as macro,
        coalesce(cast({{ safe_ratio('numerator', 'denominator') }} as string), 'none') as answer,
        expected
    from ratios
    union all
    select
        'matches_pattern' as macro,
        cast({{ matches_pattern('name', 'pattern') }} as string) as answer,
        expected
    from patterns
    union all
    select
        'add_days' as macro,
        cast({{ add_days("date '2026-03-01'", '-1') }} as string) as answer,
        '2026-02-28' as expected
    union all
    select
        'day_number' as macro,
        cast({{ day_number("date '1970-01-02'") }} as string) as answer,
        '1' as expected
    union all
    select
        'text_hash' as macro,
        {{ text_hash(["'a'", 'cast(null as string)']) }} as answer,
        '00414c4fc5cdace036411ddecefbe3e1' as expected
    union all
    select
        'start_of_day' as macro,
        cast(
            {{ start_of_day("date '2026-06-01'") }} = cast('2026-06-01 00:00:00+00:00' as {{ type_of('TIMESTAMP') }})
            as string
        ) as answer,
        'true' as expected
)

select * from answers
where answer is null or answer != expected
