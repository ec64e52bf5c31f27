"""The same landed rows, built by the real dbt on DuckDB and on BigQuery, against answers written by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import lkml
import polars as pl
import pytest

from aelp_assets.as_of import Past
from aelp_assets.catalogue import Catalogue
from resources.looker import FOLDER
from resources.settings import read_environment
from resources.warehouse.schema import TableName
from tests.parity.conftest import Build
from tests.parity.expected import EXPECTED, Expected
from tests.parity.landed import AFTER_FIRST
from tests.parity.landings.landing import day
from tests.resources.looker.lookml_sql import key_sql, select_measures

VIEWS = {
    path.name.removesuffix(".view.lkml"): lkml.load(path.read_text(encoding="utf-8"))["views"][0]
    for path in sorted((FOLDER / "generated").glob("*.view.lkml"))
}
# The ratios a mart tells of each row, and Looker's measures of the same.
RATIOS = {
    "ads_campaign_daily": {"ctr": "ctr", "cvr": "cvr", "avg_cpc": "cpc"},
    "ads_ad_daily": {"ctr": "ad_ctr", "cvr": "ad_cvr", "avg_cpc": "ad_cpc"},
    "unified_ctr": {"link_ctr": "link_ctr", "link_ctr_unique": "link_ctr_unique"},
    "creative_history": {"ctr": "creative_ctr", "cvr": "creative_cvr"},
}
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


def _text(value: object) -> str:
    """A value as the expectations write it: money without trailing zeros, floats to 12 digits, UTC times."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    return str(value)


def _rows(frame: pl.DataFrame) -> list[list[str]]:
    return sorted([_text(value) for value in row] for row in frame.rows())


def _expected_rows(expected: Expected, schema: pl.Schema) -> list[list[str]]:
    def cell(column: str, text: str) -> str:
        if text == "-" or schema[column] != pl.Float64:
            return text
        numerator, _, denominator = text.partition("/")
        return _text(float(numerator) / float(denominator or 1))

    return sorted(
        [cell(column, text) for column, text in zip(expected.columns, row, strict=True)]
        for row in expected.rows
    )


def _days(frame: pl.DataFrame, **where: str) -> set[date]:
    return set(frame.filter(**where)["date"])


@pytest.mark.parametrize("table", EXPECTED)
def test_every_table_holds_what_was_worked_out_by_hand(built: Build, table: str) -> None:
    expected, found = EXPECTED[table], built.from_nothing[table]
    assert _rows(found.select(expected.columns)) == _expected_rows(expected, found.schema)


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
            assert frame["date"].null_count() == 0, table
            for accounts in frame.select(pl.col("^(account_id|store_id)$")):
                assert "k1" not in accounts.to_list(), table


@pytest.mark.parametrize("view", [name for name, view in VIEWS.items() if view.get("measures")])
def test_looker_s_measures_run_and_their_ratios_are_the_mart_s_own(built: Build, view: str) -> None:
    warehouse, mart = built.project.warehouse, f"gaelp_training.{view}"
    asked = select_measures(VIEWS[view], mart, warehouse.dialect, by=key_sql(VIEWS[view]))
    measured = warehouse.query(asked).sort("grain")
    ratios = RATIOS.get(view, {})
    assert not ratios or measured.height
    told = ", ".join(f"seen.{column}" for column in ratios) or "1"
    own = warehouse.query(f"select {key_sql(VIEWS[view])} as grain, {told} from {mart} as seen").sort("grain")
    assert own["grain"].to_list() == measured["grain"].to_list()
    for column, measure in ratios.items():
        assert own[column].to_list() == measured[measure].to_list(), measure


@pytest.mark.dbt
@pytest.mark.emulator
@pytest.mark.parametrize("table", EXPECTED)
def test_both_warehouses_agree_on_every_row_and_column(
    on_duckdb: Build, on_bigquery: Build, table: str
) -> None:
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


# Read from BigQuery and built here: the very rows that a home on DuckDB builds of then (`test_as_of`).
@pytest.mark.dbt
@pytest.mark.emulator
@pytest.mark.parametrize("table", ["gaelp_training.reward_daily", "gaelp_training.meta_ad_performance"])
def test_a_mart_of_then_is_what_was_built_then(on_bigquery: Build, on_duckdb: Build, table: str) -> None:
    environment = read_environment(on_bigquery.project.variables)
    then = Past(environment, Catalogue(environment), AFTER_FIRST, ZoneInfo("America/New_York"), "now")
    found = then.known(then.catalogue.find(table)).rows
    assert found.sort(found.columns, nulls_last=True).equals(on_duckdb.first_day[table])
    assert not list((environment.home / "temporary").glob("as-of-*"))
