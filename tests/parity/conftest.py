"""Fixtures of the parity tests: the landed rows built step by step on each warehouse, once a session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from resources.warehouse.tables import PYTHON_TABLES
from tests.parity.expected import EXPECTED
from tests.parity.landed import STEPS, landed_writes, reference_writes
from tests.parity.landings.landing import day
from tests.parity.project import DbtProject


@dataclass(frozen=True)
class Build:
    """One warehouse: after the first landing, after the two days built one by one, and built once more from
    nothing; by table, rows sorted by all columns."""

    project: DbtProject
    first_day: dict[str, pl.DataFrame]
    day_by_day: dict[str, pl.DataFrame]
    from_nothing: dict[str, pl.DataFrame]


def build(variables: dict[str, str], folder: Path) -> Build:
    """Land and build the three steps with the real dbt; data tests and unit tests run with the last build."""
    project = DbtProject(variables, folder)
    warehouse = project.warehouse
    warehouse.ensure_tables(list(PYTHON_TABLES.values()))
    warehouse.write(*reference_writes())
    warehouse.write(*landed_writes(STEPS[0]))
    project.run("run")
    first_day = {name: project.rows(name) for name in EXPECTED}
    tables = ["--select", "config.materialized:incremental", "config.materialized:table"]
    for step, number in zip(STEPS[1:], (9, 10), strict=True):
        warehouse.write(*landed_writes(step))
        project.run("run", *tables, window=(day(number), day(number)))
    day_by_day = {name: project.rows(name) for name in EXPECTED}
    project.run("build", "--full-refresh")
    from_nothing = {name: project.rows(name) for name in EXPECTED}
    return Build(project, first_day, day_by_day, from_nothing)


@pytest.fixture(scope="session")
def on_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("dbt_duckdb")
    return build({"AELP_HOME": str(folder / "home"), "AELP_WAREHOUSE": "duckdb"}, folder)


@pytest.fixture(scope="session")
def on_bigquery(bigquery_emulator, tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("dbt_bigquery")
    return build(bigquery_emulator.variables(folder / "home", "parity_"), folder)


@pytest.fixture(
    params=[
        pytest.param("on_duckdb", marks=pytest.mark.dbt, id="duckdb"),
        pytest.param("on_bigquery", marks=[pytest.mark.dbt, pytest.mark.emulator], id="bigquery"),
    ]
)
def built(request: pytest.FixtureRequest) -> Build:
    return request.getfixturevalue(request.param)
