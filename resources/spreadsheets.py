"""A table as a spreadsheet that opens as what it is: numbers as numbers, days as days, text never a formula.

Here: one workbook of two sheets, rows and what is said of them. Not here: which rows, reading or writing
files.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import xlsxwriter  # type: ignore[import-untyped]

MOST_ROWS = 1_048_575
"""What a sheet holds below its header."""
MOST_CHARACTERS = 32_767
"""What a cell holds."""
_EXACT_INTEGERS = 2**53  # beyond it a cell, which is a double, loses the last digits
_WIDEST, _LOOKED_AT = 60, 200

_DAY, _MOMENT = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"
_WHOLE, _MONEY, _NUMBER, _SHARE = "#,##0", "#,##0.00", "#,##0.00####", "0.00%"
_SHARES = re.compile(
    r"(^|_)(p_(?!\d)|(ctr|cvr)(?!.*against)|rate$|share(_|$)|fraction$|probability$|coverage(_|$)|completion(_|$))"
)
_DOLLARS = re.compile(
    r"(^|_)(spend|cost|revenue|budget|cac|cpc|cpm|cpa|value|amount|price|refund|payout|cap)(_|$)"
)


class DoesNotFit(ValueError):
    """A sheet cannot hold it; says what and what to do instead."""


@dataclass(frozen=True)
class About:
    """What the second sheet says.

    Attributes:
        facts: label and text, in order.
        columns: description by column; a column without one has an empty cell.
    """

    facts: Sequence[tuple[str, str]]
    columns: Mapping[str, str]


def workbook(name: str, rows: pl.DataFrame, about: About) -> bytes:
    """The bytes of an XLSX file: the rows in a sheet called `name`, then the sheet About.

    NULLs are blank cells. Moments are in UTC, which has no place in a cell; About says so. Infinite values
    and NaN become the error #NUM!, which no sum takes for a number.

    Raises:
        DoesNotFit: more rows than a sheet has, or a text longer than a cell.
    """
    _require_room(rows)
    shown = _as_cells(rows)
    buffer = io.BytesIO()
    options = {
        # A text that begins with = is a text: ad names come from outside.
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
        "in_memory": True,
    }
    with xlsxwriter.Workbook(buffer, options) as book:
        shown.write_excel(
            book,
            name[:31],
            table_style="Table Style Light 1",
            column_formats={column: shape for column in rows.columns if (shape := _format(rows, column))},
            column_widths=_widths(shown),
            freeze_panes=(1, 0),
            autofilter=True,
        )
        _write_about(book, rows, about)
    return buffer.getvalue()


def unit_of(rows: pl.DataFrame, column: str) -> str:
    """What the numbers of a column are, in words."""
    kind = rows.schema[column]
    if kind == pl.Date:
        return "day"
    if isinstance(kind, pl.Datetime):
        return "moment, UTC"
    if kind.is_integer():
        return "count"
    if not kind.is_numeric():
        return "true or false" if kind == pl.Boolean else "text"
    if _SHARES.search(column):
        return "share of one, shown as %"
    return "money, account currency" if _DOLLARS.search(column) else "number"


def _format(rows: pl.DataFrame, column: str) -> str | None:
    formats = {
        "day": _DAY,
        "moment, UTC": _MOMENT,
        "count": _WHOLE,
        "share of one, shown as %": _SHARE,
        "money, account currency": _MONEY,
        "number": _NUMBER,
    }
    return formats.get(unit_of(rows, column))


def _require_room(rows: pl.DataFrame) -> None:
    if rows.height > MOST_ROWS:
        raise DoesNotFit(
            f"{rows.height:,} rows: a sheet holds {MOST_ROWS:,} below its header. Ask for fewer days with "
            "--since and --until, or write --csv, which has no end."
        )
    for column, kind in rows.schema.items():
        if kind == pl.String:
            longest = rows[column].str.len_chars().max()
            if isinstance(longest, int) and longest > MOST_CHARACTERS:
                raise DoesNotFit(
                    f"{column}: a text of {longest:,} characters; a cell holds {MOST_CHARACTERS:,}. Write "
                    "--csv, which cuts nothing."
                )


def _as_cells(rows: pl.DataFrame) -> pl.DataFrame:
    changed = []
    for column, kind in rows.schema.items():
        if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
            told = pl.col(column).dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            changed.append(told)
        elif kind.is_integer() and (rows[column].cast(pl.Int128).abs() > _EXACT_INTEGERS).any():
            changed.append(pl.col(column).cast(pl.String))
    return rows.with_columns(changed)


def _widths(rows: pl.DataFrame) -> dict[Any, int]:
    """Pixels by column, wide enough for its name and its first rows."""
    widths = {}
    for column in rows.columns:
        seen = rows[column].head(_LOOKED_AT).cast(pl.String, strict=False).str.len_chars().max()
        letters = max(len(column) + 3, min(seen if isinstance(seen, int) else 0, _WIDEST))
        widths[column] = 7 * min(letters, _WIDEST) + 12
    return widths


def _write_about(book: xlsxwriter.Workbook, rows: pl.DataFrame, about: About) -> None:
    sheet = book.add_worksheet("About")
    bold, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    for number, (label, text) in enumerate(about.facts):
        sheet.write_string(number, 0, label, bold)
        sheet.write_string(number, 1, text)
    top = len(about.facts) + 1
    for place, label in enumerate(("Column", "Description", "Unit")):
        sheet.write_string(top, place, label, bold)
    for number, column in enumerate(rows.columns, start=top + 1):
        sheet.write_string(number, 0, column)
        sheet.write_string(number, 1, about.columns.get(column, ""), wrapped)
        sheet.write_string(number, 2, unit_of(rows, column))
    sheet.set_column(0, 0, 32)
    sheet.set_column(1, 1, 90)
    sheet.set_column(2, 2, 26)
