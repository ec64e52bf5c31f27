"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from resources.history.moments import read_moment
from resources.settings import SettingsError

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 10, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-06-30T09:00:00-04:00", datetime(2026, 6, 30, 13, 0, 0, 999999, tzinfo=UTC)),
        ("2026-06-30T09:00:00.000250-04:00", datetime(2026, 6, 30, 13, 0, 0, 250, tzinfo=UTC)),
        ("2026-06-30", datetime(2026, 7, 1, 3, 59, 59, 999999, tzinfo=UTC)),
        # The clocks go back at two: this day has 25 hours.
        ("2026-11-01", datetime(2026, 11, 2, 4, 59, 59, 999999, tzinfo=UTC)),
        # Today's end has not come; what a clock that stands still lands is numbered just after it.
        ("2026-11-10", NOW.replace(microsecond=999999)),
        ("2026-11-10T14:00:00Z", NOW.replace(microsecond=999999)),
    ],
)
def test_a_day_or_a_second_stands_for_its_end_where_the_business_is(text, moment):
    assert read_moment(text, NEW_YORK, NOW) == moment


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday", "write it as 2026-06-30"),
        ("2026-06-30T09:00:00", "needs a zone"),
        ("2026-11-11", "lies ahead"),
        ("2026-11-10T14:00:01Z", "lies ahead"),
        ("9999-12-31", "lies ahead"),
        ("0001-01-01T00:00:00+14:00", "no moment"),
        ("0001-01-01T00:00:00Z", "no moment"),  # in New York it is of no year yet
        ("9999-12-31T23:59:59-12:00", "no moment"),
    ],
)
def test_what_is_no_moment_or_has_not_come_is_refused(text, said):
    with pytest.raises(SettingsError, match=said):
        read_moment(text, NEW_YORK, NOW)
