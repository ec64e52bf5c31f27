"""JSON values as the text rows that sources hand over: exact numbers, moments in UTC, absent keys.

Here: one value, and a page of rows. Not here: which field is which (each connector).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

from resources.connectors.errors import ErrorClass, PlatformError
from resources.landing.streams import Stream

ABSENT = "__none__"


def decimal_text(value: Any, field: str) -> str | None:
    """Plain decimal text of a JSON number or of a text that is one, every digit kept; None for nothing.

    No exponent, no zeros at the end of a fraction: what the file drop writes of the same number.

    Raises:
        PlatformError: PERMANENT where it is no number: asking again brings the same.
    """
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise InvalidOperation
        number = Decimal(value)
        if not number.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise PlatformError(
            ErrorClass.PERMANENT, f"{field} is {str(value)[:60]!r}, where a number must be."
        ) from None
    plain = format(number, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain in ("-0", "") else plain


def text(value: Any) -> str | None:
    """A JSON value as text, nested ones as JSON; None for nothing and for empty text."""
    if value is None or value == "":
        return None
    if isinstance(value, dict | list):
        return json.dumps(value, default=str, sort_keys=True)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def moment_text(moment: datetime) -> str:
    """ISO 8601 in UTC to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def page_rows(rows: Sequence[Mapping[str, str | date | None]], stream: Stream) -> pl.DataFrame:
    """Rows of a stream as a page's frame: every key and field a column, then those only this page knows."""
    known = ("report_date", *stream.keys, *stream.fields)
    extra = dict.fromkeys(name for row in rows for name in row if name not in known)
    schema = {name: pl.Date() if name == "report_date" else pl.String() for name in (*known, *extra)}
    frame = pl.DataFrame({name: [row.get(name) for row in rows] for name in schema}, schema=schema)
    return frame.with_columns(pl.col(list(stream.keys)).fill_null(ABSENT))
