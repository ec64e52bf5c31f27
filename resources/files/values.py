"""Text cells read as numbers, days, moments and names, in canonical text.

Here: what "1.234,56 €" means. Not here: which column is which (`parsing.py`) and whether a value is
acceptable (`validation.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl

DecimalStyle = Literal["point", "comma"]

# What exports write for "nothing" in a number or a day; names may legitimately be "NA" or "None".
NULL_NUMBERS = frozenset(
    {"", "-", "--", "—", "–", "n/a", "na", "#n/a", "null", "none", "nil", "\\n", "(not set)"}
)
NULL_NAMES = frozenset({"", "--", "#N/A", "null", "NULL", "\\N"})

# Also the canonical form, but for zeros at the end of a fraction. With decimal commas a point groups.
_PLAIN: Mapping[DecimalStyle, str] = {
    "point": r"^(?:0|[1-9][0-9]*)(?:\.[0-9]{1,9})?$",
    "comma": r"^(?:0|[1-9][0-9]*)$",
}
_SPACES = "\u0020\u00a0\u2007\u2009\u202f"
_APOSTROPHES = "'\u2019"
_SIGN = re.compile(r"^[A-Z]{3}\b|\b[A-Z]{3}$|US\$|R\$|[$€£¥₹₽₩₺₪฿₫₴]")
# 0.125 is a fraction wherever points stand: nobody groups digits behind a zero.
_GROUPED = r"(?:\d+|[1-9]\d{{0,2}}(?P<group>[{marks}])(?:\d{{2,3}}(?P=group))*\d{{3}})?"
_POINT = re.compile(r"^[+-]?" + _GROUPED.format(marks="," + _SPACES + _APOSTROPHES) + r"(?:\.\d+)?$")
_COMMA = re.compile(r"^[+-]?" + _GROUPED.format(marks="." + _SPACES + _APOSTROPHES) + r"(?:,\d+)?$")
_EXPONENT = re.compile(r"^[+-]?\d+(?:\.\d+)?[eE][+-]?\d{1,3}$")
_NINE_DECIMALS = Decimal("1e-9")
_MIDNIGHT = re.compile(r"[ T]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:00)?$")


def map_distinct(column: pl.Series, function: Callable[[str], object], dtype: pl.DataType) -> pl.Series:
    """`function` over a column, called once per distinct text: names and days repeat."""
    distinct = column.drop_nulls().unique()
    if distinct.is_empty():
        return pl.Series(column.name, [None] * len(column), dtype=dtype)
    results = pl.DataFrame(
        {"text": distinct, "result": pl.Series([function(text) for text in distinct], dtype=dtype)}
    )
    joined = column.to_frame("text").join(results, on="text", how="left", maintain_order="left")
    return joined["result"].alias(column.name)


def read_number(text: str, style: DecimalStyle, decimals: int | None = None) -> str | None:
    """Canonical decimal text of a number as people and exports write it; None where it is none.

    No exponent, no grouping, no zeros at the end, at most 9 decimals (NUMERIC's scale), half away from zero.
    """
    bare = _SIGN.sub("", text.strip().replace("\u2212", "-")).strip()
    if bare.startswith("(") and bare.endswith(")"):
        bare = "-" + bare[1:-1].strip()
    if bare.endswith("-"):
        bare = "-" + bare[:-1]
    # "-$ 12": the sign stands before the currency.
    bare = re.sub(rf"^([+-])[{_SPACES}]+", r"\1", bare)
    grammar = _POINT if style == "point" else _COMMA
    if not bare or not any(c.isdigit() for c in bare):
        return None
    if grammar.match(bare):
        group, mark = (",", ".") if style == "point" else (".", ",")
        for character in group + _SPACES + _APOSTROPHES:
            bare = bare.replace(character, "")
        bare = bare.replace(mark, ".")
    elif not _EXPONENT.match(bare):
        return None
    try:
        with localcontext(prec=60):
            value = Decimal(bare)
            scale = _NINE_DECIMALS if decimals is None else Decimal(1).scaleb(-decimals)
            exponent = value.as_tuple().exponent
            if decimals is not None or (isinstance(exponent, int) and exponent < -9):
                value = value.quantize(scale, rounding=ROUND_HALF_UP)
    except InvalidOperation:
        return None
    if abs(value) >= Decimal(10) ** 29:
        return None
    plain = format(value, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain in ("-0", "") else plain


def numbers(
    column: pl.Series, style: DecimalStyle, nulls: frozenset[str], decimals: int | None
) -> tuple[pl.Series, bool]:
    """Canonical number texts, and whether every cell was a plain number >= 0 to begin with.

    Null where the cell says nothing; the text itself where it is no number. Nearly every cell of a
    real export is plain and is only checked; the others are read one by one, each distinct text once.
    """
    plain = (
        column.str.contains(_PLAIN[style]) if decimals is None else pl.repeat(False, len(column), eager=True)
    )
    if plain.all():
        return _without_trailing_zeros(column), True
    odd = pl.select(pl.when(~plain).then(column)).to_series()

    def read(text: str) -> str | None:
        if text.strip().casefold() in nulls:
            return None
        return read_number(text, style, decimals) or text

    read_odd = map_distinct(odd, read, pl.String())
    return pl.select(
        pl.when(plain).then(_without_trailing_zeros(column)).otherwise(read_odd)
    ).to_series(), False


def _without_trailing_zeros(column: pl.Series) -> pl.Series:
    fraction = column.str.contains(".", literal=True)
    if not fraction.any():
        return column
    stripped = column.str.strip_chars_end("0").str.strip_chars_end(".")
    return pl.select(pl.when(fraction).then(stripped).otherwise(column)).to_series()


def decimal_style(samples: Iterable[str]) -> DecimalStyle | None:
    """The decimal mark that most telling texts show; None where none of them tells.

    1,234 tells nothing; 12,50 and 1.234,5 can only be decimal commas. A stray one of the other kind is
    refused where it stands, as it is no number in the file's own style.
    """
    points = commas = 0
    for text in samples:
        point, comma = _readings(text)
        points += point and not comma
        commas += comma and not point
    if not points and not commas:
        return None
    return "comma" if commas > points else "point"


def grouping_style(counts: Iterable[str]) -> DecimalStyle | None:
    """The decimal mark that grouped whole numbers leave over: 1.234 impressions are no fraction.

    Not told by 12.000, which a database writes for twelve.
    """
    marks = [text for text in counts if is_ambiguous(text) and "000" not in text]
    points = sum("," in text for text in marks)
    if not marks or 0 < points < len(marks):
        return None
    return "point" if points else "comma"


def is_ambiguous(text: str) -> bool:
    """Whether a text is one number with decimal points and another, a thousand times it, with commas."""
    return all(_readings(text)) and ("." in text or "," in text)


def _readings(text: str) -> tuple[bool, bool]:
    """Whether a text is a number with decimal points, and with decimal commas."""
    bare = _SIGN.sub("", text.strip()).strip(" ()-+" + _SPACES)
    return bool(bare) and bool(_POINT.match(bare)), bool(bare) and bool(_COMMA.match(bare))


def reads_days(pattern: str) -> bool:
    """Whether a format reads back the days it has written, so that it holds day, month and year."""
    probes = [date(2026, 6, 30), date(2031, 12, 4)]
    try:
        return [datetime.strptime(day.strftime(pattern), pattern).date() for day in probes] == probes  # noqa: DTZ007
    except ValueError:
        return False


def reads_weeks(pattern: str) -> bool:
    """Whether a format names a week by its year and number: %Y%W, or %G-W%V for the weeks of ISO 8601."""
    probes = [date(2026, 6, 29), date(2031, 12, 1)]  # Mondays, which both kinds of week start on
    try:
        return _names_week(pattern) and [_day(day.strftime(pattern), pattern) for day in probes] == probes
    except ValueError:
        return False


def _names_week(pattern: str) -> bool:
    return "%W" in pattern or "%V" in pattern


def _day(text: str, pattern: str) -> date:
    """The day, or a week's Monday, that a text names under a format; %W counts from the year's first Monday.

    Raises:
        ValueError: it names none.
    """
    if _names_week(pattern):
        text, pattern = f"{text} 1", f"{pattern} %u"
    return datetime.strptime(text, pattern).date()  # noqa: DTZ007 - a day has no zone


def read_day(text: str, formats: Sequence[str]) -> date | None:
    """The day a text names under the first format that reads it."""
    bare = text.strip()
    for candidate in (bare, _MIDNIGHT.sub("", bare)):
        for pattern in formats:
            try:
                return _day(candidate, pattern)
            except ValueError:
                continue
    return None


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january"), ("feb", "february"), ("mar", "march"), ("apr", "april"), ("may",),
            ("jun", "june"), ("jul", "july"), ("aug", "august"), ("sep", "sept", "september"),
            ("oct", "october"), ("nov", "november"), ("dec", "december"),
        ),
        start=1,
    )
    for name in names
}  # fmt: skip


def read_day_parts(year: int, month: str, day: str) -> date | None:
    """The day of a month given by English name or number."""
    name = month.strip().casefold().rstrip(".")
    try:
        return date(year, _MONTHS[name] if name in _MONTHS else int(name), int(day.strip()))
    except ValueError:
        return None


def read_moment(text: str, zone: ZoneInfo) -> datetime | None:
    """A moment in UTC from ISO 8601 text; without zone it is local to `zone`."""
    try:
        moment = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moments(column: pl.Series, zone: ZoneInfo) -> pl.Series:
    """Moments in UTC from a column of texts, null where there is none to read."""
    read = column.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    rest = pl.select(pl.when(read.is_null()).then(column)).to_series()
    if rest.null_count() == len(rest):
        return read
    slowly = map_distinct(rest, lambda text: read_moment(text, zone), pl.Datetime("us", "UTC"))
    return read.fill_null(slowly)


def moment_text(column: pl.Series) -> pl.Series:
    """ISO 8601 in UTC, with a fraction only where there is one."""
    whole = column.dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    fraction = (column.dt.microsecond() != 0).fill_null(False)
    if not fraction.any():
        return whole
    exact = column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00")
    return pl.select(pl.when(fraction).then(exact).otherwise(whole)).to_series()


_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})


def read_boolean(text: str) -> str | None:
    """`true` or `false` from the usual words for them; None for any other."""
    word = text.strip().casefold()
    return "true" if word in _TRUE else "false" if word in _FALSE else None
