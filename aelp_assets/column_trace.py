"""From a column back to the landed columns it is computed from, through SQL and Python alike.

Here: joining dbt's lineage, read from its SQL, with what Python tables declare, and following it. Not here:
which rows a number of today rests on (`explanation`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aelp_assets.column_sources import COLUMN_SOURCES, Place
from aelp_assets.lineage import recalled
from resources.code_version import source_hash
from resources.settings import Environment, SettingsError


@dataclass(frozen=True)
class Lineage:
    """What each column of each table is computed from, and the tables nothing is known of.

    `unknown` are models whose SQL has not been run since it changed, `not_followed` those whose SQL was run
    and cannot be read column by column; `reads` has the tables each model's SQL reads.
    """

    sources: Mapping[str, Mapping[str, frozenset[Place]]]
    unknown: frozenset[str]
    not_followed: frozenset[str] = frozenset()
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def named(self, asked: str) -> str:
        """The table of that name; its schema may be left out where only one table is called so."""
        alike = [
            name
            for name in {*self.sources, *self.unknown, *self.not_followed}
            if name.partition(".")[2] == asked
        ]
        return alike[0] if len(alike) == 1 else asked

    def why_not(self, table: str) -> str | None:
        """Why nothing is known of a table; None where something is, or there is none."""
        if table in self.unknown:
            return "its SQL has not been run since it changed: `aelp run`"
        return "its SQL cannot be followed column by column" if table in self.not_followed else None

    def above(self, place: Place) -> frozenset[Place]:
        """The columns that one column is computed from, directly."""
        table, column = place
        return self.sources.get(table, {}).get(column, frozenset())


@dataclass(frozen=True)
class Step:
    """A table on the way, with the columns of it that count, `distance` steps from the column asked about."""

    distance: int
    table: str
    columns: tuple[str, ...]


def read_lineage(environment: Environment) -> Lineage:
    """All of it: Python's declarations, and dbt's as of its last run on this kind of warehouse.

    Raises:
        SettingsError: dbt was never parsed for this kind of warehouse.
    """
    target = environment.dbt_target
    if not (target / "manifest.json").exists():
        raise SettingsError(f"dbt was never parsed for {environment.warehouse}: `aelp run` does it.")
    sources: dict[str, Mapping[str, frozenset[Place]]] = {
        table: declared.columns for table, declared in COLUMN_SOURCES.items()
    }
    unknown: set[str] = set()
    not_followed: set[str] = set()
    code = source_hash("dbt_project")
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    names = {
        unique_id: f"{node['schema'].removeprefix(environment.dataset_prefix)}.{node['name']}"
        for unique_id, node in {**manifest["nodes"], **manifest["sources"]}.items()
        if node["resource_type"] in ("model", "source", "seed")
    }
    models = [each for each in names if each.startswith("model.")]
    for unique_id in models:
        found = recalled(target / "lineage", unique_id, code)
        if not found:
            (unknown if found is None else not_followed).add(names[unique_id])
            continue
        sources[names[unique_id]] = {column: frozenset(places) for column, places in found.items()}
    reads = {
        names[each]: tuple(sorted(names[parent] for parent in manifest["parent_map"][each]))
        for each in models
    }
    return Lineage(sources, frozenset(unknown), frozenset(not_followed), reads)


def trace(lineage: Lineage, start: Place) -> list[Step]:
    """Every table a column is computed from, nearest first, with the columns of each that it needs.

    Raises:
        KeyError: no such table or column is known.
    """
    table, column = start
    if column not in lineage.sources.get(table, {}) and column not in _made(table):
        raise KeyError(f"{table}.{column}")
    nearest: dict[Place, int] = {start: 0}
    waiting = [start]
    for place in waiting:  # grows while it is walked
        for source in sorted(lineage.above(place) - nearest.keys()):
            nearest[source] = nearest[place] + 1
            waiting.append(source)
    columns: dict[str, list[Place]] = {}
    for place in waiting:
        columns.setdefault(place[0], []).append(place)
    steps = [
        Step(min(nearest[place] for place in places), name, tuple(sorted(column for _, column in places)))
        for name, places in columns.items()
    ]
    return sorted(steps, key=lambda step: (step.distance, step.table))


def _made(table: str) -> Mapping[str, Any]:
    return COLUMN_SOURCES[table].made if table in COLUMN_SOURCES else {}


def makers_of(place: Place) -> list[str]:
    """Who makes a column besides the tables it is computed from: the settings, a person, a seed."""
    table, column = place
    return [str(maker) for maker in _made(table).get(column, ())]


def of_no_column(lineage: Lineage, steps: list[Step]) -> list[Place]:
    """Columns on the way that SQL makes of none: it counts rows, or says a constant."""
    return [
        (step.table, column)
        for step in steps
        if step.table in lineage.reads
        for column in step.columns
        if lineage.sources.get(step.table, {}).get(column) == frozenset()
    ]


def dead_ends(lineage: Lineage, steps: list[Step]) -> list[Place]:
    """Columns on the way of which nothing is known; one that SQL makes of no column is known to be so."""
    return [
        (step.table, column)
        for step in steps
        for column in step.columns
        if column not in lineage.sources.get(step.table, {}) and not makers_of((step.table, column))
    ]
