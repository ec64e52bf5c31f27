"""The change feed: each change with its value before and after, its call in the outbox, and its way back.

Here: entering changes, undoing them newest first. Not here: who may (`governance`), sending the calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import polars as pl
import sqlalchemy as sa

from models.guardrails import GuardrailLimits, verify_decisions
from resources.control import records
from resources.control.records import LEVER, Mode, Record, Refused
from resources.control.signing import canonical, content_hash
from resources.control.store import CHANGES, OUTBOX, PROPOSALS

# What a way back must still obey when it raises spend; steps, learning and the 72 hours it is exempt from.
_BINDING_ON_ROLLBACKS = ("kill", "cap", "safety_stop", "known_track")


def enter(
    connection: sa.Connection,
    proposal: Record,
    payload: Mapping[str, Any],
    *,
    kind: Literal["apply", "rollback"],
    undoes: str | None = None,
    mode: Mode,
    person: str,
    reason: str,
    now: datetime,
) -> str:
    """Enter a change and put its call into the outbox, where shadow leaves it; returns the change's id."""
    change_id = records.short_hash(f"{proposal['proposal_id']}|{kind}")
    in_shadow = mode == "shadow"
    common = {"change_id": change_id, "proposal_id": proposal["proposal_id"], "mode": mode}
    connection.execute(
        sa.insert(CHANGES).values(
            **common,
            kind=kind,
            undoes=undoes,
            person=person,
            reason=reason.strip(),
            **{name: proposal[name] for name in LEVER},
            before=canonical(payload["before"]),
            after=canonical(payload["after"]),
            status="shadow" if in_shadow else "prepared",
            created_at=now.timestamp(),
            finished_at=now.timestamp() if in_shadow else None,
        )
    )
    connection.execute(
        sa.insert(OUTBOX).values(
            **common,
            request=canonical(payload["request"]),
            request_hash=content_hash(payload["request"]),
            status="shadow" if in_shadow else "queued",
            created_at=now.timestamp(),
        )
    )
    return change_id


def roll_back(
    connection: sa.Connection,
    change_id: str,
    *,
    cascade: bool,
    limits: GuardrailLimits,
    mode: Mode,
    person: str,
    reason: str,
    now: datetime,
) -> list[str]:
    """Undo a change by its exact inverse, and with `cascade` the lever's later changes before it.

    A change that is undone already stays so: its rollback is named again.

    Raises:
        Refused: there is no such change, a later one stands in the way, or the lever would spend more
            against a cap or the stop rule.
    """
    change = _one_change(connection, change_id)
    undone = records.changes(connection, CHANGES.c.undoes == change["change_id"])
    if undone:
        return [undone[0]["change_id"]]
    same_lever = [CHANGES.c[name] == change[name] for name in LEVER]
    later = records.changes(connection, *same_lever, CHANGES.c.sequence > change["sequence"])
    settled = {row["undoes"] for row in later}
    standing = [row for row in later if row["kind"] == "apply" and row["change_id"] not in settled]
    if standing and not cascade:
        names = ", ".join(row["change_id"] for row in standing)
        raise Refused(f"{change['change_id']} was followed by {names}: undo these first, or use --cascade.")
    undoing = []
    for row in [*reversed(standing), change]:
        (proposal,) = records.proposals(connection, PROPOSALS.c.proposal_id == row["proposal_id"])
        if records.spends(row["before"]) > records.spends(row["after"]):
            _require_room(connection, row, limits, now)
        records.set_status(connection, proposal["proposal_id"], "rolled_back")
        payload = json.loads(proposal["payload"])
        inverse = {"before": payload["after"], "after": payload["before"], "request": payload["inverse"]}
        undoing.append(
            enter(
                connection,
                proposal,
                inverse,
                kind="rollback",
                undoes=row["change_id"],
                mode=mode,
                person=person,
                reason=reason,
                now=now,
            )
        )
    return undoing


def _one_change(connection: sa.Connection, change_id: str) -> Record:
    named = CHANGES.c.change_id.startswith(change_id, autoescape=True)
    found = records.changes(connection, named, CHANGES.c.kind == "apply")
    if len(found) != 1 or not change_id:
        raise Refused(f"{change_id!r} does not name one change; `aelp changes` lists them.")
    return found[0]


def _require_room(connection: sa.Connection, change: Record, limits: GuardrailLimits, now: datetime) -> None:
    """Caps and stop rule allow the lever what it had before, on what is known of all levers now."""
    is_lever = pl.all_horizontal(pl.col(name) == change[name] for name in LEVER)
    in_force = pl.lit(records.spends(change["after"]), dtype=records.BUDGET)
    states = records.newest_states(connection).with_columns(
        pl.when(is_lever).then(in_force).otherwise("current_budget").alias("current_budget"),
        # Judged as if it ran: a paused lever breaks no rule until it is switched on again.
        pl.when(is_lever).then(pl.lit("active")).otherwise("status").alias("status"),
    )
    back = {
        **{name: change[name] for name in LEVER},
        "type": "raise",
        "current_budget": records.spends(change["after"]),
        "proposed_budget": records.spends(change["before"]),
    }
    found = verify_decisions(records.judged([back]), states, limits, now)
    records.require([violation for violation in found if violation.rule in _BINDING_ON_ROLLBACKS])
