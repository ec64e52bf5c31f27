"""Which export a file is, by its header alone: never by its name.

Here: finding the header among preamble lines and delimiters, matching it against mappings, naming what
is missing. Not here: opening files (`opening.py`) and the mappings themselves (`mapping.py`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from resources.files.mapping import DateColumn, Mapping

DELIMITERS = (",", ";", "\t", "|")
PREAMBLE_LINES = 30
# Below this share of a format's columns a file is simply something else.
NEAR = 0.4
# How alike two headers are before one is suggested for the other: campaign and campaign_name are.
ALIKE = 0.7

_DAY = re.compile(r"\b(?:day|date|datum|tag)\b")
_CURRENCY_IN_HEADER = re.compile(r"^(?P<name>.+?)\s*\((?P<code>[A-Z]{3})\)$")


def normal(header: str) -> str:
    """A header as it is compared: without case, byte order mark, quotes or runs of spaces."""
    return " ".join(header.replace("\ufeff", "").strip().strip('"').split()).casefold()


@dataclass(frozen=True)
class Header:
    """The header row of a file and where it stands."""

    columns: tuple[str, ...]
    delimiter: str | None = None  # None: the file itself keeps columns apart (Parquet)
    line: int = 1  # 1-based physical line of the header row

    @cached_property
    def positions(self) -> dict[str, int]:
        """Normalised header to position; `Amount spent (USD)` also answers to `Amount spent`."""
        found: dict[str, int] = {}
        for position, column in enumerate(self.columns):
            found.setdefault(normal(column), position)
        for position, column in enumerate(self.columns):
            if match := _CURRENCY_IN_HEADER.match(column.strip()):
                found.setdefault(normal(match["name"]), position)
        return found

    @cached_property
    def repeated(self) -> frozenset[str]:
        names = [normal(column) for column in self.columns]
        return frozenset(name for name in names if names.count(name) > 1)

    def position(self, headers: Sequence[str]) -> int | None:
        """Position of the first of those headers that is there."""
        return next((self.positions[normal(h)] for h in headers if normal(h) in self.positions), None)

    def currency_of(self, header: str) -> str | None:
        """The currency code written into a column's header."""
        position = self.position((header,))
        match = _CURRENCY_IN_HEADER.match(self.columns[position].strip()) if position is not None else None
        return match["code"] if match else None


def missing_columns(mapping: Mapping, header: Header) -> list[str]:
    """Headers `mapping` cannot do without and this file lacks."""
    return [
        " or ".join(headers)
        for headers, required in mapping.column_groups
        if required and header.position(headers) is None
    ]


def bound_positions(mapping: Mapping, header: Header) -> list[int]:
    """Positions of every column the mapping reads from this file, in file order."""
    found = (header.position(headers) for headers, _ in mapping.column_groups)
    return sorted({position for position in found if position is not None})


@dataclass(frozen=True)
class Recognition:
    """A header and the mapping it fits, or the reason it fits none."""

    header: Header | None
    mapping: Mapping | None
    reason: str = ""


def recognise(header: Header, mappings: Sequence[Sequence[Mapping]]) -> Recognition:
    """The most specific mapping whose columns are all there.

    Args:
        mappings: groups in order of precedence (a person's own before the shipped ones); the first
            group with a fit decides.
    """
    for group in mappings:
        fits = [m for m in group if not missing_columns(m, header) and not _forbidden(m, header)]
        if not fits:
            continue
        best = max(_required_count(m) for m in fits)
        closest = [m for m in fits if _required_count(m) == best]
        if len(closest) > 1:
            names = " and ".join(m.name for m in closest)
            return Recognition(header, None, f"fits {names} equally well; make one more specific with `also`")
        mapping = closest[0]
        doubled = [
            header.columns[p]
            for p in bound_positions(mapping, header)
            if normal(header.columns[p]) in header.repeated
        ]
        if doubled:
            return Recognition(header, None, f"columns {doubled} stand in the header more than once")
        return Recognition(header, mapping)
    return Recognition(header, None, _nearest(header, [m for group in mappings for m in group]))


def _required_count(mapping: Mapping) -> int:
    return sum(required for _, required in mapping.column_groups)


def _forbidden(mapping: Mapping, header: Header) -> list[str]:
    return [name for name in mapping.absent if normal(name) in header.positions]


