"""What upstream changes ask for, tick by tick, on the real keys, edges, partitions and conditions.

Only the bodies are replaced: each says when it ran, and may fail or let something happen meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from aelp_assets.definitions import build_defs
from aelp_assets.jobs import BRINGS_ALL_MODELS
from aelp_assets.metadata import asset_key
from aelp_assets.partitions import decision_days
from aelp_assets.transform import VERSIONED, transform
from sensors.automation import CONDITIONS, UNDATED_CONDITIONS, model_refresh

MARTS = [
    asset_key("intermediate.int_account_days"),
    asset_key("intermediate.int_lever_daily"),
    asset_key("intermediate.int_placement_daily"),
    asset_key("intermediate.int_creative_placement_daily"),
    asset_key("gaelp_training.budget_levers"),
    asset_key("gaelp_training.context_daily"),
]
GATES = {"every_account_is_audited", "someone_may_be_decided_on"}


@dataclass
class World:
    """An instance, the daemon's cursor, and assets that do as they are told.

    Dagster compares the moments of ticks with those of updates, which its storage stamps: both are real.
    """

    instance: dg.DagsterInstance
    defs: dg.Definitions
    failing: set[str] = field(default_factory=set)
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    cursor: object = None
    ran: set[str] = field(default_factory=set)
    gates_asked: set[tuple[dg.AssetCheckKey, str]] = field(default_factory=set)
    later: timedelta = timedelta(0)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    @property
    def today(self) -> date:
        return date.fromisoformat(decision_days.get_partition_keys(current_time=self.now)[-1])

    def everything(self) -> set[tuple[str, str]]:
        """Today's partition of each asset that refreshes by itself."""
        return {(key.path[-1], self.today.isoformat()) for key in CONDITIONS}

    def tick(self) -> set[tuple[str, str]]:
        """One evaluation of the sensor: the (asset, partition) pairs asked for."""
        result = dg.evaluate_automation_conditions(
            defs=self.defs,
            instance=self.instance,
            asset_selection=model_refresh.asset_selection,
            evaluation_time=self.now,
            cursor=self.cursor,
        )
        self.cursor = result.cursor
        self.gates_asked = {
            (one.key, partition)
            for one in result.results
            if isinstance(one.key, dg.AssetCheckKey)
            for partition in one.true_subset.expensively_compute_partition_keys()
        }
        return {
            (key.path[-1], partition)
            for key in CONDITIONS
            for partition in result.get_requested_partitions(key)
        }

    def update(self, *keys: dg.AssetKey, days_ago: int = 1) -> None:
        """Marts of one report day were rebuilt: all of them unless named."""
        day = (self.today - timedelta(days=days_ago)).isoformat()
        for key in keys or MARTS:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))

    def build(self, key: dg.AssetKey, content: str) -> None:
        """A table that tells what it holds was built."""
        day = None if self.defs.resolve_asset_graph().get(key).partitions_def is None else str(self.today)
        built = dg.AssetMaterialization(key, partition=day, tags={DATA_VERSION_TAG: content})
        self.instance.report_runless_asset_event(built)

    def launch(self, asked: set[tuple[str, str]]) -> bool:
        """Run what was asked for in one run, as the daemon does: these assets and these gates, no others."""
        keys = {key for key in CONDITIONS if any(key.path[-1] == name for name, _ in asked)}
        (day,) = {partition for _, partition in asked}
        job = self.defs.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=keys, asset_check_selection={key for key, _ in self.gates_asked}
        )
        run = job.execute_in_process(
            instance=self.instance, asset_selection=list(keys), partition_key=day, raise_on_error=False
        )
        self.ran = {event.asset_key.path[-1] for event in run.all_events if event.is_step_materialization} | {
            check.check_name for check in run.get_asset_check_evaluations()
        }
        return run.success

    def settle(self) -> None:
        """Everything built and quiet, as on any day before something happens."""
        self.update()
        assert self.launch(self.tick())
        assert self.tick() == set()


@pytest.fixture
def world():
    with dg.DagsterInstance.ephemeral() as instance:
        made = World(instance, dg.Definitions())
        made.defs = _definitions(made)
        yield made


def _definitions(world: World) -> dg.Definitions:
    """The conditioned assets with their real specs and dependencies; everything else as it is upstream."""
    real = build_defs()
    specs = {spec.key: spec for spec in real.resolve_all_asset_specs()}
    groups = [
        asset.specs
        for asset in real.assets
        if isinstance(asset, dg.AssetsDefinition)
        and asset.is_executable
        and set(asset.keys) & set(CONDITIONS)
    ]
    outside = {dep.asset_key for group in groups for spec in group for dep in spec.deps} - set(CONDITIONS)
    stand_ins = [_stand_in(world, number, list(group)) for number, group in enumerate(groups)]
    upstream = [dg.AssetSpec(key, partitions_def=specs[key].partitions_def) for key in outside]
    gates = [
        _stand_in_check(world, spec)
        for check in real.asset_checks
        for spec in check.check_specs
        if spec.asset_key in CONDITIONS
    ]
    return dg.Definitions(assets=[*stand_ins, *upstream], asset_checks=gates, executor=dg.in_process_executor)


