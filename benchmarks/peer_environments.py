"""Peers that the project's own lock must not hold: an environment each, from a hashed lock.

Here: installing one unless it is there. Not here: what a peer does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.processes import CommandFailed, measured


def is_installed(peer: Path, environment: Path, log: Path) -> bool:
    """Install a peer (its folder has a `requirements.lock`) unless that lock is installed.

    Returns:
        False where no package index answers; why is printed.
    """
    installed, wanted = environment / "installed.lock", peer / "requirements.lock"
    if installed.exists() and installed.read_bytes() == wanted.read_bytes():
        return True
    command = ["bash", str(Path(__file__).with_name("install_peer.sh")), str(peer), str(environment)]
    try:
        measured(command, {"PYTHON": os.path.realpath(sys.executable)}, log)
    except CommandFailed as error:
        print(f"Without {peer.name} beside it: {error}", file=sys.stderr)
        return False
    return True
