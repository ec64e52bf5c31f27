"""Proposals and who decides them: authority, signatures, every invariant checked again, the kill switch.

Here: the states a proposal passes through, and whether its change may be sent. Not here: what to propose
(`models`), changes and their way back (`change_feed`), calls (`payloads`), signatures (`signing`), sending
(`writer`).

A proposal is pending, perhaps awaiting a second approver, then approved, rejected, superseded, expired or
(where its lever was edited on the platform) withdrawn; an approved one may be rolled back. Every step is one
transaction that all other steps wait for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa

from models.guardrails import GuardrailLimits, Violation, verify_decisions
from resources.control import (
    arm_proposals,
    arm_rules,
    change_feed,
    holds,
    launch_limits,
    launch_reserves,
    records,
)
from resources.control.arm_payloads import ARM_TYPES, SPLIT_TEST, ArmTarget, arm_payload, read_target
from resources.control.arm_rules import ArmLimits, Known
from resources.control.holds import HoldRule
from resources.control.launch_limits import LAUNCH
from resources.control.launch_payloads import Launch, launch_payload, read_launch
from resources.control.payloads import LeverTarget, LeverValue, Unwritable, change_payload, money
from resources.control.records import (
    AELP,
    JUDGED,
    LEVER,
    OPEN,
    LeverKey,
    Mode,
    Record,
    Refused,
    Stopped,
    Verdict,
    Withdrawn,
)
from resources.control.signing import ApproverKeys, canonical, content_hash
from resources.control.store import APPROVALS, CHANGES, KILL_SWITCH, PROPOSALS

_EDITS = ("raise", "cut", "stop")
_DECIDED = ("approved", "rolled_back")
_AGAIN = ("superseded",)
# A stop is asked for while its evidence lasts: only a person's answer ends that.
_STOP_AGAIN = (*_AGAIN, "expired", "withdrawn")
_STOPS = ("stop", "pause")


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
class Proposed:
    """What became of a morning's edits: ids of proposals, and why some are none."""

    new: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


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
        self._approvers = {approver.name: approver for approver in approvers}
        self._limits = limits
        self._keys = keys
        self._mode = mode
        self._valid_for = valid_for
        self._hold = hold
        self._arm_limits = arm_limits

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
        edits = decisions.filter(pl.col("type").is_in(_EDITS) & ~pl.col("advisory")).sort(*LEVER)
        outcome = Proposed()
        with records.alone(self._engine) as connection:
            records.expire(connection, now)
            if proposed_by != AELP:
                for reason in edits["reason"]:
                    self._person(proposed_by, reason)
            fresh = []
            for row in edits.iter_rows(named=True):
                in_the_way = self._in_the_way(connection, row, as_of_date, proposed_by, now)
                if in_the_way is None:
                    fresh.append(row)
                else:
                    outcome.left_out.append(f"{row['lever_id']}: {in_the_way}")
            judged = _as_judged(edits, fresh)
            records.require(self._violations(connection, judged, states, as_of_date, now))
            is_run = proposed_by == AELP
            states_hash = records.keep_states(connection, states, as_of_date, are_newest=is_run)
            if is_run:
                self._close_unwanted(connection, decisions, edits, outcome)
            for row in fresh:
                target = targets.get(records.key_of(row))
                try:
                    payload = _payload(row, target)
                except Unwritable as error:
                    outcome.left_out.append(str(error))
                    continue
                about = {
                    "as_of_date": as_of_date,
                    "states_hash": states_hash,
                    "settings_hash": settings_hash,
                    "proposed_by": proposed_by,
                }
                is_urgent = row["type"] == "stop" and records.overspends(states, row)
                until = self._end_of(as_of_date) if is_urgent else None
                self._put(connection, row, payload, about, now, outcome, until)
        return outcome

    def _close_unwanted(
        self, connection: sa.Connection, decisions: pl.DataFrame, edits: pl.DataFrame, outcome: Proposed
    ) -> None:
        """Supersede what is open for levers that are decided to stay as they are, on newer knowledge.

        Not while everything is stopped, for then they stay whatever is known; and not a stop that today's
        spend demands, which these decisions do not know of.
        """
        if records.killed(connection) is not None:
            return
        stays = set(decisions.select(LEVER).rows()) - set(edits.select(LEVER).rows())
        for row in records.proposals(connection, PROPOSALS.c.status.in_(OPEN), PROPOSALS.c.type != LAUNCH):
            if records.key_of(row) not in stays:  # an arm's own id is among no levers'
                continue
            if row["type"] == "stop" and records.overspends(
                records.states_under(connection, row["states_hash"]), row
            ):
                continue
            records.set_status(connection, row["proposal_id"], "superseded")
            outcome.superseded.append(row["proposal_id"])

    def _end_of(self, day: date) -> datetime:
        """The midnight a day of the business ends at."""
        return datetime.combine(day + timedelta(days=1), time(), tzinfo=self._limits.timezone)

    def _today(self, now: datetime) -> date:
        return now.astimezone(self._limits.timezone).date()

    def _in_the_way(
        self, connection: sa.Connection, row: Record, as_of_date: date, proposed_by: str, now: datetime
    ) -> str | None:
        """Why an edit is not put before people: it was answered already, or the lever is held."""
        answered = _answered(connection, row, as_of_date, proposed_by)
        if answered is None and row["type"] == "raise":
            return holds.held(connection, row, self._mode, now)
        return answered

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
        outcome = Proposed()
        with records.alone(self._engine) as connection:
            records.expire(connection, now)
            planned = {launch.launch_id for launch in launches}
            waiting = PROPOSALS.c.type == LAUNCH, PROPOSALS.c.status.in_(OPEN)
            for other in records.proposals(connection, *waiting):
                if other["lever_id"] not in planned:
                    records.set_status(connection, other["proposal_id"], "superseded")
                    outcome.superseded.append(other["proposal_id"])
            about = {
                "as_of_date": as_of_date,
                "states_hash": records.keep_states(connection, states, as_of_date, are_newest=False),
                "settings_hash": settings_hash,
                "proposed_by": AELP,
            }
            launched = list(launch_reserves.standing(connection, self._mode))
            for launch in launches:
                row = launch_limits.as_row(launch)
                found = _answered(connection, row, as_of_date, AELP) or _launched(launched, launch)
                try:
                    payload = launch_payload(launch)
                    unsaved = {"proposal_id": None, "as_of_date": as_of_date, "payload": canonical(payload)}
                    records.require(self._launch_violations(connection, {**row, **unsaved}, states, now))
                except (Unwritable, Refused) as reason:
                    found = found or str(reason)
                if found is not None:
                    outcome.left_out.append(
                        f"{launch.launch_id}: {found.removeprefix(f'{launch.launch_id}: ')}"
                    )
                    continue
                self._put(connection, row, payload, about, now, outcome)
        return outcome

    def propose_arms(
        self, arms: pl.DataFrame, *, as_of_date: date, settings_hash: str, now: datetime
    ) -> Proposed:
        """Put a morning's switches and split tests of arms before people, each by itself; the newest counts.

        Args:
            arms: `EVIDENCE_SCHEMA`, all arms of that morning; what is open for those that hold is superseded.
        """
        outcome = Proposed()
        with records.alone(self._engine) as connection:
            records.expire(connection, now)
            states_hash = arm_rules.keep_evidence(connection, arms, as_of_date)
            about = {
                "as_of_date": as_of_date,
                "states_hash": states_hash,
                "settings_hash": settings_hash,
                "proposed_by": AELP,
            }
            outcome.superseded.extend(arm_proposals.close_unasked(connection, arms))
            left_out = arm_proposals.propose(
                arms,
                as_of_date,
                answered=lambda row: _answered(connection, row, as_of_date, AELP),
                judge=lambda row: records.require(self._arm_violations(connection, row, states_hash, now)),
                put=lambda row, payload: self._put(connection, row, payload, about, now, outcome),
            )
            outcome.left_out.extend(left_out)
        return outcome

    def _put(
        self,
        connection: sa.Connection,
        row: Record,
        payload: Mapping[str, Any],
        about: Mapping[str, Any],
        now: datetime,
        outcome: Proposed,
        until: datetime | None = None,
    ) -> None:
        """Store one proposal in the place of the lever's open one; it runs out at `until` at the latest."""
        lever, payload_hash = records.key_of(row), content_hash(payload)
        proposal_id = records.short_hash(f"{about['as_of_date']}|{'|'.join(lever)}|{payload_hash}")
        here = PROPOSALS.c.proposal_id == proposal_id
        known = records.proposals(connection, here)
        if known and known[0]["status"] not in (_STOP_AGAIN if row["type"] in _STOPS else _AGAIN):
            outcome.known.append(proposal_id)
            return
        expires_at = min(now + self._valid_for, until or datetime.max.replace(tzinfo=UTC)).timestamp()
        for other in records.proposals(connection, *_same_lever(row), PROPOSALS.c.status.in_(OPEN)):
            records.set_status(connection, other["proposal_id"], "superseded")
            outcome.superseded.append(other["proposal_id"])
            if about["proposed_by"] != AELP:  # another number is no newer knowledge
                expires_at = min(expires_at, other["expires_at"])
        connection.execute(sa.delete(PROPOSALS).where(here))
        connection.execute(
            sa.insert(PROPOSALS).values(
                proposal_id=proposal_id,
                **{name: row[name] for name in (*LEVER, "type", "decision_id", "track", "reason")},
                lever_level=payload["target"].get("lever_level") or payload["target"]["arm_kind"],
                entity_name=payload["target"]["entity_name"],
                currency=payload["target"].get("currency"),
                current_budget=money(row["current_budget"]),
                proposed_budget=money(row["proposed_budget"]),
                payload=canonical(payload),
                payload_hash=payload_hash,
                status="pending",
                created_at=now.timestamp(),
                expires_at=expires_at,
                **about,
            )
        )
        outcome.new.append(proposal_id)

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
            person = self._person(approver, reason)
            signed = {
                row["approver"] for row in records.approvals(connection, proposal["proposal_id"], "approve")
            }
            if approver in signed:
                raise Refused(f"{approver} has signed {proposal['proposal_id']}; a second person must.")
            holds.require_not_held(connection, proposal, self._mode, now)
            self._verify(connection, proposal, now)
            self._sign(connection, proposal, "approve", approver, reason, now)
            (*_, own) = records.approvals(connection, proposal["proposal_id"], "approve")
            alone = self._within_limit(connection, person, proposal, own)
            status = "approved" if alone or signed else "awaiting_second"
            records.set_status(connection, proposal["proposal_id"], status)
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
            self._person(approver, reason)
            self._sign(connection, proposal, "reject", approver, reason, now)
            records.set_status(connection, proposal["proposal_id"], "rejected")

    def is_approved(self, proposal_id: str, now: datetime) -> bool:
        """Whether enough people signed exactly what the proposal says, with signatures that verify and stand.

        Raises:
            MissingKey: a signature cannot be checked.
        """
        with self._engine.begin() as connection:
            (proposal,) = records.proposals(connection, PROPOSALS.c.proposal_id == proposal_id)
            return self._is_approved(connection, proposal, now)

    def _is_approved(self, connection: sa.Connection, proposal: Record, now: datetime) -> bool:
        if content_hash(json.loads(proposal["payload"])) != proposal["payload_hash"]:
            return False
        standing = [
            row
            for row in records.approvals(connection, proposal["proposal_id"], "approve")
            if self._stands(row, proposal, now)
        ]
        alone = any(
            self._within_limit(connection, self._approvers[row["approver"]], proposal, row)
            for row in standing
        )
        return len({row["approver"] for row in standing}) >= (1 if alone else 2)

    def _stands(self, approval: Record, proposal: Record, now: datetime) -> bool:
        person = self._approvers.get(approval["approver"])
        return (
            person is not None
            and (self._mode == "sandbox" or not person.simulated)
            and approval["expires_at"] > now.timestamp()
            and Decimal(approval["amount"]) == _added(proposal)
            and self._keys.is_signed(
                person.name, self._document(approval, proposal["payload_hash"]), approval["signature"]
            )
        )

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

    def _person(self, approver: str, reason: str) -> Approver:
        person = self._approvers.get(approver)
        if person is None:
            known = ", ".join(sorted(self._approvers)) or "nobody yet"
            raise Refused(f"{approver} may not decide; the settings' `approvers` name {known}.")
        if person.simulated and self._mode != "sandbox":
            raise Refused(f"{approver} stands for a person in the sandbox only; this is {self._mode}.")
        if not reason.strip():
            raise Refused("A decision needs a reason: those who come later read it.")
        return person

    def _within_limit(
        self, connection: sa.Connection, person: Approver, proposal: Record, signed: Record
    ) -> bool:
        """Whether all this person had signed for that morning, up to this, stays within their limit."""
        if person.daily_limit is None or not Decimal(signed["amount"]):
            return True  # a stop waits for nobody, whatever was raised before it
        up_to_this = APPROVALS.c.sequence <= signed["sequence"]
        return _signed_for(connection, person, proposal["as_of_date"], up_to_this) <= person.daily_limit

    def _verify(self, connection: sa.Connection, proposal: Record, now: datetime) -> None:
        """Raises: Refused, where a money invariant does not hold any more."""
        records.require(self._held_against(connection, proposal, now))

    def _held_against(self, connection: sa.Connection, proposal: Record, now: datetime) -> list[Violation]:
        if proposal["type"] in ARM_TYPES:
            return self._arm_violations(connection, proposal, proposal["states_hash"], now)
        states = self._proposed_on(connection, proposal, now)
        if proposal["type"] == LAUNCH:
            return self._launch_violations(connection, proposal, states, now)
        judged = records.judged([proposal])
        return self._violations(connection, judged, states, proposal["as_of_date"], now)

    def _proposed_on(self, connection: sa.Connection, proposal: Record, now: datetime) -> pl.DataFrame:
        """The lever states a proposal rests on, as far as they are evidence today."""
        states = records.states_under(connection, proposal["states_hash"])
        return records.on_its_day(states, proposal["as_of_date"], self._today(now))

    def _arm_violations(
        self, connection: sa.Connection, proposal: Record, states_hash: str | None, now: datetime
    ) -> list[Violation]:
        """The rules a switch breaks by the evidence of that hash (None: the newest) and what is approved."""
        target = ArmTarget(**json.loads(proposal["payload"])["target"])
        known: Known | None = arm_rules.known_under(
            connection, states_hash, target, self._mode, self._limits, now
        )
        assert known is not None  # its own evidence is kept with it
        return arm_rules.violations(proposal, known, self._limits, self._arm_limits, now)

    def _launch_violations(
        self, connection: sa.Connection, proposal: Record, states: pl.DataFrame, now: datetime
    ) -> list[Violation]:
        """The limits of launches this one breaks together with all that is approved for the same morning."""
        this_morning = PROPOSALS.c.as_of_date == proposal["as_of_date"]
        approved = records.proposals(connection, this_morning, PROPOSALS.c.status == "approved")
        limits = self._beside_launches(connection, states, proposal["as_of_date"], proposal["proposal_id"])
        return launch_limits.violations(proposal, approved, states, limits, now)

    def _beside_launches(
        self, connection: sa.Connection, states: pl.DataFrame, morning: date, apart_from: str | None = None
    ) -> GuardrailLimits:
        """The limits, with what approved launches hold of the room under the caps."""
        running = launch_reserves.running(states)
        held = launch_reserves.reserved(connection, self._mode, morning, running, apart_from=apart_from)
        return replace(self._limits, reserved=held)

    def _violations(
        self,
        connection: sa.Connection,
        judged: pl.DataFrame,
        states: pl.DataFrame,
        as_of_date: date,
        now: datetime,
    ) -> list[Violation]:
        """The money invariants these edits break together with all that is approved for the same morning."""
        this_morning = PROPOSALS.c.as_of_date == as_of_date
        edited = {records.key_of(row) for row in judged.iter_rows(named=True)}
        approved = [
            row
            for row in records.proposals(connection, this_morning, PROPOSALS.c.status == "approved")
            if row["type"] not in (LAUNCH, *ARM_TYPES)  # no lever yet: what a launch may spend is reserved
            and records.key_of(row) not in edited  # the writer asks about what is approved itself
        ]
        together = pl.concat([records.judged(approved), judged])
        others = {"/".join(records.key_of(row)) for row in approved}  # judged when they were signed
        found = verify_decisions(together, states, self._beside_launches(connection, states, as_of_date), now)
        if set(judged["type"]) == {"stop"}:  # it outranks every sum, and adds to none
            others |= {violation.where for violation in found} - {"/".join(key) for key in edited}
        return [violation for violation in found if violation.where not in others]

    def _sign(
        self,
        connection: sa.Connection,
        proposal: Record,
        verdict: Verdict,
        approver: str,
        reason: str,
        now: datetime,
    ) -> None:
        row = {
            "proposal_id": proposal["proposal_id"],
            "verdict": verdict,
            "approver": approver,
            "amount": money(_added(proposal)),
            "reason": reason.strip(),
            "decided_at": now.timestamp(),
            "expires_at": (now + self._valid_for).timestamp(),
        }
        document = self._document(row, proposal["payload_hash"])
        connection.execute(
            sa.insert(APPROVALS).values(
                approval_id=records.short_hash(canonical(document)),
                payload_hash=proposal["payload_hash"],
                signature=self._keys.sign(approver, document),
                **row,
            )
        )

    def _document(self, approval: Record, payload_hash: str) -> dict[str, Any]:
        """What a signature stands under: the mode too, so that a sandbox approval opens nothing live."""
        names = ("proposal_id", "verdict", "approver", "amount", "reason", "decided_at", "expires_at")
        return {name: approval[name] for name in names} | {"payload_hash": payload_hash, "mode": self._mode}

    # --- at the writer ------------------------------------------------------------------------------

    def require_clear(self, connection: sa.Connection, change: Record, now: datetime) -> None:
        """All that was checked when people decided, again, about exactly the call that is to be sent.

        A rollback stands on the approval of what it undoes, which outlives its expiry for that.

        Raises:
            Stopped: the kill switch is on; the change waits.
            Withdrawn: it, or what it undoes, was taken back before it was sent.
            Refused: the call is not the one that was approved, the approval does not stand (any more), the
                lever is held for measurement, or a money invariant does not hold on what is in force now.
            MissingKey: a signature cannot be checked.
        """
        killed = records.killed(connection)
        if killed is not None:
            raise Stopped(f"{killed}. `aelp kill off` lets it go on.")
        found = records.proposals(connection, PROPOSALS.c.proposal_id == change["proposal_id"])
        if not found or change["mode"] != self._mode:
            raise Refused(f"{change['change_id']} comes from no proposal of {self._mode}.")
        (proposal,) = found
        undone = self._undone(connection, change) if change["kind"] == "rollback" else None
        if undone is None and proposal["status"] == "rolled_back":
            raise Withdrawn(f"{change['change_id']} was rolled back before it was sent.")
        _require_same_call(change, proposal)
        entered = proposal["status"] == ("approved" if undone is None else "rolled_back")
        approved_at = now if undone is None else datetime.fromtimestamp(undone["created_at"], UTC)
        if not entered or not self._is_approved(connection, proposal, approved_at):
            raise Refused(
                f"No approval stands for {change['change_id']}: it ran out, was withdrawn, or what it signs "
                "is not what the store says now."
            )
        if undone is not None:
            change_feed.require_way_back(connection, undone, proposal, self._limits, self._arm_limits, now)
            return
        holds.require_not_held(connection, proposal, self._mode, now)
        self._verify(connection, proposal, now)
        if proposal["type"] in ARM_TYPES:
            records.require(self._arm_violations(connection, proposal, None, now))
        else:
            before = LeverValue.read(json.loads(change["before"]))
            states = change_feed.states_in_force(connection, change, before.budget, self._today(now))
            if proposal["type"] == "stop" and records.overspends(
                self._proposed_on(connection, proposal, now), proposal
            ):  # a later morning is decided without today's spend, and does not take the evidence back
                states = records.with_overspending(states, proposal)
            limits = self._beside_launches(
                connection, states, proposal["as_of_date"], proposal["proposal_id"]
            )
            if proposal["type"] == LAUNCH:
                records.require(launch_limits.violations(proposal, [], states, limits, now))
            else:
                records.require(verify_decisions(records.judged([proposal]), states, limits, now))

    def _undone(self, connection: sa.Connection, rollback: Record) -> Record:
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

    # --- the way back and the kill switch -----------------------------------------------------------

    def roll_back(
        self, change_id: str, person: str, reason: str, now: datetime, *, cascade: bool = False
    ) -> list[str]:
        """Undo a change by its exact inverse, which its approval approved too; returns the new changes' ids.

        Args:
            cascade: undo later changes of the lever first, newest first.
        Raises:
            Refused: the kill switch is on, this person may not, or as `change_feed.roll_back`.
        """
        with records.alone(self._engine) as connection:
            self._require_alive(connection)
            self._person(person, reason)
            return change_feed.roll_back(
                connection,
                change_id,
                cascade=cascade,
                limits=self._limits,
                arm_limits=self._arm_limits,
                mode=self._mode,
                person=person,
                reason=reason,
                now=now,
            )

    def kill(self, *, is_on: bool, person: str, reason: str, now: datetime) -> None:
        """Stop everything that could move money, or let it go on; anyone may stop, approvers may let go on.

        Raises:
            Refused: no reason, or somebody else lets it go on.
        """
        if not is_on:
            self._person(person, reason)
        elif not reason.strip():
            raise Refused("The kill switch needs a reason: those who find everything stopped read it.")
        row = {"is_on": is_on, "person": person, "reason": reason.strip(), "at": now.timestamp()}
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
            return self._held_against(connection, proposal, now)

    def left_to_add(self, approver: str, as_of_date: date) -> Decimal | None:
        """Dollars a day an approver may still add alone on a morning's proposals; None: any.

        Raises:
            Refused: nobody of that name may decide.
        """
        person = self._person(approver, reason="looks")
        if person.daily_limit is None:
            return None
        with self._engine.begin() as connection:
            return max(Decimal(0), person.daily_limit - _signed_for(connection, person, as_of_date))

    def stamp(self) -> str:
        """Changes whenever somebody decides, undoes, or pulls the kill switch, and when a change is done."""
        logs = APPROVALS, CHANGES, KILL_SWITCH
        newest = [sa.select(sa.func.coalesce(sa.func.max(log.c.sequence), 0)) for log in logs]
        settled = sa.select(sa.func.coalesce(sa.func.max(CHANGES.c.finished_at), 0))
        with self._engine.begin() as connection:
            parts: list[int] = [connection.execute(one).scalar_one() for one in newest]
            moment = round(1000 * connection.execute(settled).scalar_one())
        return "-".join(map(str, (*parts, moment)))

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


