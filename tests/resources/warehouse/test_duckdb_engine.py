"""Engines stay, files do not: what warehouses, threads and children of a process see of one another."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from resources.warehouse.duckdb_engine import FileInUse, attached

SETTINGS = {"memory_limit": "200MB"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return numbered(tmp_path / "warehouse.duckdb", 1)


def numbered(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with attached(path, SETTINGS, read_only=False) as connection:
        connection.execute(f"create table numbers as select {number} as number")
    return path


def number_in(path: Path) -> int:
    with attached(path, SETTINGS, read_only=True) as connection:
        (found,) = connection.execute("select number from numbers").fetchone()
    return found


def others_can_write(path: Path) -> bool:
    code = f"import duckdb; duckdb.connect({str(path)!r}).execute('begin')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_file_is_held_as_long_as_somebody_uses_it(file):
    with attached(file, SETTINGS, read_only=True):
        with attached(file, SETTINGS, read_only=True):
            pass
        assert not others_can_write(file)
    assert others_can_write(file)


def test_a_failing_user_gives_the_file_up(file):
    with pytest.raises(duckdb.CatalogException):
        with attached(file, SETTINGS, read_only=True) as connection:
            connection.execute("select * from nothing")
    assert others_can_write(file)


@pytest.mark.parametrize("lost", ["cursor", "USE"])
def test_an_interrupt_while_opening_leaves_the_file_free(file, monkeypatch, lost):
    assert number_in(file) == 1

    class Interrupted:
        def __init__(self, connection):
            self._connection = connection

        def execute(self, statement):
            if statement.startswith(lost):
                raise KeyboardInterrupt
            return self._connection.execute(statement)

        def cursor(self):
            if lost == "cursor":
                raise KeyboardInterrupt
            return Interrupted(self._connection.cursor())

        def close(self):
            self._connection.close()

    with monkeypatch.context() as patch:
        connect = duckdb.connect
        patch.setattr(duckdb, "connect", lambda **settings: Interrupted(connect(**settings)))
        with pytest.raises(KeyboardInterrupt):
            with attached(file, {"memory_limit": "201MB"}, read_only=False):
                pass
    assert others_can_write(file)
    assert number_in(file) == 1


def test_a_query_may_spill_after_the_folder_for_it_was_cleared(tmp_path):
    spill = tmp_path / "home" / "temporary" / "duckdb"
    settings = {"memory_limit": "50MB", "temp_directory": str(spill), "threads": 1}
    path = tmp_path / "warehouse.duckdb"
    for _ in range(3):
        with attached(path, settings, read_only=False) as connection:
            connection.execute(
                "create or replace table t as select md5(range::text) as x from range(2000000) order by 1"
            )
        shutil.rmtree(spill, ignore_errors=True)


def test_readers_and_writers_of_one_process_keep_each_other_out(file):
    for read_only in (True, False):
        with attached(file, SETTINGS, read_only=read_only):
            with pytest.raises(FileInUse):
                with attached(file, SETTINGS, read_only=not read_only):
                    pass
            with pytest.raises(FileInUse):
                with attached(file, {"memory_limit": "300MB"}, read_only=read_only):
                    pass


def test_files_of_one_name_are_told_apart(tmp_path):
    homes = [numbered(tmp_path / str(number) / "warehouse.duckdb", number) for number in range(3)]
    with attached(homes[0], SETTINGS, read_only=True), attached(homes[1], SETTINGS, read_only=True):
        assert [number_in(home) for home in homes] == [0, 1, 2]


@pytest.mark.parametrize("name", ["it's.duckdb", 'the "best".duckdb', "a b.c.duckdb", "main.db2.duckdb"])
def test_a_file_may_have_any_name(tmp_path, name):
    assert number_in(numbered(tmp_path / name, 7)) == 7


def test_a_view_reads_the_same_for_whoever_opens_the_file(file):
    with attached(file, SETTINGS, read_only=False) as connection:
        connection.execute("create view doubled as select 2 * number as number from warehouse.main.numbers")
    with duckdb.connect(str(file), read_only=True) as elsewhere:
        assert elsewhere.execute("select number from doubled").fetchall() == [(2,)]
    with attached(file, SETTINGS, read_only=True) as connection:
        assert connection.execute("select number from doubled").fetchall() == [(2,)]


def test_threads_read_together(file):
    found = []

    def read():
        for _ in range(20):
            found.append(number_in(file))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 80
    assert others_can_write(file)


def test_what_one_user_sets_or_registers_no_other_sees(file):
    with attached(file, SETTINGS, read_only=True) as one, attached(file, SETTINGS, read_only=True) as other:
        one.execute("create temp table mine as select 1 as x")
        one.execute("set enable_progress_bar = false")
        with pytest.raises(duckdb.CatalogException):
            other.execute("select * from mine")


def test_a_child_opens_the_file_while_its_parent_s_engine_stands(file):
    assert number_in(file) == 1
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if number_in(file) == 1 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert number_in(file) == 1
