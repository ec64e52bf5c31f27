"""A full disk, a warehouse held by others: said so, nothing half written, the next try is whole."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from resources.clock import FixedClock
from resources.control.store import NOTIFICATIONS, open_control_store
from resources.files.drop import FileDrop
from resources.files.landing import LandingReport, land
from resources.settings import read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import Warehouse, WarehouseLocked
from resources.warehouse.tables import PYTHON_TABLES

pytestmark = pytest.mark.faults

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
MEGABYTE = 1 << 20
CHANGING = {"_batch_id", "batch_id", "data_batch_id", "_ingested_at", "completed_at"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount here")
    if mounted.returncode:
        pytest.skip(f"a small file system needs the right to mount one: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def left(disk: Path, free: int) -> Iterator[None]:
    """Fill the disk but for so many bytes."""
    filler = disk / "filler"
    stat = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(stat.f_bavail * stat.f_frsize - free, 1))
    try:
        yield
    finally:
        filler.unlink()


def export(folder: Path) -> None:
    """20,000 rows of a newsletter: 1 MB of text, 3 MB landed."""
    folder.mkdir(parents=True)
    rows = 20_000
    frame = pl.DataFrame(
        {
            "date": [date(2026, 6, 1 + n % 28) for n in range(rows)],
            "source": ["newsletter"] * rows,
            "account_id": ["n1"] * rows,
            "campaign_name": [f"campaign {n // 28}" for n in range(rows)],
            "currency": ["EUR"] * rows,
            "impressions": [n * 7919 % 10_007 for n in range(rows)],
            "clicks": [n * 31 % 101 for n in range(rows)],
            "cost": [f"{n * 17 % 9973}.25" for n in range(rows)],
            "conversions_click": [n % 3 for n in range(rows)],
        }
    )
    frame.write_csv(folder / "june.csv")


def landed(home: Path, warehouse: Warehouse) -> LandingReport:
    drop = FileDrop(
        str(home / "drop"), home / "work", FixedClock(NOW), date(2015, 1, 1), "UTC", sleep=lambda _: None
    )
    return land(drop, warehouse, ())


def content(warehouse: Warehouse) -> dict[str, pl.DataFrame]:
    """Every table that holds rows, without what differs between two landings of one file."""
    names = [table.name for table in PYTHON_TABLES.values() if str(table.name) != "ops.file_landings"]
    counts = warehouse.row_counts(names)
    found = {}
    for name in (name for name in names if counts[str(name)]):
        rows = warehouse.read(name)
        kept = [column for column in rows.columns if column not in CHANGING]
        found[str(name)] = rows.select(kept).sort(kept)
    return found


def warehouse_of(home: Path) -> Warehouse:
    return open_warehouse(read_environment({"AELP_HOME": str(home)}))


def test_a_landing_on_a_full_disk_leaves_nothing_and_the_next_one_is_whole(disk, tmp_path):
    expected = warehouse_of(tmp_path / "ample")
    expected.ensure_tables(list(PYTHON_TABLES.values()))
    export(tmp_path / "ample" / "drop")
    landed(tmp_path / "ample", expected)

    home = disk / "home"
    warehouse = warehouse_of(home)
    warehouse.ensure_tables(list(PYTHON_TABLES.values()))
    export(home / "drop")
    failed = []
    # From no room for the first page up to none for the last of the warehouse.
    for free in (0, MEGABYTE // 4, MEGABYTE, 2 * MEGABYTE, 3 * MEGABYTE, 4 * MEGABYTE):
        with left(disk, free):
            try:
                landed(home, warehouse)
            except Exception as error:
                failed.append(str(error))
            else:
                break
        assert content(warehouse) == {}, f"half landed with {free:,} bytes left"
    assert len(failed) >= 3
    assert all("no space left" in message.lower() for message in failed), failed
    landed(home, warehouse)
    found, wanted = content(warehouse), content(expected)
    assert found.keys() == wanted.keys()
    assert all(found[name].equals(wanted[name]) for name in wanted)
    assert found["raw.file_ad_performance"].height == 20_000


def test_a_workbook_read_where_there_is_no_room_for_its_cells_is_no_broken_workbook(
    disk, tmp_path, monkeypatch
):
    warehouse = warehouse_of(tmp_path)
    warehouse.ensure_tables(list(PYTHON_TABLES.values()))
    export(tmp_path / "drop")
    exported = tmp_path / "drop" / "june.csv"
    pl.read_csv(exported, infer_schema=False).write_excel(exported.with_suffix(".xlsx"))
    exported.unlink()
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with left(disk, MEGABYTE), pytest.raises(OSError, match=r"(?i)no space left .*june\.xlsx"):
        landed(tmp_path, warehouse)
    assert content(warehouse) == {}
    landed(tmp_path, warehouse)
    assert content(warehouse)["raw.file_ad_performance"].height == 20_000


def test_a_decision_on_a_full_disk_is_not_taken_and_can_be_taken_again(disk):
    engine = open_control_store(f"sqlite:///{disk}/control.sqlite")
    note = {
        "event_id": "e1", "channel": "log", "severity": "warning", "sentence": "x" * 500_000,
        "remedy": "none", "status": "waiting", "attempts": 0, "created_at": 0.0,
    }  # fmt: skip
    with left(disk, 0), pytest.raises(sa.exc.OperationalError, match="full"), engine.begin() as connection:
        connection.execute(sa.insert(NOTIFICATIONS).values(**note))
    with engine.begin() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(NOTIFICATIONS)).scalar() == 0
        connection.execute(sa.insert(NOTIFICATIONS).values(**note))
    with engine.begin() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(NOTIFICATIONS)).scalar() == 1
        assert connection.exec_driver_sql("pragma integrity_check").scalar() == "ok"
    engine.dispose()


def test_a_landing_while_another_process_holds_the_warehouse_names_it_and_is_whole_afterwards(tmp_path):
    path = read_environment({"AELP_HOME": str(tmp_path)}).duckdb_path
    warehouse = DuckDBWarehouse(path, temporary=tmp_path / "spill", lock_timeout=0.2)
    warehouse.ensure_tables(list(PYTHON_TABLES.values()))
    export(tmp_path / "drop")
    hold = "import duckdb, sys\nheld = duckdb.connect(sys.argv[1])\nprint('held', flush=True)\ninput()\n"
    command = [sys.executable, "-c", hold, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WarehouseLocked, match=rf"PID {holder.pid}.*Nothing was changed"):
            landed(tmp_path, warehouse)
        holder.kill()  # without closing: the lock goes with its process
    assert content(warehouse) == {}
    landed(tmp_path, warehouse)
    assert content(warehouse)["raw.file_ad_performance"].height == 20_000
