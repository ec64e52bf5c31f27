"""SQL text on its way to an engine: bound parameters and the schema prefix.

Here: what is read out of, or changed in, a caller's SELECT without touching its string literals.
Not here: running it (`duckdb.py`, `bigquery.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal

import sqlglot
from sqlglot import expressions

from resources.warehouse.interface import SCHEMAS, Parameter
from resources.warehouse.schema import TableName, identifier

Dialect = Literal["duckdb", "bigquery"]

# What may hide a `$` or a `;`. Engines differ: a backslash escapes in BigQuery only, which also has
# triple quotes, backticks and `#` comments.
_HIDDEN: Mapping[Dialect, str] = {
    "duckdb": r"--[^\n]*|/\*.*?\*/|'(?:''|[^'])*'|\"(?:\"\"|[^\"])*\"",
    "bigquery": r"--[^\n]*|\#[^\n]*|/\*.*?\*/"
    r"|'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\""
    r"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`",
}
_TOKENS: Mapping[Dialect, re.Pattern[str]] = {
    dialect: re.compile(
        rf"(?P<hidden>{hidden})|\$(?P<parameter>[A-Za-z_][A-Za-z0-9_]*)|(?P<end>;)(?=\s*\S)", re.DOTALL
    )
    for dialect, hidden in _HIDDEN.items()
}
_SELECT = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(?:select|with)\b", re.IGNORECASE | re.DOTALL)

_INT64 = range(-(2**63), 2**63)


def check_parameters(parameters: Mapping[str, Parameter]) -> None:
    """Refuse values that the engines would read differently.

    Raises:
        TypeError: a value of another type than `Parameter`.
        ValueError: an integer beyond 64 bits or a datetime without a zone.
    """
    for name, value in parameters.items():
        if not isinstance(value, str | int | float | bool | date):
            raise TypeError(
                f"parameter ${name}: {type(value).__name__} cannot be bound; "
                "use str, int, float, bool, date or datetime"
            )
        if isinstance(value, int) and value not in _INT64:
            raise ValueError(f"parameter ${name}: {value} does not fit INT64")
        if isinstance(value, datetime) and value.tzinfo is None:
            raise ValueError(f"parameter ${name}: a datetime needs a time zone")


def partition_bounds(
    table: TableName, partition: str | None, first: date | None, last: date | None
) -> list[tuple[str, str, date]]:
    """(column, comparison, day) per bound given, so that first <= column <= last.

    Raises:
        ValueError: a bound without a column, or one that is not a date.
    """
    bounds = [(comparison, day) for comparison, day in ((">=", first), ("<=", last)) if day is not None]
    if not bounds:
        return []
    if partition is None:
        raise ValueError(f"{table}: first and last need the partition column they cut by")
    for _, day in bounds:
        if isinstance(day, datetime) or not isinstance(day, date):
            raise ValueError(f"{table}: partitions are dates, not {day!r}")
    return [(identifier(partition), comparison, day) for comparison, day in bounds]


def prepare_select(sql: str, parameters: Mapping[str, Parameter], prefix: str, dialect: Dialect) -> str:
    """`sql` as the engine reads it: schemas prefixed, parameters marked `$name` or `@name`.

    Raises:
        ValueError: not exactly one SELECT, or parameters other than those the text names.
    """
    if not _SELECT.match(sql):
        raise ValueError(f"only a SELECT can be queried, not: {sql.strip()[:80]}")
    named: set[str] = set()

    def mark(match: re.Match[str]) -> str:
        if match["end"]:
            raise ValueError(f"one SELECT at a time; another statement follows in: {sql.strip()[:80]}")
        if match["parameter"]:
            named.add(match["parameter"])
            return ("@" if dialect == "bigquery" else "$") + match["parameter"]
        return match[0]

    marked = _TOKENS[dialect].sub(mark, prefix_schemas(sql, prefix, dialect))
    if named != set(parameters):
        missing, unknown = sorted(named - set(parameters)), sorted(set(parameters) - named)
        raise ValueError(f"query parameters: missing {missing}, not in the query {unknown}")
    return marked


def prefix_schemas(sql: str, prefix: str, dialect: Dialect) -> str:
    """`sql` with `prefix` before this project's schemas where they qualify a table, nothing else changed.

    Raises:
        ValueError: a prefix is set and the SQL cannot be parsed.
    """
    if not prefix:
        return sql
    try:
        statements = sqlglot.parse(sql, dialect=dialect)
    except sqlglot.errors.SqlglotError as error:
        raise ValueError(f"cannot find the tables of: {sql.strip()[:80]}: {error}") from error
    starts = {
        schema.meta["start"]
        for statement in statements
        if statement is not None
        for table in statement.find_all(expressions.Table)
        if (schema := table.args.get("db")) and schema.name in SCHEMAS and not table.catalog
    }
    for start in sorted(starts, reverse=True):
        name = start + (sql[start] in '`"')
        sql = sql[:name] + prefix + sql[name:]
    return sql