def _nearest(header: Header, mappings: Sequence[Mapping]) -> str:
    shown = ", ".join(header.columns[:6]) + (", …" if len(header.columns) > 6 else "")
    unknown = f"not an advertising export known here (columns: {shown}). A file in _mappings/ can teach it."
    if not mappings:
        return unknown
    scored = []
    for mapping in mappings:
        missing, required = missing_columns(mapping, header), _required_count(mapping)
        scored.append(((required - len(missing)) / required, mapping, missing))
    share, mapping, missing = max(scored, key=lambda entry: entry[0])
    if share < NEAR:
        return unknown
    if missing:
        return f"nearest known format is {mapping.name} ({mapping.title}); {_remedy(mapping, header)}"
    extra = ", ".join(_forbidden(mapping, header))
    return (
        f"nearest known format is {mapping.name} ({mapping.title}), but this file is broken down by {extra}, "
        "so each row repeats part of the total. Export it without, or map it in _mappings/."
    )


def _remedy(mapping: Mapping, header: Header) -> str:
    """What is missing, which column of the file may be meant, and what to do about it."""
    missing = [
        headers
        for headers, required in mapping.column_groups
        if required and header.position(headers) is None
    ]
    # An id that its name may stand for asks for nothing where the name is asked for anyway.
    alone = {headers[0] for headers in missing if len(headers) == 1}
    missing = [headers for headers in missing if len(headers) == 1 or not alone & set(headers)]
    known = {position for headers, _ in mapping.column_groups for position in [header.position(headers)]}
    free = {normal(c): c for place, c in enumerate(header.columns) if place not in known and c.strip()}
    dated = mapping.date.headers if isinstance(mapping.date, DateColumn) else ()
    alike = []
    for headers in missing:
        close = get_close_matches(normal(headers[-1]), free, n=1, cutoff=ALIKE)
        close = close or [name for name in free if headers == dated and _DAY.search(name)][:1]
        alike += [f"{free[close[0]]} for {headers[-1]}"] if close else []
    text = f"missing columns: {', '.join(' or '.join(headers) for headers in missing)}."
    if alike:
        text += f" Is it {', '.join(alike)}?"
    if missing != [dated] or alike:
        text += (
            " Export it with them; where they have other names, rename them or copy the mapping "
            f"{mapping.name} into _mappings/ and name yours there."
        )
    if dated in missing and mapping.target.has_account_fields and not any(_DAY.search(n) for n in free):
        text += (
            " A file without days can land as totals of a period: map it in _mappings/ with `stream: "
            "file_period_performance` and `period: {constant: undated}`, or `{column: week, days: 7}`."
        )
    return text


def find_header(text: str, mappings: Sequence[Sequence[Mapping]]) -> Recognition:
    """The header row of a delimited text, below any preamble, with the mapping it fits.

    Args:
        text: the beginning of the file, decoded.
    """
    tables: list[Header] = []
    for header, is_table in _candidates(text):
        recognition = recognise(header, mappings)
        if recognition.mapping is not None:
            return recognition
        if is_table:
            tables.append(header)
    if not tables:
        return Recognition(None, None, "no table: no header with two or more columns and rows below it")
    # The reason that names a near miss is worth more than that of a preamble line.
    reasons = [recognise(header, mappings) for header in tables]
    near = (found for found in reasons if "nearest known format" in found.reason)
    widest = max(reasons, key=lambda found: len(found.header.columns) if found.header else 0)
    return next(near, widest)


def _candidates(text: str) -> Iterator[tuple[Header, bool]]:
    """Lines that may be headers, and whether the line below has as many cells (or there is none)."""
    for delimiter in DELIMITERS:
        if delimiter not in text:
            continue
        reader = csv.reader(text.splitlines(keepends=True)[: PREAMBLE_LINES + 1], delimiter=delimiter)
        rows: list[tuple[list[str], int]] = []
        try:
            for row in reader:
                rows.append((row, reader.line_num - sum(cell.count("\n") for cell in row)))
        except csv.Error:
            continue
        for place, (row, line) in enumerate(rows):
            # A header names its columns: a line of one cell is a title.
            if sum(bool(cell.strip()) for cell in row) > 1:
                below = rows[place + 1][0] if place + 1 < len(rows) else row
                yield Header(tuple(row), delimiter, line), len(below) == len(row)
