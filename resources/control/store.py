"""The control store's database: SQLite in AELP_HOME by default, or PostgreSQL by URL.

Here: opening it, its tables, and writing as concurrent runs can on either. Not here: what the rows mean
(`ingestion`, `governance`, `notifier`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateColumn

from resources.databases import read_url
from resources.settings import SettingsError

METADATA = sa.MetaData()

SLICE_QUEUE = sa.Table(
    "slice_queue",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("stream", sa.String, primary_key=True),
    sa.Column("breakdown_set", sa.String, primary_key=True),
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("report_date", sa.Date, primary_key=True),
    sa.Column("status", sa.String, nullable=False),  # running or waiting
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

LEVER_STATES = sa.Table(
    "lever_states",
    METADATA,
    sa.Column("states_hash", sa.String, primary_key=True),
    sa.Column("as_of_date", sa.Date, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),  # the frame as Arrow IPC
    sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),  # the last run on them is highest
)
ARM_EVIDENCE = sa.Table(
    "arm_evidence",  # as lever_states, of arms without a budget of their own
    METADATA,
    sa.Column("states_hash", sa.String, primary_key=True),
    sa.Column("as_of_date", sa.Date, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
)
PROPOSALS = sa.Table(
    "proposals",
    METADATA,
    sa.Column("proposal_id", sa.String, primary_key=True),
    sa.Column("as_of_date", sa.Date, nullable=False),
    sa.Column("type", sa.String, nullable=False),
    sa.Column("decision_id", sa.String, nullable=False),
    sa.Column("track", sa.String, nullable=False),
    sa.Column("platform", sa.String, nullable=False),
    sa.Column("account_id", sa.String, nullable=False),
    sa.Column("lever_id", sa.String, nullable=False),  # of an arm: its own id, such as ad:120203
    sa.Column("lever_level", sa.String, nullable=False),
    sa.Column("entity_name", sa.String),
    sa.Column("currency", sa.String),
    sa.Column("current_budget", sa.String, nullable=False),  # money as text: SQLite has no decimals
    sa.Column("proposed_budget", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("states_hash", sa.String, nullable=False),
    sa.Column("settings_hash", sa.String, nullable=False),
    sa.Column("payload", sa.String, nullable=False),  # JSON: the exact calls, there and back
    sa.Column("payload_hash", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("proposed_by", sa.String, nullable=False, server_default="aelp"),
    sa.Column("message", sa.String),  # what overtook it, where it was withdrawn
    sa.Column("history", sa.String),  # a line of JSON per status it came to, oldest first; see history.py
    sa.Index("proposals_by_lever", "platform", "account_id", "lever_id", "as_of_date"),
)
APPROVALS = sa.Table(
    "approvals",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("approval_id", sa.String, nullable=False, unique=True),
    sa.Column("proposal_id", sa.String, nullable=False, index=True),
    sa.Column("payload_hash", sa.String, nullable=False),
    sa.Column("verdict", sa.String, nullable=False),  # approve or reject
    sa.Column("approver", sa.String, nullable=False),
    sa.Column("amount", sa.String, nullable=False),  # dollars a day it adds
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("decided_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("signature", sa.String, nullable=False),
)
CHANGES = sa.Table(
    "changes",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("change_id", sa.String, nullable=False, unique=True),
    sa.Column("proposal_id", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),  # apply or rollback
    sa.Column("undoes", sa.String, unique=True),  # a change is undone once
    sa.Column("person", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("platform", sa.String, nullable=False),
    sa.Column("account_id", sa.String, nullable=False),
    sa.Column("lever_id", sa.String, nullable=False),
    sa.Column("before", sa.String, nullable=False),  # JSON: budget and status, of an arm its status alone
    sa.Column("after", sa.String, nullable=False),
    sa.Column("mode", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("message", sa.String),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("finished_at", sa.Float),
    sa.Column("history", sa.String),  # as of proposals
    sa.Column("signature", sa.String),  # of who undoes: what is applied is signed in approvals
    sa.Index("changes_by_lever", "platform", "account_id", "lever_id"),
)
OUTBOX = sa.Table(
    "outbox",
    METADATA,
    sa.Column("change_id", sa.String, primary_key=True),
    sa.Column("proposal_id", sa.String, nullable=False),
    sa.Column("mode", sa.String, nullable=False),
    sa.Column("request", sa.String, nullable=False),  # JSON: the one call
    sa.Column("request_hash", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),  # shadow: never sent; queued, sending, sent, dropped
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("sent_at", sa.Float),  # when it was last begun
    sa.Column("made", sa.String),  # JSON: what a launch's calls made, by kind; see launch_writer
)
APPLY_HOLD_ASSIGNMENTS = sa.Table(
    "apply_hold_assignments",
    METADATA,
    sa.Column("assignment_id", sa.String, primary_key=True),  # names lever and morning: drawn once
    sa.Column("proposal_id", sa.String, nullable=False),
    sa.Column("change_id", sa.String, nullable=False, unique=True),
    sa.Column("as_of_date", sa.Date, nullable=False),
    sa.Column("track", sa.String, nullable=False),
    sa.Column("platform", sa.String, nullable=False),
    sa.Column("account_id", sa.String, nullable=False),
    sa.Column("lever_id", sa.String, nullable=False),
    sa.Column("mode", sa.String, nullable=False),
    sa.Column("arm", sa.String, nullable=False),  # apply or hold
    sa.Column("hold_probability", sa.Float, nullable=False),
    sa.Column("draw", sa.Float, nullable=False),  # in [0, 1): held where below the probability
    sa.Column("window_days", sa.Integer, nullable=False),
    sa.Column("current_budget", sa.String, nullable=False),
    sa.Column("proposed_budget", sa.String, nullable=False),
    sa.Column("assigned_at", sa.Float, nullable=False),
    sa.Column("window_ends_at", sa.Float, nullable=False),
    sa.Index("apply_hold_by_lever", "platform", "account_id", "lever_id"),
)
KILL_SWITCH = sa.Table(
    "kill_switch",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("is_on", sa.Boolean, nullable=False),
    sa.Column("person", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("signature", sa.String),  # of who lets it go on
)
NOTIFICATIONS = sa.Table(
    "notifications",
    METADATA,
    sa.Column("event_id", sa.String, primary_key=True),
    sa.Column("channel", sa.String, primary_key=True),
    sa.Column("severity", sa.String, nullable=False),
    sa.Column("sentence", sa.String, nullable=False),
    sa.Column("remedy", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),  # waiting, refused, given_up, sending or sent
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("message", sa.String),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("begun_at", sa.Float),
    sa.Column("sent_at", sa.Float),
    sa.Column("refused_at", sa.Float),  # for the first time
)


def control_url(home: Path, variables: Mapping[str, str]) -> str:
    """Where the control store is: AELP_CONTROL_URL, by default a file in AELP_HOME."""
    return variables.get("AELP_CONTROL_URL") or f"sqlite:///{home / 'control.sqlite'}"


_CONNECT_SECONDS = 10
# Any numbers: those of this store's advisory locks.
_TURN = 4_141_250
_WRITER = 4_141_251
# A holder whose machine vanished is noticed within a minute and a half; by default it takes hours.
_KEEPALIVE = {"tcp_keepalives_idle": 60, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
_INSERT: Mapping[str, Callable[[sa.Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def has_control_store(url: str) -> bool:
    """Whether there is one at the URL, without creating it; of a server that is away opening it says so.

    Raises:
        SettingsError: as `open_control_store`.
    """
    told = _read(url)
    if told.get_backend_name() == "sqlite":
        name = told.database or ""
        return name.startswith("file:") or Path(name).is_file()
    try:
        engine = _engine(told)
        with engine.connect() as connection:
            known = sa.inspect(connection).get_table_names()
    except (sa.exc.DBAPIError, sa.exc.NoSuchModuleError, ImportError, OSError):
        return True
    engine.dispose()
    return not METADATA.tables.keys().isdisjoint(known)


def shown_url(url: str) -> str:
    """The URL without what may be secret: its password, and its query, which may hold one too."""
    return _read(url).set(query={}).render_as_string()


def open_control_store(url: str) -> sa.Engine:
    """The database at a SQLAlchemy URL, its tables created where they are missing.

    SQLite is opened in WAL mode: a person can read the queue while a run writes to it.

    Raises:
        SettingsError: a URL of neither SQLite nor PostgreSQL, of a driver that is not installed, or of a
            database that cannot be reached or takes no tables.
    """
    told = _read(url)
    try:
        engine = _engine(told)
        with engine.begin() as connection:
            take_turn(connection)
            METADATA.create_all(connection)
            _add_new_columns(connection)
    except (ImportError, sa.exc.NoSuchModuleError):
        raise SettingsError(
            f"AELP_CONTROL_URL: the driver of {told.drivername} is not installed; write "
            "postgresql+psycopg2://user:password@host/database"
        ) from None
    except sa.exc.DBAPIError as error:
        said = (
            str(error.orig).strip().partition("\n")[0]
        )  # the drivers name host and user, never the password
    except OSError as error:
        said = str(error.strerror)
    else:
        return engine
    raise SettingsError(
        f"The control store {shown_url(url)} cannot be opened: {said}. AELP_CONTROL_URL must name one in "
        "which tables may be created."
    )


def _engine(told: sa.URL) -> sa.Engine:
    if told.get_backend_name() == "sqlite":
        engine = sa.create_engine(told)
        if told.database and not told.database.startswith((":", "file:")):
            Path(told.database).parent.mkdir(parents=True, exist_ok=True)  # a home nothing has run in yet
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _take_the_write_lock)
        return engine
    if told.get_driver_name() in ("psycopg", "psycopg2"):
        # A host that swallows packets would hold every command up for minutes.
        told = told.set(query={"connect_timeout": str(_CONNECT_SECONDS), **told.query})
    # Waited for, a lock shows what its holder committed: in a stricter level it would fail instead.
    return sa.create_engine(told, isolation_level="READ COMMITTED", pool_pre_ping=True)


def _add_new_columns(connection: sa.Connection) -> None:
    """Give tables of an older store the columns that were declared since; such columns have a default."""
    inspector = sa.inspect(connection)
    for table in METADATA.sorted_tables:
        known = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                definition = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")


def take_turn(connection: sa.Connection) -> None:
    """Make writers of many rows go one after another, until each has committed.

    Rows locked in different orders would deadlock, and tables created at once collide. SQLite's transactions
    begin with its one write lock, so there the turn is taken already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))


