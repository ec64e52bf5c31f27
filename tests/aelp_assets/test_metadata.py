"""What people read beside an asset: numbers in previews, and sentences of checks."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from aelp_assets.metadata import check, markdown_table, result


def cells(frame: pl.DataFrame, **options) -> list[str]:
    row = markdown_table(frame, **options).value.splitlines()[2]
    return [cell.strip() for cell in row.strip("|").split(" | ")]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("1945.000000000"), "1,945.00"),
        (Decimal("0E-9"), "0.00"),
        (Decimal("-12.346000000"), "-12.35"),
        (Decimal("0.000012000"), "0.000012"),
        (1234567, "1,234,567"),
        (True, "true"),
        (0.012345, "0.01235"),
        (1234.5, "1,234"),
        (None, "–"),
    ],
)
def test_amounts_and_counts_are_written_for_reading(value, shown):
    assert cells(pl.DataFrame({"budget": [value]})) == [shown]


@pytest.mark.parametrize(("value", "shown"), [(6.604e-23, "<0.0001"), (0.0, "0"), (0.25, "0.25"), (1.0, "1")])
def test_a_vanishing_probability_is_not_written_with_an_exponent(value, shown):
    assert cells(pl.DataFrame({"p_best": [value]})) == [shown]


def test_a_preview_shows_the_chosen_columns_and_says_how_many_more_there_are():
    frame = pl.DataFrame({"a": [1], "b": [2], "c": [3]})
    text = result(frame, columns=["c", "a"]).metadata["preview"].value
    assert text.splitlines()[0] == "| c | a |"
    assert "1 more columns in the table" in text


def test_a_check_says_what_went_wrong_only_when_it_went_wrong():
    sentence = "one of the two chains is broken"
    passed, failed = (
        check("cac_identity", verdict, sentence, "gaelp_training.forecast_outlook")
        for verdict in (True, False)
    )
    assert passed.description is None
    assert failed.description == sentence
