"""Mapping files: which column of an export is which field of a raw stream, as typed YAML.

Here: the model of a mapping file and its loading; unknown keys are refused with their path. Not here:
matching a file's header against mappings (`recognition.py`) and reading values (`values.py`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from fsspec import AbstractFileSystem
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from resources.files.mapping_faults import fault_lines
from resources.files.names import leads_outside, told
from resources.files.opening import OutOfReach, read_blocks
from resources.files.values import reads_days, reads_weeks
from resources.landing.streams import NUMERIC_KINDS, STREAMS, Stream
from resources.settings.values import is_timezone
from resources.yaml_loading import RepeatedKeyError, load_yaml

_LARGEST_MAPPING = 1 << 20
SHIPPED_MAPPINGS = Path(__file__).parent / "mappings"

# Part of every request hash: raise it when reading changes what the same bytes land as.
READER_VERSION = "2"

PLAIN_LABEL = r"^[a-z][a-z0-9_]{0,59}$"
_CURRENCY = r"^[A-Za-z]{3}$"

Label = Annotated[str, Field(pattern=PLAIN_LABEL)]


class MappingError(ValueError):
    """A mapping file cannot be used; the message names the file, the path inside it and what is allowed."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Section):
    """A column of the export: by header, or by the first of several headers that is there."""

    column: str | tuple[str, ...]
    optional: bool = False
    replace: dict[str, str] = {}
    round: Annotated[int | None, Field(ge=0, le=9)] = None

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.column,) if isinstance(self.column, str) else self.column


class Constant(Section):
    constant: str


class Joined(Section):
    """Several columns made one readable identifier: `camp 1|728 x 90`."""

    join: Annotated[tuple[str, ...], Field(min_length=2)]
    separator: str = "|"


class HeaderCurrency(Section):
    """The currency written into a header: `Amount spent (USD)`; a `column` that is there must agree."""

    header: str
    column: str | None = None


def _as_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str | list) else value


def _day_formats(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if not reads_days(pattern):
            raise ValueError(
                f"{pattern!r} reads no day. Day, month and year are written %d, %m and %Y (%y for two "
                "digits, %b for Jun, %B for June): 30.06.2026 is %d.%m.%Y"
            )
    return patterns


def _period_formats(patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(pattern for pattern in patterns if reads_weeks(pattern) or _day_formats((pattern,)))


PeriodFormats = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_period_formats)]
DayFormats = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_day_formats)]

_Bare = Field(union_mode="left_to_right")
Value = Annotated[Column | Constant | Joined, _Bare]


class DateColumn(Section):
    """The day in one column; formats are tried in order and the first that reads wins."""

    column: str | tuple[str, ...]
    formats: DayFormats = ("%Y-%m-%d",)
    # An export without a day breakdown covers a range in one row: start and end differ.
    same_as: str | None = None

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.column,) if isinstance(self.column, str) else self.column


class DateParts(Section):
    """The day in pieces: English month names or numbers, with the year fixed by the mapping."""

    year: Annotated[int, Field(ge=1990, le=2100)]
    month: str
    day: str


class DateOfTimestamp(Section):
    """The account-local day of a moment; a moment without zone is taken as account-local."""

    timestamp: str


class PeriodColumn(Section):
    """A period of `days` starting at the day in `column`, or on the Monday of the week numbered there."""

    column: str
    formats: PeriodFormats = ("%Y-%m-%d",)
    days: Annotated[int, Field(ge=1, le=366)]

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.column,)

    @model_validator(mode="after")
    def _weeks_have_seven_days(self) -> PeriodColumn:
        if self.days != 7 and any(reads_weeks(pattern) for pattern in self.formats):
            raise ValueError(f"{self.formats} name weeks, which have 7 days (found {self.days})")
        return self


class Record(Section):
    """One of several records an input row holds; what it says is laid over the mapping's own."""

    account_id: Value | None = None
    account_name: Value | None = None
    keys: dict[str, Value] = {}
    fields: dict[str, Value] = {}

    @field_validator("account_id", "account_name", mode="before")
    @classmethod
    def _bare_value(cls, value: Any) -> Any:
        return _as_column(value)

    @field_validator("keys", "fields", mode="before")
    @classmethod
    def _bare_values(cls, values: Any) -> Any:
        return {k: _as_column(v) for k, v in values.items()} if isinstance(values, dict) else values


class MappingTrackRule(Section):
    """Campaigns of this mapping's source that belong to a track; shell-style `*`, without case."""

    track: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    account: str = "*"
    campaign: str = "*"


