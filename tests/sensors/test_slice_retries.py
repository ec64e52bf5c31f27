"""The retry queue wakes pulls: once a wait is over, never twice for the same queue, never in a storm."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from aelp_assets.jobs import pull_sources
from resources.clock import FixedClock
from resources.control.ingestion import IngestionControl, Waiting
from resources.control.store import open_control_store
from resources.settings import PROJECT_ROOT, LiveSource, load_settings
from resources.settings.sources import LiveVendorFiles
from sensors.attempts import MAX_ATTEMPTS
from sensors.slice_retries import APART, retries_of
from tests.sensors.queued_sources import queued_sources

NOON = datetime(2026, 6, 30, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INBOX = LiveVendorFiles(accounts=["brand"], inbox="inbox", calls_per_hour=100, backfill_days=20)
TIKTOK = LiveSource(accounts=["7000"], calls_per_hour=100, backfill_days=20)
SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml").model_copy(
    update={"sources": {"vendor_files": INBOX, "tiktok": TIKTOK}}
)
SENSOR = retries_of(pull_sources(SETTINGS.source_names))


@pytest.fixture
def control(tmp_path):
    (tmp_path / "inbox").mkdir()
    return IngestionControl(open_control_store(f"sqlite:///{tmp_path}/control.sqlite"))


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def tick(tmp_path, control, instance):
    def ticked(moment=NOON, cursor=None):
        clock = FixedClock(moment)
        sources = queued_sources(SETTINGS, clock, control, tmp_path)
        resources = {"sources": sources, "clock": clock}
        with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
            return SENSOR(context)

    return ticked


def waits(control, until, source="vendor_files", account="brand", day=29, attempts=1):
    key = (source, "orders", "none", account, date(2026, 6, day))
    control.settle([], [(key, Waiting(attempts, "throttle", "asked to wait", until))], NOON)


def asked(result):
    return [
        (request.run_key, [key.path[-1] for key in request.asset_selection])
        for request in result.run_requests or []
    ]


def test_no_queue_and_a_wait_that_is_not_over_ask_for_nothing(control, tick):
    assert asked(tick()) == []
    waits(control, NOON + MINUTE)
    waits(control, None, day=28)  # left to the hourly pull
    assert asked(tick()) == []
    assert tick().skip_reason.skip_message == "no wait is over"


def test_a_wait_that_is_over_asks_for_its_source_alone(control, tick):
    waits(control, NOON + 10 * MINUTE)
    ((key, sources),) = asked(tick(NOON + 10 * MINUTE))
    assert sources == ["vendor_files"]
    assert key.startswith("retry-")


def test_a_tick_repeated_with_the_old_cursor_repeats_its_run_key(control, tick):
    waits(control, NOON)
    assert asked(tick()) == asked(tick()) != []


@pytest.mark.parametrize("cursor", ["not json", "[]", "null", '{"at": 1, "states": {"meta": 7}}', '"text"'])
def test_an_unreadable_cursor_is_a_first_tick(control, tick, cursor):
    waits(control, NOON)
    assert asked(tick(cursor=cursor)) == asked(tick()) != []


def test_one_pull_at_a_time_and_minutes_between_two(control, tick, instance):
    waits(control, NOON)
    cursor = tick().cursor
    run = instance.add_run(
        dg.DagsterRun(job_name="pull_sources", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED)
    )
    waits(control, NOON + MINUTE, day=28)
    held = tick(NOON + MINUTE, cursor)
    assert (asked(held), held.cursor) == ([], cursor)
    assert "under way" in held.skip_reason.skip_message
    instance.report_run_failed(run)
    assert "asked less than" in tick(NOON + MINUTE, cursor).skip_reason.skip_message
    assert len(asked(tick(NOON + APART, cursor))) == 1


def test_pulls_that_change_nothing_are_bounded_and_a_new_attempt_counts_anew(control, tick):
    waits(control, NOON)
    cursor, keys = None, []
    for number in range(MAX_ATTEMPTS):
        result = tick(NOON + number * APART, cursor)
        keys += [key for key, _ in asked(result)]
        cursor = result.cursor
    assert len(set(keys)) == MAX_ATTEMPTS, "Dagster launches a run key once"
    later = NOON + (MAX_ATTEMPTS + 5) * APART
    for _ in range(2):
        given_up = tick(later, cursor)
        assert asked(given_up) == []
        assert "left to the hourly pull" in given_up.skip_reason.skip_message
    waits(control, later, attempts=2)  # an hourly pull tried, and the platform asked to wait again
    assert len(asked(tick(later, cursor))) == 1


def test_a_slice_that_healed_and_fails_anew_is_no_pull_that_changed_nothing(control, tick):
    cursor = None
    for number in range(MAX_ATTEMPTS + 1):
        moment = NOON + number * APART
        waits(control, moment)  # the pull healed it, and the next hourly one began to wait again
        result = tick(moment, cursor)
        assert len(asked(result)) == 1
        cursor = result.cursor


def test_a_source_nobody_can_call_is_not_pulled(control, tick):
    waits(control, NOON, source="tiktok", account="7000")
    assert asked(tick()) == [], "no credentials"
    waits(control, NOON)
    assert [sources for _, sources in asked(tick())] == [["vendor_files"]]
