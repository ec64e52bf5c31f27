"""A person's own number in the place of an open proposal: the same lever and morning, another budget.

Here: reading the number, making the edit, proposing it. Not here: the rules it obeys, as any proposal does,
and storing it (`proposals`).
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from decimal import Decimal

import polars as pl

from resources.control.arm_payloads import ARM_TYPES
from resources.control.governance import Governance
from resources.control.payloads import LeverTarget, money
from resources.control.records import BUDGET, LEVER, Record, Refused, key_of

# One spelling: a comma stands before thousands to one person and before cents to another.
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


def read_budget(text: str) -> Decimal:
    """Dollars a day as a person wrote them.

    Raises:
        Refused: anything but digits and one decimal point.
    """
    if not _AMOUNT.fullmatch(text.strip()):
        raise Refused(f"{text.strip()[:40]!r} is no budget; write it as 1250 or 1250.50.")
    return Decimal(text.strip())


def with_budget(proposal: Record, budget: Decimal) -> Record:
    """An open proposal as it would be with another daily budget.

    Raises:
        Refused: the budget in force, or the one that is proposed.
    """
    if proposal["type"] == "launch":
        raise Refused(
            "A launch has its slate's budget, and screens no more with another; approve or reject it."
        )
    if proposal["type"] in ARM_TYPES:
        raise Refused("An arm has no budget of its own to name another number for; approve or reject it.")
    current, proposed = Decimal(proposal["current_budget"]), Decimal(proposal["proposed_budget"])
    if budget == current:
        raise Refused(f"{money(budget)} is in force; to leave it so, reject {proposal['proposal_id']}.")
    if budget == proposed and proposal["type"] != "stop":
        raise Refused(f"{money(budget)} is what {proposal['proposal_id']} proposes already; approve it.")
    return {
        **proposal,
        "type": "raise" if budget > current else "cut",
        "proposed_budget": money(budget),
    }


def counter_propose(
    governance: Governance,
    proposal_id: str,
    budget: Decimal,
    *,
    person: str,
    reason: str,
    settings_hash: str,
    now: datetime,
) -> str:
    """Propose another budget by hand, which supersedes the open proposal; returns the new one's id.

    It answers the same decision, runs out when what it replaces would have, and is approved as any other.

    Raises:
        Refused: the proposal is decided, the person may not, the guardrails do not allow the budget, or it
            was rejected before.
    """
    edit = with_budget(governance.open_proposal(proposal_id, now), budget)
    columns = (*LEVER, "type", "decision_id", "track")
    decision = pl.DataFrame(
        {name: [edit[name]] for name in columns}
        | {"advisory": [False], "reason": [reason.strip()]}
        | {
            name: pl.Series([Decimal(edit[name])], dtype=BUDGET)
            for name in ("current_budget", "proposed_budget")
        }
    )
    target = LeverTarget(**json.loads(edit["payload"])["target"])
    outcome = governance.propose(
        decision,
        governance.lever_states(edit["states_hash"]),
        {key_of(edit): target},
        as_of_date=edit["as_of_date"],
        settings_hash=settings_hash,
        now=now,
        proposed_by=person,
    )
    if outcome.left_out:
        raise Refused(outcome.left_out[0])
    for known in outcome.known:
        raise Refused(f"{money(budget)} a day was put before people as {known}, which is not open any more.")
    return outcome.new[0]
