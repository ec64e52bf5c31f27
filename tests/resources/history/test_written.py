"""Which rows of now are those of then: what the event log says of each partition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from resources.history.written import Writing, standing_at

START = datetime(2026, 6, 1, tzinfo=UTC)


def writing(partition: str | None, hour: int, run: int = 0) -> Writing:
    return Writing(partition, START + timedelta(hours=hour), f"run{run}")


def test_a_partition_written_once_more_after_the_moment_is_not_what_it_was():
    written = [writing("a", 1), writing("b", 1), writing("a", 3), writing("c", 3)]
    standing = standing_at(written, START + timedelta(hours=2))
    assert standing.same == {"b": written[1]}
    assert standing.replaced == {"a": (written[0], written[2])}
    assert standing.later == {"c": written[3]}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9))), st.integers(0, 9))
def test_rows_said_to_be_those_of_then_were_never_written_after_it(events, hour):
    written = [writing(name, at, run) for run, (name, at) in enumerate(events)]
    moment = START + timedelta(hours=hour)
    standing = standing_at(written, moment)
    last = {each.partition: each for each in written}
    assert all(each is last[name] and each.known_at <= moment for name, each in standing.same.items())
    assert {*standing.same, *standing.replaced, *standing.later} == set(last)
    assert not any(each.known_at <= moment for each in written if each.partition in standing.later)
