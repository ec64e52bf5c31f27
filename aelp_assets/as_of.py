"""Any table as it was known at a moment, read or made again from what is still kept; nothing is written to.

Here: which kind a table is, and marts built again in a file of their own. Not here: what was landed or
written by then (`resources.history`), proposals as they stood (`resources.control.history`), printing.

What is only appended to has the rows of then. dbt's tables are built by the SQL of now from the raw rows of
then. What runs write is as it is now where nothing wrote it since, as it was kept where a morning was decided
again, and refused otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import polars as pl

from aelp_assets.artifacts import load_frames
from aelp_assets.catalogue import Catalogue, Described, day_column
from aelp_assets.column_sources import MOMENTARY_COLUMNS
from aelp_assets.decision_records import KEPT_FOLDER
from aelp_assets.governance import control_engine, mirror, snapshots_of
from aelp_assets.machinery import existing_instance
from aelp_assets.metadata import asset_key
from aelp_assets.transform import DBT_FOLDER, dbt_environment
from resources.control import history as control_history
from resources.control.records import Record
from resources.history.landed import accounts_met_by, landed_by
from resources.history.written import NotKept, Standing, Writing, standing_at, writings
from resources.settings import PROJECT_ROOT, Environment, SettingsError
from resources.warehouse import open_warehouse
from resources.warehouse.content import content_version, made_alike
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import Append, Warehouse, WarehouseError
from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables import (
    ACCOUNTS,
    BANDIT_DECISIONS,
    BANDIT_POSTERIORS,
    CHANNEL_RULES,
    GOVERNANCE_TABLES,
    MEDIA_WEEKS,
    PYTHON_TABLES,
    REWARD_DEFINITIONS,
    TRACK_RULES,
)

Rules = Literal["then", "now"]
"""By which settings marts are built: those in force at the moment, or today's."""
RULES: tuple[Rules, ...] = get_args(Rules)
_FROM_SETTINGS = {str(table.name) for table in (TRACK_RULES, CHANNEL_RULES, MEDIA_WEEKS, REWARD_DEFINITIONS)}
_GOVERNANCE = {str(table.name) for table in GOVERNANCE_TABLES}
# What is kept beside the table of each morning decided, by table.
_KEPT = {str(BANDIT_DECISIONS.name): "decisions", str(BANDIT_POSTERIORS.name): "posteriors"}
_TOLD = 5  # partitions of a refusal, one by one


