"""DuckDB engines of this process, and the files they have attached just now.

Here: which engine a file is attached to, for how long, and how. Not here: waiting for another process's lock,
what is asked of the file (`duckdb`).

An engine costs 25 ms of CPU to make, whatever its file holds; attaching a file to one that stands costs
6 to 9. So engines stay, while a file is attached only as long as somebody uses it: it is locked so long.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

Settings = Mapping[str, str | bool | int | float | list[str]]
_MOST_IDLE = 2
"""Engines kept without a file: one warehouse needs one."""


class FileInUse(Exception):
    """This process has the file open otherwise than asked: for writing, for reading, or by another engine."""


@dataclass
class _Engine:
    """One DuckDB without a file of its own; `attached` names the catalogues of its files."""

    settings: dict[str, object]
    connection: duckdb.DuckDBPyConnection
    attached: set[str] = field(default_factory=set)


@dataclass
class _Attached:
    engine: _Engine
    read_only: bool
    users: int = 0


class _Engines:
    """All of a process; its methods may be called by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: list[_Engine] = []
        self._files: dict[Path, _Attached] = {}

    def attach(self, path: Path, settings: Settings, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """A connection whose catalogue is the file's, until `release`."""
        with self._lock:
            file = self._files.get(path)
            if file is None:
                file = _Attached(self._free_engine(path.stem, dict(settings)), read_only)
                how = " (READ_ONLY)" if read_only else ""
                written = str(path).replace("'", "''")
                self._files[path] = file
                try:
                    file.engine.connection.execute(f"ATTACH '{written}' AS {_catalogue(path)}{how}")
                    file.engine.attached.add(path.stem)
                    return self._connected(path, file)
                except BaseException:  # an interrupt too: the file would stay locked behind the error
                    self._let_go(path, file)
                    raise
            if file.read_only != read_only or file.engine.settings != settings:
                raise FileInUse(str(path))
            return self._connected(path, file)

    def release(self, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
        """Closes the connection; the last one of a file gives the file up."""
        with self._lock:
            connection.close()
            file = self._files[path]
            file.users -= 1
            if not file.users:
                self._let_go(path, file)
            idle = [engine for engine in self._engines if not engine.attached]
            for engine in idle[:-_MOST_IDLE]:
                self._engines.remove(engine)
                engine.connection.close()

    def _connected(self, path: Path, file: _Attached) -> duckdb.DuckDBPyConnection:
        connection = file.engine.connection.cursor()
        connection.execute(f"USE {_catalogue(path)}")
        file.users += 1
        return connection

    def _let_go(self, path: Path, file: _Attached) -> None:
        del self._files[path]
        file.engine.attached.discard(path.stem)
        try:
            file.engine.connection.execute(f"DETACH DATABASE IF EXISTS {_catalogue(path)}")
        except duckdb.Error:
            # No room for the checkpoint: what was committed lies in the log. The engine goes, and with it its
            # hold on the file.
            self._engines.remove(file.engine)

    def _free_engine(self, catalogue: str, settings: dict[str, object]) -> _Engine:
        """The newest engine of these settings that has no file of this name.

        Views name their file's catalogue, so that a file cannot be attached by another name.
        """
        spill = Path(str(settings["temp_directory"])) if "temp_directory" in settings else None
        for engine in reversed(self._engines):
            if engine.settings == settings and catalogue not in engine.attached:
                if spill is None or spill.exists():
                    return engine
                # It would never make its folder again, and fail once a query spills.
                self._engines.remove(engine)
                break
        if spill is not None:
            spill.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(config=dict(settings))  # type: ignore[arg-type]
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        self._engines.append(_Engine(settings, connection))
        return self._engines[-1]


_engines = _Engines()


def _forget() -> None:
    # A child has its parent's engines without their threads: it makes its own, and closes none of those.
    global _engines, _parents
    _parents, _engines = _engines, _Engines()


_parents: _Engines | None = None
os.register_at_fork(after_in_child=_forget)


@contextmanager
def attached(path: Path, settings: Settings, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the file, whose catalogue has the file's name without its ending.

    Args:
        path: of the database, made by the first writer.
        settings: of the engine.
        read_only: readers in any number, or writers of this process alone.
    Raises:
        FileInUse: this process has the file open in another way.
        duckdb.Error: another process holds the file, or it is no readable database.
    """
    engines = _engines
    connection = engines.attach(path, settings, read_only=read_only)
    try:
        yield connection
    finally:
        engines.release(path, connection)


def _catalogue(path: Path) -> str:
    return '"' + path.stem.replace('"', '""') + '"'
