"""The dbt project's own rules, read from its manifest: what dbt_project_evaluator would check, and ours."""

from __future__ import annotations

import ast
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aelp_assets.bandits import DECISION_STREAMS
from resources.connectors.ga4 import Ga4Credentials, Ga4Source
from resources.connectors.ga4_export import Ga4Export
from resources.connectors.google_ads.credentials import GoogleAdsCredentials
from resources.connectors.google_ads.source import GoogleAdsSource
from resources.connectors.impact import Impact, ImpactCredentials
from resources.connectors.linkedin import LinkedIn, LinkedInCredentials
from resources.connectors.meta.source import MetaSource
from resources.connectors.source import Source
from resources.connectors.tiktok import TikTok, TikTokCredentials
from resources.landing.streams import STREAMS
from resources.warehouse.tables import PYTHON_TABLES
from tests.dbt.sources_yaml import SOURCES_YAML, expected_sources
from tests.parity.project import DBT_PROJECT, DbtProject

pytestmark = pytest.mark.dbt

Node = dict[str, Any]

LAYERS = {"staging": "staging", "intermediate": "intermediate", "marts": "mart", "reporting": "reporting"}
STAGED_TYPES = {
    "text": "STRING",
    "count": "INT64",
    "quantity": "NUMERIC",
    "spend": "NUMERIC",
    "value": "NUMERIC",
    "boolean": "BOOL",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Node:
    folder = tmp_path_factory.mktemp("dbt_manifest")
    project = DbtProject({"AELP_HOME": str(folder)}, folder)
    output = project.run("parse")
    assert "deprecat" not in output.lower(), output
    manifest: Node = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    return manifest


@pytest.fixture(scope="module")
def models(manifest: Node) -> dict[str, Node]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


def _layer(model: Node) -> str:
    return str(model["fqn"][1])


def _tests(manifest: Node, kind: str | None = None) -> list[Node]:
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    return [test for test in tests if kind is None or (test.get("test_metadata") or {}).get("name") == kind]


def test_every_model_says_what_it_is_and_who_answers_for_it(models: dict[str, Node]) -> None:
    for name, model in models.items():
        assert model["description"], f"{name} has no description"
        assert model["config"]["meta"].get("owner"), f"{name} has no owner"
        assert model["config"]["meta"]["dagster"]["owners"], f"{name} has no Dagster owner"
        assert model["config"]["group"] == _layer(model), f"{name} is in another group than its folder"
        assert LAYERS[_layer(model)] in model["tags"], f"{name} lacks its layer's tag"


def test_names_say_the_layer_and_the_source(models: dict[str, Node]) -> None:
    for name, model in models.items():
        if _layer(model) == "staging":
            assert name.startswith(f"stg_{model['fqn'][2]}__"), name
        elif _layer(model) == "intermediate":
            assert name.startswith("int_"), name
        else:
            assert not name.startswith(("stg_", "int_")), name


def test_a_model_begins_by_saying_its_grain(models: dict[str, Node]) -> None:
    for name, model in models.items():
        assert re.match(rf"-- {name}: .*\bone row per ", model["raw_code"]), name


def test_every_grain_is_asserted(manifest: Node, models: dict[str, Node]) -> None:
    asserted = {test["attached_node"] for test in _tests(manifest, "unique_combination")}
    assert {name for name, model in models.items() if model["unique_id"] not in asserted} == set()


def test_tests_of_tables_by_day_look_only_at_the_days_of_the_run(
    manifest: Node, models: dict[str, Node]
) -> None:
    daily = {model["unique_id"] for model in models.values() if "daily" in model["tags"]}
    for test in _tests(manifest):
        if test.get("attached_node") in daily:
            assert test["test_metadata"]["kwargs"].get("day_column") == "date", test["name"]


def test_every_mart_has_an_enforced_contract_with_described_columns(models: dict[str, Node]) -> None:
    known = {column.type for table in PYTHON_TABLES.values() for column in table.columns}
    for name, model in models.items():
        if _layer(model) != "marts":
            continue
        assert model["config"]["contract"]["enforced"], name
        for column in model["columns"].values():
            assert column["data_type"] in known, f"{name}.{column['name']}"
            assert column["description"], f"{name}.{column['name']}"


def test_every_mart_and_every_source_is_read_by_someone(manifest: Node, models: dict[str, Node]) -> None:
    read = {
        parent
        for node in (*models.values(), *manifest["exposures"].values())
        for parent in node["depends_on"]["nodes"]
    }
    unread = {source["name"] for key, source in manifest["sources"].items() if key not in read}
    assert unread == set()
    exposed = {parent for node in manifest["exposures"].values() for parent in node["depends_on"]["nodes"]}
    for name, model in models.items():
        if _layer(model) in ("marts", "reporting"):
            assert model["unique_id"] in exposed, f"{name} is in no exposure"
        else:
            assert model["unique_id"] in read, f"{name} is read by nothing"


def test_raw_rows_are_read_in_staging_only_and_sources_never_by_marts(
    manifest: Node, models: dict[str, Node]
) -> None:
    allowed = {"raw": {"staging"}, "ops": {"staging", "reporting"}, "models": {"reporting"}}
    for name, model in models.items():
        for parent in model["depends_on"]["nodes"]:
            if parent.startswith("source."):
                source = manifest["sources"][parent]["source_name"]
                assert _layer(model) in allowed[source], f"{name} reads {parent}"


def test_the_batches_kept_with_a_decision_are_of_all_raw_tables_behind_it(manifest: Node) -> None:
    read = {f"model.aelp.{name}" for name in ("int_lever_daily", "budget_levers")}
    behind: set[str] = set()
    while read:
        behind |= read
        read = {parent for node in read for parent in manifest["parent_map"].get(node, [])} - behind
    raw = {manifest["sources"][key]["name"] for key in behind if key.startswith("source.aelp.raw.")}
    assert raw == set(DECISION_STREAMS)


def test_sources_are_the_tables_that_python_writes() -> None:
    written = yaml.safe_load(SOURCES_YAML.read_text(encoding="utf-8"))
    assert written == expected_sources(), "run: python -m tests.dbt.sources_yaml"


def test_staging_reads_the_fields_that_landing_writes(models: dict[str, Node]) -> None:
    staged = {}
    for model in models.values():
        stream = re.search(r"counted_rows\('(\w+)'", model["raw_code"])
        if stream:
            fields = re.search(r"{% set fields = (\{.*?\}) %}", model["raw_code"], re.DOTALL)
            assert fields
            staged[stream.group(1)] = ast.literal_eval(fields.group(1))
    landed = {
        name: {field: STAGED_TYPES[kind] for field, kind in stream.fields.items()}
        for name, stream in STREAMS.items()
    }
    assert staged == landed


def test_models_know_neither_the_engine_nor_how_a_payload_is_read(models: dict[str, Node]) -> None:
    for name, model in models.items():
        for word in ("target.", "json_", "adapter.", "safe_cast", "try_cast", "date_trunc"):
            assert word not in model["raw_code"], f"{name} uses {word}: that is a macro's business"


def test_every_data_test_has_a_short_name_of_its_own_and_says_what_it_asks(manifest: Node) -> None:
    names = [test["name"] for test in _tests(manifest)]
    assert len(names) == len(set(names))
    for test in _tests(manifest):
        # dbt's own names of generic tests list every argument.
        assert len(test["name"]) <= 50, test["name"]
        assert not test["name"].startswith(("unique_combination_", "accepted_")), test["name"]
        assert test["description"], test["name"]


def test_every_data_test_over_several_models_names_the_one_it_blocks(manifest: Node) -> None:
    for test in _tests(manifest):
        if "test_metadata" not in test and test["depends_on"]["nodes"]:
            named = test["config"]["meta"]["dagster"]["ref"]["name"]
            assert f"model.aelp.{named}" in test["depends_on"]["nodes"], test["name"]


def test_every_ratio_has_a_unit_test(manifest: Node, models: dict[str, Node]) -> None:
    tested = {test["model"] for test in manifest["unit_tests"].values()}
    with_ratio = {name for name, model in models.items() if "safe_ratio(" in model["raw_code"]}
    assert with_ratio
    assert with_ratio <= tested


def test_every_engine_macro_is_asserted_on_both_engines() -> None:
    macros = set(re.findall(r"{% macro (\w+)\(", (DBT_PROJECT / "macros" / "engine.sql").read_text()))
    asserted = "".join(
        path.read_text(encoding="utf-8") for path in Path(DBT_PROJECT, "tests", "macros").glob("*.sql")
    )
    # The rest is layout or plain spelling, seen wrong at once by any model.
    spelling = {"type_of", "try_cast_to", "sum_count", "sums", "numbers", "quoted", "physical_order"}
    assert {name for name in macros - spelling if f"{name}(" not in asserted} == set()


def test_days_are_final_when_the_connectors_say_so(models: dict[str, Node]) -> None:
    sources: list[Source] = [
        GoogleAdsSource(GoogleAdsCredentials(access_token="-")),
        TikTok(TikTokCredentials("-"), (), datetime.now),
        LinkedIn(LinkedInCredentials("-"), (), datetime.now),
        Impact(ImpactCredentials("-", "-")),
        Ga4Source(Ga4Credentials(access_token="-"), ()),
    ]
    reports = [*MetaSource.reports, Ga4Export.report, *(report for one in sources for report in one.reports)]
    told = {report.stream.name: report.final_after_days for report in reports}
    listed = re.search(r"{% set windows = (\{.*?\}) %}", models["report_day_status"]["raw_code"], re.DOTALL)
    assert listed
    windows = ast.literal_eval(listed.group(1))
    assert windows == {stream: told[stream] for stream in windows}
