"""Rows of a spooled file, a bounded batch at a time, as text cells with their line numbers.

Here: streaming CSV and Parquet readers. Not here: bytes and encodings (`opening.py`), meaning (`parsing.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from resources.files.opening import EXACT_INTEGERS, Limits, UnreadableFile
from resources.files.recognition import Header

BLOCK_BYTES = 16 << 20
PARQUET_ROWS = 65_536
# Single-precision floats above this no longer hold every whole number.
_EXACT_SINGLES = 2**24
_TYPES_READ = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null,
    pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal32,
    pa.types.is_decimal64, pa.types.is_decimal128, pa.types.is_date, pa.types.is_time, pa.types.is_timestamp,
)  # fmt: skip


@dataclass(frozen=True)
class RaggedRow:
    """A line with too many or too few cells."""

    line: int
    found: int
    expected: int
    text: str


@dataclass(frozen=True)
class Batch:
    """`cells` has a text column `c<position>` per column read; `lines` are 1-based lines in the file."""

    cells: pl.DataFrame
    lines: pl.Series
    ragged: tuple[RaggedRow, ...] = ()


@dataclass(frozen=True)
class _Aside:
    """A row the reader set aside, by its number among all rows."""

    row: int
    found: int
    expected: int
    text: str
    breaks: int


@dataclass
class _LineCounter:
    """Physical lines of rows that come without one.

    The reader numbers rows; a cell with line breaks makes its row longer than one line, and rows it
    set aside leave gaps.
    """

    next_row: int
    embedded: int = 0
    aside: list[_Aside] = field(default_factory=list)

    def place(self, cells: pl.DataFrame, breaks: pl.Series | None) -> Batch:
        height = cells.height
        self.aside.sort(key=lambda entry: entry.row)
        gaps = np.array([entry.row for entry in self.aside], dtype=np.int64)
        rows = np.arange(self.next_row, self.next_row + height + len(gaps), dtype=np.int64)
        rows = rows[~np.isin(rows, gaps)][:height]
        extra = np.zeros(height, dtype=np.int64) if breaks is None else breaks.to_numpy()
        # Line breaks inside rows above: those read here, and those set aside.
        before = np.concatenate([[0], np.cumsum(extra)])
        lost = np.concatenate([[0], np.cumsum([entry.breaks for entry in self.aside])]).astype(np.int64)
        lines = rows + self.embedded + before[:-1] + lost[np.searchsorted(gaps, rows)]
        if height:
            self.next_row = int(rows[-1]) + 1
        passed = [entry for entry in self.aside if entry.row < self.next_row]
        self.aside = self.aside[len(passed) :]
        ragged = tuple(
            self._placed(entry, int(before[np.searchsorted(rows, entry.row)] + lost[place]))
            for place, entry in enumerate(passed)
        )
        self.embedded += int(before[-1] + lost[len(passed)])
        return Batch(cells, pl.Series("line", lines, dtype=pl.Int64), ragged)

    def rest(self) -> tuple[RaggedRow, ...]:
        """Rows set aside below the last good one."""
        placed, lost = [], 0
        for entry in sorted(self.aside, key=lambda entry: entry.row):
            placed.append(self._placed(entry, lost))
            lost += entry.breaks
        return tuple(placed)

    def _placed(self, entry: _Aside, breaks_above: int) -> RaggedRow:
        line = entry.row + self.embedded + breaks_above
        return RaggedRow(line, entry.found, entry.expected, entry.text)


def text_batches(
    path: Path, header: Header, positions: Sequence[int], has_quotes: bool, block_bytes: int = BLOCK_BYTES
) -> Iterator[Batch]:
    """Rows below the header of a UTF-8 text, blocks of about `block_bytes`.

    Raises:
        UnreadableFile: the text cannot be cut into rows (a quote never closed, a row larger than a block).
    """
    assert header.delimiter is not None
    names = [f"c{position}" for position in range(len(header.columns))]
    # Line breaks inside quotes may sit in any column, and only columns read can be counted.
    wanted = names if has_quotes else [names[position] for position in sorted({0, *positions})]
    counter = _LineCounter(next_row=header.line + 1)

    def set_aside(row: pa.csv.InvalidRow) -> str:
        breaks = row.text.count("\n")
        counter.aside.append(
            _Aside(row.number, row.actual_columns, row.expected_columns, row.text[:2000], breaks)
        )
        return "skip"

    try:
        reader = pa.csv.open_csv(
            path,
            # Threads would cost the row numbers; conversion still runs on all cores.
            read_options=pa.csv.ReadOptions(
                use_threads=False, block_size=block_bytes, skip_rows=header.line, column_names=names
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=header.delimiter,
                quote_char='"' if has_quotes else False,
                newlines_in_values=has_quotes,
                ignore_empty_lines=False,
                invalid_row_handler=set_aside,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()), include_columns=wanted
            ),
        )
        for record_batch in reader:
            cells = pl.DataFrame(pl.from_arrow(record_batch))
            yield counter.place(cells, _line_breaks(cells) if has_quotes else None)
    except pa.ArrowInvalid as error:
        if "Empty CSV file" not in str(error):
            raise UnreadableFile(f"cannot be cut into rows: {error}. Is a quote never closed?") from None
    rest = counter.rest()
    if rest:
        yield Batch(pl.DataFrame(schema=dict.fromkeys(wanted, pl.String)), _no_lines(), rest)


def _no_lines() -> pl.Series:
    return pl.Series("line", [], dtype=pl.Int64)


def _line_breaks(cells: pl.DataFrame) -> pl.Series | None:
    broken = [c.name for c in cells.iter_columns() if c.str.contains("\n", literal=True).any()]
    if not broken:
        return None
    return cells.select(
        pl.sum_horizontal(
            pl.col(name).str.count_matches("\n", literal=True).cast(pl.Int64) for name in broken
        )
    ).to_series()


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, the next one being read while the caller works on this one."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def parquet_batches(
    path: Path, header: Header, positions: Sequence[int], limits: Limits, identifiers: Collection[int] = ()
) -> Iterator[Batch]:
    """Rows of a Parquet file as text; its first row is line 1.

    Args:
        identifiers: positions of ids. A column of ids with gaps is often stored as floats: 456.0 is the 456
            of every other export.

    Raises:
        UnreadableFile: broken pages, a column of another type than text, numbers or moments, ids too long for
            a float, or more text in one batch than the limits grant.
    """
    names = [header.columns[position] for position in positions]
    line = 1
    try:
        _check_types(pq.read_schema(path), names)
        # Repeated texts stay stored once until it is known what they come to.
        file = pq.ParquetFile(path, read_dictionary=names)
        for record_batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=names):
            frame = pl.DataFrame(pl.from_arrow(_decoded(record_batch, limits)))
            cells = frame.select(
                (_id_text(frame[name]) if position in identifiers else _as_text(frame[name]))
                .fill_null("")
                .alias(f"c{position}")
                for name, position in zip(names, positions, strict=True)
            )
            yield Batch(cells, pl.int_range(line, line + frame.height, eager=True).alias("line"))
            line += frame.height
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(f"broken Parquet file: {error}") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        # The type of a column may be one to read and its values not: moments in a zone that there is not.
        reason = str(error).partition("\n")[0].rstrip(".")
        raise UnreadableFile(f"a Parquet file that cannot be read as text: {reason}. Export as CSV") from None


def _check_types(schema: pa.Schema, names: Sequence[str]) -> None:
    """Refuse by name what the conversion to text would stumble over, or end in a panic of its own."""
    for name in names:
        stored = schema.field(name).type
        value = stored.value_type if pa.types.is_dictionary(stored) else stored
        if not any(is_read(value) for is_read in _TYPES_READ):
            raise UnreadableFile(
                f"column {name!r} is stored as {stored!s:.80}, which is not read: write it as text, or as a "
                "number of at most 38 digits, a day or a moment where it is one"
            )


def _decoded(batch: pa.RecordBatch, limits: Limits) -> pa.RecordBatch:
    """The batch with its texts written out, if they are no more than one batch may hold."""
    for position, column in enumerate(batch.columns):
        if not pa.types.is_dictionary(column.type):
            continue
        expanded = pc.sum(pc.take(pc.binary_length(column.dictionary), column.indices)).as_py() or 0
        name = batch.schema.names[position]
        if expanded > limits.batch_bytes:
            raise UnreadableFile(
                f"column {name!r} holds {expanded:,} bytes in {len(column):,} rows: "
                "refused as a decompression bomb"
            )
        batch = batch.set_column(position, name, column.dictionary_decode())
    return batch


def _id_text(column: pl.Series) -> pl.Series:
    """Text of an id; 456.0 becomes 456."""
    if not (column.dtype.is_float() or column.dtype.is_decimal()):
        return _as_text(column)
    if column.dtype.is_float():
        exact = EXACT_INTEGERS if column.dtype == pl.Float64 else _EXACT_SINGLES
        column = column.cast(pl.Float64).fill_nan(None)
        if (column.abs() > exact).any():
            raise UnreadableFile(
                f"{column.name} is stored as floating-point numbers, which keep only so many digits: the ids "
                "are rounded. Write it as text or as integers"
            )
    return column.cast(pl.String).str.replace(r"\.0+$", "")


def _as_text(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f" + ("%:z" if dtype.time_zone else ""))
    return column.cast(pl.String)