def _stand_in_check(world: World, spec: dg.AssetCheckSpec) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(name=spec.name, specs=[spec])
    def body():
        yield dg.AssetCheckResult(
            asset_key=spec.asset_key, check_name=spec.name, passed=spec.name not in world.failing
        )

    return body


def _stand_in(world: World, number: int, specs: list[dg.AssetSpec]) -> dg.AssetsDefinition:
    @dg.multi_asset(name=f"stand_in_{number}", specs=specs)
    def body():
        for spec in specs:
            while world.meanwhile:
                world.meanwhile.pop()()
            if spec.key.path[-1] in world.failing:
                raise RuntimeError("told to fail")
            yield dg.MaterializeResult(asset_key=spec.key)

    return body


def test_the_first_tick_asks_for_today_only_once_however_long_history_is(world):
    # ten years of missing partitions: a storm would ask for thousands
    assert world.tick() == world.everything()
    assert world.tick() == set()


def test_an_upstream_update_is_asked_for_once(world):
    world.settle()
    world.update()
    asked = world.tick()
    assert asked == world.everything()
    assert world.tick() == set(), "asked for, not yet started"
    assert world.launch(asked)
    assert [world.tick() for _ in range(5)] == [set()] * 5, "its own materialisations wake nothing"


def test_no_change_asks_for_nothing(world):
    world.settle()
    assert [world.tick() for _ in range(10)] == [set()] * 10


def test_a_failure_is_not_asked_for_on_every_tick_but_after_the_next_change(world):
    world.settle()
    world.failing = {"placement_baselines"}
    world.update()
    assert not world.launch(world.tick())
    assert [world.tick() for _ in range(10)] == [set()] * 10
    world.failing = set()
    world.update()
    asked = world.tick()
    assert {name for name, _ in asked} >= {"placement_baselines", "forecast_results", "forecast_outlook"}
    assert world.launch(asked)
    assert world.tick() == set()


def test_a_change_that_lands_mid_run_is_asked_for_after_the_run(world):
    world.settle()
    seen = []

    def change() -> None:
        world.update()
        seen.append(world.tick())

    world.update()
    asked = world.tick()
    world.meanwhile = [change]
    assert world.launch(asked)
    assert seen == [set()], "nothing is asked for while the run is in flight"
    again = world.tick()
    assert again == world.everything(), "the change is remembered"
    assert world.launch(again)
    assert world.tick() == set()


def test_a_change_between_the_request_and_the_start_of_its_run_is_not_lost(world):
    world.settle()
    world.update()
    asked = world.tick()
    world.update()  # the run has not read anything yet, or has it? nobody knows: once more is right
    assert world.launch(asked)
    again = world.tick()
    assert again == world.everything()
    assert world.launch(again)
    assert world.tick() == set()


def test_restated_history_asks_for_today_not_for_the_mornings_after_it(world):
    world.settle()
    for days_ago in range(1, 29):
        world.update(days_ago=days_ago)
    asked = world.tick()
    assert asked == world.everything()
    assert world.launch(asked)
    assert world.tick() == set()


def test_a_report_day_no_input_window_reaches_asks_for_nothing(world):
    world.settle()
    world.update(days_ago=3000)
    assert world.tick() == set()


def test_a_change_of_placements_alone_spares_what_does_not_read_them(world):
    world.settle()
    world.update(asset_key("intermediate.int_placement_daily"))
    asked = world.tick()
    reading = {"placement_baselines", "creative_rates", "forecast_results", "forecast_outlook"}
    assert {name for name, _ in asked} == reading
    assert asked <= world.everything()


@pytest.mark.parametrize("key", VERSIONED, ids=lambda key: key.path[-1])
def test_a_table_built_anew_with_the_same_rows_wakes_nothing(world, key):
    readers = {
        other for other in CONDITIONS if key in world.defs.resolve_asset_graph().get(other).parent_keys
    }
    if not readers:
        pytest.skip("read by creatives' assets alone, which have no mornings")
    world.build(key, "some rows")
    world.settle()
    world.build(key, "some rows")
    assert world.tick() == set()
    world.build(key, "other rows")
    world.build(key, "some rows")
    assert world.tick() == set(), "and back again before anybody looked"
    world.build(key, "other rows")
    asked = world.tick()
    assert {name for name, _ in asked} >= {reader.path[-1] for reader in readers}
    assert world.launch(asked)
    assert world.tick() == set()


