"""Which report days the marts have not seen yet, asked of a real ledger."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources import ledger
from resources.warehouse.interface import Append
from resources.warehouse.tables import INGEST_SLICES, TRANSFORMED_DAYS

NOON = datetime(2026, 6, 30, 12, tzinfo=UTC)
CODE = "code-1"


def june(*days: int) -> list[date]:
    return [date(2026, 6, day) for day in days]


@pytest.fixture
def warehouse(duckdb_warehouse):
    duckdb_warehouse.ensure_tables([INGEST_SLICES, TRANSFORMED_DAYS])
    return duckdb_warehouse


def land(
    warehouse,
    days,
    minute=0,
    stream="meta_ads_insights",
    status="complete",
    unchanged=False,
    content="c",
    account="1",
):
    """One slice per day (None: period rows), its attempt ended `minute` minutes past noon."""
    batch = f"{minute:03d}-{stream}"
    ended = NOON + timedelta(minutes=minute)
    data_batch = None if status != "complete" else ("earlier" if unchanged else batch)
    rows = [
        ("meta", stream, account, day, "none", batch, data_batch, status, 1, None, "h", 1, content, ended)
        for day in days
    ]
    warehouse.write(
        Append(INGEST_SLICES, pl.DataFrame(rows, schema=INGEST_SLICES.polars_schema, orient="row"))
    )


def transform(warehouse, first, last, code=CODE):
    ledger.mark_transformed(warehouse, ledger.ledger_state(warehouse, first, last), first, last, code)


def stale(warehouse, code=CODE):
    return ledger.stale_report_days(warehouse, code)


def test_landed_days_are_stale_until_the_marts_have_seen_them(warehouse):
    land(warehouse, june(1, 2, 3))
    assert stale(warehouse) == june(1, 2, 3)
    transform(warehouse, *june(1, 2))
    assert stale(warehouse) == june(3)
    transform(warehouse, *june(3, 3))
    assert stale(warehouse) == []


def test_a_restated_day_is_stale_again_alone(warehouse):
    land(warehouse, june(1, 2, 3))
    transform(warehouse, *june(1, 3))
    land(warehouse, june(2), minute=5, stream="orders")
    assert stale(warehouse) == june(2)


def test_only_an_attempt_that_brought_its_own_data_makes_a_day_stale(warehouse):
    land(warehouse, june(1))
    transform(warehouse, *june(1, 1))
    land(warehouse, june(1), minute=5, unchanged=True)
    land(warehouse, june(1), minute=6, status="deferred")
    land(warehouse, june(1), minute=7, status="failed")
    assert stale(warehouse) == []


def test_a_slice_that_lands_after_the_state_was_taken_is_not_marked_as_seen(warehouse):
    land(warehouse, june(1))
    before = ledger.ledger_state(warehouse, *june(1, 1))
    land(warehouse, june(1), minute=5)  # while dbt was reading
    ledger.mark_transformed(warehouse, before, *june(1, 1), CODE)
    assert stale(warehouse) == june(1)


def test_days_built_by_other_sql_are_stale(warehouse):
    land(warehouse, june(1, 2))
    transform(warehouse, *june(1, 2))
    assert stale(warehouse, "code-2") == june(1, 2)
    transform(warehouse, *june(1, 1), code="code-2")
    assert stale(warehouse, "code-2") == june(2)


def test_period_rows_are_one_day_of_their_own_and_any_build_sees_them(warehouse):
    land(warehouse, [None, *june(1)])
    assert stale(warehouse) == [ledger.UNDATED, *june(1)]
    state = ledger.undated_state(warehouse)
    assert state["report_date"].to_list() == [ledger.UNDATED]
    ledger.mark_transformed(warehouse, state, ledger.UNDATED, ledger.UNDATED, CODE)
    assert stale(warehouse) == june(1)
    land(warehouse, [None], minute=5)
    assert stale(warehouse) == [ledger.UNDATED, *june(1)]


def test_marking_a_range_without_slices_marks_nothing(warehouse):
    transform(warehouse, *june(1, 5))
    assert warehouse.read(TRANSFORMED_DAYS.name).is_empty()
    land(warehouse, june(3))
    assert stale(warehouse) == june(3)


_days = st.lists(st.dates(date(2025, 1, 1), date(2026, 12, 31)), unique=True, max_size=40)


@given(_days, st.integers(1, 10))
def test_ranges_cover_every_day_and_are_further_apart_than_the_bridge(days, bridge):
    ranges = ledger.contiguous(days, timedelta(days=bridge))
    assert all(any(first <= day <= last for first, last in ranges) for day in days)
    assert all(first in days and last in days for first, last in ranges)
    for (_, last), (first, _) in pairwise(ranges):
        assert first - last > timedelta(days=bridge)


@given(_days)
def test_a_range_has_no_gap_wider_than_the_bridge(days):
    for first, last in ledger.contiguous(days):
        inside = sorted(day for day in days if first <= day <= last)
        assert all(b - a <= timedelta(days=7) for a, b in pairwise(inside))


@given(_days, _days)
def test_a_day_apart_is_in_no_range_and_costs_no_other_its_own(days, others):
    apart = set(others) - set(days)
    ranges = ledger.contiguous(days, apart=apart)
    assert not any(first <= day <= last for day in apart for first, last in ranges)
    assert all(any(first <= day <= last for first, last in ranges) for day in days)


def test_the_batches_behind_the_marts_are_those_they_were_built_from_and_no_later_ones(warehouse):
    meta, other = "meta_ads_insights", "orders"
    land(warehouse, june(1, 2, 3))
    land(warehouse, june(2), minute=3)
    land(warehouse, june(1), stream=other, minute=4)
    land(warehouse, june(1), minute=5, status="failed")
    transform(warehouse, *june(1, 2))
    land(warehouse, june(1), minute=9)  # after the marts were built
    land(warehouse, june(2), minute=9, unchanged=True)
    seen = ledger.slices_seen(warehouse, [meta], *june(1, 30))
    named = seen.select("stream", "report_date", "batch_id").rows()
    assert named == [(meta, june(1)[0], f"000-{meta}"), (meta, june(2)[0], f"003-{meta}")]
    both = ledger.slices_seen(warehouse, [meta, other], *june(1, 1))
    assert both["batch_id"].to_list() == [f"000-{meta}", f"004-{other}"]


def test_period_rows_are_among_the_batches_whatever_the_days(warehouse):
    land(warehouse, [None], stream="file_period_performance")
    assert ledger.slices_seen(warehouse, ["file_period_performance"], *june(1, 2)).is_empty()
    transform(warehouse, ledger.UNDATED, ledger.UNDATED)
    assert ledger.slices_seen(warehouse, ["file_period_performance"], *june(1, 2)).height == 1


def contents(warehouse, *days, stream="meta_ads_insights"):
    changed = pl.DataFrame(
        {"stream": stream, "report_date": list(days)}, schema_overrides={"report_date": pl.Date}
    )
    found = ledger.landed_contents(warehouse, changed)
    return [found.get((stream, day)) for day in days]


def test_a_day_is_known_by_what_it_holds_whoever_read_it_and_when(warehouse):
    land(warehouse, june(1, 2))
    first, second = contents(warehouse, *june(1, 2))
    assert first == second
    land(warehouse, june(1), minute=1, content="restated")
    land(warehouse, june(2), minute=1, unchanged=True, content="not its own")
    land(warehouse, june(2), minute=2, status="failed", content="torn")
    restated, same = contents(warehouse, *june(1, 2))
    assert restated != first
    assert same == first
    land(warehouse, june(1), minute=3)
    assert contents(warehouse, *june(1)) == [first]


def test_another_account_of_the_day_is_other_content_and_another_table_s_is_none(warehouse):
    land(warehouse, june(1))
    before = contents(warehouse, *june(1))
    land(warehouse, june(1), minute=1, stream="orders", content="o")
    assert contents(warehouse, *june(1)) == before
    land(warehouse, june(1), minute=2, account="2")
    assert contents(warehouse, *june(1)) != before


def test_period_rows_have_a_content_too(warehouse):
    land(warehouse, [None], stream="media_history")
    (known,) = contents(warehouse, None, stream="media_history")
    assert known is not None
