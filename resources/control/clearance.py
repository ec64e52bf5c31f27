"""The last check before a call: that exactly what people approved is sent, and that it may be, still.

Here: everything their approval rested on, again, in the transaction that notes the sending. Not here:
sending (`writer`), what the way back must keep (`change_feed`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from models.guardrails import verify_decisions
from resources.control import change_feed, holds, launch_limits, records
from resources.control.arm_payloads import ARM_TYPES, ArmTarget, arm_payload, read_target
from resources.control.authority import Authority
from resources.control.judging import Judge
from resources.control.launch_limits import LAUNCH
from resources.control.launch_payloads import launch_payload, read_launch
from resources.control.payloads import LeverTarget, LeverValue, Unwritable, edit_payload
from resources.control.records import LeverKey, Record, Refused, Stopped, Withdrawn
from resources.control.signing import canonical, content_hash
from resources.control.store import CHANGES, PROPOSALS


def require_clear(
    connection: sa.Connection, change: Record, now: datetime, *, authority: Authority, judge: Judge
) -> None:
    """All that was checked when people decided, again, about exactly the call that is to be sent.

    A rollback stands on the signature of who undoes, under a call that was approved with what it undoes;
    whoever approved that may have left since.

    Raises:
        Stopped: the kill switch is on, or nobody who may decide signed that it is off; the change waits.
        Withdrawn: it, or what it undoes, was taken back before it was sent.
        Refused: the call is not the one that was approved, the approval does not stand (any more), the
            lever is held for measurement, or a money invariant does not hold on what is in force now.
        MissingKey: a signature cannot be checked.
    """
    killed = records.killed(connection)
    if killed is not None:
        raise Stopped(f"{killed}. `aelp kill off` lets it go on.")
    if not authority.is_released(connection):
        raise Stopped(
            f"No signature that stands in {judge.mode} lets everything go on: `aelp kill off` signs it."
        )
    found = records.proposals(connection, PROPOSALS.c.proposal_id == change["proposal_id"])
    if not found or change["mode"] != judge.mode:
        raise Refused(f"{change['change_id']} comes from no proposal of {judge.mode}.")
    (proposal,) = found
    undone = _undone(connection, change) if change["kind"] == "rollback" else None
    if undone is None and proposal["status"] == "rolled_back":
        raise Withdrawn(f"{change['change_id']} was rolled back before it was sent.")
    _require_same_call(change, proposal)
    if undone is None:
        stands = proposal["status"] == "approved" and authority.is_approved(connection, proposal, now)
    else:
        is_signed = authority.was_signed(connection, proposal) and authority.is_undone(change)
        stands = proposal["status"] == "rolled_back" and is_signed
    if not stands:
        raise Refused(
            f"No approval stands for {change['change_id']}: it ran out, was withdrawn, its signer may not "
            "decide now, or what it signs is not what the store says now."
        )
    if undone is not None:
        change_feed.require_way_back(connection, undone, proposal, judge.limits, judge.arm_limits, now)
        return
    change_feed.require_not_overtaken(connection, change)
    holds.require_not_held(connection, proposal, judge.mode, now)
    records.require(judge.objections(connection, proposal, now))
    if proposal["type"] in ARM_TYPES:
        records.require(judge.violations_of_arm(connection, proposal, None, now))
    else:
        before = LeverValue.read(json.loads(change["before"]))
        states = change_feed.states_in_force(connection, change, before.budget, judge.today(now))
        if proposal["type"] == "stop" and records.overspends(
            judge.states_proposed_on(connection, proposal, now), proposal
        ):  # a later morning is decided without today's spend, and does not take the evidence back
            states = records.with_overspending(states, proposal)
        limits = judge.limits_beside_launches(
            connection, states, proposal["as_of_date"], now, proposal["proposal_id"]
        )
        if proposal["type"] == LAUNCH:
            records.require(launch_limits.violations(proposal, [], states, limits, now))
        else:
            records.require(verify_decisions(records.judged([proposal]), states, limits, now))


def _undone(connection: sa.Connection, rollback: Record) -> Record:
    """The applied change a rollback undoes, which is its own proposal's."""
    here = CHANGES.c.change_id == rollback["undoes"], CHANGES.c.proposal_id == rollback["proposal_id"]
    found = records.changes(connection, *here)
    if found and records.has_begun(found[0]):
        return found[0]  # however far a launch came, what it made is removed
    if found and found[0]["status"] == "withdrawn":
        raise Withdrawn(f"What {rollback['change_id']} undoes was not sent.")
    if not found or found[0]["status"] != "applied":
        raise Refused(f"What {rollback['change_id']} undoes, {rollback['undoes']}, was never applied.")
    return found[0]


def _require_same_call(change: Record, proposal: Record) -> None:
    """What is to be sent is what the proposal says, there or back, rendered anew from its own columns.

    Raises:
        Refused: it is not.
    """
    payload = json.loads(proposal["payload"])
    amounts = {name: Decimal(proposal[name]) for name in ("current_budget", "proposed_budget")}
    try:
        if proposal["type"] == LAUNCH:
            launch = read_launch(payload["launch"])
            lever = records.key_of(launch_limits.as_row(launch))
            rendered = launch_payload(replace(launch, daily_budget=amounts["proposed_budget"]))
        elif isinstance(target := read_target(payload["target"]), ArmTarget):
            lever = _key_of_target(target)
            rendered = arm_payload(target, proposal["type"])
        else:
            lever = _key_of_target(target)
            rendered = edit_payload({**proposal, **amounts}, target)
    except (Unwritable, KeyError, TypeError, ValueError) as fault:
        raise Refused(f"{proposal['proposal_id']} stands for no call: {fault}") from None
    is_back = change["kind"] == "rollback"
    there = ("after", "before", "inverse") if is_back else ("before", "after", "request")
    stored = (change["before"], change["after"], change["request"])
    if (
        canonical(rendered) != canonical(payload)
        or tuple(canonical(rendered[name]) for name in there) != stored
        or content_hash(json.loads(change["request"])) != change["request_hash"]
        or not (records.key_of(change) == records.key_of(proposal) == lever)
    ):
        raise Refused(f"The call of {change['change_id']} is not the one that was proposed; it is not sent.")


def _key_of_target(target: LeverTarget | ArmTarget) -> LeverKey:
    own = target.object_id if isinstance(target, ArmTarget) else target.lever_id
    return target.platform, target.account_id, own
