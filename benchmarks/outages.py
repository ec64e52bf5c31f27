"""kill -9 of the daemon, of the webserver, and of everything at once amid a run: how long until all is well?

Here: a home whose daemon, webserver and workers are real processes, and what comes of killing them. Not here:
the code location they serve (`outage_location.py`), kills at chosen points of the graph (`tests/faults`).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import httpx
import psutil

from benchmarks.record import Figure, Record
from resources.settings import PROJECT_ROOT, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.schema import TableName

LOCATION = Path(__file__).with_name("outage_location.py")
PATIENCE = 300.0


class Outages:
    """An AELP_HOME with the project's own `dagster.yaml`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started: list[psutil.Process] = []
        (home / "dagster").mkdir(parents=True)
        (home / "wanted").mkdir()
        shutil.copyfile(PROJECT_ROOT / "dagster.yaml", home / "dagster" / "dagster.yaml")
        # As `aelp prepare` does: services that find no tables race for creating them.
        dg.DagsterInstance.from_config(str(home / "dagster")).dispose()
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


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/server_info", timeout=5).is_success
    except httpx.HTTPError:
        return False


def one_by_one(outages: Outages) -> dict[str, float]:
    """Webserver, then daemon, killed amid a run; the run goes on, and so does the next."""
    outages.want("a")
    daemon = outages.daemon()
    webserver, _ = outages.webserver()
    outages.until((outages.home / "begun").exists, "the run to begin")
    outages.kill(webserver)
    outages.kill(daemon)
    (outages.home / "go").touch()
    alone = outages.until(lambda: outages.statuses()["SUCCESS"] == 1, "the run to end without its daemon")
    outages.want("b")
    began = time.monotonic()
    outages.webserver()
    answered = time.monotonic() - began
    outages.daemon()
    second = outages.until(lambda: outages.statuses()["SUCCESS"] == 2, "the run after the outage")
    return {"alone": alone, "webserver": answered, "daemon": second, **_written(outages, runs=2)}


def power_cut(outages: Outages) -> dict[str, float]:
    """Daemon, code server and worker killed at once; the lost run is failed and tried again."""
    outages.want("a")
    outages.daemon()
    outages.until((outages.home / "begun").exists, "the run to begin")
    outages.power_cut()
    (outages.home / "go").touch()
    outages.daemon()
    noticed = outages.until(lambda: outages.statuses()["FAILURE"] == 1, "the lost run to be failed")
    again = outages.until(lambda: outages.statuses()["SUCCESS"] == 1, "the second try")
    return {"noticed": noticed, "again": noticed + again, **_written(outages, runs=1)}


def _written(outages: Outages, runs: int) -> dict[str, float]:
    rows = outages.rows()
    return {"lost": runs - len(set(rows)), "doubled": len(rows) - len(set(rows))}


def outages() -> Record:
    """Both, once, with the intervals people run with."""
    found = {}
    for play in (one_by_one, power_cut):
        with TemporaryDirectory(prefix="aelp-outages-") as folder:
            home = Outages(Path(folder) / "home")
            try:
                found[play.__name__] = play(home)
            finally:
                home.power_cut()
    single, cut = found["one_by_one"], found["power_cut"]
    lost = single["lost"] + cut["lost"]
    doubled = single["doubled"] + cut["doubled"]
    return Record(
        "outages",
        {},
        [
            Figure("run's end without its daemon", single["alone"], "s"),
            Figure("webserver answers again", single["webserver"], "s"),
            Figure("next run done after the daemon's start", single["daemon"], "s"),
            Figure(
                "lost run noticed after the daemon's start",
                cut["noticed"],
                "s",
                "≤ 60 s",
                cut["noticed"] <= 60,
            ),
            Figure(
                "lost run made good after the daemon's start",
                cut["again"],
                "s",
                "≤ 180 s",
                cut["again"] <= 180,
            ),
            Figure("rows lost", lost, "rows", "0", lost == 0),
            Figure("rows doubled", doubled, "rows", "0", doubled == 0),
        ],
        note="Real processes under the project's dagster.yaml, with a code location of one asset.",
    )
