"""The graph as a whole: every asset described and owned, no edge missing, nothing deprecated."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest

from aelp_assets.definitions import build_defs
from aelp_assets.partitions import WAREHOUSE_POOL
from aelp_assets.transform import project
from resources.settings import PROJECT_ROOT
from resources.warehouse.tables import MODEL_TABLES, OPS_TABLES, PYTHON_TABLES, RAW_TABLES

pytestmark = pytest.mark.dbt

DECISIONS = {
    f"gaelp_training/{name}" for name in ("bandit_decisions", "arm_decisions", "slates", "launch_plans")
}
OUTCOMES = {f"gaelp_training/{name}" for name in ("apply_hold_lift", "override_outcomes", "proposal_history")}
SNAPSHOT = Path(__file__).parent / "graph_snapshot.json"
LOAD = """
import time, warnings
started = time.monotonic()
import dagster as dg
for category in (dg.BetaWarning, dg.PreviewWarning, dg.SupersessionWarning):
    warnings.simplefilter("error", category)
ours = r"(aelp_assets|sensors|resources|models)"
warnings.filterwarnings("error", category=DeprecationWarning, module=ours)
from aelp_assets.definitions import defs
dg.Definitions.validate_loadable(defs)
print(time.monotonic() - started)
"""


@pytest.fixture(scope="module")
def graph() -> dg.Definitions:
    return build_defs()


@pytest.fixture(scope="module")
def specs(graph):
    return sorted(graph.resolve_all_asset_specs(), key=lambda spec: spec.key)


@pytest.fixture(scope="module")
def executable(graph):
    return [a for a in graph.assets if isinstance(a, dg.AssetsDefinition) and a.is_executable]


@pytest.fixture(scope="module")
def below(specs):
    """All assets that rest on one, however far."""
    children: dict[str, set[str]] = {}
    for spec in specs:
        for dep in spec.deps:
            children.setdefault(dep.asset_key.to_user_string(), set()).add(spec.key.to_user_string())

    @functools.cache
    def found(key: str) -> frozenset[str]:
        near = children.get(key, set())
        return frozenset(near).union(*map(found, near))

    return found


@pytest.fixture(scope="module")
def exposed() -> set[str]:
    """What dbt's exposures name."""
    manifest = json.loads(project.manifest_path.read_text(encoding="utf-8"))
    nodes = {**manifest["nodes"], **manifest["sources"]}
    named = [key for one in manifest["exposures"].values() for key in one["depends_on"]["nodes"]]
    return {f"{nodes[key]['schema']}/{nodes[key]['name']}" for key in named}


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> dict[str, str]:
    """The environment of a machine that knows no secret and has no instance."""
    home = str(tmp_path_factory.mktemp("bare"))
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return {"PATH": path, "HOME": home, "AELP_HOME": f"{home}/aelp", "VIRTUAL_ENV": sys.prefix}


def test_every_asset_says_what_it_is_and_who_answers(specs):
    for spec in specs:
        name = spec.key.to_user_string()
        assert spec.description, f"{name} has no description"
        assert spec.owners, f"{name} has no owner"
        assert spec.group_name, f"{name} has no group"
        assert spec.kinds, f"{name} has no kind"


def test_a_description_reads_as_whole_sentences_in_lists_that_show_its_first_line(specs):
    for spec in specs:
        first = spec.description.strip().split("\n")[0]
        assert first.endswith("."), f"{spec.key.to_user_string()}: {first}"


def test_no_group_holds_a_single_table(specs):
    groups = Counter(spec.group_name for spec in specs)
    assert not [group for group, tables in groups.items() if tables == 1]


def test_every_job_schedule_sensor_and_check_says_what_it_does(graph):
    assets = graph.resolve_asset_graph()
    named = {job.name: job.description for job in graph.jobs}
    named |= {waking.name: waking.description for waking in (*graph.schedules, *graph.sensors)}
    named |= {str(key): assets.get_check_spec(key).description for key in assets.asset_check_keys}
    assert not [name for name, words in named.items() if not words]


def test_every_executable_asset_promises_its_freshness(executable):
    for asset in executable:
        for spec in asset.specs:
            if spec.key.has_prefix(["ops", "source_backfills"]):
                continue  # made when a person asks for it
            assert spec.freshness_policy, f"{spec.key.to_user_string()} has no freshness policy"


