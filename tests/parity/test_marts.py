"""The same landed rows, built by the real dbt on DuckDB and on BigQuery, against answers written by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from resources.warehouse.schema import TableName
from tests.parity.conftest import Build
from tests.parity.expected import EXPECTED, Value
from tests.parity.landed import day

# What a column may be on either side and still be the same column.
EQUIVALENT_TYPES = {
    "VARCHAR": "STRING",
    "BIGINT": "INT64",
    "DOUBLE": "FLOAT64",
    "DECIMAL(38,9)": "NUMERIC",
    "BOOLEAN": "BOOL",
    "DATE": "DATE",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}


def _comparable(value: Value | Decimal) -> Value | Decimal:
    """A value as the expectations write it: money without trailing zeros, floats to 12 significant digits."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return float(f"{value:.12g}") if isinstance(value, float) else value


def _rows(frame: pl.DataFrame) -> list[tuple[Value | Decimal, ...]]:
    rows = [tuple(_comparable(value) for value in row) for row in frame.rows()]
    return sorted(rows, key=lambda row: [(value is None, str(value)) for value in row])


def _sorted(rows: tuple[tuple[Value, ...], ...]) -> list[tuple[Value | Decimal, ...]]:
    comparable = [tuple(_comparable(value) for value in row) for row in rows]
    return sorted(comparable, key=lambda row: [(value is None, str(value)) for value in row])


def _days(frame: pl.DataFrame, **where: str) -> set[date]:
    return set(frame.filter(**where)["date"])


@pytest.mark.parametrize("table", EXPECTED)
def test_every_table_holds_what_was_worked_out_by_hand(built: Build, table: str) -> None:
    expected = EXPECTED[table]
    assert _rows(built.from_nothing[table].select(expected.columns)) == _sorted(expected.rows)


@pytest.mark.parametrize("table", EXPECTED)
def test_days_built_one_by_one_equal_one_full_refresh(built: Build, table: str) -> None:
    assert _rows(built.day_by_day[table]) == _rows(built.from_nothing[table])


def test_a_restated_row_a_vanished_row_and_an_emptied_day_leave(built: Build) -> None:
    mart = "gaelp_training.meta_ad_performance"
    before, after = built.first_day[mart], built.day_by_day[mart]
    assert before.filter(date=day(5)).select("ad_id", "inline_link_clicks").rows() == [("a1", 24), ("a2", 5)]
    assert after.filter(date=day(5)).select("ad_id", "inline_link_clicks").rows() == [("a1", 30)]
    assert day(4) in _days(before)
    for table in (mart, "gaelp_training.ads_ad_daily", "gaelp_training.unified_ctr"):
        assert day(4) not in _days(built.day_by_day[table]), table


def test_a_late_day_inside_the_lookback_is_picked_up(built: Build) -> None:
    ads = "gaelp_training.ads_ad_daily"
    assert _days(built.first_day[ads], account_id="m2") == {day(8)}
    assert _days(built.day_by_day[ads], account_id="m2") == {day(6), day(8)}


def test_seven_day_sums_follow_a_restated_day(built: Build) -> None:
    rates = "gaelp_training.unified_ctr"
    on_the_eighth = pl.col("date") == day(8), pl.col("ad_id") == "a1"
    assert built.first_day[rates].filter(*on_the_eighth)["inline_link_clicks_7d"].item() == 20 + 24 + 40
    assert built.day_by_day[rates].filter(*on_the_eighth)["inline_link_clicks_7d"].item() == 30 + 40


def test_undated_rows_stay_out_of_every_daily_table(built: Build) -> None:
    for table, frame in built.from_nothing.items():
        if "date" in frame.columns:
            assert frame.filter(platform="kag").is_empty() if "platform" in frame.columns else True, table
            assert frame["date"].null_count() == 0, table


@pytest.mark.dbt
@pytest.mark.emulator
@pytest.mark.parametrize("table", EXPECTED)
def test_both_warehouses_agree_on_every_row_and_column(on_duckdb: Build, on_bigquery: Build, table: str) -> None:
    one, other = on_duckdb.from_nothing[table], on_bigquery.from_nothing[table]
    assert one.schema == other.schema
    assert _rows(one) == _rows(other)


@pytest.mark.dbt
@pytest.mark.emulator
@pytest.mark.parametrize("table", EXPECTED)
def test_both_warehouses_agree_on_types(on_duckdb: Build, on_bigquery: Build, table: str) -> None:
    name = TableName.parse(table)
    one = {
        column: EQUIVALENT_TYPES[kind] for column, kind in on_duckdb.project.warehouse.columns(name).items()
    }
    assert one == on_bigquery.project.warehouse.columns(name)
