"""The daemon on an injected clock: real schedules, sensors and conditions, real runs, one after another.

Here: which of them are due at a moment, what they ask for, running it, and a log of the runs. Not here: the
account that is lived and what goes wrong in it (`simulated_month`).

What Dagster's own daemon does besides (queues, run workers, heartbeats) is tested by killing it
(`tests/faults`); here every request is executed in this process before the next is made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor
from dagster._core.definitions.automation_tick_evaluation_context import build_run_requests
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorDefinition
from dagster._core.test_utils import freeze_time
from dagster._serdes import deserialize_value, serialize_value
from dagster._utils.schedules import schedule_execution_time_iterator

from sensors.attempts import RUN_KEY_TAG

_PARTITION = "dagster/partition"
_MISSED_TICKS = 5  # of a schedule that Dagster makes up for
_ROUNDS = 12  # of sensors after one another until nothing is asked for
ON_DEMAND = {"approved_changes"}
"""Sensors a person switches on."""


@dataclass
class SteppedClock:
    """Stands still until it is set."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment


@dataclass(frozen=True)
class Ran:
    """One run: when, of what, asked for by whom, and the (table, partition) pairs it brought."""

    moment: str
    job: str
    asked_by: str
    succeeded: bool
    seconds: float
    brought: list[tuple[str, str | None]]
    changed: list[str]  # of what conditions ask for, tables whose rows are others than before
    refused: list[str]  # checks that failed as errors


@dataclass
class Memory:
    """What a daemon knows between ticks; kept in a file, so that a month can go on where it was cut off."""

    ticked: str | None = None
    cursors: dict[str, str | None] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    run_keys: dict[str, list[str]] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    ticks: dict[str, list[float]] = field(default_factory=dict)
    failed_ticks: list[str] = field(default_factory=list)
    runs: list[Ran] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Memory:
        told = json.loads(path.read_text()) if path.exists() else {}
        return cls(**{**told, "runs": [Ran(**run) for run in told.get("runs", [])]})

    def save(self, path: Path) -> None:
        staged = path.with_suffix(".new")
        staged.write_text(json.dumps(asdict(self)))
        staged.replace(path)