def test_every_dependency_exists_and_every_python_table_is_in_the_graph(specs):
    keys = {spec.key for spec in specs}
    assert {dep.asset_key for spec in specs for dep in spec.deps} <= keys
    written = {dg.AssetKey(str(table.name).split(".")) for table in (*RAW_TABLES, *OPS_TABLES, *MODEL_TABLES)}
    # the bookkeeping of the marts is written beside them: nobody should follow it as a table
    assert written - keys == {dg.AssetKey(["ops", "transformed_days"])}


def test_only_what_reads_the_outside_world_has_no_upstream(graph, specs):
    settings = graph.resources["settings"]
    roots = {spec.key.to_user_string() for spec in specs if not list(spec.deps)}
    read = {
        f"ops/{kind}/{source}" for kind in ("source_pulls", "source_backfills") for source in settings.sources
    }
    assert roots == {"ops/file_landings", *read}


def test_every_executable_asset_has_a_code_version(executable):
    unversioned = {spec.key.to_user_string() for a in executable for spec in a.specs if not spec.code_version}
    assert unversioned == set()


def test_every_landed_row_may_reach_a_decision_or_an_exposure(below, exposed):
    for table in RAW_TABLES:
        key = str(table.name).replace(".", "/")
        assert below(key) & (exposed | DECISIONS), f"{key} is landed for nobody"


def test_every_python_table_is_read_or_exposed(specs, below, exposed):
    for spec in specs:
        key = spec.key.to_user_string()
        if key.replace("/", ".") in PYTHON_TABLES:
            assert below(key) or key in exposed, f"{key} is written for nobody"


def test_every_decision_and_what_came_of_it_rests_on_landed_rows(below):
    landed = [str(table.name).replace(".", "/") for table in RAW_TABLES]
    reached = set().union(*map(below, landed))
    assert reached >= DECISIONS | OUTCOMES


def test_a_decision_leads_to_a_signature_a_change_a_call_and_an_outcome(specs, below):
    deps = {spec.key.to_user_string(): {d.asset_key.to_user_string() for d in spec.deps} for spec in specs}
    assert "governance/submission" in below("gaelp_training/bandit_decisions")
    chain = ["governance/submission", "ops/proposals", "ops/approvals", "ops/canary_changes", "ops/outbox"]
    for above, key in pairwise(chain):
        assert above in deps[key], f"{key} does not follow from {above}"
    assert below("ops/canary_changes") >= OUTCOMES
    assert "gaelp_training/slate_accuracy" in below("gaelp_training/slates")


def test_every_toucher_of_the_warehouse_waits_its_turn(executable):
    for asset in executable:
        pools = {op.pool for op in asset.node_def.iterate_op_defs()}
        assert WAREHOUSE_POOL in pools, f"{asset.node_def.name} is outside the warehouse pool"


def test_so_does_every_check(graph):
    for check in graph.asset_checks:
        pools = {op.pool for op in check.node_def.iterate_op_defs()}
        assert pools == {WAREHOUSE_POOL}, f"{check.node_def.name} is outside the warehouse pool"


def test_every_python_asset_is_checked(graph, specs):
    checked = {key.asset_key for key in graph.resolve_asset_graph().asset_check_keys}
    python = {spec.key for spec in specs if "polars" in spec.kinds}
    assert not {key.to_user_string() for key in python - checked}


def test_every_model_asset_declares_its_columns(specs):
    for spec in specs:
        if "polars" in spec.kinds:
            assert spec.metadata["dagster/column_schema"].columns, spec.key.to_user_string()


def test_keys_edges_jobs_and_sensors_are_as_committed(graph, specs):
    now = {
        "assets": {
            spec.key.to_user_string(): sorted(dep.asset_key.to_user_string() for dep in spec.deps)
            for spec in specs
        },
        "jobs": sorted(job.name for job in graph.jobs),
        "schedules": {s.name: [s.cron_schedule, s.execution_timezone] for s in graph.schedules},
        "sensors": sorted(sensor.name for sensor in graph.sensors),
    }
    if os.environ.get("RENEW_GRAPH_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
    assert json.loads(SNAPSHOT.read_text()) == now, "meant? RENEW_GRAPH_SNAPSHOT=1, then review the diff"


def test_definitions_load_without_secrets_or_deprecations_in_time(bare):
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=PROJECT_ROOT, env=bare, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert float(done.stdout.splitlines()[-1]) < 60, "loading takes seconds; a minute is broken"


def test_dagster_s_own_check_passes(bare):
    dg_command = str(Path(sys.executable).parent / "dg")
    done = subprocess.run(
        [dg_command, "check", "defs"],
        cwd=PROJECT_ROOT,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
