"""Sandbox accounts to measure on: export files written once per scale and length, homes thrown away.

Here: where benchmark files live and how an account's morning is started. Not here: what is measured.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.processes import Cost, measured, python
from resources.sandbox import build_sandbox
from resources.sandbox.build import export_next_day
from resources.settings import load_settings, read_environment

TODAY = date(2026, 6, 30)

# dbt's last line but one: from its first model to its last test.
_DBT_RAN = re.compile(r"^Finished running .* \((\d+\.\d+)s\)\.$", re.MULTILINE)


def scratch_folder() -> Path:
    """Where export files and homes are kept while measuring (AELP_BENCH, by default under the home folder).

    Seed scale needs 4 GB here.
    """
    return Path(os.environ.get("AELP_BENCH") or read_environment().home / "bench")


def sandbox_seed() -> int:
    """The seed of the project's own settings: `make demo` draws the same business."""
    return load_settings(read_environment().settings_path).seed


@dataclass(frozen=True)
class Account:
    """An account of a scale, with `history` times its days."""

    scale: str
    history: int = 1

    @property
    def name(self) -> str:
        return f"{self.scale}-{self.history}x"

    @property
    def drop(self) -> Path:
        return scratch_folder() / "exports" / self.name

    def exports(self) -> dict[str, int]:
        """Write the export files unless they are there; rows per stream."""
        counts = self.drop.with_suffix(".json")
        if not counts.exists():
            shutil.rmtree(self.drop, ignore_errors=True)
            built = build_sandbox(self.drop, self.scale, sandbox_seed(), TODAY, history=self.history)
            counts.write_text(json.dumps(built.rows))
        return dict(json.loads(counts.read_text()))

    def fresh_home(self) -> Home:
        """An AELP_HOME with nothing but this account's exports in its drop folder."""
        self.exports()
        home = Home(self, scratch_folder() / "homes" / self.name)
        home.remove()
        home.drop.mkdir(parents=True)
        for file in sorted(self.drop.rglob("*.csv")):
            link = home.drop / file.relative_to(self.drop)
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, link)  # the same bytes and time, without a second gigabyte
        return home


@dataclass(frozen=True)
class Home:
    """An AELP_HOME in which mornings are run and measured."""

    account: Account
    path: Path

    @property
    def drop(self) -> Path:
        return self.path / "drop"

    @property
    def warehouse(self) -> Path:
        return self.path / "warehouse.duckdb"

    def drop_day(self, days_later: int) -> int:
        """Add the exports made that many mornings after the history's end; rows written."""
        account = self.account
        files = export_next_day(
            self.drop,
            account.scale,
            sandbox_seed(),
            TODAY,
            TODAY + timedelta(days=days_later),
            history=account.history,
        )
        return sum(file.rows for file in files)

    def morning(self, days_later: int = 0) -> tuple[Cost, dict[str, Any]]:
        """Run `aelp run` at nine of a morning in a process of its own: its cost and what it was busy with.

        Raises:
            CommandFailed: the run failed.
        """
        report = self.path / "sampled_run.json"
        report.unlink(missing_ok=True)
        command = python("benchmarks.sampled_run", str(report))
        cost = measured(command, self._variables(days_later), self.path / "logs" / "benchmark.log")
        log = (self.path / "logs" / "last_run.log").read_text(errors="replace")
        facts = json.loads(report.read_text())
        facts["dbt_running"] = sum(float(seconds) for seconds in _DBT_RAN.findall(log))
        return cost, facts

    def _variables(self, days_later: int) -> Mapping[str, str]:
        return {
            "AELP_HOME": str(self.path),
            "AELP_DROP": str(self.drop),
            "AELP_CLOCK": f"{TODAY + timedelta(days=days_later)}T09:00:00-04:00",
            "AELP_WAREHOUSE": "duckdb",
            "AELP_DATASET_PREFIX": "",
        }

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
