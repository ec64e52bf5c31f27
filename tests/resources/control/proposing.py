"""Healthy levers, the edits a morning makes of them, and a governance that people decide in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa

from models.guardrails import STATE_SCHEMA, GuardrailLimits, TrackLimits, plan_decisions
from resources.control.authority import Approver
from resources.control.governance import Governance
from resources.control.launch_payloads import Launch
from resources.control.payloads import LeverTarget
from resources.control.proposals import Proposed
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

LAUNCH = Launch(
    launch_id="launch_20260630_security_meta_a1_c1",
    track="security",
    platform="meta",
    account_id="a1",
    creative_id="c1",
    entity_name="AELP | MAIN | security | c1",
    lever_level="adset",
    currency="USD",
    parent_campaign_id="77",
    daily_budget=Decimal("120.01"),
    lane="main",
    placements=("facebook", "instagram"),
    starts_at="2026-07-01T00:00:00-04:00",
    link="https://shop.example/?utm_source=facebook&utm_content=c1",
    headline="Calm & safe",
    body="See how it works.",
    call_to_action="Sign up",
    image_hash="f00d",
    format="image",
    page_id="55",
    pixel_id="66",
    countries=("US",),
    ages=(18, 65),
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


def put_launches(governance: Governance, *launches: Launch, states=None, at=NINE) -> Proposed:
    return governance.propose_launches(
        launches,
        states_of(lever("l1")) if states is None else states,
        as_of_date=at.date(),
        settings_hash="s",
        now=at,
    )
