"""Workbooks of a drop folder as text cells, read where they cannot harm this process.

Here: what is asked of the reader's process, and the sheets it gives. Not here: whether it is a workbook, and
reading it (`workbook_process.py`), other bytes (`opening.py`), what the cells mean (`parsing.py`).
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO

import polars as pl
import pyarrow as pa
from fsspec import AbstractFileSystem

from resources.files.opening import EXACT_INTEGERS, Limits, UnreadableFile
from resources.files.workbook_process import REFUSED, UNWRITTEN

_BLOCK = 1 << 20
_READER = Path(__file__).with_name("workbook_process.py")
# Two at once would take twice the memory that one may.
_TURN = threading.Lock()


@dataclass(frozen=True)
class Sheet:
    """A worksheet as text cells; lines are the sheet's own row numbers."""

    name: str
    cells: pl.DataFrame

    def head(self) -> str:
        return self.cells.head(40).write_csv(include_header=False)


def read_workbook(filesystem: AbstractFileSystem, path: str, limits: Limits) -> list[Sheet]:
    """Every non-empty sheet, all cells as text. A workbook holds at most 1,048,576 rows, so it is read whole.

    Raises:
        UnreadableFile: not a workbook, broken, too large, or expanding too far.
        OSError: its cells do not fit into the folder for temporary files.
    """
    read = _read(filesystem, path, limits)
    return [Sheet(name, cells) for name, cells in read if cells.height and cells.width > 1]


def rounded_columns(
    filesystem: AbstractFileSystem, path: str, sheet: str, header_line: int, limits: Limits
) -> set[int]:
    """Positions of columns stored as numbers beyond what a spreadsheet keeps exactly (15 digits)."""
    [(_, typed)] = _read(filesystem, path, limits, sheet, str(header_line - 1))
    return {
        position
        for position, column in enumerate(typed.iter_columns())
        if column.dtype.is_numeric() and (column.abs().max() or 0) > EXACT_INTEGERS  # type: ignore[operator]
    }


def _read(
    filesystem: AbstractFileSystem, path: str, limits: Limits, *sheet: str
) -> Iterator[tuple[str, pl.DataFrame]]:
    """What the reader's process gives: name and cells of each sheet."""
    size = filesystem.size(path)
    if size > limits.workbook_bytes:
        raise UnreadableFile(
            f"a workbook or other zip archive of {size:,} bytes, beyond {limits.workbook_bytes:,}: save the "
            "sheet as CSV, or unpack it into the folder"
        )
    granted = limits.granted(size, limits.workbook_bytes)
    # Through files: neither the workbook nor the cells of all its sheets lie in this process at once.
    with TemporaryFile() as cells, TemporaryFile() as words:
        with _TURN, filesystem.open(path, "rb") as stored:
            status = _run_reader(stored, cells, words, str(limits.workbook_memory), str(granted), *sheet)
        words.seek(0)
        said = words.read().decode(errors="replace").strip()
        if status == REFUSED:
            raise UnreadableFile(said)
        if status == UNWRITTEN:
            reason = f"{os.strerror(errno.ENOSPC)}: the cells of {path} cannot be kept while they are read"
            raise OSError(errno.ENOSPC, reason, gettempdir())
        if status:
            last = said.rpartition("\n")[2]
            raise UnreadableFile(
                f"a workbook that cannot be read within {limits.workbook_memory / 2**30:g} GiB of memory: "
                "refused as a decompression bomb, or damaged. Save the sheet as CSV"
                + (f" ({last})" if last else "")
            )
        cells.seek(0)
        while cells.tell() < os.fstat(cells.fileno()).st_size:
            with pa.ipc.open_stream(cells) as stream:
                name = stream.schema.metadata[b"sheet"].decode()
                yield name, pl.DataFrame(pl.from_arrow(stream.read_all()))


def _run_reader(stored: IO[bytes], cells: IO[bytes], words: IO[bytes], *arguments: str) -> int:
    # Isolated: neither the environment nor the working folder decide what it imports.
    command = [sys.executable, "-I", str(_READER), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=cells, stderr=words) as reader:
        assert reader.stdin is not None
        with suppress(BrokenPipeError), reader.stdin:  # one that has ended says why itself
            shutil.copyfileobj(stored, reader.stdin, _BLOCK)
    return reader.returncode
