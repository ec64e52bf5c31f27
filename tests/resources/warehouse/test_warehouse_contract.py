"""What every caller may rely on, held against DuckDB and BigQuery (its emulator) alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from resources.warehouse.interface import (
    Append,
    ReplacePartitions,
    ReplaceTable,
    Warehouse,
    WarehouseError,
)
from resources.warehouse.schema import Column, InvalidIdentifier, Table, TableName

EVERY_TYPE = Table(
    name=TableName("raw", "every_type"),
    description="One column of each type; it's a test's.",
    columns=(
        Column("row_id", "INT64", "Key.", required=True),
        Column("day", "DATE", "Partition."),
        Column("text", "STRING", "Any text."),
        Column("counted", "INT64", "Any integer."),
        Column("share", "FLOAT64", "Any double."),
        Column("money", "NUMERIC", "Any 38 digits, 9 of them decimals."),
        Column("flag", "BOOL", "True or false."),
        Column("moment", "TIMESTAMP", "An instant, to the microsecond."),
    ),
    grain=("row_id",),
    partition="day",
    cluster=("row_id",),
)
DAILY = Table(
    name=TableName("gaelp_training", "daily"),
    description="Spend by day.",
    columns=(
        Column("day", "DATE", "Day.", required=True),
        Column("ad_id", "STRING", "Ad.", required=True),
        Column("spend", "NUMERIC", "Dollars."),
    ),
    grain=("day", "ad_id"),
    partition="day",
)
LARGEST = Decimal("99999999999999999999999999999.999999999")
JUNE = [date(2026, 6, day) for day in range(1, 6)]


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.emulator)])
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    opened: Warehouse = request.getfixturevalue(f"{request.param}_warehouse")
    opened.ensure_tables([EVERY_TYPE, DAILY])
    return opened


@pytest.fixture
def create_view(request: pytest.FixtureRequest, warehouse: Warehouse) -> Callable[[TableName, str], None]:
    """Creates a view as dbt would: by DDL, past the warehouse."""

    def create(view: TableName, select: str) -> None:
        if warehouse.dialect == "duckdb":
            with duckdb.connect(str(request.getfixturevalue("tmp_environment").duckdb_path)) as connection:
                connection.execute(f"create view {view} as {select}")
        else:
            prefix = request.getfixturevalue("bigquery_environment").dataset_prefix
            sql = f"create view {view} as {select}".replace("gaelp_training.", f"{prefix}gaelp_training.")
            request.getfixturevalue("bigquery_client").query(sql, job_retry=None).result(timeout=30)

    return create


def daily(*rows: tuple[date, str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [(day, ad, None if spend is None else Decimal(spend)) for day, ad, spend in rows],
        schema=DAILY.polars_schema,
        orient="row",
    )


def stored(warehouse: Warehouse, table: Table = DAILY) -> pl.DataFrame:
    return warehouse.read(table.name).sort(table.grain)


# --- types -----------------------------------------------------------------------------------------

any_day = st.dates(date(1, 1, 1), date(9999, 12, 31))
any_row = st.tuples(
    st.none() | any_day,
    st.none() | st.text(st.characters(codec="utf-8"), max_size=40),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(),
    st.none() | st.integers(-(10**38) + 1, 10**38 - 1).map(lambda units: Decimal(units).scaleb(-9)),
    st.none() | st.booleans(),
    st.none() | st.datetimes(datetime.min, datetime.max, timezones=st.just(UTC)),  # noqa: DTZ901
)


def every_type(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    keyed = [(number, *row) for number, row in enumerate(rows)]
    return pl.DataFrame(keyed, schema=EVERY_TYPE.polars_schema, orient="row")


def test_extreme_values_and_nulls_come_back_exactly(warehouse: Warehouse) -> None:
    rows = every_type(
        [
            (
                date(2026, 6, 1),
                "plain",
                1,
                0.1,
                Decimal("0.000000001"),
                True,
                datetime(2026, 6, 1, tzinfo=UTC),
            ),
            (
                date(1, 1, 1),
                "'\"`\\;--\n\x00ü😀 $x @x",
                -(2**63),
                float("-inf"),
                -LARGEST,
                False,
                datetime(1, 1, 1, tzinfo=UTC),
            ),
            (
                date(9999, 12, 31),
                "",
                2**63 - 1,
                5e-324,
                LARGEST,
                None,
                datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            ),
            (None, None, None, float("nan"), Decimal("-12.345678901"), None, None),
            (None, None, None, None, None, None, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ]
    )
    assert warehouse.write(Append(EVERY_TYPE, rows)) == {"raw.every_type": 5}
    assert_frame_equal(stored(warehouse, EVERY_TYPE), rows, check_exact=True)
    queried = warehouse.query("select * from raw.every_type order by row_id")
    assert_frame_equal(queried, rows, check_exact=True)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(any_row, max_size=8))
def test_any_rows_come_back_exactly(warehouse: Warehouse, rows: list[tuple[object, ...]]) -> None:
    frame = every_type(rows)
    warehouse.write(ReplaceTable(EVERY_TYPE, frame))
    assert_frame_equal(stored(warehouse, EVERY_TYPE), frame, check_exact=True)


def test_a_timestamp_in_any_zone_is_stored_as_its_instant(warehouse: Warehouse) -> None:
    evening = datetime(2026, 5, 31, 21, 30, tzinfo=timezone(timedelta(hours=-4)))
    rows = every_type([(None,) * 7]).with_columns(
        moment=pl.lit(evening).dt.convert_time_zone("America/New_York")
    )
    warehouse.write(Append(EVERY_TYPE, rows))
    found = warehouse.query("select moment, cast(moment as date) as day_in_utc from raw.every_type")
    assert found.row(0) == (datetime(2026, 6, 1, 1, 30, tzinfo=UTC), date(2026, 6, 1))


def test_sums_stay_exact_and_in_the_warehouses_types(warehouse: Warehouse) -> None:
    frame = every_type([(None, None, 2**40, 0.5, Decimal("0.100000001"), None, None)] * 10)
    warehouse.write(Append(EVERY_TYPE, frame))
    sums = warehouse.query(
        "select sum(money) as money, sum(counted) as total, count(*) as n, sum(share) as share "
        "from raw.every_type"
    )
    assert sums.schema == {
        "money": pl.Decimal(38, 9),
        "total": pl.Int64(),
        "n": pl.Int64(),
        "share": pl.Float64(),
    }
    assert sums.row(0) == (Decimal("1.000000010"), 10 * 2**40, 10, 5.0)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("counted", pl.Series([1.5])),
        ("counted", pl.Series([2**63], dtype=pl.UInt64)),
        ("money", pl.Series([Decimal("0.1234567891")], dtype=pl.Decimal(38, 10))),
        ("money", pl.Series([1e30])),
        ("moment", pl.Series([1], dtype=pl.Datetime("ns", "UTC"))),
        ("day", pl.Series([datetime(2026, 6, 1, 5, tzinfo=UTC)])),
    ],
    ids=["fraction", "beyond_int64", "tenth_decimal", "beyond_numeric", "nanosecond", "time_of_day"],
)
def test_a_value_that_would_be_cut_off_is_refused(
    warehouse: Warehouse, column: str, values: pl.Series
) -> None:
    frame = every_type([(None,) * 7]).with_columns(values.alias(column))
    with pytest.raises(ValueError, match=r"raw\.every_type"):
        warehouse.write(Append(EVERY_TYPE, frame))
    assert stored(warehouse, EVERY_TYPE).is_empty()


# --- writes ----------------------------------------------------------------------------------------


def test_replacing_partitions_is_idempotent_and_leaves_other_days_alone(warehouse: Warehouse) -> None:
    warehouse.write(Append(DAILY, daily(*[(day, "old", "1") for day in JUNE])))
    replaced = ReplacePartitions(
        DAILY, daily((JUNE[1], "new", "2.5"), (JUNE[2], "new", None)), JUNE[1], JUNE[3]
    )
    expected = daily(
        (JUNE[0], "old", "1"), (JUNE[1], "new", "2.5"), (JUNE[2], "new", None), (JUNE[4], "old", "1")
    )
    for _ in range(2):
        assert warehouse.write(replaced) == {"gaelp_training.daily": 2}
        assert_frame_equal(stored(warehouse), expected)


def test_appended_rows_join_those_already_there(warehouse: Warehouse) -> None:
    for ad in ("a", "b"):
        warehouse.write(Append(DAILY, daily((JUNE[0], ad, "1"))))
    assert stored(warehouse)["ad_id"].to_list() == ["a", "b"]


def test_replacing_with_no_rows_empties_the_days(warehouse: Warehouse) -> None:
    warehouse.write(Append(DAILY, daily(*[(day, "ad", "1") for day in JUNE])))
    empty = daily()
    assert warehouse.write(ReplacePartitions(DAILY, empty, JUNE[0], JUNE[3])) == {"gaelp_training.daily": 0}
    assert stored(warehouse)["day"].to_list() == [JUNE[4]]
    assert warehouse.write(ReplaceTable(DAILY, empty), Append(EVERY_TYPE, every_type([]))) == {
        "gaelp_training.daily": 0,
        "raw.every_type": 0,
    }
    assert_frame_equal(stored(warehouse), empty)
    assert_frame_equal(warehouse.read(DAILY.name, partition="day", first=JUNE[0], last=JUNE[1]), empty)


def test_writes_apply_in_order_and_their_rows_add_up(warehouse: Warehouse) -> None:
    written = warehouse.write(
        Append(DAILY, daily((JUNE[0], "gone", "1"))),
        ReplaceTable(DAILY, daily((JUNE[0], "a", "1"))),
        Append(DAILY, daily((JUNE[0], "b", "1"), (JUNE[1], "b", "1"))),
    )
    assert written == {"gaelp_training.daily": 4}
    assert stored(warehouse)["ad_id"].to_list() == ["a", "b", "b"]


def test_a_write_without_writes_does_nothing(warehouse: Warehouse) -> None:
    assert warehouse.write() == {}


@pytest.mark.parametrize("day", [JUNE[4], None], ids=["outside", "null"])
def test_rows_outside_the_replaced_days_are_refused(warehouse: Warehouse, day: date | None) -> None:
    before = every_type([(JUNE[0], "kept", *(None,) * 5)])
    warehouse.write(Append(EVERY_TYPE, before))
    stray = every_type([(JUNE[0], *(None,) * 6), (day, *(None,) * 6)])
    with pytest.raises(ValueError, match="1 rows have day outside 2026-06-01 to 2026-06-04"):
        warehouse.write(ReplacePartitions(EVERY_TYPE, stray, JUNE[0], JUNE[3]))
    assert_frame_equal(stored(warehouse, EVERY_TYPE), before)


def test_partitions_need_dates_in_order_and_a_partitioned_table(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match="is after the last"):
        warehouse.write(ReplacePartitions(DAILY, daily(), JUNE[1], JUNE[0]))
    with pytest.raises(ValueError, match="partitions are dates"):
        warehouse.write(ReplacePartitions(DAILY, daily(), datetime(2026, 6, 1), JUNE[0]))  # noqa: DTZ001
    whole = Table(TableName("raw", "whole"), "No days.", (Column("x", "INT64", "X."),), ("x",))
    with pytest.raises(ValueError, match="no partition column"):
        warehouse.write(ReplacePartitions(whole, pl.DataFrame({"x": [1]}), JUNE[0], JUNE[0]))


def test_a_second_write_that_fails_in_the_engine_undoes_the_first(
    warehouse: Warehouse, create_view: Callable[[TableName, str], None]
) -> None:
    # A view has the right columns, so only the engine notices, in mid-transaction, that it takes no rows.
    view = Table(TableName("gaelp_training", "daily_view"), "A view.", DAILY.columns, DAILY.grain)
    create_view(view.name, "select * from gaelp_training.daily")
    before = daily((JUNE[0], "before", "1"))
    warehouse.write(Append(DAILY, before))
    after = daily((JUNE[1], "after", "2"))
    with pytest.raises(WarehouseError):
        warehouse.write(ReplaceTable(DAILY, after), Append(view, after))
    assert_frame_equal(stored(warehouse), before)
    warehouse.write(ReplaceTable(DAILY, after))
    assert_frame_equal(stored(warehouse), after)


def test_a_view_is_read_and_counted_like_a_table(
    warehouse: Warehouse, create_view: Callable[[TableName, str], None]
) -> None:
    view = TableName("gaelp_training", "daily_view")
    create_view(view, "select * from gaelp_training.daily")
    rows = daily((JUNE[0], "a", "1.123456789"), (JUNE[1], "a", None))
    warehouse.write(Append(DAILY, rows))
    assert_frame_equal(warehouse.read(view, partition="day", first=JUNE[0], last=JUNE[0]), rows.head(1))
    assert warehouse.row_counts([view]) == {"gaelp_training.daily_view": 2}
    assert list(warehouse.columns(view)) == DAILY.column_names


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (daily((JUNE[0], "a", "1")).drop("spend"), r"missing columns \['spend'\]"),
        (daily((JUNE[0], "a", "1")).with_columns(extra=1), r"unexpected columns \['extra'\]"),
        (
            daily((JUNE[0], "a", "1")).with_columns(ad_id=pl.lit(None, pl.String)),
            r"NULL in required columns \['ad_id'\]",
        ),
        (daily((JUNE[0], "a", "1")).with_columns(spend=pl.lit("a lot")), "spend"),
    ],
)
def test_a_frame_that_does_not_conform_stops_every_write(
    warehouse: Warehouse, frame: pl.DataFrame, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        warehouse.write(Append(EVERY_TYPE, every_type([(None,) * 7])), Append(DAILY, frame))
    assert stored(warehouse, EVERY_TYPE).is_empty()


def test_a_parquet_file_is_the_same_as_its_frame(warehouse: Warehouse, tmp_path: Path) -> None:
    frame = every_type(
        [(JUNE[0], "a'b", 1, 0.1, -LARGEST, True, datetime(2026, 6, 1, 1, 2, 3, 4, tzinfo=UTC)), (None,) * 7]
    )
    # The name has all that a pattern, a quote or a bound value could trip over.
    odd = tmp_path / "it's [a] *; $x.parquet"
    frame.select(reversed(frame.columns)).write_parquet(odd)
    assert warehouse.write(ReplaceTable(EVERY_TYPE, odd)) == {"raw.every_type": 2}
    assert_frame_equal(stored(warehouse, EVERY_TYPE), frame)


def test_a_parquet_file_of_narrower_types_is_widened(warehouse: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "narrow.parquet"
    exact = every_type([(JUNE[0], "a", 7, 0.5, Decimal("1.25"), True, datetime(2026, 6, 1, tzinfo=UTC))])
    narrow = exact.cast(
        {"row_id": pl.UInt8, "counted": pl.Int16, "share": pl.Float32, "money": pl.Decimal(12, 2)}
    )
    narrow.write_parquet(file)
    warehouse.write(Append(EVERY_TYPE, file))
    assert_frame_equal(stored(warehouse, EVERY_TYPE), exact)


def test_files_and_frames_of_one_write_all_arrive_whatever_their_shapes(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    rows = daily(*((JUNE[0], name, "1.25") for name in "abcdef"))
    files = [tmp_path / f"{number}.parquet" for number in range(5)]
    rows[:1].write_parquet(files[0])
    rows[1:2].write_parquet(files[1])
    rows[2:3].cast({"spend": pl.Decimal(5, 2)}).write_parquet(files[2])  # another type
    rows[3:4].select("spend", "ad_id", "day").write_parquet(files[3])  # another order
    daily((JUNE[0], "gone", "1")).write_parquet(files[4])
    written = warehouse.write(
        Append(DAILY, files[4]),
        ReplaceTable(DAILY, rows[4:5]),
        Append(DAILY, files[0]),
        Append(DAILY, files[1]),
        Append(DAILY, files[2]),
        Append(DAILY, rows[5:]),
        Append(DAILY, files[3]),
    )
    assert written == {"gaelp_training.daily": 7}
    assert_frame_equal(stored(warehouse), rows)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (pl.lit(1.0).alias("money"), "another type.*money"),
        (pl.lit("1").alias("counted"), "another type.*counted"),
        (pl.lit(None, pl.Int64).alias("row_id"), r"NULL in required columns \['row_id'\]"),
        (pl.lit(date(2026, 7, 1)).alias("day"), "1 rows have day outside"),
        (pl.lit(1).alias("more"), r"unexpected columns \['more'\]"),
    ],
)
def test_a_parquet_file_that_does_not_fit_is_refused(
    warehouse: Warehouse, tmp_path: Path, change: pl.Expr, complaint: str
) -> None:
    file = tmp_path / "wrong.parquet"
    every_type([(JUNE[0], *(None,) * 6)]).with_columns(change).write_parquet(file)
    with pytest.raises(ValueError, match=complaint):
        warehouse.write(ReplacePartitions(EVERY_TYPE, file, JUNE[0], JUNE[0]))
    with pytest.raises(ValueError, match="cannot read"):
        warehouse.write(Append(EVERY_TYPE, tmp_path / "absent.parquet"))
    assert stored(warehouse, EVERY_TYPE).is_empty()


# --- tables ----------------------------------------------------------------------------------------


def test_ensuring_tables_again_keeps_their_rows(warehouse: Warehouse) -> None:
    warehouse.write(Append(DAILY, daily((JUNE[0], "a", "1"))))
    warehouse.ensure_tables([DAILY, EVERY_TYPE])
    assert warehouse.row_counts([DAILY.name]) == {"gaelp_training.daily": 1}


def test_a_table_that_drifted_is_named_and_nothing_is_created(warehouse: Warehouse) -> None:
    drifted = Table(
        DAILY.name,
        DAILY.description,
        (DAILY.columns[0], Column("ad_id", "INT64", "Ad."), Column("clicks", "INT64", "Clicks.")),
        DAILY.grain,
    )
    fresh = Table(TableName("ops", "fresh"), "New.", (Column("x", "INT64", "X."),), ("x",))
    with pytest.raises(
        WarehouseError, match=r"ad_id is .*clicks is missing.*spend is .*not part of the table"
    ):
        warehouse.ensure_tables([fresh, drifted])
    assert not warehouse.exists(fresh.name)
    with pytest.raises(WarehouseError, match="exists with other columns"):
        warehouse.write(Append(drifted, pl.DataFrame(schema=drifted.polars_schema)))


@pytest.fixture
def altered_too(request: pytest.FixtureRequest, warehouse: Warehouse) -> Callable[[Table, Column], None]:
    """Adds a column to the table behind the emulator's catalogue, which the API's call leaves as it was."""

    def alter(table: Table, column: Column) -> None:
        if warehouse.dialect == "bigquery":
            prefix = request.getfixturevalue("bigquery_environment").dataset_prefix
            sql = f"alter table {prefix}{table.name} add column {column.name} {column.type}"
            request.getfixturevalue("bigquery_client").query(sql, job_retry=None).result(timeout=30)

    return alter


def test_a_table_of_an_older_version_gets_the_columns_it_lacks_and_keeps_its_rows(
    warehouse: Warehouse,
    altered_too: Callable[[Table, Column], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    warehouse.write(Append(DAILY, daily((JUNE[0], "a", "1"))))
    added = (Column("clicks", "INT64", "Clicks."), Column("moment", "TIMESTAMP", "When."))
    newer = Table(
        DAILY.name, DAILY.description, (added[0], *DAILY.columns, added[1]), DAILY.grain, DAILY.partition
    )
    row = daily((JUNE[1], "b", "2")).with_columns(
        clicks=pl.lit(7), moment=pl.lit(datetime(2026, 6, 2, tzinfo=UTC))
    )
    with pytest.raises(WarehouseError, match=r"daily was made by an older version and lacks clicks, moment"):
        warehouse.write(Append(newer, newer.conform(row)))
    warehouse.ensure_tables([newer])
    assert "gaelp_training.daily: made by an older version; it was given clicks, moment" in caplog.text
    warehouse.ensure_tables([newer])
    assert set(warehouse.columns(newer.name)) == set(newer.column_names)
    for column in added:
        altered_too(newer, column)
    warehouse.write(Append(newer, newer.conform(row)))
    found = newer.conform(stored(warehouse)).select("clicks", *DAILY.column_names, "moment")
    assert found["clicks"].to_list() == [None, 7]
    assert_frame_equal(found[:1].select(DAILY.column_names), daily((JUNE[0], "a", "1")))
    assert_frame_equal(found[1:].select(newer.column_names), newer.conform(row))


def test_a_lacking_column_that_must_not_be_null_alters_nothing(warehouse: Warehouse) -> None:
    newer = Table(
        DAILY.name,
        DAILY.description,
        (
            *DAILY.columns,
            Column("clicks", "INT64", "Clicks."),
            Column("lane", "STRING", "Lane.", required=True),
        ),
        DAILY.grain,
        DAILY.partition,
    )
    fresh = Table(TableName("ops", "fresh"), "New.", (Column("x", "INT64", "X."),), ("x",))
    with pytest.raises(WarehouseError, match=r"lane is missing"):
        warehouse.ensure_tables([fresh, newer])
    assert list(warehouse.columns(DAILY.name)) == DAILY.column_names
    assert not warehouse.exists(fresh.name)


def test_a_table_that_does_not_exist_is_reported_as_such(warehouse: Warehouse) -> None:
    absent = Table(TableName("ops", "absent"), "Never made.", (Column("x", "INT64", "X."),), ("x",))
    assert warehouse.columns(absent.name) == {}
    assert not warehouse.exists(absent.name)
    assert warehouse.row_counts([absent.name, DAILY.name]) == {"ops.absent": None, "gaelp_training.daily": 0}
    for attempt in (
        lambda: warehouse.write(Append(absent, pl.DataFrame({"x": [1]}))),
        lambda: warehouse.read(absent.name),
        lambda: warehouse.query("select * from ops.absent"),
    ):
        with pytest.raises(WarehouseError, match=r"absent|ops"):
            attempt()


def test_columns_come_in_order_with_their_types(warehouse: Warehouse) -> None:
    numeric = "NUMERIC" if warehouse.dialect == "bigquery" else "DECIMAL(38,9)"
    assert list(warehouse.columns(EVERY_TYPE.name)) == EVERY_TYPE.column_names
    assert warehouse.columns(EVERY_TYPE.name)["money"] == numeric


# --- reads -----------------------------------------------------------------------------------------


def test_a_read_is_cut_to_columns_and_days(warehouse: Warehouse) -> None:
    warehouse.write(Append(DAILY, daily(*[(day, f"ad{day.day}", "1") for day in JUNE])))

    def ads(**bounds: date) -> list[str]:
        frame = warehouse.read(DAILY.name, columns=["ad_id"], partition="day", **bounds)
        assert frame.columns == ["ad_id"]
        return sorted(frame["ad_id"])

    assert ads(first=JUNE[1], last=JUNE[2]) == ["ad2", "ad3"]
    assert ads(first=JUNE[3]) == ["ad4", "ad5"]
    assert ads(last=JUNE[0]) == ["ad1"]
    assert ads(first=JUNE[2], last=JUNE[1]) == []
    assert warehouse.read(DAILY.name, columns=["spend", "day"]).columns == ["spend", "day"]
    with pytest.raises(ValueError, match="partition column"):
        warehouse.read(DAILY.name, first=JUNE[0])
    with pytest.raises(WarehouseError, match="nonsense"):
        warehouse.read(DAILY.name, columns=["nonsense"])


def test_parameters_are_bound_with_their_types(warehouse: Warehouse) -> None:
    instant = datetime(2026, 6, 1, 1, 2, 3, 456789, tzinfo=timezone(timedelta(hours=2)))
    found = warehouse.query(
        "select $text as a, $whole as b, $part as c, $yes as d, $day as e, $instant as f, '$other' as g",
        {"text": "it's", "whole": 2**40, "part": 0.1, "yes": True, "day": JUNE[0], "instant": instant},
    )
    assert found.row(0) == ("it's", 2**40, 0.1, True, JUNE[0], instant, "$other")
    assert found.schema["f"] == pl.Datetime("us", "UTC")


def test_the_same_parameter_may_be_used_twice(warehouse: Warehouse) -> None:
    warehouse.write(Append(DAILY, daily(*[(day, "ad", "1") for day in JUNE])))
    sql = "select day from gaelp_training.daily where day > $day or day < $day order by day"
    assert warehouse.query(sql, {"day": JUNE[2]})["day"].to_list() == [*JUNE[:2], *JUNE[3:]]


def test_a_value_can_never_become_sql(warehouse: Warehouse) -> None:
    hostile = "x'; DELETE FROM gaelp_training.daily; --\\' OR '1'='1 \" ` ; DROP TABLE raw.every_type"
    warehouse.write(Append(DAILY, daily((JUNE[0], hostile, "1"), (JUNE[1], "other", "1"))))
    found = warehouse.query("select ad_id from gaelp_training.daily where ad_id = $ad", {"ad": hostile})
    assert found["ad_id"].to_list() == [hostile]
    assert warehouse.row_counts([DAILY.name, EVERY_TYPE.name]) == {
        "gaelp_training.daily": 2,
        "raw.every_type": 0,
    }


def test_a_name_can_never_become_sql(warehouse: Warehouse) -> None:
    for name in ('daily"; DROP TABLE x; --', "daily`", "a b", "", "1a", "a.b", "é", "daily\n", "daily\0"):
        for attempt in (
            lambda name=name: TableName("gaelp_training", name),
            lambda name=name: warehouse.read(DAILY.name, columns=[name]),
            lambda name=name: warehouse.read(DAILY.name, partition=name, first=JUNE[0]),
        ):
            with pytest.raises(InvalidIdentifier):
                attempt()


@pytest.mark.parametrize(
    "sql",
    [
        "delete from gaelp_training.daily where true",
        "select 1; delete from gaelp_training.daily where true",
        "/* select */ drop table gaelp_training.daily",
    ],
)
def test_only_one_select_can_be_queried(warehouse: Warehouse, sql: str) -> None:
    warehouse.write(Append(DAILY, daily((JUNE[0], "a", "1"))))
    with pytest.raises(ValueError, match="SELECT"):
        warehouse.query(sql)
    assert warehouse.row_counts([DAILY.name]) == {"gaelp_training.daily": 1}


def test_faulty_sql_is_a_warehouse_error(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="nonsense"):
        warehouse.query("select nonsense from gaelp_training.daily")
