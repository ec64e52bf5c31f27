"""What a day costs by its rows: bytes read, dollars on BigQuery, time on DuckDB, at three sizes and beyond.

Here: sandbox accounts run for a morning and one more day; what each query of that day would read on BigQuery;
lines through the three sizes. Not here: a bill: the emulator writes none, and no project was asked.

Bytes are BigQuery's logical bytes, from rows and column types. A query is taken to read every column of every
table below its views, for the days it asks for: more than BigQuery reads, which skips columns nobody names.
`python -m benchmarks.capacity` prints the table of deploy/README.md from the kept figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from benchmarks.accounts import Account
from benchmarks.record import RESULTS, Figure, Record, load
from benchmarks.spine import one_new_day

SCALES = ("tiny", "medium", "seed")
ROWS_BEYOND = (100_000, 1_000_000, 10_000_000)
HISTORY_DAYS = 365
BUILDS_A_DAY = 7  # the marts after the morning's pull and after each of six four-hourly pulls
STALE_DAYS = 8  # a pull brings the last seven days again, and the new one

# Logical bytes of a value; a NULL has none (cloud.google.com/bigquery/pricing, "data size calculation").
_BYTES = {"BIGINT": 8, "DOUBLE": 8, "BOOLEAN": 1, "DATE": 8, "TIMESTAMP WITH TIME ZONE": 8, "TIMESTAMP": 8}
_DECIMAL_BYTES, _TEXT_BYTES = 16, 2  # a text has its UTF-8 besides
_LEAST_BILLED = 10 * 2**20  # of each table that a query names
_DOLLARS_A_TIB, _DOLLARS_A_GIB_MONTH = 6.25, 0.02  # list prices of US, on demand and active storage, 2026


@dataclass(frozen=True)
class Stored:
    """A table: its bytes, and over how many days they lie (None: not by day)."""

    bytes: float
    days: int | None


@dataclass(frozen=True)
class Scan:
    """One table read by one query: the days asked for (None: all), and how often on a day."""

    table: str
    days: int | None
    times: int


@dataclass(frozen=True)
class Day:
    """What one day reads and keeps, in bytes and dollars."""

    read: float
    billed: float
    kept_a_day: float

    @property
    def dollars(self) -> float:
        """Queries of the day, and a day of keeping a year of history."""
        storage = self.kept_a_day * HISTORY_DAYS / 2**30 * _DOLLARS_A_GIB_MONTH / 30.4
        return self.billed / 2**40 * _DOLLARS_A_TIB + storage


def capacity(scales: Sequence[str] = SCALES) -> Record:
    """Run each account for a morning and a new day; reckon its bytes, and those of larger ones."""
    measured: dict[str, dict[str, float]] = {}
    last: tuple[Mapping[str, Stored], float] | None = None
    reads = scans()
    for scale in scales:
        home = Account(scale).fresh_home()
        try:
            home.morning()
            spent = {figure.name: figure.value for figure in one_new_day(home, mornings=1).figures}
            stored, rows = stored_tables(home.warehouse), rows_a_day(home.warehouse)
        finally:
            home.remove()
        day = one_day(reads, stored, 1.0)
        measured[scale] = _row(rows, day, spent["whole command"], spent["CPU time"])
        last = stored, rows
    assert last is not None
    beyond = dict[str, dict[str, float]]()
    for wanted in ROWS_BEYOND:
        grown = one_day(reads, last[0], wanted / last[1])
        wall, cpu = (_line(measured, of)(wanted) for of in ("wall seconds", "CPU seconds"))
        beyond[f"{wanted:,}"] = _row(wanted, grown, wall, cpu)
    return Record(
        "capacity",
        {"scales": list(scales)},
        [
            Figure(f"{name}: {figure}", value, unit)
            for name, row in {**measured, **beyond}.items()
            for figure, unit in (
                ("rows", "a day"),
                ("GB read", "a day"),
                ("dollars", "a day"),
                ("wall seconds", "s"),
            )
            for value in (row[figure],)
        ],
        note=f"A new day after a morning: {BUILDS_A_DAY} builds of the marts and one morning's decisions, "
        "over a year of history. Bytes are an upper bound (every column of every table below a query's "
        "views; billed at 10 MB a table at least); nothing was billed. Times are of one `aelp run` on DuckDB "
        f"with a new day; those beyond the measured sizes ({', '.join(measured)}) lie on the straight line "
        "through them.",
        details={"table": {"measured": measured, "beyond": beyond}},
    )


def _row(rows: float, day: Day, wall: float, cpu: float) -> dict[str, float]:
    return {
        "rows": rows,
        "GB read": day.read / 1e9,
        "GB billed": day.billed / 1e9,
        "GB a year": day.kept_a_day * HISTORY_DAYS / 1e9,
        "dollars": day.dollars,
        "wall seconds": wall,
        "CPU seconds": cpu,
    }


def _line(measured: Mapping[str, Mapping[str, float]], figure: str) -> Any:
    """The straight line through a figure over rows, never falling."""
    rows = [row["rows"] for row in measured.values()]
    slope, base = np.polyfit(rows, [row[figure] for row in measured.values()], 1)
    return lambda wanted: float(base + max(slope, 0.0) * wanted)


# --- what is stored -----------------------------------------------------------------------------------


def stored_tables(warehouse: Path) -> dict[str, Stored]:
    """Every table of a DuckDB file in BigQuery's logical bytes, with the days it lies over."""
    from resources.warehouse.tables import PYTHON_TABLES

    by_day = {str(table.name): table.partition for table in PYTHON_TABLES.values()}
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        named = connection.execute(
            "select table_schema || '.' || table_name, list((column_name, data_type)) "
            "from information_schema.columns join information_schema.tables "
            "using (table_catalog, table_schema, table_name) where table_type = 'BASE TABLE' group by 1"
        ).fetchall()
        found = {}
        for name, columns in named:
            types = dict(columns)
            day = by_day.get(name) or ("date" if types.get("date") == "DATE" and name not in by_day else None)
            size = " + ".join(_size(column, kind) for column, kind in types.items())
            days = f"count(distinct {day})" if day else "null"
            total, over = connection.execute(f"select coalesce({size}, 0), {days} from {name}").fetchall()[0]
            found[name] = Stored(float(total), over or None)
    return found


