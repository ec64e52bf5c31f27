"""How long a fresh interpreter takes to load the asset graph, as each run and each code location does.

Here: importing the definitions and resolving them, Python's files compiled beforehand. Not here: what the
graph then does, and dbt's parsing, which a change of SQL asks for once.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.record import Figure, Record
from resources.settings import PROJECT_ROOT

_AIM = 5.0
_LOAD = """
import time
started, used = time.perf_counter(), time.process_time()
from aelp_assets.definitions import defs
defs.get_repository_def()
print(time.perf_counter() - started, time.process_time() - used)
"""


def definitions_load(times: int = 5) -> Record:
    """Wall and CPU seconds of loading: the quickest of several fresh processes, after one that warms up."""
    seconds = [_seconds() for _ in range(times + 1)][1:]
    wall, cpu = (min(each) for each in zip(*seconds, strict=True))
    return Record(
        "definitions_load",
        {"times": times},
        [
            Figure("definitions loaded", wall, "s", f"<= {_AIM:.0f} s", wall <= _AIM),
            Figure("CPU time", cpu, "s"),
        ],
        note="A process of its own each time, the interpreter's start not counted; the quickest counts.",
    )


def _seconds() -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", _LOAD], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    wall, cpu = done.stdout.split()[-2:]
    return float(wall), float(cpu)
