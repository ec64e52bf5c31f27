"""A person's edit on the platform overtakes what is proposed; our own calls are not taken for a person."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from resources.control.external_edits import (
    ExternalEdit,
    known_in_force,
    made_outside,
    withdraw_overtaken,
)
from resources.control.records import Refused
from resources.control.writer import Writer
from tests.resources.control.paper_platform import PaperPlatform, paused, running
from tests.resources.control.proposing import NINE, TEN, governing, lever, proposed, status_of

L1 = ("meta", "a1", "l1")
SOON = TEN + timedelta(minutes=5)


def edit(at=TEN, field="budget", before="500.00", after="650.00", person="Pat Lee") -> ExternalEdit:
    return ExternalEdit(L1, at, field, before, after, person)


def test_an_edit_after_the_proposal_withdraws_it_and_names_who_and_what(engine):
    governance = governing(engine)
    ids = proposed(governance, lever("l1"), lever("l2"))
    (gone,) = withdraw_overtaken(engine, [edit()], {}, SOON).items()
    assert gone[0] in ids
    assert gone[1] == (
        "Pat Lee changed its budget from 500.00 to 650.00 at 30 Jun 14:00 UTC, after this was proposed."
    )
    assert sorted(status_of(governance, each, SOON) for each in ids) == ["pending", "withdrawn"]
    (row,) = [each for each in governance.proposals(SOON) if each["proposal_id"] == gone[0]]
    assert row["message"] == gone[1]
    with pytest.raises(Refused, match="is withdrawn; it can no longer be decided on"):
        governance.approve(gone[0], "sam", "it pays", SOON)
    assert withdraw_overtaken(engine, [edit()], {}, SOON) == {}


def test_an_edit_the_proposal_already_knew_withdraws_nothing(engine):
    proposed(governing(engine), lever("l1"))
    assert withdraw_overtaken(engine, [edit(NINE - timedelta(hours=1))], {L1: running("500")}, SOON) == {}


@pytest.mark.parametrize("found", [running("650"), paused("500")])
def test_another_value_in_the_newest_snapshot_withdraws_without_any_history(engine, found):
    governance = governing(engine)
    (proposal,) = proposed(governance, lever("l1"))
    (said,) = withdraw_overtaken(engine, [], {L1: found}, SOON).values()
    assert said.startswith(f"The platform says {found.budget}.00 {found.status}, not 500.00 active")
    assert status_of(governance, proposal, SOON) == "withdrawn"


def test_what_is_decided_stays_so_and_the_writer_does_not_overwrite_the_edit(engine):
    governance = governing(engine, mode="sandbox")
    (proposal,) = proposed(governance, lever("l1"))
    governance.approve(proposal, "sam", "it pays", TEN)
    assert withdraw_overtaken(engine, [edit(SOON)], {L1: running("650")}, SOON) == {}
    platform = PaperPlatform(id_l1=running("650"))
    (outcome,) = Writer(engine, governance, platform, lambda: SOON).apply()
    assert (outcome.status, platform.writes) == ("conflict", [])


def test_our_own_call_is_no_edit_of_a_person_and_theirs_beside_it_is(engine):
    governance = governing(engine, mode="sandbox")
    (proposal,) = proposed(governance, lever("l1"))
    governance.approve(proposal, "sam", "it pays", TEN)
    Writer(engine, governance, PaperPlatform(id_l1=running("500")), lambda: SOON).apply()
    ours = edit(SOON + timedelta(seconds=20), after="525.00")
    theirs = edit(SOON + timedelta(seconds=40), before="525.00", after="900.00")
    yesterday = edit(SOON - timedelta(days=1), after="525.00")
    switched = edit(SOON, field="status", before="active", after="paused")
    assert made_outside([ours, theirs, yesterday, switched], governance.changes()) == [
        theirs,
        yesterday,
        switched,
    ]
    assert made_outside([edit(SOON, after=None)], governance.changes()) == []


def test_who_switches_a_lever_on_again_after_our_stop_is_a_person(engine):
    governance = governing(engine, mode="sandbox")
    (stop,) = proposed(governance, lever("l1", p_cac_above_cap=0.95, thompson_budget=None))
    governance.approve(stop, "sam", "it loses", TEN)
    Writer(engine, governance, PaperPlatform(id_l1=running("500")), lambda: SOON).apply()
    ours, theirs, unclear = (
        edit(SOON + timedelta(minutes=5), field="status", before=None, after=after)
        for after in ("inactive", "active", "other")
    )
    assert made_outside([ours, theirs, unclear], governance.changes()) == [theirs]


def test_a_snapshot_read_before_our_call_does_not_make_it_a_person_s(engine):
    governance = governing(engine, mode="sandbox")
    (raised,) = proposed(governance, lever("l1"))
    governance.approve(raised, "sam", "it pays", TEN)
    Writer(engine, governance, PaperPlatform(id_l1=running("500")), lambda: SOON).apply()
    risen = dict.fromkeys(("current_budget", "midnight_budget"), Decimal(525))
    later = NINE + timedelta(days=1)
    (waits,) = proposed(governance, lever("l1", thompson_budget=400.0, **risen), at=later)
    changes = governance.changes()

    def found(value, read_at):
        return known_in_force({L1: value}, {L1: read_at}, changes)

    assert withdraw_overtaken(engine, [], found(running("500"), NINE), later) == {}
    assert status_of(governance, waits, later) == "pending"
    assert found(running("510"), NINE) == {L1: running("510")}, "no value of ours"
    put_back = found(running("500"), SOON + timedelta(hours=1))
    assert set(withdraw_overtaken(engine, [], put_back, later)) == {waits}


def test_an_edit_of_unknown_person_and_values_is_told_all_the_same():
    said = edit(person=None, before=None).words()
    assert said == "Somebody changed its budget at 30 Jun 14:00 UTC"
