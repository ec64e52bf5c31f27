"""Which rows of now are those of then: what the event log says of each partition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.history.written import MOMENT_TAG, NotKept, Writing, standing_at, writings

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


DAYS = dg.DailyPartitionsDefinition("2026-06-29")


@dg.asset(partitions_def=DAYS)
def decisions() -> None:
    pass


def test_a_run_that_did_not_note_the_clock_of_its_home_is_refused(monkeypatch):
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([decisions], instance=instance, partition_key="2026-06-30").success
        assert len(writings(instance, decisions.key)) == 1
        monkeypatch.setenv("AELP_CLOCK", START.isoformat())
        with pytest.raises(NotKept, match="nothing tells which moment"):
            writings(instance, decisions.key)


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), code_version="1")
def audits(context) -> None:
    if said := context.run.tags.get("content"):
        context.set_data_version(context.asset_key, dg.DataVersion(said))


def test_an_event_tells_what_rows_say_where_somebody_said_it_of_that_day_alone():
    days = {
        "dagster/asset_partition_range_start": "2026-06-30",
        "dagster/asset_partition_range_end": "2026-07-01",
    }
    with dg.DagsterInstance.ephemeral() as instance:
        for key, tags in (
            ("2026-06-29", {"content": "one"}),
            (None, {"content": "two", **days}),
            ("2026-06-30", {}),
        ):
            assert dg.materialize([audits], instance=instance, partition_key=key, tags=tags).success
        found = writings(instance, audits.key)
    assert [(each.partition, each.content) for each in found] == [
        ("2026-06-29", "one"),
        ("2026-06-30", None),
        ("2026-07-01", None),
        ("2026-06-30", None),  # Dagster's own version is of the code, not of rows
    ]


def test_what_a_clock_that_went_back_wrote_was_not_known_before_what_was_written_first():
    nine, next_nine = START, START + timedelta(days=1)
    with dg.DagsterInstance.ephemeral() as instance:
        for morning, moment in (("2026-06-30", nine), ("2026-07-01", next_nine), ("2026-06-30", nine)):
            tags = {MOMENT_TAG: moment.isoformat()}
            assert dg.materialize([decisions], instance=instance, partition_key=morning, tags=tags).success
        found = writings(instance, decisions.key)
    assert [each.known_at for each in found] == [nine, next_nine, next_nine]
    standing = standing_at(found, nine)
    assert standing.same == {}
    assert standing.replaced == {"2026-06-30": (found[0], found[2])}
