"""A million rows of Meta insights from the sandbox's Graph server into DuckDB, beside dlt on the same pages.

Here: the two readers run one after the other, each in a process of its own, and what arrived of either.
Not here: the server (`graph_server`), the reading (`sampled_pull`, `dlt_peer`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import psutil

from benchmarks.accounts import scratch_folder
from benchmarks.graph_server import ACCOUNT, TOKEN, Offer, asked
from benchmarks.peer_environments import is_installed
from benchmarks.processes import CommandFailed, Cost, measured, python
from benchmarks.record import Figure, Record
from benchmarks.sampled_pull import HTTP, JSON, OURS, SDK
from resources.connectors.meta.graph import API_VERSION
from resources.connectors.meta.source import PLACEMENTS
from resources.settings import PROJECT_ROOT

PEER = PROJECT_ROOT / "benchmarks" / "dlt_peer"
PEER_ENVIRONMENT = PROJECT_ROOT / ".venv-dlt"
_ROWS_PER_PAGE = 1000  # what the connector asks for
_LONGEST_START = 600.0


@dataclass(frozen=True)
class Reading:
    """One reader's cost, and how long the server was busy with it."""

    cost: Cost
    server_seconds: float


@dataclass(frozen=True)
class Server:
    """A running server and what it offers."""

    offer: Offer
    process: psutil.Process

    def read_by(self, command: list[str], log: Path) -> Reading:
        """Run a reader to its end.

        Raises:
            CommandFailed: it failed.
        """
        before = self.process.cpu_times()
        cost = measured(command, {}, log)
        after = self.process.cpu_times()
        return Reading(cost, after.user + after.system - before.user - before.system)


