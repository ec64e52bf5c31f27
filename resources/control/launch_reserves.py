"""Dollars that approved launches may come to spend although no lever holds them yet.

Here: which launches stand, and what they reserve by track. Not here: the caps they count under
(`models.guardrails`), what a launch itself must keep (`launch_limits`).

A launch reserves its budget from the signature that approves it: on its own morning whatever becomes of its
calls, and beyond it as long as it stands on the platform through us and does not run. Running, it is a lever,
counted as every other; rolled back, or run out before its first call, it is gone. In shadow nothing is made,
so the platform's state decides from the next morning on.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import sqlalchemy as sa

from resources.control import records
from resources.control.launch_limits import LAUNCH
from resources.control.records import LeverKey, Mode, Record
from resources.control.store import APPROVALS, CHANGES, PROPOSALS

_UNDONE = ("applied", "shadow", "withdrawn")


@dataclass(frozen=True)
class Standing:
    """An approved launch that was not undone.

    Attributes:
        made: ids of what its calls made, by kind.
        is_on_platform: whether something of it is, or is still to be, on the platform.
    """

    proposal: Record
    made: dict[str, str]
    is_on_platform: bool

    @property
    def lever(self) -> LeverKey | None:
        """The lever its ad set is once the platform is read again."""
        adset = self.made.get("adset")
        if adset is None:
            return None
        return self.proposal["platform"], self.proposal["account_id"], f"adset_{adset}"

    @property
    def creatives(self) -> set[str]:
        """The creative it shows, by the id it was chosen by and the id of its copy."""
        chosen: str = json.loads(self.proposal["payload"])["target"]["creative_id"]
        return {chosen, self.made["creative"]} if "creative" in self.made else {chosen}


def standing(
    connection: sa.Connection, mode: Mode, now: datetime, *, at: datetime | None = None
) -> Iterator[Standing]:
    """Launches that were approved and not undone, oldest first.

    Args:
        mode: what is on the platform was made in.
        now: a launch whose signatures have all run out is not begun any more.
        at: as it was then; None: now.
    """
    launches = {row["proposal_id"]: row for row in records.proposals(connection, PROPOSALS.c.type == LAUNCH)}
    if not launches:
        return
    known = [] if at is None else [CHANGES.c.created_at <= at.timestamp()]
    changes = records.changes(connection, CHANGES.c.proposal_id.in_(list(launches)), *known)
    undone = {row["undoes"] for row in changes if row["kind"] == "rollback" and row["status"] in _UNDONE}
    signed = _signed(connection, launches, at or now)
    for row in changes:
        if row["kind"] == "apply" and row["change_id"] not in undone:
            waits = row["status"] == "prepared" and row["proposal_id"] in signed
            is_there = waits or row["status"] in ("sending", "applied") or records.has_begun(row)
            yield Standing(
                launches[row["proposal_id"]],
                records.made_by(row),
                is_on_platform=is_there and row["mode"] == mode != "shadow",
            )


def _signed(connection: sa.Connection, launches: Collection[str], moment: datetime) -> set[str]:
    """Those of the proposals under which some approval has not run out."""
    stands = APPROVALS.c.verdict == "approve", APPROVALS.c.expires_at > moment.timestamp()
    named = sa.select(APPROVALS.c.proposal_id).where(APPROVALS.c.proposal_id.in_(list(launches)), *stands)
    return set(connection.execute(named).scalars())


def of_earlier_mornings(
    connection: sa.Connection, mode: Mode, morning: date, now: datetime, *, at: datetime | None = None
) -> list[Standing]:
    """Launches of mornings before this one that are, or are still to be, on the platform; oldest first.

    Args:
        now, at: as for `standing`.
    """
    launches = standing(connection, mode, now, at=at)
    return [one for one in launches if one.is_on_platform and one.proposal["as_of_date"] < morning]


def reserved(
    connection: sa.Connection,
    mode: Mode,
    morning: date,
    running: Collection[LeverKey],
    now: datetime,
    *,
    apart_from: str | None = None,
    at: datetime | None = None,
) -> dict[str, Decimal]:
    """Dollars a day by track that approved launches may come to spend.

    Args:
        mode: of the decisions.
        morning: whose decisions are made or judged.
        running: levers whose budgets are counted as they are.
        now, at: as for `standing`.
        apart_from: a launch's proposal that is judged itself.
    """
    held: dict[str, Decimal] = {}
    for launch in standing(connection, mode, now, at=at):
        row = launch.proposal
        counts = launch.is_on_platform or row["as_of_date"] == morning
        if counts and launch.lever not in running and row["proposal_id"] != apart_from:
            held[row["track"]] = held.get(row["track"], Decimal(0)) + Decimal(row["proposed_budget"])
    return held


def running(states: pl.DataFrame) -> set[LeverKey]:
    """The levers of `STATE_SCHEMA` whose budgets count as in force."""
    counted = states.filter(pl.col("has_lever"), pl.col("status").ne_missing("paused"))
    return set(counted.select(records.LEVER).iter_rows())
