"""What people see of proposals and changes in a terminal.

Here: printing. Not here: deciding (`resources.control`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from resources.control.arm_payloads import ARM_TYPES, SPLIT_TEST
from resources.control.records import (
    AELP,
    IN_VAIN,
    OPEN,
    UNFINISHED,
    Mode,
    Record,
    lately_withdrawn,
)
from resources.control.writer import Outcome


def print_proposals(
    console: Console,
    proposals: Sequence[Record],
    disturbed: Mapping[str, Sequence[str]],
    zone: datetime,
    *,
    everything: bool,
    killed: str | None,
) -> None:
    """Print what may be decided on, or with `everything` all there ever was.

    Args:
        disturbed: experiments going on that each would disturb, by proposal.
        zone: any moment in the zone times are shown in.
        killed: who stopped everything; None while nothing is stopped.
    """
    if killed is not None:
        console.print(Text.assemble((killed, "bold red"), ". Nothing can be approved until `aelp kill off`."))
    for row in lately_withdrawn(proposals):
        said = f"{row['platform']} · {row['entity_name']}: {_step(row)} was withdrawn. {row['message']}"
        console.print(Text(said, "yellow"), soft_wrap=True)
    shown = [row for row in proposals if everything or row["status"] in OPEN]
    if not shown:
        console.print("Nothing waits for a decision." if proposals else "Nothing has been proposed yet.")
        return
    for row in shown:
        until = datetime.fromtimestamp(row["expires_at"], zone.tzinfo)
        state = (
            f"until {until:%d %b %H:%M}" if row["status"] == "pending" else row["status"].replace("_", " ")
        )
        by = "" if row["proposed_by"] == AELP else f" · by {row['proposed_by']}"
        lever = f"{row['track']} · {row['platform']} · {row['entity_name']}"
        rate = "" if row["type"] in ARM_TYPES else " a day"
        said = f"  {lever}: {_step(row)}{rate}{by} · {state}"
        console.print(Text.assemble((row["proposal_id"], "bold"), said), soft_wrap=True)
        console.print(Padding(row["reason"], (0, 0, 0, 2)))
        for experiment in disturbed.get(row["proposal_id"], ()):
            told = f"An experiment goes on here, and would tell less: {experiment}."
            console.print(Padding(Text(told, "yellow"), (0, 0, 0, 2)))


def print_changes(console: Console, changes: Sequence[Record], zone: datetime) -> None:
    """Print the change feed, newest first."""
    if not changes:
        console.print("Nothing has been changed yet.")
        return
    grid = Grid(
        "change", "when", "lever", "from", "to", "by", "why", "mode", "became", box=None, pad_edge=False
    )
    for row in changes:
        when = datetime.fromtimestamp(row["created_at"], zone.tzinfo)
        grid.add_row(
            row["change_id"] + (f"\nundoes {row['undoes']}" if row["undoes"] else ""),
            f"{when:%d %b %H:%M}",
            f"{row['platform']} · {row['lever_id']}",
            value_text(row["before"]),
            value_text(row["after"]),
            row["person"],
            row["reason"],
            row["mode"],
            _became(row),
        )
    console.print(grid)


def print_outcomes(
    console: Console, outcomes: Sequence[Outcome], changes: Sequence[Record], mode: Mode
) -> None:
    """Print what became of each change that was to be sent."""
    if mode == "shadow":
        console.print("governance.mode is shadow: nothing is ever sent.")
        return
    if not outcomes:
        console.print(f"Nothing is waiting to be sent ({mode}).")
    known = {row["change_id"]: row for row in changes}
    for outcome in outcomes:
        row = known[outcome.change_id]
        step = f"{value_text(row['before'])} → {value_text(row['after'])}"
        said = "" if outcome.message is None else f" · {outcome.message}"
        lever = f"{row['platform']} · {row['lever_id']}"
        told = f"  {lever}: {step} · {outcome.status}{said}"
        console.print(Text.assemble((outcome.change_id, "bold"), told), soft_wrap=True)


def undoing_text(rollback: Record) -> str:
    """What became of undoing a change, for a person: it is undone only where no call waits or failed."""
    if rollback["status"] in UNFINISHED:
        return f"To be undone by {rollback['change_id']}: its call waits to be sent."
    if rollback["status"] in IN_VAIN:
        return (
            f"Not undone: {rollback['change_id']} ended as {rollback['status']}; it can be asked for again."
        )
    return f"Undone by {rollback['change_id']}."


def _became(row: Record) -> str:
    if row["status"] == "held":
        return str(row["message"])
    return str(row["status"]) + (f": {row['message']}" if row["message"] else "")


def _step(row: Record) -> str:
    if row["type"] in ARM_TYPES:
        return f"{row['lever_level']} {arm_step(row)}"
    before, after = Decimal(row["current_budget"]), Decimal(row["proposed_budget"])
    return f"{before:,.2f} → {after:,.2f}" if row["type"] != "stop" else f"{before:,.2f} → stop"


def arm_step(row: Record) -> str:
    """What a proposal about an arm leads to, for a person."""
    payload = json.loads(row["payload"])
    if row["type"] == SPLIT_TEST:
        design = payload["design"]
        against = " against ".join(design["arms"])
        return f"split test of {against}, {design['days']} days on {design['metric'].upper()}, set up by hand"
    return f"{payload['before']['status']} → {payload['after']['status']}"


def value_text(document: str) -> str:
    """A lever's or arm's value as stored in a change, for a person."""
    value = json.loads(document)
    if "budget" not in value:
        return str(value["status"])
    return f"{Decimal(value['budget']):,.2f}" + (" paused" if value["status"] == "paused" else "")
