"""When creatives are read by themselves: once for each change of their mart, on the real conditions."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from aelp_assets.definitions import build_defs
from aelp_assets.metadata import asset_key
from sensors.automation import UNDATED_CONDITIONS, creative_refresh

MART = asset_key("gaelp_training.creative_objects")


class World:
    """An instance and the daemon's cursor."""

    def __init__(self, instance: dg.DagsterInstance, defs: dg.Definitions) -> None:
        self.instance, self.defs, self.cursor = instance, defs, None

    def tick(self) -> set[dg.AssetKey]:
        result = dg.evaluate_automation_conditions(
            defs=self.defs,
            instance=self.instance,
            asset_selection=creative_refresh.asset_selection,
            cursor=self.cursor,
        )
        self.cursor = result.cursor
        return {key for key in UNDATED_CONDITIONS if result.get_num_requested(key)}

    def mart_is_built(self, content: str) -> None:
        built = dg.AssetMaterialization(MART, tags={DATA_VERSION_TAG: content})
        self.instance.report_runless_asset_event(built)

    def run(self) -> None:
        job = self.defs.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=self.instance).success


@pytest.fixture
def world():
    specs = {spec.key: spec for spec in build_defs().resolve_all_asset_specs()}
    real = [specs[key] for key in UNDATED_CONDITIONS]

    @dg.multi_asset(specs=real)
    def stand_in():
        for spec in real:
            yield dg.MaterializeResult(asset_key=spec.key)

    with dg.DagsterInstance.ephemeral() as instance:
        yield World(instance, dg.Definitions([stand_in, dg.AssetSpec(MART)]))


def test_what_refreshes_by_itself_is_what_a_morning_reads():
    job = build_defs().resolve_job_def("read_creatives")
    assert set(job.asset_layer.executable_asset_keys) == set(UNDATED_CONDITIONS)


def test_a_change_of_the_mart_is_asked_for_once(world):
    world.mart_is_built("some creatives")
    assert world.tick() == set(UNDATED_CONDITIONS)
    assert world.tick() == set(), "asked for, not yet started"
    world.run()
    assert [world.tick() for _ in range(3)] == [set()] * 3, "its own materialisations wake nothing"
    world.mart_is_built("some creatives")
    assert world.tick() == set(), "built anew, with the same rows"
    world.mart_is_built("one more")
    assert world.tick() == set(UNDATED_CONDITIONS)
