"""The change feed: each change with its value before and after, its call in the outbox, and its way back.

Here: entering changes, undoing them newest first, what became of them. Not here: who may (`authority`),
sending the calls (`writer`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import polars as pl
import sqlalchemy as sa

from models.guardrails import GuardrailLimits, verify_decisions
from resources.control import arm_rules, launch_reserves, records
from resources.control.arm_payloads import SWITCHES, ArmTarget
from resources.control.arm_rules import ArmLimits
from resources.control.records import LEVER, LeverKey, Mode, Record, Refused
from resources.control.signing import canonical, content_hash
from resources.control.store import CHANGES, OUTBOX, PROPOSALS, storable

# What a way back must still obey when it raises spend; steps, learning and the 72 hours it is exempt from.
_BINDING_ON_ROLLBACKS = ("kill", "cap", "real_lever", "safety_stop", "known_track", "seasonal_freeze")
_OVERTAKING = ("stop", "cut", "pause")
STATES_LAST = timedelta(days=16)
"""No lever's state is older than that: `aelp_assets.bandits.SNAPSHOT_DAYS`, and a day for time zones."""
_DATED_LATE = timedelta(days=2).total_seconds()
"""An edit seen between two snapshots is dated by the end of its day, which may be a day and a half later."""


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
    held: str | None = None,
    sign: Callable[[Record], str] | None = None,
) -> str:
    """Enter a change and put its call into the outbox, where shadow leaves it; returns the change's id.

    Args:
        held: why its call is never sent although people approved it.
        sign: `Authority.sign_rollback`, of a rollback.
    """
    change_id = change_id_of(proposal, kind)
    in_shadow = mode == "shadow"
    status = "held" if held else "shadow" if in_shadow else "prepared"
    common = {"change_id": change_id, "proposal_id": proposal["proposal_id"], "mode": mode}
    said = {"undoes": undoes, "person": person, "reason": reason.strip()}
    request_hash = content_hash(payload["request"])
    signature = None if sign is None else sign({**common, **said, "request_hash": request_hash})
    connection.execute(
        sa.insert(CHANGES).values(
            **common,
            **said,
            kind=kind,
            **{name: proposal[name] for name in LEVER},
            before=canonical(payload["before"]),
            after=canonical(payload["after"]),
            status=status,
            message=held,
            created_at=now.timestamp(),
            finished_at=None if status == "prepared" else now.timestamp(),
            history=records.noted(status, now, message=held, person=person, reason=reason.strip()),
            signature=signature,
        )
    )
    connection.execute(
        sa.insert(OUTBOX).values(
            **common,
            request=canonical(payload["request"]),
            request_hash=request_hash,
            status="shadow" if in_shadow else "dropped" if held else "queued",
            created_at=now.timestamp(),
        )
    )
    return change_id


def change_id_of(proposal: Record, kind: Literal["apply", "rollback"]) -> str:
    """What a proposal's change, or its way back, is called."""
    return records.short_hash(f"{proposal['proposal_id']}|{kind}")


