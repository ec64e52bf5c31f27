"""Homes tests run the whole graph in: a tiny sandbox, materialised once a run and copied per test.

Here: building, copying, running and comparing AELP_HOMEs. Not here: what should be in them (the tests).
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import duckdb
import polars as pl
import pytest

from aelp_assets.definitions import build_defs
from aelp_assets.runner import Morning, open_instance, run_morning
from resources.clock import clock_from_environment
from resources.sandbox import build_sandbox, export_next_day
from resources.sandbox.catalogue import SCALES
from resources.settings import PROJECT_ROOT, Environment, load_settings, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Warehouse
from tests.once import made_once

SCALE = "tiny"
TODAY = date(2026, 6, 30)
TOMORROW = TODAY + timedelta(days=1)
HISTORY_DAYS = SCALES[SCALE].days
RESTATED_DAYS = 3  # what tomorrow's exports bring: one new day and two known ones again
SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")

# Differ between two runs of the same data, and say so by their names.
VOLATILE = {
    "_batch_id",
    "batch_id",
    "data_batch_id",
    "upstream_hash",
    "run_id",
    "_ingested_at",
    "completed_at",
    "last_landed_at",
    "landed_at",
    "quarantined_at",
    "embedded_at",
    "measured_at",
    "ledger_completed_at",
}


def _rows(connection: duckdb.DuckDBPyConnection, statement: str, **parameters: Any) -> pl.DataFrame:
    relation = connection.sql(statement, params=parameters or None)
    found = pl.DataFrame() if relation is None else pl.from_arrow(relation.to_arrow_table())
    assert isinstance(found, pl.DataFrame)
    return found


@dataclass
class Home:
    """One AELP_HOME and the means to run in it."""

    path: Path
    said: list[str] = field(default_factory=list)

    @property
    def database(self) -> Path:
        return self.path / "warehouse.duckdb"

    @property
    def drop(self) -> Path:
        return self.path / "drop"

    def copy(self, target: Path) -> Home:
        """The same home elsewhere, without the published copy (as large as the warehouse)."""
        shutil.copytree(self.path, target, ignore=shutil.ignore_patterns("analyst", "work", "temporary"))
        return Home(target)

    def variables(self, today: date, **more: str) -> dict[str, str]:
        """The `AELP_*` variables of a process in this home, at nine in the morning of `today`."""
        nine = datetime(today.year, today.month, today.day, 9, tzinfo=SETTINGS.timezone)
        return {"AELP_HOME": str(self.path), "AELP_CLOCK": nine.isoformat(), **more}

    @contextmanager
    def entered(self, today: date, **more: str) -> Iterator[Environment]:
        """This process in this home; every variable is put back afterwards (dbt and Dagster set some)."""
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("AELP_", "DAGSTER_"))
        }
        with mock.patch.dict(os.environ, {**clean, **self.variables(today, **more)}, clear=True):
            yield read_environment()

    def run(self, today: date, **more: str) -> Morning:
        """What `aelp run` does, in this process."""
        with self.entered(today, **more) as environment, open_instance(environment) as instance:
            settings = load_settings(environment.settings_path)
            warehouse = open_warehouse(environment)
            return run_morning(
                build_defs(), instance, warehouse, settings, clock_from_environment(), self.said.append
            )

    def execute(
        self,
        job: str,
        today: date,
        tags: dict[str, str],
        instance: dg.DagsterInstance | None = None,
        selection: list[dg.AssetKey] | None = None,
        **resources: Any,
    ) -> dg.ExecuteInProcessResult:
        """One job in this home, its events kept in memory unless an instance is given."""
        with self.entered(today):
            definition = build_defs(resources).resolve_job_def(job)
            with instance or dg.DagsterInstance.ephemeral() as used:
                return definition.execute_in_process(
                    instance=used, tags=tags, raise_on_error=False, asset_selection=selection
                )

    def transform(self, first: date, last: date, today: date, **options: Any) -> dg.ExecuteInProcessResult:
        """The marts of a range of report days."""
        tags = {
            "dagster/asset_partition_range_start": first.isoformat(),
            "dagster/asset_partition_range_end": last.isoformat(),
        }
        with self.entered(today):
            definition = build_defs().resolve_job_def("transform_days")
            config = {"ops": {"transform": {"config": options}}} if options else {}
            with dg.DagsterInstance.ephemeral() as instance:
                return definition.execute_in_process(instance=instance, tags=tags, run_config=config)

    def drop_tomorrow(self, restated_days: int = RESTATED_DAYS) -> None:
        """The exports made the morning after TODAY."""
        export_next_day(
            self.drop,
            SCALE,
            SETTINGS.seed,
            TODAY,
            TOMORROW,
            restated_days=restated_days,
            images=self.path / "creative_images",
        )

    def warehouse(self) -> Warehouse:
        return open_warehouse(read_environment({"AELP_HOME": str(self.path)}))

    def sql(self, statement: str, **parameters: Any) -> pl.DataFrame:
        """Rows of any statement on the file itself; for looking and for breaking things."""
        with duckdb.connect(str(self.database)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return _rows(connection, statement, **parameters)

    def tables(self, *, drop: set[str] = VOLATILE, schemas: tuple[str, ...] = ()) -> dict[str, pl.DataFrame]:
        """Every stored table by `schema.table`, rows sorted, without the columns in `drop`."""
        found = {}
        with duckdb.connect(str(self.database), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            names = connection.execute(
                "select schema_name || '.' || table_name from duckdb_tables() where not internal order by all"
            ).fetchall()
            for (name,) in names:
                if schemas and name.split(".")[0] not in schemas:
                    continue
                rows = _rows(connection, f"select * from {name}")
                kept = [column for column in rows.columns if column not in drop]
                found[name] = rows.select(kept).sort(kept) if kept else rows
        return found


def assert_same_tables(left: dict[str, pl.DataFrame], right: dict[str, pl.DataFrame]) -> None:
    """Equal to the last bit, or a message that names the table and shows both sides."""
    assert left.keys() == right.keys()
    for name, rows in left.items():
        other = right[name]
        assert rows.schema == other.schema, name
        if not rows.equals(other):
            only_left = rows.join(other, on=rows.columns, how="anti", nulls_equal=True)
            only_right = other.join(rows, on=rows.columns, how="anti", nulls_equal=True)
            pytest.fail(
                f"{name} differs ({rows.height} and {other.height} rows)\n"
                f"{only_left.head(5)}\n{only_right.head(5)}"
            )


def events_of(home: Home, event: Callable[[Any], bool]) -> list[dg.EventLogRecord]:
    """Events of every run of the home's own instance that satisfy `event`."""
    with home.entered(TODAY) as environment, open_instance(environment) as instance:
        found = []
        for run in instance.get_runs():
            found += [entry for entry in instance.all_logs(run.run_id) if event(entry)]
        return found


@functools.cache
def finished(folder: Path) -> tuple[Home, Morning]:
    """The tiny sandbox after its first morning; look, or copy, but leave it as it is."""
    made, morning = made_once(folder, "finished", _first_morning)
    return _own_copy(made, folder), morning


@functools.cache
def next_day(folder: Path) -> tuple[Home, Morning]:
    """The finished home after tomorrow's exports and tomorrow's morning, undisturbed."""
    before, _ = made_once(folder, "finished", _first_morning)
    made, morning = made_once(folder, "next_day", lambda home: _next_morning(Home(before), home))
    return _own_copy(made, folder), morning


def _first_morning(folder: Path) -> Morning:
    home = Home(folder)
    build_sandbox(home.drop, SCALE, SETTINGS.seed, TODAY, images=home.path / "creative_images")
    return home.run(TODAY)


def _next_morning(before: Home, folder: Path) -> Morning:
    home = before.copy(folder)
    home.drop_tomorrow()
    return home.run(TOMORROW)


def _own_copy(made: Path, folder: Path) -> Home:
    """With everything in it, the published copy too."""
    return Home(Path(shutil.copytree(made, folder / made.name)))
