"""Whether the process of a run is still there: one killed cannot say so itself.

Here: which process a run is in, and Dagster's launcher on this machine with an answer to its own question.
Not here: what becomes of a lost run (`dagster.yaml`: failed, tried again; `aelp_assets/runner.py`).

Dagster's launcher hears of a worker that dies from the code server that started it. Where both go (a power
cut, the machine out of memory) nobody would tell for the two hours a run may take at most, and for as long
its place in the warehouse's pool would keep every other run waiting.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)

PROCESS_TAG = "aelp/process"
"""On runs executed by whoever asked for them (`aelp run`): process id, start time and machine."""
MACHINE_TAG = "aelp/machine"
"""On runs launched by a daemon: the machine their worker was started on. The event names its id alone."""
BOOT_TAG = "aelp/boot"
"""Beside it, on Linux: the machine's boot, and when the clock of then says that was."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STARTED = "Started process for run"
# Process start times are told in hundredths of a second, and the event comes a moment after.
_CLOCKS_DIFFER = 2.0


def this_process() -> str:
    """Process id, start time (an id alone is used again) and machine (several may share an instance)."""
    pid = os.getpid()
    return f"{pid}@{_starts(pid)[0]}@{platform.node()}"


def _starts(pid: int) -> list[str]:
    """When a process began, best first: on Linux in ticks since its boot, which no clock that is set moves.

    Then by the clock as it is now, which is also how runs begun by an earlier version say it.

    Raises:
        psutil.NoSuchProcess: it is gone.
    """
    starts = [f"{psutil.Process(pid).create_time():.0f}"]
    boot = _boot()
    if boot is not None:
        try:
            # The command, in parentheses, may hold blanks and parentheses; the start is the 20th after it.
            ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        except (FileNotFoundError, ProcessLookupError):
            raise psutil.NoSuchProcess(pid) from None
        starts.insert(0, f"{boot}.{ticks.split()[19]}")
    return starts


def _boot() -> str | None:
    """The id of this machine's boot; None where nothing says it."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def is_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the run was begun by a process of this machine that is gone; False where none is known."""
    launched_on, tagged = run.tags.get(MACHINE_TAG), run.tags.get(PROCESS_TAG)
    if launched_on is None and tagged is not None:  # a run launched again keeps the tag of the one in a shell
        pid, started, *machine = tagged.split("@", 2)
        if machine and machine[0] != platform.node():
            return False
        try:
            return started not in _starts(int(pid))
        except psutil.NoSuchProcess:
            return True
    if launched_on != platform.node():
        return False
    told = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    for entry in reversed(told):
        event = entry.get_dagster_event()
        if (event.message or "").startswith(_STARTED):
            pid = str(event.engine_event_data.metadata["pid"].value)
            try:
                return _began(int(pid), run) > entry.timestamp + _CLOCKS_DIFFER
            except psutil.NoSuchProcess:
                return True
    return False


def _began(pid: int, run: dg.DagsterRun) -> float:
    """When a process began, by the clock as it was when the run was launched, where that is known.

    Raises:
        psutil.NoSuchProcess: it is gone.
    """
    began = psutil.Process(pid).create_time()
    boot, _, booted_at = run.tags.get(BOOT_TAG, "").partition("@")
    if not boot:
        return began
    if boot != _boot():
        raise psutil.NoSuchProcess(pid)
    # Set forward, the clock says of every process that it began later than its own event.
    return began - (psutil.boot_time() - float(booted_at))


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's own for one machine, whose run monitoring knows when a worker is gone."""

    def launch_run(self, context: LaunchRunContext) -> None:
        tags = {MACHINE_TAG: platform.node()}
        if (boot := _boot()) is not None:
            tags[BOOT_TAG] = f"{boot}@{psutil.boot_time():.0f}"
        self._instance.add_run_tags(context.dagster_run.run_id, tags)
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if is_lost(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)