def roll_back(
    connection: sa.Connection,
    change_id: str,
    *,
    cascade: bool,
    limits: GuardrailLimits,
    arm_limits: ArmLimits,
    mode: Mode,
    person: str,
    reason: str,
    now: datetime,
    sign: Callable[[Record], str],
) -> list[str]:
    """Undo a change by its exact inverse, and with `cascade` the lever's later changes before it.

    A change that is undone already stays so: its rollback is named again, and prepared again where it failed.
    What was not sent yet is taken back, and so is its rollback. An inverse has the mode of what it undoes.

    Raises:
        Refused: there is no such change, it never took place, it was sent in another mode, a later one stands
            in the way, or the lever would spend more against a cap or the stop rule (an arm: as `arm_rules`
            says).
        MissingKey: of `sign`.
    """
    change = _one_change(connection, change_id)
    if change["status"] == "held":
        raise Refused(f"{change['change_id']} was never sent ({change['message']}): nothing is to be undone.")
    if change["status"] in records.IN_VAIN and not records.has_begun(change):
        raise Refused(f"{change['change_id']} never took place ({change['status']}: {change['message']}).")
    same_lever = [CHANGES.c[name] == change[name] for name in LEVER]
    later = records.changes(connection, *same_lever, CHANGES.c.sequence > change["sequence"])
    rollbacks = {row["undoes"]: row for row in later if row["kind"] == "rollback"}
    undone = {named for named, rollback in rollbacks.items() if rollback["status"] not in records.IN_VAIN}
    if change["change_id"] in undone:
        return [rollbacks[change["change_id"]]["change_id"]]
    standing = [
        row
        for row in later
        if row["kind"] == "apply" and row["change_id"] not in undone and row["status"] not in records.FAILED
    ]
    if standing and not cascade:
        names = ", ".join(row["change_id"] for row in standing)
        raise Refused(f"{change['change_id']} was followed by {names}: undo these first, or use --cascade.")
    undoing = []
    for row in [*reversed(standing), change]:
        if row["status"] not in ("prepared", "shadow") and row["mode"] != mode:
            raise Refused(
                f"{row['change_id']} was sent in mode {row['mode']}, and in mode {mode} nothing reaches it: "
                f"set governance.mode to {row['mode']} first."
            )
        (proposal,) = records.proposals(connection, PROPOSALS.c.proposal_id == row["proposal_id"])
        require_way_back(connection, row, proposal, limits, arm_limits, now)
        records.set_status(connection, proposal["proposal_id"], "rolled_back", now)
        if row["change_id"] in rollbacks:
            _prepare_again(connection, rollbacks[row["change_id"]], person, reason, now, sign)
            undoing.append(rollbacks[row["change_id"]]["change_id"])
            continue
        if row["status"] == "prepared":
            settle(connection, row["change_id"], "withdrawn", f"{person}: {reason.strip()}", now)
        payload = json.loads(proposal["payload"])
        inverse = {"before": payload["after"], "after": payload["before"], "request": payload["inverse"]}
        undoing.append(
            enter(
                connection,
                proposal,
                inverse,
                kind="rollback",
                undoes=row["change_id"],
                mode=row["mode"],
                person=person,
                reason=reason,
                now=now,
                sign=sign,
            )
        )
        if row["status"] == "prepared":
            settle(connection, undoing[-1], "withdrawn", "what it undoes had not been sent", now)
    return undoing


def overtake(connection: sa.Connection, proposal: Record, mode: Mode, now: datetime) -> None:
    """End a lever's edits that are not sent yet where a stop, cut or pause of it was signed after them.

    Both start from the value in force: sent first, a raise would go out where people have just signed a
    stop, and make the stop a conflict.
    """
    if proposal["type"] not in _OVERTAKING:
        return
    unsent = CHANGES.c.mode == mode, CHANGES.c.kind == "apply", CHANGES.c.status == "prepared"
    for row in records.changes(connection, *(CHANGES.c[name] == proposal[name] for name in LEVER), *unsent):
        settle(connection, row["change_id"], "blocked", f"overtaken by {proposal['proposal_id']}", now)


def require_not_overtaken(connection: sa.Connection, change: Record) -> None:
    """No edit goes out before a stop, cut or pause of its lever that was signed after it.

    One whose call was begun and did not arrive is not ended by `overtake`: it may have been on its way.

    Raises:
        Refused: one was.
    """
    later = CHANGES.c.sequence > change["sequence"], CHANGES.c.mode == change["mode"]
    here = *(CHANGES.c[name] == change[name] for name in LEVER), CHANGES.c.status.in_(records.UNFINISHED)
    for row in records.changes(connection, *here, *later, CHANGES.c.kind == "apply"):
        (proposal,) = records.proposals(connection, PROPOSALS.c.proposal_id == row["proposal_id"])
        if proposal["type"] in _OVERTAKING:
            raise Refused(f"overtaken by {proposal['proposal_id']}")


