"""Accounts that cannot be read: told once until they are, a short outage to nobody."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from resources.clock import FixedClock, SystemClock
from resources.control.ingestion import IngestionControl, Waiting
from resources.control.store import control_url, open_control_store
from resources.notifier import Notifier
from resources.settings import PROJECT_ROOT, LiveSource, load_settings, read_environment
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import Append, WarehouseLocked
from resources.warehouse.tables import INGEST_SLICES
from sensors.unread_sources import unread_sources
from tests.sensors.queued_sources import queued_sources

NOON = datetime(2026, 6, 30, 16, tzinfo=UTC)
YESTERDAY = date(2026, 6, 29)
DAY = timedelta(days=1)
IMPACT = LiveSource(accounts=["shop"])
SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml").model_copy(
    update={"sources": {"impact": IMPACT, "tiktok": LiveSource(accounts=["7000"])}}
)
RENAMED = "orders: shop has no column placed_at"


@pytest.fixture
def control(tmp_path):
    return IngestionControl(open_control_store(control_url(tmp_path, {})))


@pytest.fixture
def warehouse(duckdb_warehouse):
    duckdb_warehouse.ensure_tables([INGEST_SLICES])
    return duckdb_warehouse


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def tick(tmp_path, monkeypatch, control, warehouse, instance):
    """Look at a moment; what people had been told by then, and the tick's result."""
    monkeypatch.delenv("AELP_CONTROL_URL", raising=False)

    def ticked(moment=NOON, cursor=None, looked_into=warehouse, variables=None):
        clock = FixedClock(moment)
        resources = {
            "environment": read_environment({"AELP_HOME": str(tmp_path)}),
            "sources": replace(queued_sources(SETTINGS, clock, control, tmp_path), variables=variables or {}),
            "warehouse": looked_into,
            "clock": clock,
        }
        with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
            result = unread_sources(context)
        rows = Notifier(control._engine, [], SystemClock().now).told()
        return [(row["severity"], row["sentence"]) for row in rows], result

    return ticked


def keys(source="impact", account="shop", stream="impact_actions", last=YESTERDAY, days=1):
    return [(source, stream, "none", account, last - n * DAY) for n in range(days)]


def wait(control, slices, error_class="PERMANENT", message=RENAMED, until=NOON + DAY):
    control.settle([], [(key, Waiting(1, error_class, message, until)) for key in slices], NOON)


def land(warehouse, day, status="complete", at=NOON, stream="impact_actions"):
    """One attempt at a day of impact's, as the ledger keeps it."""
    attempt = dict.fromkeys(INGEST_SLICES.polars_schema) | {
        "source": "impact",
        "stream": stream,
        "account_id": "shop",
        "report_date": day,
        "breakdown_set": "none",
        "batch_id": f"b-{day}-{status}",
        "status": status,
        "attempts": 1,
        "request_hash": "h",
        "row_count": 1,
        "completed_at": at,
    }
    warehouse.write(Append(INGEST_SLICES, pl.DataFrame([attempt], schema=INGEST_SLICES.polars_schema)))


def test_what_asking_again_does_not_mend_is_told_once_and_anew_when_it_comes_back(control, tick):
    assert tick()[0] == []
    wait(control, keys(days=90))
    told, result = tick()
    said = f"impact_actions of impact/shop cannot be read (PERMANENT; 90 slices, the newest of {YESTERDAY})"
    assert told == [("critical", f"{said}: {RENAMED}")]
    later, again = tick(NOON + 5 * DAY, result.cursor)
    assert (later, again.cursor) == (told, result.cursor), "no change"
    assert tick()[0] == told, "a tick repeated with the old cursor"
    control.settle(keys(days=90), [], NOON)
    healed = tick(NOON + 6 * DAY, again.cursor)[1]
    assert healed.skip_reason.skip_message == "nothing waits for a person"
    wait(control, keys(last=YESTERDAY + 6 * DAY))
    assert len(tick(NOON + 7 * DAY, healed.cursor)[0]) == 2


def test_each_account_and_kind_of_error_is_told_by_itself(control, tick):
    wait(control, keys(days=2))
    cursor = tick()[1].cursor
    wait(control, keys(stream="other", days=2), "OTHER_FORMAT", "files hold the same days")
    wait(control, keys("tiktok", "7000"))
    told, result = tick(cursor=cursor)
    assert len(told) == 3
    assert tick(cursor=result.cursor)[0] == told


def test_the_message_names_what_to_run(control, tick):
    wait(control, keys())
    tick()
    remedies = {row["remedy"] for row in Notifier(control._engine, [], SystemClock().now).told()}
    (remedy,) = remedies
    assert "`aelp connect impact`" in remedy
    assert "`ops/source_backfills/impact`" in remedy


@pytest.mark.parametrize("error_class", ["TRANSIENT", "THROTTLE", "DEFER"])
def test_an_outage_is_told_once_a_report_is_too_old_to_decide_on(control, warehouse, tick, error_class):
    allowed = SETTINGS.max_data_age_days
    land(warehouse, YESTERDAY)
    wait(control, keys(days=28), error_class, "HTTP 503")  # days that it may restate fail with yesterday
    cursor = tick()[1].cursor
    for days in range(allowed):
        told, result = tick(NOON + days * DAY, cursor)
        assert told == [], "its newest complete day is young enough"
        cursor = result.cursor
    told, result = tick(NOON + allowed * DAY, cursor)
    ((severity, sentence),) = told
    assert severity == "warning"
    assert sentence.startswith(f"impact_actions of impact/shop cannot be read ({error_class}; 28 slices")
    assert tick(NOON + (allowed + 1) * DAY, result.cursor)[0] == told
    land(warehouse, YESTERDAY + allowed * DAY)
    read = tick(NOON + (allowed + 1) * DAY, result.cursor)[1]
    assert read.skip_reason.skip_message == "nothing waits for a person"


