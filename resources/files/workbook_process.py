"""A process that reads one workbook and may be lost: `workbook_process.py <memory> <expanded> [sheet row]`.

Here: the reader under a limit of memory, workbook in, Arrow streams out, and whether it is a workbook at all.
Not here: who starts it and what the cells mean (`workbooks.py`). It imports nothing of this project: it
starts in a tenth of a second.

The reader lays a sheet out as one block and repeats shared texts: a file of a few kilobytes can ask for
hundreds of gigabytes, and where they are refused, the reader ends its process.
"""

from __future__ import annotations

import io
import lzma
import os
import resource
import sys
import zipfile
import zlib
from typing import NoReturn

import fastexcel
import pyarrow as pa

REFUSED, UNWRITTEN = 3, 4
_SECONDS = 900
_BLOCK = 1 << 20
_PART = 4  # of the memory, a quarter at most is given on: who takes the cells needs room of its own for them
# What zipfile raises of archives that are damaged, locked or packed in another way.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError, ValueError
)  # fmt: skip


def limit(kind: int, wanted: int) -> None:
    """Allow this process so much of a resource, or less where it was started with less."""
    hard = resource.getrlimit(kind)[1]
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def refuse(reason: str) -> NoReturn:
    """End with words for a person."""
    sys.stderr.write(reason)
    raise SystemExit(REFUSED) from None


def check_archive(content: bytes, granted: int) -> None:
    """Sizes in a zip directory can lie, so the members are really unpacked, a block at a time."""
    expanded = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                refuse("a zip archive that is no workbook: unpack it into the folder")
            for name in archive.namelist():
                with archive.open(name) as member:
                    while block := member.read(_BLOCK):
                        expanded += len(block)
                        if expanded > granted:
                            refuse(
                                f"expands to more than {expanded:,} bytes from {len(content):,}: "
                                "refused as a decompression bomb"
                            )
    except _BROKEN as error:
        refuse(f"broken workbook: {error}")


def give(cells: pa.RecordBatch) -> None:
    """A sheet to whoever asked; where its disk is full, that is no fault of the workbook's."""
    try:
        with pa.ipc.new_stream(sys.stdout.buffer, cells.schema) as stream:
            stream.write_batch(cells)
        sys.stdout.buffer.flush()
    except OSError:
        os._exit(UNWRITTEN)  # leaving in order would write what is left, and fail with another status


def main(memory: str, granted: str, sheet: str | None = None, header_row: str = "") -> None:
    """All sheets as text, or one, checked before, with the types it is stored in, below its header.

    Args:
        memory: bytes this process may take.
        granted: bytes the archive may expand to.
    """
    limit(resource.RLIMIT_AS, int(memory))
    limit(resource.RLIMIT_CPU, _SECONDS)
    limit(resource.RLIMIT_CORE, 0)
    given, most = 0, int(memory) // _PART
    content = sys.stdin.buffer.read()
    if sheet is None:
        check_archive(content, int(granted))
    try:
        workbook = fastexcel.read_excel(content)
        for name in workbook.sheet_names if sheet is None else [sheet]:
            if sheet is None:
                # skip_rows keeps leading empty rows, so that lines are the sheet's own row numbers.
                loaded = workbook.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
            else:
                loaded = workbook.load_sheet(name, header_row=int(header_row), schema_sample_rows=None)
            assert isinstance(loaded, fastexcel.ExcelSheet)
            cells = loaded.to_arrow()
            given += cells.nbytes
            if given > most:
                raise MemoryError(f"its cells take more than {most:,} bytes")
            give(cells.replace_schema_metadata({"sheet": name}))
    except fastexcel.FastExcelError as error:
        refuse(f"not a readable workbook: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
