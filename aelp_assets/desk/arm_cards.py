"""What the page shows of each proposal about an arm: before, after, why, and what waiting costs.

Here: choosing, from the control store alone. Not here: levers' proposals (`cards`), which experiments go on
(`experiments_going_on`), wording and layout (the templates).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aelp_assets.desk.cards import Interval, View, interval, objections
from resources.control.arm_payloads import ARM_TYPES, ArmTarget
from resources.control.records import OPEN, Record


@dataclass(frozen=True)
class ArmCard:
    """A switch or split test that waits.

    Attributes:
        design: of a split test; None: a switch.
        evidence: `EVIDENCE_SCHEMA`, the arm as it was judged; None: what was kept of it was changed since.
        waiting_cost: dollars a day beyond the cap while a pause waits; None: not a pause, or not known.
        objections: of the guardrails, now.
        disturbs: experiments going on that it would disturb.
        call: what would be sent, or the design.
    """

    proposal: Record
    target: ArmTarget
    before: str
    after: str
    design: Mapping[str, Any] | None
    evidence: Record | None
    interval: Interval | None
    cac_cap: Decimal | None
    waiting_cost: float | None
    objections: list[str]
    disturbs: Sequence[str]
    call: str


def cards(view: View, disturbed: Mapping[str, Sequence[str]]) -> list[ArmCard]:
    """What waits for a decision, newest morning first; pauses by what waiting costs, then the others.

    Args:
        disturbed: experiments that each would disturb, by proposal.
    """
    waiting = [
        _card(view, row, disturbed.get(row["proposal_id"], ()))
        for row in view.governance.proposals(view.now)
        if row["type"] in ARM_TYPES and row["status"] in OPEN
    ]
    return sorted(
        waiting,
        key=lambda card: (
            -card.proposal["as_of_date"].toordinal(),
            ARM_TYPES.index(card.proposal["type"]),
            -(card.waiting_cost or 0.0),
        ),
    )


def _card(view: View, proposal: Record, disturbs: Sequence[str]) -> ArmCard:
    payload = json.loads(proposal["payload"])
    limit = view.limits.tracks.get(proposal["track"])
    evidence = view.governance.arm_evidence(proposal)
    cap = limit.cac_cap if limit else None
    shown = payload.get("design") or payload["request"]
    return ArmCard(
        proposal=proposal,
        target=ArmTarget(**payload["target"]),
        before=payload["before"]["status"],
        after=payload["after"]["status"],
        design=payload.get("design"),
        evidence=evidence,
        interval=interval(evidence, cap),
        cac_cap=cap,
        waiting_cost=waiting_cost(evidence, cap) if proposal["type"] == "pause" else None,
        objections=objections(view.governance, proposal, view.now),
        disturbs=disturbs,
        call=json.dumps(shown, indent=2, ensure_ascii=False),
    )


def waiting_cost(evidence: Record | None, cac_cap: Decimal | None) -> float | None:
    """Dollars a day an arm loses at its own rate: what it spends beyond the cap for what it is held to earn.

    max(0, spend - cap x E[reward]) over the days of its window; None where either is not known.
    """
    if evidence is None or cac_cap is None:
        return None
    beyond = float(evidence["spend"]) - float(cac_cap) * float(evidence["reward_mean"])
    return max(0.0, beyond) / int(evidence["window_days"])
