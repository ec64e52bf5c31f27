"""Running a command while watching what it costs.

Here: wall time, CPU time and peak memory of a process with all its children. Not here: what is run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from resources.settings import PROJECT_ROOT

_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Cost:
    """What a command took.

    `peak_bytes` is the largest sum of resident memory over the process tree, sampled ten times a second;
    pages that processes share count once for each, so it is an upper bound. `cpu_seconds` covers user and
    system time of the process and of every child it waited for.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


class CommandFailed(RuntimeError):
    """A measured command failed; the message ends with what it printed last."""


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this project with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def measured(command: Sequence[str], variables: Mapping[str, str], log: Path) -> Cost:
    """Run a command from the project's root, its output to `log`.

    Raises:
        CommandFailed: it ended with another code than 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    before = os.times()
    started = time.perf_counter()
    peak = 0
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            cwd=PROJECT_ROOT,
            env={**os.environ, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _resident(tree))
            time.sleep(_SAMPLE_SECONDS)
    wall = time.perf_counter() - started
    after = os.times()
    if process.returncode:
        raise CommandFailed(
            f"{' '.join(command)} ended with {process.returncode}:\n"
            + log.read_text(errors="replace")[-3000:]
        )
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall, cpu, peak)


def _resident(tree: psutil.Process) -> int:
    total = 0
    try:
        members = [tree, *tree.children(recursive=True)]
    except psutil.Error:
        return 0
    for member in members:
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue  # it ended meanwhile
    return total
