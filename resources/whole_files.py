"""Writing a file so that nobody ever meets half of it.

Here: one write. Not here: which files there are, or what is in them.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

UNFINISHED = ".incoming-"
"""How the name of a file that is still being written begins; a killed process may leave one."""


def write_whole(path: Path, content: bytes, written_in: Path | None = None) -> None:
    """Write a file whole or not at all, also after a crash.

    Args:
        written_in: folder of the unfinished file, on the same file system; by default the file's own.
    """
    folder = path.parent if written_in is None else written_in
    for needed in {path.parent, folder}:
        needed.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
