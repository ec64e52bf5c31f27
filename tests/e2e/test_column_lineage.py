"""Declared lineage held against a morning that ran: nothing is read unsaid, no hop to raw rows is missing."""

from __future__ import annotations

import json

import pytest

from aelp_assets.column_sources import COLUMN_SOURCES
from aelp_assets.column_trace import dead_ends, read_lineage, trace
from aelp_assets.commands.lineage import lineage
from aelp_assets.governance import ARM_SUBMISSION, LAUNCH_SUBMISSION, SUBMISSION
from resources.warehouse.schema import TableName
from resources.warehouse.tables import PYTHON_TABLES
from tests.declared_columns import DeclaredColumnsOnly
from tests.e2e.homes import TODAY, VOLATILE, assert_same_tables
from tests.e2e.test_morning import DECIDE, DECIDED

pytestmark = [pytest.mark.e2e, pytest.mark.dbt]

MONEY = [
    ("gaelp_training.bandit_decisions", "proposed_budget"),
    ("gaelp_training.launch_plans", "daily_budget"),
    ("ops.proposals", "proposed_budget"),
    ("ops.approvals", "amount"),
    ("ops.canary_budgets_snapshot", "budget"),
    ("ops.outbox", "request"),
    ("gaelp_training.override_outcomes", "realised_contribution"),
    ("gaelp_training.apply_hold_lift", "lift"),
]
# Of what came, not of what was asked: no budget is in it.
OUTCOMES = {"gaelp_training.override_outcomes", "gaelp_training.apply_hold_lift"}


def test_declarations_name_only_columns_the_warehouse_has(finished):
    home, _ = finished
    named = {place for sources in COLUMN_SOURCES.values() for place in sources.read}
    tables = sorted({table for table, _ in named if table not in PYTHON_TABLES})
    stored = home.warehouse().catalogue([TableName.parse(table) for table in tables])
    assert {(t, c) for t, c in named if t in tables and c not in stored[t]} == set()


def test_a_morning_on_the_declared_columns_alone_decides_the_same(finished, home):
    # All rows read are kept with a decision, which is named after them.
    apart = VOLATILE | {"input_hash", "decision_id"}
    io_manager = DeclaredColumnsOnly(home.warehouse())
    selection = [*DECIDED, SUBMISSION, LAUNCH_SUBMISSION, ARM_SUBMISSION]
    assert home.execute("decide", TODAY, DECIDE, selection=selection, io_manager=io_manager).success
    names = {".".join(key.path) for key in DECIDED}
    first, again = (
        {name: rows for name, rows in one.tables(drop=apart).items() if name in names}
        for one in (finished[0], home)
    )
    assert first.keys() == names
    assert_same_tables(first, again)


@pytest.mark.parametrize("start", MONEY, ids=".".join)
def test_every_dollar_is_traced_to_landed_rows_without_a_gap(finished, start):
    home, _ = finished
    with home.entered(TODAY) as environment:
        known = read_lineage(environment)
    steps = trace(known, start)
    assert dead_ends(known, steps) == []
    landed = {step.table for step in steps if step.table.startswith("raw.")}
    assert "raw.meta_ads_insights" in landed
    assert "raw.levers" in landed or start[0] in OUTCOMES


def test_a_count_of_rows_says_what_its_sql_reads(finished, capsys):
    home, _ = finished
    with home.entered(TODAY):
        lineage("platform_vs_backend.backend_orders")
        assert "backend_orders is of no column: it counts rows" in capsys.readouterr().out
        lineage("platform_vs_backend.backend_orders", as_json=True)
        told = json.loads(capsys.readouterr().out)
    assert told["steps"][0]["table"] == "gaelp_training.platform_vs_backend"
    (counted,) = (read for made, read in told["of_no_column"].items() if made.endswith(".backend_orders"))
    assert "gaelp_training.orders" in counted
    assert told["not_to_be_told"] == []
