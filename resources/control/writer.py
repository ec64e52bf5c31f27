"""Sending approved changes, each step a transaction: a writer killed between two loses and doubles nothing.

Here: the states of one change from `prepared` to what became of it. Not here: whether it may be sent
(`clearance`), how a platform is called (`resources.platform_writers`), entering changes (`change_feed`),
the objects of a launch (`launch_writer`).

A change is noted as `sending` before its call goes out. Whoever finds it so asks the platform first: it says
the value after (the call arrived), the value before (it did not), or something else (a person was there, and
is not overwritten).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from resources.connectors.errors import MissingCredentials, PlatformError
from resources.control import change_feed, records
from resources.control.arm_payloads import ArmTarget, ArmValue, read_target, read_value
from resources.control.endings import FINAL, Ended, waits
from resources.control.governance import Governance
from resources.control.launch_limits import LAUNCH
from resources.control.launch_writer import LaunchSteps
from resources.control.payloads import LeverTarget, LeverValue
from resources.control.records import UNFINISHED, LeverKey, Record, Refused, Stopped, Withdrawn
from resources.control.signing import MissingKey
from resources.control.store import CHANGES, PROPOSALS, only_writer
from resources.platform_writers.interface import LaunchPlatform, NoLongerALever, PlatformWriter, SwitchesArms


@dataclass(frozen=True)
class Outcome:
    """What became of a change in this round.

    Attributes:
        status: `prepared` and `sending` wait for the next round.
        message: why it waits or did not take place; None where it was applied.
    """

    change_id: str
    status: str
    message: str | None


@dataclass(frozen=True)
class Asked:
    """Which unfinished changes a round is for.

    Attributes:
        proposal_ids: those of these proposals, whole ids or first characters; none: all.
        at_most: no more than so many are tried, the oldest first; None: any number. What waits for a platform
            that is out of order, or for an earlier change of its lever, keeps no other from its turn.

    Raises:
        Refused: a blank proposal id.
    """

    proposal_ids: Sequence[str] = ()
    at_most: int | None = None

    def __post_init__(self) -> None:
        if not all(name.strip() for name in self.proposal_ids):
            raise Refused("An empty proposal id would ask for every change; leave it out.")

    def includes(self, change: Record) -> bool:
        """Whether a change comes from one of the proposals."""
        return not self.proposal_ids or change["proposal_id"].startswith(tuple(self.proposal_ids))


class Writer:
    """Sends what is prepared in a governance's mode.

    Args:
        engine: of `open_control_store`.
        governance: of the same store; says what may be sent.
        open_platform: the writer of a platform by name, such as `PlatformWriters`; never asked in shadow.
        now: the present moment.
    """

    def __init__(
        self,
        engine: sa.Engine,
        governance: Governance,
        open_platform: Callable[[str], PlatformWriter],
        now: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._governance = governance
        self._open_platform = open_platform
        self._now = now

    def apply(self, asked: Asked | None = None) -> list[Outcome]:
        """Try every unfinished change once, each lever's in their order; a failed one makes its lever wait.

        Args:
            asked: which of them; None: all.
        Raises:
            Refused: another writer is at work on this store.
        """
        if self._governance.mode == "shadow":
            return []
        with only_writer(self._engine) as connection:
            if connection is None:
                raise Refused("Another writer is at work; it sends what is prepared.")
            return self._round(connection, asked or Asked())

    def preview(self, asked: Asked | None = None) -> list[Outcome]:
        """What `apply` would try, each with what would hold it back at this moment; no platform is asked."""
        if self._governance.mode == "shadow":
            return []
        outcomes = []
        with self._engine.connect() as connection:
            asked = asked or Asked()
            for change in self._chosen(connection, asked)[0][: asked.at_most]:
                said = None
                try:
                    if change["status"] != "sending":  # that one is with the platform already
                        self._clear(connection, change)
                except Ended as ended:
                    said = str(ended)
                outcomes.append(Outcome(change["change_id"], change["status"], said))
        return outcomes

    def _chosen(self, connection: sa.Connection, asked: Asked) -> tuple[list[Record], list[Record]]:
        """Unfinished changes that are asked for, oldest first, and the others."""
        with records.step(connection):
            mine = CHANGES.c.mode == self._governance.mode, CHANGES.c.status.in_(UNFINISHED)
            unfinished = records.changes(connection, *mine)
        wanted = [row for row in unfinished if asked.includes(row)]
        return wanted, [row for row in unfinished if row not in wanted]

    def _round(self, connection: sa.Connection, asked: Asked) -> list[Outcome]:
        unfinished, left = self._chosen(connection, asked)
        outcomes: list[Outcome] = []
        waiting: dict[LeverKey, str] = {}
        left_alone: dict[str, str] = {}
        tried = 0
        for change in unfinished:
            if tried == asked.at_most:
                break
            earlier = [row for row in left if row["sequence"] < change["sequence"]]
            waiting.update(
                (records.key_of(row), f"{row['change_id']} before it was not asked for") for row in earlier
            )
            lever, platform = records.key_of(change), change["platform"]
            if lever in waiting or platform in left_alone:
                why = waiting.get(lever) or left_alone[platform]
                outcomes.append(Outcome(change["change_id"], change["status"], f"waits: {why}"))
                continue
            tried += 1
            try:
                self._advance(connection, change)
                outcome = self._settle(connection, change, "applied", None)
            except Ended as ended:
                outcome = self._settle(connection, change, ended.status, str(ended))
                if ended.leaves_alone:
                    left_alone[platform] = str(ended)
            if outcome.status in UNFINISHED:
                waiting[lever] = f"{change['change_id']} before it is {outcome.status}"
            outcomes.append(outcome)
        return outcomes

    # --- one change -----------------------------------------------------------------------------------

    def _advance(self, connection: sa.Connection, change: Record) -> None:
        """Take a change to its end; returns where the platform says the value after.

        Raises:
            Ended: it ends otherwise, or waits.
        """
        if self._is_launch(connection, change):
            self._launch(connection, change)
            return
        was_sending = change["status"] == "sending"
        if not was_sending:
            self._clear(connection, change)  # no contact without an approval
        platform, target = self._platform(change), self._target(connection, change)
        before, after = (read_value(json.loads(change[moment])) for moment in ("before", "after"))
        found = _as_stopped(self._read(platform, target, may_be_sent=was_sending), before, after)
        if was_sending and found == after:
            return
        if found != before:
            raise Ended("conflict", _differs(change, found, before))
        self._begin(connection, change)
        self._send(platform, change)
        found = _as_stopped(self._read(platform, target, may_be_sent=True), before, after)
        if found == before:
            raise Ended(None, f"{change['platform']} took the call but does not show the new value yet")
        if found != after:
            raise Ended("conflict", _differs(change, found, after))

    def _launch(self, connection: sa.Connection, change: Record) -> None:
        """Make a launch, or remove it.

        Raises:
            Ended: as `_advance`.
        """

        def clear() -> None:
            (stored,) = records.changes(connection, CHANGES.c.change_id == change["change_id"])
            if stored["status"] not in UNFINISHED:
                raise Ended(None, f"it became {stored['status']} meanwhile")
            self._require_clear(connection, stored)

        if change["status"] == "prepared":
            self._clear(connection, change)  # no contact without an approval
        platform = self._platform(change)
        if not isinstance(platform, LaunchPlatform):
            raise Ended("refused", f"{change['platform']}: no launch is made there; set it up by hand.")
        steps = LaunchSteps(connection, change, platform, clear, self._now)
        if change["kind"] == "apply":
            steps.make()
        else:
            steps.remove()

    def _clear(self, connection: sa.Connection, change: Record) -> None:
        """One step: may it be sent at this moment?"""
        with records.step(connection):
            self._require_clear(connection, change)

    def _begin(self, connection: sa.Connection, change: Record) -> None:
        """One step: may it be sent at this moment, and if so, it is being sent from now on."""
        with records.step(connection):
            self._require_clear(connection, change)
            change_feed.note_sending(connection, change["change_id"], self._now())

    def _require_clear(self, connection: sa.Connection, change: Record) -> None:
        (stored,) = records.changes(connection, CHANGES.c.change_id == change["change_id"])
        if stored["status"] != change["status"]:
            raise Ended(None, f"it became {stored['status']} meanwhile")
        try:
            self._governance.require_clear(connection, stored, self._now())
        except (Stopped, MissingKey) as stopped:
            raise Ended(None, str(stopped)) from None
        except Withdrawn as withdrawn:
            raise Ended("withdrawn", str(withdrawn)) from None
        except Refused as refused:
            raise Ended("blocked", str(refused)) from None

    def _settle(
        self, connection: sa.Connection, change: Record, status: str | None, message: str | None
    ) -> Outcome:
        """One step: say what became of a change that is still unfinished, or why it waits."""
        change_id = change["change_id"]
        with records.step(connection):
            (stored,) = records.changes(connection, CHANGES.c.change_id == change_id)
            if stored["status"] not in UNFINISHED:
                return Outcome(change_id, stored["status"], stored["message"])
            if status is not None:
                change_feed.settle(connection, change_id, status, message, self._now())
            elif message is not None:
                change_feed.note_waiting(connection, change_id, message)
        return Outcome(change_id, status or stored["status"], message)

    # --- the platform ---------------------------------------------------------------------------------

    def _platform(self, change: Record) -> PlatformWriter:
        try:
            return self._open_platform(change["platform"])
        except MissingCredentials as missing:
            raise Ended(None, str(missing), leaves_alone=True) from None

    def _target(self, connection: sa.Connection, change: Record) -> LeverTarget | ArmTarget:
        with records.step(connection):
            found = records.proposals(connection, PROPOSALS.c.proposal_id == change["proposal_id"])
        return read_target(json.loads(found[0]["payload"])["target"])

    def _is_launch(self, connection: sa.Connection, change: Record) -> bool:
        about = PROPOSALS.c.proposal_id == change["proposal_id"], PROPOSALS.c.type == LAUNCH
        with records.step(connection):
            return bool(records.proposals(connection, *about))

    def _read(
        self, platform: PlatformWriter, target: LeverTarget | ArmTarget, *, may_be_sent: bool
    ) -> LeverValue | ArmValue:
        try:
            if isinstance(target, LeverTarget):
                return platform.read(target)
            if not isinstance(platform, SwitchesArms):
                raise Ended("refused", f"{target.platform}: its arms are not switched from here")
            return platform.read_arm(target)
        except NoLongerALever as gone:
            raise Ended("conflict", str(gone)) from None
        except PlatformError as error:
            if error.error_class in FINAL:
                status = "conflict" if may_be_sent else "refused"
                raise Ended(status, f"It cannot be read: {error}") from None
            raise waits(error) from None

    def _send(self, platform: PlatformWriter, change: Record) -> None:
        try:
            platform.send(json.loads(change["request"]))
        except PlatformError as error:
            if error.error_class in FINAL:
                raise Ended("refused", str(error)) from None
            raise waits(error) from None


def _as_stopped(
    found: LeverValue | ArmValue, before: LeverValue | ArmValue, after: LeverValue | ArmValue
) -> LeverValue | ArmValue:
    """What was read, with the budget a stop was approved at: its call moves none, and outranks any."""
    if (
        isinstance(found, LeverValue)
        and isinstance(before, LeverValue)
        and after == replace(before, status="paused")
    ):
        return replace(found, budget=before.budget)
    return found


def _differs(change: Record, found: LeverValue | ArmValue, expected: LeverValue | ArmValue) -> str:
    return (
        f"{change['platform']} says {_words(found)} for {change['lever_id']}, not {_words(expected)}: "
        "somebody else changed it, and it is left as it is"
    )


def _words(value: LeverValue | ArmValue) -> str:
    return " ".join(value.document().values())
