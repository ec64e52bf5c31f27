"""A process that reads one workbook and may be lost: `python workbook_process.py <bytes> [sheet header_row]`.

Here: the reader under a limit of memory, workbook in, Arrow streams out. Not here: who starts it and what
the cells mean (`workbooks.py`). It imports nothing of this project: it starts in a tenth of a second.

The reader lays a sheet out as one block and repeats shared texts: a file of a few kilobytes can ask for
hundreds of gigabytes, and where they are refused, the reader ends its process.
"""

from __future__ import annotations

import resource
import sys

import fastexcel
import pyarrow as pa

REFUSED = 3
_SECONDS = 900


def limit(kind: int, wanted: int) -> None:
    """Allow this process so much of a resource, or less where it was started with less."""
    hard = resource.getrlimit(kind)[1]
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def main(memory: str, sheet: str | None = None, header_row: str = "") -> None:
    """All sheets as text, or one with the types it is stored in, below its header."""
    limit(resource.RLIMIT_AS, int(memory))
    limit(resource.RLIMIT_CPU, _SECONDS)
    limit(resource.RLIMIT_CORE, 0)
    given = 0
    try:
        workbook = fastexcel.read_excel(sys.stdin.buffer.read())
        for name in workbook.sheet_names if sheet is None else [sheet]:
            if sheet is None:
                # skip_rows keeps leading empty rows, so that lines are the sheet's own row numbers.
                loaded = workbook.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
            else:
                loaded = workbook.load_sheet(name, header_row=int(header_row), schema_sample_rows=None)
            assert isinstance(loaded, fastexcel.ExcelSheet)
            cells = loaded.to_arrow()
            given += cells.nbytes
            if given > int(memory):
                raise MemoryError
            named = cells.replace_schema_metadata({"sheet": name})
            with pa.ipc.new_stream(sys.stdout.buffer, named.schema) as stream:
                stream.write_batch(named)
    except fastexcel.FastExcelError as error:
        sys.stderr.write(str(error))
        raise SystemExit(REFUSED) from None


if __name__ == "__main__":
    main(*sys.argv[1:])
