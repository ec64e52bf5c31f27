{# A text column holds one of the listed values, or nothing. #}
{% test accepted_texts(model, column_name, texts, day_column=none) %}
select *
from {{ model }}
where
    {{ tested_days(day_column) if day_column else 'true' }}
    and {{ column_name }} not in ('{{ texts | join("', '") }}')
{% endtest %}
