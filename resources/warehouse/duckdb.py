"""The warehouse in one DuckDB file: short connections, atomic writes, locks explained.

Here: everything that asks the file. Not here: what a table is, the checks both engines share, engines and
what they have attached (`duckdb_engine`).
"""
# ruff: noqa: S608 - every name spliced into SQL went through schema.identifier; values are bound

from __future__ import annotations

import glob
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import psutil

from resources.settings import Environment
from resources.warehouse import metering
from resources.warehouse.duckdb_engine import FileInUse, attached
from resources.warehouse.interface import (
    Append,
    Parameter,
    ReplacePartitions,
    Warehouse,
    WarehouseError,
    WarehouseLocked,
    Write,
)
from resources.warehouse.rows import (
    lacking,
    log_added,
    not_brought_up,
    parquet_schema,
    prepare_rows,
    to_vocabulary,
)
from resources.warehouse.schema import DUCKDB_TYPES, Column, Table, TableName, identifier
from resources.warehouse.statements import check_parameters, partition_bounds, prepare_select

_LOCK_HOLDER = re.compile(r"\(PID (\d+)\)")
_EXTRACT = "aelp_extract"  # the catalogue of a file that is being made of this one
# DuckDB's catalogue spells this type out.
_CATALOGUE_TYPES = {**DUCKDB_TYPES, "TIMESTAMP": "TIMESTAMP WITH TIME ZONE"}