def test_what_models_read_of_no_day_tells_whether_it_changed():
    graph = build_defs().resolve_asset_graph()
    read = {key for reader in (*CONDITIONS, *UNDATED_CONDITIONS) for key in graph.get(reader).parent_keys}
    of_no_day = {key for key in read & transform.keys if graph.get(key).partitions_def is None}
    assert of_no_day <= set(VERSIONED) <= read


def test_midnight_asks_for_the_new_day_once(world):
    world.later = timedelta(days=-1)
    world.settle()
    yesterday, world.later = world.today, timedelta(0)
    assert world.today == yesterday + timedelta(days=1)
    asked = world.tick()
    assert asked == world.everything()
    assert world.launch(asked)
    assert world.tick() == set()


def test_this_week_s_scores_reach_what_creatives_may_be_expected_to_bring(world):
    world.settle()
    world.update(asset_key("gaelp_training.ad_scores"), days_ago=0)
    asked = world.tick()
    assert {name for name, _ in asked} >= {"creative_rates", "forecast_results"}
    assert world.launch(asked)
    assert world.tick() == set()


def test_a_backfill_of_history_asks_for_today_once_when_it_has_ended(world):
    world.settle()
    seen = []

    def goes_on() -> None:
        for days_ago in range(2, 29):  # a run a day, as a backfill without ranges goes
            world.update(days_ago=days_ago)
            if days_ago % 9 == 0:
                seen.append(world.tick())

    world.update(days_ago=1)
    world.meanwhile = [goes_on]
    assert world.launch(world.tick())
    assert seen == [set()] * 3
    again = world.tick()
    assert again == world.everything()
    assert world.launch(again)
    assert world.tick() == set()


def test_a_run_of_a_whole_job_wakes_nothing_of_what_it_has_made(world):
    world.settle()
    world.update()
    job = world.defs.resolve_implicit_global_asset_job_def()
    ran = job.execute_in_process(
        instance=world.instance, partition_key=world.today.isoformat(), tags=BRINGS_ALL_MODELS
    )
    assert ran.success
    asked = world.tick()
    assert asked == world.everything(), "the marts' change, which the run may have read or not"
    assert world.launch(asked)
    assert world.tick() == set()
    assert job.execute_in_process(
        instance=world.instance, partition_key=world.today.isoformat(), tags=BRINGS_ALL_MODELS
    ).success
    assert [world.tick() for _ in range(5)] == [set()] * 5


def test_the_jobs_that_decide_and_refresh_say_that_they_bring_all_models():
    repository = build_defs().get_repository_def()
    for job in map(repository.get_job, ("decide", "refresh_models")):
        assert job.run_tags.items() >= BRINGS_ALL_MODELS.items()
        assert set(job.asset_layer.selected_asset_keys) >= set(CONDITIONS)


def test_decisions_are_never_asked_for_by_a_change(world):
    assert asset_key("gaelp_training.bandit_decisions") not in CONDITIONS
    assert asset_key("gaelp_training.slates") not in CONDITIONS


def test_a_refresh_runs_the_gates_of_what_it_refreshes(world):
    world.settle()
    assert world.ran >= GATES
    world.update()
    asked = world.tick()
    assert {(key.name, partition) for key, partition in world.gates_asked} == {
        (gate, world.today.isoformat()) for gate in GATES
    }
    assert world.launch(asked)
    assert world.tick() == set()
    assert world.gates_asked == set(), "nor do they run by themselves"


def test_the_sensor_s_own_request_names_the_gates(world):
    world.update()
    sensor = dg.AutomationConditionSensorDefinition(
        "same_target", target=model_refresh.asset_selection, use_user_code_server=True
    )
    with dg.build_sensor_context(instance=world.instance, definitions=world.defs) as context:
        (request,) = sensor.evaluate_tick(context).run_requests
    assert set(request.asset_selection) == set(CONDITIONS)
    assert {key.name for key in request.asset_check_keys} >= GATES
    assert request.partition_key == world.today.isoformat()


@pytest.mark.parametrize("gate", sorted(GATES))
def test_a_gate_that_fails_stops_everything_behind_it(world, gate):
    world.settle()
    world.failing = {gate}
    world.update()
    assert not world.launch(world.tick())
    assert gate in world.ran
    assert not world.ran & {"placement_baselines", "forecast_results", "forecast_outlook"}
    assert [world.tick() for _ in range(5)] == [set()] * 5


def test_behind_a_failed_gate_nothing_is_asked_for_until_it_is_tried_again(world):
    world.settle()
    world.failing = {"someone_may_be_decided_on"}
    world.update()
    assert not world.launch(world.tick())

    world.update(asset_key("intermediate.int_placement_daily"))  # no input of the gated accounts
    assert [world.tick() for _ in range(5)] == [set()] * 5

    world.failing = set()
    world.update(asset_key("intermediate.int_account_days"))
    asked = world.tick()
    assert asked == world.everything(), "the placements' change was remembered"
    assert world.launch(asked)
    assert world.tick() == set()
