"""Making a launch on its platform, object by object, and removing it: killed anywhere, nothing is doubled.

Here: the steps of one launch and of its way back. Not here: whether it may be sent (`clearance`), rounds
and other changes (`writer`), the calls themselves (`launch_payloads`, `resources.platform_writers`).

Each object is noted as begun, and committed, before its call goes out, and its id when the call answers.
Whoever finds one begun without an id looks for it by its name, where the platform lists such objects: found,
it is taken over; not found, it is made, but no sooner than the platform lists what it has just made. What is
there before anything of it was begun was made by a person, and is left as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

import sqlalchemy as sa

from resources.connectors.errors import PlatformError
from resources.control import change_feed, records
from resources.control.endings import FINAL, NOT_DONE, Ended, waits
from resources.control.launch_payloads import filled, listed_at
from resources.control.payloads import LeverValue
from resources.control.records import Record
from resources.control.store import CHANGES, OUTBOX, PROPOSALS
from resources.platform_writers.interface import LaunchPlatform, Made

LISTED_AFTER = timedelta(minutes=5)
"""So long may a platform's lists lack what it has just made."""
# Creatives and ads are only looked for where their call may have arrived: what holds them is new.
_LOOKED_FOR_FIRST = ("campaign", "adset")
_HOLDERS = {"adset": "campaign", "ad": "adset"}

_Answer = TypeVar("_Answer")
_Notes = dict[str, dict[str, Any]]


