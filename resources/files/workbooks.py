"""Workbooks of a drop folder as text cells, read where they cannot harm this process.

Here: everything that looks into an .xlsx file. Not here: other bytes (`opening.py`), what the cells mean
(`parsing.py`), the reader itself (`workbook_process.py`).
"""

from __future__ import annotations

import io
import lzma
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
from fsspec import AbstractFileSystem

from resources.files.opening import EXACT_INTEGERS, Limits, UnreadableFile
from resources.files.workbook_process import REFUSED

_BLOCK = 1 << 20
_READER = Path(__file__).with_name("workbook_process.py")
# What zipfile raises of archives that are damaged, locked or packed in another way.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError, ValueError
)  # fmt: skip


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
        UnreadableFile: not a workbook, broken, or expanding too far.
    """
    content = filesystem.cat_file(path)
    _check_archive(content, limits)
    read = _read(content, limits)
    return [Sheet(name, cells) for name, cells in read if cells.height and cells.width > 1]


def rounded_columns(
    filesystem: AbstractFileSystem, path: str, sheet: str, header_line: int, limits: Limits
) -> set[int]:
    """Positions of columns stored as numbers beyond what a spreadsheet keeps exactly (15 digits)."""
    [(_, typed)] = _read(filesystem.cat_file(path), limits, sheet, str(header_line - 1))
    return {
        position
        for position, column in enumerate(typed.iter_columns())
        if column.dtype.is_numeric() and (column.abs().max() or 0) > EXACT_INTEGERS  # type: ignore[operator]
    }


def _read(content: bytes, limits: Limits, *sheet: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """What the reader's process gives: name and cells of each sheet."""
    # Isolated: neither the environment nor the working folder decide what it imports.
    command = [sys.executable, "-I", str(_READER), str(limits.workbook_memory), *sheet]
    read = subprocess.run(command, input=content, capture_output=True, check=False)
    if read.returncode == REFUSED:
        raise UnreadableFile(f"not a readable workbook: {read.stderr.decode(errors='replace').strip()}")
    if read.returncode:
        said = read.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise UnreadableFile(
            f"a workbook that cannot be read within {limits.workbook_memory / 2**30:g} GiB of memory: "
            "refused as a decompression bomb, or damaged. Save the sheet as CSV"
            + (f" ({said})" if said else "")
        )
    streams = pa.BufferReader(read.stdout)
    while streams.tell() < streams.size():
        with pa.ipc.open_stream(streams) as stream:
            name = stream.schema.metadata[b"sheet"].decode()
            yield name, pl.DataFrame(pl.from_arrow(stream.read_all()))


def _check_archive(content: bytes, limits: Limits) -> None:
    # Sizes in a zip directory can lie, so the members are really unpacked, a block at a time.
    expanded = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                raise UnreadableFile("a zip archive that is no workbook: unpack it into the folder")
            for name in archive.namelist():
                with archive.open(name) as member:
                    while block := member.read(_BLOCK):
                        expanded += len(block)
                        if limits.is_bomb(expanded, len(content), limits.workbook_bytes):
                            raise UnreadableFile(
                                f"expands to more than {expanded:,} bytes from {len(content):,}: "
                                "refused as a decompression bomb"
                            )
    except UnreadableFile:
        raise
    except _BROKEN as error:
        raise UnreadableFile(f"broken workbook: {error}") from None
