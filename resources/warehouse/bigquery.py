"""The warehouse on BigQuery: staged loads swapped in by one transaction, tables read without queries.

Here: datasets, tables and what a write does to them. Not here: the client libraries
(`bigquery_session.py`), what a table is, or the checks both engines share.
"""
# ruff: noqa: S608 - every name spliced into SQL went through schema.identifier; values are bound

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import polars as pl
from google.api_core import exceptions as api_exceptions
from google.cloud import bigquery

from resources.settings import Environment
from resources.warehouse.bigquery_session import (
    BigQuerySession,
    column_names,
    current_name,
    explained,
    labels,
    new_id,
)
from resources.warehouse.interface import (
    Append,
    Parameter,
    ReplacePartitions,
    Warehouse,
    WarehouseError,
    Write,
)
from resources.warehouse.rows import (
    lacking,
    log_added,
    not_brought_up,
    parquet_row_count,
    parquet_schema,
    prepare_rows,
)
from resources.warehouse.schema import POLARS_TYPES, Column, Table, TableName, identifier
from resources.warehouse.statements import check_parameters, partition_bounds, prepare_select

_PROJECT = re.compile(r"[A-Za-z0-9.:-]{1,128}")
_STAGE_LIFETIME = timedelta(hours=6)
_READ_STREAMS = 4


