"""Rows of model outputs that several tests put into a warehouse of their own.

Here: one row in which little is said, and what a card of the desk shows. Not here: how either is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from resources.settings import Environment
from resources.warehouse import open_warehouse
from resources.warehouse.interface import ReplaceTable
from resources.warehouse.schema import POLARS_TYPES, Table
from resources.warehouse.tables import BANDIT_DECISIONS, BANDIT_POSTERIORS, EXPERIMENTS, FORECAST_RESULTS
from tests.resources.control.proposing import MORNING


def row_of(table: Table, **values: Any) -> dict[str, Any]:
    """A row of a table in which only `values` say anything."""
    nothing = {"STRING": "", "INT64": 0, "FLOAT64": 0.0, "NUMERIC": Decimal(0), "BOOL": False}
    row = {column.name: nothing.get(column.type, MORNING) for column in table.columns}
    return row | {"as_of_date": MORNING, "platform": "meta", "account_id": "a1", "track": "security"} | values


def running_experiments(environment: Environment, levers: Mapping[str, str]) -> None:
    """Experiments that go on with no end told, by what they compare, and the lever each is at."""
    import polars as pl

    rows = [
        row_of(
            EXPERIMENTS,
            experiment_id=compared,
            compared=compared,
            status="running",
            last_day=None,
            occupies=json.dumps([{"platform": "meta", "account_id": "a1", "lever_id": lever_id}]),
        )
        for compared, lever_id in levers.items()
    ]
    warehouse = open_warehouse(environment)
    warehouse.ensure_tables([EXPERIMENTS])
    warehouse.write(ReplaceTable(EXPERIMENTS, pl.DataFrame(rows, schema=EXPERIMENTS.polars_schema)))


def stored_figures(environment: Environment, name: str = "l1") -> None:
    """A belief, a raise from 500 to 525, and forecasts of three budgets on two days."""
    import polars as pl

    rows = {
        BANDIT_POSTERIORS: [
            row_of(
                BANDIT_POSTERIORS,
                lever_id=name,
                **{"cac_p10": 181.0, "cac_p50": 210.0, "cac_p90": 287.0, "p_meets_cap": 0.804},
            )
        ],
        BANDIT_DECISIONS: [
            row_of(
                BANDIT_DECISIONS,
                lever_id=name,
                type="raise",
                current_budget=Decimal(500),
                proposed_budget=Decimal(525),
                binding_rules='["pace"]',
                expected_signups_change=0.25,
                elasticity=None,
                learning_cost=36.75,
            ),
            row_of(BANDIT_DECISIONS, lever_id="l7", type="stop"),
        ],
        FORECAST_RESULTS: [
            row_of(
                FORECAST_RESULTS,
                lever_id=name,
                target_date=day,
                budget=Decimal(budget),
                is_current_budget=budget == 500,
                signups_p10=budget / 40,
                signups_p50=budget / 20,
                signups_p90=budget / 10,
                cac_p10=90.0,
                cac_p50=200.0,
                cac_p90=None if budget == 550 else 300.0,
                p_cac_within_cap=0.75,
                platform_cac_p50=150.0,
                backend_cac_p50=None,
                incremental_cac_p50=budget / 2 - 50,
            )
            for day in (MORNING, MORNING + timedelta(days=1))
            for budget in (450, 500, 550)
        ],
    }
    warehouse = open_warehouse(environment)
    warehouse.ensure_tables(list(rows))
    for table, told in rows.items():
        schema = {column.name: POLARS_TYPES[column.type] for column in table.columns}
        warehouse.write(ReplaceTable(table, pl.DataFrame(told, schema=schema, orient="row")))
