"""The real dbt project, run as people run it: a process of its own against one warehouse.

Here: starting dbt and reading what it built. Not here: rows and what they must become.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from resources.settings import PROJECT_ROOT, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Warehouse
from resources.warehouse.schema import TableName

DBT_PROJECT = PROJECT_ROOT / "dbt_project"


@dataclass(frozen=True)
class DbtProject:
    """dbt against the warehouse that `variables` (AELP_*) name, with its own target folder."""

    variables: dict[str, str]
    folder: Path

    @property
    def warehouse(self) -> Warehouse:
        return open_warehouse(read_environment(self.variables))

    def run(self, command: str, *arguments: str, window: tuple[date, date] | None = None) -> str:
        """Run one dbt command; returns its output.

        Raises:
            AssertionError: dbt failed; the message is its output.
        """
        if window is not None:
            first, last = window
            arguments += ("--vars", json.dumps({"min_date": first.isoformat(), "max_date": last.isoformat()}))
        finished = subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), command, *arguments],
            cwd=DBT_PROJECT,
            env={name: value for name, value in os.environ.items() if not name.startswith(("AELP_", "DBT_"))}
            | self.variables
            | {
                "DBT_PROFILES_DIR": str(DBT_PROJECT),
                "DBT_TARGET_PATH": str(self.folder / "target"),
                "DBT_LOG_PATH": str(self.folder / "logs"),
                "DBT_USE_COLORS": "false",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    def rows(self, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """A table or view, sorted by all its columns."""
        found = self.warehouse.read(TableName.parse(table), columns)
        return found.sort(found.columns, nulls_last=True)