class BigQueryWarehouse(Warehouse):
    """Datasets of one project and location; the other arguments are `BigQuerySession`'s.

    Args:
        dataset_prefix: put before every schema name.
    """

    dialect = "bigquery"

    def __init__(
        self,
        project: str,
        *,
        location: str = "US",
        dataset_prefix: str = "",
        endpoint: str | None = None,
        storage_endpoint: str | None = None,
        maximum_bytes_billed: int = 200 * 2**30,
        job_timeout: float = 900.0,
        retry_timeout: float = 60.0,
    ) -> None:
        if not _PROJECT.fullmatch(project):
            raise ValueError(f"{project!r} is not a Google Cloud project id")
        self._prefix = identifier(dataset_prefix) if dataset_prefix else ""
        self._session = BigQuerySession(
            project, location, endpoint, storage_endpoint, maximum_bytes_billed, job_timeout, retry_timeout
        )

    @classmethod
    def from_environment(cls, environment: Environment) -> BigQueryWarehouse:
        """The warehouse of the `AELP_BIGQUERY_*` variables; contacts nothing."""
        assert environment.bigquery_project is not None, "read_environment refuses BigQuery without a project"
        return cls(
            environment.bigquery_project,
            location=environment.bigquery_location,
            dataset_prefix=environment.dataset_prefix,
            endpoint=environment.bigquery_endpoint,
            storage_endpoint=environment.bigquery_storage_endpoint,
            # An emulator's 500 is a bug, not a hiccup: retrying it only hides the message.
            retry_timeout=0.0 if environment.bigquery_endpoint else 60.0,
        )

    def ensure_tables(self, tables: Sequence[Table]) -> None:
        with explained():
            missing, older = self._missing(tables)
            for schema in dict.fromkeys(table.name.schema for table in missing):
                self._ensure_dataset(schema)
            for table in missing:
                self._session.client.create_table(self._declare(table), exists_ok=True, **self._session.call)
            for table, found, absent in older:
                found.schema = [*found.schema, *map(_field, absent)]
                # With the etag it was read by: what somebody changed meanwhile is not overwritten.
                self._session.client.update_table(found, ["schema"], **self._session.call)
                log_added(table.name, absent)

    def write(self, *writes: Write) -> dict[str, int]:
        prepared = [(write, prepare_rows(write)) for write in writes]
        written = {str(write.table.name): 0 for write in writes}
        staged: list[str] = []
        statements: list[str] = []
        with explained():
            missing, older = self._missing({write.table.name: write.table for write in writes}.values())
            for table in missing:
                raise WarehouseError(f"{table.name} does not exist; create it with ensure_tables")
            for table, _, absent in older:
                raise not_brought_up(table.name, absent)
            try:
                for write, rows in prepared:
                    statements += self._clear(write)
                    count = rows.height if isinstance(rows, pl.DataFrame) else parquet_row_count(rows)
                    if count:
                        dataset = self._dataset(write.table.name.schema)
                        stage = f"{self._session.project}.{dataset}.{new_id('stage')}"
                        staged.append(stage)
                        self._stage(stage, write.table, rows, count)
                        names = ", ".join(_quoted(name) for name in write.table.column_names)
                        target = self._qualified(write.table.name)
                        statements.append(f"INSERT INTO {target} ({names}) SELECT {names} FROM `{stage}`")
                    written[str(write.table.name)] += count
                if statements:
                    # BigQuery rolls an open transaction back when its script fails or is cancelled.
                    script = ["BEGIN TRANSACTION", *statements, "COMMIT TRANSACTION"]
                    self._session.run(";\n".join(script) + ";", "write")
            finally:
                for stage in staged:
                    # Should this fail, the stage expires by itself.
                    with suppress(api_exceptions.GoogleAPIError, OSError):
                        self._session.client.delete_table(stage, not_found_ok=True, **self._session.call)
        return written

    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> pl.DataFrame:
        bound = dict(parameters or {})
        check_parameters(bound)
        text = prepare_select(sql, bound, self._prefix, self.dialect)
        return self._session.select(text, bound, "query")

    def read(
        self,
        table: TableName,
        columns: Sequence[str] | None = None,
        partition: str | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> pl.DataFrame:
        restriction = " AND ".join(
            f"{_quoted(column)} {comparison} DATE '{day.isoformat()}'"
            for column, comparison, day in partition_bounds(table, partition, first, last)
        )
        with explained():
            found = self._get(table)
            if found is None:
                raise WarehouseError(f"{table} does not exist")
            names = [identifier(name) for name in columns] if columns is not None else column_names(found)
            unknown = [name for name in names if name not in column_names(found)]
            if unknown:
                raise WarehouseError(f"{table} has no columns {unknown}")
            # The Storage API reads tables, not views, without a query and as many streams as it likes.
            if found.table_type == "TABLE" and self._session.storage is not None:
                return self._session.read_storage(found, names, restriction, _READ_STREAMS)
        where = f" WHERE {restriction}" if restriction else ""
        selected = ", ".join(_quoted(name) for name in names)
        return self._session.select(f"SELECT {selected} FROM {self._qualified(table)}{where}", {}, "read")

    def catalogue(self, tables: Sequence[TableName]) -> dict[str, dict[str, str]]:
        with explained():
            found = {str(table): self._get(table) for table in tables}
        return {name: _types(table) for name, table in found.items() if table is not None}

    def row_counts(self, tables: Sequence[TableName]) -> dict[str, int | None]:
        counts: dict[str, int | None] = {str(table): None for table in tables}
        existing: list[TableName] = []
        with explained():
            for schema in dict.fromkeys(table.schema for table in tables):
                with suppress(api_exceptions.NotFound):
                    dataset = f"{self._session.project}.{self._dataset(schema)}"
                    listed = self._session.client.list_tables(dataset, **self._session.call)
                    known = {item.table_id for item in listed}
                    existing += [table for table in tables if table.schema == schema and table.table in known]
        if existing:
            # Counting rows reads no bytes; the API's own row count lags behind and is absent for views.
            parts = [
                f"SELECT {number} AS position, COUNT(*) AS row_count FROM {self._qualified(table)}"
                for number, table in enumerate(existing)
            ]
            for position, count in self._session.select("\nUNION ALL ".join(parts), {}, "row_counts").rows():
                counts[str(existing[position])] = count
        return counts

    # --- tables ------------------------------------------------------------------------------------

    def _get(self, table: TableName) -> bigquery.Table | None:
        with suppress(api_exceptions.NotFound):
            return self._session.client.get_table(self._full(table), **self._session.call)
        return None

    def _missing(
        self, tables: Iterable[Table]
    ) -> tuple[list[Table], list[tuple[Table, bigquery.Table, list[Column]]]]:
        """The tables that do not exist, and the columns others lack; raises if one cannot be brought up."""
        missing, older = [], []
        for table in tables:
            found = self._get(table.name)
            if found is None:
                missing.append(table)
                continue
            wanted: dict[str, str] = {column.name: column.type for column in table.columns}
            if absent := lacking(table, _types(found), wanted):
                older.append((table, found, absent))
        return missing, older

    def _ensure_dataset(self, schema: str) -> None:
        dataset = bigquery.Dataset(f"{self._session.project}.{self._dataset(schema)}")
        dataset.location = self._session.location
        dataset.labels = {"aelp_component": "warehouse"}
        try:
            # Looking first: an account may write to a dataset that it may not create.
            self._session.client.get_dataset(dataset.reference, **self._session.call)
        except api_exceptions.NotFound:
            self._session.client.create_dataset(dataset, exists_ok=True, **self._session.call)

    def _declare(self, table: Table) -> bigquery.Table:
        # Through the API and not by DDL: the emulator's DDL makes NUMERIC a DECIMAL(18,3) and drops labels.
        columns = [_field(column) for column in table.columns]
        declared = bigquery.Table(self._full(table.name), columns)
        declared.description = table.description
        declared.labels = {"aelp_component": "warehouse"}
        if table.partition is not None:
            declared.time_partitioning = bigquery.TimePartitioning(field=table.partition)
        if table.clustering:
            declared.clustering_fields = list(table.clustering)
        return declared

    def _clear(self, write: Write) -> list[str]:
        if isinstance(write, Append):
            return []
        condition = "TRUE"
        if isinstance(write, ReplacePartitions):
            assert write.table.partition is not None
            condition = (
                f"{_quoted(write.table.partition)} "
                f"BETWEEN DATE '{write.first.isoformat()}' AND DATE '{write.last.isoformat()}'"
            )
        return [f"DELETE FROM {self._qualified(write.table.name)} WHERE {condition}"]

    def _stage(self, stage: str, table: Table, rows: pl.DataFrame | Path, count: int) -> None:
        declared = bigquery.Table(stage, _staging_schema(table))
        declared.expires = datetime.now(UTC) + _STAGE_LIFETIME
        declared.labels = labels("stage")
        self._session.client.create_table(declared, **self._session.call)
        with _parquet(table, rows) as file:
            staged = self._session.load_parquet(file, stage, _staging_schema(table))
        if staged != count:
            raise WarehouseError(f"{table.name}: staged {staged} of {count} rows; nothing was changed")

    def _dataset(self, schema: str) -> str:
        return identifier(self._prefix + schema)

    def _full(self, table: TableName) -> str:
        return f"{self._session.project}.{self._dataset(table.schema)}.{table.table}"

    def _qualified(self, table: TableName) -> str:
        return f"`{self._full(table)}`"


@contextmanager
def _parquet(table: Table, rows: pl.DataFrame | Path) -> Iterator[IO[bytes]]:
    """The rows as a Parquet stream of exactly the table's types."""
    if isinstance(rows, Path) and parquet_schema(rows) == table.polars_schema:
        with rows.open("rb") as file:
            yield file
        return
    with TemporaryFile() as file:
        if isinstance(rows, Path):
            casts = [pl.col(column.name).cast(POLARS_TYPES[column.type]) for column in table.columns]
            pl.scan_parquet(rows, glob=False).select(casts).sink_parquet(file)
        else:
            rows.write_parquet(file)
        file.seek(0)
        yield file


def _field(column: Column) -> bigquery.SchemaField:
    return bigquery.SchemaField(
        column.name,
        column.type,
        mode="REQUIRED" if column.required else "NULLABLE",
        description=column.description,
    )


def _staging_schema(table: Table) -> list[bigquery.SchemaField]:
    # No column is REQUIRED here: Parquet from polars calls every column optional. The target decides.
    return [bigquery.SchemaField(column.name, column.type) for column in table.columns]


def _types(table: bigquery.Table) -> dict[str, str]:
    """Types by column; a repeated column is an ARRAY, a NUMERIC with its own precision says so."""
    described: dict[str, str] = {}
    for field in table.schema:
        kind: str = current_name(field)
        if field.precision is not None:
            kind = f"{kind}({field.precision},{field.scale or 0})"
        described[field.name] = f"ARRAY<{kind}>" if field.mode == "REPEATED" else kind
    return described


def _quoted(name: str) -> str:
    return f"`{identifier(name)}`"
