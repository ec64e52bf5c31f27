"""One batch of text cells turned into records of a raw stream, canonical but not yet judged.

Here: applying a mapping to columns. Not here: how single values are read (`values.py`), which records
are acceptable (`validation.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import polars as pl

from resources.files.batches import Batch
from resources.files.mapping import (
    Column,
    Constant,
    DateColumn,
    DateOfTimestamp,
    DateParts,
    HeaderCurrency,
    Joined,
    Mapping,
    PeriodColumn,
    Record,
    Value,
)
from resources.files.recognition import Header
from resources.files.values import (
    NULL_NAMES,
    NULL_NUMBERS,
    DecimalStyle,
    map_distinct,
    moment_text,
    moments,
    numbers,
    read_boolean,
    read_day,
    read_day_parts,
)
from resources.landing.accounts import spelt_all
from resources.landing.streams import NUMERIC_KINDS

NO_KEY = "__none__"


@dataclass(frozen=True)
class Draft:
    """Records of one batch before judgement.

    `frame`: line, ordinal (unique in the file), source, account_id, account_name, currency, report_date,
    breakdown_set, the stream's keys and its payload fields, all text but line, ordinal and the date.
    `day`, `day_text`: the day checked against the calendar, and how the file writes it.
    `unreadable`: per field, where the text is not what the field wants (the text is kept).
    `plain`: numeric fields in which every cell is a plain number >= 0.
    """

    frame: pl.DataFrame
    day: pl.Series | None
    day_text: pl.Series | None
    covers_range: pl.Series | None
    currency_clash: pl.Series | None
    unreadable: dict[str, pl.Series]
    plain: frozenset[str]


@dataclass(frozen=True)
class Parser:
    """A mapping bound to one file's header."""

    mapping: Mapping
    header: Header
    style: DecimalStyle
    zone: ZoneInfo

    def parse(self, batch: Batch) -> list[Draft]:
        """A draft per record of the mapping: a batch of n rows gives len(records) drafts of n."""
        records = self.mapping.flat_records
        return [self._draft(batch, record, index, len(records)) for index, record in enumerate(records)]

    def _draft(self, batch: Batch, record: Record, index: int, count: int) -> Draft:
        stream = self.mapping.target
        height = batch.cells.height
        source = self._text(batch, self.mapping.source)
        columns: dict[str, pl.Series] = {
            "line": batch.lines,
            "ordinal": batch.lines * count + index,
            "source": source,
            "account_id": spelt_all(source, self._text(batch, cast(Value, record.account_id))),
            "breakdown_set": pl.repeat(self.breakdown_set, height, eager=True),
        }
        unreadable: dict[str, pl.Series] = {}
        plain = set()
        for name, kind in stream.fields.items():
            value = record.fields.get(name)
            if value is None:
                continue
            if kind in NUMERIC_KINDS:
                columns[name], is_plain = self._number(batch, value)
                plain |= {name} if is_plain else set()
                continue
            text = self._text(batch, value)
            if kind == "text":
                columns[name] = text
            else:
                columns[name], unreadable[name] = self._typed(text, kind)
        currency, clash = self._currency(batch)
        if stream.has_account_fields:
            name_column = record.account_name
            given = self._text(batch, name_column) if name_column is not None else columns["account_id"]
            columns["account_name"] = given.fill_null(columns["account_id"])
        if currency is not None:
            columns["currency"] = currency
        for key in stream.keys:
            if key != "period":
                columns[key] = self._key(batch, record, key, columns)
        day, day_text, covers_range = self._day(batch)
        self._place_in_time(columns, day, height)
        frame = pl.DataFrame({name: column.rename(name) for name, column in columns.items()})
        return Draft(frame, day, day_text, covers_range, clash, unreadable, frozenset(plain))

    @property
    def breakdown_set(self) -> str:
        if self.mapping.breakdown_set is not None:
            return self.mapping.breakdown_set
        if self.mapping.target.is_experiment:
            return "none"  # segments cut a test's users, they do not repeat them
        for record in self.mapping.flat_records:
            for key in ("placement", "segment"):
                value = record.keys.get(key)
                if isinstance(value, Column) and self.header.position(value.headers) is not None:
                    return "placement"
        return "none"

    @property
    def grain_columns(self) -> list[str]:
        """Columns of this file that say which row is which: its day, account and keys, as it names them."""
        named: list[tuple[str, ...]] = []
        match self.mapping.date or self.mapping.period:
            case DateColumn() | PeriodColumn() as dated:
                named.append(dated.headers)
            case DateParts(month=month, day=day):
                named += [(month,), (day,)]
            case DateOfTimestamp(timestamp=timestamp):
                named.append((timestamp,))
            case _:
                pass
        for record in self.mapping.flat_records:
            for value in (self.mapping.source, record.account_id, *record.keys.values()):
                if isinstance(value, Column):
                    named.append(value.headers)
                elif isinstance(value, Joined):
                    named += [(name,) for name in value.join]
        positions = [self.header.position(headers) for headers in named]
        return list(dict.fromkeys(self.header.columns[place] for place in positions if place is not None))

    def _cells(self, batch: Batch, headers: Sequence[str]) -> pl.Series | None:
        position = self.header.position(headers)
        return None if position is None else batch.cells[f"c{position}"]

    def _text(self, batch: Batch, value: Value) -> pl.Series:
        height = batch.cells.height
        match value:
            case Constant(constant=constant):
                return pl.repeat(constant, height, dtype=pl.String, eager=True)
            case Joined(join=join, separator=separator):
                parts = [cast(pl.Series, self._cells(batch, (name,))).str.strip_chars() for name in join]
                return pl.select(pl.concat_str(parts, separator=separator)).to_series()
            case Column(replace=replace):
                cells = self._cells(batch, value.headers)
                if cells is None:
                    return pl.repeat(None, height, dtype=pl.String, eager=True)
                text = cells.str.strip_chars()
                if replace:
                    text = text.replace(replace)
                nulls = (NULL_NAMES | set(self.mapping.null_markers)) - set(replace.values())
                # Markers are short, and most names are not: only short texts are compared with them.
                if not (text.str.len_bytes() <= max(len(marker.encode()) for marker in nulls)).any():
                    return text
                empty = text.is_in(sorted(nulls))
                return pl.select(pl.when(~empty).then(text)).to_series() if empty.any() else text

    def _number(self, batch: Batch, value: Value) -> tuple[pl.Series, bool]:
        if isinstance(value, Column):
            cells = self._cells(batch, value.headers)
            if cells is None:
                return pl.repeat(None, batch.cells.height, dtype=pl.String, eager=True), True
            nulls = NULL_NUMBERS | {marker.casefold() for marker in self.mapping.null_markers}
            return numbers(cells, self.style, nulls, value.round)
        return numbers(self._text(batch, value), "point", NULL_NUMBERS, None)

    def _typed(self, text: pl.Series, kind: str) -> tuple[pl.Series, pl.Series]:
        """Canonical text of moments (UTC), days (ISO) and booleans, and where it could not be read."""
        if kind == "timestamp":
            known = moment_text(moments(text, self.zone))
        elif kind == "date":
            known = map_distinct(text, lambda cell: read_day(cell, ("%Y-%m-%d",)), pl.Date()).dt.to_string(
                "%Y-%m-%d"
            )
        else:
            known = map_distinct(text, read_boolean, pl.String())
        bad = text.is_not_null() & known.is_null()
        return known.fill_null(text), bad

    def _currency(self, batch: Batch) -> tuple[pl.Series | None, pl.Series | None]:
        """Currency codes, and where a column contradicts the header's code."""
        match self.mapping.currency:
            case None:
                return None, None
            case HeaderCurrency(header=header, column=column):
                code = self.header.currency_of(header)
                cells = None if column is None else self._cells(batch, (column,))
                if cells is None:
                    return pl.repeat(code, batch.cells.height, dtype=pl.String, eager=True), None
                named = self._text(batch, Column(column=cast(str, column))).str.to_uppercase()
                if code is None:
                    return named, None
                return named.fill_null(code), named.fill_null(code) != code
            case value:
                return self._text(batch, value).str.to_uppercase(), None

    def _key(self, batch: Batch, record: Record, key: str, columns: dict[str, pl.Series]) -> pl.Series:
        value = record.keys.get(key)
        height = batch.cells.height
        found = (
            self._text(batch, value)
            if value is not None
            else pl.repeat(None, height, dtype=pl.String, eager=True)
        )
        if found.null_count():
            # A row with a name but no id keeps apart from other names.
            name = columns.get(f"{key.removesuffix('_id')}_name")
            found = found if name is None else found.fill_null(name)
            if key not in self.mapping.target.required_keys:
                found = found.fill_null(NO_KEY)
        return found

    def _day(self, batch: Batch) -> tuple[pl.Series | None, pl.Series | None, pl.Series | None]:
        match self.mapping.date or self.mapping.period:
            case DateColumn() as dated:
                text = cast(pl.Series, self._cells(batch, dated.headers))
                day = map_distinct(text, lambda cell: read_day(cell, dated.formats), pl.Date())
                last = None if dated.same_as is None else self._cells(batch, (dated.same_as,))
                return day, text, None if last is None else last.str.strip_chars() != text.str.strip_chars()
            case DateParts(year=year, month=month, day=day_header):
                months = cast(pl.Series, self._cells(batch, (month,)))
                days = cast(pl.Series, self._cells(batch, (day_header,)))
                text = pl.select(pl.concat_str([days, months], separator=" ")).to_series()

                def read(cell: str) -> date | None:
                    first, _, rest = cell.partition(" ")
                    return read_day_parts(year, rest, first)

                return map_distinct(text, read, pl.Date()), text, None
            case DateOfTimestamp(timestamp=header):
                text = cast(pl.Series, self._cells(batch, (header,)))
                local = moments(text, self.zone).dt.convert_time_zone(self.zone.key)
                return local.dt.date(), text, None
            case PeriodColumn(column=header, formats=formats):
                text = cast(pl.Series, self._cells(batch, (header,)))
                return map_distinct(text, lambda cell: read_day(cell, formats), pl.Date()), text, None
            case _:
                return None, None, None

    def _place_in_time(self, columns: dict[str, pl.Series], day: pl.Series | None, height: int) -> None:
        """report_date of a daily record; key and bounds of a period one, which has no report_date."""
        period = self.mapping.period
        no_day = pl.repeat(None, height, dtype=pl.Date, eager=True)
        if isinstance(period, Constant):
            columns["report_date"] = no_day
            columns["period"] = pl.repeat(period.constant, height, dtype=pl.String, eager=True)
        elif isinstance(period, PeriodColumn):
            assert day is not None
            start = day.dt.to_string("%Y-%m-%d")
            end = (day + timedelta(days=period.days - 1)).dt.to_string("%Y-%m-%d")
            columns |= {"report_date": no_day, "period_start": start, "period_end": end}
            columns["period"] = start + ".." + end
        else:
            assert day is not None
            columns["report_date"] = day


def zone_of(mapping: Mapping, business_timezone: str) -> ZoneInfo:
    """The zone of an account's days: the mapping's, else the business's."""
    return ZoneInfo(mapping.timezone or business_timezone)