class Mapping(Section):
    """One export format. Bare strings are column headers; anything fixed is `{constant: ...}`."""

    name: Label
    title: str
    stream: str
    source: Value
    account_id: Value
    account_name: Value | None = None
    currency: Annotated[Column | HeaderCurrency | Constant, _Bare] | None = None
    timezone: str | None = None
    date: Annotated[DateParts | DateOfTimestamp | DateColumn, _Bare] | None = None
    period: Annotated[PeriodColumn | Constant, _Bare] | None = None
    # Left out: `placement` where the file has a placement or segment column, else `none`.
    breakdown_set: Label | None = None
    keys: dict[str, Value] = {}
    fields: dict[str, Value] = {}
    records: tuple[Record, ...] = ()
    # Columns that must also be there, and columns whose presence means another format.
    also: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    null_markers: tuple[str, ...] = ()
    decimal: Literal["auto", "point", "comma"] = "auto"
    encoding: str | None = None
    footers: tuple[str, ...] = ()
    click_attributed: bool = True
    overlap: Literal["refuse", "union", "replace"] = "refuse"
    declared_lever: Literal["campaign", "adgroup", "ad"] | None = None
    maturity_days: Annotated[int | None, Field(ge=0, le=90)] = None
    track_rules: tuple[MappingTrackRule, ...] = ()
    notes: str = ""

    @field_validator("source", "account_id", "account_name", "currency", mode="before")
    @classmethod
    def _bare_value(cls, value: Any) -> Any:
        return _as_column(value)

    @field_validator("keys", "fields", mode="before")
    @classmethod
    def _bare_values(cls, values: Any) -> Any:
        return {k: _as_column(v) for k, v in values.items()} if isinstance(values, dict) else values

    @field_validator("stream")
    @classmethod
    def _known_stream(cls, value: str) -> str:
        if value not in STREAMS:
            raise ValueError(f"must be one of {sorted(STREAMS)}")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str | None) -> str | None:
        if value is not None and not is_timezone(value):
            raise ValueError("must be an IANA time zone such as America/New_York")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        try:
            "a".encode(value or "utf-8")
        except (LookupError, UnicodeError):
            raise ValueError(
                f"{value!r} is no text encoding known here; such as utf-8, cp1252, latin-1, utf-16 or gb18030"
            ) from None
        return value

    @field_validator("source")
    @classmethod
    def _source_label(cls, value: Value) -> Value:
        if isinstance(value, Constant) and not re.match(PLAIN_LABEL, value.constant):
            raise ValueError(
                f"{value.constant!r} is no plain label such as google_ads or my_newsletter: a to z, digits "
                "and _, beginning with a letter, at most 60 characters"
            )
        return value

    @field_validator("currency")
    @classmethod
    def _currency_code(cls, value: Column | HeaderCurrency | Constant | None) -> Any:
        if isinstance(value, Constant) and not re.match(_CURRENCY, value.constant):
            raise ValueError(
                f"{value.constant!r} is no currency code: three letters such as EUR, or XXX where nobody "
                "knows it"
            )
        return value

    @model_validator(mode="after")
    def _fits_stream(self) -> Mapping:
        stream = self.target
        keys = set(stream.keys) - {"period"}
        for part, given, allowed in self._named_targets(keys):
            unknown = sorted(set(given) - allowed)
            if unknown:
                raise ValueError(f"{part}: {unknown} are not in {stream.name}; allowed: {sorted(allowed)}")
        if stream.is_period and (self.period is None or self.date is not None):
            raise ValueError(f"{stream.name} needs `period` and takes no `date`")
        if stream.is_weekly and not (isinstance(self.period, PeriodColumn) and self.period.days == 7):
            raise ValueError(f"{stream.name} holds weeks: `period: {{column: ..., days: 7}}`")
        is_daily = isinstance(self.period, PeriodColumn) and self.period.days == 1
        if is_daily and not stream.is_experiment:
            raise ValueError(f"{stream.name} holds periods of 2 days and more; single days are `date`")
        if stream.is_experiment and not isinstance(self.period, PeriodColumn):
            raise ValueError(
                f"{stream.name} needs to know when: `period: {{column: ..., days: 1}}`, or 7 for weeks"
            )
        if stream.is_experiment and self.overlap != "union":
            raise ValueError(
                f"{stream.name} needs `overlap: union`: a file about one test must leave the account's others"
            )
        if not stream.is_period and (self.date is None or self.period is not None):
            raise ValueError(f"{stream.name} needs `date` and takes no `period`")
        if "currency" in stream.fields and self.currency is None:
            raise ValueError("currency: required, but missing. Say {constant: XXX} where nobody knows it.")
        return self

    def _named_targets(self, keys: set[str]) -> Iterator[tuple[str, dict[str, Value], set[str]]]:
        owned = {"account_name", "currency", "period_start", "period_end"}
        fields = set(self.target.fields) - owned
        yield "keys", self.keys, keys
        yield "fields", self.fields, fields
        for index, record in enumerate(self.records):
            yield f"records.{index}.keys", record.keys, keys
            yield f"records.{index}.fields", record.fields, fields

    @property
    def target(self) -> Stream:
        return STREAMS[self.stream]

    @cached_property
    def flat_records(self) -> tuple[Record, ...]:
        """Each record with the mapping's own account, keys and fields beneath it; at least one."""
        return tuple(
            Record(
                account_id=record.account_id or self.account_id,
                account_name=record.account_name or self.account_name,
                keys={**self.keys, **record.keys},
                fields={**self.fields, **record.fields},
            )
            for record in (self.records or (Record(),))
        )

    @cached_property
    def column_groups(self) -> tuple[tuple[tuple[str, ...], bool], ...]:
        """Every column referred to: its alternative headers, and whether the format is lost without it."""
        groups: dict[tuple[str, ...], bool] = {}

        def add(value: object) -> None:
            match value:
                case Column():
                    groups[value.headers] = groups.get(value.headers, False) or not value.optional
                case Joined():
                    groups.update({(name,): True for name in value.join})
                case HeaderCurrency():
                    groups[(value.header,)] = True
                    if value.column is not None:
                        groups.setdefault((value.column,), False)
                case DateColumn():
                    groups[value.headers] = True
                    if value.same_as is not None:
                        groups[(value.same_as,)] = True
                case DateParts():
                    groups.update({(value.month,): True, (value.day,): True})
                case DateOfTimestamp():
                    groups[(value.timestamp,)] = True
                case PeriodColumn():
                    groups[(value.column,)] = True
                case _:
                    pass

        for part in (self.source, self.currency, self.date, self.period):
            add(part)
        for record in self.flat_records:
            for value in (record.account_id, record.account_name, *record.keys.values()):
                add(value)
            for value in record.fields.values():
                add(value)
        for name in self.also:
            groups[(name,)] = True
        return tuple(groups.items())

    @cached_property
    def numeric_headers(self) -> tuple[tuple[tuple[str, ...], bool], ...]:
        """Headers of the columns read as numbers, and whether these are whole: for telling decimal marks."""
        kinds = self.target.fields
        return tuple(
            (value.headers, kinds[field] == "count")
            for record in self.flat_records
            for field, value in record.fields.items()
            if isinstance(value, Column) and kinds[field] in NUMERIC_KINDS
        )

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the mapping and the reader's version: the same bytes under it land as the same rows."""
        return hashlib.sha256(f"{READER_VERSION}:{self.model_dump_json()}".encode()).hexdigest()


