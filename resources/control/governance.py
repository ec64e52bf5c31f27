"""The states a proposal passes through, from being put before people to its change in the feed.

Here: the one door to all that is decided about money, each step one transaction that all other steps wait
for; the kill switch. Not here: what to propose (`models`), which of it is put before people (`proposals`),
who may decide (`authority`), what the guardrails say (`judging`), the last check before a call (`clearance`),
changes and their way back (`change_feed`), sending (`writer`).

A proposal is pending, perhaps awaiting a second approver, then approved, rejected, superseded, expired or
(where its lever was edited on the platform) withdrawn; an approved one may be rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import sqlalchemy as sa

from models.guardrails import GuardrailLimits, Violation
from resources.control import arm_rules, change_feed, clearance, holds, records
from resources.control.arm_payloads import SPLIT_TEST
from resources.control.arm_rules import ArmLimits
from resources.control.authority import Approver, Authority, signed_for
from resources.control.holds import HoldRule
from resources.control.judging import Judge
from resources.control.launch_payloads import Launch
from resources.control.payloads import LeverTarget
from resources.control.proposals import Proposed, Proposer
from resources.control.records import AELP, OPEN, LeverKey, Mode, Record, Refused
from resources.control.signing import ApproverKeys
from resources.control.store import APPROVALS, CHANGES, KILL_SWITCH, PROPOSALS


class Governance:
    """Decisions about money in one control store.

    Args:
        engine: of `open_control_store`.
        approvers: nobody else may decide.
        limits: the guardrails in force now.
        keys: the approvers' keys, as far as this process may sign or check.
        mode: what approved changes lead to. `shadow` sends nothing, ever.
        valid_for: how long a proposal may be decided on, and its approval used.
        hold: which approved raises are held for measurement; by default none.
        arm_limits: when arms without a budget of their own may be switched, beside the guardrails.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        approvers: Sequence[Approver],
        limits: GuardrailLimits,
        keys: ApproverKeys,
        mode: Mode = "shadow",
        valid_for: timedelta = timedelta(hours=24),
        hold: HoldRule = HoldRule(),  # noqa: B008 - frozen
        arm_limits: ArmLimits = ArmLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._engine = engine
        self._mode = mode
        self._hold = hold
        self._judge = Judge(limits, arm_limits, mode)
        known = {approver.name: approver for approver in approvers}
        self._authority = Authority(known, keys, mode, valid_for)
        self._proposer = Proposer(self._judge, self._authority)

    @property
    def mode(self) -> Mode:
        """What approved changes lead to."""
        return self._mode

    @property
    def hold(self) -> HoldRule:
        """Which approved raises are held for measurement."""
        return self._hold

    # --- proposing --------------------------------------------------------------------------------

    def propose(
        self,
        decisions: pl.DataFrame,
        states: pl.DataFrame,
        targets: Mapping[LeverKey, LeverTarget],
        *,
        as_of_date: date,
        settings_hash: str,
        now: datetime,
        proposed_by: str = AELP,
    ) -> Proposed:
        """Put a morning's edits before people: one proposal per lever and day, the newest counts.

        A lever that was already decided on that morning keeps that decision, and what a person proposed
        in the place of a decision stands against that same decision. The same decisions proposed again
        change nothing; what is open for a lever that is now held is superseded.

        Args:
            decisions: rows of `bandit_decisions`, or made by hand in its columns.
            states: `STATE_SCHEMA`, all levers of that morning.
            targets: the entities that can be written.
            proposed_by: an approver who proposes by hand, with a reason; by default the morning's run.
        Raises:
            Refused: an edit breaks a money invariant, alone or with what is approved, or this person may
                not propose.
        """
        with records.alone(self._engine) as connection:
            records.expire(connection, now)
            return self._proposer.edits(
                connection,
                decisions,
                states,
                targets,
                as_of_date=as_of_date,
                settings_hash=settings_hash,
                now=now,
                proposed_by=proposed_by,
            )

    def propose_launches(
        self,
        launches: Sequence[Launch],
        states: pl.DataFrame,
        *,
        as_of_date: date,
        settings_hash: str,
        now: datetime,
    ) -> Proposed:
        """Put a morning's launches before people, each by itself; the newest plan counts.

        Open launches that the plan no longer has are superseded. A creative that was launched before and
        still stands on the platform is not launched again.

        Args:
            launches: of that morning's plan, none of them advisory.
            states: `STATE_SCHEMA`, all levers of that morning.
        """
        with records.alone(self._engine) as connection:
            records.expire(connection, now)
            return self._proposer.launches(
                connection, launches, states, as_of_date=as_of_date, settings_hash=settings_hash, now=now
            )

    def propose_arms(
        self, arms: pl.DataFrame, *, as_of_date: date, settings_hash: str, now: datetime
    ) -> Proposed:
        """Put a morning's switches and split tests of arms before people, each by itself; the newest counts.

        Args:
            arms: `EVIDENCE_SCHEMA`, all arms of that morning; what is open for those that hold is superseded.
        """
        with records.alone(self._engine) as connection:
            records.expire(connection, now)
            return self._proposer.arms(
                connection, arms, as_of_date=as_of_date, settings_hash=settings_hash, now=now
            )

    # --- deciding ---------------------------------------------------------------------------------

    def approve(self, proposal_id: str, approver: str, reason: str, now: datetime) -> str:
        """Sign a proposal; returns its status: approved, or awaiting_second.

        Once enough people have signed, the change enters the change feed and its call the outbox. A raise may
        be drawn to be held then: its call is never sent, and the lever keeps its budget for some days. A
        split test has no call: its approval is the record of its design, and a person sets it up.

        Args:
            proposal_id: whole, or as many first characters as tell it apart.
        Raises:
            Refused: the kill switch is on, it may not be decided on any more, this person may not decide it,
                or a money invariant does not hold any more.
            MissingKey: the approver's key is not there.
        """
        with records.alone(self._engine) as connection:
            self._require_alive(connection)
            proposal = self._decidable(connection, proposal_id, now)
            person = self._authority.person(approver, reason)
            if now.timestamp() < proposal["created_at"]:
                raise Refused(
                    f"The clock here is behind: {proposal['proposal_id']} was put forward later than now, "
                    "and a signature from before that would not count. Set the clock."
                )
            signed = {row["approver"] for row in self._authority.unexpired(connection, proposal, now)}
            if approver in signed:
                raise Refused(f"{approver} has signed {proposal['proposal_id']}; a second person must.")
            holds.require_not_held(connection, proposal, self._mode, now)
            records.require(self._judge.objections(connection, proposal, now))
            self._authority.sign(connection, proposal, "approve", approver, reason, now)
            (*_, own) = records.approvals(connection, proposal["proposal_id"], "approve")
            alone = self._authority.is_within_limit(connection, person, proposal, own)
            status = "approved" if alone or signed else "awaiting_second"
            records.set_status(connection, proposal["proposal_id"], status, now)
            if status == "approved" and proposal["type"] != SPLIT_TEST:
                change_feed.overtake(connection, proposal, self._mode, now)
                change_feed.enter(
                    connection,
                    proposal,
                    json.loads(proposal["payload"]),
                    kind="apply",
                    mode=self._mode,
                    person=approver,
                    reason=reason,
                    now=now,
                    held=holds.assign(connection, proposal, self._hold, self._mode, now),
                )
        return status

    def reject(self, proposal_id: str, approver: str, reason: str, now: datetime) -> None:
        """Sign that a proposal is not to be.

        Raises:
            Refused, MissingKey: as `approve`; a rejection needs no limit and no guardrail.
        """
        with records.alone(self._engine) as connection:
            proposal = self._decidable(connection, proposal_id, now)
            self._authority.person(approver, reason)
            self._authority.sign(connection, proposal, "reject", approver, reason, now)
            records.set_status(connection, proposal["proposal_id"], "rejected", now)

    def is_approved(self, proposal_id: str, now: datetime) -> bool:
        """Whether enough people signed exactly what the proposal says, with signatures that verify and stand.

        Raises:
            MissingKey: a signature cannot be checked.
        """
        with self._engine.begin() as connection:
            (proposal,) = records.proposals(connection, PROPOSALS.c.proposal_id == proposal_id)
            return self._authority.is_approved(connection, proposal, now)

    def _decidable(self, connection: sa.Connection, proposal_id: str, now: datetime) -> Record:
        records.expire(connection, now)
        named = PROPOSALS.c.proposal_id.startswith(proposal_id, autoescape=True)
        found = records.proposals(connection, named)
        if len(found) != 1 or not proposal_id:
            raise Refused(f"{proposal_id!r} does not name one proposal; `aelp proposals` lists them.")
        if found[0]["status"] not in OPEN:
            raise Refused(
                f"{found[0]['proposal_id']} is {found[0]['status']}; it can no longer be decided on."
            )
        return found[0]

    # --- at the writer ------------------------------------------------------------------------------

    def require_clear(self, connection: sa.Connection, change: Record, now: datetime) -> None:
        """Check a call once more before it is sent, as `clearance.require_clear` says.

        Raises:
            Stopped, Withdrawn, Refused, MissingKey: it may not be sent, or not now.
        """
        clearance.require_clear(connection, change, now, authority=self._authority, judge=self._judge)

    # --- the way back and the kill switch -----------------------------------------------------------

    def roll_back(
        self, change_id: str, person: str, reason: str, now: datetime, *, cascade: bool = False
    ) -> list[str]:
        """Undo a change by its exact inverse, which its approval approved too; returns the new changes' ids.

        Args:
            cascade: undo later changes of the lever first, newest first.
        Raises:
            Refused: the kill switch is on, this person may not, or as `change_feed.roll_back`.
            MissingKey: the person's key is not there.
        """
        with records.alone(self._engine) as connection:
            self._require_alive(connection)
            self._authority.person(person, reason)
            return change_feed.roll_back(
                connection,
                change_id,
                cascade=cascade,
                limits=self._judge.limits,
                arm_limits=self._judge.arm_limits,
                mode=self._mode,
                person=person,
                reason=reason,
                now=now,
                sign=self._authority.sign_rollback,
            )

    def kill(self, *, is_on: bool, person: str, reason: str, now: datetime) -> None:
        """Stop everything that could move money, or let it go on; anyone may stop, approvers may let go on.

        Raises:
            Refused: no reason, or somebody else lets it go on.
            MissingKey: the key of who lets it go on is not there.
        """
        if is_on:
            stop_everything(self._engine, person, reason, now)
            return
        row = {"is_on": False, "person": person, "reason": reason.strip(), "at": now.timestamp()}
        self._authority.person(person, reason)
        row["signature"] = self._authority.sign_release(row)
        with records.alone(self._engine) as connection:
            connection.execute(sa.insert(KILL_SWITCH).values(**row))

    def killed(self) -> str | None:
        """Who stopped everything, when and why; None while nothing is stopped."""
        with self._engine.begin() as connection:
            return records.killed(connection)

    def kill_switch_log(self) -> list[Record]:
        """Each time the kill switch was pulled or released, oldest first."""
        with self._engine.begin() as connection:
            statement = sa.select(KILL_SWITCH).order_by(KILL_SWITCH.c.sequence)
            return [dict(row) for row in connection.execute(statement).mappings()]

    def _require_alive(self, connection: sa.Connection) -> None:
        killed = records.killed(connection)
        if killed is not None:
            raise Refused(f"{killed}. `aelp kill off` lets it go on.")

    # --- reading ------------------------------------------------------------------------------------

    def proposals(self, now: datetime) -> list[Record]:
        """All proposals, newest morning first, those that ran out marked so."""
        with records.alone(self._engine) as connection:
            records.expire(connection, now)
            return records.proposals(connection)

    def open_proposal(self, proposal_id: str, now: datetime) -> Record:
        """A proposal that may be decided on.

        Raises:
            Refused: there is none of that id, or it is decided.
        """
        with records.alone(self._engine) as connection:
            return self._decidable(connection, proposal_id, now)

    def lever_states(self, states_hash: str) -> pl.DataFrame:
        """All levers as they were when something was proposed (`STATE_SCHEMA`).

        Raises:
            Refused: they were changed since.
        """
        with self._engine.begin() as connection:
            return records.states_under(connection, states_hash)

    def standing_approvals(self, proposal: Record, now: datetime) -> list[Record]:
        """Signatures that count towards a proposal as it stands, oldest first."""
        with self._engine.begin() as connection:
            return self._authority.unexpired(connection, proposal, now)

    def arm_evidence(self, proposal: Record) -> Record | None:
        """What a proposal about an arm was judged by (`EVIDENCE_SCHEMA`); None: it was changed since."""
        with self._engine.begin() as connection:
            return arm_rules.evidence_of(connection, proposal)

    def objections(self, proposal: Record, now: datetime) -> list[Violation]:
        """What the guardrails hold against a proposal, stored or only thought of; nothing is written.

        Raises:
            Refused: the lever states were changed since it was proposed.
        """
        with self._engine.begin() as connection:
            return self._judge.objections(connection, proposal, now)

    def left_to_add(self, approver: str, as_of_date: date) -> Decimal | None:
        """Dollars a day an approver may still add alone on a morning's proposals; None: any.

        Raises:
            Refused: nobody of that name may decide.
        """
        person = self._authority.person(approver, reason="looks")
        if person.daily_limit is None:
            return None
        with self._engine.begin() as connection:
            return max(Decimal(0), person.daily_limit - signed_for(connection, person, as_of_date))

    def stamp(self) -> str:
        """Changes whenever somebody decides, undoes, or pulls the kill switch, and when a change is done.

        Moments are in it as well as numbers: after a restore, numbers of decisions that were lost come again.
        """
        logs = APPROVALS.c.decided_at, CHANGES.c.created_at, KILL_SWITCH.c.at
        newest = [sa.select(sa.func.coalesce(sa.func.max(log.table.c.sequence), 0)) for log in logs]
        moments = [sa.select(sa.func.coalesce(sa.func.max(log), 0)) for log in (*logs, CHANGES.c.finished_at)]
        with self._engine.begin() as connection:
            parts: list[int] = [connection.execute(one).scalar_one() for one in newest]
            *decided, settled = (round(1000 * connection.execute(one).scalar_one()) for one in moments)
        return "-".join(map(str, (*parts, max(decided), settled)))

    def approvals(self) -> list[Record]:
        """Every signed decision, oldest first."""
        statement = sa.select(APPROVALS).order_by(APPROVALS.c.sequence)
        with self._engine.begin() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    def assignments(self) -> list[Record]:
        """Every draw of apply or hold, oldest first."""
        with self._engine.begin() as connection:
            return holds.assignments(connection)

    def changes(self) -> list[Record]:
        """The change feed, newest first, each with its call in the outbox."""
        with self._engine.begin() as connection:
            return list(reversed(records.changes(connection)))


def stop_everything(engine: sa.Engine, person: str, reason: str, now: datetime) -> str:
    """Pull the kill switch of a control store; returns what people read of it from then on.

    It needs no settings: they may be what is wrong.

    Raises:
        Refused: no reason.
    """
    if not reason.strip():
        raise Refused("The kill switch needs a reason: those who find everything stopped read it.")
    row = {"is_on": True, "person": person, "reason": reason.strip(), "at": now.timestamp()}
    with records.alone(engine) as connection:
        connection.execute(sa.insert(KILL_SWITCH).values(**row))
        return str(records.killed(connection))
