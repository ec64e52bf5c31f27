{# Every column lies in [minimum, maximum] where it has a value; with `required`, it always has one. #}
{% test accepted_range(model, columns, minimum=none, maximum=none, required=false, day_column=none) %}
select *
from {{ model }}
where
    {{ tested_days(day_column) if day_column else 'true' }}
    and (
        {%- for column in columns %}
        {{ 'or ' if not loop.first }}{{ column ~ ' < ' ~ minimum if minimum is not none else 'false' }}
        {{- ' or ' ~ column ~ ' > ' ~ maximum if maximum is not none }}
        {{- ' or ' ~ column ~ ' is null' if required }}
        {%- endfor %}
    )
{% endtest %}
