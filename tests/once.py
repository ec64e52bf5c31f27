"""What is expensive and looked at by many tests: made by one worker of a run, kept for the others.

Here: the lock and the keeping. Not here: what is made (the fixtures), and handing it out: two processes in
one DuckDB file lock each other out, so every worker takes a copy.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Made = TypeVar("Made")


def made_once(own: Path, name: str, make: Callable[[Path], Made]) -> tuple[Path, Made]:
    """The folder `make` filled and what it returned; the first worker to ask makes it, the others wait.

    Args:
        own: this worker's `getbasetemp()`; what workers share lies beside it.
    """
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "made_once"
    shared.mkdir(exist_ok=True)
    folder, kept = shared / name, shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what another worker failed at
            kept.write_bytes(pickle.dumps(make(folder)))
        return folder, pickle.loads(kept.read_bytes())
