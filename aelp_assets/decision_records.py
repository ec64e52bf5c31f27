"""Decisions as they were made, kept beside the table that the morning's next run replaces.

Here: keeping them, finding one by the id of a decision, of its proposal or of its change. Not here: making
them (`bandits`), making them again (`replay`), what led to them (`explanation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from aelp_assets.artifacts import load_frames, store_frames
from resources.control.arm_payloads import ARM_TYPES
from resources.control.governance import Governance
from resources.control.launch_limits import LAUNCH
from resources.control.records import Record, Refused, key_of
from resources.settings import Environment
from resources.warehouse.interface import Warehouse, WarehouseError
from resources.warehouse.tables import BANDIT_DECISIONS, BANDIT_POSTERIORS

KEPT_FOLDER = "decided"


@dataclass(frozen=True)
class Named:
    """What an id names.

    Attributes:
        kind: decision, proposal or change.
        proposals: of the decision, or the one named. changes: of these proposals, or the one named.
    """

    kind: str
    decision_id: str
    proposals: Sequence[Record]
    changes: Sequence[Record]


@dataclass(frozen=True)
class Found:
    """A decision.

    Attributes:
        decision, belief: its rows of `bandit_decisions` and `bandit_posteriors`.
        is_current: whether the tables still hold it; else it comes from what was kept.
    """

    decision: Record
    belief: Record | None
    is_current: bool


def keep_decisions(
    environment: Environment, morning: date, decisions: pl.DataFrame, posteriors: pl.DataFrame
) -> None:
    """Keep a morning's decisions and the beliefs they rest on, by content."""
    folder = environment.artifacts / KEPT_FOLDER / morning.isoformat()
    store_frames(folder, {"decisions": decisions, "posteriors": posteriors})


def name_decision(governance: Governance, asked: str, now: datetime) -> Named:
    """What an id, or as many first characters as tell it apart, names.

    An id of neither a proposal nor a change is taken for a decision's: only finding it shows.

    Raises:
        Refused: it is empty, or names several.
    """
    if not asked.strip():
        raise Refused("Name a decision, proposal or change: `aelp proposals` and `aelp changes` list them.")
    proposals, changes = governance.proposals(now), governance.changes()
    named_changes = [row for row in changes if row["change_id"].startswith(asked)]
    named_proposals = [row for row in proposals if row["proposal_id"].startswith(asked)]
    if len(named_changes) + len(named_proposals) > 1:
        raise Refused(f"{asked!r} names several proposals or changes; write more of it.")
    if named_changes:
        mine = [row for row in proposals if row["proposal_id"] == named_changes[0]["proposal_id"]]
        return Named("change", mine[0]["decision_id"], mine, named_changes)
    if named_proposals:
        mine_changed = [row for row in changes if row["proposal_id"] == named_proposals[0]["proposal_id"]]
        return Named("proposal", named_proposals[0]["decision_id"], named_proposals, mine_changed)
    mine = [row for row in proposals if row["decision_id"].startswith(asked)]
    ids = {row["proposal_id"] for row in mine}
    return Named("decision", asked, mine, [row for row in changes if row["proposal_id"] in ids])


def find_decision(environment: Environment, warehouses: Sequence[Warehouse], named: Named) -> Found:
    """A decision from the first of `warehouses` that holds it, else from what was kept when it was made.

    Raises:
        Refused: it is nowhere, the id names several, or it is a launch's or an arm's.
    """
    if named.proposals and named.proposals[0]["type"] == LAUNCH:
        raise Refused(
            f"{named.decision_id} is a launch, no decision about a budget that could be made again; "
            "`aelp explain` says what it rests on."
        )
    if named.proposals and named.proposals[0]["type"] in ARM_TYPES:
        raise Refused(
            f"{named.decision_id} is about an arm, no decision about a budget: `aelp explain` says what it "
            "rests on, arm_decisions holds its morning."
        )
    settings_hash = named.proposals[0]["settings_hash"] if named.proposals else None
    seen: list[str] = []
    for is_current, decisions, posteriors in _places(environment, warehouses, named, seen):
        rows = decisions.filter(pl.col("decision_id").str.starts_with(named.decision_id))
        if settings_hash is not None:  # the same inputs under other settings are another decision
            rows = rows.filter(pl.col("settings_hash") == settings_hash)
        if rows["decision_id"].n_unique() > 1:
            raise Refused(f"{named.decision_id!r} names several decisions; write more of it.")
        if not rows.is_empty():
            row = rows.row(0, named=True)
            believed = posteriors.filter(pl.col("as_of_date") == row["as_of_date"])
            beliefs = [each for each in believed.iter_rows(named=True) if key_of(each) == key_of(row)]
            return Found(row, beliefs[0] if beliefs else None, is_current)
    said = "".join(f" {each}" for each in dict.fromkeys(seen))
    raise Refused(f"No decision, proposal or change {named.decision_id!r} is kept here.{said}")


def _places(
    environment: Environment, warehouses: Sequence[Warehouse], named: Named, seen: list[str]
) -> Iterator[tuple[bool, pl.DataFrame, pl.DataFrame]]:
    """Decisions and beliefs, the tables' first, then those kept, newest morning first."""
    morning = named.proposals[0]["as_of_date"] if named.proposals else None
    for warehouse in warehouses:
        try:
            tables = [
                warehouse.read(table.name, partition="as_of_date", first=morning, last=morning)
                if morning
                else warehouse.read(table.name)
                for table in (BANDIT_DECISIONS, BANDIT_POSTERIORS)
            ]
        except WarehouseError as error:
            seen.append(str(error))
            continue
        yield True, tables[0], tables[1]
    mornings = [morning.isoformat()] if morning else ["*"]
    for folder in sorted((environment.artifacts / KEPT_FOLDER).glob(f"{mornings[0]}/*/"), reverse=True):
        if not folder.name.startswith("."):
            frames = load_frames(folder.parent, folder.name)
            yield False, frames["decisions"], frames["posteriors"]
