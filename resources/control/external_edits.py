"""What people change on the platforms themselves: their edits, told apart from ours, withdraw open proposals.

Here: which edits are not ours, and which proposals they overtake. Not here: reading change histories
(`aelp_assets.external_edits`), comparing once more when a change is sent (`writer`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from resources.control import records
from resources.control.arm_payloads import ARM_TYPES
from resources.control.payloads import LeverValue, money
from resources.control.records import OPEN, LeverKey, Record
from resources.control.store import PROPOSALS

# A platform notes a change by its own clock, and perhaps a little after it took the call.
_AROUND_A_CALL = timedelta(minutes=10)
# The words platforms have for a switch; by others it is not told which way it went.
_SWITCHED: Mapping[str, str] = {
    **dict.fromkeys(("active", "enabled", "enable"), "active"),
    **dict.fromkeys(("paused", "inactive", "disabled", "disable"), "paused"),
}


@dataclass(frozen=True)
class ExternalEdit:
    """An edit of a lever, as the platform's change history tells it.

    Attributes:
        before, after: budgets as `payloads.money` writes them, statuses as the platform does; None: not told.
        person: who, as the platform names them.
    """

    lever: LeverKey
    edited_at: datetime
    field: Literal["budget", "status"]
    before: str | None
    after: str | None
    person: str | None

    def words(self) -> str:
        """Who changed what, for a person."""
        who = self.person or "Somebody"
        values = f" from {self.before} to {self.after}" if self.before and self.after else ""
        return f"{who} changed its {self.field}{values} at {self.edited_at.astimezone(UTC):%d %b %H:%M} UTC"


def made_outside(edits: Iterable[ExternalEdit], changes: Sequence[Record]) -> list[ExternalEdit]:
    """The edits that no change of ours made: none of the lever was sent around then with that value.

    Args:
        changes: the change feed, with the calls' moments.
    """
    return [edit for edit in edits if not any(_is(edit, change) for change in changes)]


def _is(edit: ExternalEdit, change: Record) -> bool:
    if records.key_of(change) != edit.lever or change["sent_at"] is None or change["status"] == "refused":
        return False
    sent = datetime.fromtimestamp(change["sent_at"], UTC)
    done = datetime.fromtimestamp(change["finished_at"] or change["sent_at"], UTC)
    if not sent - _AROUND_A_CALL <= edit.edited_at <= done + _AROUND_A_CALL:
        return False
    before, after = (LeverValue.read(json.loads(change[moment])) for moment in ("before", "after"))
    if edit.field == "status":
        return before.status != after.status and _SWITCHED.get(edit.after or "", after.status) == after.status
    return before.budget != after.budget and edit.after in (None, money(after.budget))


def known_in_force(
    snapshot: Mapping[LeverKey, LeverValue], read_at: Mapping[LeverKey, datetime], changes: Sequence[Record]
) -> dict[LeverKey, LeverValue]:
    """Each lever's value: the snapshot's, or what we made of it where that was read before our calls.

    Args:
        snapshot: values of the newest snapshot.
        read_at: when it was read.
        changes: the change feed.
    """
    values = dict(snapshot)
    ours: dict[LeverKey, list[Record]] = {}
    for change in changes:
        lever = records.key_of(change)
        if change["status"] != "applied" or lever not in snapshot:
            continue
        if change["finished_at"] > (read_at[lever] - _AROUND_A_CALL).timestamp():
            ours.setdefault(lever, []).append(change)
    for lever, made in ours.items():
        if snapshot[lever] in [LeverValue.read(json.loads(change["before"])) for change in made]:
            newest = max(made, key=lambda change: change["finished_at"])
            values[lever] = LeverValue.read(json.loads(newest["after"]))
    return values  # any other value in the snapshot is a person's


def withdraw_overtaken(
    engine: sa.Engine,
    edits: Sequence[ExternalEdit],
    in_force: Mapping[LeverKey, LeverValue],
    now: datetime,
) -> dict[str, str]:
    """Withdraw open proposals whose lever was edited since; returns what overtook each, by proposal id.

    A lever was edited where its newest snapshot says another value than the one the proposal starts from, or
    the change history names an edit after the proposal was made. What is approved already is left to the
    writer, which compares again before it sends; so is an arm's switch, which no lever's history tells of.

    Args:
        engine: of `open_control_store`.
        edits: of `made_outside`.
        in_force: each lever's value, of `known_in_force`.
    """
    overtaken: dict[str, str] = {}
    with records.alone(engine) as connection:
        records.expire(connection, now)
        of_levers = PROPOSALS.c.type.not_in(ARM_TYPES)
        for proposal in records.proposals(connection, PROPOSALS.c.status.in_(OPEN), of_levers):
            lever = records.key_of(proposal)
            mine = [edit for edit in edits if edit.lever == lever]
            said = _overtaken_by(proposal, mine, in_force.get(lever))
            if said is not None:
                overtaken[proposal["proposal_id"]] = said
                records.set_status(connection, proposal["proposal_id"], "withdrawn", now, said)
    return overtaken


def _overtaken_by(proposal: Record, edits: Sequence[ExternalEdit], found: LeverValue | None) -> str | None:
    newest = max(edits, key=lambda edit: edit.edited_at, default=None)
    if newest is not None and newest.edited_at.timestamp() > proposal["created_at"]:
        return f"{newest.words()}, after this was proposed."
    before = LeverValue.read(json.loads(proposal["payload"])["before"])
    if found is None or found == before:
        return None
    differs = f"The platform says {_words(found)}, not {_words(before)}"
    return f"{differs}. {newest.words()}." if newest else f"{differs}: it was changed meanwhile."


def _words(value: LeverValue) -> str:
    return f"{money(value.budget)} {value.status}"
