"""The control store's database: SQLite in AELP_HOME by default, any SQLAlchemy URL instead.

Here: opening it and its tables. Not here: what the rows mean (`ingestion`).
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

METADATA = sa.MetaData()

SLICE_QUEUE = sa.Table(
    "slice_queue",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("stream", sa.String, primary_key=True),
    sa.Column("breakdown_set", sa.String, primary_key=True),
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("report_date", sa.Date, primary_key=True),
    sa.Column("status", sa.String, nullable=False),  # planned, running or waiting
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", sa.Float),  # seconds since 1970, UTC; NULL: when next planned
    sa.Column("error_class", sa.String),
    sa.Column("message", sa.String),
    sa.Column("updated_at", sa.Float, nullable=False),
)
CALL_BUDGETS = sa.Table(
    "call_budgets",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("calls_left", sa.Float, nullable=False),
    sa.Column("counted_at", sa.Float, nullable=False),
    sa.Column("blocked_until", sa.Float),
)
KNOWN_ZONES = sa.Table(
    "known_zones",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("timezone", sa.String, nullable=False),
)
STOPPED_SOURCES = sa.Table(
    "stopped_sources",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("credential_hash", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("stopped_at", sa.Float, nullable=False),
)


def has_control_store(url: str) -> bool:
    """Whether there is one at the URL, without creating it; a server's database is taken for granted."""
    told = sa.make_url(url)
    if told.get_backend_name() != "sqlite" or (told.database or "").startswith("file:"):
        return True
    return Path(told.database or "").is_file()


def open_control_store(url: str) -> sa.Engine:
    """The database at a SQLAlchemy URL, its tables created where they are missing.

    SQLite is opened in WAL mode: a person can read the queue while a run writes to it.
    """
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _take_the_write_lock)
    METADATA.create_all(engine)
    return engine


def _prepare_sqlite(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined] # sqlite3 must not open transactions itself
    for pragma in ("journal_mode=WAL", "busy_timeout=30000", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _take_the_write_lock(connection: sa.Connection) -> None:
    # Read-then-write in a deferred transaction fails under contention instead of waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