def _size(column: str, kind: str) -> str:
    if kind == "VARCHAR":
        return f'{_TEXT_BYTES} * count("{column}") + coalesce(sum(strlen("{column}")), 0)'
    return f'{_DECIMAL_BYTES if kind.startswith("DECIMAL") else _BYTES.get(kind, 8)} * count("{column}")'


def rows_a_day(warehouse: Path) -> float:
    """Rows that count of an average one of the last 28 report days."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        (found,) = connection.execute(
            """
            select avg(landed) from (
                select report_date, sum(row_count) as landed from (
                    select *, row_number() over (
                        partition by source, stream, account_id, report_date, breakdown_set
                        order by completed_at desc
                    ) as recency
                    from ops.ingest_slices where status = 'complete' and report_date is not null
                ) where recency = 1 group by report_date order by report_date desc limit 28
            )
            """
        ).fetchall()[0]
    return float(found)


# --- what is read -------------------------------------------------------------------------------------


def one_day(reads: Sequence[Scan], stored: Mapping[str, Stored], factor: float) -> Day:
    """Bytes of one day at `factor` times the rows, over a year of history."""
    read = billed = 0.0
    for scan in reads:
        table = stored.get(scan.table)
        if table is None:
            continue  # nothing was ever written to it
        days = HISTORY_DAYS if scan.days is None else min(scan.days, HISTORY_DAYS)
        each = table.bytes * factor * (days / table.days if table.days else 1.0)
        read += each * scan.times
        billed += max(each, _LEAST_BILLED) * scan.times
    kept = sum(table.bytes / table.days for table in stored.values() if table.days) * factor
    return Day(read, billed, kept)


def scans() -> list[Scan]:
    """Every table each query of a day reads: models and tests of each build, inputs of each asset once."""
    from aelp_assets.transform import project

    manifest = json.loads(Path(project.manifest_path).read_text())
    return [*_of_builds(manifest), *_of_assets(manifest)]


def _of_builds(manifest: Mapping[str, Any]) -> Iterator[Scan]:
    for node in manifest["nodes"].values():
        if "reporting" in node["tags"]:
            continue  # a view, made once
        if node["resource_type"] == "model" and node["config"]["materialized"] != "view":
            is_daily = node["config"]["materialized"] == "incremental"
            rolling = node["config"]["meta"].get("rolling_days", 0)
            days = STALE_DAYS + 7 + rolling if is_daily else None  # 7: lookback_days of dbt_project.yml
            for table in _below(manifest, node["depends_on"]["nodes"]):
                yield Scan(table, days, BUILDS_A_DAY)
            if is_daily:  # its new rows and the days they take the place of
                yield Scan(f"{node['schema']}.{node['name']}", days, 2 * BUILDS_A_DAY)
        elif node["resource_type"] == "test":
            told = (node.get("test_metadata") or {}).get("kwargs", {})
            by_day = told.get("day_column") or "tested_days(" in node["raw_code"]
            days = STALE_DAYS + 7 + 6 if by_day else None  # 6: the rolling days after
            for table in _below(manifest, node["depends_on"]["nodes"]):
                yield Scan(table, days, BUILDS_A_DAY)


def _of_assets(manifest: Mapping[str, Any]) -> Iterator[Scan]:
    """Inputs of Python assets by their partition mappings, each read once a morning."""
    import dagster as dg

    from aelp_assets.definitions import ASSETS

    relations = {
        f"{node['schema']}.{node['name']}": unique_id
        for unique_id, node in {**manifest["nodes"], **manifest["sources"]}.items()
        if node["resource_type"] in ("model", "source")
    }
    for asset in ASSETS:
        if asset.node_def.name in ("transform", "reporting"):
            continue
        for key in asset.keys_by_input_name.values():
            unique_id = relations.get(".".join(key.path))
            if unique_id is None or key in asset.keys:
                continue
            mapping = asset.get_partition_mapping(key)
            days = None
            if isinstance(mapping, dg.TimeWindowPartitionMapping):
                days = mapping.end_offset - mapping.start_offset + 1
            for table in _below(manifest, [unique_id]):
                yield Scan(table, days, 1)


def _below(manifest: Mapping[str, Any], unique_ids: Sequence[str]) -> set[str]:
    """The tables that nodes are, or that lie below them where they are views."""
    found: set[str] = set()
    for unique_id in unique_ids:
        node = manifest["nodes"].get(unique_id) or manifest["sources"].get(unique_id)
        if node is None:
            continue
        if node["resource_type"] == "model" and node["config"]["materialized"] == "view":
            found |= _below(manifest, node["depends_on"]["nodes"])
        elif node["resource_type"] in ("model", "source"):
            found.add(f"{node['schema']}.{node['name']}")
    return found


# --- printing -----------------------------------------------------------------------------------------


def markdown(file: Path) -> str:
    """The kept figures of a results file as a table with the columns of deploy/README.md."""
    kept = [record for record in load(file).values() if record.benchmark == "capacity"]
    if not kept:
        raise SystemExit(
            f"{file} keeps none of these figures yet. `python -m benchmarks.run --evidence --only capacity` "
            "measures them."
        )
    lines = [
        "| rows a day | read a day, at most | BigQuery a day, at most | kept a year | "
        "`aelp run` of a new day, DuckDB |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind, rows in kept[-1].details["table"].items():
        label = "measured" if kind == "measured" else "reckoned"
        for row in rows.values():
            lines.append(
                f"| {row['rows']:,.0f} | {_volume(row['GB read'])} | ${row['dollars']:,.2f} | "
                f"{_volume(row['GB a year'])} | {_duration(row['wall seconds'])} ({label}) |"
            )
    return "\n".join(lines)


def _volume(gigabytes: float) -> str:
    return f"{gigabytes:,.1f} GB" if gigabytes < 1000 else f"{gigabytes / 1000:,.1f} TB"


def _duration(seconds: float) -> str:
    if seconds < 180:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    print(markdown(RESULTS / "spine.json"))
