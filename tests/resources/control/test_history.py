"""Proposals and changes as they stood at a moment: what was signed, sent or closed later is not known yet."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from resources.control.external_edits import withdraw_overtaken
from resources.control.history import approvals_at, changes_at, proposals_at
from resources.control.payloads import LeverValue
from resources.control.records import Refused
from resources.control.store import CHANGES, PROPOSALS
from tests.resources.control.proposing import NINE, TEN, governing, lever, proposed

MINUTE = timedelta(minutes=1)


def statuses(engine, moment):
    with engine.begin() as connection:
        return {row["proposal_id"]: row["status"] for row in proposals_at(connection, moment)}


def test_a_proposal_approved_later_reads_pending_then(engine):
    governance = governing(engine)
    (one,) = proposed(governance, lever("l1"))
    assert statuses(engine, NINE - MINUTE) == {}
    governance.approve(one, "sam", "fine", TEN)
    (change,) = governance.changes()
    governance.roll_back(change["change_id"], "sam", "no", TEN + MINUTE)
    assert statuses(engine, TEN - MINUTE) == {one: "pending"}
    assert statuses(engine, TEN) == {one: "approved"}
    assert statuses(engine, TEN + MINUTE) == {one: "rolled_back"}
    feed = governance.changes()
    with engine.begin() as connection:
        assert approvals_at(connection, TEN - MINUTE) == []
        assert changes_at(connection, TEN - MINUTE) == []
        assert [row["kind"] for row in changes_at(connection, TEN)] == ["apply"]
        assert changes_at(connection, TEN + MINUTE) == feed


def test_a_proposal_put_forward_again_was_superseded_in_between(engine):
    governance = governing(engine)
    (one,) = proposed(governance, lever("l1"))
    proposed(governance, lever("l1", thompson_budget=500.0), at=NINE + MINUTE)  # held: nothing to propose
    assert proposed(governance, lever("l1"), at=TEN) == [one]
    assert [statuses(engine, at)[one] for at in (NINE, NINE + MINUTE, TEN)] == [
        "pending",
        "superseded",
        "pending",
    ]
    with engine.begin() as connection:
        (first,) = proposals_at(connection, NINE)
        (again,) = proposals_at(connection, TEN)
    assert (first["created_at"], again["created_at"]) == (NINE.timestamp(), TEN.timestamp())
    assert first["expires_at"] < again["expires_at"]


@pytest.mark.parametrize("is_closed_before_the_upgrade", [True, False])
def test_a_proposal_of_an_older_version_put_forward_again_is_refused_for_before(
    engine, is_closed_before_the_upgrade
):
    governance = governing(engine)
    (one,) = proposed(governance, lever("l1"))
    with engine.begin() as connection:
        connection.execute(sa.update(PROPOSALS).values(history=None))
        if is_closed_before_the_upgrade:
            connection.execute(sa.update(PROPOSALS).values(status="superseded"))
    proposed(governance, lever("l1", thompson_budget=500.0), at=NINE + MINUTE)
    for again in (TEN, TEN + 2 * MINUTE):
        assert proposed(governance, lever("l1"), at=again) == [one]
        proposed(governance, lever("l1", thompson_budget=500.0), at=again + MINUTE)
    assert statuses(engine, NINE - MINUTE) == {}
    with pytest.raises(Refused, match=f"{one} was put forward by a version that did not note"):
        statuses(engine, NINE)
    assert [statuses(engine, TEN + minutes * MINUTE)[one] for minutes in range(4)] == [
        "pending",
        "superseded",
        "pending",
        "superseded",
    ]
    if not is_closed_before_the_upgrade:
        with engine.begin() as connection:
            (closed,) = proposals_at(connection, NINE + MINUTE)
        assert (closed["status"], closed["created_at"]) == ("superseded", NINE.timestamp())


def test_what_ran_out_by_then_reads_expired_though_nobody_looked(engine):
    (one,) = proposed(governing(engine), lever("l1"))
    assert statuses(engine, NINE + timedelta(hours=23)) == {one: "pending"}
    assert statuses(engine, NINE + timedelta(hours=24)) == {one: "expired"}


def test_a_proposal_a_person_s_edit_overtook_was_open_until_then(engine):
    (one,) = proposed(governing(engine), lever("l1"))
    found = {("meta", "a1", "l1"): LeverValue(Decimal(700), "active")}
    withdraw_overtaken(engine, [], found, TEN)
    assert (statuses(engine, TEN - MINUTE), statuses(engine, TEN)) == ({one: "pending"}, {one: "withdrawn"})


def test_a_change_is_prepared_then_sending_then_done(engine):
    from resources.control import change_feed

    governance = governing(engine, mode="sandbox")
    (one,) = proposed(governance, lever("l1"))
    governance.approve(one, "sam", "fine", TEN)
    (change,) = governance.changes()
    with engine.begin() as connection:
        change_feed.note_sending(connection, change["change_id"], TEN + MINUTE)
        change_feed.settle(connection, change["change_id"], "refused", "too low", TEN + 2 * MINUTE)
    with engine.begin() as connection:
        told = [changes_at(connection, TEN + minutes * MINUTE)[0] for minutes in range(3)]
    said = [(row["status"], row["outbox_status"], row["message"]) for row in told]
    assert said == [
        ("prepared", "queued", None),
        ("sending", "sending", None),
        ("refused", "dropped", "too low"),
    ]
    assert [row["sent_at"] is not None for row in told] == [False, True, True]


def test_rows_of_an_older_version_go_by_signatures_and_are_refused_where_nothing_tells(engine):
    governance = governing(engine)
    one, two = proposed(governance, lever("l1"), lever("l2"))
    governance.approve(one, "sam", "fine", TEN)
    with engine.begin() as connection:
        connection.execute(sa.update(PROPOSALS).values(history=None))
        connection.execute(sa.update(CHANGES).values(history=None))
    assert statuses(engine, TEN - MINUTE) == {one: "pending", two: "pending"}
    assert statuses(engine, TEN) == {one: "approved", two: "pending"}
    with engine.begin() as connection:
        (change,) = changes_at(connection, TEN)
        closed = PROPOSALS.c.proposal_id == two
        connection.execute(sa.update(PROPOSALS).where(closed).values(status="superseded"))
    assert (change["status"], change["outbox_status"]) == ("shadow", "shadow")
    with pytest.raises(Refused, match=f"{two} was superseded by a version that did not note when"):
        statuses(engine, TEN)