@contextmanager
def only_writer(engine: sa.Engine) -> Iterator[sa.Connection | None]:
    """A connection that no other process gets at the same time; None where another one has it.

    The operating system or the server gives the lock back when its holder dies, however it dies. On
    PostgreSQL it belongs to the connection: who lost the lock lost the connection its steps are written with.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            with connection.begin():
                for name, value in _KEEPALIVE.items():
                    connection.exec_driver_sql(f"SET {name} = {value}")
                lock = sa.select(sa.func.pg_try_advisory_lock(_WRITER))
                taken = bool(connection.execute(lock).scalar_one())
            try:
                yield connection if taken else None
            finally:
                if taken and not connection.invalidated:
                    connection.rollback()
                    with connection.begin():
                        connection.execute(sa.select(sa.func.pg_advisory_unlock(_WRITER)))
            return
        file = (engine.url.database or "").removeprefix("file:").partition("?")[0]
        if file in ("", ":memory:"):  # nobody else can see it
            yield connection
            return
        with Path(f"{file}.writer").open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            yield connection


def storable(text: str) -> str:
    """A text PostgreSQL takes: it holds no NUL; a broken answer of a platform may."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def upsert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], replaced: Sequence[str]
) -> None:
    """Insert rows; of those whose key is there already, replace these columns. Each key once."""
    if not rows:
        return
    insert = _INSERT[connection.dialect.name](table)
    keys = [column.name for column in table.primary_key]
    connection.execute(
        insert.on_conflict_do_update(index_elements=keys, set_={n: insert.excluded[n] for n in replaced}),
        rows,
    )


def insert_missing(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row unless its key is there; waits for another transaction that is inserting it."""
    connection.execute(_INSERT[connection.dialect.name](table).on_conflict_do_nothing(), row)


def _read(url: str) -> sa.URL:
    """Raises: SettingsError, which never shows the URL: it may hold a password."""
    try:
        told = read_url(url)
    except sa.exc.ArgumentError:
        told = None
    if told is None or told.get_backend_name() not in _INSERT:
        raise SettingsError(
            "AELP_CONTROL_URL: must be a SQLAlchemy URL of SQLite or PostgreSQL, such as "
            "postgresql+psycopg2://user:password@host/database (an @ of the password as %40)"
        )
    return told


def _prepare_sqlite(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined] # sqlite3 must not open transactions itself
    # FULL: with less, a power cut can take back that a call was sent, or that everything was stopped.
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _take_the_write_lock(connection: sa.Connection) -> None:
    # Read-then-write in a deferred transaction fails under contention instead of waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
