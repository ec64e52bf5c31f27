"""A copy of the whole control store in one file, and a store from such a copy.

Here: the file, written from one snapshot of the database and read into an empty one, SQLite or PostgreSQL,
whichever it came from. Not here: decision artifacts (files under their hash, copied as they are), what the
rows mean.

The file is gzipped JSON Lines: a head with the columns of each table, a row per line, and the sha256 of all
that as the last line. The hash finds what was torn or changed by accident. Against somebody who writes a hash
of their own it proves nothing: for that, approvals carry signatures, checked whenever they are used.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from resources.control.records import UNFINISHED, Refused, changes, killed
from resources.control.store import CHANGES, KILL_SWITCH, METADATA, take_turn

_FORMAT = "aelp control store 1"
_ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class Backup:
    """What a file holds: rows by table, as of a moment."""

    taken_at: datetime
    rows: Mapping[str, int]
    sha256: str


# --- writing ------------------------------------------------------------------------------------------


def write_backup(engine: sa.Engine, file: Path, now: datetime) -> Backup:
    """Copy every table as of one moment. The file appears whole or not at all, readable by its owner alone.

    Raises:
        Refused: the file is there already, or cannot be written.
    """
    if file.exists():
        raise Refused(f"{file} is there already. Name another file.")
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(partial, "wb", opener=_for_the_owner) as raw:
            backup = _write(engine, raw, now)
            raw.flush()
            os.fsync(raw.fileno())
        _name(partial, file)
    except FileExistsError:
        raise Refused(f"{file} is there already. Name another file.") from None
    except OSError as fault:
        raise Refused(f"{file} cannot be written: {fault.strerror}.") from None
    finally:
        with suppress(OSError):  # gone, or in no folder; what is raised above says why
            partial.unlink()
    return backup


def _name(partial: Path, file: Path) -> None:
    """Raises: FileExistsError: another backup came to that name meanwhile; `rename` would replace it."""
    try:
        os.link(partial, file)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        partial.rename(file)


def _write(engine: sa.Engine, raw: IO[bytes], now: datetime) -> Backup:
    digest = hashlib.sha256()
    counts = {table.name: 0 for table in METADATA.sorted_tables}
    with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed, _snapshot(engine) as connection:

        def put(document: Any) -> None:
            line = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"
            digest.update(line.encode())
            packed.write(line.encode())

        columns = {table.name: [column.name for column in table.columns] for table in METADATA.sorted_tables}
        taken_at = now.astimezone(UTC)
        put({"format": _FORMAT, "taken_at": taken_at.isoformat(), "tables": columns})
        for table in METADATA.sorted_tables:
            everything = sa.select(table).order_by(*table.primary_key)
            for row in connection.execute(everything.execution_options(yield_per=_ROWS_AT_ONCE)):
                put([table.name, *map(_as_json, row)])
                counts[table.name] += 1
        packed.write(json.dumps({"sha256": digest.hexdigest()}).encode() + b"\n")
    return Backup(taken_at, counts, digest.hexdigest())


@contextmanager
def _snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that sees one moment, whatever is decided meanwhile; SQLite's hold the write lock."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, date) else value


# --- reading ------------------------------------------------------------------------------------------


def restore_backup(engine: sa.Engine, file: Path, now: datetime) -> Backup:
    """Fill an empty store with what a file holds: all of it in one transaction, or nothing.

    The kill switch is on in it from the first moment: since the backup everything may have been stopped, and
    what waited to be sent may have been sent, or undone.

    A file of an older release is taken; columns declared since get their default, as in a store of that age.

    Raises:
        Refused: the store holds something, the file is torn, changed, no backup or of a newer release, or
            the database does not take a row.
    """
    try:
        with file.open("rb") as raw:
            backup = _verified(raw, file)
            raw.seek(0)
            with engine.connect() as connection, connection.begin():
                _require_empty(connection)
                _fill(connection, raw, file)
                _stop(connection, now)
    except OSError as fault:
        raise Refused(f"{file} cannot be read: {fault.strerror or fault}.") from None
    except (sa.exc.DBAPIError, ValueError) as fault:  # psycopg2 raises a bare ValueError of a NUL
        said = str(getattr(fault, "orig", fault)).strip().partition("\n")[0]
        raise Refused(
            f"{file}: the store does not take a row of it ({said}). Nothing was restored."
        ) from None
    return backup


def _verified(raw: IO[bytes], file: Path) -> Backup:
    """What the file says it holds, after all of it was read and is what was written."""
    digest, counts, head, last = hashlib.sha256(), Counter[str](), b"", b""
    try:
        with gzip.GzipFile(fileobj=raw) as packed:
            head = packed.readline()
            digest.update(head)
            for line in packed:
                digest.update(last)
                last = line
                counts[line[2 : line.find(b'"', 2)].decode()] += 1
        told, end = json.loads(head), json.loads(last)
        is_whole = end["sha256"] == digest.hexdigest()
        is_ours = told["format"] == _FORMAT
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError, KeyError, TypeError):
        is_whole = is_ours = False
    if not is_whole or not is_ours:
        raise Refused(
            f"{file} is no backup of a control store, or is torn or was changed since it was written. "
            "Nothing was restored; take another copy of it."
        )
    _require_known(told["tables"], file)
    rows = {table.name: counts[table.name] for table in METADATA.sorted_tables}
    return Backup(datetime.fromisoformat(told["taken_at"]), rows, digest.hexdigest())


def _require_known(tables: Mapping[str, list[str]], file: Path) -> None:
    known = {table.name: {column.name for column in table.columns} for table in METADATA.sorted_tables}
    newer = [
        f"{table}.{column}"
        for table, columns in tables.items()
        for column in columns
        if column not in known.get(table, ())
    ]
    if newer:
        raise Refused(
            f"{file} is of a newer release, which knows {', '.join(newer[:5])}. Install that release, then "
            "restore."
        )


def _require_empty(connection: sa.Connection) -> None:
    take_turn(connection)
    if connection.dialect.name == "postgresql":  # SQLite's transaction has the write lock
        names = ", ".join(table.name for table in METADATA.sorted_tables)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
    counts = {
        table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in METADATA.sorted_tables
    }
    found = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    if found:
        raise Refused(
            f"This control store is not empty: it has {', '.join(found)}. Restore into a new one (an "
            "AELP_HOME nothing ran in, or an AELP_CONTROL_URL of an empty database)."
        )


def _fill(connection: sa.Connection, raw: IO[bytes], file: Path) -> None:
    with gzip.GzipFile(fileobj=raw) as packed:
        columns: Mapping[str, list[str]] = json.loads(packed.readline())["tables"]
        rows = (found for found in map(json.loads, packed) if isinstance(found, list))
        for name, found in groupby(rows, key=lambda row: row[0]):
            table = METADATA.tables[name]
            batch = []
            for row in found:
                batch.append(_as_values(table, columns[name], row[1:], file))
                if len(batch) == _ROWS_AT_ONCE:
                    connection.execute(sa.insert(table), batch)
                    batch = []
            if batch:
                connection.execute(sa.insert(table), batch)
    if connection.dialect.name == "postgresql":
        _count_on(connection)


def waiting(connection: sa.Connection) -> int:
    """How many changes a writer would send, of any mode that sends."""
    return len(changes(connection, CHANGES.c.status.in_(UNFINISHED), CHANGES.c.mode != "shadow"))


def _stop(connection: sa.Connection, now: datetime) -> None:
    if killed(connection) is None:  # in shadow too: the settings are not the store's and may change after it
        reason = "decisions since the backup are unknown"
        row = {"is_on": True, "person": "aelp restore", "reason": reason, "at": now.timestamp()}
        connection.execute(sa.insert(KILL_SWITCH).values(**row))


def _as_values(table: sa.Table, names: list[str], values: list[Any], file: Path) -> dict[str, Any]:
    try:
        named = dict(zip(names, values, strict=True))
        return {name: _from_json(table.columns[name], value) for name, value in named.items()}
    except (ValueError, TypeError) as fault:
        raise Refused(
            f"{file}: a row of {table.name} cannot be read ({fault}). Nothing was restored."
        ) from None


def _from_json(column: sa.Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, sa.LargeBinary):
        return base64.b64decode(value, validate=True)
    return date.fromisoformat(value) if isinstance(column.type, sa.Date) else value


def _count_on(connection: sa.Connection) -> None:
    """Let PostgreSQL number new rows after the restored ones; SQLite does by itself."""
    for table in METADATA.sorted_tables:
        number = table.autoincrement_column
        if number is None:
            continue
        highest = sa.select(sa.func.max(number)).scalar_subquery()
        of_column = sa.func.pg_get_serial_sequence(table.name, number.name)
        connection.execute(sa.select(sa.func.setval(of_column, highest)))
