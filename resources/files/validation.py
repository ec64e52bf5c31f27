"""Which records are acceptable, which are kept but flagged, and why, in words a person can act on.

Here: the checks of single records, vectorised; words are found only for what is refused. Not here:
checks over a whole file (`reading.py`: duplicates, currencies) or against the warehouse (`publishing.py`).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from resources.files.mapping import PLAIN_LABEL
from resources.files.opening import UnreadableFile
from resources.files.parsing import Draft
from resources.landing.streams import NUMERIC_KINDS, Stream

KEY_LIMIT = 256
_OLDEST = date(1990, 1, 1)
TEXT_LIMIT = 10_000
# BigQuery's INT64; counts of 18 digits fit.
COUNT_DIGITS = 18

_CANONICAL = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"
_CURRENCY = r"^[A-Z]{3}$"
_CONTROL = r"[\x00-\x1f\x7f]"
# 1.20208E+17: what is left of a long id once a spreadsheet has shown it.
_ROUNDED_ID = r"^[0-9](?:\.[0-9]+)?[eE]\+[0-9]+$"
_ODD_KEY = f"{_CONTROL}|{_ROUNDED_ID}"
_NOT_FINITE = re.compile(r"^[+-]?(?:nan|inf|infinity)$", re.IGNORECASE)

Describe = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class Bounds:
    """Days a report may lie on, both included, and the weekday that weeks of the media mix start on (0 is
    Monday)."""

    first: date
    last: date
    week_starts_on: int = 0


@dataclass(frozen=True)
class Finding:
    """Rows that fail one check. `describe` words it for one of them."""

    rows: pl.Series
    describe: Describe


@dataclass(frozen=True)
class Judgement:
    """`refused` and `flagged` are masks over the draft; the reasons hold one entry per capped row."""

    refused: pl.Series
    refusals: list[tuple[int, str]]  # row index in the draft, reason
    flagged: pl.Series
    flags: list[tuple[int, str]]


def judge(draft: Draft, stream: Stream, bounds: Bounds, click_attributed: bool, most: int) -> Judgement:
    """Judge every record of a draft; at most `most` refusals and flags are put into words.

    Raises:
        UnreadableFile: a number or day spans lines: a quote was opened and never closed, and the reader
            swallowed the rows below it.
    """
    _require_closed_quotes(draft, stream)
    refused, refusals = _settle(draft, list(_refusals(draft, stream, bounds)), most)
    kept = ~refused
    flags = [
        Finding(finding.rows & kept, finding.describe) for finding in _flags(draft, stream, click_attributed)
    ]
    flagged, flag_words = _settle(draft, flags, most)
    return Judgement(refused, refusals, flagged, flag_words)


def _settle(draft: Draft, findings: list[Finding], most: int) -> tuple[pl.Series, list[tuple[int, str]]]:
    any_row = pl.repeat(False, draft.frame.height, eager=True)
    masks = []
    for finding in findings:
        mask = finding.rows.fill_null(False)
        if mask.any():
            masks.append((mask, finding.describe))
            any_row = any_row | mask
    words = []
    for index in any_row.arg_true().head(most).to_list():
        row = draft.frame.row(index, named=True)
        row["_day_text"] = draft.day_text[index] if draft.day_text is not None else None
        words.append((index, next(describe(row) for mask, describe in masks if mask[index])))
    return any_row, words


def _require_closed_quotes(draft: Draft, stream: Stream) -> None:
    numeric = [n for n, kind in stream.fields.items() if kind in NUMERIC_KINDS and n in draft.frame.columns]
    columns = [draft.frame[name] for name in numeric if name not in draft.plain]
    columns += [] if draft.day_text is None else [draft.day_text]
    for column in columns:
        broken = column.str.contains("\n", literal=True).fill_null(False)
        if broken.any():
            line = draft.frame["line"][int(broken.arg_true()[0])]
            raise UnreadableFile(
                f"line {line}: a number or day runs over several lines, so a quote is opened there and never "
                "closed. Mend that line and drop the file again"
            )


def _refusals(draft: Draft, stream: Stream, bounds: Bounds) -> Iterator[Finding]:
    frame = draft.frame
    yield Finding(
        ~frame["source"].str.contains(PLAIN_LABEL).fill_null(False),
        lambda row: f"source is {_shown(row['source'])}; a plain label such as meta or google_ads is needed.",
    )
    yield Finding(
        frame["account_id"].is_null(),
        lambda row: "account_id is empty, so the row belongs to no account.",
    )
    for key in stream.required_keys:
        yield Finding(
            frame[key].is_null(),
            lambda row, key=key: (  # type: ignore[misc]
                f"{key} is empty. That looks like a total line: loaded, it would count everything twice."
            ),
        )
    yield from _time_refusals(draft, bounds.last)
    if stream.is_experiment:
        # No partition is made of a test's days, so an archive may be as old as it is.
        yield from _too_old(
            draft,
            _OLDEST,
            f"before {_OLDEST}, and no split test of advertising is as old. No setting admits it: mend the "
            "date (its year is often cut or mistyped), or name its format in a mapping file.",
        )
    else:
        yield from _too_old(
            draft,
            bounds.first,
            f"before history_start ({bounds.first}). Move history_start in the settings if it is true.",
        )
    if stream.is_weekly:
        yield from _week_refusals(draft, bounds)
    for key in ("account_id", *(key for key in stream.keys if key != "period")):
        # One look decides for nearly every column that none of its keys is odd.
        if (frame[key].str.contains(_ODD_KEY) | (frame[key].str.len_bytes() > KEY_LIMIT)).any():
            yield from _key_refusals(frame[key], key)
    for name, kind in stream.fields.items():
        if name not in frame.columns:
            continue
        if kind in NUMERIC_KINDS:
            yield from _number_refusals(draft, name, kind)
        elif kind == "text" and name != "currency":
            yield Finding(
                frame[name].str.len_bytes() > TEXT_LIMIT,
                lambda row, name=name: (  # type: ignore[misc]
                    f"{name} is {len(row[name]):,} characters long; {TEXT_LIMIT:,} bytes are accepted."
                ),
            )
        elif name in draft.unreadable:
            yield Finding(
                draft.unreadable[name],
                lambda row, name=name, kind=kind: (  # type: ignore[misc]
                    f"{name} is {_shown(row[name])}, which is no {kind}. Write moments and days as ISO 8601 "
                    "(2026-06-30T13:05:01-04:00, 2026-06-30) and booleans as true or false."
                ),
            )
    if "currency" in frame.columns:
        yield Finding(
            ~frame["currency"].str.contains(_CURRENCY).fill_null(False),
            lambda row: f"currency is {_shown(row['currency'])}; a code such as USD is needed.",
        )


def _time_refusals(draft: Draft, last: date) -> Iterator[Finding]:
    if draft.covers_range is not None:
        yield Finding(
            draft.covers_range,
            lambda row: "the row covers more than one day. Export with a breakdown by day.",
        )
    if draft.day is None:
        return
    yield Finding(
        draft.day.is_null(),
        lambda row: (
            f"the date is {_shown(row['_day_text'])}, which is no day of the calendar in a known format. "
            "Mend the export, or name the format in a mapping file."
        ),
    )
    yield Finding(
        draft.day > last,
        lambda row: f"the date is {_shown(row['_day_text'])}, which lies in the future.",
    )


def _too_old(draft: Draft, first: date, why: str) -> Iterator[Finding]:
    if draft.day is not None:
        yield Finding(draft.day < first, lambda row: f"the date is {_shown(row['_day_text'])}, {why}")


def _week_refusals(draft: Draft, bounds: Bounds) -> Iterator[Finding]:
    assert draft.day is not None
    wanted = calendar.day_name[bounds.week_starts_on]
    yield Finding(
        draft.day.dt.weekday() != bounds.week_starts_on + 1,
        lambda row: (
            f"the week starts on {_shown(row['_day_text'])}, a {_weekday(row['period_start'])}; weeks here "
            f"start on a {wanted}. Export weeks that do, or change media_mix.week_starts_on in the settings."
        ),
    )
    yield Finding(
        # `last` is tomorrow; the week's own last day must lie before today.
        draft.day > bounds.last - timedelta(days=8),
        lambda row: (
            f"the week that starts on {_shown(row['_day_text'])} is not over. Leave it out until it is."
        ),
    )
    if "promotion_share" in draft.frame.columns:
        yield Finding(
            draft.frame["promotion_share"].cast(pl.Float64, strict=False) > 1,
            lambda row: (
                f"promotion_share is {row['promotion_share']}: it is the share of the week's days with a "
                "promotion, from 0 to 1."
            ),
        )


def _weekday(day: str) -> str:
    return calendar.day_name[date.fromisoformat(day).weekday()]


def _key_refusals(column: pl.Series, key: str) -> Iterator[Finding]:
    yield Finding(
        column.str.contains(_ROUNDED_ID),
        lambda row: (
            f"{key} is {row[key]}: a spreadsheet has rounded it, and the digits are lost. "
            "Export again and drop the file without opening it in a spreadsheet."
        ),
    )
    yield Finding(
        (column.str.len_bytes() > KEY_LIMIT) | column.str.contains(_CONTROL),
        lambda row: (
            f"{key} is {_shown(row[key])}; at most {KEY_LIMIT} bytes without control characters are accepted."
        ),
    )


def _number_refusals(draft: Draft, name: str, kind: str) -> Iterator[Finding]:
    column = draft.frame[name]
    if name not in draft.plain:
        yield Finding(~column.str.contains(_CANONICAL), lambda row: _not_a_number(name, row[name]))
        if kind != "value":
            yield Finding(column.str.starts_with("-"), lambda row: _negative(name, kind, row))
    if kind == "count":
        yield Finding(
            column.str.contains(".", literal=True),
            lambda row: f"{name} is {row[name]}; a count must be a whole number.",
        )
        yield Finding(
            column.str.len_bytes() > COUNT_DIGITS,
            lambda row: f"{name} is {row[name]}, larger than any count can be.",
        )


def _not_a_number(name: str, text: str) -> str:
    if _NOT_FINITE.match(text.strip()):
        return f"{name} is {text.strip()}, which is not a finite number. Leave a missing value empty."
    return (
        f"{name} is {_shown(text)}, which is not a number here. "
        "If the file writes decimals the other way, say `decimal: comma` or `point` in a mapping file."
    )


def _negative(name: str, kind: str, row: dict[str, Any]) -> str:
    if kind == "spend":
        currency = f" {row['currency']}" if row.get("currency") else ""
        return (
            f"{name} is {row[name]}{currency}. Negative spend is not accepted; if this is a refund, "
            "export it as an adjustment."
        )
    return f"{name} is {row[name]}. A count cannot be negative."


def _flags(draft: Draft, stream: Stream, click_attributed: bool) -> Iterator[Finding]:
    frame = draft.frame

    def number(name: str) -> pl.Series:
        return frame[name].cast(pl.Float64, strict=False)

    def has(name: str | None) -> bool:
        return name is not None and name in frame.columns

    impressions, clicks, conversions = stream.impressions, stream.clicks, stream.click_conversions
    if has(clicks) and has(impressions):
        assert clicks is not None
        assert impressions is not None
        yield Finding(
            number(clicks) > number(impressions),
            lambda row: f"{row[clicks]} clicks on {row[impressions]} impressions. Kept as reported.",
        )
    if click_attributed and has(conversions) and has(clicks):
        assert conversions is not None
        assert clicks is not None
        yield Finding(
            number(conversions) > number(clicks),
            lambda row: f"{row[conversions]} click conversions from {row[clicks]} clicks. Kept as reported.",
        )
    for name, kind in stream.fields.items():
        if kind == "value" and has(name) and name not in draft.plain:
            yield Finding(
                frame[name].str.starts_with("-"),
                lambda row, name=name: f"{name} is {row[name]}. Kept as a refund.",  # type: ignore[misc]
            )


def _shown(text: str | None) -> str:
    if text is None or not text.strip():
        return "empty"
    return f'"{text}"' if len(text) <= 60 else f'"{text[:57]}..." ({len(text):,} characters)'
