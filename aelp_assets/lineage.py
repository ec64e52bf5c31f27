"""Column-level lineage of dbt models, read from the SQL dbt really ran.

Here: sqlglot over compiled SQL, remembered by the model's own code. Not here: dagster-dbt's
`fetch_column_metadata`, which keeps a handle on the DuckDB file and blocks the next dbt run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import dagster as dg
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage

# schema.table -> column names in order
# column -> the (schema.table, column) pairs it is computed from
ModelLineage = dict[str, list[tuple[str, str]]]


def model_lineage(
    sql: str, dialect: str, upstream: Mapping[str, Sequence[str]], prefix: str = ""
) -> ModelLineage:
    """The upstream columns each output column of `sql` is computed from.

    `upstream` has the columns of the `schema.table`s the model refers to, whose schemas `sql` names with the
    environment's `prefix` before them. A statement sqlglot cannot follow
    gives an empty result: lineage is a courtesy and never fails a run.
    """
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for dotted, columns in upstream.items():
        schema_name, table = dotted.split(".")
        schema.setdefault(schema_name, {})[table] = dict.fromkeys(columns, "unknown")
    try:
        tree = parse_one(sql, dialect=dialect)
        for mention in tree.find_all(exp.Table):
            mention.set("catalog", None)  # the file's or project's own name says nothing here
            if mention.db:
                mention.set("db", exp.to_identifier(mention.db.removeprefix(prefix)))
        outputs = lineage(None, tree, schema, dialect=dialect, validate_qualify_columns=False)
    except SqlglotError:
        return {}
    return {column: _leaves(node, set(upstream)) for column, node in outputs.items() if column != "*"}


def _leaves(output: Node, upstream: set[str]) -> list[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for node in output.walk():
        table = node.expression
        if isinstance(table, exp.Table) and f"{table.db}.{table.name}" in upstream:
            column = node.name.rsplit(".", 1)[-1].strip('"`')
            found.add((f"{table.db}.{table.name}", column))
    return sorted(found)


def remembered(folder: Path, unique_id: str, code: str, compute: Callable[[], ModelLineage]) -> ModelLineage:
    """`compute()` once per version of the code it rests on; kept as JSON under `folder`.

    Eleven seconds for all models, most of them sqlglot's copies of trees: homes of one checkout share them.
    """
    if (known := recalled(folder, unique_id, code)) is not None:
        return known
    result = compute()
    folder.mkdir(parents=True, exist_ok=True)
    path = _kept(folder, unique_id, code)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_text(json.dumps(result))
    staged.replace(path)  # another run may read it at this moment
    return result


def recalled(folder: Path, unique_id: str, code: str) -> ModelLineage | None:
    """What `remembered` keeps of this version of the code; None: that was never run."""
    path = _kept(folder, unique_id, code)
    if not path.exists():
        return None
    stored: dict[str, list[list[str]]] = json.loads(path.read_text())
    return {column: [(table, name) for table, name in pairs] for column, pairs in stored.items()}


def _kept(folder: Path, unique_id: str, code: str) -> Path:
    return folder / f"{unique_id}-{hashlib.sha256(code.encode()).hexdigest()[:16]}.json"


def to_dagster(found: ModelLineage, keys: Mapping[str, dg.AssetKey]) -> dg.TableColumnLineage:
    """The same lineage in Dagster's words; tables without an asset key are left out."""
    return dg.TableColumnLineage(
        deps_by_column={
            column: [
                dg.TableColumnDep(asset_key=keys[table], column_name=name)
                for table, name in pairs
                if table in keys
            ]
            for column, pairs in found.items()
        }
    )