class Daemon:
    """Walks a code location's schedules, sensors and conditions.

    Args:
        defs: built with `clock` among its resources.
        instance: where runs and events go.
        memory: of an earlier walk over the same instance, or a new one.
    """

    def __init__(
        self, defs: dg.Definitions, instance: dg.DagsterInstance, clock: SteppedClock, memory: Memory
    ) -> None:
        self.defs, self.instance, self.clock, self.memory = defs, instance, clock, memory
        self._repository = defs.get_repository_def()
        self._resources = dict(defs.resources or {})
        sensors = [sensor for sensor in self._repository.sensor_defs if sensor.name not in ON_DEMAND]
        self._conditions = [s for s in sensors if isinstance(s, dg.AutomationConditionSensorDefinition)]
        graph = self._repository.asset_graph
        self._refreshed = {key for s in self._conditions for key in s.asset_selection.resolve(graph)}
        self._sensors = [
            s
            for s in sensors
            if not isinstance(s, dg.AutomationConditionSensorDefinition | RunStatusSensorDefinition)
        ]

    def tick(self, moment: datetime) -> None:
        """Everything due since the last tick, then sensors and conditions until they ask for nothing.

        Raises:
            RuntimeError: they never stop asking: a storm.
        """
        self.clock.moment = moment
        with freeze_time(moment):
            for schedule, due in self._due(moment):
                self._schedule(schedule, due)
            for _ in range(_ROUNDS):
                if not self._look_around():
                    break
            else:
                raise RuntimeError(f"{moment}: {_ROUNDS} rounds of sensors and still something is asked for")
        self.memory.ticked = moment.isoformat()

    def _due(self, moment: datetime) -> list[tuple[dg.ScheduleDefinition, datetime]]:
        """Schedules with a cron tick in (last tick, moment]; of missed ones the newest few, like Dagster."""
        ticked = self.memory.ticked
        since = datetime.fromisoformat(ticked) if ticked else moment - timedelta(minutes=1)
        found = []
        for schedule in self._repository.schedule_defs:
            walked = schedule_execution_time_iterator(
                since.timestamp(), schedule.cron_schedule, schedule.execution_timezone
            )
            ticks = [due for due in takewhile(lambda due: due <= moment, walked) if due > since]
            # Hours the walk leaves out on purpose are no missed ticks: an hourly schedule comes once.
            hourly = str(schedule.cron_schedule).split()[1] == "*"
            found += [(schedule, due) for due in ticks[-1 if hourly else -_MISSED_TICKS :]]
        return sorted(found, key=lambda pair: (pair[1], pair[0].name))

    def _schedule(self, schedule: dg.ScheduleDefinition, due: datetime) -> None:
        context = dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=due,
            repository_def=self._repository,
            resources={key: self._resources[key] for key in schedule.required_resource_keys},
        )
        started = time.perf_counter()
        asked = schedule.evaluate_tick(context)
        self._note(schedule.name, started)
        self._launch_all(schedule.name, schedule.job_name, asked.run_requests or [])

    def _look_around(self) -> int:
        """One round of sensors and conditions; how many runs they asked for."""
        asked = 0
        for sensor in self._sensors:
            context = dg.build_sensor_context(
                instance=self.instance,
                cursor=self.memory.cursors.get(sensor.name),
                repository_def=self._repository,
                sensor_name=sensor.name,
                resources={key: self._resources[key] for key in sensor.required_resource_keys},
            )
            with context:
                started = time.perf_counter()
                try:
                    told = sensor.evaluate_tick(context)
                except Exception as error:
                    # As the daemon: the tick failed, its cursor stands, the others go on.
                    self.memory.failed_ticks.append(f"{self.clock.moment:%m-%d %H:%M} {sensor.name}: {error}")
                    continue
                finally:
                    self._note(sensor.name, started)
            self.memory.cursors[sensor.name] = told.cursor
            asked += self._launch_all(sensor.name, None, told.run_requests or [], sensor)
        for conditions in self._conditions:
            asked += self._conditioned(conditions)
        return asked

    def _conditioned(self, sensor: dg.AutomationConditionSensorDefinition) -> int:
        kept = self.memory.conditions.get(sensor.name)
        started = time.perf_counter()
        result = dg.evaluate_automation_conditions(
            defs=self.defs,
            instance=self.instance,
            asset_selection=sensor.asset_selection,
            evaluation_time=self.clock.moment,
            cursor=deserialize_value(kept, AssetDaemonCursor) if kept else None,
        )
        self._note(sensor.name, started)
        self.memory.conditions[sensor.name] = serialize_value(result.cursor)
        requests = build_run_requests(
            result._requested_subsets, self._repository.asset_graph, run_tags=None, emit_backfills=False
        )
        for request in requests:
            job = self.defs.resolve_implicit_global_asset_job_def().get_subset(
                asset_selection=set(request.asset_selection or []),
                asset_check_selection=set(request.asset_check_keys) if request.asset_check_keys else None,
            )
            tags = {_PARTITION: request.partition_key} if request.partition_key else {}
            # In the run's record, as the daemon writes it: conditions ask who was made together.
            self._execute(sensor.name, job, tags, None, request.asset_selection)
        return len(requests)

    def _launch_all(
        self,
        asked_by: str,
        job: str | None,
        requests: Sequence[dg.RunRequest],
        sensor: dg.SensorDefinition | None = None,
    ) -> int:
        launched = 0
        for request in requests:
            keys = self.memory.run_keys.setdefault(asked_by, [])
            if request.run_key and request.run_key in keys:
                continue
            keys += [request.run_key] if request.run_key else []
            name = request.job_name or job or (sensor.job_name if sensor is not None else None)
            assert name is not None, f"{asked_by} asks for no job"
            tags = {str(tag): str(value) for tag, value in request.tags.items()}
            if request.run_key:
                tags[RUN_KEY_TAG] = request.run_key
            if request.partition_key:
                tags[_PARTITION] = request.partition_key
            self._execute(
                asked_by, self.defs.resolve_job_def(name), tags, request.run_config, request.asset_selection
            )
            launched += 1
        return launched

    def _execute(
        self,
        asked_by: str,
        job: dg.JobDefinition,
        tags: Mapping[str, str],
        config: Any,
        selection: Sequence[dg.AssetKey] | None = None,
    ) -> None:
        started = time.perf_counter()
        outcome = job.execute_in_process(
            instance=self.instance,
            tags=dict(tags),
            run_config=config or None,
            asset_selection=list(selection) if selection else None,
            raise_on_error=False,
        )
        self.memory.runs.append(
            Ran(
                self.clock.moment.isoformat(),
                "conditions" if asked_by in {sensor.name for sensor in self._conditions} else job.name,
                asked_by,
                outcome.success,
                round(time.perf_counter() - started, 1),
                sorted(set(_brought(outcome)), key=str),
                sorted(self._changed(outcome)),
                sorted(
                    f"{check.asset_key.path[-1]}.{check.check_name}"
                    for check in outcome.get_asset_check_evaluations()
                    if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
                ),
            )
        )

    def _changed(self, outcome: dg.ExecuteInProcessResult) -> Iterator[str]:
        for event in outcome.get_asset_materialization_events():
            if event.asset_key not in self._refreshed:
                continue
            table = ".".join(event.asset_key.path)
            made = f"{table} {event.partition}"
            content = (event.step_materialization_data.materialization.tags or {})[DATA_VERSION_TAG]
            if self.memory.contents.get(made) != content:
                yield table
            self.memory.contents[made] = content

    def _note(self, name: str, started: float) -> None:
        self.memory.ticks.setdefault(name, []).append(round(time.perf_counter() - started, 4))


def _brought(outcome: dg.ExecuteInProcessResult) -> Iterator[tuple[str, str | None]]:
    for event in outcome.get_asset_materialization_events():
        key, partition = event.asset_key, event.partition
        if key is not None:
            yield ".".join(key.path), partition