class DuckDBWarehouse(Warehouse):
    """One file, opened per call. Reads open it read-only, so readers never keep each other out.

    Args:
        path: the database file; created by the first `ensure_tables`.
        temporary: where DuckDB spills what does not fit `memory_limit`.
        schema_prefix: put before every schema name.
        memory_limit: DuckDB's buffer limit; rows handed over as frames come on top.
        lock_timeout: seconds to wait for another process's lock before raising.
        sleep, jitter: how to wait, and a number in [0, 1) that spreads waiting processes out.
    """

    dialect = "duckdb"

    def __init__(
        self,
        path: Path,
        *,
        temporary: Path,
        schema_prefix: str = "",
        memory_limit: str = "2GB",
        lock_timeout: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.path = path
        self._prefix = identifier(schema_prefix) if schema_prefix else ""
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "temp_directory": str(temporary),
            # Lets a write of millions of rows stream; no reader relies on the order rows were written in.
            "preserve_insertion_order": False,
            # An extension is either built in or absent: none is fetched behind a caller's back.
            "autoinstall_known_extensions": False,
        }
        self._lock_timeout = lock_timeout
        self._sleep = sleep
        self._jitter = jitter

    @classmethod
    def from_environment(cls, environment: Environment) -> DuckDBWarehouse:
        return cls(
            environment.duckdb_path,
            temporary=environment.home / "temporary" / "duckdb",
            schema_prefix=environment.dataset_prefix,
        )

    def ensure_tables(self, tables: Sequence[Table]) -> None:
        if self.path.exists():
            with self._connection(read_only=True) as connection:
                missing, older = self._missing(connection, tables)
        else:
            missing, older = list(tables), []
        if not missing and not older:
            return
        with self._connection() as connection, _transaction(connection):
            for table in missing:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema(table.name)}")
                columns = ", ".join(_column_definition(column) for column in table.columns)
                connection.execute(f"CREATE TABLE IF NOT EXISTS {self._qualified(table.name)} ({columns})")
            for table, absent in older:
                for column in absent:
                    definition = _column_definition(column)
                    alter = f"ALTER TABLE {self._qualified(table.name)} ADD COLUMN IF NOT EXISTS {definition}"
                    connection.execute(alter)
        for table, absent in older:
            log_added(table.name, absent)

    def write(self, *writes: Write) -> dict[str, int]:
        prepared = [(write, prepare_rows(write)) for write in writes]
        written = {str(write.table.name): 0 for write in writes}
        with self._connection() as connection:
            missing, older = self._missing(connection, (write.table for write in writes))
            for table in missing:
                raise WarehouseError(f"{table.name} does not exist; create it with ensure_tables")
            for table, absent in older:
                raise not_brought_up(table.name, absent)
            with _transaction(connection):
                for write, rows in _joined(prepared):
                    self._clear(connection, write)
                    written[str(write.table.name)] += self._insert(connection, write.table, rows)
        return written

    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> pl.DataFrame:
        bound = dict(parameters or {})
        check_parameters(bound)
        text = prepare_select(sql, bound, self._prefix, self.dialect)
        with self._connection(read_only=True) as connection:
            return _fetch(connection, text, bound)

    def read(
        self,
        table: TableName,
        columns: Sequence[str] | None = None,
        partition: str | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> pl.DataFrame:
        wanted = ", ".join(_quoted(name) for name in columns) if columns is not None else "*"
        bounds = partition_bounds(table, partition, first, last)
        conditions = [
            f"{_quoted(column)} {sign} ${number}" for number, (column, sign, _) in enumerate(bounds, 1)
        ]
        days = {str(number): day for number, (_, _, day) in enumerate(bounds, 1)}
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        with self._connection(read_only=True) as connection:
            return _fetch(connection, f"SELECT {wanted} FROM {self._qualified(table)}{where}", days)

    def catalogue(self, tables: Sequence[TableName]) -> dict[str, dict[str, str]]:
        if not self.path.exists():
            return {}
        with self._connection(read_only=True) as connection:
            known = self._catalogue(connection)
        names = {str(table): f"{self._prefix}{table}" for table in tables}
        return {table: known[stored] for table, stored in names.items() if stored in known}

    def row_counts(self, tables: Sequence[TableName]) -> dict[str, int | None]:
        counts: dict[str, int | None] = {str(table): None for table in tables}
        if not self.path.exists():
            return counts
        with self._connection(read_only=True) as connection:
            catalogue = self._catalogue(connection)
            for table in tables:
                if f"{self._prefix}{table}" in catalogue:
                    row = connection.execute(f"SELECT count(*) FROM {self._qualified(table)}").fetchone()
                    assert row is not None
                    counts[str(table)] = row[0]
        return counts

    def publish(self, target: Path) -> Path:
        """Copy the file to `target`, whole or not at all, with everything committed so far.

        Raises:
            WarehouseLocked: another process holds the file.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.{os.getpid()}")
        # Our open connection keeps writers out while the bytes are copied. A child copies them, because
        # a process that closes any handle on a file gives up all its locks on it (POSIX).
        copy = "import os, shutil, sys; shutil.copyfile(*sys.argv[1:]); os.chmod(sys.argv[2], 0o444)"
        try:
            with self._connection() as connection:
                connection.execute("CHECKPOINT")
                command = [sys.executable, "-I", "-S", "-c", copy, str(self.path), str(staged)]
                copied = subprocess.run(command, capture_output=True, text=True, check=False)
            if copied.returncode:
                reason = copied.stderr.strip()[-300:]
                raise WarehouseError(f"could not copy {self.path} to {staged}: {reason}")
            os.replace(staged, target)
        finally:
            staged.unlink(missing_ok=True)
        # Left by someone who opened the former copy for writing; it does not belong to this one.
        target.with_name(f"{target.name}.wal").unlink(missing_ok=True)
        return target

    def extract(
        self, target: Path, selects: Mapping[TableName, str], parameters: Mapping[str, Parameter]
    ) -> None:
        """Make a new file whose tables hold the rows of SELECTs on this one, all of the same moment of it.

        Args:
            parameters: bound in every SELECT; each uses all of them.
        Raises:
            WarehouseLocked: another process holds the file.
        """
        bound = dict(parameters)
        check_parameters(bound)
        written = str(target).replace("'", "''")
        with self._connection(read_only=True) as connection:
            connection.execute(f"ATTACH '{written}' AS {_EXTRACT}")
            try:
                for table, sql in selects.items():
                    text = prepare_select(sql, bound, self._prefix, self.dialect)
                    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_EXTRACT}.{self._schema(table)}")
                    made = f"CREATE TABLE {_EXTRACT}.{self._qualified(table)} AS {text}"
                    connection.execute(made, bound)
            finally:
                connection.execute(f"DETACH {_EXTRACT}")

    # --- inside one connection ---------------------------------------------------------------------

    def _catalogue(self, connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
        """Columns and types of every table and view, by `schema.table` as stored."""
        found: dict[str, dict[str, str]] = {}
        rows = connection.execute(
            "SELECT schema_name || '.' || table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = current_database() AND NOT internal "
            "ORDER BY schema_name, table_name, column_index"
        ).fetchall()
        for table, column, kind in rows:
            found.setdefault(table, {})[column] = kind
        return found

    def _missing(
        self, connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]
    ) -> tuple[list[Table], list[tuple[Table, list[Column]]]]:
        """The tables that do not exist, and the columns others lack; raises if one cannot be brought up."""
        catalogue = self._catalogue(connection)
        missing, older = [], []
        for table in tables:
            found = catalogue.get(f"{self._prefix}{table.name}")
            wanted = {column.name: _CATALOGUE_TYPES[column.type] for column in table.columns}
            if found is None:
                missing.append(table)
            elif absent := lacking(table, found, wanted):
                older.append((table, absent))
        return missing, older

    def _clear(self, connection: duckdb.DuckDBPyConnection, write: Write) -> None:
        if isinstance(write, Append):
            return
        delete = f"DELETE FROM {self._qualified(write.table.name)}"
        if isinstance(write, ReplacePartitions):
            assert write.table.partition is not None
            delete += f" WHERE {_quoted(write.table.partition)} BETWEEN $first AND $last"
            connection.execute(delete, {"first": write.first, "last": write.last})
        else:
            connection.execute(delete)

    def _insert(
        self, connection: duckdb.DuckDBPyConnection, table: Table, rows: pl.DataFrame | list[Path]
    ) -> int:
        names = ", ".join(_quoted(name) for name in table.column_names)
        insert = f"INSERT INTO {self._qualified(table.name)} ({names}) SELECT "
        try:
            if isinstance(rows, list):
                casts = ", ".join(f"CAST({_quoted(c.name)} AS {DUCKDB_TYPES[c.type]})" for c in table.columns)
                # DuckDB would read *, ? and [ in a file name as a pattern.
                sources = {"paths": [glob.escape(str(path)) for path in rows]}
                read = f"{insert}{casts} FROM read_parquet($paths)"
                inserted = connection.execute(read, sources).fetchone()
            else:
                connection.register("aelp_rows", rows)
                inserted = connection.execute(f"{insert}{names} FROM aelp_rows").fetchone()
                connection.unregister("aelp_rows")
        except (duckdb.ConstraintException, duckdb.ConversionException) as error:
            raise ValueError(f"{table.name}: {error}") from error
        assert inserted is not None
        return int(inserted[0])

    def _schema(self, table: TableName) -> str:
        return _quoted(self._prefix + table.schema)

    def _qualified(self, table: TableName) -> str:
        return f"{self._schema(table)}.{_quoted(table.table)}"

    # --- opening the file --------------------------------------------------------------------------

    @contextmanager
    def _connection(self, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        if read_only and not self.path.exists():
            raise WarehouseError(
                f"there is no warehouse at {self.path} yet; `make demo` or `make real` builds one"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as until_closed:
            connection = self._open(read_only, until_closed)
            started = time.perf_counter()
            try:
                # It would draw on the standard output of whoever runs a long query, terminal or not.
                connection.execute("SET enable_progress_bar = false")
                yield connection
            except duckdb.Error as error:
                raise WarehouseError(f"{self.path}: {error}") from error
            finally:
                metering.note(seconds=time.perf_counter() - started)

    def _open(self, read_only: bool, until_closed: ExitStack) -> duckdb.DuckDBPyConnection:
        """A connection, waiting up to `lock_timeout` for whoever has the file.

        Raises:
            WarehouseLocked: still held; WarehouseError: not a readable DuckDB file.
        """
        waited, attempt = 0.0, 0
        while True:
            try:
                return until_closed.enter_context(
                    attached(self.path.absolute(), self._config, read_only=read_only)
                )
            except (duckdb.Error, FileInUse) as error:
                holder = _lock_holder(error)
                if holder is None:
                    raise WarehouseError(f"{self.path}: {error}") from error
                if waited >= self._lock_timeout:
                    raise self._locked(holder, waited) from error
                pause = min(0.05 * 2**attempt, 1.0) * (0.5 + self._jitter())
                self._sleep(pause)
                waited, attempt = waited + pause, attempt + 1

    def _locked(self, holder: int, waited: float) -> WarehouseLocked:
        return WarehouseLocked(
            f"{self.path} is in use by {_describe_process(holder)} (waited {waited:.0f} s). Nothing was "
            "changed. Let it finish, or close it, and try again; a copy that is always free to read is "
            f"published as {self.path.parent / 'analyst' / self.path.name}."
        )


def _joined(
    prepared: Iterable[tuple[Write, pl.DataFrame | Path]],
) -> Iterator[tuple[Write, pl.DataFrame | list[Path]]]:
    """The writes in order, but files of one shape appended to one table as one insert.

    DuckDB stores the rows of each INSERT of a transaction apart and rewrites them at the checkpoint: two
    files of 360,000 rows took 1.7 times as long one after the other, and 1.8 times the space.
    """
    waiting: dict[TableName, tuple[Write, list[Path], pl.Schema]] = {}
    for write, rows in prepared:
        name = write.table.name
        if isinstance(rows, pl.DataFrame) or not isinstance(write, Append):
            if name in waiting:
                yield waiting.pop(name)[:2]
            yield write, [rows] if isinstance(rows, Path) else rows
            continue
        shape = parquet_schema(rows)
        if name in waiting and waiting[name][2] != shape:
            yield waiting.pop(name)[:2]
        waiting.setdefault(name, (write, [], shape))[1].append(rows)
    for write, files, _ in waiting.values():
        yield write, files


def _lock_holder(error: duckdb.Error | FileInUse) -> int | None:
    """PID behind a lock error, 0 if unknown; None for any other error."""
    message = str(error)
    if isinstance(error, FileInUse) or "Unique file handle conflict" in message:
        return os.getpid()
    if "Could not set lock" not in message:
        return None
    found = _LOCK_HOLDER.search(message)
    return int(found[1]) if found else 0


def _describe_process(pid: int) -> str:
    if pid == os.getpid():
        return f"another connection of this process (PID {pid})"
    # Never its arguments: this sentence goes into logs, and a `--token=…` would go with it.
    try:
        name = psutil.Process(pid).name() if pid else ""
    except (psutil.Error, ValueError):
        name = ""
    return f"PID {pid or 'unknown'} ({name or 'its name cannot be read'})"


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        # Closing would roll back too; doing it here keeps the first error the one that is seen.
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _fetch(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Parameter]
) -> pl.DataFrame:
    relation = connection.sql(sql, params=dict(parameters) or None)
    assert relation is not None
    # SUM of a BIGINT is a HUGEINT here and an INT64 in BigQuery.
    types = zip(relation.columns, relation.types, strict=True)
    huge = [name for name, kind in types if str(kind) in ("HUGEINT", "UHUGEINT")]
    try:
        return to_vocabulary(relation.pl().cast(dict.fromkeys(huge, pl.Int64())))
    except pl.exceptions.PolarsError as error:
        raise WarehouseError(f"a result does not fit the warehouse's types: {error}") from error


def _quoted(name: str) -> str:
    return f'"{identifier(name)}"'


def _column_definition(column: Column) -> str:
    return f"{_quoted(column.name)} {DUCKDB_TYPES[column.type]}{' NOT NULL' if column.required else ''}"
