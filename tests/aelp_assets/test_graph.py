"""The graph as a whole: every asset described and owned, no edge missing, nothing deprecated."""

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import dagster as dg
import pytest

from aelp_assets.definitions import build_defs
from aelp_assets.partitions import WAREHOUSE_POOL
from resources.settings import PROJECT_ROOT
from resources.warehouse.tables import MODEL_TABLES, OPS_TABLES, RAW_TABLES

pytestmark = pytest.mark.dbt

SNAPSHOT = Path(__file__).parent / "graph_snapshot.json"
# Beta and preview APIs we use knowingly; anything else that warns fails.
ALLOWED_WARNINGS = ("get_partitions_def", "get_partition_mapping", "beta", "preview")


@pytest.fixture(scope="module")
def graph() -> dg.Definitions:
    return build_defs()


@pytest.fixture(scope="module")
def specs(graph):
    return graph.resolve_all_asset_specs()


def test_every_asset_says_what_it_is_and_who_answers(specs):
    for spec in specs:
        name = spec.key.to_user_string()
        assert spec.description, f"{name} has no description"
        assert spec.owners, f"{name} has no owner"
        assert spec.group_name, f"{name} has no group"
        assert spec.kinds, f"{name} has no kind"


def test_every_executable_asset_promises_its_freshness(graph):
    for asset in graph.assets:
        if isinstance(asset, dg.AssetsDefinition) and asset.is_executable:
            for spec in asset.specs:
                assert spec.freshness_policy, f"{spec.key.to_user_string()} has no freshness policy"


def test_every_dbt_source_is_produced_by_python_and_every_python_table_is_in_the_graph(specs):
    keys = {spec.key.to_user_string() for spec in specs}
    produced = {str(table.name).replace(".", "/") for table in (*RAW_TABLES, *OPS_TABLES, *MODEL_TABLES)}
    assert not {key for spec in specs for key in (dep.asset_key.to_user_string() for dep in spec.deps)} - keys
    # written beside its asset: the bookkeeping of the marts is not a node people should follow
    assert produced - keys == {"ops/transformed_days"}


def test_only_landings_have_no_upstream(specs):
    roots = {spec.key.to_user_string() for spec in specs if not list(spec.deps)}
    assert roots == {"ops/file_landings"}


def test_every_toucher_of_the_warehouse_waits_its_turn(graph):
    for asset in graph.assets:
        if isinstance(asset, dg.AssetsDefinition) and asset.is_executable:
            pools = {op.pool for op in asset.node_def.iterate_op_defs()} if asset.node_def else set()
            assert WAREHOUSE_POOL in pools, f"{asset.node_def.name} is outside the warehouse pool"


def test_every_python_asset_has_a_check(graph, specs):
    checked = {key.asset_key for key in graph.resolve_asset_graph().asset_check_keys}
    python = {spec.key for spec in specs if "polars" in spec.kinds}
    assert not {key.to_user_string() for key in python - checked}


def test_keys_edges_jobs_and_sensors_are_as_committed(graph, specs):
    now = {
        "assets": {
            spec.key.to_user_string(): sorted(dep.asset_key.to_user_string() for dep in spec.deps)
            for spec in sorted(specs, key=lambda spec: spec.key)
        },
        "jobs": sorted(job.name for job in graph.jobs),
        "schedules": {s.name: [s.cron_schedule, s.execution_timezone] for s in graph.schedules},
        "sensors": sorted(sensor.name for sensor in graph.sensors),
    }
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
    assert json.loads(SNAPSHOT.read_text()) == now, "the graph changed: delete the snapshot, rerun, review the diff"


def test_definitions_load_without_secrets_or_deprecations_in_time(tmp_path):
    program = (
        "import time, warnings; started = time.monotonic()\n"
        "warnings.simplefilter('error', DeprecationWarning)\n"
        "import dagster as dg\n"
        "from aelp_assets.definitions import defs\n"
        "dg.Definitions.validate_loadable(defs)\n"
        "print(time.monotonic() - started)\n"
    )
    environment = {"PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin", "AELP_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
