"""Healthy levers, the edits a morning makes of them, and a governance that people decide in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa

from models.guardrails import STATE_SCHEMA, GuardrailLimits, TrackLimits, plan_decisions
from resources.control.governance import Approver, Governance
from resources.control.payloads import LeverTarget
from resources.control.signing import ApproverKeys, key_variable
from tests.healthy_levers import healthy_lever

MORNING = date(2026, 6, 30)
NINE = datetime(2026, 6, 30, 13, tzinfo=UTC)
TEN = NINE + timedelta(hours=1)
KEYS = {key_variable(name): f"a long secret of {name}" for name in ("jo", "sam", "robot")}
APPROVERS = (Approver("jo", Decimal(30)), Approver("sam"), Approver("robot", simulated=True))
LIMITS = GuardrailLimits(
    tracks={"security": TrackLimits(Decimal(30_000), Decimal(240), Decimal(6_000))},
    total_daily_cap=Decimal(60_000),
)


def lever(name: str, **changes: Any) -> dict[str, Any]:
    return healthy_lever(name, NINE, **changes)


def states_of(*levers: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(levers, schema=STATE_SCHEMA, orient="row")


def decisions_of(states: pl.DataFrame) -> pl.DataFrame:
    decisions = plan_decisions(states, LIMITS, NINE)
    return decisions.with_columns(decision_id="d-" + pl.col("lever_id"))


def targets_of(states: pl.DataFrame) -> dict[tuple[str, str, str], LeverTarget]:
    return {
        (row["platform"], row["account_id"], row["lever_id"]): LeverTarget(
            row["platform"], row["account_id"], row["lever_id"], row["lever_level"], f"id-{row['lever_id']}",
            f"Ad set {row['lever_id']}", row["currency"],
        )
        for row in states.iter_rows(named=True)
    }  # fmt: skip


def governing(engine: sa.Engine, **changes: Any) -> Governance:
    return Governance(
        engine, **({"approvers": APPROVERS, "limits": LIMITS, "keys": ApproverKeys(KEYS)} | changes)
    )


def proposed(governance: Governance, *levers: Mapping[str, Any], decisions=None, at=NINE) -> list[str]:
    states = states_of(*levers)
    made = decisions_of(states) if decisions is None else decisions
    outcome = governance.propose(
        made, states, targets_of(states), as_of_date=at.date(), settings_hash="s", now=at
    )
    return outcome.new


def status_of(governance: Governance, proposal_id: str, now: datetime = TEN) -> str:
    (found,) = [row for row in governance.proposals(now) if row["proposal_id"] == proposal_id]
    return found["status"]
