"""A throwaway PostgreSQL of this machine's own programs, on a unix socket in a folder of its own.

Here: starting and stopping it, databases in it. Not here: what is tested on it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

START_TIMEOUT = 60.0
SUPERUSER = "tester"
_INSTALLED = "/usr/lib/postgresql"  # where Debian keeps them, outside PATH


@dataclass(frozen=True)
class PostgreSQL:
    """A running cluster; its socket lies in `folder`."""

    folder: Path

    def url(self, database: str, user: str = SUPERUSER) -> str:
        return f"postgresql+psycopg2://{user}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"create database {name}")
        engine.dispose()
        return self.url(name)


@contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """A cluster that is gone afterwards; skips where it cannot be run."""
    programs = {name: _program(name) for name in ("initdb", "postgres")}
    if not all(programs.values()):
        pytest.skip("PostgreSQL is not installed here: apt-get install postgresql")
    owner = _owner()
    # Not pytest's own folder, which root alone may enter; and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="aelp-pg-"))
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    identity = {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    try:
        with (folder / "log").open("wb") as log:
            told = {"cwd": folder, "stdout": log, "stderr": subprocess.STDOUT, "env": _plain(), **identity}
            made = subprocess.run(
                [programs["initdb"], "-D", folder / "data", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8",
                 "--locale=C", "--no-sync"],
                timeout=START_TIMEOUT, **told,
            )  # fmt: skip
            assert made.returncode == 0, (folder / "log").read_text()
            process = subprocess.Popen(
                [programs["postgres"], "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-F"],
                **told,
            )
            try:
                server = PostgreSQL(folder)
                _wait_for(server, process)
                yield server
            finally:
                process.send_signal(signal.SIGINT)  # its fast shutdown: open connections are cut
                process.wait(timeout=START_TIMEOUT)
    finally:
        shutil.rmtree(folder)


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "AELP_", "LC_"))}


def _program(name: str) -> str | None:
    found = sorted(Path(_INSTALLED).glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return shutil.which(name) or (str(found[-1]) if found else None)


def _owner() -> pwd.struct_passwd | None:
    """Whom it runs as: PostgreSQL refuses root. None: this process's user."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")


def _wait_for(server: PostgreSQL, process: subprocess.Popen[bytes]) -> None:
    engine = sa.create_engine(server.url("postgres"))
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            engine.connect().close()
        except sa.exc.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {(server.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        else:
            engine.dispose()
            return
