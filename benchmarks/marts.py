"""The dbt marts' time beside hand-written SQL with the same rows: what layers, contracts and tests cost.

Here: both sides over the same raw tables, compared row by row. Not here: the models (`dbt_project/`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import duckdb

from aelp_assets.transform import DBT_FOLDER, dbt_environment, dbt_executable
from benchmarks.accounts import Account, Home, scratch_folder
from benchmarks.record import Figure, Record
from resources.settings import read_environment

MARTS = ("meta_ad_performance", "meta_ad_performance_by_place", "ads_ad_daily")
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"threads": 2, "memory_limit": "4GB"}


def marts_vs_handwritten(account: Account, home: Home) -> Record:
    """Rebuild three marts with dbt and by hand from the raw tables of a home that has run once.

    Raises:
        AssertionError: the two results differ.
    """
    copy = scratch_folder() / "homes" / f"{account.name}-marts"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    shutil.copyfile(home.warehouse, copy / "warehouse.duckdb")
    try:
        wall, nodes = _with_dbt(copy)
        ours = sum(nodes[name] for name in MARTS)
        by_hand, limit = _by_hand(copy)
        rows = _compared(copy)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return Record(
        "marts_vs_handwritten",
        {"scale": account.scale, "history": account.history},
        [
            Figure("dbt: SQL of the three marts", ours, "s"),
            Figure("by hand: the same three tables", by_hand, "s"),
            Figure("time, dbt SQL / by hand", ours / by_hand, "×"),
            Figure("dbt command as a whole", wall, "s"),
            Figure("time, dbt command / by hand", wall / by_hand, "×"),
            Figure("limit: copying the finished tables", limit, "s"),
            Figure("rows compared equal", float(rows), "rows"),
        ],
        note="One dbt thread, two DuckDB threads on both sides; every column equal, row by row. The "
        "hand-written query knows this account: numbers that parse, no other sources, every Meta day landed "
        "without a breakdown. The dbt models may not assume any of it.",
        details={"dbt seconds per mart": nodes},
    )


def _with_dbt(home: Path) -> tuple[float, dict[str, float]]:
    environment = read_environment({**os.environ, "AELP_HOME": str(home), "AELP_WAREHOUSE": "duckdb"})
    command = [dbt_executable(), "--quiet", "run", "--full-refresh", "--threads", "1", "--select", *MARTS]
    command += [
        "--profiles-dir",
        str(DBT_FOLDER),
        "--target",
        "duckdb",
        "--target-path",
        str(home / "target"),
    ]
    started = time.perf_counter()
    ended = subprocess.run(
        command,
        cwd=DBT_FOLDER,
        env={**os.environ, **dbt_environment(environment), "DBT_LOG_PATH": str(home / "logs")},
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - started
    if ended.returncode:
        raise RuntimeError(f"dbt run failed:\n{ended.stdout[-3000:]}{ended.stderr[-1000:]}")
    results = json.loads((home / "target" / "run_results.json").read_text())["results"]
    return wall, {entry["unique_id"].split(".")[-1]: entry["execution_time"] for entry in results}


def _by_hand(home: Path) -> tuple[float, float]:
    """Seconds of the hand-written tables, and of merely copying them once they exist."""
    connection = duckdb.connect(str(home / "handwritten.duckdb"), config=_SETTINGS)
    try:
        connection.execute(f"attach '{home / 'warehouse.duckdb'}' as warehouse (read_only)")
        started = time.perf_counter()
        connection.execute(Path(__file__).with_name("handwritten_marts.sql").read_text())
        connection.execute("checkpoint")
        by_hand = time.perf_counter() - started
        started = time.perf_counter()
        for name in MARTS:
            connection.execute(f"create table copied_{name} as select * from {name}")
        connection.execute("checkpoint")
        return by_hand, time.perf_counter() - started
    finally:
        connection.close()


def _compared(home: Path) -> int:
    connection = duckdb.connect(str(home / "handwritten.duckdb"), config=_SETTINGS)
    try:
        connection.execute(f"attach '{home / 'warehouse.duckdb'}' as warehouse (read_only)")
        rows = 0
        for name in MARTS:
            mart = f"warehouse.gaelp_training.{name}"
            columns = [row[0] for row in connection.execute(f"describe {mart}").fetchall()]
            listed = ", ".join(columns)
            # Sums of row hashes are equal if and, but for accidents, only if the multisets of rows are.
            fold = f"select count(*), sum(hash({listed})::hugeint) from (select {listed} from "
            ours = connection.execute(f"{fold}{mart})").fetchone()
            by_hand = connection.execute(f"{fold}{name})").fetchone()
            if ours != by_hand or ours is None:
                one = connection.execute(
                    f"select {listed} from {mart} except all select {listed} from {name} limit 1"
                ).fetchone()
                raise AssertionError(f"{name}: dbt {ours}, by hand {by_hand}; only in dbt's: {one}")
            rows += int(ours[0])
        return rows
    finally:
        connection.close()
