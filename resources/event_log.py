"""Dagster's SQLite event log with its connections kept open.

Here: one thing only: the same files, tables and queries as Dagster's own storage, without opening, syncing
and checkpointing a database twice per event. A backfill of a year writes some ten thousand events; on a
busy disk Dagster's way took 45 ms each (2026-11). Not here: any change of what is stored. Past one machine
the instance lives on Postgres (`DECISIONS.md`) and this class is not used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
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

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(str(Path(base_dir) / "history" / "runs"), inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> OpenSqliteEventLog:
        return cls(inst_data=inst_data, **config_value)

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

    def dispose(self) -> None:
        while self._engines:
            self._engines.popitem()[1].dispose()
        super().dispose()


def _without_sync_per_commit(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