def _payload(row: Record, target: LeverTarget | None) -> dict[str, Any]:
    """The change an edit asks for; a stop pauses and leaves the budget as it is."""
    if target is None:
        raise Unwritable(f"{row['lever_id']}: no such lever is known to the platform")
    before = LeverValue(row["current_budget"], "active")
    if row["type"] == "stop":
        return change_payload(target, before, LeverValue(row["current_budget"], "paused"))
    return change_payload(target, before, LeverValue(row["proposed_budget"], "active"))


def _launched(standing: Sequence[launch_reserves.Standing], launch: Launch) -> str | None:
    """Why a launch would double one that stands; None: it would not."""
    for other in standing:
        row = other.proposal
        same_place = (row["track"], *records.key_of(row)[:2]) == (
            launch.track,
            launch.platform,
            launch.account_id,
        )
        if other.is_on_platform and same_place and launch.creative_id in other.creatives:
            return (
                f"{row['lever_id']} launched this creative already ({row['proposal_id']}); switch that one "
                "on, or roll it back"
            )
    return None


def _same_lever(row: Record) -> list[sa.ColumnElement[bool]]:
    return [PROPOSALS.c[name] == row[name] for name in LEVER]


def _answered(connection: sa.Connection, row: Record, as_of_date: date, proposed_by: str) -> str | None:
    """Why an edit is not put before people again: somebody decided, or answered it with another number."""
    about = [*_same_lever(row), PROPOSALS.c.as_of_date == as_of_date]
    # A stop is news to who approved a raise: only a decided stop answers it.
    alike = [PROPOSALS.c.type == row["type"]] if row["type"] in _STOPS else []
    if records.proposals(connection, *about, *alike, PROPOSALS.c.status.in_(_DECIDED)):
        return "already decided this morning"
    answered = PROPOSALS.c.proposed_by != AELP, PROPOSALS.c.decision_id == row["decision_id"]
    standing = records.proposals(connection, *about, *answered, PROPOSALS.c.status.in_(OPEN))
    if standing and proposed_by == AELP:
        (by_hand,) = standing
        return f"{by_hand['proposed_by']} proposes {by_hand['proposed_budget']} in its place"
    return None


def _signed_for(
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
            rendered = _payload({**proposal, **amounts}, target)
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


def _as_judged(edits: pl.DataFrame, fresh: Sequence[Record]) -> pl.DataFrame:
    """The fresh edits as they came, so that the verifier sees what was asked and not what was stored."""
    return pl.DataFrame(
        [[row[name] for name in JUDGED] for row in fresh],
        schema={name: edits.schema[name] for name in JUDGED},
        orient="row",
    )


def _added(proposal: Record) -> Decimal:
    """Dollars a day a proposal adds."""
    return max(Decimal(0), Decimal(proposal["proposed_budget"]) - Decimal(proposal["current_budget"]))
