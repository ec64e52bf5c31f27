"""A failed decision is asked for again only when what it rests on has changed, and not for ever."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from aelp_assets.jobs import decide, transform_days
from aelp_assets.runner import prepare_warehouse
from resources import ledger
from resources.clock import FixedClock
from resources.code_version import source_hash
from resources.settings import load_settings, read_environment
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import Append
from resources.warehouse.tables import INGEST_SLICES
from sensors.attempts import MAX_ATTEMPTS
from sensors.late_decision import read_cursor, undecided_morning
from sensors.schedules import daily_decision

EIGHT, NOW = datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 7, 1, 14, tzinfo=UTC)
TODAY = "2026-07-01"


class World:
    def __init__(self, instance: dg.DagsterInstance, home) -> None:
        self.instance, self.cursor, self.now = instance, None, NOW
        self.environment = read_environment({"AELP_HOME": str(home)})
        self.settings = load_settings(self.environment.settings_path)
        self.warehouse = DuckDBWarehouse.from_environment(self.environment)
        prepare_warehouse(self.warehouse)
        self.slices = 0
        self.lands()

    def lands(self, days_ago: int = 1) -> None:
        """One more slice of the day before, or of today."""
        self.slices += 1
        moment = NOW - timedelta(hours=2) + timedelta(minutes=self.slices)
        row = {
            "source": "meta",
            "stream": "meta_insights",
            "account_id": "1",
            "report_date": moment.date() - timedelta(days=days_ago),
            "breakdown_set": "none",
            "batch_id": f"b{self.slices}",
            "data_batch_id": f"b{self.slices}",
            "status": "complete",
            "attempts": 1,
            "error_class": None,
            "request_hash": "r",
            "row_count": 1,
            "content_hash": f"c{self.slices}",
            "completed_at": moment,
        }
        frame = pl.DataFrame([row]).select(
            pl.col(name).cast(kind) if name in row else pl.lit(None, kind).alias(name)
            for name, kind in INGEST_SLICES.polars_schema.items()
        )
        self.warehouse.write(Append(INGEST_SLICES, frame))

    def builds_marts(self) -> None:
        day = NOW.date() - timedelta(days=1)
        state = ledger.ledger_state(self.warehouse, day, day)
        ledger.mark_transformed(self.warehouse, state, day, day, source_hash("dbt_project"))

    def run(self, job: str, status: dg.DagsterRunStatus) -> None:
        self.instance.add_run(
            dg.DagsterRun(job, run_id=str(uuid.uuid4()), status=status, tags={"dagster/partition": TODAY})
        )

    def tick(self) -> dg.SensorResult:
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={
                "warehouse": self.warehouse,
                "environment": self.environment,
                "settings": self.settings,
                "clock": FixedClock(self.now),
            },
        ) as context:
            result = undecided_morning(context)
        self.cursor = result.cursor
        return result

    def asked(self) -> list[str]:
        return [request.run_key for request in self.tick().run_requests or []]


@pytest.fixture
def world(tmp_path):
    with dg.DagsterInstance.ephemeral() as instance:
        made = World(instance, tmp_path)
        made.builds_marts()
        yield made


def fails(world) -> None:
    world.run(decide.name, dg.DagsterRunStatus.FAILURE)


def test_before_nine_and_after_a_decision_that_succeeded_nothing_is_asked_for(world):
    world.now = EIGHT
    assert "not been asked for" in world.tick().skip_reason.skip_message
    world.now = NOW
    world.run(decide.name, dg.DagsterRunStatus.SUCCESS)
    assert "succeeded" in world.tick().skip_reason.skip_message


def nine(world) -> dg.RunRequest | dg.SkipReason:
    context = dg.build_schedule_context(
        scheduled_execution_time=NOW.astimezone(world.settings.timezone),
        resources={"warehouse": world.warehouse},
    )
    return daily_decision(context)


def test_at_nine_marts_behind_the_ledger_are_waited_for(world):
    assert nine(world).partition_key == TODAY
    world.lands()
    assert "2026-06-30" in nine(world).skip_message
    assert world.asked() == [], "not before they follow"
    world.builds_marts()
    (request,) = world.tick().run_requests
    assert (request.run_key, request.partition_key) == (f"decide-{TODAY}#0", TODAY)


def test_what_today_has_spent_so_far_keeps_no_decision_waiting(world):
    world.lands(days_ago=0)
    assert nine(world).partition_key == TODAY


def test_a_failure_is_asked_for_again_once_for_each_change_of_what_it_rests_on(world):
    fails(world)
    assert [world.asked() for _ in range(3)] == [[]] * 3, "nothing has changed since"
    world.lands()
    assert "behind the ledger" in world.tick().skip_reason.skip_message
    world.builds_marts()
    (request,) = world.tick().run_requests
    assert request.run_key == f"decide-{TODAY}#1"
    assert request.partition_key == TODAY
    assert world.asked() == [], "the same state is not asked for twice"


def test_nothing_is_asked_for_while_a_run_decides_or_builds(world):
    fails(world)
    world.tick()
    world.lands()
    world.builds_marts()
    world.run(transform_days.name, dg.DagsterRunStatus.STARTED)
    assert world.asked() == []
    world.run(decide.name, dg.DagsterRunStatus.STARTED)
    assert world.asked() == []


def test_it_is_given_up_after_some_attempts_and_says_so(world):
    fails(world)
    world.tick()
    keys = []
    for _ in range(MAX_ATTEMPTS + 2):
        world.lands()
        world.builds_marts()
        keys += world.asked()
        fails(world)
    assert keys == [f"decide-{TODAY}#{attempt}" for attempt in range(1, MAX_ATTEMPTS + 1)]
    world.lands()
    world.builds_marts()
    assert "relaunch" in world.tick().skip_reason.skip_message


@pytest.mark.parametrize("cursor", ["", "{}", "[]", "not json", '{"morning": "x"}'])
def test_an_unreadable_cursor_is_a_first_tick(world, cursor):
    assert read_cursor(cursor) is None
    world.cursor = cursor
    fails(world)
    assert world.asked() == []
