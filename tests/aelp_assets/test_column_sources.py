"""Every column of every Python table says what it is computed from, and nothing is read unsaid."""

from __future__ import annotations

import json

import dagster as dg
import pytest
from typer.testing import CliRunner

from aelp_assets.cli import app
from aelp_assets.column_sources import COLUMN_SOURCES, Maker
from aelp_assets.column_sources.notation import carried, computed, declared, made, rows_by
from aelp_assets.definitions import build_defs
from aelp_assets.metadata import asset_key
from resources.warehouse.tables import PYTHON_TABLES
from tests.declared_columns import declared_reads

_SLATES, _SCORES = "gaelp_training.slates", "gaelp_training.ad_scores"
NOT_DECLARED: set[str] = set()


@pytest.fixture(scope="module")
def graph() -> dg.Definitions:
    return build_defs()


@pytest.fixture(scope="module")
def parents(graph):
    """Tables each table's asset depends on; past assets without a table to what these depend on."""
    specs = {spec.key: spec for spec in graph.resolve_all_asset_specs()}

    def tables_above(key: dg.AssetKey) -> set[str]:
        found: set[str] = set()
        for dep in specs[key].deps:
            found.add(".".join(dep.asset_key.path))
            if dep.asset_key.path[0] == "governance":
                found |= tables_above(dep.asset_key)
        return found

    return {table: tables_above(asset_key(table)) for table in PYTHON_TABLES if asset_key(table) in specs}


def test_every_column_of_every_python_table_says_where_it_comes_from():
    unsaid = {
        f"{name}.{column}"
        for name, table in PYTHON_TABLES.items()
        for column in table.column_names
        if name not in COLUMN_SOURCES
        or column not in {*COLUMN_SOURCES[name].columns, *COLUMN_SOURCES[name].made}
    }
    assert unsaid == NOT_DECLARED


def test_declarations_name_only_columns_of_the_catalogue():
    # Those of dbt's tables are held against the warehouse, in the end-to-end tests.
    named = {place for sources in COLUMN_SOURCES.values() for place in sources.read}
    wrong = {
        (table, column)
        for table, column in named
        if table in PYTHON_TABLES and column not in PYTHON_TABLES[table].column_names
    }
    assert wrong == set()


def test_a_column_comes_only_from_tables_its_asset_depends_on(parents):
    for table, sources in COLUMN_SOURCES.items():
        read = {upstream for upstream, _ in sources.read}
        assert not read - parents.get(table, set()), f"{table} lacks a dependency, or never reads it"


def test_every_table_an_asset_is_given_is_named_by_some_column(graph):
    for asset in graph.assets:
        if not isinstance(asset, dg.AssetsDefinition) or not asset.is_executable:
            continue
        inputs = asset.node_def.input_dict
        for name, key in asset.keys_by_input_name.items():
            if not inputs[name].dagster_type.is_nothing:
                table = ".".join(key.path)
                assert declared_reads(asset.keys, table), f"{asset.node_def.name} says nothing of {table}"


def test_what_an_asset_reads_less_of_is_declared_no_more_of(graph):
    for asset in graph.assets:
        if not isinstance(asset, dg.AssetsDefinition) or not asset.is_executable:
            continue
        for name, key in asset.keys_by_input_name.items():
            given = asset.node_def.input_dict[name].metadata.get("columns")
            if given is not None:
                declared = declared_reads(asset.keys, ".".join(key.path))
                more = declared - set(given)
                assert not more, f"{asset.node_def.name} is not given {more} of {key.path[-1]}"


def test_the_asset_s_page_carries_the_lineage_and_says_it_in_words(graph):
    (spec,) = (s for s in graph.resolve_all_asset_specs() if s.key == asset_key("ops.approvals"))
    lineage = spec.metadata["dagster/column_lineage"].value
    amount = [(dep.asset_key, dep.column_name) for dep in lineage.deps_by_column["amount"]]
    proposals = asset_key("ops.proposals")
    assert amount == [(proposals, "current_budget"), (proposals, "proposed_budget")]
    words = spec.metadata["column sources"].value
    assert "| amount | ops.proposals: current_budget, proposed_budget |  |" in words
    assert "| approver |  | a person |" in words


@pytest.mark.usefixtures("graph")  # with it dbt is parsed
def test_the_shell_follows_a_column_and_says_who_makes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("AELP_HOME", str(tmp_path))
    shell = CliRunner()
    told = shell.invoke(app, ["lineage", "ops.approvals.amount"])
    assert told.exit_code == 0, told.output
    assert "  1  ops.proposals: current_budget, proposed_budget\n" in told.output
    assert "  2  gaelp_training.bandit_decisions: current_budget, proposed_budget\n" in told.output
    document = json.loads(shell.invoke(app, ["lineage", "ops.approvals.amount", "--json"]).output)
    assert document["steps"][0] == {"distance": 0, "table": "ops.approvals", "columns": ["amount"]}
    assert shell.invoke(app, ["lineage", "ops.approvals.verdict"]).output == "Made by a person.\n"
    assert shell.invoke(app, ["lineage", "approvals.verdict"]).output == "Made by a person.\n"
    refused = shell.invoke(app, ["lineage", "ops.approvals.amuont"])
    assert refused.exit_code == 2
    assert "no such column" in refused.output


def test_clauses_about_a_column_add_up_and_patterns_name_several():
    sources = declared(
        _SLATES,
        carried(_SCORES, "track creative_id"),
        computed("signups_*", {_SCORES: "ctr_score"}),
        computed("signups_p50", {_SCORES: "cvr_score"}),
        made("signups_p50", Maker.SETTINGS),
        rows_by({_SCORES: "as_of_date"}),
    )
    assert sources.columns["track"] == {(_SCORES, "track")}
    assert sources.columns["signups_p10"] == {(_SCORES, "ctr_score")}
    assert sources.columns["signups_p50"] == {(_SCORES, "ctr_score"), (_SCORES, "cvr_score")}
    assert sources.made == {"signups_p50": (Maker.SETTINGS,)}
    assert (_SCORES, "as_of_date") in sources.read


def test_a_clause_about_a_column_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"gaelp_training\.slates has no column signups_p51"):
        declared(_SLATES, made("signups_p51", Maker.SETTINGS))
