"""What is put before people: a morning's edits, launches and switches, the newest in the place of older ones.

Here: which of them become proposals, and storing them. Not here: what to propose (`models`), whether it may
be (`judging`), calls (`payloads`), deciding (`governance`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from models.guardrails import Violation
from resources.control import arm_proposals, arm_rules, holds, launch_limits, launch_reserves, records
from resources.control.authority import Authority
from resources.control.change_feed import change_id_of
from resources.control.history import history_before
from resources.control.judging import Judge
from resources.control.launch_limits import LAUNCH
from resources.control.launch_payloads import Launch, launch_payload
from resources.control.payloads import LeverTarget, Unwritable, edit_payload, money
from resources.control.records import AELP, JUDGED, LEVER, OPEN, LeverKey, Record, Refused
from resources.control.signing import canonical, content_hash
from resources.control.store import CHANGES, PROPOSALS

_EDITS = ("raise", "cut", "stop")
_DECIDED = ("approved", "rolled_back")
_AGAIN = ("superseded",)
# A stop is asked for while its evidence lasts: only a person's answer ends that.
_STOP_AGAIN = (*_AGAIN, "expired", "withdrawn")
_STOPS = ("stop", "pause")


@dataclass(frozen=True)
class Proposed:
    """What became of a morning's edits: ids of proposals, and why some are none."""

    new: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Proposer:
    """Puts what is asked for before people, each call inside a transaction of `records.alone`."""

    judge: Judge
    authority: Authority

    def edits(
        self,
        connection: sa.Connection,
        decisions: pl.DataFrame,
        states: pl.DataFrame,
        targets: Mapping[LeverKey, LeverTarget],
        *,
        as_of_date: date,
        settings_hash: str,
        now: datetime,
        proposed_by: str,
    ) -> Proposed:
        """As `Governance.propose`, in the caller's transaction."""
        edits = decisions.filter(pl.col("type").is_in(_EDITS) & ~pl.col("advisory")).sort(*LEVER)
        outcome = Proposed()
        if proposed_by != AELP:
            for reason in edits["reason"]:
                self.authority.person(proposed_by, reason)
        fresh: list[dict[str, Any]] = []
        for row in edits.iter_rows(named=True):
            in_the_way = self._in_the_way(connection, row, as_of_date, proposed_by, now)
            if in_the_way is None:
                fresh.append(row)
            else:
                outcome.left_out.append(f"{row['lever_id']}: {in_the_way}")

        def judge(rows: Sequence[Record]) -> list[Violation]:
            judged = _as_judged(edits, rows)
            return self.judge.violations_of_edits(connection, judged, states, as_of_date, now)

        if proposed_by == AELP:
            fresh = _without_what_sums_refuse(fresh, judge, outcome)
        records.require(judge(fresh))
        is_run = proposed_by == AELP
        states_hash = records.keep_states(connection, states, as_of_date, are_newest=is_run)
        if is_run:
            self._close_unwanted(connection, decisions, edits, outcome, now)
        for row in fresh:
            target = targets.get(records.key_of(row))
            try:
                payload = edit_payload(row, target)
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
            until = self.judge.end_of(as_of_date) if is_urgent else None
            self._put(connection, row, payload, about, now, outcome, until)
        return outcome

    def _close_unwanted(
        self,
        connection: sa.Connection,
        decisions: pl.DataFrame,
        edits: pl.DataFrame,
        outcome: Proposed,
        now: datetime,
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
            records.set_status(connection, row["proposal_id"], "superseded", now)
            outcome.superseded.append(row["proposal_id"])

    def _in_the_way(
        self, connection: sa.Connection, row: Record, as_of_date: date, proposed_by: str, now: datetime
    ) -> str | None:
        """Why an edit is not put before people: it was answered already, or the lever is held."""
        answered = _answered(connection, row, as_of_date, proposed_by)
        if answered is None and row["type"] == "raise":
            return holds.held(connection, row, self.judge.mode, now)
        return answered

    def launches(
        self,
        connection: sa.Connection,
        launches: Sequence[Launch],
        states: pl.DataFrame,
        *,
        as_of_date: date,
        settings_hash: str,
        now: datetime,
    ) -> Proposed:
        """As `Governance.propose_launches`, in the caller's transaction."""
        outcome = Proposed()
        planned = {launch.launch_id for launch in launches}
        waiting = PROPOSALS.c.type == LAUNCH, PROPOSALS.c.status.in_(OPEN)
        for other in records.proposals(connection, *waiting):
            if other["lever_id"] not in planned:
                records.set_status(connection, other["proposal_id"], "superseded", now)
                outcome.superseded.append(other["proposal_id"])
        about = {
            "as_of_date": as_of_date,
            "states_hash": records.keep_states(connection, states, as_of_date, are_newest=False),
            "settings_hash": settings_hash,
            "proposed_by": AELP,
        }
        launched = list(launch_reserves.standing(connection, self.judge.mode, now))
        for launch in launches:
            row = launch_limits.as_row(launch)
            found = _answered(connection, row, as_of_date, AELP) or _launched(launched, launch)
            try:
                payload = launch_payload(launch)
                unsaved = {"proposal_id": None, "as_of_date": as_of_date, "payload": canonical(payload)}
                records.require(self.judge.violations_of_launch(connection, {**row, **unsaved}, states, now))
            except (Unwritable, Refused) as reason:
                found = found or str(reason)
            if found is not None:
                outcome.left_out.append(f"{launch.launch_id}: {found.removeprefix(f'{launch.launch_id}: ')}")
                continue
            self._put(connection, row, payload, about, now, outcome)
        return outcome

    def arms(
        self,
        connection: sa.Connection,
        arms: pl.DataFrame,
        *,
        as_of_date: date,
        settings_hash: str,
        now: datetime,
    ) -> Proposed:
        """As `Governance.propose_arms`, in the caller's transaction."""
        outcome = Proposed()
        states_hash = arm_rules.keep_evidence(connection, arms, as_of_date)
        about = {
            "as_of_date": as_of_date,
            "states_hash": states_hash,
            "settings_hash": settings_hash,
            "proposed_by": AELP,
        }
        outcome.superseded.extend(arm_proposals.close_unasked(connection, arms, now))
        left_out = arm_proposals.propose(
            arms,
            as_of_date,
            answered=lambda row: _answered(connection, row, as_of_date, AELP),
            judge=lambda row: records.require(
                self.judge.violations_of_arm(connection, row, states_hash, now)
            ),
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
        """Store one proposal in the place of the lever's open one; it runs out at `until` at the latest.

        A stop for today's spend is another question than the morning's, where that was rejected; so is a stop
        once one like it came to nothing.
        """
        lever, payload_hash = records.key_of(row), content_hash(payload)
        asked = [str(about["as_of_date"]), *lever, payload_hash]
        if in_vain := _stops_in_vain(connection, row, about["as_of_date"]):
            asked.append(str(len(in_vain)))
        proposal_id = records.short_hash("|".join(asked))
        known = records.proposals(connection, PROPOSALS.c.proposal_id == proposal_id)
        if known and until is not None and _was_rejected_before_today_s_spend(connection, known[0]):
            proposal_id = records.short_hash("|".join([*asked, "today"]))
            known = records.proposals(connection, PROPOSALS.c.proposal_id == proposal_id)
        here = PROPOSALS.c.proposal_id == proposal_id
        if known and known[0]["status"] not in (_STOP_AGAIN if row["type"] in _STOPS else _AGAIN):
            outcome.known.append(proposal_id)
            return
        expires_at = min(
            now + self.authority.valid_for, until or datetime.max.replace(tzinfo=UTC)
        ).timestamp()
        for other in records.proposals(connection, *_same_lever(row), PROPOSALS.c.status.in_(OPEN)):
            records.set_status(connection, other["proposal_id"], "superseded", now)
            outcome.superseded.append(other["proposal_id"])
            if about["proposed_by"] != AELP:  # another number is no newer knowledge
                expires_at = min(expires_at, other["expires_at"])
        connection.execute(sa.delete(PROPOSALS).where(here))
        said = {name: row[name] for name in ("decision_id", "track", "reason")}
        said |= {"proposed_by": about["proposed_by"], "expires_at": expires_at}
        before = history_before(known[0]) if known else ""
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
                history=before + records.noted("pending", now, **said),
                **about,
            )
        )
        outcome.new.append(proposal_id)


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
    decided = records.proposals(connection, *about, *alike, PROPOSALS.c.status.in_(_DECIDED))
    if len(decided) > len(_stops_in_vain(connection, row, as_of_date)):
        return "already decided this morning"
    answered = PROPOSALS.c.proposed_by != AELP, PROPOSALS.c.decision_id == row["decision_id"]
    standing = records.proposals(connection, *about, *answered, PROPOSALS.c.status.in_(OPEN))
    if standing and proposed_by == AELP:
        (by_hand,) = standing
        return f"{by_hand['proposed_by']} proposes {by_hand['proposed_budget']} in its place"
    return None


