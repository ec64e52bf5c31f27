"""The ledger sensor over a real warehouse: every restated day is asked for once, none is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from aelp_assets.definitions import build_defs
from aelp_assets.jobs import transform_days
from resources import ledger
from resources.clock import FixedClock
from resources.code_version import source_hash
from resources.settings import PROJECT_ROOT, load_settings
from resources.warehouse import retrying
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import Append
from resources.warehouse.tables import INGEST_SLICES, PYTHON_TABLES
from sensors import restated_days as module
from sensors.attempts import MAX_ATTEMPTS
from sensors.restated_days import MAX_RUNS_PER_TICK, restated_days

SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")
CLOCK = FixedClock(datetime(2026, 6, 30, 13, tzinfo=UTC))
LANDED = datetime(2026, 6, 30, 11, tzinfo=UTC)
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture
def warehouse(tmp_path):
    made = DuckDBWarehouse(tmp_path / "warehouse.duckdb", temporary=tmp_path / "spill", lock_timeout=0.2)
    made.ensure_tables(list(PYTHON_TABLES.values()))
    return made


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def land(warehouse, days, minute=0, status="complete", unchanged=False):
    """Slices of these days (None: period rows) as a landing at `minute` leaves them."""
    batch = f"batch-{minute}"
    data_batch = None if status != "complete" else ("batch-earlier" if unchanged else batch)
    rows = pl.DataFrame(
        [
            {
                "source": "meta",
                "stream": "meta_ads_insights" if day else "file_period_performance",
                "account_id": "1",
                "report_date": day,
                "breakdown_set": "none",
                "batch_id": batch,
                "data_batch_id": data_batch,
                "status": status,
                "attempts": 1,
                "error_class": None,
                "request_hash": "h",
                "row_count": 1,
                "content_hash": f"c{minute}",
                "completed_at": LANDED + timedelta(minutes=minute),
            }
            for day in days
        ],
        schema=INGEST_SLICES.polars_schema,
    )
    warehouse.write(Append(INGEST_SLICES, rows))


def build(warehouse, request):
    """What a successful run of the request leaves in the ledger."""
    first, last = (date.fromisoformat(request.tags[tag]) for tag in (START, END))
    code = source_hash("dbt_project")
    ledger.mark_transformed(warehouse, ledger.undated_state(warehouse), ledger.UNDATED, ledger.UNDATED, code)
    ledger.mark_transformed(warehouse, ledger.ledger_state(warehouse, first, last), first, last, code)


def tick(warehouse, instance, cursor=None):
    resources = {"warehouse": warehouse, "settings": SETTINGS, "clock": CLOCK}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        return restated_days(context)


def spans(result):
    return [(request.tags[START], request.tags[END]) for request in result.run_requests or []]


def june(*days):
    return [date(2026, 6, day) for day in days]


def test_the_first_tick_asks_for_each_contiguous_range(warehouse, instance):
    land(warehouse, june(1, 2, 3, 20, 21))
    assert spans(tick(warehouse, instance)) == [("2026-06-01", "2026-06-03"), ("2026-06-20", "2026-06-21")]


def test_days_before_history_starts_are_asked_for_by_nobody_and_hold_up_no_other(warehouse, instance):
    start = SETTINGS.history_start
    land(warehouse, [start - timedelta(days=1), start - timedelta(days=80)])
    assert tick(warehouse, instance).skip_reason.skip_message == "marts follow the ledger"
    land(warehouse, [start, start + timedelta(days=1)])
    assert spans(tick(warehouse, instance)) == [(str(start), str(start + timedelta(days=1)))]


def test_small_gaps_are_run_through_rather_than_split(warehouse, instance):
    land(warehouse, june(1, 5, 12, 20))
    assert spans(tick(warehouse, instance)) == [("2026-06-01", "2026-06-12"), ("2026-06-20", "2026-06-20")]


def ended(instance, request, status=dg.DagsterRunStatus.FAILURE):
    """The run Dagster launched for the request, and how it ended."""
    tags = {**request.tags, "dagster/run_key": request.run_key}
    run_id = str(uuid.uuid4())
    return instance.add_run(
        dg.DagsterRun(job_name=transform_days.name, run_id=run_id, tags=tags, status=status)
    )


def test_a_range_whose_run_failed_is_asked_for_again_a_bounded_number_of_times_and_then_said(
    warehouse, instance
):
    land(warehouse, june(1, 2))
    cursor, keys = None, []
    for _ in range(MAX_ATTEMPTS):
        result = tick(warehouse, instance, cursor)
        assert spans(result) == [("2026-06-01", "2026-06-02")]
        keys.append(result.run_requests[0].run_key)
        cursor, last = result.cursor, ended(instance, result.run_requests[0])
    assert len(set(keys)) == MAX_ATTEMPTS, "Dagster launches a run key once"
    for _ in range(3):
        given_up = tick(warehouse, instance, cursor)
        assert spans(given_up) == []
        said = given_up.skip_reason.skip_message
        assert f"the last build of 2026-06-01..2026-06-02 failed (run {last.run_id[:8]})" in said
        assert f"{MAX_ATTEMPTS} of {MAX_ATTEMPTS} attempts" in said
        cursor = given_up.cursor
    build(warehouse, result.run_requests[0])  # a person mended the cause and relaunched it
    assert tick(warehouse, instance, cursor).skip_reason.skip_message == "marts follow the ledger"


def failing(warehouse, instance, cursor, bad):
    """A tick whose runs have ended: those with a bad day failed, the others built theirs."""
    result = tick(warehouse, instance, cursor)
    for request in result.run_requests or []:
        first, last = (date.fromisoformat(request.tags[tag]) for tag in (START, END))
        if any(first <= day <= last for day in bad):
            ended(instance, request)
        else:
            build(warehouse, request)
            ended(instance, request, dg.DagsterRunStatus.SUCCESS)
    return result


def test_a_bad_day_is_asked_for_three_times_however_often_today_changes_and_today_each_time(
    warehouse, instance
):
    land(warehouse, june(25))
    cursor, asked, sizes = None, [], []
    for hour in range(10):
        land(warehouse, june(30), minute=60 * hour + 1)
        result = failing(warehouse, instance, cursor, june(25))
        asked.append(spans(result))
        cursor = result.cursor
        sizes.append(len(json.loads(cursor)["asked"]))
    both, today = ("2026-06-25", "2026-06-30"), ("2026-06-30", "2026-06-30")
    assert asked == [[both]] * MAX_ATTEMPTS + [[today]] * (10 - MAX_ATTEMPTS)
    assert max(sizes) == 2, "one of each day"
    quiet = tick(warehouse, instance, cursor)
    assert "the last build of 2026-06-25..2026-06-25 failed" in quiet.skip_reason.skip_message


def test_days_restated_beside_a_bad_one_renew_no_attempts_of_it_and_its_own_restatement_does(
    warehouse, instance
):
    land(warehouse, june(24, 25, 26))
    cursor = None
    for _ in range(MAX_ATTEMPTS):
        cursor = failing(warehouse, instance, cursor, june(25)).cursor
    land(warehouse, june(24, 26), minute=5)
    beside = failing(warehouse, instance, cursor, june(25))
    assert spans(beside) == [("2026-06-24", "2026-06-24"), ("2026-06-26", "2026-06-26")], "and not through it"
    land(warehouse, june(25), minute=6)
    cursor, asked = beside.cursor, []
    for _ in range(MAX_ATTEMPTS + 2):
        again = failing(warehouse, instance, cursor, june(25))
        asked += spans(again)
        cursor = again.cursor
    assert asked == [("2026-06-25", "2026-06-25")] * MAX_ATTEMPTS


def test_a_day_that_came_to_a_bad_one_s_last_attempt_has_its_own_left(warehouse, instance):
    land(warehouse, june(25))
    cursor = None
    for _ in range(MAX_ATTEMPTS - 1):
        cursor = failing(warehouse, instance, cursor, june(25)).cursor
    land(warehouse, june(28), minute=5)
    together = failing(warehouse, instance, cursor, june(25))
    assert spans(together) == [("2026-06-25", "2026-06-28")]
    assert spans(tick(warehouse, instance, together.cursor)) == [("2026-06-28", "2026-06-28")]


def test_a_canceled_build_is_left_to_the_person_who_canceled_it(warehouse, instance):
    land(warehouse, june(1, 2))
    first = tick(warehouse, instance)
    ended(instance, first.run_requests[0], dg.DagsterRunStatus.CANCELED)
    second = tick(warehouse, instance, first.cursor)
    assert spans(second) == []
    assert "was canceled" in second.skip_reason.skip_message


def test_a_range_that_keeps_failing_does_not_keep_others_waiting(warehouse, instance):
    land(warehouse, [date(2026, 1, 1) + timedelta(days=20 * step) for step in range(MAX_RUNS_PER_TICK)])
    first = tick(warehouse, instance)
    for request in first.run_requests:
        ended(instance, request)
    land(warehouse, june(20), minute=5)
    assert spans(tick(warehouse, instance, first.cursor))[0] == ("2026-06-20", "2026-06-20")


def test_a_change_after_a_failed_run_asks_again(warehouse, instance):
    land(warehouse, june(1, 2))
    first = tick(warehouse, instance)
    land(warehouse, june(2), minute=5)
    second = tick(warehouse, instance, first.cursor)
    assert spans(second) == [("2026-06-01", "2026-06-02")]
    assert second.run_requests[0].run_key != first.run_requests[0].run_key


def test_built_days_are_quiet_until_one_is_restated(warehouse, instance):
    land(warehouse, june(1, 2, 3))
    first = tick(warehouse, instance)
    build(warehouse, first.run_requests[0])
    quiet = tick(warehouse, instance, first.cursor)
    assert spans(quiet) == []
    assert quiet.skip_reason.skip_message == "marts follow the ledger"
    land(warehouse, june(2), minute=5)
    assert spans(tick(warehouse, instance, quiet.cursor)) == [("2026-06-02", "2026-06-02")]


def test_a_pull_that_found_the_day_unchanged_or_was_deferred_wakes_nothing(warehouse, instance):
    land(warehouse, june(1))
    first = tick(warehouse, instance)
    build(warehouse, first.run_requests[0])
    land(warehouse, june(1), minute=5, unchanged=True)
    land(warehouse, june(1), minute=6, status="deferred")
    assert spans(tick(warehouse, instance, first.cursor)) == []


def test_a_duplicate_tick_repeats_its_run_keys(warehouse, instance):
    land(warehouse, june(1, 2, 20))
    keys = [[request.run_key for request in tick(warehouse, instance).run_requests] for _ in range(2)]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 2


@pytest.mark.parametrize(
    "cursor", ["not json", "[1, 2]", "null", '"text"', '{"asked": [7]}', '{"asked": [{"first": "x"}]}', ""]
)
def test_an_unreadable_cursor_is_a_first_tick(warehouse, instance, cursor):
    land(warehouse, june(1, 2))
    assert spans(tick(warehouse, instance, cursor)) == [("2026-06-01", "2026-06-02")]


def test_ranges_beyond_the_limit_of_a_tick_are_asked_for_later_not_lost(warehouse, instance):
    ranges = MAX_RUNS_PER_TICK + 2
    days = [date(2026, 1, 1) + timedelta(days=20 * step) for step in range(ranges)]
    land(warehouse, days)
    first = tick(warehouse, instance)
    assert len(spans(first)) == MAX_RUNS_PER_TICK
    for request in first.run_requests:
        build(warehouse, request)
    second = tick(warehouse, instance, first.cursor)
    assert {first for first, _ in spans(first) + spans(second)} == {day.isoformat() for day in days}
    for request in second.run_requests:
        build(warehouse, request)
    assert spans(tick(warehouse, instance, second.cursor)) == []


def test_ranges_beyond_the_limit_follow_even_when_the_first_ones_failed(warehouse, instance):
    land(warehouse, [date(2026, 1, 1) + timedelta(days=20 * step) for step in range(MAX_RUNS_PER_TICK + 1)])
    first = tick(warehouse, instance)
    second = tick(warehouse, instance, first.cursor)
    assert spans(second)[0] not in spans(first), "what was never asked for goes first"
    assert len(spans(second)) == MAX_RUNS_PER_TICK


def test_only_undated_rows_rebuild_yesterday_in_the_business_zone(warehouse, instance):
    land(warehouse, [None])
    result = tick(warehouse, instance)
    assert spans(result) == [("2026-06-29", "2026-06-29")]
    build(warehouse, result.run_requests[0])
    assert spans(tick(warehouse, instance, result.cursor)) == []


def test_undated_rows_changed_twice_on_one_day_are_built_twice(warehouse, instance):
    land(warehouse, [None])
    first = tick(warehouse, instance)
    build(warehouse, first.run_requests[0])
    land(warehouse, [None], minute=5)
    second = tick(warehouse, instance, first.cursor)
    assert spans(second) == spans(first)
    assert second.run_requests[0].run_key != first.run_requests[0].run_key


def test_undated_rows_ride_along_with_dated_ones(warehouse, instance):
    land(warehouse, [None, *june(1, 2)])
    result = tick(warehouse, instance)
    assert spans(result) == [("2026-06-01", "2026-06-02")]
    build(warehouse, result.run_requests[0])
    assert spans(tick(warehouse, instance, result.cursor)) == []


def test_changed_sql_rebuilds_every_day_although_no_slice_changed(warehouse, instance, monkeypatch):
    land(warehouse, june(1, 2, 3))
    first = tick(warehouse, instance)
    build(warehouse, first.run_requests[0])
    for where in (module, sys.modules["aelp_assets.runner"]):
        monkeypatch.setattr(where, "source_hash", lambda *names: "edited")
    second = tick(warehouse, instance, first.cursor)
    assert spans(second) == spans(first)
    assert second.run_requests[0].run_key != first.run_requests[0].run_key


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ],
)
def test_nothing_is_asked_for_while_a_run_is_unfinished_and_nothing_is_forgotten(warehouse, instance, status):
    land(warehouse, june(1, 2))
    first = tick(warehouse, instance)
    instance.add_run(run(status))
    land(warehouse, june(2), minute=5)
    waiting = tick(warehouse, instance, first.cursor)
    assert spans(waiting) == []
    assert waiting.cursor == first.cursor
    with dg.DagsterInstance.ephemeral() as later:
        later.add_run(run(dg.DagsterRunStatus.SUCCESS))
        later.add_run(run(dg.DagsterRunStatus.FAILURE))
        assert spans(tick(warehouse, later, waiting.cursor)) == [("2026-06-01", "2026-06-02")]


def run(status):
    return dg.DagsterRun(job_name=transform_days.name, run_id=str(uuid.uuid4()), status=status)


def test_a_change_that_lands_while_a_run_builds_the_day_is_built_afterwards(warehouse, instance):
    land(warehouse, june(1))
    first = tick(warehouse, instance)
    seen = ledger.ledger_state(warehouse, *june(1, 1))  # what the run read before the second landing
    land(warehouse, june(1), minute=5)
    ledger.mark_transformed(warehouse, seen, *june(1, 1), source_hash("dbt_project"))
    assert spans(tick(warehouse, instance, first.cursor)) == [("2026-06-01", "2026-06-01")]


def test_a_locked_warehouse_skips_the_tick_with_the_holder_named(warehouse, instance):
    land(warehouse, june(1))
    with another_process_holding(warehouse.path) as holder:
        skipped = tick(warehouse, instance, "kept")
        assert spans(skipped) == []
        assert skipped.cursor == "kept"
        assert "warehouse busy" in skipped.skip_reason.skip_message
        assert f"PID {holder.pid}" in skipped.skip_reason.skip_message
    assert len(spans(tick(warehouse, instance, skipped.cursor))) == 1


class another_process_holding:  # noqa: N801 - reads as a sentence
    def __init__(self, path):
        program = f"import duckdb; c = duckdb.connect({str(path)!r}); print('held', flush=True); input()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "held\n"

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.communicate("\n", timeout=20)


def test_a_build_that_met_a_held_warehouse_waits_then_fails_and_is_asked_for_again(
    warehouse, instance, tmp_path, monkeypatch
):
    monkeypatch.setattr(retrying, "LOCK_WAIT_SECONDS", 0.05)
    land(warehouse, june(1, 2))
    first = tick(warehouse, instance)
    (request,) = first.run_requests
    defs = build_defs({"warehouse": warehouse, "clock": CLOCK, "settings": SETTINGS})
    with another_process_holding(warehouse.path) as holder:
        run = defs.resolve_job_def(transform_days.name).execute_in_process(
            instance=instance,
            tags={**request.tags, "dagster/run_key": request.run_key},
            raise_on_error=False,
        )
        (failure,) = [event for event in run.all_events if event.is_step_failure]
        assert f"PID {holder.pid}" in failure.step_failure_data.error.cause.message
    tries = [event for event in run.all_events if event.event_type == dg.DagsterEventType.STEP_RESTARTED]
    assert len(tries) == retrying.LOCK_RETRIES
    again = tick(warehouse, instance, first.cursor)
    assert spans(again) == spans(first)
    assert again.run_requests[0].run_key != request.run_key


def test_before_the_first_landing_there_is_nothing_to_ask_for(tmp_path, instance):
    absent = DuckDBWarehouse(tmp_path / "none.duckdb", temporary=tmp_path / "spill")
    result = tick(absent, instance)
    assert spans(result) == []
    assert "nothing has been landed" in result.skip_reason.skip_message
    assert not absent.path.exists()
