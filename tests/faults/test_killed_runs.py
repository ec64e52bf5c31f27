"""kill -9 at five points of a morning: the rerun's tables equal an undisturbed run's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from resources.settings import PROJECT_ROOT
from tests.e2e import homes
from tests.e2e.homes import TOMORROW, Home, assert_same_tables
from tests.faults.killed_run import POINTS

pytestmark = [pytest.mark.faults, pytest.mark.dbt]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return homes.next_day(tmp_path_factory.getbasetemp())[0]


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_anywhere_is_made_good_by_the_next(point, undisturbed, tmp_path_factory, tmp_path):
    home = homes.finished(tmp_path_factory.getbasetemp())[0].copy(tmp_path / "home")
    home.drop_tomorrow()
    killed = subprocess.run(
        [sys.executable, "-m", "tests.faults.killed_run", point],
        cwd=PROJECT_ROOT,
        env={**os.environ, **home.variables(TOMORROW)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stdout[-2000:] + killed.stderr[-2000:]
    wait_for_orphans(home.path)
    rerun = subprocess.run(
        [str(Path(sys.executable).parent / "aelp"), "run"],
        cwd=PROJECT_ROOT,
        env={**os.environ, **home.variables(TOMORROW)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert rerun.returncode == 0, rerun.stdout[-3000:] + rerun.stderr[-3000:]
    # A landing that was published before the kill is not published again, so its log has one line less.
    ignored = {"ops.file_landings", "ops.ingest_slices"}
    expected, found = (
        {name: rows for name, rows in of.tables().items() if name not in ignored}
        for of in (undisturbed, home)
    )
    assert_same_tables(expected, found)


def wait_for_orphans(home: Path) -> None:
    """A dbt process outlives the run that started it: it finishes its work, then the file is free."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        orphans = [
            process
            for process in psutil.process_iter(["cmdline"])
            if "dbt" in " ".join(process.info["cmdline"] or []) and _belongs_to(process, home)
        ]
        if not orphans:
            return
        psutil.wait_procs(orphans, timeout=5)


def _belongs_to(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get("AELP_HOME") == str(home)
    except psutil.Error:
        return False
