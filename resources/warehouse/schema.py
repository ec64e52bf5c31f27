"""What a table is, said once for both warehouses: columns, types, grain, partition column.

Here: the type vocabulary and its DuckDB, BigQuery and polars names. Not here: the tables themselves
(`tables`) and any connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

ColumnType = Literal["STRING", "INT64", "FLOAT64", "NUMERIC", "BOOL", "DATE", "TIMESTAMP"]

# NUMERIC is BigQuery's own precision on both sides, so a sum is the same number in either warehouse.
POLARS_TYPES: Mapping[ColumnType, pl.DataType] = {
    "STRING": pl.String(),
    "INT64": pl.Int64(),
    "FLOAT64": pl.Float64(),
    "NUMERIC": pl.Decimal(38, 9),
    "BOOL": pl.Boolean(),
    "DATE": pl.Date(),
    "TIMESTAMP": pl.Datetime("us", "UTC"),
}
DUCKDB_TYPES: Mapping[ColumnType, str] = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38,9)",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
}

_CLUSTERED = 4  # BigQuery takes no more
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class InvalidIdentifier(ValueError):
    """A schema, table or column name that must not reach SQL."""


def identifier(name: str) -> str:
    """`name` unchanged if it is a plain SQL identifier.

    Raises:
        InvalidIdentifier: anything else: quotes, dots, spaces, an empty or overlong name.
    """
    if not _IDENTIFIER.fullmatch(name):  # `$` would let a line break through
        raise InvalidIdentifier(
            f"{name!r} is not a valid SQL identifier: letters, digits and _ only, not starting with a digit"
        )
    return name


@dataclass(frozen=True)
class TableName:
    """`schema.table`, both validated."""

    schema: str
    table: str

    def __post_init__(self) -> None:
        identifier(self.schema)
        identifier(self.table)

    @classmethod
    def parse(cls, dotted: str) -> TableName:
        schema, _, table = dotted.partition(".")
        return cls(schema, table)

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True)
class Column:
    name: str
    type: ColumnType
    description: str
    required: bool = False

    def __post_init__(self) -> None:
        identifier(self.name)


@dataclass(frozen=True)
class Table:
    """One table this project writes from Python.

    `grain` names the columns that are unique together; `partition` the DATE column that a
    partition replace works on (None: the table is replaced whole or only appended to). `cluster` names what
    BigQuery keeps together where that is not the beginning of the grain.
    """

    name: TableName
    description: str
    columns: tuple[Column, ...]
    grain: tuple[str, ...]
    partition: str | None = None
    cluster: tuple[str, ...] = ()

    @property
    def clustering(self) -> tuple[str, ...]:
        """Columns BigQuery keeps together within a day: a reader of one account or track scans no others.

        Those said; else of a table by day the first names in its grain (numbers and days tell nobody apart).
        """
        if self.cluster or self.partition is None:
            return self.cluster
        types = {column.name: column.type for column in self.columns}
        return tuple(name for name in self.grain if types[name] == "STRING")[:_CLUSTERED]

    @property
    def polars_schema(self) -> pl.Schema:
        return pl.Schema({column.name: POLARS_TYPES[column.type] for column in self.columns})

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """`frame` with exactly this table's columns, in order and type.

        Raises:
            ValueError: a column is missing or unexpected, or a required one holds nulls.
            polars.exceptions.InvalidOperationError: a value does not fit its type.
        """
        missing = [name for name in self.column_names if name not in frame.columns]
        unexpected = [name for name in frame.columns if name not in self.column_names]
        if missing or unexpected:
            raise ValueError(f"{self.name}: missing columns {missing}, unexpected columns {unexpected}")
        conformed = frame.select(self.column_names).cast(self.polars_schema, strict=True)
        empty = [c.name for c in self.columns if c.required and conformed[c.name].null_count()]
        if empty:
            raise ValueError(f"{self.name}: NULL in required columns {empty}")
        return conformed
