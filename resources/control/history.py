"""Proposals, approvals and changes as they stood at a moment, from their own histories.

Here: reading them, and what a proposal put forward again takes along. Not here: writing a history
(`records.noted`), rows of now (`records`). Nothing is written: what ran out by then reads expired whether or
not anybody has looked since.

A row made by an older version has no history of its first statuses; signatures and calls tell most of it, and
where they do not, or such a proposal was put forward again, the row is refused rather than guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from resources.control import records
from resources.control.arm_payloads import SPLIT_TEST
from resources.control.holds import assignments
from resources.control.records import OPEN, Record, Refused
from resources.control.store import APPROVALS

# Of a proposal without a history: what nothing else says the moment of.
_UNDATED = ("superseded", "withdrawn")
# The status of what a row was before its history begins.
_UNTOLD = "untold"
_SAID = ("decision_id", "track", "reason", "proposed_by", "expires_at")
_Line = Mapping[str, Any]


def proposals_at(connection: sa.Connection, moment: datetime) -> list[Record]:
    """Proposals put before people by `moment`, with the status, words and end they had then.

    Raises:
        Refused: an older version closed one without noting when.
    """
    at = moment.timestamp()
    signed: dict[str, list[Record]] = {}
    for approval in approvals_at(connection, moment):
        signed.setdefault(approval["proposal_id"], []).append(approval)
    made: dict[str, list[Record]] = {}
    for change in records.changes(connection):
        if change["created_at"] <= at:
            made.setdefault(change["proposal_id"], []).append(change)
    found: list[Record] = []
    for row in records.proposals(connection):
        lines = _lines(row)
        known = [line for line in lines if line["at"] <= at]
        if not _is_whole(lines) and row["created_at"] <= at and not known:
            own = row["proposal_id"]
            known = [_told(row, lines, signed.get(own, []), made.get(own, []), moment)]
        put = [line for line in known if line["status"] in ("pending", _UNTOLD)]
        if not known:
            continue
        if known[-1]["status"] == _UNTOLD:
            raise Refused(
                f"Proposal {row['proposal_id']} was put forward by a version that did not note what became "
                f"of it, and again since: nothing says what it was at {_told_in_utc(moment)}."
            )
        then = {**row, **{name: value for name, value in (put[-1] if put else {}).items() if name != "at"}}
        then["created_at"] = put[-1]["at"] if put else row["created_at"]
        then["status"] = known[-1]["status"]
        if then["status"] in OPEN and then["expires_at"] <= at:
            then["status"] = "expired"
        found.append(then)
    return found


def _told(
    row: Record,
    lines: Sequence[_Line],
    signed: Sequence[Record],
    made: Sequence[Record],
    moment: datetime,
) -> _Line:
    """The status of then of a row without a history, as signatures and changes tell it."""
    line = {"at": row["created_at"], "expires_at": row["expires_at"]}
    kinds = {change["kind"] for change in made}
    verdicts = {approval["verdict"] for approval in signed}
    if "rollback" in kinds:
        return line | {"status": "rolled_back"}
    is_a_design = row["type"] == SPLIT_TEST and row["status"] == "approved"
    if "apply" in kinds or (is_a_design and "approve" in verdicts):
        return line | {"status": "approved"}
    if "reject" in verdicts:
        return line | {"status": "rejected"}
    if row["status"] in _UNDATED and not lines and row["expires_at"] > moment.timestamp():
        raise Refused(
            f"Proposal {row['proposal_id']} was {row['status']} by a version that did not note when, so "
            f"nothing says what it was at {_told_in_utc(moment)}."
        )
    if row["status"] in _UNDATED and not lines:
        return line | {"status": row["status"]}
    return line | {"status": "awaiting_second" if verdicts else "pending"}


def history_before(row: Record) -> str:
    """The history that a proposal goes on with when it is put forward again, and its row replaced."""
    if _is_whole(_lines(row)):
        return str(row["history"])
    said = {name: row[name] for name in _SAID}
    return records.noted(_UNTOLD, datetime.fromtimestamp(row["created_at"], UTC), **said) + (
        row["history"] or ""
    )


def approvals_at(connection: sa.Connection, moment: datetime) -> list[Record]:
    """Decisions signed by `moment`, oldest first."""
    by_then = APPROVALS.c.decided_at <= moment.timestamp()
    statement = sa.select(APPROVALS).where(by_then).order_by(APPROVALS.c.sequence)
    return [dict(row) for row in connection.execute(statement).mappings()]


def assignments_at(connection: sa.Connection, moment: datetime) -> list[Record]:
    """Draws of apply or hold made by `moment`."""
    return [row for row in assignments(connection) if row["assigned_at"] <= moment.timestamp()]


def changes_at(connection: sa.Connection, moment: datetime) -> list[Record]:
    """Changes made by `moment` with their calls, newest first, as far as they had got then.

    What an unfinished one waited for is not kept, nor what of a launch was made before it was done: both
    are None.
    """
    at = moment.timestamp()
    found: list[Record] = []
    for row in reversed(records.changes(connection)):
        if row["created_at"] > at:
            continue
        lines = _lines(row)
        if not _is_whole(lines):
            lines = [*_steps(row, before=lines[0]["at"] if lines else None), *lines]
        known = [line for line in lines if line["at"] <= at]
        newest = known[-1]
        who = [line for line in known if "person" in line]
        sent = [line["at"] for line in known if line["status"] == "sending"]
        is_open = newest["status"] in records.UNFINISHED
        found.append(
            {
                **row,
                **({name: who[-1][name] for name in ("person", "reason")} if who else {}),
                "status": newest["status"],
                "message": newest.get("message"),
                "finished_at": None if is_open else newest["at"],
                "outbox_status": _of_the_call(row["mode"], newest["status"]),
                "sent_at": sent[-1] if sent else None,
                "made": None if is_open else row["made"],
            }
        )
    return found


def _of_the_call(mode: str, status: str) -> str:
    if mode == "shadow":
        return "shadow"
    return {"prepared": "queued", "sending": "sending", "applied": "sent"}.get(status, "dropped")


def _steps(row: Record, before: float | None) -> list[_Line]:
    """The steps of a change without a history, as its own moments tell them."""
    ended = row["finished_at"] is not None and row["status"] not in records.UNFINISHED
    end = {"at": row["finished_at"], "status": row["status"], "message": row["message"]}
    if ended and row["finished_at"] == row["created_at"]:
        return [end]
    steps: list[_Line] = [{"at": row["created_at"], "status": "prepared"}]
    if row["sent_at"] is not None:
        steps.append({"at": row["sent_at"], "status": "sending"})
    if ended:
        steps.append(end)
    return [step for step in steps if before is None or step["at"] < before]


def _told_in_utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _lines(row: Record) -> list[_Line]:
    return [json.loads(line) for line in (row["history"] or "").splitlines()]


def _is_whole(lines: Sequence[_Line]) -> bool:
    """Whether a history begins with the row: then its first line says what the row said then."""
    return bool(lines) and ("person" in lines[0] or "reason" in lines[0])
