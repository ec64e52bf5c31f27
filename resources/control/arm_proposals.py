"""Switches and split tests of arms put before people: one proposal per arm and day, the newest counts.

Here: which of a morning's decisions about arms become proposals. Not here: what a switch must keep
(`arm_rules`), its call (`arm_payloads`), deciding on it (`governance`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa

from resources.control import records
from resources.control.arm_payloads import ARM_TYPES, ArmTarget, arm_payload, object_id
from resources.control.payloads import Unwritable
from resources.control.records import OPEN, Record, Refused
from resources.control.signing import canonical
from resources.control.store import PROPOSALS


def as_row(decision: Record, as_of_date: date) -> dict[str, Any]:
    """A decision about an arm in the columns of a proposal: an object of its own that no budget moves."""
    own = object_id(decision["arm_kind"], decision["arm_id"])
    account = f"{decision['platform']}_{decision['account_id']}"
    return {
        **{name: decision[name] for name in ("platform", "account_id", "type", "track", "reason")},
        "lever_id": own,
        "decision_id": f"arm_{as_of_date:%Y%m%d}_{account}_{own}",
        "current_budget": Decimal(0),
        "proposed_budget": Decimal(0),
    }


def target_of(decision: Record) -> ArmTarget:
    """The arm a decision is about, as its platform names it."""
    return ArmTarget(
        **{name: decision[name] for name in ("platform", "account_id", "lever_id", "arm_kind", "arm_id")},
        entity_name=decision["arm_name"] or decision["arm_id"],
        adgroup_id=decision["adgroup_id"],
    )


def propose(
    arms: pl.DataFrame,
    as_of_date: date,
    answered: Callable[[Record], str | None],
    judge: Callable[[Record], None],
    put: Callable[[Record, Mapping[str, Any]], None],
) -> list[str]:
    """Put a morning's switches and split tests before people; returns why some are not.

    Args:
        arms: `EVIDENCE_SCHEMA`, all arms of the morning.
        answered: why a proposal is not put before people again; None: it is.
        judge: raises Refused where a proposal breaks a rule.
        put: stores one with its payload.
    """
    left_out = []
    asked = arms.filter(pl.col("type").is_in(ARM_TYPES), ~pl.col("advisory"))
    for decision in asked.sort("platform", "account_id", "arm_kind", "arm_id").iter_rows(named=True):
        row = as_row(decision, as_of_date)
        why = answered(row)
        try:
            payload = arm_payload(target_of(decision), decision["type"], decision["design"])
            judge({**row, "as_of_date": as_of_date, "payload": canonical(payload)})
        except (Unwritable, Refused) as reason:
            why = why or str(reason)
        if why is None:
            put(row, payload)
        else:
            left_out.append(f"{row['lever_id']}: " + why.removeprefix(f"{row['lever_id']}: "))
    return left_out


def close_unasked(connection: sa.Connection, arms: pl.DataFrame, now: datetime) -> list[str]:
    """Supersede what is open for arms that newer knowledge leaves as they are; returns the ids."""
    stays = arms.filter(~pl.col("type").is_in(ARM_TYPES))
    held = {
        (row["platform"], row["account_id"], object_id(row["arm_kind"], row["arm_id"]))
        for row in stays.iter_rows(named=True)
    }
    closed = []
    for row in records.proposals(connection, PROPOSALS.c.status.in_(OPEN), PROPOSALS.c.type.in_(ARM_TYPES)):
        if records.key_of(row) in held:
            records.set_status(connection, row["proposal_id"], "superseded", now)
            closed.append(row["proposal_id"])
    return closed
