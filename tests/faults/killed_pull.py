"""A pull of live sources that dies at a chosen point: `python -m tests.faults.killed_pull <point>`.

The scheduled job with one call wrapped; the process gets SIGKILL there, so nothing is cleaned up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from aelp_assets.definitions import build_defs
from aelp_assets.runner import prepare_warehouse
from resources.settings import read_environment
from resources.warehouse import open_warehouse
from tests.faults.killed_run import before, die, wrap_at


def half_a_page(number: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """Die with the page of that number half on disk."""
    counted = [0]

    def wrapped(*args: Any, **named: Any) -> Any:
        counted[0] += 1
        call(*args, **named)
        if counted[0] == number:
            path = Path(args[1])
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            die()

    return wrapped


def before_table(table: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Die inside the transaction, instead of writing that table."""

    def wrapped(warehouse: Any, connection: Any, written: Any, rows: Any) -> Any:
        if str(written.name) == table:
            die()
        return call(warehouse, connection, written, rows)

    return wrapped


# point -> where it is, and what happens there
POINTS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "after_plan": ("resources.connectors.pulling", "Puller.pull", before),
    # some pages of the account are whole, one is half written
    "amid_fetch": ("polars", "DataFrame.write_parquet", partial(half_a_page, 2)),
    "before_publish": ("resources.connectors.publishing", "AccountPublisher.publish", before),
    # rows and ledger are in the transaction, which is not committed
    "amid_publish": (
        "resources.warehouse.duckdb",
        "DuckDBWarehouse._insert",
        partial(before_table, "ops.source_pulls"),
    ),
    # the ledger is committed, the queue still says "running"
    "before_settle": ("resources.control.ingestion", "IngestionControl.settle", before),
}


def pull() -> dg.ExecuteInProcessResult:
    """The job as it is launched every hour, in this process, with what the environment says."""
    defs = build_defs()
    prepare_warehouse(open_warehouse(read_environment()))
    return defs.resolve_job_def("pull_sources").execute_in_process()


def main() -> None:
    wrap_at(*POINTS[sys.argv[1]])
    pull()


if __name__ == "__main__":
    main()
