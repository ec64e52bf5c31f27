"""What a measurement leaves behind: figures with unit, aim, commit, machine and day.

Here: records, the results file and its readable twin. Not here: measuring.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from resources.code_version import source_hash
from resources.settings import PROJECT_ROOT

RESULTS = PROJECT_ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Figure:
    """One number. `aim` is what the project set itself, as text; `meets` whether it is met."""

    name: str
    value: float
    unit: str
    aim: str | None = None
    meets: bool | None = None


@dataclass(frozen=True)
class Record:
    """One benchmark run at one size. `details` holds breakdowns for people who look closer."""

    benchmark: str
    config: dict[str, Any]
    figures: list[Figure]
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.benchmark} {json.dumps(self.config, sort_keys=True)}"

    @property
    def title(self) -> str:
        """What was measured and at which size, for reading."""
        config = [
            f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in self.config.items()
        ]
        return f"{self.benchmark} ({', '.join(config)})" if config else self.benchmark


def code_hash() -> str:
    """Hash of everything a figure depends on: two commits with the same one would measure the same."""
    return source_hash("models", "resources", "aelp_assets", "sensors", "dbt_project", "benchmarks")


def provenance() -> dict[str, Any]:
    """Commit, code, machine and moment of a measurement."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "commit": described.stdout.strip() or "unknown",
        "code": code_hash(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def load(path: Path) -> dict[str, Record]:
    """Records of a results file by key; none where there is no file."""
    if not path.exists():
        return {}
    records = [
        Record(**{**entry, "figures": [Figure(**figure) for figure in entry["figures"]]})
        for entry in json.loads(path.read_text())
    ]
    return {record.key: record for record in records}


def save(path: Path, records: dict[str, Record]) -> None:
    """Write the results file and, beside it, the same figures for reading."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = [records[key] for key in sorted(records)]
    path.write_text(json.dumps([asdict(record) for record in ordered], indent=1) + "\n")
    path.with_suffix(".md").write_text(readable(ordered))


def readable(records: Sequence[Record]) -> str:
    """The records as Markdown: a table each, with the command and where it ran."""
    lines = [
        "# What AELP costs to run",
        "",
        "Written by `python -m benchmarks.run`; the same figures with all details are in `spine.json`. "
        "A missed aim is left standing, with the reason.",
    ]
    for record in records:
        lines += ["", f"## {record.title}", ""]
        lines += ["| figure | value | aim |", "| --- | ---: | --- |"]
        for figure in record.figures:
            lines.append(f"| {figure.name} | {amount(figure.value)} {figure.unit} | {verdict(figure)} |")
        if record.note:
            lines += ["", record.note]
        for name, table in record.details.items():
            lines += _details(name, table)
        made = record.provenance
        lines += [
            "",
            f"`{record.command}` · {made.get('commit')} (code {made.get('code')}) · {made.get('date')} · "
            f"{made.get('machine')} · Python {made.get('python')} · load {made.get('load_before')} before",
        ]
    return "\n".join(lines) + "\n"


def _details(name: str, table: Any) -> list[str]:
    if not isinstance(table, dict) or not all(isinstance(value, int | float) for value in table.values()):
        return []
    rows = sorted(table.items(), key=lambda item: -item[1])
    shown = " · ".join(f"{key} {amount(value)}" for key, value in rows if value >= 0.05)
    return ["", f"{name}: {shown}"] if shown else []


def amount(value: float) -> str:
    """A figure for reading: three significant digits, thousands apart."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def verdict(figure: Figure) -> str:
    """The aim and whether it is met; empty where there is none."""
    if figure.aim is None:
        return ""
    return figure.aim if figure.meets is None else f"{figure.aim}: {'met' if figure.meets else 'missed'}"
