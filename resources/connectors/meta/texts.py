"""Meta's JSON values as the texts raw rows hold.

Here: numbers, moments and minor units as exact text, and frames of them. Not here: which field is which.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from resources.connectors.errors import ErrorClass, PlatformError
from resources.landing.streams import NUMERIC_KINDS, Stream

ABSENT_KEY = "__none__"

_PLAIN = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"
# Currencies Meta counts in whole units; every other amount is in hundredths.
_WHOLE_UNITS = frozenset({"CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"})


def text(value: object) -> str | None:
    """Any JSON value as text: itself, a plain number, or canonical JSON."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return _plain(value)
        case _:
            return json.dumps(value, sort_keys=True, separators=(",", ":"), default=text, ensure_ascii=False)


def _plain(value: Decimal) -> str:
    plain = format(value, "f")
    return (plain.rstrip("0").rstrip(".") if "." in plain else plain) or "0"


def required(entity: Mapping[str, Any], name: str) -> str:
    """A field without which an object means nothing, as text; raises PlatformError (TRANSIENT) without it."""
    value = text(entity.get(name))
    if not value:
        raise PlatformError(ErrorClass.TRANSIENT, f"Meta sent an object without {name}.")
    return value


def part(entity: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A nested object, empty where absent; raises PlatformError (TRANSIENT) where it is none."""
    value = entity.get(name)
    if not isinstance(value, Mapping | None):
        raise PlatformError(ErrorClass.TRANSIENT, f"Meta sent {name} in an unknown shape.")
    return value or {}


def parts(entity: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """A list of nested objects, empty where absent; raises PlatformError (TRANSIENT) where it is none."""
    value = entity.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise PlatformError(ErrorClass.TRANSIENT, f"Meta sent {name} in an unknown shape.")
    return value


def number(value: object, name: str) -> str | None:
    """A JSON number or numeric text as plain decimal text.

    Raises:
        PlatformError: TRANSIENT, where it is neither.
    """
    if value is None:
        return None
    try:
        read = Decimal(
            value if isinstance(value, str | int) and not isinstance(value, bool) else text(value) or ""
        )
    except InvalidOperation:
        read = Decimal("NaN")
    if not read.is_finite():
        raise PlatformError(ErrorClass.TRANSIENT, f"Meta sent {name} = {text(value)!r}, which is no number.")
    return _plain(read)


def numbers(values: pl.Series) -> pl.Series:
    """A column of numeric texts as plain decimal texts without zeros at the end.

    Raises:
        PlatformError: TRANSIENT, where one is no number.
    """
    if not values.str.contains(_PLAIN).all():  # all() passes over nulls
        return pl.Series(values.name, [number(value, values.name) for value in values], dtype=pl.String)
    fraction = values.str.contains(".", literal=True)
    if not fraction.any():
        return values
    stripped = values.str.strip_chars_end("0").str.strip_chars_end(".")
    return pl.select(pl.when(fraction).then(stripped).otherwise(values)).to_series().alias(values.name)


def column(name: str, rows: Sequence[Mapping[str, Any]], field: str) -> pl.Series:
    """One field of many rows as text, null where absent."""
    values = [row.get(field) for row in rows]
    if not {type(value) for value in values} <= {str, type(None)}:
        values = [text(value) for value in values]
    return pl.Series(name, values, dtype=pl.String)


def offset(currency: str) -> int:
    """How many of Meta's units make one of the currency."""
    return 1 if currency in _WHOLE_UNITS else 100


def money(value: object, currency: str, name: str) -> str | None:
    """An amount in Meta's minor units as account currency; Meta's 0 means that there is none.

    Raises:
        PlatformError: TRANSIENT, where it is no number.
    """
    read = number(value, name)
    if read is None or Decimal(read) == 0:
        return None
    return _plain(Decimal(read) / offset(currency))


def moment(value: object, zone: str) -> str | None:
    """A Graph API time (ISO 8601, or seconds since 1970) as ISO 8601 in the account's zone.

    Raises:
        PlatformError: TRANSIENT, where it is neither.
    """
    if value is None:
        return None
    try:
        if isinstance(value, int):
            read = datetime.fromtimestamp(value, ZoneInfo(zone))
        else:
            read = datetime.fromisoformat(str(value))
        if read.tzinfo is None:
            raise ValueError
    except (ValueError, OverflowError, OSError):
        raise PlatformError(
            ErrorClass.TRANSIENT, f"Meta sent {text(value)!r}, which is no moment with a zone."
        ) from None
    return read.astimezone(ZoneInfo(zone)).isoformat()


def frame(
    records: Iterable[Mapping[str, str | None]], stream: Stream, days: Collection[date] | date
) -> pl.DataFrame:
    """Records as rows of a stream: keys never null, every column text.

    Args:
        days: the day of all records, or of each.
    """
    listed = list(records)
    names = dict.fromkeys(stream.keys) | dict.fromkeys(name for record in listed for name in record)
    columns = [
        pl.Series(
            "report_date", [days] * len(listed) if isinstance(days, date) else list(days), dtype=pl.Date
        )
    ]
    for name in names:
        values = pl.Series(name, [record.get(name) for record in listed], dtype=pl.String)
        if name in stream.keys:
            values = values.fill_null(ABSENT_KEY)
        if stream.fields.get(name) in NUMERIC_KINDS:
            values = numbers(values)
        columns.append(values)
    return pl.DataFrame(columns)
