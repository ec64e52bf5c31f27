"""Which weeks of the mart become the model's, and what is left out."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from models.mmm.weekly_input import newest_weeks

FIRST = date(2025, 1, 6)
LATER = date(2026, 1, 1)


def rows(weeks: int = 20, **changes: object) -> pl.DataFrame:
    """Two channels, the second silent; columns may be replaced by an expression."""
    frame = pl.DataFrame(
        [
            {
                "week": FIRST + timedelta(weeks=week),
                "channel": channel,
                "spend": spend * (week + 1),
                "conversions": 1.0,
                "new_customers": 10 + week,
                "trend": week,
                "event_share": float(week == 5),
                "promotion_share": 0.0,
                "is_complete": True,
            }
            for week in range(weeks)
            for channel, spend in (("search", 100.0), ("silent", 0.0), ("video", 30.0))
        ]
    )
    return frame.with_columns(**changes)  # type: ignore[arg-type]


def test_channels_that_spent_stand_by_name_and_the_outcome_is_the_stores() -> None:
    weeks = newest_weeks(rows(), LATER, 156)
    assert weeks is not None
    assert weeks.channels == ("search", "video")
    assert weeks.spend[2].tolist() == [300.0, 90.0]
    assert weeks.outcome.tolist() == [10.0 + week for week in range(20)]
    assert weeks.control_names == ("trend", "event_share")
    assert weeks.controls.mean(axis=0) == pytest.approx([0.0, 0.0])
    assert weeks.controls.std(axis=0) == pytest.approx([1.0, 1.0])


def test_where_a_week_has_no_store_numbers_the_platforms_claims_are_the_outcome() -> None:
    unknown = pl.when(pl.col("trend") == 3).then(None).otherwise("new_customers")
    weeks = newest_weeks(rows(new_customers=unknown), LATER, 156)
    assert weeks is not None
    assert weeks.outcome.tolist() == [3.0] * 20


def test_a_gap_ends_the_run_and_the_window_keeps_the_newest() -> None:
    gap = newest_weeks(rows(is_complete=pl.col("trend") != 7), LATER, 156)
    assert gap is not None
    assert (gap.first_day, gap.number) == (FIRST + timedelta(weeks=8), 12)
    window = newest_weeks(rows(), LATER, 5)
    assert window is not None
    assert (window.first_day, window.number) == (FIRST + timedelta(weeks=15), 5)


def test_a_week_that_is_not_over_is_left_out_and_none_is_none() -> None:
    within = newest_weeks(rows(), FIRST + timedelta(weeks=4, days=3), 156)
    assert within is not None
    assert within.number == 4
    assert newest_weeks(rows(is_complete=pl.lit(value=False)), LATER, 156) is None
