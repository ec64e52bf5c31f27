"""What the BigQuery emulator is known to get wrong, so that nobody takes its word or a macro for needless.

A wrong answer pinned here that turns right after an upgrade fails: then the note can go. The macros that
avoid it are asserted by `dbt_project/tests/macros` on both engines.
"""

from __future__ import annotations

import pytest

from resources.warehouse.interface import Warehouse

pytestmark = pytest.mark.emulator


@pytest.mark.parametrize(
    ("expression", "emulator", "bigquery"),
    [
        # week_start counts days from a Monday instead.
        ("cast(date_trunc(date '2026-07-01', week(monday)) as string)", "2026-06-28", "2026-06-29"),
        # timestamp_diff_hours divides whole microseconds instead.
        (
            "cast(timestamp_diff(timestamp '2026-01-02 01:00:00+00',"
            " timestamp '2026-01-01 23:59:00+00', hour) as string)",
            "2",
            "1",
        ),
        # float_to_integer rounds first.
        ("cast(cast(cast('2.5' as float64) as int64) as string)", "2", "3"),
        # type_of spells NUMERIC out as NUMERIC(38, 9).
        ("cast(cast('0.123456789' as numeric) as string)", "0.123", "0.123456789"),
    ],
)
def test_the_emulator_still_differs_from_bigquery_where_macros_say_so(
    bigquery_warehouse: Warehouse, expression: str, emulator: str, bigquery: str
) -> None:
    answer = bigquery_warehouse.query(f"select {expression} as answer")["answer"].item()
    assert answer == emulator
    assert answer != bigquery
