"""What files were found to be when they were last read whole, so that unchanged ones are not read again.

Here: remembering inspections of local files. Not here: inspecting (`opening.py`), and whether a file is news
(`publishing.py`). A drop folder keeps every export ever made: without this each morning reads them all again
(1.5 s a gigabyte) to learn that nothing changed. Object stores are always read: they tell too little.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from resources.files.opening import GONE, Inspection, OutOfReach


class SeenFiles:
    """Inspections by what the file system says of a file.

    Size, both times to the nanosecond and the inode: no program can set the change time, so a file written
    again is known as another even where its modification time was put back.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, Inspection] = {}
        self._met: dict[str, Inspection] = {}
        try:
            saved = json.loads(memory.read_text())
            self._known = {identity: Inspection(**found) for identity, found in saved.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            pass  # nothing remembered, or by another version: files are read again

    def inspection(
        self,
        filesystem: AbstractFileSystem,
        location: str,
        encoding: str | None,
        inspect: Callable[[], Inspection],
    ) -> Inspection:
        """The remembered inspection of this very file, or a new one; `inspect` may raise."""
        if not isinstance(filesystem, LocalFileSystem):
            return inspect()
        identity = f"{_identity(location)}|{encoding}"
        found = self._known.get(identity) or inspect()
        if f"{_identity(location)}|{encoding}" == identity:  # it was not written to meanwhile
            self._met[identity] = found
        return found

    def save(self) -> None:
        """Keep what was met now; files that are gone are forgotten."""
        if self._met == self._known:
            return
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        written = self._memory.with_name(f"{self._memory.name}.new")
        written.write_text(json.dumps({name: asdict(found) for name, found in self._met.items()}))
        written.replace(self._memory)


def _identity(location: str) -> str:
    try:
        stat = Path(location).stat()
    except FileNotFoundError:
        raise OutOfReach(GONE) from None
    return f"{location}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}|{stat.st_ino}"
