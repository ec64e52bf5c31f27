"""The one door to the warehouse, the same for DuckDB and BigQuery.

Here: what every caller may rely on. Not here: how either engine does it (`duckdb.py`, `bigquery.py`)
and which tables exist (`tables`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import polars as pl

from resources.warehouse.schema import Table, TableName

# Schemas are BigQuery datasets, exactly these.
SCHEMAS = ("raw", "staging", "intermediate", "ops", "gaelp_training", "gaelp_users")

Parameter = str | int | float | bool | date | datetime


class WarehouseError(RuntimeError):
    """The warehouse refused or could not be reached; the message says what to do about it."""


class WarehouseLocked(WarehouseError):
    """Another process holds the DuckDB file; the message names it."""


@dataclass(frozen=True)
class Append:
    """Add rows; nothing already there is touched. A Path is a Parquet file of the table's columns."""

    table: Table
    rows: pl.DataFrame | Path


@dataclass(frozen=True)
class ReplacePartitions:
    """Rows whose partition column lies in [first, last] become exactly `rows`."""

    table: Table
    rows: pl.DataFrame | Path
    first: date
    last: date


@dataclass(frozen=True)
class ReplaceTable:
    """The table becomes exactly `rows`."""

    table: Table
    rows: pl.DataFrame | Path


Write = Append | ReplacePartitions | ReplaceTable


class Warehouse(ABC):
    """Polars in and out, NUMERIC exact, every write atomic, no connection held between calls."""

    dialect: Literal["duckdb", "bigquery"]

    @abstractmethod
    def ensure_tables(self, tables: Sequence[Table]) -> None:
        """Create the schemas and any of `tables` that does not exist (partitioned and clustered where known).

        A table of an older version gets the columns it lacks, NULL in the rows it holds; that is logged.

        Raises:
            WarehouseError: a table has a column that is declared otherwise or not at all, or lacks one that
                must not be NULL; nothing is altered.
        """

    @abstractmethod
    def write(self, *writes: Write) -> dict[str, int]:
        """Apply all writes or none, in order; tables must exist. Returns rows written by table name.

        Frames are conformed to their table first, so a wrong column fails before anything is staged.

        Raises:
            ValueError: a frame does not conform, or a row lies outside the partitions being replaced.
            WarehouseLocked, WarehouseError: nothing was changed.
        """

    @abstractmethod
    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> pl.DataFrame:
        """Rows of one SELECT. Parameters are written `$name` in the SQL and bound, never spliced."""

    @abstractmethod
    def read(
        self,
        table: TableName,
        columns: Sequence[str] | None = None,
        partition: str | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> pl.DataFrame:
        """Columns of a table (all by default), optionally where `first <= partition <= last`."""

    @abstractmethod
    def catalogue(self, tables: Sequence[TableName]) -> dict[str, dict[str, str]]:
        """Column names and engine types in order by table, in one connection; missing tables are left out."""

    def columns(self, table: TableName) -> dict[str, str]:
        """Those of one table; empty if it does not exist."""
        return self.catalogue([table]).get(str(table), {})

    @abstractmethod
    def row_counts(self, tables: Sequence[TableName]) -> dict[str, int | None]:
        """Rows per table in one connection; None where the table does not exist."""

    def exists(self, table: TableName) -> bool:
        return bool(self.columns(table))
