"""How it is written down which columns a column of a Python table is computed from.

Here: the words of the declarations and what they come to. Not here: the declarations (the modules beside
this one), and the lineage of dbt models, which is read from their SQL (`aelp_assets.lineage`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from resources.warehouse.tables import PYTHON_TABLES

Names = str
"""Column names with spaces between them; a name may end in `*`."""
Columns = Mapping[str, Names]
"""`schema.table` -> its columns."""
Place = tuple[str, str]
"""A `schema.table` and one of its columns."""


class Maker(StrEnum):
    """Who makes a column that no table tells, or not alone."""

    MORNING = "the morning decided"
    SETTINGS = "the settings"
    SEED = "the settings' seed"
    CODE = "the code"
    RUN = "the run"
    CLOCK = "the clock"
    PERSON = "a person"
    PLATFORM = "a platform or a file"
    LEDGER = "the landing's own books"
    MEDIA = "texts, images and videos, with the weights that read them"
    CONTROL = "the control store"
    ARTIFACT = "a file of the artifacts' folder"


@dataclass(frozen=True)
class ColumnSources:
    """Where the columns of one table come from.

    `columns` has an entry for every column that a table tells; `made` for those made here; a column may be in
    both. `rows_by` only chooses, joins or orders rows, as a WHERE does, or is shown beside them.
    """

    table: str
    columns: Mapping[str, frozenset[Place]]
    made: Mapping[str, tuple[Maker, ...]]
    rows_by: frozenset[Place]

    @property
    def read(self) -> frozenset[Place]:
        """Every column of another table that is read for this one."""
        return frozenset[Place]().union(self.rows_by, *self.columns.values())


@dataclass
class _Draft:
    names: Sequence[str]
    columns: dict[str, set[Place]] = field(default_factory=dict)
    made: dict[str, list[Maker]] = field(default_factory=dict)
    rows_by: set[Place] = field(default_factory=set)

    def matching(self, written: Names, table: str) -> list[str]:
        found: list[str] = []
        for name in written.split():
            matches = [column for column in self.names if fnmatchcase(column, name)]
            if not matches:
                raise ValueError(f"{table} has no column {name}")
            found += matches
        return found


@dataclass(frozen=True)
class Computed:
    """`names` are computed from `sources`; see `computed`."""

    names: Names
    sources: tuple[Columns, ...]

    def add_to(self, draft: _Draft, table: str) -> None:
        places = {place for columns in self.sources for place in _places(columns)}
        for name in draft.matching(self.names, table):
            draft.columns.setdefault(name, set()).update(places)


@dataclass(frozen=True)
class Carried:
    """`names` are those of `source`; see `carried`."""

    source: str
    names: Names

    def add_to(self, draft: _Draft, table: str) -> None:
        for name in draft.matching(self.names, table):
            draft.columns.setdefault(name, set()).add((self.source, name))


@dataclass(frozen=True)
class Made:
    """`names` are made by `makers`; see `made`."""

    makers: tuple[Maker, ...]
    names: Names

    def add_to(self, draft: _Draft, table: str) -> None:
        for name in draft.matching(self.names, table):
            draft.made.setdefault(name, []).extend(self.makers)


@dataclass(frozen=True)
class RowsBy:
    """`columns` choose the rows; see `rows_by`."""

    columns: Columns

    def add_to(self, draft: _Draft, table: str) -> None:
        draft.rows_by |= _places(self.columns)


Clause = Computed | Carried | Made | RowsBy


def computed(names: Names, *sources: Columns) -> Computed:
    """The named columns are computed from the columns of other tables."""
    return Computed(names, sources)


def carried(source: str, names: Names) -> Carried:
    """The named columns are those of the same name in `source`."""
    return Carried(source, names)


def made(names: Names, *makers: Maker) -> Made:
    """The named columns are made here, whether or not a table is asked as well."""
    return Made(makers, names)


def rows_by(columns: Columns) -> RowsBy:
    """Columns that only choose, join or order the rows, or are shown beside them."""
    return RowsBy(columns)


def declared(table: str, *clauses: Clause) -> ColumnSources:
    """The sources of all columns of a catalogued table; clauses about the same column add up.

    Raises:
        ValueError: a clause names a column the table does not have.
        KeyError: no such table in the catalogue.
    """
    draft = _Draft(PYTHON_TABLES[table].column_names)
    for clause in clauses:
        clause.add_to(draft, table)
    return ColumnSources(
        table,
        {name: frozenset(places) for name, places in draft.columns.items()},
        {name: tuple(makers) for name, makers in draft.made.items()},
        frozenset(draft.rows_by),
    )


def _places(columns: Columns) -> set[Place]:
    return {(table, name) for table, names in columns.items() for name in names.split()}