def parse_mapping(text: str, where: str) -> Mapping:
    """A mapping from YAML text.

    Raises:
        MappingError: unreadable YAML, an unknown key, or an impossible value; one line per fault.
    """
    try:
        document = load_yaml(text)
    except RepeatedKeyError as error:
        raise MappingError(f"{where}: {error}") from None
    except yaml.YAMLError as error:
        raise MappingError(f"{where}: not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise MappingError(f"{where}: expected a mapping file, found {type(document).__name__}")
    try:
        return Mapping.model_validate(document)
    except ValidationError as error:
        faults = fault_lines(error, _SECTIONS)
        raise MappingError("\n".join(f"{where}: {fault}" for fault in faults)) from None


_SECTIONS = frozenset(
    section.__name__
    for section in (
        Column, Constant, Joined, HeaderCurrency, DateColumn, DateParts, DateOfTimestamp, PeriodColumn
    )
)  # fmt: skip


@cache
def shipped_mappings() -> tuple[Mapping, ...]:
    """The formats the project knows, by file name."""
    return tuple(
        parse_mapping(path.read_text(encoding="utf-8"), path.name)
        for path in sorted(SHIPPED_MAPPINGS.glob("*.yaml"))
    )


def user_mappings(filesystem: AbstractFileSystem, root: str, names: Sequence[str]) -> tuple[Mapping, ...]:
    """Mappings of every `*.yaml` / `*.yml` in those folders of a drop folder that exist, by path.

    Raises:
        MappingError: one cannot be read or used, lies outside the drop folder, or two carry the same name.
    """
    found: dict[str, Mapping] = {}
    for folder in (f"{root}/{name}" for name in names):
        if not filesystem.isdir(folder):
            continue
        for path in sorted(filesystem.ls(folder, detail=False)):
            if not str(path).endswith((".yaml", ".yml")):
                continue
            where = told(f"{folder.rsplit('/', 1)[-1]}/{str(path).rsplit('/', 1)[-1]}")
            if leads_outside(filesystem, path, root):
                raise MappingError(f"{where}: leads outside the drop folder. Copy it in its place.")
            if not filesystem.isfile(path) or filesystem.size(path) > _LARGEST_MAPPING:
                raise MappingError(f"{where}: no mapping file, or larger than {_LARGEST_MAPPING:,} bytes.")
            try:
                text = b"".join(read_blocks(filesystem, path)).decode("utf-8-sig")
            except OutOfReach as error:
                raise MappingError(f"{where}: {error}") from None
            except UnicodeDecodeError:
                raise MappingError(f"{where}: not UTF-8 text. Save it as UTF-8.") from None
            mapping = parse_mapping(text, where)
            if mapping.name in found:
                raise MappingError(f"{where}: the name {mapping.name!r} is taken by another mapping file")
            found[mapping.name] = mapping
    return tuple(found.values())
