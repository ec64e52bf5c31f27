{# The grain holds: no two rows share it and none of its columns is missing. #}
{% test unique_combination(model, columns, day_column=none) %}
select
    {{ columns | join(',\n    ') }},
    count(*) as rows_of_this_grain
from {{ model }}
where {{ tested_days(day_column) if day_column else 'true' }}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {%- for column in columns %}
    or {{ column }} is null
    {%- endfor %}
{% endtest %}
