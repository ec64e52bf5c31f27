"""What only the DuckDB file has: locks, crashes, spilling, and the copy for analysts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from resources.settings import Environment, SettingsError, read_environment
from resources.warehouse import open_warehouse, publish_analyst_copy
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import (
    Append,
    ReplaceTable,
    Warehouse,
    WarehouseError,
    WarehouseLocked,
)
from resources.warehouse.schema import Column, Table, TableName

NUMBERS = Table(TableName("ops", "numbers"), "Numbers.", (Column("x", "INT64", "X.", required=True),), ("x",))


def numbers(*values: int) -> pl.DataFrame:
    return pl.DataFrame({"x": list(values)}, schema=NUMBERS.polars_schema)


@pytest.fixture
def filled(duckdb_warehouse: Warehouse) -> Warehouse:
    duckdb_warehouse.ensure_tables([NUMBERS])
    duckdb_warehouse.write(Append(NUMBERS, numbers(1, 2, 3)))
    return duckdb_warehouse


@contextmanager
def other_process(path: Path, read_only: bool) -> Iterator[subprocess.Popen[str]]:
    """Another process with the file open, until the block ends."""
    code = (
        f"import duckdb; c = duckdb.connect({str(path)!r}, read_only={read_only}); "
        "print('open', flush=True); input(); c.close(); print('closed', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


def close(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "closed\n"


def impatient(environment: Environment, sleep: Callable[[float], None]) -> DuckDBWarehouse:
    return DuckDBWarehouse(
        environment.duckdb_path, temporary=environment.home / "spill", sleep=sleep, jitter=lambda: 0.5
    )


def test_a_locked_file_names_who_holds_it(filled: Warehouse, tmp_environment: Environment) -> None:
    pauses: list[float] = []
    waiting = impatient(tmp_environment, pauses.append)
    with other_process(tmp_environment.duckdb_path, read_only=False) as holder:
        for attempt in (
            lambda: waiting.write(ReplaceTable(NUMBERS, numbers(9))),
            lambda: waiting.query("select 1"),
        ):
            with pytest.raises(WarehouseLocked) as caught:
                attempt()
            assert f"PID {holder.pid}" in str(caught.value)
            assert "import duckdb" not in str(caught.value), "arguments may hold secrets"
            assert "analyst" in str(caught.value)
            assert 10 <= sum(pauses) < 11.5
            assert max(pauses) <= 1.0
            pauses.clear()
    assert filled.read(NUMBERS.name)["x"].to_list() == [1, 2, 3]


def test_a_write_waits_for_a_reader_to_finish(filled: Warehouse, tmp_environment: Environment) -> None:
    with other_process(tmp_environment.duckdb_path, read_only=True) as reader:
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                close(reader)

        impatient(tmp_environment, sleep).write(Append(NUMBERS, numbers(4)))
    assert len(pauses) == 2
    assert filled.row_counts([NUMBERS.name]) == {"ops.numbers": 4}


def test_readers_do_not_keep_each_other_out(filled: Warehouse, tmp_environment: Environment) -> None:
    with other_process(tmp_environment.duckdb_path, read_only=True):
        assert filled.query("select sum(x) as total from ops.numbers").item() == 6
        filled.ensure_tables([NUMBERS])


def test_a_second_connection_of_this_process_is_named_too(
    filled: Warehouse, tmp_environment: Environment
) -> None:
    with duckdb.connect(str(tmp_environment.duckdb_path)):
        with pytest.raises(WarehouseLocked, match=rf"this process \(PID {os.getpid()}\)"):
            impatient(tmp_environment, lambda _: None).query("select 1")


def test_no_connection_is_held_between_calls(filled: Warehouse, tmp_environment: Environment) -> None:
    for fails, call in (
        (None, lambda: filled.read(NUMBERS.name)),
        (None, lambda: filled.write(Append(NUMBERS, numbers(4)))),
        (WarehouseError, lambda: filled.query("select nonsense from ops.numbers")),
        (WarehouseError, lambda: filled.read(NUMBERS.name, columns=["nonsense"])),
    ):
        with pytest.raises(fails) if fails else nullcontext():
            call()
        with other_process(tmp_environment.duckdb_path, read_only=False):
            pass


def test_a_writer_killed_before_commit_leaves_nothing_behind(
    filled: Warehouse, tmp_environment: Environment
) -> None:
    code = (
        f"import duckdb, os; c = duckdb.connect({str(tmp_environment.duckdb_path)!r}); "
        "c.execute('insert into ops.numbers values (4)'); c.execute('begin'); "
        "c.execute('delete from ops.numbers'); "
        "c.execute('insert into ops.numbers select * from range(1000000)'); "
        "os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    # The committed 4 is still in the write-ahead log: a read-only open must see it.
    assert sorted(filled.read(NUMBERS.name)["x"]) == [1, 2, 3, 4]
    filled.write(Append(NUMBERS, numbers(5)))
    assert sorted(filled.read(NUMBERS.name)["x"]) == [1, 2, 3, 4, 5]


def test_reading_before_anything_exists_says_so(duckdb_warehouse: Warehouse) -> None:
    assert duckdb_warehouse.row_counts([NUMBERS.name]) == {"ops.numbers": None}
    assert not duckdb_warehouse.exists(NUMBERS.name)
    with pytest.raises(WarehouseError, match="there is no warehouse at"):
        duckdb_warehouse.query("select 1")


def test_a_file_that_is_no_database_is_refused(tmp_environment: Environment) -> None:
    tmp_environment.duckdb_path.parent.mkdir(parents=True)
    tmp_environment.duckdb_path.write_text("not a database" * 1000)
    with pytest.raises(WarehouseError, match="not a valid DuckDB database file"):
        open_warehouse(tmp_environment).ensure_tables([NUMBERS])


def test_a_prefix_separates_warehouses_in_one_file(tmp_path: Path) -> None:
    def opened(prefix: str) -> Warehouse:
        return open_warehouse(
            read_environment({"AELP_HOME": str(tmp_path / "home"), "AELP_DATASET_PREFIX": prefix})
        )

    for prefix, value in (("", 1), ("test_", 2)):
        opened(prefix).ensure_tables([NUMBERS])
        opened(prefix).write(Append(NUMBERS, numbers(value)))
    assert opened("").query("select ops.x from ops.numbers as ops").item() == 1
    assert opened("test_").query('select ops.x from "ops".numbers as ops').item() == 2
    with pytest.raises(SettingsError, match="AELP_DATASET_PREFIX"):
        opened("bad-prefix")


def test_sums_of_integers_overflow_rather_than_change_type(filled: Warehouse) -> None:
    filled.write(ReplaceTable(NUMBERS, numbers(2**62, 2**62)))
    with pytest.raises(WarehouseError, match="does not fit"):
        filled.query("select sum(x) as total from ops.numbers")


# --- large files -----------------------------------------------------------------------------------

WIDE = Table(
    TableName("raw", "wide"),
    "Rows with a payload.",
    (
        Column("day", "DATE", "Day.", required=True),
        Column("row_id", "INT64", "Key.", required=True),
        Column("payload", "STRING", "Text.", required=True),
        Column("spend", "NUMERIC", "Dollars.", required=True),
    ),
    ("row_id",),
    partition="day",
)

_WRITE_LARGE = f"""
import resource, sys
from datetime import date
from pathlib import Path
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import ReplacePartitions
from resources.warehouse.schema import Column, Table, TableName
WIDE = {WIDE!r}
home = Path(sys.argv[1])
warehouse = DuckDBWarehouse(home / "w.duckdb", temporary=home / "spill", memory_limit="256MB")
warehouse.ensure_tables([WIDE])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
year = date(2026, 1, 1), date(2026, 12, 31)
written = warehouse.write(ReplacePartitions(WIDE, home / "large.parquet", *year))
print(written["raw.wide"], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_two_million_rows_stream_in_bounded_memory(tmp_path: Path) -> None:
    rows = 2_000_000
    large = tmp_path / "large.parquet"
    frame = pl.select(row_id=pl.int_range(rows)).with_columns(
        day=pl.date(2026, 1, 1) + pl.duration(days=pl.col("row_id") % 300),
        payload=pl.lit("x" * 150) + pl.col("row_id").cast(pl.String),
        spend=(pl.col("row_id") % 997).cast(pl.Decimal(38, 9)),
    )
    assert frame.estimated_size("mb") > 300
    total = frame["spend"].sum()
    frame.write_parquet(large, row_group_size=100_000)
    del frame
    run = subprocess.run(
        [sys.executable, "-c", _WRITE_LARGE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    written, grown_megabytes = map(int, run.stdout.split())
    assert written == rows
    assert grown_megabytes < 450  # streamed: about 180; through a frame: about 870
    stored = DuckDBWarehouse(tmp_path / "w.duckdb", temporary=tmp_path / "spill").query(
        "select count(distinct row_id) as rows, sum(spend) as spend, max(day) as last from raw.wide"
    )
    assert stored.row(0) == (rows, total, date(2026, 10, 27))
    assert isinstance(total, Decimal)


# --- the copy for analysts -------------------------------------------------------------------------


def test_the_analyst_copy_holds_everything_committed(filled: Warehouse, tmp_environment: Environment) -> None:
    with duckdb.connect(str(tmp_environment.duckdb_path)) as connection:
        # As dbt-duckdb writes views: with the database's name, which the copy therefore keeps.
        connection.execute('create view ops.doubled as select x * 2 as x from "warehouse"."ops"."numbers"')
    path = publish_analyst_copy(tmp_environment)
    assert path == tmp_environment.home / "analyst" / "warehouse.duckdb"
    with duckdb.connect(str(path), read_only=True) as copy:
        assert copy.sql("select sum(x) from ops.doubled").fetchall() == [(12,)]
    assert [file.name for file in path.parent.iterdir()] == ["warehouse.duckdb"]


def test_readers_of_the_former_copy_keep_it(filled: Warehouse, tmp_environment: Environment) -> None:
    path = publish_analyst_copy(tmp_environment)
    with duckdb.connect(str(path), read_only=True) as former:
        filled.write(Append(NUMBERS, numbers(4)))
        publish_analyst_copy(tmp_environment)
        assert former.sql("select count(*) from ops.numbers").fetchall() == [(3,)]
    with duckdb.connect(str(path), read_only=True) as latest:
        assert latest.sql("select count(*) from ops.numbers").fetchall() == [(4,)]


def test_a_copy_someone_wrote_to_is_replaced_whole(filled: Warehouse, tmp_environment: Environment) -> None:
    path = publish_analyst_copy(tmp_environment)
    path.chmod(0o644)
    code = (
        f"import duckdb, os; c = duckdb.connect({str(path)!r}); c.execute('delete from ops.numbers'); "
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert path.with_name("warehouse.duckdb.wal").exists()
    publish_analyst_copy(tmp_environment)
    with duckdb.connect(str(path), read_only=True) as copy:
        assert copy.sql("select count(*) from ops.numbers").fetchall() == [(3,)]


def test_a_locked_warehouse_leaves_the_former_copy(filled: Warehouse, tmp_environment: Environment) -> None:
    path = publish_analyst_copy(tmp_environment)
    before = path.read_bytes()
    with other_process(tmp_environment.duckdb_path, read_only=True):
        with pytest.raises(WarehouseLocked):
            impatient(tmp_environment, lambda _: None).publish(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["warehouse.duckdb"]


def test_nobody_can_write_while_the_copy_is_made(
    filled: Warehouse, tmp_environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_for_writing = f"import duckdb; duckdb.connect({str(tmp_environment.duckdb_path)!r})"
    outcomes: list[str] = []
    run = subprocess.run

    def run_then_intrude(*arguments: Any, **keywords: Any) -> subprocess.CompletedProcess[str]:
        copied = run(*arguments, **keywords)
        intruder = run([sys.executable, "-c", open_for_writing], capture_output=True, text=True, check=False)
        outcomes.append(intruder.stderr)
        return copied

    monkeypatch.setattr(subprocess, "run", run_then_intrude)
    publish_analyst_copy(tmp_environment)
    assert "Could not set lock" in outcomes[0]


def test_bigquery_needs_no_analyst_copy(tmp_path: Path) -> None:
    environment = read_environment(
        {"AELP_HOME": str(tmp_path), "AELP_WAREHOUSE": "bigquery", "AELP_BIGQUERY_PROJECT": "p"}
    )
    with pytest.raises(ValueError, match="only DuckDB"):
        publish_analyst_copy(environment)
