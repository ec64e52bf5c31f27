-- Hand-written payloads and what each field must read as. A row is a wrong answer.
{% set fields = {
    'text': 'STRING', 'count': 'INT64', 'money': 'NUMERIC', 'flag': 'BOOL', 'day': 'DATE', 'moment': 'TIMESTAMP',
} %}
{% set cases = [
    [
        '{"moment":"2026-06-01T10:00:00+02:00","count":"12","day":"2026-06-01","flag":"true","money":"0.123456789","text":"café"}',
        'café', '12', '0.123456789', 'true', '2026-06-01', '2026-06-01 08:00:00+00:00', 0,
    ],
    ['{"count":12,"flag":false,"money":1.5,"text":null}', none, '12', '1.5', 'false', none, none, 0],
    ['{}', none, none, none, none, none, none, 0],
    [
        '{"moment":"soon","count":"many","day":"2026-13-01","flag":"maybe","money":"1,5","text":""}',
        none, none, none, none, none, none, 2,
    ],
    ['{"count":"2.5","money":"-7"}', none, '3', '-7', none, none, none, 0],
    ['{"money":"12345678901234567.123456789"}', none, none, '12345678901234567.123456789', none, none, none, 0],
] %}

with landed as (
    {%- for case in cases %}
    select
        '{{ case[0] }}' as payload,
        {%- for type in fields.values() %}
        cast({{ "'" ~ case[loop.index] ~ "'" if case[loop.index] is not none else 'null' }} as {{ type_of(type) }}) as expected_{{ loop.index }},
        {%- endfor %}
        {{ case[7] }} as expected_unreadable
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

parsed as (
    select
        *,
        {{ payload_document(fields) }}
    from landed
),

read_back as (
    select
        *,
        {{ payload_columns(fields) }},
        {{ unreadable_numbers(fields) }} as unreadable_numbers
    from parsed
)

select * from read_back
where
    {%- for field in fields %}
    {{ field }} is distinct from expected_{{ loop.index }} or
    {%- endfor %}
    unreadable_numbers != expected_unreadable
