"""A home whose daemon, webserver and workers are real processes, to be killed one by one.

Here: starting, killing and waiting. Not here: the code location they serve (`outage_location.py`), what must
come of it (the tests).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import httpx
import psutil

from resources.settings import PROJECT_ROOT, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.schema import TableName

LOCATION = Path(__file__).with_name("outage_location.py")
PATIENCE = 90.0


class Outages:
    """An AELP_HOME with the project's own `dagster.yaml`, looked at every second instead of every 30."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started: list[psutil.Process] = []
        (home / "dagster").mkdir(parents=True)
        (home / "wanted").mkdir()
        text = (PROJECT_ROOT / "dagster.yaml").read_text()
        for slow, quick in (
            ("poll_interval_seconds: 30", "poll_interval_seconds: 1"),
            ("free_slots_after_run_end_seconds: 60", "free_slots_after_run_end_seconds: 1"),
        ):
            assert slow in text
            text = text.replace(slow, quick)
        (home / "dagster" / "dagster.yaml").write_text(text)
        self.environment = {
            **os.environ,
            "AELP_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "PYTHONPATH": str(PROJECT_ROOT),
        }

    def want(self, name: str) -> None:
        """Something a run is asked for, once."""
        (self.home / "wanted" / name).touch()

    def daemon(self) -> psutil.Process:
        return self._start("dagster-daemon", "run", "-f", str(LOCATION))

    def webserver(self) -> tuple[psutil.Process, str]:
        """The webserver and its URL, once it answers."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = self._start("dagster-webserver", "-h", "127.0.0.1", "-p", str(port), "-f", str(LOCATION))
        url = f"http://127.0.0.1:{port}"
        self.until(lambda: _answers(url), "the webserver to answer")
        return process, url

    def _start(self, program: str, *arguments: str) -> psutil.Process:
        with (self.home / f"{program}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(Path(sys.executable).parent / program), *arguments],
                cwd=self.home,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(psutil.Process(process.pid))
        return self.started[-1]

    def kill(self, process: psutil.Process) -> None:
        """kill -9 that process alone."""
        process.kill()
        process.wait(10)

    def power_cut(self) -> None:
        """kill -9 everything that was started, and all it started, at once."""
        every = [
            one
            for process in self.started
            if process.is_running()
            for one in (process, *process.children(recursive=True))
        ]
        for one in every:
            one.kill()
        psutil.wait_procs(every, 10)
        self.started.clear()

    def until(self, is_so: Callable[[], bool], what: str) -> float:
        """Wait for something; how many seconds it took."""
        began = time.monotonic()
        while not is_so():
            if time.monotonic() - began > PATIENCE:
                logs = "".join(log.read_text()[-3000:] for log in self.home.glob("*.log"))
                raise AssertionError(f"waited {PATIENCE:.0f} s for {what}\n{logs}")
            time.sleep(0.1)
        return time.monotonic() - began

    def rows(self) -> list[str]:
        """The runs that wrote."""
        warehouse = open_warehouse(read_environment({"AELP_HOME": str(self.home)}))
        return warehouse.read(TableName("ops", "outages"))["run_id"].to_list()

    def statuses(self) -> Counter[str]:
        with dg.DagsterInstance.from_config(str(self.home / "dagster")) as instance:
            return Counter(run.status.value for run in instance.get_runs())

    def slots_held(self) -> set[str]:
        with dg.DagsterInstance.from_config(str(self.home / "dagster")) as instance:
            return instance.event_log_storage.get_concurrency_run_ids()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/server_info", timeout=5).is_success
    except httpx.HTTPError:
        return False
