"""A run whose worker is gone is failed by run monitoring at its next look; one that is there is left alone.

`benchmarks/outages.py` kills real daemons, webservers and workers.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import uuid
from unittest import mock

import dagster as dg
import psutil
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import DefaultRunLauncher, LaunchRunContext
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from resources import run_processes
from resources.run_processes import (
    BOOT_TAG,
    MACHINE_TAG,
    PROCESS_TAG,
    WatchedRunLauncher,
    is_lost,
    this_process,
)
from resources.settings import PROJECT_ROOT

pytestmark = pytest.mark.faults

HERE = platform.node()


def begun(
    instance: dg.DagsterInstance, pid: int | None, machine: str | None = HERE, **tags: str
) -> dg.DagsterRun:
    """A started run with the tag of its launcher and the event its worker writes first."""
    if machine is not None:
        tags[MACHINE_TAG] = machine
    run = dg.DagsterRun("land_files", str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED, tags=tags)
    instance.add_run(run)
    if pid is not None:
        told = f"Started process for run (pid: {pid})."
        instance.report_engine_event(told, run, EngineEventData.in_process(pid))
    return run


def test_the_installed_instance_fails_a_run_whose_worker_is_gone_and_no_other(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", tmp_path / "dagster.yaml")
    with (
        mock.patch.dict(os.environ, {"DAGSTER_HOME": str(tmp_path)}),
        dg.DagsterInstance.from_config(str(tmp_path)) as instance,
    ):
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert instance.run_monitoring_poll_interval_seconds <= 30
        runs = {
            "gone": begun(instance, child.pid),
            "here": begun(instance, os.getpid()),
            "not said yet": begun(instance, None),
            "of a shell": begun(instance, None, None, **{PROCESS_TAG: this_process()}),
        }
        child.kill()
        child.wait()
        child.stdin.close()
        for run in runs.values():
            record = instance.get_run_record_by_id(run.run_id)
            monitor_started_run(instance, mock.Mock(), record, mock.Mock())
        failed = [
            name
            for name, run in runs.items()
            if instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
        ]
    assert failed == ["gone"]


def test_a_run_of_another_machine_is_left_to_it():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with dg.DagsterInstance.ephemeral() as instance:
        runs = [begun(instance, gone.pid, machine) for machine in ("another", None, HERE)]
        assert [is_lost(instance, run) for run in runs] == [False, False, True]


def test_the_launcher_says_on_which_machine_it_started_a_run(monkeypatch):
    monkeypatch.setattr(DefaultRunLauncher, "launch_run", lambda *_: None)
    launcher = WatchedRunLauncher()
    with dg.DagsterInstance.ephemeral() as instance:
        run = begun(instance, None, "where it was tried first")
        launcher.register_instance(instance)
        launcher.launch_run(LaunchRunContext(run, workspace=None))
        tags = instance.get_run_by_id(run.run_id).tags
        assert tags[MACHINE_TAG] == HERE
        assert (BOOT_TAG in tags) == sys.platform.startswith("linux")


def test_a_process_id_that_was_given_to_another_program_is_not_the_worker(monkeypatch):
    with dg.DagsterInstance.ephemeral() as instance:
        run = begun(instance, os.getpid())
        assert not is_lost(instance, run)
        started = psutil.Process().create_time()
        monkeypatch.setattr(psutil.Process, "create_time", lambda _: started + 86_400)
        assert is_lost(instance, run)


@pytest.fixture
def launched(monkeypatch):
    """A run of a worker that is alive, with the tags its launcher gives it."""
    monkeypatch.setattr(DefaultRunLauncher, "launch_run", lambda *_: None)
    launcher = WatchedRunLauncher()
    with dg.DagsterInstance.ephemeral() as instance:
        run = begun(instance, os.getpid())
        launcher.register_instance(instance)
        launcher.launch_run(LaunchRunContext(run, workspace=None))
        yield instance, instance.get_run_by_id(run.run_id)


def set_clock(monkeypatch, seconds: float) -> None:
    """What psutil says after the system's clock was set by that much."""
    began, booted = psutil.Process().create_time(), psutil.boot_time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: began + seconds)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted + seconds)


on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="by the clock elsewhere")


@on_linux
@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_clock_that_is_set_makes_no_live_run_lost(launched, monkeypatch, seconds):
    instance, run = launched
    shell = begun(instance, None, None, **{PROCESS_TAG: this_process()})
    set_clock(monkeypatch, seconds)
    assert not is_lost(instance, run)
    assert not is_lost(instance, shell)


@on_linux
def test_after_a_reboot_a_process_id_in_use_again_is_another_s(launched, monkeypatch):
    instance, run = launched
    shell = begun(instance, None, None, **{PROCESS_TAG: this_process()})
    monkeypatch.setattr(run_processes, "_boot", lambda: "another boot")
    assert is_lost(instance, run)
    assert is_lost(instance, shell)


def test_where_no_boot_is_told_the_clock_says_whether_a_process_is_the_same(monkeypatch):
    monkeypatch.setattr(run_processes, "_boot", lambda: None)
    with dg.DagsterInstance.ephemeral() as instance:
        shell = begun(instance, None, None, **{PROCESS_TAG: this_process()})
        assert not is_lost(instance, shell)
        set_clock(monkeypatch, 3600)
        assert is_lost(instance, shell)
