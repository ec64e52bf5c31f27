"""Rows on their way in and out, the same for both engines: conformed before, one vocabulary after.

Here: what is checked before anything is staged, and the polars types a query returns. Not here: SQL.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet

from resources.warehouse.interface import ReplacePartitions, WarehouseError, Write
from resources.warehouse.schema import POLARS_TYPES, Column, ColumnType, Table, TableName

_log = logging.getLogger(__name__)


def prepare_rows(write: Write) -> pl.DataFrame | Path:
    """The rows of `write`, a frame conformed to its table, a Parquet file checked against it.

    Raises:
        ValueError: columns, types, NULLs or partitions do not fit, or a value would change on the way.
    """
    rows: pl.DataFrame | Path
    if isinstance(write.rows, Path):
        check_parquet(write.table, write.rows)
        rows = write.rows
    else:
        rows = conform_exactly(write.table, write.rows)
    if isinstance(write, ReplacePartitions):
        _check_partitions(write, rows)
    return rows


def conform_exactly(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """`table.conform(frame)`, refusing what polars would cut off silently.

    Raises:
        ValueError: as `Table.conform`; a value does not fit its type; a fraction in an INT64, a tenth
            decimal in a NUMERIC, a time of day in a DATE or nanoseconds in a TIMESTAMP. A FLOAT64 becomes
            NUMERIC by rounding to 9 decimals.
    """
    try:
        conformed = table.conform(frame)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{table.name}: {error}") from error
    cut = [
        column.name
        for column in table.columns
        if _may_cut(frame.schema[column.name], column.type)
        and not conformed[column.name].cast(frame.schema[column.name]).eq_missing(frame[column.name]).all()
    ]
    if cut:
        raise ValueError(f"{table.name}: values in {cut} do not fit their column type without loss")
    return conformed


def _may_cut(found: pl.DataType, wanted: ColumnType) -> bool:
    match found:
        case pl.Decimal():
            return found.scale > 9 or wanted == "INT64"
        case pl.Float32() | pl.Float64():
            return wanted == "INT64"
        case pl.Datetime():
            return wanted == "DATE" or found.time_unit == "ns"
        case _:
            return False


def check_parquet(table: Table, path: Path) -> None:
    """Check a Parquet file's columns and types from its footer, and its required columns for NULLs.

    Raises:
        ValueError: no such file, other columns, a type that cannot be cast without loss, or NULLs.
    """
    try:
        found = parquet_schema(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{table.name}: cannot read {path} as Parquet: {error}") from error
    missing = [name for name in table.column_names if name not in found]
    unexpected = [name for name in found if name not in table.column_names]
    if missing or unexpected:
        raise ValueError(
            f"{table.name}: {path} has missing columns {missing}, unexpected columns {unexpected}"
        )
    unfit = {c.name: str(found[c.name]) for c in table.columns if not _casts_exactly(found[c.name], c.type)}
    if unfit:
        raise ValueError(f"{table.name}: {path} has columns of another type: {unfit}")
    empty = _columns_with_nulls(path, [column.name for column in table.columns if column.required])
    if empty:
        raise ValueError(f"{table.name}: NULL in required columns {empty}")


def _casts_exactly(found: pl.DataType, wanted: ColumnType) -> bool:
    """Whether every value of a Parquet column fits the wanted type unchanged (range aside)."""
    if found == POLARS_TYPES[wanted]:
        return True
    match wanted:
        case "STRING":
            return isinstance(found, pl.Categorical | pl.Enum)
        case "INT64":
            return found.is_integer()
        case "FLOAT64":
            return found == pl.Float32
        case "NUMERIC":
            return found.is_integer() or (isinstance(found, pl.Decimal) and found.scale <= 9)
        case "TIMESTAMP":
            return isinstance(found, pl.Datetime) and found.time_unit != "ns" and found.time_zone == "UTC"
        case _:
            return False


def _columns_with_nulls(path: Path, names: list[str]) -> list[str]:
    # The footer knows; payloads of millions of rows need not be decoded to count nothing.
    footer = pyarrow.parquet.read_metadata(path)
    position = {footer.schema.column(index).path: index for index in range(footer.num_columns)}
    nulls: dict[str, int] = {}
    unknown: list[str] = []
    for name in names:
        groups = [footer.row_group(g).column(position[name]).statistics for g in range(footer.num_row_groups)]
        if all(group is not None and group.has_null_count for group in groups):
            nulls[name] = sum(group.null_count for group in groups)
        else:
            unknown.append(name)
    if unknown:
        counted = pl.scan_parquet(path, glob=False).select(pl.col(unknown).null_count())
        nulls |= counted.collect(engine="streaming").row(0, named=True)
    return [name for name in names if nulls[name]]


def parquet_schema(path: Path) -> pl.Schema:
    """Columns of one Parquet file, whatever its name looks like."""
    return pl.scan_parquet(path, glob=False).collect_schema()


def parquet_row_count(path: Path) -> int:
    """Rows of a Parquet file, from its footer."""
    return int(pyarrow.parquet.read_metadata(path).num_rows)


def _check_partitions(write: ReplacePartitions, rows: pl.DataFrame | Path) -> None:
    column = write.table.partition
    if column is None:
        raise ValueError(f"{write.table.name} has no partition column; replace the whole table instead")
    for bound in (write.first, write.last):
        if isinstance(bound, datetime) or not isinstance(bound, date):
            raise ValueError(f"{write.table.name}: partitions are dates, not {bound!r}")
    if write.first > write.last:
        raise ValueError(f"{write.table.name}: first partition {write.first} is after the last {write.last}")
    frame = rows.lazy() if isinstance(rows, pl.DataFrame) else pl.scan_parquet(rows, glob=False)
    outside = (
        frame.filter(~pl.col(column).is_between(write.first, write.last).fill_null(False))
        .select(rows=pl.len(), example=pl.col(column).min())
        .collect(engine="streaming")
        .row(0, named=True)
    )
    if outside["rows"]:
        raise ValueError(
            f"{write.table.name}: {outside['rows']} rows have {column} outside {write.first} to {write.last} "
            f"(one has {outside['example'] or 'NULL'}); nothing was written"
        )


def lacking(table: Table, found: Mapping[str, str], wanted: Mapping[str, str]) -> list[Column]:
    """Columns that a table of an older version does not have yet; each may be NULL in the rows it holds.

    Args:
        found, wanted: the engine's types by column, as the table stands and as it is declared.
    Raises:
        WarehouseError: it lacks a column that must not be NULL, or has one that is declared otherwise or not.
    """
    absent = [column for column in table.columns if column.name not in found]
    if any(column.required for column in absent) or any(wanted.get(name) != found[name] for name in found):
        raise drifted(table.name, found, wanted)
    return absent


def log_added(table: TableName, columns: Sequence[Column]) -> None:
    """Say which columns an older table was given."""
    names = ", ".join(column.name for column in columns)
    _log.warning("%s: made by an older version; it was given %s, NULL in the rows it holds.", table, names)


def not_brought_up(table: TableName, columns: Sequence[Column]) -> WarehouseError:
    """The error for a write to a table that lacks columns still."""
    names = ", ".join(column.name for column in columns)
    return WarehouseError(
        f"{table} was made by an older version and lacks {names}. Nothing was altered; `aelp ui` adds them "
        "as it starts, and so does every command that runs a morning"
    )


def drifted(table: TableName, found: Mapping[str, str], wanted: Mapping[str, str]) -> WarehouseError:
    """The error for a table that exists with other columns than declared."""
    differences = [
        f"{name} is {found.get(name, 'missing')}, not {wanted.get(name, 'part of the table')}"
        for name in dict.fromkeys([*wanted, *found])
        if found.get(name) != wanted.get(name)
    ]
    return WarehouseError(
        f"{table} exists with other columns: {'; '.join(differences)}. Nothing was altered; rename or "
        "drop the table, or declare it as it is"
    )


def to_vocabulary(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` in the warehouse's own types, whichever engine it came from.

    Integers become Int64, floats Float64, decimals of up to 9 places Decimal(38, 9), zoned timestamps
    microseconds in UTC. Lists, structs, zoneless timestamps and longer decimals stay as they are.

    Raises:
        polars.exceptions.PolarsError: a number does not fit, where BigQuery would overflow too.
    """
    return frame.cast({name: target for name, kind in frame.schema.items() if (target := _target(kind))})


def _target(kind: pl.DataType) -> pl.DataType | None:
    if kind.is_integer():
        return POLARS_TYPES["INT64"]
    if kind.is_float():
        return POLARS_TYPES["FLOAT64"]
    if isinstance(kind, pl.Decimal) and kind.scale <= 9:
        return POLARS_TYPES["NUMERIC"]
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        return POLARS_TYPES["TIMESTAMP"]
    return None
