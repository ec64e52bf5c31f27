"""Arms of one lever with their evidence, and the switches a morning asks for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl

from resources.control.arm_payloads import ArmValue
from resources.control.arm_rules import EVIDENCE_SCHEMA
from resources.control.governance import Governance
from resources.control.proposals import Proposed
from tests.resources.control.proposing import NINE, decisions_of, lever, states_of

ON, OFF = ArmValue("active"), ArmValue("paused")
LOSING = {"type": "pause", "p_cac_above_cap": 0.97, "reason": "P(CAC > 240) is 97.0% after 2,400."}
PROVEN = {"type": "enable", "status": "paused", "p_cac_above_cap": 0.02, "reason": "It had paid."}
FAILED = {"type": "pause", "p_ctr_below": 0.99, "spend": Decimal(90), "reason": "Fast fail."}


def arm(name: str, **changes: Any) -> dict[str, Any]:
    """A running ad of lever l1 that may go on as it is."""
    usual = {
        **{"platform": "meta", "account_id": "a1", "track": "security", "lever_id": "l1"},
        **{"arm_kind": "ad", "arm_id": name, "arm_name": f"Ad {name}", "adgroup_id": "s1"},
        **{"status": "active", "advisory": False, "type": "hold", "reason": "It pays.", "design": None},
        **{"spend": Decimal(2_400), "window_days": 28, "reward_mean": 12.0, "p_best": 0.5},
        **{"cac_p10": 150.0, "cac_p50": 200.0, "cac_p90": 260.0},
        **{"p_cac_above_cap": 0.3, "p_ctr_below": None},
    }
    return usual | changes


def frame_of(*arms: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(arms, schema=EVIDENCE_SCHEMA, orient="row")


def decided_on(governance: Governance, *levers: dict[str, Any], at=NINE) -> None:
    """The levers' own morning, which comes before the arms'; nothing is proposed of them."""
    states = states_of(*(levers or [lever("l1", thompson_budget=500.0)]))
    held = decisions_of(states).filter(pl.col("type") == "hold")
    governance.propose(held, states, {}, as_of_date=at.date(), settings_hash="s", now=at)


def put_arms(governance: Governance, *arms: dict[str, Any], at=NINE) -> Proposed:
    return governance.propose_arms(frame_of(*arms), as_of_date=at.date(), settings_hash="s", now=at)


def put_one(governance: Governance, *arms: dict[str, Any], at=NINE) -> str:
    (proposal_id,) = put_arms(governance, *arms, at=at).new
    return proposal_id
