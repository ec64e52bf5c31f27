"""dbt models as assets: their partitions, mappings, versions and the words of their checks."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import dagster as dg
import pytest

from aelp_assets.partitions import report_days
from aelp_assets.transform import InstalledDbt, Translator, project, transform
from resources.code_version import source_hash
from resources.warehouse import retrying
from resources.warehouse.interface import WarehouseLocked
from resources.warehouse.tables import INGEST_SLICES, TRANSFORMED_DAYS

MANIFEST = json.loads(project.manifest_path.read_text(encoding="utf-8"))
MODELS = {node["name"]: node for node in MANIFEST["nodes"].values() if node["resource_type"] == "model"}
SPECS = {spec.key.path[-1]: spec for spec in transform.specs}


def test_staging_views_carry_no_partitions_and_what_is_built_or_read_by_day_does():
    dated = {name for name, spec in SPECS.items() if spec.partitions_def is not None}
    daily = {name for name, node in MODELS.items() if "daily" in node["tags"] and name in SPECS}
    staging = {name for name in SPECS if name.startswith("stg_")}
    assert staging & daily, "dated views are what this is about"
    assert dated == daily - staging
    assert all(SPECS[name].partitions_def == report_days for name in dated)


def test_rolling_sums_depend_on_the_days_they_reach_back_to():
    deps = {dep.asset_key.path[-1]: dep.partition_mapping for dep in SPECS["unified_ctr"].deps}
    assert isinstance(mapping := deps["ads_ad_daily"], dg.TimeWindowPartitionMapping)
    assert (mapping.start_offset, mapping.end_offset) == (-6, 0)
    # Without partitions on the other side there is nothing to map.
    for name, spec in SPECS.items():
        for dep in spec.deps:
            if dep.asset_key.path[-1].startswith("stg_"):
                assert dep.partition_mapping is None, (name, dep.asset_key)


@pytest.mark.parametrize(
    "edit",
    [
        lambda node: node.update(raw_code=node["raw_code"] + "\n-- edited"),
        lambda node: node["config"].update(materialized="view"),
        lambda node: node["columns"]["cost"].update(data_type="FLOAT64"),
    ],
    ids=["its SQL", "how it is stored", "its contract"],
)
def test_an_edited_model_is_a_new_version(edit):
    model = MODELS["ads_ad_daily"]
    edited = copy.deepcopy(model)
    edit(edited)
    assert Translator().get_code_version(edited) != Translator().get_code_version(model)


def test_an_edited_macro_is_a_new_version_of_every_model(monkeypatch):
    versions = {name: Translator().get_code_version(node) for name, node in MODELS.items()}
    read = Path.read_bytes
    edit = {"engine.sql": b"-- edited"}
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + edit.get(path.name, b""))
    source_hash.cache_clear()
    try:
        edited = {name: Translator().get_code_version(node) for name, node in MODELS.items()}
    finally:
        monkeypatch.undo()
        source_hash.cache_clear()
    assert versions
    assert {name for name in versions if edited[name] == versions[name]} == set()


def test_a_version_stays_while_nothing_is_edited():
    model = MODELS["ads_ad_daily"]
    assert Translator().get_code_version(copy.deepcopy(model)) == Translator().get_code_version(model)


def test_the_checks_of_dbt_say_what_they_ask():
    for spec in transform.check_specs:
        assert spec.description, spec.name
        assert len(spec.name) <= 50, spec.name


def test_dbt_that_ends_before_its_first_node_is_told_in_its_own_words(
    duckdb_warehouse, tmp_environment, tmp_path, monkeypatch
):
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    duckdb_warehouse.ensure_tables([INGEST_SLICES, TRANSFORMED_DAYS])
    info = {"name": "MainEncounteredError", "level": "error", "msg": "lock held by PID 7"}
    said = {"info": info, "data": {}}
    ends_at_once = tmp_path / "dbt"  # as where the file is locked: it writes no manifest
    ends_at_once.write_text(f"#!/bin/sh\necho '{json.dumps(said)}'\nexit 2\n")
    ends_at_once.chmod(0o755)
    run = dg.materialize(
        [transform],
        partition_key="2026-06-01",
        resources={
            "dbt": InstalledDbt(project_dir=project, dbt_executable=str(ends_at_once)),
            "warehouse": duckdb_warehouse,
            "environment": tmp_environment,
        },
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )
    (failure,) = [event for event in run.all_events if event.is_step_failure]
    assert "lock held by PID 7" in str(failure.step_failure_data.error)
    assert "FileNotFoundError" not in str(failure.step_failure_data.error)


def test_rows_are_counted_once_the_file_is_no_longer_held(
    duckdb_warehouse, tmp_environment, tmp_path, monkeypatch
):
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setattr(retrying, "LOCK_WAIT_SECONDS", 0.05)
    duckdb_warehouse.ensure_tables([INGEST_SLICES, TRANSFORMED_DAYS])
    builds = tmp_path / "dbt"
    builds.write_text(
        f'#!/bin/sh\nmkdir -p "$DBT_TARGET_PATH"\ncp "{project.manifest_path}" "$DBT_TARGET_PATH"\n'
    )
    builds.chmod(0o755)
    count, tries = type(duckdb_warehouse).row_counts, []

    def held_at_first(warehouse, names):
        tries.append(names)
        if len(tries) == 1:
            raise WarehouseLocked("in use by a notebook (waited 10 s)")
        return count(warehouse, names)

    monkeypatch.setattr(type(duckdb_warehouse), "row_counts", held_at_first)
    run = dg.materialize(
        [transform],
        partition_key="2026-06-01",
        resources={
            "dbt": InstalledDbt(project_dir=project, dbt_executable=str(builds)),
            "warehouse": duckdb_warehouse,
            "environment": tmp_environment,
        },
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )
    assert run.success
    assert len(tries) == 2
