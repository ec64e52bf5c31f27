"""Dagster's SQLite event log with its connections kept open.

Here: one thing only: the same files, tables and rows as Dagster's own storage, without opening, syncing
and checkpointing a database twice per event, and with a range's days of one asset as one transaction. A
backfill of a year writes some ten thousand events; on a busy disk Dagster's way took 45 ms each (2026-11),
one transaction each 6 ms, in batches 0.6 ms. Not here: any change of what is stored. Past one machine the
instance lives on Postgres (`DECISIONS.md`) and this class is not used.
"""

from __future__ import annotations

import os
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster import EventLogEntry, Field, StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine

_OPEN_SHARDS = 8
_BUSY_TIMEOUT_SECONDS = 60


class OpenSqliteEventLog(SqliteEventLogStorage):
    """`SqliteEventLogStorage` under DAGSTER_HOME/history/runs, holding the last few databases open.

    `synchronous=NORMAL` in WAL mode: a power cut can lose the last events of a run, never corrupt the file;
    what was landed and built is in the warehouse's own ledger.
    """

    def __init__(self, base_dir: str | None = None, inst_data: ConfigurableClassData | None = None) -> None:
        # Tools that only look at definitions (`dg check defs`) run without an instance of their own.
        base_dir = base_dir or os.environ.get("DAGSTER_HOME")
        if not base_dir:
            self._throwaway = tempfile.TemporaryDirectory(prefix="aelp-dagster-", ignore_cleanup_errors=True)
            base_dir = self._throwaway.name
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(str(Path(base_dir) / "history" / "runs"), inst_data)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {"base_dir": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> OpenSqliteEventLog:
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Asset events of one run in one transaction per database; anything else one by one."""
        runs = {event.run_id for event in events}
        if len(runs) != 1 or any(event.dagster_event_type not in ASSET_EVENTS for event in events):
            super().store_event_batch(events)
            return
        rows = [self._event_to_row(event) for event in events]
        with self.run_connection(runs.pop()) as connection:
            connection.execute(SqlEventLogStorageTable.insert(), rows)
        identifier = SqlEventLogStorageTable.c.id
        insert = SqlEventLogStorageTable.insert().returning(identifier, sort_by_parameter_order=True)
        with self.index_transaction() as connection:
            ids: list[int] = list(connection.execute(insert, rows).scalars())
            self._store_asset_event_tags(connection, events, ids)
            # Each event overwrites what its kind wrote to the asset's row before: only the last counts.
            last = {
                (row["asset_key"], row["dagster_event_type"]): (event, event_id)
                for row, event, event_id in zip(rows, events, ids, strict=True)
            }
            for event, event_id in sorted(last.values(), key=lambda found: found[1]):
                self._store_asset_event(connection, event, event_id)

    def has_table(self, table_name: str) -> bool:
        # Asked for every event with tags, each time over a new connection. Tables do not go away.
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_index_cols_on_connection(self, conn: Connection) -> bool:
        # Dagster inspects the schema for every event; this class only ever opens files it made itself.
        return True

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> Engine:
        if shard in self._engines:
            self._engines.move_to_end(shard)
            return self._engines[shard]
        engine = sa.create_engine(
            create_db_conn_string(self._base_dir, shard),
            poolclass=sa.pool.QueuePool,
            pool_size=1,
            connect_args={"timeout": _BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )
        sa.event.listen(engine, "connect", _without_sync_per_commit)
        self._engines[shard] = engine
        while len(self._engines) > _OPEN_SHARDS:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def wipe(self) -> None:
        self._close()  # an open handle would go on writing to the deleted file
        super().wipe()

    def dispose(self) -> None:
        self._close()
        super().dispose()

    def _close(self) -> None:
        while self._engines:
            self._engines.popitem()[1].dispose()


def _without_sync_per_commit(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