def _was_rejected_before_today_s_spend(connection: sa.Connection, stop: Record) -> bool:
    states = records.states_under(connection, stop["states_hash"])
    return stop["status"] == "rejected" and not records.overspends(states, stop)


def _stops_in_vain(connection: sa.Connection, row: Record, as_of_date: date) -> list[Record]:
    """Approved stops (or pauses) like this one of that morning whose call did not take place."""
    if row["type"] not in _STOPS:
        return []
    alike = PROPOSALS.c.as_of_date == as_of_date, PROPOSALS.c.type == row["type"]
    approved = records.proposals(connection, *_same_lever(row), *alike, PROPOSALS.c.status == "approved")
    calls = [change_id_of(proposal, "apply") for proposal in approved]
    failed = CHANGES.c.change_id.in_(calls), CHANGES.c.status.in_(records.IN_VAIN)
    return records.changes(connection, *failed)


def _without_what_sums_refuse(
    fresh: list[dict[str, Any]], judge: Callable[[Sequence[Record]], list[Violation]], outcome: Proposed
) -> list[dict[str, Any]]:
    """The edits less the raises, and then the cuts, that break a sum with what is approved already.

    They are left out with the reason, so that they hold up no stop. A rule of a lever's own is never broken
    by what is approved beside it: such edits stay, to be refused as a whole.
    """
    for kind in ("raise", "cut"):
        found = judge(fresh)
        if not found or {violation.where for violation in found} & {_where(row) for row in fresh}:
            return fresh
        outcome.left_out.extend(
            f"{row['lever_id']}: {found[0].message}" for row in fresh if row["type"] == kind
        )
        fresh = [row for row in fresh if row["type"] != kind]
    return fresh


def _where(row: Record) -> str:
    """How a violation names a lever."""
    return "/".join(records.key_of(row))


def _as_judged(edits: pl.DataFrame, fresh: Sequence[Record]) -> pl.DataFrame:
    """The fresh edits as they came, so that the verifier sees what was asked and not what was stored."""
    return pl.DataFrame(
        [[row[name] for name in JUDGED] for row in fresh],
        schema={name: edits.schema[name] for name in JUDGED},
        orient="row",
    )
