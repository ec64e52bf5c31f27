"""Views on DuckDB are replaced in place: with their words, all or nothing, whatever had their name before."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from aelp_assets.transform import dbt_executable
from tests.parity.project import DBT_PROJECT

pytestmark = pytest.mark.dbt

READER = "select spend * 2 as doubled from {{ ref('spend_daily') }}"
DOCS = {"relation": True, "columns": True}


@dataclass(frozen=True)
class Project:
    """A dbt project of two views, the second one reading the first, with the macro of the real one."""

    folder: Path

    def build(self, sql: str, *, stored: str = "view", contract: bool = False) -> None:
        """Build both on this SQL of the first.

        Raises:
            CalledProcessError: dbt failed; it has dbt's output.
        """
        config = {"materialized": stored, "contract": {"enforced": contract}, "persist_docs": DOCS}
        column = {"name": "spend", "data_type": "decimal(18, 2)", "description": "Dollars; a day's."}
        first = {"name": "spend_daily", "description": "Grain: day.", "config": config, "columns": [column]}
        (self.folder / "models" / "models.yml").write_text(yaml.safe_dump({"models": [first]}))
        (self.folder / "models" / "spend_daily.sql").write_text(sql)
        (self.folder / "models" / "doubled.sql").write_text(READER)
        command = [dbt_executable(), "--no-send-anonymous-usage-stats", "run", "--profiles-dir", "."]
        # Where dbt writes is a variable that the graph sets for its own project.
        own = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
        subprocess.run(command, cwd=self.folder, env=own, capture_output=True, text=True, check=True)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "views.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def comments(self) -> list[tuple[Any, ...]]:
        return self.ask(
            "select comment from duckdb_views() where view_name = 'spend_daily' "
            "union all select comment from duckdb_columns() where table_name = 'spend_daily'"
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "models").mkdir()
    (tmp_path / "macros").mkdir()
    shutil.copy(DBT_PROJECT / "macros" / "views.sql", tmp_path / "macros")
    written = {"name": "views", "version": "1.0.0", "config-version": 2, "profile": "views"}
    (tmp_path / "dbt_project.yml").write_text(yaml.safe_dump(written))
    target = {"type": "duckdb", "path": "views.duckdb", "threads": 1}
    profile = {"views": {"target": "here", "outputs": {"here": target}}}
    (tmp_path / "profiles.yml").write_text(yaml.safe_dump(profile))
    return Project(tmp_path)


def test_a_view_is_replaced_with_its_words_and_those_that_read_it_read_the_new_one(project: Project) -> None:
    project.build("select cast(1 as decimal(18, 2)) as spend")
    project.build("select cast(2 as decimal(18, 2)) as spend, 'meta' as platform")
    assert project.ask("select doubled from doubled") == [(4,)]
    assert project.ask("select platform from spend_daily") == [("meta",)]
    assert project.comments() == [("Grain: day.",), ("Dollars; a day's.",), (None,)]
    made = project.ask("select view_name from duckdb_views() where not internal order by 1")
    assert made == [("doubled",), ("spend_daily",)]  # nothing half-made is left beside them


@pytest.mark.parametrize(
    ("sql", "contract"),
    [("select spent from nowhere", False), ("select 'a lot' as spend", True)],
    ids=["its SQL fails", "its contract is broken"],
)
def test_a_view_that_cannot_be_made_stays_as_it_was(project: Project, sql: str, contract: bool) -> None:
    project.build("select cast(1 as decimal(18, 2)) as spend")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        project.build(sql, contract=contract)
    assert "spend_daily" in failed.value.stdout
    assert project.ask("select doubled from doubled") == [(2,)]
    assert project.comments() == [("Grain: day.",), ("Dollars; a day's.",)]


def test_what_was_a_table_becomes_a_view(project: Project) -> None:
    sql = "select cast(1 as decimal(18, 2)) as spend"
    project.build(sql, stored="table")
    project.build(sql)
    kind = "select table_type from information_schema.tables where table_name = 'spend_daily'"
    assert project.ask(kind) == [("VIEW",)]
    project.build(sql, stored="table")
    with pytest.raises(subprocess.CalledProcessError):
        project.build("select spent from nowhere")
    assert project.ask(kind) == [("BASE TABLE",)]
    assert project.ask("select doubled from doubled") == [(2,)]
