"""One recognised file turned into Parquet pages and a manifest; no warehouse is touched.

Here: the fetch half of the load contract: a local copy, the decimal style, one or two passes. Not here:
the passes (`reading.py`) and what the warehouse already has (`publishing.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from resources.files.batches import Batch, parquet_batches, text_batches
from resources.files.fetched import FetchedFile, RecognisedFile, Tolerance
from resources.files.mapping import Column, Joined
from resources.files.opening import (
    CHANGED,
    Inspection,
    Limits,
    UnreadableFile,
    spool,
)
from resources.files.parsing import Parser, zone_of
from resources.files.reading import Reading, find_repeats
from resources.files.recognition import bound_positions, normal
from resources.files.validation import Bounds
from resources.files.values import DecimalStyle, decimal_style, grouping_style, is_ambiguous
from resources.files.workbooks import read_workbook, rounded_columns
from resources.landing.pages import Stamp

_STYLE_SAMPLE_BYTES = 4 << 20
_STYLE_SAMPLE_ROWS = 5_000


@dataclass(frozen=True)
class Fetcher:
    """Reads recognised files, one after another, into pages.

    Args:
        first_day: `history_start`; earlier days are refused.
        now: the moment of the landing; days after tomorrow in the account's zone are refused.
        week_starts_on: weekday of the media mix's weeks, 0 is Monday.
        block_bytes: how much text is parsed at a time.
    """

    filesystem: AbstractFileSystem
    business_timezone: str
    first_day: date
    now: datetime
    week_starts_on: int = 0
    limits: Limits = field(default_factory=Limits)
    tolerance: Tolerance = field(default_factory=Tolerance)
    block_bytes: int = 16 << 20

    def fetch(self, file: RecognisedFile, inspection: Inspection, stamp: Stamp, folder: Path) -> FetchedFile:
        """Read, check and page one file; a file that cannot be used comes back with its `fault`."""
        folder.mkdir(parents=True)
        zone = zone_of(file.mapping, self.business_timezone)
        fetched = FetchedFile(file, inspection, stamp, folder, zone.key)
        spooled = folder / "spool"
        try:
            self._spool(file, inspection, spooled)
            reading = Reading(fetched, self._parser(file, inspection, spooled), self._bounds(file), None)
            reading.run(self._batches(file, inspection, spooled, self.block_bytes))
            repeats = find_repeats(reading.writer.grain_file, folder)
            if repeats is not None:
                reading.discard()
                reading = Reading(fetched, reading.parser, reading.bounds, repeats)
                reading.run(self._batches(file, inspection, spooled, self.block_bytes))
            reading.settle(self.tolerance)
        except UnreadableFile as error:
            fetched.refuse(_sentence(str(error)))
        finally:
            spooled.unlink(missing_ok=True)
        if fetched.fault is not None:
            for page in folder.glob("*.parquet"):
                page.unlink()
        return fetched

    def _spool(self, file: RecognisedFile, inspection: Inspection, target: Path) -> None:
        if file.sheet is None:
            spool(self.filesystem, file.location, inspection, target, self.limits)
            return
        # The copy is what the digest is of: the workbook in the folder may be another by now.
        workbook = target.with_name("workbook")
        try:
            spool(self.filesystem, file.location, inspection, workbook, self.limits)
            self._write_cells(file.sheet, workbook, target)
            positions = rounded_columns(
                LocalFileSystem(), str(workbook), file.sheet, file.header.line, self.limits
            )
        finally:
            workbook.unlink(missing_ok=True)
        ids = [file.header.columns[p] for p in positions & set(_identifier_positions(file))]
        if ids:
            raise UnreadableFile(
                f"{', '.join(sorted(ids))} are stored as numbers, and a spreadsheet keeps only 15 digits "
                "of a number: the ids are rounded. Export as CSV, or with ids as text"
            )

    def _write_cells(self, name: str, workbook: Path, target: Path) -> None:
        # By itself: its sheets are gone again before the workbook is read a second time.
        sheets = {sheet.name: sheet for sheet in read_workbook(LocalFileSystem(), str(workbook), self.limits)}
        if name not in sheets:
            raise UnreadableFile(CHANGED)
        sheets[name].cells.write_csv(target, include_header=False)

    def _batches(
        self, file: RecognisedFile, inspection: Inspection, spooled: Path, block_bytes: int
    ) -> Iterator[Batch]:
        positions = bound_positions(file.mapping, file.header)
        if inspection.kind == "parquet":
            return parquet_batches(
                spooled, file.header, positions, self.limits, set(_identifier_positions(file))
            )
        has_quotes = inspection.has_quotes or file.sheet is not None
        return text_batches(spooled, file.header, positions, has_quotes, block_bytes)

    def _parser(self, file: RecognisedFile, inspection: Inspection, spooled: Path) -> Parser:
        style = self._decimal_style(file, inspection, spooled)
        return Parser(file.mapping, file.header, style, zone_of(file.mapping, self.business_timezone))

    def _decimal_style(self, file: RecognisedFile, inspection: Inspection, spooled: Path) -> DecimalStyle:
        """How the file writes decimals: as its mapping says, else as its numbers show.

        Raises:
            UnreadableFile: numbers that could be a thousand times larger, and nothing that tells.
        """
        if file.mapping.decimal != "auto":
            return file.mapping.decimal
        unclear: str | None = None
        for batch in self._batches(file, inspection, spooled, _STYLE_SAMPLE_BYTES):
            for start in range(0, batch.cells.height, _STYLE_SAMPLE_ROWS):
                marked = list(_marked_cells(file, batch, start))
                style = decimal_style(cell.text for cell in marked)
                # Between commas or in typed columns a decimal point is the rule.
                if style is not None or file.header.delimiter in (",", None):
                    return style or "point"
                style = grouping_style(cell.text for cell in marked if cell.is_count)
                if style is not None:
                    return style
                for cell in marked:
                    if unclear is None and is_ambiguous(cell.text):
                        unclear = f'line {cell.line}: {cell.column} is "{cell.text}"'
        if unclear is not None:
            raise UnreadableFile(
                f"{unclear}, and nothing in the file tells whether its mark is a decimal one or groups "
                "thousands: the numbers could be a thousand times too large. Say `decimal: point` or "
                f"`decimal: comma` in a mapping file: a copy of {file.mapping.name} in _mappings/ will do"
            )
        return "comma" if file.header.delimiter == ";" else "point"

    def _bounds(self, file: RecognisedFile) -> Bounds:
        zone = zone_of(file.mapping, self.business_timezone)
        tomorrow = self.now.astimezone(zone).date() + timedelta(days=1)
        return Bounds(self.first_day, tomorrow, self.week_starts_on)


def _identifier_positions(file: RecognisedFile) -> Iterator[int]:
    for record in file.mapping.flat_records:
        for value in (record.account_id, *record.keys.values()):
            if isinstance(value, Joined):
                yield from (file.header.positions[normal(name)] for name in value.join)
            elif isinstance(value, Column):
                position = file.header.position(value.headers)
                if position is not None:
                    yield position


@dataclass(frozen=True)
class _MarkedCell:
    column: str
    text: str
    line: int
    is_count: bool


def _marked_cells(file: RecognisedFile, batch: Batch, start: int) -> Iterator[_MarkedCell]:
    """Distinct cells of numeric columns that have a mark in them; whole numbers tell nothing."""
    for headers, is_count in file.mapping.numeric_headers:
        position = file.header.position(headers)
        if position is None:
            continue
        cells = batch.cells.select(text=pl.col(f"c{position}"), line=batch.lines)
        marked = cells.slice(start, _STYLE_SAMPLE_ROWS).filter(pl.col("text").str.contains(r"[.,]"))
        for text, line in marked.unique("text", keep="first", maintain_order=True).iter_rows():
            yield _MarkedCell(file.header.columns[position], text, line, is_count)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:].rstrip(".") + "."