@dataclass(frozen=True)
class Known:
    """Rows as they were known.

    Attributes:
        notes: what a reader must know of them, a sentence each.
    """

    rows: pl.DataFrame
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Past:
    """One environment at one moment.

    Attributes:
        zone: moments are told in.
        rules: "then" refuses a mart whose rules were written since; "now" builds it by today's.
    """

    environment: Environment
    catalogue: Catalogue
    moment: datetime
    zone: ZoneInfo
    rules: Rules = "then"

    def known(self, table: Described, first: date | None = None, last: date | None = None) -> Known:
        """The table's rows as they were known, of [first, last] by its day column where days are given.

        Raises:
            NotKept: they, or what they would be built from, are no longer kept; says what, since when, why.
            SettingsError: days of a table without a day column.
            WarehouseError, WarehouseLocked: the warehouse cannot be read.
        """
        if table.model is not None:
            return self._built(table.name, table.model, first, last)
        name, warehouse = str(table.name), open_warehouse(self.environment)
        if name in _GOVERNANCE:
            return _of_days(Known(self._governed(name)), table.name, first, last)
        appended = landed_by(table.name)
        if appended is not None:
            rows = warehouse.query(appended, {"moment": self.moment})
            return _of_days(Known(rows), table.name, first, last)
        if table.name == ACCOUNTS.name:
            return _of_days(self._accounts(warehouse), table.name, first, last)
        return self._written(warehouse, table.name, first, last)

    # --- what the control store says ----------------------------------------------------------------

    def _governed(self, name: str) -> pl.DataFrame:
        table = PYTHON_TABLES[name]
        with control_engine(self.environment).begin() as connection:
            changes = control_history.changes_at(connection, self.moment)
            frames: dict[str, Callable[[], Sequence[Record]]] = {
                "proposals": lambda: control_history.proposals_at(connection, self.moment),
                "approvals": lambda: control_history.approvals_at(connection, self.moment),
                "canary_changes": lambda: changes,
                "canary_budgets_snapshot": lambda: snapshots_of(changes),
                "outbox": lambda: [{**change, "status": change["outbox_status"]} for change in changes],
                "apply_hold_assignments": lambda: control_history.assignments_at(connection, self.moment),
            }
            return mirror(table, frames[table.name.table]())

    # --- what runs wrote ----------------------------------------------------------------------------

    def _written(
        self, warehouse: Warehouse, table: TableName, first: date | None, last: date | None
    ) -> Known:
        declared = PYTHON_TABLES[str(table)]
        standing = self._standing(table)
        column = declared.partition
        if column is None:
            rows = warehouse.read(table)
            if None in standing.replaced:
                raise self._not_kept(table, [standing.replaced[None]])
            if None in standing.later:
                note = f"{table} was first written {self._at(standing.later[None])}: then it was empty."
                return Known(rows.clear(), [note])
            if None in standing.same and not _is_as_noted(declared, rows, standing.same[None]):
                raise self._not_noted(table, [standing.same[None]])
            return _of_days(Known(rows), table, first, last)
        rows = warehouse.read(table, partition=column, first=first, last=last)
        replaced = {
            partition: pair
            for partition, pair in standing.replaced.items()
            if partition is not None and _within(partition, first, last)
        }
        stored = {str(day): found for (day,), found in rows.partition_by(column, as_dict=True).items()}
        others = {
            partition: writing
            for partition, writing in standing.same.items()
            if partition is not None
            and _within(partition, first, last)
            and not _is_as_noted(declared, stored.get(partition, rows.clear()), writing)
        }
        then = others | {partition: pair[0] for partition, pair in replaced.items()}
        kept = {partition: self._kept(table, partition, writing) for partition, writing in then.items()}
        missing = [partition for partition, found in kept.items() if found is None]
        if replaced.keys() & missing:
            raise self._not_kept(
                table, [pair for partition, pair in replaced.items() if partition in missing]
            )
        if missing:
            raise self._not_noted(table, [others[partition] for partition in missing])
        same = [
            date.fromisoformat(partition)
            for partition in standing.same
            if partition is not None and partition not in others
        ]
        unheard = set(rows[column].unique().cast(pl.String)) - {
            *standing.same, *standing.replaced, *standing.later
        }  # fmt: skip
        if unheard:
            raise NotKept(
                f"{table}: Dagster's event log does not say when {_few(sorted(unheard))} was written, so "
                f"nothing says whether it was known {self._moment()}."
            )
        again = [found.select(rows.columns).cast(rows.schema) for found in kept.values() if found is not None]
        known = pl.concat([rows.filter(pl.col(column).is_in(same)), *again]).sort(column, maintain_order=True)
        notes = []
        if again:
            notes.append(f"Decided again since, as kept of the run of then: {_few(sorted(kept))}.")
        later = sorted(p for p in standing.later if p is not None and _within(p, first, last))
        if later:
            when = self._at(standing.later[later[-1]])
            notes.append(f"Left out, written only later: {_few(later)} (the last {when}).")
        return Known(known, notes)

    def _standing(self, table: TableName) -> Standing:
        """Raises: NotKept: nothing says when the table was written."""
        instance = existing_instance(self.environment)
        if instance is None:
            raise NotKept(
                f"{self.environment.dagster_home} holds no Dagster instance, so nothing says when rows were "
                "written. Name the AELP_HOME whose runs wrote this warehouse."
            )
        with instance:
            found = writings(instance, asset_key(str(table)))
        if not found and open_warehouse(self.environment).row_counts([table])[str(table)]:
            raise NotKept(
                f"{table} holds what was written last, and Dagster's event log does not say when that was: "
                f"nothing tells what it held {self._moment()}."
            )
        if PYTHON_TABLES[str(table)].partition is None:
            # Each morning's run writes such a table whole, whichever partition its event names.
            found = [replace(writing, partition=None) for writing in found]
        return standing_at(found, self.moment)

    def _kept(self, table: TableName, partition: str, writing: Writing) -> pl.DataFrame | None:
        """What is kept beside the table of the run that wrote it then; None: nothing."""
        name = _KEPT.get(str(table))
        if name is None:
            return None
        for folder in sorted((self.environment.artifacts / KEPT_FOLDER / partition).glob("[!.]*/")):
            frames = load_frames(folder.parent, folder.name)
            if set(frames["decisions"]["run_id"]) == {writing.run_id}:
                return frames[name]
        return None

    def _not_kept(self, table: TableName, pairs: Sequence[tuple[Writing, Writing]]) -> NotKept:
        told = [
            f"{pair[0].partition or 'its one state'}, known since {self._at(pair[0])}, was written over "
            f"{self._at(pair[1])} by run {pair[1].run_id[:8]}"
            for pair in pairs[:_TOLD]
        ]
        more = f", and {len(pairs) - _TOLD} more" if len(pairs) > _TOLD else ""
        days = " Other days: --since and --until." if pairs[0][0].partition else ""
        return NotKept(
            f"{table} as known {self._moment()} is not kept: {'; '.join(told)}{more}. It holds what was "
            f"written last.{days}"
        )

    def _not_noted(self, table: TableName, writings: Sequence[Writing]) -> NotKept:
        partitions = sorted(writing.partition for writing in writings if writing.partition is not None)
        which = f" ({_few(partitions)})" if partitions else ""
        days = " Other days: --since and --until." if partitions else ""
        return NotKept(
            f"{table}{which} was changed after {self._at(writings[0])}, when it was noted last, by a run "
            f"that was cut off or deleted: nothing tells whether its rows are those known {self._moment()}."
            f"{days}"
        )

    # --- what dbt builds ----------------------------------------------------------------------------

    def _built(self, table: TableName, model: str, first: date | None, last: date | None) -> Known:
        notes = ["Built by the SQL of now from what had been landed by then."]
        selects: dict[TableName, str] = {}
        frames: dict[TableName, pl.DataFrame] = {}
        warehouse = open_warehouse(self.environment)
        for source in self.catalogue.sources_of(model):
            appended = landed_by(source)
            if appended is not None:
                selects[source] = appended
            elif source == ACCOUNTS.name:
                selects[source] = accounts_met_by()
                notes += self._accounts_since(warehouse)
            elif str(source) in _FROM_SETTINGS and self.rules == "now":
                frames[source] = warehouse.read(source)
                notes.append(f"By the rules of now: {source}.")
            else:
                frames[source] = self._source(source)
        (self.environment.home / "temporary").mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="as-of-", dir=self.environment.home / "temporary") as scratch:
            past = self.environment.model_copy(update={"home": Path(scratch), "warehouse": "duckdb"})
            made = DuckDBWarehouse.from_environment(past)
            if isinstance(warehouse, DuckDBWarehouse):
                warehouse.extract(past.duckdb_path, selects, {"moment": self.moment})
            else:  # what was known comes down a table at a time
                for source, known in selects.items():
                    _fill(made, source, warehouse.query(known, {"moment": self.moment}))
            for source, rows in frames.items():
                _fill(made, source, rows)
            _run_dbt(past, table)
            rows = made.read(table)
        return _of_days(Known(rows, notes), table, first, last)

    def _source(self, source: TableName) -> pl.DataFrame:
        try:
            return self.known(self.catalogue.find(str(source))).rows
        except NotKept as missing:
            remedy = " `--rules now` builds it by the rules of now." if str(source) in _FROM_SETTINGS else ""
            raise NotKept(f"It is built from {source}, and {missing}{remedy}") from None

    def _accounts(self, warehouse: Warehouse) -> Known:
        """Asked of the table itself: pulls write it, too, and no event speaks of that."""
        since = self._accounts_since(warehouse)
        if since:
            raise NotKept(f"{ACCOUNTS.name} as known {self._moment()} is not kept. {since[0]}")
        return Known(warehouse.query(accounts_met_by(), {"moment": self.moment}))

    def _accounts_since(self, warehouse: Warehouse) -> list[str]:
        since = warehouse.query(
            f"select count(*) as described from ({accounts_met_by()}) as met "  # noqa: S608 - a constant
            "where last_landed_at > $moment",
            {"moment": self.moment},
        )["described"].item()
        if not since:
            return []
        return [
            f"Names, zones, currencies and declared levers of {since} accounts as described now: a landing "
            "describes its accounts anew."
        ]

    # --- words --------------------------------------------------------------------------------------

    def _at(self, writing: Writing) -> str:
        return self._words(writing.known_at)

    def _moment(self) -> str:
        return f"at {self._words(self.moment)}"

    def _words(self, moment: datetime) -> str:
        return f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M:%S %Z}"


