"""What is checked of rows before an engine sees them, beyond what the contract suite holds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from resources.warehouse.rows import check_parquet, conform_exactly, parquet_row_count, to_vocabulary
from resources.warehouse.schema import Column, Table, TableName

MONEY = Table(
    TableName("raw", "money"),
    "Money.",
    (Column("n", "NUMERIC", "N.", required=True), Column("i", "INT64", "I.")),
    ("n",),
)


@pytest.mark.parametrize("statistics", [True, False])
def test_nulls_are_found_with_and_without_statistics(tmp_path: Path, statistics: bool) -> None:
    file = tmp_path / "rows.parquet"
    values = [Decimal(1)] * 2000
    frame = pl.DataFrame({"n": values, "i": range(2000)}, schema=MONEY.polars_schema)
    frame.write_parquet(file, statistics=statistics, row_group_size=500)
    check_parquet(MONEY, file)
    assert parquet_row_count(file) == 2000
    gap = frame.with_columns(n=pl.when(pl.col("i") != 1700).then("n"))
    gap.write_parquet(file, statistics=statistics, row_group_size=500)
    with pytest.raises(ValueError, match=r"NULL in required columns \['n'\]"):
        check_parquet(MONEY, file)


@given(st.lists(st.integers(-(2**62), 2**62) | st.none()))
def test_whole_numbers_held_as_floats_pass_only_when_exact(values: list[int | None]) -> None:
    floats = pl.DataFrame({"n": [Decimal(1)] * len(values), "i": pl.Series(values, dtype=pl.Int64)}).cast(
        {"i": pl.Float64, "n": pl.Decimal(38, 9)}
    )
    conformed = conform_exactly(MONEY, floats)
    assert conformed["i"].cast(pl.Float64).equals(floats["i"])


@given(st.integers(-(10**20), 10**20), st.integers(1, 9))
def test_a_tenth_decimal_is_refused_whatever_stands_before_it(units: int, tenth: int) -> None:
    money = pl.Series([Decimal(units * 10 + tenth).scaleb(-10)], dtype=pl.Decimal(38, 10))
    with pytest.raises(ValueError, match="without loss"):
        conform_exactly(MONEY, pl.DataFrame({"n": money, "i": [1]}))
    nine = pl.Series([Decimal(units * 10).scaleb(-10)], dtype=pl.Decimal(38, 10))
    assert conform_exactly(MONEY, pl.DataFrame({"n": nine, "i": [1]}))["n"].to_list() == [
        Decimal(units).scaleb(-9)
    ]


def test_a_float_becomes_numeric_by_rounding() -> None:
    frame = pl.DataFrame({"n": [0.1, 2 / 3], "i": [1, 2]})
    assert conform_exactly(MONEY, frame)["n"].to_list() == [Decimal("0.100000000"), Decimal("0.666666667")]


def test_results_speak_one_vocabulary() -> None:
    instant = datetime(2026, 6, 1, 12, tzinfo=UTC)
    engine = pl.DataFrame(
        {
            "small": pl.Series([1], dtype=pl.Int8),
            "single": pl.Series([0.5], dtype=pl.Float32),
            "narrow": pl.Series([Decimal("1.5")], dtype=pl.Decimal(18, 3)),
            "long": pl.Series([Decimal("1.5")], dtype=pl.Decimal(38, 18)),
            "moment": pl.Series([instant]).dt.convert_time_zone("Asia/Tokyo"),
            "zoneless": [datetime(2026, 6, 1)],  # noqa: DTZ001
            "list": [[1]],
            "day": [date(2026, 6, 1)],
        }
    )
    expected = engine.cast(
        {
            "small": pl.Int64,
            "single": pl.Float64,
            "narrow": pl.Decimal(38, 9),
            "moment": pl.Datetime("us", "UTC"),
        }
    )
    assert_frame_equal(to_vocabulary(engine), expected)
    assert to_vocabulary(engine)["moment"].item() == instant