def insights_pull(rows: int = 1_000_000, scale: str = "seed", *, peer: bool = True) -> Record:
    """Pull that many of the account's newest rows by placement; with `peer`, read them with dlt, too.

    Raises:
        CommandFailed: a reader failed.
        AssertionError: rows or spend of either are not the server's.
    """
    folder = scratch_folder() / f"pull-{uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    try:
        has_peer = peer and is_installed(PEER, PEER_ENVIRONMENT, folder / "install.log")
        with _serving(scale, rows, folder) as server:
            ours, facts = _ours(server, folder)
            theirs = _theirs(server, folder) if has_peer else None
        return _record(scale, server.offer, ours, facts, theirs)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _serving(scale: str, rows: int, folder: Path) -> Iterator[Server]:
    """The server in a process of its own, ready to answer."""
    place, log = folder / "server", folder / "server.log"
    place.mkdir()
    with log.open("wb") as output:
        process = subprocess.Popen(
            python("benchmarks.graph_server", scale, str(rows), str(place)),
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + _LONGEST_START
        while not (place / "offer.json").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed(f"the server did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)
        yield Server(Offer.read(place / "offer.json"), psutil.Process(process.pid))
    finally:
        process.communicate()  # closes its input, which ends it


def _ours(server: Server, folder: Path) -> tuple[Reading, dict[str, Any]]:
    offer, place = server.offer, folder / "ours"
    place.mkdir()
    task, report = folder / "pull.json", folder / "report.json"
    told = {"url": offer.url, "first": offer.first, "last": offer.last}
    task.write_text(json.dumps({**told, "folder": str(place), "report": str(report)}))
    reading = server.read_by(python("benchmarks.sampled_pull", str(task)), folder / "pull.log")
    arrived = _query(
        place / "warehouse.duckdb",
        "select count(*), sum(cast(payload ->> '$.spend' as decimal(18, 2))) "
        "from raw.meta_ads_insights_by_placement",
    )
    days = (date.fromisoformat(offer.last) - date.fromisoformat(offer.first)).days + 1
    settled = _query(
        place / "warehouse.duckdb",
        "select count(*), sum(row_count) from ops.ingest_slices where status = 'complete'",
    )
    assert settled == (days, offer.rows), f"the ledger has {settled} of {days} days, {offer.rows} rows"
    _check("the connector", arrived, offer)
    facts: dict[str, Any] = json.loads(report.read_text())
    return reading, facts


def _theirs(server: Server, folder: Path) -> Reading:
    offer, place = server.offer, folder / "theirs"
    place.mkdir()
    task = folder / "peer.json"
    told = {
        "url": f"{offer.url}/{API_VERSION}",
        "token": TOKEN,
        "path": f"act_{ACCOUNT.account_id}/insights",
        "spans": list(_spans(date.fromisoformat(offer.first), date.fromisoformat(offer.last))),
        "folder": str(place),
    }
    task.write_text(json.dumps(told))
    command = [str(PEER_ENVIRONMENT / "bin" / "python"), str(PEER / "read_insights.py"), str(task)]
    reading = server.read_by(command, folder / "peer.log")
    arrived = _query(
        place / "peer.duckdb", "select count(*), sum(cast(spend as decimal(18, 2))) from landed.insights"
    )
    _check("dlt", arrived, offer)
    return reading


def _spans(first: date, last: date) -> Iterator[dict[str, str]]:
    """The connector's own calls: the same fields and filters, spans as long, pages as large."""
    while first <= last:
        end = min(first + timedelta(days=PLACEMENTS.longest_days - 1), last)
        yield {**asked(first, end), "limit": str(_ROWS_PER_PAGE)}
        first = end + timedelta(days=1)


def _query(path: Path, sql: str) -> tuple[Any, ...]:
    with duckdb.connect(str(path), read_only=True) as connection:
        row = connection.execute(sql).fetchone()
    assert row is not None
    return row


def _check(who: str, arrived: tuple[Any, ...], offer: Offer) -> None:
    count, spend = arrived
    told = f"{count} rows and {spend} of spend"
    assert (count, float(spend)) == (offer.rows, float(offer.spend)), (
        f"{who} brought {told}; the server had {offer.rows} and {offer.spend}"
    )


def _record(scale: str, offer: Offer, ours: Reading, facts: dict[str, Any], theirs: Reading | None) -> Record:
    wall, seconds = ours.cost.wall_seconds, facts["seconds"]
    own = sum(seconds.get(place, 0.0) for place in OURS)
    figures = [
        Figure("rows pulled and published", offer.rows / wall, "rows/s"),
        Figure("whole pull", wall, "s"),
        Figure("CPU time", ours.cost.cpu_seconds, "s"),
        Figure("peak memory of the pulling process", ours.cost.peak_bytes / 1e9, "GB"),
        Figure("time in the SDK, HTTP and JSON", sum(seconds.get(p, 0.0) for p in (SDK, HTTP, JSON)), "s"),
        Figure("time in our own code, DuckDB included", own, "s"),
        Figure("share of our own code", own / wall, "of the wall time"),
        Figure("share the server was busy", ours.server_seconds / wall, "of the wall time"),
        Figure("answers read", offer.megabytes, "MB"),
    ]
    note = (
        "The connector as a run uses it: calls through Meta's SDK, Parquet pages with hashes, one publishing "
        "transaction with the ledger, and each ad's creative asked for by id. The server's rows are written "
        "beforehand; wall time and memory are of the whole process, start-up included. "
    )
    if theirs is not None:
        figures += [
            Figure("dlt, same pages into DuckDB", offer.rows / theirs.cost.wall_seconds, "rows/s"),
            Figure("dlt, wall", theirs.cost.wall_seconds, "s"),
            Figure("dlt, CPU time", theirs.cost.cpu_seconds, "s"),
            Figure("dlt, peak memory", theirs.cost.peak_bytes / 1e9, "GB"),
            Figure(
                "dlt, share the server was busy",
                theirs.server_seconds / theirs.cost.wall_seconds,
                "of the wall time",
            ),
            Figure("time, ours / dlt", wall / theirs.cost.wall_seconds, "×"),
            Figure("peak memory, ours / dlt", ours.cost.peak_bytes / theirs.cost.peak_bytes, "×"),
        ]
        note += (
            "dlt reads the same spans with its own client and paginator, Parquet between its steps, nested "
            "fields kept as JSON columns. Rows and spend of both equal the server's."
        )
    else:
        note += "Rows and spend equal the server's. dlt did not run beside it."
    return Record(
        "insights_pull",
        {"scale": scale, "rows": offer.rows},
        figures,
        note=note,
        details={"busy with, seconds": seconds},
    )