def test_an_old_day_that_waits_is_no_outage_of_its_report(control, warehouse, tick):
    land(warehouse, YESTERDAY)
    wait(control, keys(last=YESTERDAY - 60 * DAY, days=9), "TRANSIENT", "HTTP 503")
    assert tick()[0] == []


def test_of_two_reports_the_one_that_stands_still_is_told(control, warehouse, tick):
    land(warehouse, YESTERDAY)
    land(warehouse, YESTERDAY - 9 * DAY, stream="others")
    wait(control, [*keys(), *keys(stream="others")], "TRANSIENT", "HTTP 503")
    ((_, sentence),) = tick()[0]
    assert sentence.startswith("others of impact/shop")


@pytest.mark.emulator
def test_how_old_a_report_is_is_read_on_bigquery_alike(control, bigquery_warehouse, tick):
    bigquery_warehouse.ensure_tables([INGEST_SLICES])
    land(bigquery_warehouse, YESTERDAY)
    land(bigquery_warehouse, YESTERDAY - 9 * DAY, stream="others")
    land(bigquery_warehouse, YESTERDAY, "failed", stream="never")
    for stream in ("impact_actions", "others", "never"):
        wait(control, keys(stream=stream), "TRANSIENT", "HTTP 503")
    ((_, sentence),) = tick(looked_into=bigquery_warehouse)[0]
    assert sentence.startswith("others of impact/shop")


def test_what_was_never_read_counts_from_the_day_it_was_first_asked_for(control, warehouse, tick):
    land(warehouse, YESTERDAY, "failed")
    wait(control, keys(days=90), "TRANSIENT", "HTTP 503")
    assert tick()[0] == [], "a first pull that fails"
    assert len(tick(NOON + 4 * DAY)[0]) == 1


def test_an_account_that_could_never_be_opened_is_told_after_as_long(control, tick):
    for days in range(3):
        wait(control, keys(last=YESTERDAY + days * DAY), "TRANSIENT", "no route to host")
        assert tick(NOON + days * DAY)[0] == []
    assert len(tick(NOON + 3 * DAY)[0]) == 1


def test_a_role_that_is_missing_elsewhere_is_told_and_what_stopped_the_source_is_told_as_that(control, tick):
    wait(control, keys(), "AUTH", "token expired", until=None)
    assert tick()[0] == []
    wait(control, keys(), "AUTH", "GA4 export: no BigQuery Data Viewer")
    assert len(tick()[0]) == 1


def test_credentials_that_are_lost_are_told_once_until_they_are_back(control, tick):
    given = {"AELP_IMPACT_ACCOUNT_SID": "IRsid", "AELP_IMPACT_AUTH_TOKEN": "token"}
    assert tick()[0] == [], "never read"
    control.note_zone("impact", "shop", "UTC")  # a pull has opened it
    assert tick(variables=given)[0] == []
    told, result = tick()
    ((severity, sentence),) = told
    assert severity == "critical"
    assert "set AELP_IMPACT_ACCOUNT_SID and AELP_IMPACT_AUTH_TOKEN" in sentence
    assert tick(NOON + DAY, result.cursor)[0] == told
    back = tick(NOON + DAY, result.cursor, variables=given)[1]
    assert back.skip_reason.skip_message == "nothing waits for a person"
    assert len(tick(NOON + 2 * DAY, back.cursor)[0]) == 2, "lost again"


def test_what_a_pull_asks_for_again_is_not_forgotten_meanwhile(control, tick, instance):
    wait(control, keys())
    told, result = tick()
    control.start(keys(), NOON)
    assert tick(NOON + DAY, result.cursor)[1].cursor == result.cursor
    control.settle(keys(), [], NOON)  # yesterday's snapshot, which cannot be taken any more
    instance.add_run(
        dg.DagsterRun(job_name="pull_sources", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED)
    )
    meanwhile, held = tick(NOON + DAY, result.cursor)
    assert (meanwhile, held.cursor) == (told, result.cursor)


class Held(DuckDBWarehouse):
    def exists(self, name):
        raise WarehouseLocked("in use by PID 7")


def test_a_held_warehouse_is_asked_only_for_the_age_of_a_report(control, tick, tmp_path):
    held = Held(tmp_path / "held.duckdb", temporary=tmp_path)
    wait(control, keys())
    told, result = tick(looked_into=held)
    assert len(told) == 1
    wait(control, keys("tiktok", "7000"), "TRANSIENT")
    skipped = tick(cursor=result.cursor, looked_into=held)[1]
    assert "warehouse busy" in skipped.skip_reason.skip_message
    assert skipped.cursor == result.cursor


@pytest.mark.parametrize("cursor", ["not json", "[]", "null", '{"unread": 7}', '"text"'])
def test_an_unreadable_cursor_tells_nothing_twice_on_its_day(control, tick, cursor):
    wait(control, keys())
    first, _ = tick()
    assert tick(cursor=cursor)[0] == first


def test_before_the_first_pull_there_is_nothing_to_tell(tick):
    told, result = tick()
    assert (told, result.skip_reason.skip_message) == ([], "nothing waits for a person")
