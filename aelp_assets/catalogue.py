"""Every table there is and what is said of it: those declared in Python, and dbt's models.

Here: finding one by its name, its words, what it is built from. Not here: its rows.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aelp_assets.transform import ensure_manifest
from resources.settings import Environment, SettingsError
from resources.warehouse.schema import InvalidIdentifier, TableName
from resources.warehouse.tables import PYTHON_TABLES

# What tables call the day their rows are of; the first that a table has counts.
_DAYS = ("as_of_date", "date", "report_date", "week")


@dataclass(frozen=True)
class Described:
    """What is said of a table.

    Attributes:
        grain: what is unique together; empty where nothing says so.
        columns: description by name, as far as there is one.
        model: dbt's id of it; None: Python writes it.
    """

    name: TableName
    description: str
    grain: tuple[str, ...]
    columns: Mapping[str, str]
    model: str | None


class Catalogue:
    """The tables of an environment.

    Raises:
        RuntimeError: the dbt project does not parse.
    """

    def __init__(self, environment: Environment) -> None:
        manifest = json.loads(ensure_manifest(environment).manifest_path.read_text())
        self._nodes: dict[str, dict[str, Any]] = manifest["nodes"]
        self._sources: dict[str, dict[str, Any]] = manifest["sources"]
        self._parents: dict[str, list[str]] = manifest["parent_map"]
        self._prefix = environment.dataset_prefix
        self._models = {
            self._named(node): unique_id
            for unique_id, node in self._nodes.items()
            if node["resource_type"] == "model"
        }

    def find(self, asked: str) -> Described:
        """The table of that name; its schema may be left out where only one table is called so.

        Raises:
            SettingsError: there is none, or it is no name; names those like it.
        """
        known = sorted({*PYTHON_TABLES, *self._models})
        alike = [name for name in known if asked in (name, name.partition(".")[2])]
        if len(alike) == 1:
            return self._describe(TableName.parse(alike[0]))
        try:
            TableName.parse(asked if "." in asked else f"gaelp_training.{asked}")
        except InvalidIdentifier as fault:
            raise SettingsError(f"{asked!r} names no table: {fault}") from None
        near = alike or _alike(asked, known)
        hint = f"Did you mean {', '.join(near)}?" if near else "README.md lists the tables by question."
        raise SettingsError(f"{asked}: there is no such table. {hint}")

    def sources_of(self, model: str) -> list[TableName]:
        """The tables written from Python that a model is built from in the end."""
        sources = (self._sources[each] for each in self._ancestors(model) if each in self._sources)
        return [TableName.parse(name) for name in sorted(map(self._named, sources))]

    def _describe(self, name: TableName) -> Described:
        declared = PYTHON_TABLES.get(str(name))
        if declared is not None:
            words = {column.name: column.description for column in declared.columns}
            return Described(name, declared.description, declared.grain, words, None)
        unique_id = self._models[str(name)]
        node = self._nodes[unique_id]
        words = dict(self._words(unique_id))
        return Described(name, _one_line(node["description"]), self._grain(unique_id), words, unique_id)

    def _words(self, unique_id: str) -> Iterator[tuple[str, str]]:
        """What is said of a model's columns; of one handed on without a word, by its nearest source."""
        told: set[str] = set()
        for each in self._ancestors(unique_id):
            for column, about in (self._nodes.get(each) or self._sources[each])["columns"].items():
                words = _one_line(about["description"])
                if words and column not in told:
                    told.add(column)
                    yield column, words

    def _ancestors(self, unique_id: str) -> Iterator[str]:
        """A model, then what it is built from, the nearest first."""
        waiting, seen = [unique_id], {unique_id}
        while waiting:
            yield (nearest := waiting.pop(0))
            further = [each for each in self._parents[nearest] if each not in seen]
            seen.update(further)
            waiting.extend(further)

    def _grain(self, unique_id: str) -> tuple[str, ...]:
        """As the model's own test of it says."""
        for node in self._nodes.values():
            test = node.get("test_metadata")
            if test and test["name"] == "unique_combination" and node.get("attached_node") == unique_id:
                return tuple(test["kwargs"]["columns"])
        return ()

    def _named(self, node: Mapping[str, Any]) -> str:
        return f"{node['schema'].removeprefix(self._prefix)}.{node['name']}"


def day_column(columns: Iterable[str]) -> str | None:
    """The column that says which day a row is of."""
    there = set(columns)
    return next((name for name in _DAYS if name in there), None)


def _alike(asked: str, known: Iterable[str]) -> list[str]:
    bare = {name: name.partition(".")[2] for name in known}
    wanted = asked.partition(".")[2] or asked
    holding = [name for name, table in bare.items() if len(wanted) > 2 and wanted in table]
    close = difflib.get_close_matches(wanted, set(bare.values()), n=4, cutoff=0.6)
    return [*holding, *(name for name in bare if bare[name] in close and name not in holding)][:6]


def _one_line(text: str) -> str:
    return " ".join(text.split())
