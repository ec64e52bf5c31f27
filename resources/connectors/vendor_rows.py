"""A vendor's CSV of creatives, row by row: what is accepted, what is refused and why.

Here: one file's bytes and the report on its rows. Not here: how the file came here (`vendor_files`).
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from urllib.parse import urlsplit

from resources.landing.streams import STREAMS

STREAM = STREAMS["vendor_creatives"]
SHOWN = ("headline", "body", "image_file", "link_url")  # one of them, or there is nothing to show
KEY_LIMIT = 200  # bytes
TEXT_LIMIT = 10_000  # bytes

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ROUNDED = re.compile(r"^\d(?:\.\d+)?[eE]\+\d+$")
_COLUMN = re.compile(r"[\w .()/-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RowOutcome:
    """What became of one row; `line` is where it begins in the file, the header being line 1."""

    line: int
    outcome: Literal["accepted", "refused"]
    creative_id: str
    reason: str


@dataclass(frozen=True)
class VendorRow:
    """An accepted row: `row_no` counts the file's data rows from 1, refused ones included."""

    creative_id: str
    row_no: int
    fields: Mapping[str, str]


@dataclass(frozen=True)
class ReadFile:
    """A file as read. `refusal` says why nothing of it could be read, else it is empty."""

    rows: Sequence[VendorRow]
    outcomes: Sequence[RowOutcome]
    refusal: str = ""


def read_vendor_file(content: bytes) -> ReadFile:
    """Read a CSV (comma, semicolon or tab; UTF-8, or UTF-16 with its mark); its first line is the header."""
    try:
        cells = csv_rows(decoded(content))
        header = _header(cells[0][1] if cells else [])
    except (csv.Error, ValueError) as error:
        return ReadFile((), (), str(error))
    rows: list[VendorRow] = []
    outcomes: list[RowOutcome] = []
    seen: dict[str, int] = {}
    for row_no, (line, values) in enumerate(cells[1:], start=1):
        record = {name: value.strip() for name, value in zip(header, values, strict=False)}
        reason = _refusal(record, header, values)
        key = json.dumps(record, sort_keys=True)
        if not reason and key in seen:
            reason = f"the row repeats line {seen[key]} exactly. Leave it out."
        creative_id = record.get("creative_id", "")
        outcomes.append(
            RowOutcome(line, "refused" if reason else "accepted", creative_id[:KEY_LIMIT], reason)
        )
        if not reason:
            seen[key] = line
            fields = {name: value for name, value in record.items() if value and name != "creative_id"}
            rows.append(VendorRow(creative_id, row_no, fields))
    return ReadFile(rows, outcomes)


def outcome_report(file: ReadFile) -> str:
    """The report to hand back to the vendor: CSV of line, creative_id, outcome, reason."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["line", "creative_id", "outcome", "reason"])
    if file.refusal:
        writer.writerow(["", "", "refused", file.refusal])
    for row in file.outcomes:
        # A cell that begins like a formula would run in the vendor's spreadsheet.
        shown = f"'{row.creative_id}" if row.creative_id[:1] in tuple("=+-@") else row.creative_id
        writer.writerow([row.line, shown, row.outcome, row.reason])
    return out.getvalue()


def decoded(content: bytes) -> str:
    """The text of some bytes: UTF-8, or UTF-16 with its mark. Raises ValueError for any other."""
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"byte {error.start + 1:,} is no {encoding.removesuffix('-sig').upper()} text. "
            "Save the file as CSV UTF-8 and drop it again."
        ) from None


def csv_rows(text: str) -> list[tuple[int, list[str]]]:
    """Non-empty rows with the line each begins on. Raises ValueError for a quote that is not closed."""
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    begins = 1
    try:
        for values in reader:
            if any(value.strip() for value in values):
                rows.append((begins, values))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {begins}: {error}. A quote there is not closed, or not doubled.") from None
    return rows


def _header(names: Sequence[str]) -> list[str]:
    header = [re.sub(r"[\s-]+", "_", name.strip().casefold()) for name in names]
    if "creative_id" not in header:
        found = ", ".join(header) or "nothing"
        raise ValueError(f"line 1: there is no column creative_id (found {found[:200]}).")
    for name in header:
        if not name:
            raise ValueError("line 1: a column has no name.")
        if not _COLUMN.fullmatch(name):
            raise ValueError(
                f"line 1: the column name {name[:60]!r} cannot be read. Use letters, digits, spaces and "
                "_ - . ( ) / only."
            )
        if header.count(name) > 1:
            raise ValueError(f"line 1: two columns are named {name}.")
    return header


def _refusal(record: Mapping[str, str], header: Sequence[str], values: Sequence[str]) -> str:
    """Why a row is refused; empty where it is accepted."""
    if len(values) != len(header):
        return f"it has {len(values)} cells where the header has {len(header)}. Quote cells that hold commas."
    creative_id = record["creative_id"]
    if not creative_id:
        return "creative_id is empty."
    if _ROUNDED.match(creative_id):
        return f"creative_id is {creative_id}: a spreadsheet has rounded it. Export it as text."
    if len(creative_id.encode()) > KEY_LIMIT or _CONTROL.search(creative_id):
        return f"creative_id is longer than {KEY_LIMIT} bytes or holds control characters."
    for name, value in record.items():
        if len(value.encode()) > TEXT_LIMIT or "\x00" in value:
            return f"{name} is longer than {TEXT_LIMIT:,} bytes or holds a null character."
    if not any(record.get(name) for name in SHOWN):
        return f"none of {', '.join(SHOWN)} is given: there is nothing to show."
    link = record.get("link_url")
    if link and not _is_web(link):
        return f'link_url is "{link[:60]}"; an address beginning with https:// is needed.'
    image_hash = record.get("image_hash")
    if image_hash and not _SHA256.fullmatch(image_hash):
        return "image_hash is no sha256 in 64 small hexadecimal digits."
    created = record.get("created_on")
    if created and not _is_day(created):
        return f'created_on is "{created[:60]}"; write the day as 2026-06-30.'
    return ""


def _is_web(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", link)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