def settle(
    connection: sa.Connection, change_id: str, status: str, message: str | None, now: datetime
) -> None:
    """Say what finally became of a change and of its call."""
    said = message and storable(message)
    finished: dict[str, Any] = {"status": status, "message": said, "finished_at": now.timestamp()}
    finished["history"] = records.and_noted(CHANGES, status, now, message=said)
    connection.execute(sa.update(CHANGES).where(CHANGES.c.change_id == change_id).values(**finished))
    call = sa.update(OUTBOX).where(OUTBOX.c.change_id == change_id)
    connection.execute(call.values(status="sent" if status == "applied" else "dropped"))


def note_sending(connection: sa.Connection, change_id: str, now: datetime) -> None:
    """Say, before it is done, that a change's call goes out: from then on only the platform knows."""
    here = CHANGES.c.change_id == change_id
    noted = records.and_noted(CHANGES, "sending", now)
    connection.execute(sa.update(CHANGES).where(here).values(status="sending", message=None, history=noted))
    call = sa.update(OUTBOX).where(OUTBOX.c.change_id == change_id)
    connection.execute(call.values(status="sending", sent_at=now.timestamp()))


def note_waiting(connection: sa.Connection, change_id: str, message: str) -> None:
    """Say why an unfinished change is not done yet."""
    here = CHANGES.c.change_id == change_id
    connection.execute(sa.update(CHANGES).where(here).values(message=storable(message)))


def _prepare_again(
    connection: sa.Connection,
    rollback: Record,
    person: str,
    reason: str,
    now: datetime,
    sign: Callable[[Record], str],
) -> None:
    """Enter a rollback that failed anew, behind all that was entered since: calls go out in their order."""
    who = {"person": person, "reason": reason.strip()}
    again = {
        "status": "prepared",
        "message": None,
        "finished_at": None,
        "signature": sign({**rollback, **who}),
        "history": (rollback["history"] or "") + records.noted("prepared", now, **who),
    }
    kept = {column.name: rollback[column.name] for column in CHANGES.c if column.name != "sequence"}
    connection.execute(sa.delete(CHANGES).where(CHANGES.c.change_id == rollback["change_id"]))
    connection.execute(sa.insert(CHANGES).values({**kept, **who, **again}))
    call = sa.update(OUTBOX).where(OUTBOX.c.change_id == rollback["change_id"])
    connection.execute(call.values(status="queued", sent_at=None))


def _one_change(connection: sa.Connection, change_id: str) -> Record:
    named = CHANGES.c.change_id.startswith(change_id, autoescape=True)
    found = records.changes(connection, named, CHANGES.c.kind == "apply")
    if len(found) != 1 or not change_id:
        raise Refused(f"{change_id!r} does not name one change; `aelp changes` lists them.")
    return found[0]


def require_way_back(
    connection: sa.Connection,
    change: Record,
    proposal: Record,
    limits: GuardrailLimits,
    arm_limits: ArmLimits,
    now: datetime,
) -> None:
    """A change may be undone on what is known now: room for a lever that spends more, an arm's own rules.

    Raises:
        Refused: it may not.
    """
    if proposal["type"] in SWITCHES:
        if change["status"] == "prepared":
            return  # not sent: the arm stays as it is
        target = ArmTarget(**json.loads(proposal["payload"])["target"])
        known = arm_rules.known_under(connection, None, target, change["mode"], limits, now)
        status = json.loads(change["before"])["status"]
        records.require(arm_rules.way_back_violations(target, status, known, limits, arm_limits, now))
    elif records.spends(change["before"]) > records.spends(change["after"]):
        require_room(connection, change, limits, now)


