"""Whether the process of a run is still there: one killed cannot say so itself.

Here: which process a run is in, and Dagster's launcher on this machine with an answer to its own question.
Not here: what becomes of a lost run (`dagster.yaml`: failed, tried again; `aelp_assets/runner.py`).

Dagster's launcher hears of a worker that dies from the code server that started it. Where both go (a power
cut, the machine out of memory) nobody would tell for the two hours a run may take at most, and for as long
its place in the warehouse's pool would keep every other run waiting.
"""

from __future__ import annotations

import platform

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
_STARTED = "Started process for run"
# Process start times are told in hundredths of a second, and the event comes a moment after.
_CLOCKS_DIFFER = 2.0


def this_process() -> str:
    """Process id, start time (an id alone is used again) and machine (several may share an instance)."""
    process = psutil.Process()
    return f"{process.pid}@{process.create_time():.0f}@{platform.node()}"


def is_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the run was begun by a process of this machine that is gone; False where none is known."""
    launched_on, tagged = run.tags.get(MACHINE_TAG), run.tags.get(PROCESS_TAG)
    if launched_on is None and tagged is not None:  # a run launched again keeps the tag of the one in a shell
        pid, started, *machine = tagged.split("@", 2)
        if machine and machine[0] != platform.node():
            return False
        try:
            return f"{psutil.Process(int(pid)).create_time():.0f}" != started
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
                return psutil.Process(int(pid)).create_time() > entry.timestamp + _CLOCKS_DIFFER
            except psutil.NoSuchProcess:
                return True
    return False


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's own for one machine, whose run monitoring knows when a worker is gone."""

    def launch_run(self, context: LaunchRunContext) -> None:
        self._instance.add_run_tags(context.dagster_run.run_id, {MACHINE_TAG: platform.node()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if is_lost(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)
