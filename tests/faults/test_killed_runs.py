"""kill -9 at five points of a morning: the rerun's tables equal an undisturbed run's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import dagster as dg
import psutil
import pytest

from aelp_assets.runner import bury_killed_runs, open_instance
from resources.run_processes import PROCESS_TAG
from resources.settings import PROJECT_ROOT
from resources.warehouse.tables import MONITORING_TABLES
from tests.e2e import homes
from tests.e2e.homes import TOMORROW, Home, assert_same_tables
from tests.faults.killed_run import BETWEEN_RUNS, POINTS

pytestmark = [pytest.mark.faults, pytest.mark.dbt]

AELP = str(Path(sys.executable).parent / "aelp")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return homes.next_day(tmp_path_factory.getbasetemp())[0]


def start(home: Home, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=PROJECT_ROOT,
        env={**os.environ, **home.variables(TOMORROW)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_anywhere_is_made_good_by_the_next(point, undisturbed, tmp_path_factory, tmp_path):
    home = homes.finished(tmp_path_factory.getbasetemp())[0].copy(tmp_path / "home")
    home.drop_tomorrow()
    killed = start(home, sys.executable, "-m", "tests.faults.killed_run", point)
    assert killed.returncode == -signal.SIGKILL, killed.stdout[-2000:] + killed.stderr[-2000:]
    # At once: a dbt that outlived its run would still be writing, or hold the file against this one.
    rerun = start(home, AELP, "run")
    assert rerun.returncode == 0, rerun.stdout[-3000:] + rerun.stderr[-3000:]

    expected, found = undisturbed.tables(), home.tables()
    # One line per landing and file: the landing that died and the one after it both looked at the folder.
    # The review looks back at the morning after it is decided; the undisturbed home had none.
    for table in ("ops.file_landings", "ops.notifications", *(str(t.name) for t in MONITORING_TABLES)):
        del expected[table], found[table]
    assert_same_tables(expected, found)
    with home.entered(TOMORROW) as environment, open_instance(environment) as instance:
        statuses = [run.status for run in instance.get_runs()]
        assert statuses.count(dg.DagsterRunStatus.FAILURE) == (0 if point in BETWEEN_RUNS else 1)
        assert set(statuses) <= {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
        assert not instance.event_log_storage.get_concurrency_run_ids(), "every slot was given back"


def test_only_runs_whose_process_is_gone_are_buried():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gone = f"{child.pid}@{psutil.Process(child.pid).create_time():.0f}"
    child.communicate(b"\n")
    alive = psutil.Process()
    with dg.DagsterInstance.ephemeral() as instance:
        runs = {
            "gone": _started(instance, gone),
            "its id is used again": _started(instance, f"{alive.pid}@1"),
            "alive": _started(instance, f"{alive.pid}@{alive.create_time():.0f}"),
            "the daemon's": _started(instance, None),
        }
        bury_killed_runs(instance)
        failed = {
            name
            for name, run_id in runs.items()
            if instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.FAILURE
        }
    assert failed == {"gone", "its id is used again"}


def _started(instance: dg.DagsterInstance, process: str | None) -> str:
    run = dg.DagsterRun(
        "decide",
        run_id=str(uuid.uuid4()),
        status=dg.DagsterRunStatus.STARTED,
        tags={PROCESS_TAG: process} if process else {},
    )
    return instance.add_run(run).run_id


def test_dbt_ends_with_the_run_that_started_it():
    child = (
        "import os, threading, time\n"
        "from resources.dbt_command import _end_with\n"
        "threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = (
        f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {child!r}])\nchild.wait()\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", parent], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True
    )
    orphan = psutil.Process(int(run.stdout.readline()))
    run.kill()
    run.wait()
    orphan.wait(timeout=10)