def require_room(connection: sa.Connection, change: Record, limits: GuardrailLimits, now: datetime) -> None:
    """Caps and stop rule allow the lever what it had before, on what is known of all levers now.

    Raises:
        Refused: they do not.
    """
    # Judged as if it ran: a paused lever breaks no rule until it is switched on again.
    today = now.astimezone(limits.timezone).date()
    states = states_in_force(connection, change, records.spends(change["after"]), today)
    back = {
        **{name: change[name] for name in LEVER},
        "type": "raise",
        "current_budget": records.spends(change["after"]),
        "proposed_budget": records.spends(change["before"]),
    }
    morning, _ = records.newest_states(connection)
    held = launch_reserves.reserved(connection, change["mode"], morning, launch_reserves.running(states), now)
    found = verify_decisions(records.judged([back]), states, replace(limits, reserved=held), now)
    records.require([violation for violation in found if violation.rule in _BINDING_ON_ROLLBACKS])


def states_in_force(connection: sa.Connection, lever: Record, budget: Decimal, today: date) -> pl.DataFrame:
    """The newest lever states, with this lever running at `budget` and the others at their worst.

    Of another lever the largest counts: what its state says, what we last applied unless its state tells of
    that already, what is still to be sent. Our own last edit of this lever counts for its 72 hours, whether
    or not the platform has told of it.
    """
    morning, states = records.newest_states(connection)
    states = records.on_its_day(states, morning, today)
    # The earliest a day begins anywhere.
    began = datetime.combine(morning, time(), UTC) - timedelta(hours=14)
    oldest = (began - STATES_LAST).timestamp()
    recent = CHANGES.c.finished_at.is_(None) | (CHANGES.c.finished_at >= oldest)
    applied: dict[LeverKey, list[Record]] = {}
    unfinished: dict[LeverKey, list[Decimal]] = {}
    for row in records.changes(connection, recent):
        if row["status"] == "applied":
            applied.setdefault(records.key_of(row), []).append(row)
        elif row["status"] in records.UNFINISHED:
            unfinished.setdefault(records.key_of(row), []).append(records.spends(row["after"]))
    own = records.key_of(lever)
    rows = []
    for state in states.iter_rows(named=True):
        key = records.key_of(state)
        ours = _applied_since(state, applied.get(key, []), began)
        counted = budget if key == own else max([ours, *unfinished.get(key, [])])
        known = Decimal(0) if key == own else _known_spend(state)
        if key == own:
            edits = [state["last_edited_at"], records.last_edit(connection, lever)]
            state = state | {"last_edited_at": max((at for at in edits if at is not None), default=None)}
        if key == own or (known is not None and counted > known):
            state = state | {"current_budget": counted, "status": "active"}
        rows.append(state)
    return pl.DataFrame(rows, schema=states.schema, orient="row")


def _known_spend(state: Record) -> Decimal | None:
    return Decimal(0) if state["status"] == "paused" else state["current_budget"]


def _applied_since(state: Record, made: Sequence[Record], began: datetime) -> Decimal:
    """What our last call made a lever spend, where its state does not tell of that yet; else 0.

    A state may be older than its morning: of an account that cannot be read, of yesterday before nine. So our
    call counts, too, where the state says what one of our calls started from. Not where it tells of an edit
    long after the last of them: then it was read since. Whoever sets the old value again on a platform that
    tells of no edits counts at ours: that holds raises up, and lets none pass.
    """
    if not made:
        return Decimal(0)
    newest = max(made, key=lambda change: change["finished_at"])
    edited = state["last_edited_at"]
    if edited is not None and edited.timestamp() > newest["finished_at"] + _DATED_LATE:
        return Decimal(0)
    is_of_today = newest["finished_at"] >= began.timestamp()
    is_older = _known_spend(state) in [records.spends(change["before"]) for change in made]
    return records.spends(newest["after"]) if is_of_today or is_older else Decimal(0)
