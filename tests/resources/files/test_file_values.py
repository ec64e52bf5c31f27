from __future__ import annotations

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.files.values import (
    NULL_NUMBERS,
    decimal_style,
    grouping_style,
    numbers,
    read_boolean,
    read_day,
    read_day_parts,
    read_moment,
    read_number,
    reads_days,
)


@pytest.mark.parametrize(
    ("text", "style", "value"),
    [
        ("1,234.50", "point", "1234.5"),
        ("1.234,56", "comma", "1234.56"),
        ("1.234", "comma", "1234"),
        ("1.234", "point", "1.234"),
        ("$1,234.50", "point", "1234.5"),
        ("1.234,56 €", "comma", "1234.56"),
        ("€ 12,40", "comma", "12.4"),
        ("USD 12.40", "point", "12.4"),
        ("12.40 USD", "point", "12.4"),
        ("R$ 1.234,00", "comma", "1234"),
        ("1 234 567,8", "comma", "1234567.8"),
        ("1\u202f234,5", "comma", "1234.5"),
        ("1'234.50", "point", "1234.5"),
        ("12,34,567.8", "point", "1234567.8"),
        ("(12.40)", "point", "-12.4"),
        ("\u221212.40", "point", "-12.4"),
        ("-$12.40", "point", "-12.4"),
        ("12.40-", "point", "-12.4"),
        (".5", "point", "0.5"),
        ("007", "point", "7"),
        ("-0.00", "point", "0"),
        ("1.5E-05", "point", "0.000015"),
        ("0.1234567895", "point", "0.12345679"),
        ("12,5", "point", None),
        ("1,23", "point", None),
        ("1.2.3", "point", None),
        ("0.125", "comma", None),
        ("nan", "point", None),
        ("inf", "point", None),
        ("12 apples", "point", None),
        ("1e400", "point", None),
    ],
)
def test_a_number_is_read_as_people_write_it(text, style, value):
    assert read_number(text, style) == value


@given(
    st.decimals(min_value=-(10**15), max_value=10**15, places=4, allow_nan=False, allow_infinity=False),
    st.sampled_from([("point", ",", "."), ("comma", ".", ","), ("comma", " ", ","), ("point", "'", ".")]),
    st.sampled_from(["{}", "${}", "{} €", "EUR {}", " {} "]),
)
def test_writing_a_number_any_usual_way_and_reading_it_gives_it_back(value, marks, shape):
    style, group, mark = marks
    text = f"{value:,.4f}".replace(",", "\0").replace(".", mark).replace("\0", group)
    assert Decimal(read_number(shape.format(text), style)) == value


@given(st.from_regex(r"\A-?[0-9]{1,12}(\.[0-9]{1,9})?\Z"))
def test_canonical_text_is_a_fixed_point_and_keeps_the_value(text):
    once = read_number(text, "point")
    assert once is not None
    assert read_number(once, "point") == once
    assert Decimal(once) == Decimal(text)


@given(st.lists(st.from_regex(r"\A(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?\Z"), min_size=1))
def test_the_fast_path_reads_what_the_careful_path_reads(texts):
    read, _ = numbers(pl.Series(texts), "point", NULL_NUMBERS, None)
    assert read.to_list() == [read_number(text, "point") for text in texts]


def test_nothing_is_null_and_nonsense_stays_to_be_refused():
    read, plain = numbers(pl.Series(["", " -- ", "N/A", "1,5", "7"]), "point", NULL_NUMBERS, None)
    assert read.to_list() == [None, None, None, "1,5", "7"]
    assert not plain


@pytest.mark.parametrize(
    ("texts", "style"),
    [
        (["12", "1,234"], None),
        (["1.234"], None),
        (["12.5", "1,234"], "point"),
        (["12,50", "1.234"], "comma"),
        (["1.234,56"], "comma"),
        (["1,234.56"], "point"),
        (["€ 3,5", "--"], "comma"),
        (["1.5", "2.25", "3,7"], "point"),
        (["0.125", "1.234"], "point"),
        (["0,125", "1,234"], "comma"),
    ],
)
def test_the_decimal_style_is_taken_from_numbers_that_can_only_be_read_one_way(texts, style):
    assert decimal_style(texts) == style


@pytest.mark.parametrize(
    ("counts", "style"),
    [
        (["1.234"], "comma"),
        (["1,234", "12,345"], "point"),
        # A database writes twelve as 12.000, and two marks contradict each other.
        (["12.000"], None),
        (["1,234", "1.234"], None),
        (["1234"], None),
    ],
)
def test_a_whole_number_with_a_mark_is_grouped_by_it(counts, style):
    assert grouping_style(counts) == style


@pytest.mark.parametrize("pattern", ["%Y-%m-%d", "%d.%m.%y", "%b %d, %Y", "%m-%d-%Y %H:%M", "%Y-W%W-%w"])
def test_a_format_with_day_month_and_year_reads_days(pattern):
    assert reads_days(pattern)


@pytest.mark.parametrize("pattern", ["dd.mm.yyyy", "%d.%m.", "%Y", "%-d.%m.%Y", "", "%"])
def test_any_other_format_reads_none(pattern):
    assert not reads_days(pattern)


def test_days_are_read_by_the_first_format_that_fits():
    swapped = ("%m-%d-%Y %H:%M", "%d-%m-%Y %H:%M")
    assert read_day("01-02-2019 00:00", swapped) == date(2019, 1, 2)
    assert read_day("29-01-2019 00:00", swapped) == date(2019, 1, 29)
    assert read_day("2026-06-30 00:00:00", ("%Y-%m-%d",)) == date(2026, 6, 30)
    assert read_day("2026-06-30T00:00:00.000000", ("%Y-%m-%d",)) == date(2026, 6, 30)
    assert read_day("Jun 30, 2026", ("%Y-%m-%d", "%b %d, %Y")) == date(2026, 6, 30)
    assert read_day("2026-02-30", ("%Y-%m-%d",)) is None
    # A day with a time of day is not silently cut to a day.
    assert read_day("2026-06-30 13:05:00", ("%Y-%m-%d",)) is None


def test_day_parts_take_month_names_and_numbers():
    assert read_day_parts(2020, "April", "19") == date(2020, 4, 19)
    assert read_day_parts(2020, "4", "19") == date(2020, 4, 19)
    assert read_day_parts(2020, "Sept.", "1") == date(2020, 9, 1)
    assert read_day_parts(2020, "April", "31") is None
    assert read_day_parts(2020, "Brumaire", "1") is None


def test_a_moment_without_zone_is_local_and_canonical_moments_are_utc():
    zone = ZoneInfo("America/New_York")
    assert read_moment("2026-06-30T23:30:00", zone).isoformat() == "2026-07-01T03:30:00+00:00"
    assert read_moment("2026-06-30T23:30:00-07:00", zone).isoformat() == "2026-07-01T06:30:00+00:00"
    assert read_moment("2026-06-30 23:30:00Z", zone).isoformat() == "2026-06-30T23:30:00+00:00"
    assert read_moment("yesterday", zone) is None


def test_booleans_are_words_or_nothing():
    assert [read_boolean(text) for text in ("TRUE", "no", "1", "maybe")] == ["true", "false", "true", None]
