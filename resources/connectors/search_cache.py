"""Answers to paid or rationed searches, and how many were made each month, in one SQLite file.

Here: counting before a search, keeping whole answers. Not here: what is searched (`ad_library`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

_TABLES = """
create table if not exists spent (month text primary key, searches integer not null);
create table if not exists found (
    query_hash text not null, searched_on text not null, truncated integer not null, ads text not null,
    primary key (query_hash, searched_on)
);
"""


@dataclass(frozen=True)
class Found:
    """A whole answer: the day it was given, whether more would have been there, its ads as JSON objects."""

    searched_on: date
    truncated: bool
    ads: tuple[Mapping[str, Any], ...]


class SearchCache:
    """Safe for several processes at once: the count is raised under SQLite's write lock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def spent(self, month: str) -> int:
        """Searches counted in a month (`2026-06`)."""
        with self._transaction() as database:
            row = database.execute("select searches from spent where month = ?", (month,)).fetchone()
        return int(row[0]) if row else 0

    def spend(self, month: str, budget: int) -> bool:
        """Count one search; False, and nothing counted, where the month's budget is used up."""
        with self._transaction() as database:
            database.execute("insert or ignore into spent values (?, 0)", (month,))
            counted = database.execute(
                "update spent set searches = searches + 1 where month = ? and searches < ?", (month, budget)
            )
            return counted.rowcount == 1

    def keep(self, query_hash: str, found: Found) -> None:
        """Keep an answer; another of the same day gives way."""
        ads = json.dumps(found.ads, default=_exact, ensure_ascii=False)
        with self._transaction() as database:
            database.execute(
                "insert or replace into found values (?, ?, ?, ?)",
                (query_hash, found.searched_on.isoformat(), found.truncated, ads),
            )

    def newest(self, query_hash: str) -> Found | None:
        """The newest answer to a query, if there is one."""
        with self._transaction() as database:
            row = database.execute(
                "select searched_on, truncated, ads from found where query_hash = ? "
                "order by searched_on desc limit 1",
                (query_hash,),
            ).fetchone()
        if row is None:
            return None
        return Found(date.fromisoformat(row[0]), bool(row[1]), tuple(json.loads(row[2], parse_float=Decimal)))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=30.0, isolation_level=None)) as database:
            database.executescript(_TABLES)
            database.execute("begin immediate")
            try:
                yield database
            except BaseException:
                database.execute("rollback")
                raise
            database.execute("commit")


def _exact(value: object) -> str:
    # Decimals come from numbers in the answer: as text no digit is lost.
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