@dataclass
class LaunchSteps:
    """One change of a launch, or its way back, on a writer's connection.

    Attributes:
        clear: raises `Ended` where the change may not be sent at this moment; called inside a step.
        now: the present moment.
    """

    connection: sa.Connection
    change: Record
    platform: LaunchPlatform
    clear: Callable[[], None]
    now: Callable[[], datetime]

    def make(self) -> None:
        """Make what is still missing, in order; returns where the platform shows all of it as approved.

        Raises:
            Ended: it ends otherwise, or waits. Where it ends, the message says what was made so far.
        """
        change_id = self.change["change_id"]
        try:
            self._clear()  # no contact without an approval
            for step in self._making:
                self._make_one(step)
            ids = _ids(self._notes(change_id))
            self._require_as_approved(list(ids), ids, LeverValue.read(json.loads(self.change["after"])))
        except Ended as ended:
            notes = self._notes(change_id)
            if ended.status is None or not notes:
                raise
            said = ", ".join(f"{kind} {note['id'] or 'perhaps'}" for kind, note in notes.items())
            remedy = f"Made so far, paused: {said}; `aelp rollback {change_id}` removes it."
            raise Ended(ended.status, f"{ended} {remedy}", leaves_alone=ended.leaves_alone) from None

    def remove(self) -> None:
        """Delete what the undone change made; what is gone already stays gone.

        Raises:
            Ended: it waits, a call was refused, or somebody switched it on, changed it or added to it.
        """
        self._clear()
        ids = self._made_by_the_undone()
        left = [kind for kind, entity_id in ids.items() if not self._look(kind, entity_id).is_gone]
        self._require_as_approved(left, ids, LeverValue.read(json.loads(self.change["before"])))
        self._require_nothing_added(left, ids)
        for step in json.loads(self.change["request"])["steps"]:
            if step["removes"] in left:
                self._begin(None)
                try:
                    self.platform.send(filled(step, ids))
                except PlatformError as error:
                    raise _ended(error, "refused") from None

    # --- making ---------------------------------------------------------------------------------------

    def _make_one(self, step: Mapping[str, Any]) -> None:
        kind, notes = step["makes"], self._notes(self.change["change_id"])
        note, ids = notes.get(kind), _ids(notes)
        if kind in ids:
            return
        found = self._found(step, ids) if note is not None or kind in _LOOKED_FOR_FIRST else []
        if found and (note is None or len(found) > 1):
            raise Ended(
                "conflict",
                f"{self.change['platform']} has {step['form']['name']!r} already ({kind} "
                f"{', '.join(found)}): somebody made it by hand, and it is left as it is.",
            )
        if not found:
            self._require_time_to_be_listed(kind, note)
            self._begin(kind)
            found = [self._create(kind, filled(step, ids))]
        self._keep(kind, found[0])

    def _create(self, kind: str, request: Mapping[str, Any]) -> str:
        try:
            return self.platform.create(request)
        except PlatformError as error:
            if error.error_class in (*FINAL, *NOT_DONE):  # it was not made, for sure
                self._keep(kind, None)
            raise _ended(error, "refused") from None

    def _require_time_to_be_listed(self, kind: str, note: Mapping[str, Any] | None) -> None:
        """What was begun a moment ago may be there without being listed yet."""
        if note is None:
            return
        begun = datetime.fromisoformat(note["begun_at"])
        if self.now() - begun < LISTED_AFTER:
            raise Ended(
                None,
                f"Nobody knows whether its {kind} was made at {begun:%H:%M} {begun.tzname()}; it is not "
                f"listed yet, and made again from {begun + LISTED_AFTER:%H:%M} on if it still is not.",
            )

    # --- as it was approved ---------------------------------------------------------------------------

    def _require_as_approved(
        self, kinds: Sequence[str], ids: Mapping[str, str], approved: LeverValue
    ) -> None:
        """Objects are as they were made: paused, at their budget, each under the other.

        Raises:
            Ended: somebody changed one of them.
        """
        for kind in kinds:
            found = self._look(kind, ids[kind])
            holder = ids.get(_HOLDERS.get(kind, ""))
            moved = holder is not None and found.parent_id != holder
            expected = "active" if kind == "creative" else approved.status
            spends_other = kind == "adset" and found.budget != approved.budget
            if moved or spends_other or found.status != expected:
                raise Ended(
                    "conflict",
                    f"{self.change['platform']} says {found.in_words} for its {kind} {ids[kind]}: somebody "
                    "else changed it, and it is left as it is.",
                )

    def _require_nothing_added(self, left: Sequence[str], ids: Mapping[str, str]) -> None:
        """Raises: Ended, where deleting what was made would delete what somebody put into it."""
        for step in self._making:
            holder = _HOLDERS.get(step["makes"])
            if holder is None or holder not in left:
                continue
            listed = self._listed(step, ids)
            added = sorted(entity_id for entity_id, _ in listed if entity_id not in ids.values())
            if added:
                raise Ended(
                    "conflict",
                    f"Somebody added {', '.join(added)} to its {holder} {ids[holder]}: it is left as it is.",
                )

    def _made_by_the_undone(self) -> dict[str, str]:
        """Ids of what was made, those included whose calls answered nobody."""
        notes = self._notes(self.change["undoes"])
        ids = _ids(notes)
        for step in self._making:
            kind = step["makes"]
            if kind not in notes or kind in ids:
                continue
            found = self._found(step, ids)
            if len(found) > 1:
                raise Ended("conflict", f"{len(found)} of kind {kind} bear its name: {', '.join(found)}.")
            if found:
                ids[kind] = found[0]
            else:
                self._require_time_to_be_listed(kind, notes[kind])
        return ids

    # --- the platform ---------------------------------------------------------------------------------

    def _found(self, step: Mapping[str, Any], ids: Mapping[str, str]) -> list[str]:
        """Ids of what bears the name of what a step makes."""
        name = step["form"]["name"]
        return [entity_id for entity_id, said in self._listed(step, ids) if said == name]

    def _listed(self, step: Mapping[str, Any], ids: Mapping[str, str]) -> Sequence[tuple[str, str]]:
        return self._call(lambda: self.platform.listed(listed_at(step, ids)))

    def _look(self, kind: str, entity_id: str) -> Made:
        return self._call(lambda: self.platform.look(kind, entity_id, self._proposal["currency"]))

    @staticmethod
    def _call(call: Callable[[], _Answer]) -> _Answer:
        try:
            return call()
        except PlatformError as error:
            raise _ended(error, "conflict") from None

    # --- steps ----------------------------------------------------------------------------------------

    @cached_property
    def _proposal(self) -> Record:
        with records.step(self.connection):
            here = PROPOSALS.c.proposal_id == self.change["proposal_id"]
            (found,) = records.proposals(self.connection, here)
        return found

    @property
    def _making(self) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = json.loads(self._proposal["payload"])["request"]["steps"]
        return steps

    def _clear(self) -> None:
        """One step: may it be sent at this moment?"""
        with records.step(self.connection):
            self.clear()

    def _begin(self, kind: str | None) -> None:
        """One step: may it be sent at this moment, and if so, it is being sent; `kind` is being made."""
        with records.step(self.connection):
            self.clear()
            change_feed.note_sending(self.connection, self.change["change_id"], self.now())
            if kind is not None:
                self._note(kind, {"id": None, "begun_at": self.now().isoformat()})

    def _keep(self, kind: str, entity_id: str | None) -> None:
        """One step: what an object is called; None: it was not made."""
        with records.step(self.connection):
            begun = self._notes_now(self.change["change_id"]).get(kind)
            self._note(kind, None if entity_id is None or begun is None else {**begun, "id": entity_id})

    def _notes(self, change_id: str) -> _Notes:
        with records.step(self.connection):
            return self._notes_now(change_id)

    def _notes_now(self, change_id: str) -> _Notes:
        (stored,) = records.changes(self.connection, CHANGES.c.change_id == change_id)
        notes: _Notes = json.loads(stored["made"] or "{}")
        return notes

    def _note(self, kind: str, note: Mapping[str, Any] | None) -> None:
        notes = self._notes_now(self.change["change_id"])
        notes.pop(kind, None)
        if note is not None:
            notes[kind] = dict(note)
        here = OUTBOX.c.change_id == self.change["change_id"]
        made = json.dumps(notes) if notes else None
        self.connection.execute(sa.update(OUTBOX).where(here).values(made=made))


def _ids(notes: _Notes) -> dict[str, str]:
    return {kind: note["id"] for kind, note in notes.items() if note["id"] is not None}


def _ended(error: PlatformError, status: str) -> Ended:
    return Ended(status, str(error)) if error.error_class in FINAL else waits(error)
