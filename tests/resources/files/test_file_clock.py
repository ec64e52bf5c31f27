from __future__ import annotations

from datetime import UTC, datetime

import pytest

from resources.clock import FixedClock, SystemClock, clock_from_environment


def test_the_environment_fixes_the_clock_and_keeps_its_zone():
    clock = clock_from_environment({"AELP_CLOCK": "2026-07-01T06:00:00-04:00"})
    assert clock.now() == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert clock.now().utcoffset() is not None


def test_without_the_variable_time_goes_on():
    clock = clock_from_environment({})
    assert isinstance(clock, SystemClock)
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 5


@pytest.mark.parametrize("text", ["yesterday", "2026-07-01T06:00:00", "2026-07-01"])
def test_a_moment_that_is_none_or_has_no_zone_is_refused(text):
    with pytest.raises(ValueError, match="AELP_CLOCK"):
        clock_from_environment({"AELP_CLOCK": text})


def test_a_fixed_clock_needs_a_zone():
    with pytest.raises(ValueError, match="zone"):
        FixedClock(datetime(2026, 7, 1))  # noqa: DTZ001
