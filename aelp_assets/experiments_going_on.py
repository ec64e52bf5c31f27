"""Experiments that go on where a proposal would change something.

Here: reading their register and the channels of levers. Not here: the register (`experiment_calendar`), what
is shown (`desk`, `decision_report`), rules: nothing is refused for it, a person weighs the one against the
other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from aelp_assets.channel_envelopes import channel_levers
from models.experiments.registry import LeverPlaces, going_on_at
from resources.control.arm_payloads import ARM_TYPES
from resources.control.records import OPEN, Record
from resources.warehouse.interface import Warehouse, WarehouseError
from resources.warehouse.schema import TableName
from resources.warehouse.tables import EXPERIMENTS

_REGISTER_DAYS = 8  # it is made weekly
_SNAPSHOT_DAYS = 14
_LEVERS = TableName("gaelp_training", "budget_levers")
_CHANNELS = TableName("intermediate", "int_campaign_channels")
_CAMPAIGN = ["platform", "account_id", "campaign_id"]
_NO_LEVERS = dict.fromkeys(("platform", "account_id", "lever_id", "track", "channel"), pl.String)


@dataclass(frozen=True)
class GoingOn:
    """The register of a morning's week, and where levers are."""

    register: pl.DataFrame
    places: LeverPlaces

    def under(self, proposal: Record) -> list[str]:
        """What a proposal would disturb, in words; a stop is never held against: it outranks every test."""
        if proposal["type"] == "stop":
            return []
        platform, account_id, track = (proposal[name] for name in ("platform", "account_id", "track"))
        place = self.places.of_lever(platform, account_id, track, _lever_of(proposal))
        return going_on_at(self.register, place, proposal["as_of_date"])


def disturbed_by(warehouses: Sequence[Warehouse], proposals: Iterable[Record]) -> dict[str, list[str]]:
    """What each proposal that waits would disturb, in words, by its id; what disturbs nothing is left out."""
    waiting = [row for row in proposals if row["status"] in OPEN]
    going_on = first_going_on(warehouses, {row["as_of_date"] for row in waiting})
    said = {
        row["proposal_id"]: found.under(row)
        for row in waiting
        if (found := going_on[row["as_of_date"]]) is not None
    }
    return {proposal_id: words for proposal_id, words in said.items() if words}


def first_going_on(warehouses: Sequence[Warehouse], mornings: Collection[date]) -> dict[date, GoingOn | None]:
    """Of each morning what the first of `warehouses` says that has a register of its week.

    An older copy may have none yet. None: none of them can be read.
    """

    def first(morning: date) -> GoingOn | None:
        without = None
        for warehouse in warehouses:
            found = read_going_on(warehouse, morning)
            if found is not None and not found.register.is_empty():
                return found
            without = without or found
        return without

    return {morning: first(morning) for morning in mornings}


def _lever_of(proposal: Record) -> str:
    """The lever a proposal is about: an arm's is the one whose budget it draws on."""
    if proposal["type"] not in ARM_TYPES:
        return str(proposal["lever_id"])
    return str(json.loads(proposal["payload"])["target"]["lever_id"])


def read_going_on(warehouse: Warehouse, morning: date) -> GoingOn | None:
    """The newest register of the week before a morning; None: there is none, or it cannot be read now."""
    first = morning - timedelta(days=_REGISTER_DAYS)
    try:
        register = warehouse.read(EXPERIMENTS.name, partition="as_of_date", first=first, last=morning)
    except WarehouseError:
        return None
    newest = register.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
    return GoingOn(newest, LeverPlaces(_levers(warehouse, morning)))


def _levers(warehouse: Warehouse, morning: date) -> pl.DataFrame:
    """Levers with their channel; without any, a lever may be in each."""
    try:
        levers = warehouse.read(
            _LEVERS,
            [*_CAMPAIGN, "lever_id", "track", "date", "status", "current_budget"],
            partition="date",
            first=morning - timedelta(days=_SNAPSHOT_DAYS),
            last=morning,
        )
        return channel_levers(levers, warehouse.read(_CHANNELS, [*_CAMPAIGN, "channel"]), morning)
    except WarehouseError:
        return pl.DataFrame(schema=_NO_LEVERS)
