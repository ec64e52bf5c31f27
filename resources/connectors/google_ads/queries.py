"""Queries and how their answers read as text: a column is a field path and a kind of value.

Here: GAQL, and exact text from protobuf fields. Not here: which queries a report is made of (`reports`,
`snapshots`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any, Literal

from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow

from resources.connectors.errors import ErrorClass, PlatformError

# plain: text, ids, enum names, booleans, exact numbers; micros: a millionth of the currency's unit;
# tail: the id at the end of a resource name; texts: repeated values joined by " | ";
# first: the first of them.
Kind = Literal["plain", "micros", "tail", "texts", "first"]

_MICROS = -6
_UNSET = ("UNSPECIFIED", "UNKNOWN")
_ROW = GoogleAdsRow.pb(GoogleAdsRow()).DESCRIPTOR

Read = Callable[[Any], str | None]


@dataclass(frozen=True)
class Column:
    """A field of the answer.

    Attributes:
        path: GAQL name, such as `ad_group_ad.ad.id`.
        names: what to call the platform's enum values instead of their own names.
        selected: what to SELECT where Google gives the field only as a part of a larger one.
    """

    path: str
    kind: Kind = "plain"
    names: Mapping[str, str] | None = None
    selected: str | None = None


@dataclass(frozen=True)
class Query:
    """SELECT columns FROM resource WHERE conditions, LIMIT where the resource demands one."""

    resource: str
    columns: Mapping[str, Column]
    conditions: Sequence[str] = ()
    limit: int | None = None
    newest_first: str | None = None

    @property
    def text(self) -> str:
        parts = [f"SELECT {', '.join(self.selected)} FROM {self.resource}"]  # noqa: S608 - GAQL only reads
        if self.conditions:
            parts.append(f"WHERE {' AND '.join(self.conditions)}")
        if self.newest_first is not None:
            parts.append(f"ORDER BY {self.newest_first} DESC")
        if self.limit is not None:
            parts.append(f"LIMIT {self.limit}")
        return " ".join(parts)

    @property
    def selected(self) -> list[str]:
        return list(dict.fromkeys(column.selected or column.path for column in self.columns.values()))

    def where(self, *conditions: str) -> Query:
        """The same query with further conditions."""
        return Query(
            self.resource, self.columns, (*self.conditions, *conditions), self.limit, self.newest_first
        )

    def read(self, response: Any) -> dict[str, list[str | None]]:
        """The columns of one response, a text per row, null where the field is not set.

        Raises:
            PlatformError: TRANSIENT where a number is none (NaN, infinity).
        """
        return {
            name: [read(row) for row in response.results]
            for name, read in ((name, reader(column)) for name, column in self.columns.items())
        }


def days(first: object, last: object) -> str:
    """Condition on the account-local day, both ends included."""
    return f"segments.date BETWEEN '{first}' AND '{last}'"


def one_of(path: str, values: Sequence[str]) -> str:
    """Condition that a number is one of these."""
    return f"{path} IN ({', '.join(values)})"


def decimal_text(value: Decimal) -> str:
    """Plain decimal text without trailing zeros: never an exponent."""
    return format(value.normalize(), "f")


@functools.cache
def _fields(path: str) -> tuple[tuple[str, ...], Any]:
    """Attribute names down to a leaf, and its descriptor; names that Python reserves end in `_`."""
    names: list[str] = []
    descriptor, field = _ROW, None
    for step in path.split("."):
        field = descriptor.fields_by_name.get(step) or descriptor.fields_by_name[f"{step}_"]
        names.append(field.name)
        descriptor = field.message_type
    return tuple(names), field


def reader(column: Column) -> Read:
    """A function from a GoogleAdsRow message to the column's text."""
    (*parents, leaf), field = _fields(column.path)
    convert, holder, value = _converter(column, field), attrgetter(".".join(parents)), attrgetter(leaf)

    def read(row: Any) -> str | None:
        return convert(value(holder(row)))

    def read_if_set(row: Any) -> str | None:
        message = holder(row)
        return convert(value(message)) if message.HasField(leaf) else None

    return read_if_set if field.has_presence else read


def _converter(column: Column, field: Any) -> Callable[[Any], str | None]:
    if column.kind == "micros":
        return lambda value: decimal_text(Decimal(value).scaleb(_MICROS))
    if column.kind == "tail":
        return lambda value: value.rpartition("/")[2] or None
    if column.kind in ("texts", "first"):
        last = 1 if column.kind == "first" else None
        if field.message_type is None:
            return lambda values: " | ".join(values[:last]) or None
        return lambda values: " | ".join(value.text for value in values[:last]) or None
    if field.enum_type is not None:
        return functools.partial(_enum_name, field.enum_type.values_by_number, column.names or {})
    if field.message_type is not None:
        return lambda mask: ",".join(sorted(mask.paths)) or None
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return functools.partial(_double, column.path)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return lambda value: "true" if value else "false"
    return lambda value: str(value) or None


def _enum_name(values: Mapping[int, Any], names: Mapping[str, str], number: int) -> str | None:
    known = values.get(number)
    if known is None:
        return str(number)  # a value newer than this version: kept apart, never dropped
    return None if known.name in _UNSET else names.get(known.name, known.name)


def _double(path: str, value: float) -> str:
    if not math.isfinite(value):
        raise PlatformError(ErrorClass.TRANSIENT, f"Google Ads answered {value} for {path}.")
    return decimal_text(Decimal(repr(value)))
