"""Who may decide about money, what they have signed, and whether it stands.

Here: approvers, their limits, their signatures under proposals. Not here: keys (`signing`), the steps a
proposal passes through (`governance`), the guardrails (`judging`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from resources.control import records
from resources.control.payloads import money
from resources.control.records import Mode, Record, Refused, Verdict
from resources.control.signing import ApproverKeys, MissingKey, canonical, content_hash
from resources.control.store import APPROVALS, PROPOSALS


@dataclass(frozen=True)
class Approver:
    """A person who may decide.

    Attributes:
        daily_limit: dollars of daily budget they may add alone on one morning's proposals; None: any. Beyond
            it a second approver signs too. Cuts and stops add nothing.
        simulated: stands for a person in the sandbox, and is refused anywhere else.
    """

    name: str
    daily_limit: Decimal | None = None
    simulated: bool = False


@dataclass(frozen=True)
class Authority:
    """The people who may decide in one mode.

    Attributes:
        approvers: by name; nobody else may decide.
        keys: the approvers' keys, as far as this process may sign or check.
        mode: what approved changes lead to.
        valid_for: how long an approval may be used.
    """

    approvers: Mapping[str, Approver]
    keys: ApproverKeys
    mode: Mode
    valid_for: timedelta

    def person(self, approver: str, reason: str) -> Approver:
        """The approver of a name, about to decide for a reason.

        Raises:
            Refused: nobody of that name may decide here, or the reason is empty.
        """
        person = self.approvers.get(approver)
        if person is None:
            known = ", ".join(sorted(self.approvers)) or "nobody yet"
            raise Refused(f"{approver} may not decide; the settings' `approvers` name {known}.")
        if person.simulated and self.mode != "sandbox":
            raise Refused(f"{approver} stands for a person in the sandbox only; this is {self.mode}.")
        if not reason.strip():
            raise Refused("A decision needs a reason: those who come later read it.")
        return person

    def sign(
        self,
        connection: sa.Connection,
        proposal: Record,
        verdict: Verdict,
        approver: str,
        reason: str,
        now: datetime,
    ) -> None:
        """Store a verdict under a proposal, signed with the approver's key.

        Raises:
            MissingKey: the approver's key is not there.
        """
        row = {
            "proposal_id": proposal["proposal_id"],
            "verdict": verdict,
            "approver": approver,
            "amount": money(_added(proposal)),
            "reason": reason.strip(),
            "decided_at": now.timestamp(),
            "expires_at": (now + self.valid_for).timestamp(),
        }
        document = self._document(row, proposal["payload_hash"])
        connection.execute(
            sa.insert(APPROVALS).values(
                approval_id=records.short_hash(canonical(document)),
                payload_hash=proposal["payload_hash"],
                signature=self.keys.sign(approver, document),
                **row,
            )
        )

    def is_approved(self, connection: sa.Connection, proposal: Record, now: datetime) -> bool:
        """Whether enough people signed exactly what the proposal says, with signatures that verify and stand.

        Raises:
            MissingKey: a signature cannot be checked.
        """
        if content_hash(json.loads(proposal["payload"])) != proposal["payload_hash"]:
            return False
        standing = [
            row for row in self.unexpired(connection, proposal, now) if self._is_signed(row, proposal)
        ]
        alone = any(
            self.is_within_limit(connection, self.approvers[row["approver"]], proposal, row)
            for row in standing
        )
        return len({row["approver"] for row in standing}) >= (1 if alone else 2)

    def unexpired(self, connection: sa.Connection, proposal: Record, now: datetime) -> list[Record]:
        """Approvals by people who may decide, since the proposal was last put forward, oldest first.

        As far as it can be told without their keys: `is_approved` checks the signatures, too.
        """
        return [
            row
            for row in records.approvals(connection, proposal["proposal_id"], "approve")
            if self._may_decide(row["approver"])
            # The same edit, put forward again, rests on other evidence than who signed it before has seen.
            and row["decided_at"] >= proposal["created_at"]
            and row["expires_at"] > now.timestamp()
        ]

    def was_signed(self, connection: sa.Connection, proposal: Record) -> bool:
        """Whether somebody once approved exactly what the proposal says, though they may decide no longer.

        Raises:
            MissingKey: a signature cannot be checked.
        """
        if content_hash(json.loads(proposal["payload"])) != proposal["payload_hash"]:
            return False
        missing: MissingKey | None = None
        for row in records.approvals(connection, proposal["proposal_id"], "approve"):
            try:
                if self._is_signed(row, proposal):
                    return True
            except MissingKey as without:  # of one who left; another's signature says as much
                missing = without
        if missing is not None:
            raise missing
        return False

    def _may_decide(self, name: str) -> bool:
        person = self.approvers.get(name)
        return person is not None and (self.mode == "sandbox" or not person.simulated)

    def _is_signed(self, approval: Record, proposal: Record) -> bool:
        return Decimal(approval["amount"]) == _added(proposal) and self.keys.is_signed(
            approval["approver"], self._document(approval, proposal["payload_hash"]), approval["signature"]
        )

    # --- the way back and the kill switch -----------------------------------------------------------

    def sign_rollback(self, rollback: Record) -> str:
        """The signature of the person who undoes a change under the call that does.

        Raises:
            MissingKey: the person's key is not there.
        """
        return self.keys.sign(rollback["person"], self._rollback(rollback))

    def is_undone(self, rollback: Record) -> bool:
        """Whether somebody who may decide signed the call that undoes a change.

        Raises:
            MissingKey: the signature cannot be checked.
        """
        return (
            rollback["signature"] is not None
            and self._may_decide(rollback["person"])
            and self.keys.is_signed(rollback["person"], self._rollback(rollback), rollback["signature"])
        )

    def _rollback(self, rollback: Record) -> dict[str, Any]:
        names = ("change_id", "undoes", "request_hash", "person", "reason")
        return {name: rollback[name] for name in names} | {"verdict": "roll back", "mode": self.mode}

    def sign_release(self, release: Record) -> str:
        """The signature of the person who lets everything go on.

        Raises:
            MissingKey: the person's key is not there.
        """
        return self.keys.sign(release["person"], self._released(release))

    def is_released(self, connection: sa.Connection) -> bool:
        """Whether nothing was ever stopped, or somebody who may decide signed that it goes on, after it was
        stopped last.

        Raises:
            MissingKey: the signature cannot be checked.
        """
        row, stopped_at = records.release(connection)
        if row is None:
            return True
        return (
            not row["is_on"]
            and row["at"] >= stopped_at
            and row["signature"] is not None
            and self._may_decide(row["person"])
            and self.keys.is_signed(row["person"], self._released(row), row["signature"])
        )

    def _released(self, release: Record) -> dict[str, Any]:
        names = ("person", "reason", "at")
        return {name: release[name] for name in names} | {"verdict": "let it go on", "mode": self.mode}

    def is_within_limit(
        self, connection: sa.Connection, person: Approver, proposal: Record, signed: Record
    ) -> bool:
        """Whether all this person had signed for that morning, up to this, stays within their limit."""
        if person.daily_limit is None or not Decimal(signed["amount"]):
            return True  # a stop waits for nobody, whatever was raised before it
        up_to_this = APPROVALS.c.sequence <= signed["sequence"]
        return signed_for(connection, person, proposal["as_of_date"], up_to_this) <= person.daily_limit

    def _document(self, approval: Record, payload_hash: str) -> dict[str, Any]:
        """What a signature stands under: the mode too, so that a sandbox approval opens nothing live."""
        names = ("proposal_id", "verdict", "approver", "amount", "reason", "decided_at", "expires_at")
        return {name: approval[name] for name in names} | {"payload_hash": payload_hash, "mode": self.mode}


def signed_for(
    connection: sa.Connection, person: Approver, as_of_date: date, *where: sa.ColumnElement[bool]
) -> Decimal:
    """Dollars a day a person's signatures under a morning's proposals add."""
    this_morning = sa.select(PROPOSALS.c.proposal_id).where(PROPOSALS.c.as_of_date == as_of_date)
    amounts = sa.select(APPROVALS.c.amount).where(
        APPROVALS.c.approver == person.name,
        APPROVALS.c.verdict == "approve",
        APPROVALS.c.proposal_id.in_(this_morning),
        *where,
    )
    return sum(map(Decimal, connection.execute(amounts).scalars()), Decimal(0))


def _added(proposal: Record) -> Decimal:
    """Dollars a day a proposal adds."""
    return max(Decimal(0), Decimal(proposal["proposed_budget"]) - Decimal(proposal["current_budget"]))
