"""Failing schedules and sensors over a real instance: told once when it is news, and when they work again."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest
import sqlalchemy as sa
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
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._utils.error import SerializableErrorInfo

from resources.control.store import NOTIFICATIONS, control_url, open_control_store
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from sensors.failing_ticks import TICKS_IN_A_ROW, failing_ticks

SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")


@dg.job
def work() -> None: ...


@dg.sensor(job=work, default_status=dg.DefaultSensorStatus.RUNNING)
def looks_around() -> None: ...


@dg.schedule(job=work, cron_schedule="0 9 * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def every_morning() -> None: ...


@dg.schedule(job=work, cron_schedule="5 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def every_hour() -> None: ...


@dg.job
def guard_spend() -> None: ...


@dg.schedule(job=guard_spend, cron_schedule="30 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def spend_every_hour() -> None: ...


DEFS = dg.Definitions(
    jobs=[work, guard_spend],
    sensors=[looks_around],
    schedules=[every_morning, every_hour, spend_every_hour],
)


class World:
    """An instance with ticks as the daemon stores them, and what people were told."""

    def __init__(self, instance: dg.DagsterInstance, home) -> None:
        self.instance, self.home, self.cursor, self.moment = instance, home, None, 1.7e9
        location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("aelp"), "__repository__")
        self.states = {
            waking.name: InstigatorState(
                RemoteInstigatorOrigin(location, waking.name), kind, InstigatorStatus.DECLARED_IN_CODE, data
            )
            for waking, kind, data in (
                (looks_around, InstigatorType.SENSOR, SensorInstigatorData()),
                (every_morning, InstigatorType.SCHEDULE, ScheduleInstigatorData("0 9 * * *")),
                (every_hour, InstigatorType.SCHEDULE, ScheduleInstigatorData("5 * * * *")),
                (spend_every_hour, InstigatorType.SCHEDULE, ScheduleInstigatorData("30 * * * *")),
            )
        }
        for state in self.states.values():
            instance.add_instigator_state(state)

    def ticks(
        self, name: str, status: TickStatus, times: int = 1, said: str = "no such folder", counted: int = 1
    ) -> None:
        state = self.states[name]
        failed = SerializableErrorInfo(said, [], "OSError") if status is TickStatus.FAILURE else None
        for _ in range(times):
            self.moment += 60
            origin, selector = state.instigator_origin_id, state.selector_id
            self.instance.create_tick(
                TickData(
                    origin,
                    name,
                    state.instigator_type,
                    status,
                    self.moment,
                    run_ids=[],
                    error=failed,
                    failure_count=counted if failed else 0,
                    selector_id=selector,
                )
            )

    def told(self) -> list[tuple[str, str]]:
        """Severity and sentence of everything told so far, after a look."""
        resources = {"environment": read_environment({"AELP_HOME": str(self.home)}), "settings": SETTINGS}
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=resources, definitions=DEFS
        ) as context:
            self.cursor = failing_ticks(context).cursor
        with open_control_store(control_url(self.home, {})).begin() as connection:
            order = sa.literal_column("rowid")
            columns = NOTIFICATIONS.c.severity, NOTIFICATIONS.c.sentence
            return [tuple(row) for row in connection.execute(sa.select(*columns).order_by(order))]


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.delenv("AELP_CONTROL_URL", raising=False)
    with dg.DagsterInstance.local_temp() as instance:
        yield World(instance, tmp_path)


def test_a_sensor_that_fails_now_and_then_is_no_news(world):
    assert world.told() == []
    for _ in range(3):
        world.ticks("looks_around", TickStatus.FAILURE, TICKS_IN_A_ROW - 1)
        assert world.told() == []
        world.ticks("looks_around", TickStatus.SKIPPED)
        assert world.told() == []


def test_a_sensor_that_fails_again_and_again_is_told_once_and_when_it_works(world):
    world.ticks("looks_around", TickStatus.FAILURE, TICKS_IN_A_ROW)
    world.ticks("looks_around", TickStatus.STARTED)
    ((severity, sentence),) = world.told()
    assert severity == "warning"
    assert "looks_around fails itself" in sentence
    assert "no such folder" in sentence
    world.ticks("looks_around", TickStatus.FAILURE, 5)
    assert len(world.told()) == 1
    world.ticks("looks_around", TickStatus.SUCCESS)
    assert [sentence for _, sentence in world.told()][1:] == ["looks_around works again."]
    assert len(world.told()) == 2
    world.ticks("looks_around", TickStatus.FAILURE, TICKS_IN_A_ROW)
    assert len(world.told()) == 3, "another illness"


def test_a_schedule_is_told_at_its_first_failed_tick_because_that_one_does_not_come_again(world):
    world.ticks("every_morning", TickStatus.FAILURE)
    at = f"{datetime.fromtimestamp(world.moment, UTC).astimezone(SETTINGS.timezone):%d %b %H:%M}"
    assert world.told() == [("critical", f"every_morning fails itself ({at}): no such folder")]
    world.ticks("every_morning", TickStatus.SUCCESS)
    assert world.told()[1] == ("warning", "every_morning works again.")


def test_an_hourly_schedule_makes_up_for_a_failed_hour(world):
    world.ticks("every_hour", TickStatus.FAILURE)
    assert world.told() == []
    world.ticks("every_hour", TickStatus.FAILURE, TICKS_IN_A_ROW - 1)
    assert [severity for severity, _ in world.told()] == ["warning"]


def test_an_hour_in_which_nobody_guards_spend_is_told_at_once(world):
    world.ticks("spend_every_hour", TickStatus.FAILURE)
    ((severity, sentence),) = world.told()
    assert severity == "critical"
    assert "spend_every_hour fails itself" in sentence


def test_a_tick_that_dagster_tries_again_itself_is_no_news(world):
    world.ticks("every_morning", TickStatus.FAILURE, said="code server unreachable", counted=0)
    assert world.told() == []


def test_what_was_switched_off_is_no_news_neither_failing_nor_working(world):
    world.ticks("looks_around", TickStatus.FAILURE, TICKS_IN_A_ROW)
    assert len(world.told()) == 1
    state = world.states["looks_around"]
    world.instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))
    assert len(world.told()) == 1, "nobody knows whether it works again"
    world.ticks("every_morning", TickStatus.FAILURE)
    world.instance.update_instigator_state(
        world.states["every_morning"].with_status(InstigatorStatus.STOPPED)
    )
    assert len(world.told()) == 1


def test_no_secret_of_an_error_is_told(world, monkeypatch):
    monkeypatch.setenv("AELP_META_ACCESS_TOKEN", "EAAB-not-to-be-told")
    world.ticks("every_morning", TickStatus.FAILURE, said="401 for token EAAB-not-to-be-told")
    ((_, sentence),) = world.told()
    assert "EAAB" not in sentence


def test_an_unreadable_cursor_tells_the_same_tick_once_and_what_fails_still_once_more(world):
    world.ticks("every_morning", TickStatus.FAILURE)
    assert len(world.told()) == 1
    world.cursor = "{torn"
    assert len(world.told()) == 1
    world.ticks("every_morning", TickStatus.FAILURE)
    world.cursor = "{torn"
    assert len(world.told()) == 2