def _is_as_noted(table: Table, rows: pl.DataFrame, writing: Writing) -> bool:
    """Whether the rows are those the event speaks of, as far as they can be told from others."""
    if "run_id" in rows.columns and not set(rows["run_id"]) <= {writing.run_id}:
        return False
    if writing.content is None:
        return True
    here = [name for name in table.column_names if name in rows.columns]
    rows = rows.select(here).cast({name: table.polars_schema[name] for name in here})
    content = content_version(rows, MOMENTARY_COLUMNS.get(str(table.name), ()))
    return writing.content == content or not made_alike(writing.content, content)


def _fill(made: Warehouse, source: TableName, rows: pl.DataFrame) -> None:
    table = PYTHON_TABLES[str(source)]
    made.ensure_tables([table])
    made.write(Append(table, rows))


def _run_dbt(environment: Environment, table: TableName) -> None:
    """Build a model and what it is built from.

    Raises:
        WarehouseError: dbt failed; the message is the end of its output.
    """
    target = environment.home / "target"
    command = [sys.executable, "-m", "resources.dbt_command"]
    command += ["--no-send-anonymous-usage-stats", "--no-use-colors", "--log-path", str(target)]
    command += ["run", "--select", f"+{table.table}", "--target", "duckdb", "--target-path", str(target)]
    command += ["--project-dir", str(DBT_FOLDER), "--profiles-dir", str(DBT_FOLDER)]
    variables = {**os.environ, **dbt_environment(environment)}
    ran = subprocess.run(
        command, cwd=PROJECT_ROOT, env=variables, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise WarehouseError(
            f"dbt could not build {table} as of then:\n{ran.stdout[-3000:]}{ran.stderr[-500:]}"
        )


def of_days(rows: pl.DataFrame, table: TableName, first: date | None, last: date | None) -> pl.DataFrame:
    """The rows of [first, last] by the table's day column; all where no day is given.

    Raises:
        SettingsError: the table has no day column.
    """
    if first is None and last is None:
        return rows
    column = day_column(name for name, kind in rows.schema.items() if kind == pl.Date)
    if column is None:
        raise SettingsError(f"{table}: no column says which day a row is of; leave out --since and --until")
    return rows.filter(
        pl.col(column).is_between(first or date.min, last or date.max),
    )


def _of_days(known: Known, table: TableName, first: date | None, last: date | None) -> Known:
    return Known(of_days(known.rows, table, first, last), known.notes)


def _within(partition: str, first: date | None, last: date | None) -> bool:
    return (first or date.min) <= date.fromisoformat(partition) <= (last or date.max)


def _few(partitions: Sequence[str]) -> str:
    more = f" and {len(partitions) - _TOLD} more" if len(partitions) > _TOLD else ""
    return ", ".join(partitions[:_TOLD]) + more
