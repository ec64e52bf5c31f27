"""A failed decision is asked for again only when what it rests on has changed, and not for ever."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._utils.error import SerializableErrorInfo

from aelp_assets import runner
from aelp_assets.bandits import decision_moment
from aelp_assets.jobs import decide, transform_days
from aelp_assets.runner import prepare_warehouse
from resources import ledger
from resources.clock import FixedClock
from resources.code_version import source_hash
from resources.settings import load_settings, read_environment
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import Append
from resources.warehouse.tables import INGEST_SLICES
from sensors.attempts import MAX_ATTEMPTS, RUN_KEY_TAG
from sensors.late_decision import undecided_morning
from sensors.schedules import daily_decision

EIGHT, NOW = datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 7, 1, 14, tzinfo=UTC)
TODAY = "2026-07-01"


class World:
    def __init__(self, instance: dg.DagsterInstance, home) -> None:
        self.instance, self.now = instance, NOW
        self.environment = read_environment({"AELP_HOME": str(home)})
        self.settings = load_settings(self.environment.settings_path)
        self.warehouse = DuckDBWarehouse.from_environment(self.environment)
        prepare_warehouse(self.warehouse)
        self.slices = 0
        self.lands()

    def lands(self, stream: str = "meta_ads_insights", days_ago: int = 1) -> None:
        """One more slice of the day before, or of today."""
        self.slices += 1
        moment = NOW - timedelta(hours=2) + timedelta(minutes=self.slices)
        row = {
            "source": "meta",
            "stream": stream,
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
        last = NOW.date()
        first = last - timedelta(days=1)
        state = ledger.ledger_state(self.warehouse, first, last)
        ledger.mark_transformed(self.warehouse, state, first, last, source_hash("dbt_project"))

    def run(
        self,
        job: str,
        status: dg.DagsterRunStatus,
        request: dg.RunRequest | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> dg.DagsterRun:
        """A run somebody started (tags: those of `aelp run`), or one asked for, as the daemon launches it."""
        asked = {} if request is None else {**request.tags, RUN_KEY_TAG: request.run_key}
        tags = {"dagster/partition": TODAY, **asked, **(tags or {})}
        run = dg.DagsterRun(job, run_id=str(uuid.uuid4()), status=status, tags=tags)
        return self.instance.add_run(run)

    def ends(self, status: dg.DagsterRunStatus) -> None:
        """The run that is under way."""
        (run,) = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        event = dg.DagsterEventType.RUN_FAILURE
        if status is dg.DagsterRunStatus.CANCELED:
            event = dg.DagsterEventType.RUN_CANCELED
        self.instance.report_dagster_event(dg.DagsterEvent(event.value, run.job_name), run.run_id)

    @property
    def resources(self) -> dict[str, object]:
        return {
            "warehouse": self.warehouse,
            "environment": self.environment,
            "settings": self.settings,
            "clock": FixedClock(self.now),
        }

    def tick(self) -> dg.RunRequest | dg.SkipReason:
        with dg.build_sensor_context(instance=self.instance, resources=self.resources) as context:
            return undecided_morning(context)

    def nine(self) -> dg.RunRequest | dg.SkipReason:
        moment = NOW.replace(hour=13).astimezone(self.settings.timezone)
        with dg.build_schedule_context(
            self.instance, scheduled_execution_time=moment, resources=self.resources
        ) as context:
            return daily_decision(context)

    def switches(self, status: InstigatorStatus, since: datetime | None = None) -> InstigatorState:
        """The schedule, as the daemon keeps its state."""
        location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("aelp"), "__repository__")
        origin = RemoteInstigatorOrigin(location, daily_decision.name)
        data = ScheduleInstigatorData(daily_decision.cron_schedule, since and since.timestamp())
        state = InstigatorState(origin, InstigatorType.SCHEDULE, status, data)
        known = self.instance.get_instigator_state(state.instigator_origin_id, state.selector_id)
        (self.instance.update_instigator_state if known else self.instance.add_instigator_state)(state)
        return state

    def schedule_ticks(self, status: TickStatus, days_ago: int = 0) -> None:
        """The newest tick of the schedule, as the daemon keeps it."""
        state = self.switches(InstigatorStatus.DECLARED_IN_CODE)
        failed = SerializableErrorInfo("gone", [], "OSError") if status is TickStatus.FAILURE else None
        at = decision_moment(NOW.date() - timedelta(days=days_ago), self.settings).timestamp()
        tick = TickData(
            state.instigator_origin_id,
            daily_decision.name,
            InstigatorType.SCHEDULE,
            status,
            at,
            run_ids=[],
            error=failed,
            selector_id=state.selector_id,
        )
        self.instance.create_tick(tick)

    def crashes(self, request: dg.RunRequest | dg.SkipReason | None = None) -> dg.DagsterRun:
        """A decision that a held file or a full disk ended, and no check."""
        assert not isinstance(request, dg.SkipReason), request.skip_message
        return self.run(decide.name, dg.DagsterRunStatus.FAILURE, request)

    def fails(self, request: dg.RunRequest | dg.SkipReason | None = None) -> None:
        """A decision that a gate refused."""
        refused = AssetCheckEvaluation(
            dg.AssetKey(["ops", "decision_accounts"]), "someone_may_be_decided_on", False, {}, blocking=True
        )
        event = dg.DagsterEvent(
            dg.DagsterEventType.ASSET_CHECK_EVALUATION.value, decide.name, event_specific_data=refused
        )
        self.instance.report_dagster_event(event, self.crashes(request).run_id)


@pytest.fixture
def world(tmp_path):
    with dg.instance_for_test() as instance:
        made = World(instance, tmp_path)
        made.builds_marts()
        yield made


def test_before_nine_and_after_a_decision_that_succeeded_nothing_is_asked_for(world):
    world.now = EIGHT
    assert "not asked for yet" in world.tick().skip_message
    world.fails()
    assert "not asked for yet" in world.tick().skip_message, "nor again what a person tried early"
    world.now = NOW
    world.run(decide.name, dg.DagsterRunStatus.SUCCESS)
    assert "succeeded" in world.tick().skip_message


def test_at_nine_marts_behind_the_ledger_are_waited_for(world):
    assert world.nine().partition_key == TODAY
    world.lands()
    assert "2026-06-30" in world.nine().skip_message
    assert "behind" in world.tick().skip_message, "not before they follow"
    world.builds_marts()
    request = world.tick()
    assert (request.run_key, request.partition_key) == (f"decide-{TODAY}#0", TODAY)


def test_until_the_schedule_s_tick_has_ended_its_run_may_be_about_to_begin(world):
    world.schedule_ticks(TickStatus.SUCCESS, days_ago=1)
    waits = world.tick().skip_message
    world.schedule_ticks(TickStatus.STARTED)
    assert "not asked for yet" in waits == world.tick().skip_message
    assert world.nine().run_key == f"decide-{TODAY}"


@pytest.mark.parametrize("status", [TickStatus.SKIPPED, TickStatus.FAILURE])
def test_a_tick_of_nine_that_ended_without_a_run_leaves_the_morning_to_the_sensor(world, status):
    world.schedule_ticks(TickStatus.SUCCESS, days_ago=1)
    world.schedule_ticks(status)
    assert world.tick().run_key == f"decide-{TODAY}#0"


def test_a_schedule_that_is_switched_off_is_not_stood_in_for(world):
    world.schedule_ticks(TickStatus.SKIPPED)
    world.switches(InstigatorStatus.STOPPED)
    assert "switched off" in world.tick().skip_message


def test_a_schedule_switched_on_after_nine_ticks_no_more_today(world):
    world.schedule_ticks(TickStatus.SUCCESS, days_ago=2)
    world.switches(InstigatorStatus.STOPPED)
    world.switches(InstigatorStatus.RUNNING, since=NOW - timedelta(hours=2))
    assert "not asked for yet" in world.tick().skip_message, "on since before nine: its tick is to come"
    world.switches(InstigatorStatus.RUNNING, since=NOW - timedelta(minutes=5))
    assert world.tick().run_key == f"decide-{TODAY}#0"


def test_at_nine_nothing_is_decided_beside_a_run_or_again_on_the_same_evidence(world):
    request = world.nine()
    world.run(decide.name, dg.DagsterRunStatus.STARTED)
    assert isinstance(world.nine(), dg.SkipReason)
    world.fails()
    assert world.nine() == request, "a run that failed before nine is none"
    world.run(decide.name, dg.DagsterRunStatus.SUCCESS, request)
    world.lands("intraday_spend", days_ago=0)
    world.builds_marts()
    assert "same evidence" in world.nine().skip_message
    world.lands()
    world.builds_marts()
    assert world.nine().run_key == f"decide-{TODAY}"


def test_what_today_has_spent_so_far_keeps_no_decision_waiting(world):
    world.lands("intraday_spend", days_ago=0)
    assert world.nine().partition_key == TODAY


def test_a_refusal_is_asked_for_again_once_for_each_change_of_what_it_rests_on(world):
    world.fails(world.nine())
    assert "nothing it rests on" in world.tick().skip_message
    world.lands()
    assert "behind the ledger" in world.tick().skip_message
    world.builds_marts()
    request = world.tick()
    assert (request.run_key, request.partition_key) == (f"decide-{TODAY}#1", TODAY)
    world.fails(request)
    assert "nothing it rests on" in world.tick().skip_message, "the same state is not asked for twice"


def test_what_no_check_stopped_is_tried_once_more_on_the_same_evidence(world):
    world.crashes(world.nine())
    request = world.tick()
    assert request.run_key == f"decide-{TODAY}#1"
    world.crashes(request)
    assert "nothing it rests on" in world.tick().skip_message, "what fails twice waits for a person"
    world.lands()
    world.builds_marts()
    again = world.tick()
    assert again.run_key == f"decide-{TODAY}#2", "other evidence may end otherwise, and has its own mishaps"
    world.crashes(again)
    assert world.tick().run_key == f"decide-{TODAY}#3"


def test_what_a_gate_refused_when_a_person_executed_it_again_is_not_tried_once_more(world):
    request = world.nine()
    world.crashes(request)
    world.fails(request)  # executed again, a run has the tags of the one before it
    assert "nothing it rests on" in world.tick().skip_message


def test_what_crashed_again_when_dagster_executed_it_again_is_tried_once_more_by_its_own_key(world):
    request = world.nine()
    world.crashes(request)
    world.crashes(request)
    assert world.tick().run_key == f"decide-{TODAY}#1"


def test_a_repair_that_lands_before_the_first_look_after_the_failure_is_decided_on(world):
    world.fails(world.nine())
    world.lands()
    world.builds_marts()
    assert world.tick().run_key == f"decide-{TODAY}#1"


def test_what_today_has_spent_since_uses_up_no_attempt(world):
    world.fails(world.nine())
    for stream in ("intraday_spend", "meta_hourly_spend"):
        world.lands(stream, days_ago=0)
        world.builds_marts()
        assert "nothing it rests on" in world.tick().skip_message


def test_today_s_budgets_are_evidence_once_marts_hold_them(world):
    world.lands("levers", days_ago=0)
    world.builds_marts()
    world.fails(world.nine())
    world.lands("levers", days_ago=0)
    assert "nothing it rests on" in world.tick().skip_message
    world.builds_marts()
    assert world.tick().run_key == f"decide-{TODAY}#1"


@pytest.mark.parametrize("end", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_a_person_s_run_that_nine_stood_back_for_and_that_they_ended_is_made_up_for_once(world, end):
    inputs = world.nine().tags
    world.run(decide.name, dg.DagsterRunStatus.STARTED, tags=inputs)
    assert "decides" in world.nine().skip_message
    world.ends(end)
    request = world.tick()
    assert request.run_key == f"decide-{TODAY}#1"
    world.fails(request)
    assert "nothing it rests on" in world.tick().skip_message
    world.run(decide.name, dg.DagsterRunStatus.FAILURE, tags=inputs)
    assert "nothing it rests on" in world.tick().skip_message, "what a person tried since says nothing new"


def test_a_decision_that_was_asked_for_and_that_a_person_canceled_stays_canceled(world):
    world.run(decide.name, dg.DagsterRunStatus.CANCELED, world.nine())
    assert "canceled" in world.tick().skip_message


def test_a_failure_that_says_nothing_of_what_it_rested_on_is_made_up_for_once(world):
    world.fails()
    request = world.tick()
    assert request.run_key == f"decide-{TODAY}#1"
    world.fails(request)
    assert "nothing it rests on" in world.tick().skip_message


def test_a_mend_anywhere_below_the_decision_is_a_change(world, monkeypatch):
    world.fails(world.nine())

    def mended(*folders: str) -> str:
        return "mended" if "resources" in folders else source_hash(*folders)

    monkeypatch.setattr(runner, "source_hash", mended)
    assert world.tick().run_key == f"decide-{TODAY}#1"


def test_nothing_is_asked_for_while_a_run_decides_or_builds(world):
    world.fails(world.nine())
    world.lands()
    world.builds_marts()
    world.run(transform_days.name, dg.DagsterRunStatus.STARTED)
    assert "being built" in world.tick().skip_message
    world.run(decide.name, dg.DagsterRunStatus.STARTED)
    assert "under way" in world.tick().skip_message


def test_it_is_given_up_after_some_attempts_and_says_so(world):
    world.fails(world.nine())
    keys = []
    for _ in range(MAX_ATTEMPTS):
        world.lands()
        world.builds_marts()
        request = world.tick()
        keys.append(request.run_key)
        world.fails(request)
    assert keys == [f"decide-{TODAY}#{attempt}" for attempt in range(1, MAX_ATTEMPTS + 1)]
    world.lands()
    world.builds_marts()
    assert "relaunch" in world.tick().skip_message
