"""What Looker would send for a measure, without Looker.

Here: LookML measures as SQL of one SELECT, in BigQuery's words or DuckDB's. Not here: rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sqlglot

View = Mapping[str, Any]

AGGREGATES = {
    "sum": "coalesce(sum({}), 0)",  # as Looker sends it
    "count_distinct": "count(distinct {})",
    "max": "max({})",
    "min": "min({})",
}


def measure_sql(view: View, name: str) -> str:
    """One measure over the rows of its view, named `seen`: `${TABLE}` and `${measure}` resolved."""
    measure = {told["name"]: told for told in view["measures"]}[name]
    if measure["type"] == "number":
        return "(" + re.sub(r"\$\{(\w+)\}", lambda m: measure_sql(view, m[1]), measure["sql"]) + ")"
    return AGGREGATES[measure["type"]].format(measure["sql"].replace("${TABLE}", "seen"))


def key_sql(view: View) -> str:
    """The primary key of a row."""
    key = next(told for told in view["dimensions"] if told.get("primary_key") == "yes")
    return str(key["sql"]).replace("${TABLE}", "seen")


def select_measures(view: View, table: str, dialect: str, by: str | None = None) -> str:
    """All measures of a view over a table, of everything or by an expression over `seen`."""
    columns = [f"{measure_sql(view, told['name'])} as {told['name']}" for told in view["measures"]]
    grouped = f" group by {by}" if by else ""
    columns = [f"{by} as grain", *columns] if by else columns
    sql = f"select {', '.join(columns)} from {table} as seen{grouped}"
    return sqlglot.transpile(sql, read="bigquery", write=dialect)[0]
