"""What a proposal about an arm rests on: the evidence kept with it, who decided, and what became of it.

Here: gathering it from the control store, and saying it on one screen. Not here: decisions about levers
(`explanation`), which are followed back to raw rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from aelp_assets.decision_records import Named
from aelp_assets.decision_report import arm_step, value_text
from resources.control.arm_payloads import ARM_TYPES
from resources.control.governance import Governance


def is_arm(named: Named) -> bool:
    """Whether an id names a proposal about an arm, or a change made of one."""
    return bool(named.proposals) and named.proposals[0]["type"] in ARM_TYPES


def explain_arm(governance: Governance, named: Named, asked: str) -> dict[str, Any]:
    """Everything kept about a proposal of an arm, as a document.

    Returns:
        asked, kind, arm (its evidence as it was judged; None: it was changed since), proposals, approvals,
        changes.
    """
    ids = {row["proposal_id"] for row in named.proposals}
    return {
        "asked": asked,
        "kind": named.kind,
        "arm": governance.arm_evidence(named.proposals[0]),
        "proposals": [{**row, "payload": json.loads(row["payload"])} for row in named.proposals],
        "approvals": [
            {name: value for name, value in row.items() if name != "signature"}
            for row in governance.approvals()
            if row["proposal_id"] in ids
        ],
        "changes": list(named.changes),
    }


def arm_lines(explanation: Mapping[str, Any], zone: tzinfo) -> list[str]:
    """The same on one screen, the newest step first.

    Args:
        zone: times are shown in.
    """

    def moment(seconds: float) -> str:
        return f"{datetime.fromtimestamp(seconds, UTC).astimezone(zone):%Y-%m-%d %H:%M}"

    lines = []
    for row in explanation["changes"]:
        head = "Change" if row["kind"] == "apply" else "Rollback"
        step = f"{value_text(row['before'])} to {value_text(row['after'])}"
        sent = f", sent {moment(row['sent_at'])}" if row["sent_at"] else ", not sent"
        said = f": {row['message']}" if row["message"] else ""
        about = f"{head} {row['change_id']} ({row['mode']}): {step}"
        lines.append(f"{about}, {row['status']}{sent}, by {row['person']}{said}")
    for row in explanation["approvals"]:
        word = "Approved" if row["verdict"] == "approve" else "Rejected"
        lines.append(f"{word} by {row['approver']} {moment(row['decided_at'])}: {row['reason']}")
    for row in explanation["proposals"]:
        step = arm_step({**row, "payload": json.dumps(row["payload"])})
        target = row["payload"]["target"]
        lines += [
            f"Proposal {row['proposal_id']} of {row['as_of_date']}: {row['type']}, {step}, {row['status']}",
            f"  {row['platform']} · {row['account_id']} · {row['lever_id']} of {target['lever_id']} · "
            f"{row['track']}",
            f"  why: {row['reason']}",
        ]
    arm = explanation["arm"]
    if arm is None:
        return [*lines, "Not to be told: the evidence kept with it was changed since."]
    lines.append(
        f"Evidence: {arm['spend']:,.2f} of matured spend in {arm['window_days']} days, "
        f"{arm['reward_mean']:,.1f} expected incremental conversions, P(CAC > cap) "
        f"{arm['p_cac_above_cap']:.1%}, P(best of its lever) {arm['p_best']:.1%}"
    )
    if arm["p_ctr_below"] is not None:
        lines.append(f"  click test: P(CTR below the line) {arm['p_ctr_below']:.1%}")
    lines.append(
        f"  its whole morning: arm_decisions, as_of_date {explanation['proposals'][0]['as_of_date']}"
    )
    return lines
