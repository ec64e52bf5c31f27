"""Whether a proposal keeps the money invariants, together with all that is approved beside it.

Here: what is judged, on which knowledge and by which limits. Not here: the invariants (`models.guardrails`),
the rules of arms and launches (`arm_rules`, `launch_limits`), who may decide (`authority`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

import polars as pl
import sqlalchemy as sa

from models.guardrails import GuardrailLimits, Violation, verify_decisions
from resources.control import arm_rules, launch_limits, launch_reserves, records
from resources.control.arm_payloads import ARM_TYPES, ArmTarget
from resources.control.arm_rules import ArmLimits, Known
from resources.control.launch_limits import LAUNCH
from resources.control.records import Mode, Record
from resources.control.store import PROPOSALS


@dataclass(frozen=True)
class Judge:
    """The rules in force.

    Attributes:
        limits: the guardrails in force now.
        arm_limits: when arms without a budget of their own may be switched, beside the guardrails.
        mode: whose approvals count beside a proposal.
    """

    limits: GuardrailLimits
    arm_limits: ArmLimits
    mode: Mode

    def today(self, now: datetime) -> date:
        """The business's day."""
        return now.astimezone(self.limits.timezone).date()

    def end_of(self, day: date) -> datetime:
        """The midnight a day of the business ends at."""
        return datetime.combine(day + timedelta(days=1), time(), tzinfo=self.limits.timezone)

    def objections(self, connection: sa.Connection, proposal: Record, now: datetime) -> list[Violation]:
        """What the guardrails hold against a proposal, stored or only thought of.

        Raises:
            Refused: the lever states were changed since it was proposed.
        """
        if proposal["type"] in ARM_TYPES:
            return self.violations_of_arm(connection, proposal, proposal["states_hash"], now)
        states = self.states_proposed_on(connection, proposal, now)
        if proposal["type"] == LAUNCH:
            return self.violations_of_launch(connection, proposal, states, now)
        judged = records.judged([proposal])
        return self.violations_of_edits(connection, judged, states, proposal["as_of_date"], now)

    def states_proposed_on(self, connection: sa.Connection, proposal: Record, now: datetime) -> pl.DataFrame:
        """The lever states a proposal rests on, as far as they are evidence today."""
        states = records.states_under(connection, proposal["states_hash"])
        return records.on_its_day(states, proposal["as_of_date"], self.today(now))

    def violations_of_arm(
        self, connection: sa.Connection, proposal: Record, states_hash: str | None, now: datetime
    ) -> list[Violation]:
        """The rules a switch breaks by the evidence of that hash (None: the newest) and what is approved."""
        target = ArmTarget(**json.loads(proposal["payload"])["target"])
        known: Known | None = arm_rules.known_under(
            connection, states_hash, target, self.mode, self.limits, now
        )
        assert known is not None  # its own evidence is kept with it
        return arm_rules.violations(proposal, known, self.limits, self.arm_limits, now)

    def violations_of_launch(
        self, connection: sa.Connection, proposal: Record, states: pl.DataFrame, now: datetime
    ) -> list[Violation]:
        """The limits of launches this one breaks together with all that is approved for the same morning."""
        this_morning = PROPOSALS.c.as_of_date == proposal["as_of_date"]
        approved = records.proposals(connection, this_morning, PROPOSALS.c.status == "approved")
        limits = self.limits_beside_launches(
            connection, states, proposal["as_of_date"], now, proposal["proposal_id"]
        )
        return launch_limits.violations(proposal, approved, states, limits, now)

    def limits_beside_launches(
        self,
        connection: sa.Connection,
        states: pl.DataFrame,
        morning: date,
        now: datetime,
        apart_from: str | None = None,
    ) -> GuardrailLimits:
        """The limits, with what approved launches hold of the room under the caps."""
        running = launch_reserves.running(states)
        held = launch_reserves.reserved(connection, self.mode, morning, running, now, apart_from=apart_from)
        return replace(self.limits, reserved=held)

    def violations_of_edits(
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
        limits = self.limits_beside_launches(connection, states, as_of_date, now)
        found = verify_decisions(together, states, limits, now)
        if set(judged["type"]) == {"stop"}:  # it outranks every sum, and adds to none
            others |= {violation.where for violation in found} - {"/".join(key) for key in edited}
        broken_before: list[Violation] = []
        if "raise" not in set(judged["type"]):  # a sum that is broken without them is not theirs to keep
            broken_before = verify_decisions(records.judged(approved), states, limits, now)
        return [
            violation
            for violation in found
            if violation.where not in others and violation not in broken_before
        ]
