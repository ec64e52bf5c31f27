"""Writing and reading through `Warehouse`, beside the same bytes through DuckDB alone.

Here: what conforming, transactions and short connections cost. Not here: whether they are right
(`tests/resources/warehouse`).
"""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import duckdb
import numpy as np
import polars as pl

from benchmarks.accounts import scratch_folder
from benchmarks.forecast_draws import best_of
from benchmarks.record import Figure, Record
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import ReplacePartitions, ReplaceTable
from resources.warehouse.tables import FORECAST_RESULTS

_TABLE = FORECAST_RESULTS
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "2GB",
    "preserve_insertion_order": False,
}


def warehouse_throughput(rows: int = 1_000_000) -> Record:
    """Replace and read a table of model output (numbers, money, names, days), and one day of it."""
    folder = scratch_folder() / f"storage-{uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    try:
        return _measure(rows, folder)
    finally:
        shutil.rmtree(folder)


def _measure(rows: int, folder: Path) -> Record:
    frame = random_rows(rows)
    megabytes = frame.estimated_size() / 1e6
    warehouse = DuckDBWarehouse(folder / "ours.duckdb", temporary=folder / "spill")
    warehouse.ensure_tables([_TABLE])
    written = best_of(lambda: warehouse.write(ReplaceTable(_TABLE, frame)))
    read = best_of(lambda: warehouse.read(_TABLE.name))
    day = frame["as_of_date"].max()
    assert isinstance(day, date)
    one_day = frame.filter(pl.col("as_of_date") == day)
    partition = best_of(lambda: warehouse.write(ReplacePartitions(_TABLE, one_day, day, day)))

    plain = folder / "plain.duckdb"

    def insert() -> None:
        connection = duckdb.connect(str(plain), config=_SETTINGS)
        connection.register("frame", frame)
        connection.execute("create or replace table copied as select * from frame")
        connection.close()

    def select() -> None:
        connection = duckdb.connect(str(plain), read_only=True, config=_SETTINGS)
        connection.sql("select * from copied").pl()
        connection.close()

    bare_write, bare_read = best_of(insert), best_of(select)
    parquet = best_of(lambda: frame.write_parquet(folder / "frame.parquet", compression="zstd"))
    return Record(
        "warehouse_throughput",
        {"rows": rows},
        [
            Figure("write through the warehouse", megabytes / written, "MB/s"),
            Figure("write with DuckDB alone (limit)", megabytes / bare_write, "MB/s"),
            Figure("time, write ours / limit", written / bare_write, "×"),
            Figure("read through the warehouse", megabytes / read, "MB/s"),
            Figure("read with DuckDB alone (limit)", megabytes / bare_read, "MB/s"),
            Figure("time, read ours / limit", read / bare_read, "×"),
            Figure("write as a Parquet file", megabytes / parquet, "MB/s"),
            Figure("replace one day", partition, "s"),
        ],
        note=f"{megabytes:,.0f} MB in memory. Ours checks every value against the table's types, deletes and "
        "inserts in one transaction and opens the file anew each time.",
    )


def random_rows(rows: int, seed: int = 1) -> pl.DataFrame:
    """Rows that fit the table of forecasts: 30 mornings of random numbers, money, names and days."""
    rng = np.random.default_rng(seed)
    first = date(2026, 6, 1)
    columns: dict[str, pl.Series] = {}
    for column in _TABLE.columns:
        match column.type:
            case "DATE":
                days = pl.Series([first + timedelta(days=age) for age in range(30)])
                columns[column.name] = days.gather(np.sort(rng.integers(0, 30, rows)))
            case "STRING":
                names = pl.Series([f"{column.name}_{index:012d}" for index in range(500)])
                columns[column.name] = names.gather(rng.integers(0, 500, rows))
            case "NUMERIC":
                cents = pl.Series(rng.integers(100, 1_000_000, rows))
                columns[column.name] = (cents / 100).round(2).cast(pl.Decimal(38, 9))
            case "INT64":
                columns[column.name] = pl.Series(rng.integers(0, 10_000, rows))
            case "BOOL":
                columns[column.name] = pl.Series(rng.random(rows) < 0.5)
            case _:
                columns[column.name] = pl.Series(rng.gamma(2.0, 50.0, rows))
    return _TABLE.conform(pl.DataFrame(columns))
