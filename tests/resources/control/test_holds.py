"""Which approved raises are held for measurement, and what a held lever may still do."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from resources.control.governance import Governance
from resources.control.holds import HoldRule
from resources.control.records import Refused
from resources.control.store import CHANGES, OUTBOX
from tests.resources.control.paper_platform import PaperPlatform, running
from tests.resources.control.proposing import NINE, TEN, governing, lever, proposed, status_of
from tests.resources.control.test_writer import SOON, writing

NAMES = tuple(f"l{number}" for number in range(8))
HALF = HoldRule(share=0.5, days=7, seed=1)
LOSING = {"p_cac_above_cap": 0.95, "thompson_budget": None}


def holding(engine: sa.Engine, rule: HoldRule = HALF, mode="sandbox") -> Governance:
    return governing(engine, mode=mode, hold=rule)


def decided(engine: sa.Engine, rule: HoldRule = HALF, mode="sandbox") -> dict[str, str]:
    """Eight raises approved by `sam`: the arm of each lever."""
    governance = holding(engine, rule, mode)
    for proposal_id in proposed(governance, *map(lever, NAMES)):
        governance.approve(proposal_id, "sam", "it pays", TEN)
    return {row["lever_id"]: row["arm"] for row in governance.assignments()}


def test_a_share_of_the_raises_is_held_and_the_draw_is_kept_with_the_approval(engine):
    arms = decided(engine)
    assert set(arms) == set(NAMES)
    assert set(arms.values()) == {"apply", "hold"}
    for row in holding(engine).assignments():
        assert row["arm"] == ("hold" if row["draw"] < row["hold_probability"] else "apply")
        assert (row["hold_probability"], row["window_days"], row["mode"]) == (0.5, 7, "sandbox")
        assert row["window_ends_at"] == (TEN + timedelta(days=7)).timestamp()
    feed = {row["lever_id"]: row for row in holding(engine).changes()}
    assert {name: feed[name]["status"] for name in arms} == {
        name: "held" if arm == "hold" else "prepared" for name, arm in arms.items()
    }


def test_the_writer_sends_the_applied_and_never_the_held(engine):
    arms = decided(engine)
    platform = PaperPlatform(**{f"id_{name}": running("500") for name in NAMES})
    outcomes = writing(engine, platform, hold=HALF)
    assert {outcome.status for outcome in outcomes} == {"applied"}
    raised = {name for name in NAMES if platform.values[f"id-{name}"].budget > 500}
    assert raised == {name for name, arm in arms.items() if arm == "apply"}


def test_the_writer_refuses_a_held_change_that_was_made_to_look_prepared(engine):
    arms = decided(engine)
    name = next(name for name, arm in arms.items() if arm == "hold")
    here = CHANGES.c.lever_id == name
    with engine.begin() as connection:
        connection.execute(sa.update(CHANGES).where(here).values(status="prepared", finished_at=None))
        connection.execute(sa.update(OUTBOX).values(status="queued"))
    platform = PaperPlatform(**{f"id_{name}": running("500") for name in NAMES})
    blocked = [outcome for outcome in writing(engine, platform, hold=HALF) if outcome.status == "blocked"]
    assert [str(outcome.message) for outcome in blocked] == [
        f"{name} is held for measurement until 2026-07-07 14:00 UTC; stops and cuts are not."
    ]
    assert platform.values[f"id-{name}"] == running("500")


def test_the_same_lever_and_morning_draw_the_same_whatever_the_order(engine, tmp_path):
    from resources.control.store import open_control_store

    other = open_control_store(f"sqlite:///{tmp_path / 'other.sqlite'}")
    governance = holding(other)
    for proposal_id in reversed(proposed(governance, *map(lever, NAMES))):
        governance.approve(proposal_id, "sam", "another reason", SOON)
    assert decided(engine) == {row["lever_id"]: row["arm"] for row in governance.assignments()}
    other.dispose()


def test_a_held_lever_is_not_raised_before_its_window_ends_and_is_after(engine):
    arms = decided(engine)
    names = sorted(name for name, arm in arms.items() if arm == "hold")
    in_window, after = NINE + timedelta(days=3), NINE + timedelta(days=8)
    governance = holding(engine)
    assert proposed(governance, *map(lever, names), at=in_window) == []
    assert len(proposed(governance, *map(lever, names), at=after)) == len(names)


def test_a_raise_put_before_people_earlier_cannot_be_approved_while_its_lever_is_held(engine):
    lazy = governing(engine, mode="sandbox", valid_for=timedelta(hours=60), hold=HALF)
    held = next(name for name, arm in decided(engine).items() if arm == "hold")
    # A second proposal of the lever, as if it had been made before the first was drawn for.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resources.control.holds.held", lambda *_: None)
        (late,) = proposed(lazy, lever(held), at=NINE + timedelta(days=1))
    with pytest.raises(Refused, match="held for measurement until"):
        lazy.approve(late, "sam", "it pays", TEN + timedelta(days=1))


@pytest.mark.parametrize("type_of", ["stop", "cut"])
def test_stops_and_cuts_are_never_drawn_for_and_go_through_while_a_lever_is_held(engine, type_of):
    held = next(name for name, arm in decided(engine).items() if arm == "hold")
    tomorrow = NINE + timedelta(days=4)
    changed = LOSING if type_of == "stop" else {"thompson_budget": 300.0}
    all_held = holding(engine, HoldRule(share=0.999999, days=7, seed=1))
    before = len(all_held.assignments())
    (made,) = proposed(all_held, lever(held, **changed), lever("calm", thompson_budget=500.0), at=tomorrow)
    (row,) = [row for row in all_held.proposals(tomorrow) if row["proposal_id"] == made]
    assert row["type"] == type_of
    assert all_held.approve(made, "sam", "it loses", tomorrow) == "approved"
    assert all_held.changes()[0]["status"] == "prepared"
    assert len(all_held.assignments()) == before
    platform = PaperPlatform(**{f"id_{held}": running("500")})
    writing(engine, platform, at=tomorrow + timedelta(minutes=1), hold=HALF)
    value = platform.values[f"id-{held}"]
    assert value.status == "paused" if type_of == "stop" else value.budget < 500


def test_the_way_back_is_never_drawn_for(engine):
    arms = decided(engine)
    platform = PaperPlatform(**{f"id_{name}": running("500") for name in NAMES})
    applied, *_ = writing(engine, platform, hold=HALF)
    governance = holding(engine, HoldRule(share=0.999999, days=7, seed=1))
    governance.roll_back(applied.change_id, "sam", "it did not pay", SOON)
    assert governance.changes()[0]["status"] == "prepared"
    assert len(governance.assignments()) == len(arms)


def test_a_lever_whose_window_is_open_is_not_drawn_for_again(engine):
    arms = decided(engine)
    name = next(name for name, arm in arms.items() if arm == "apply")
    later = NINE + timedelta(days=4)
    governance = holding(engine, HoldRule(share=0.999999, days=7, seed=1))
    (again,) = proposed(governance, lever(name), at=later)
    governance.approve(again, "sam", "it pays still", later)
    assert governance.changes()[0]["status"] == "prepared"
    assert len(governance.assignments()) == len(arms)


def test_nothing_is_drawn_where_the_settings_hold_no_share(engine):
    assert decided(engine, HoldRule()) == {}
    assert {row["status"] for row in governing(engine, mode="sandbox").changes()} == {"prepared"}


def test_in_shadow_a_raise_is_drawn_for_too_and_neither_arm_is_sent(engine):
    arms = decided(engine, mode="shadow")
    feed = {row["lever_id"]: row for row in holding(engine, mode="shadow").changes()}
    for name, arm in arms.items():
        assert feed[name]["status"] == ("held" if arm == "hold" else "shadow")
        assert feed[name]["outbox_status"] == "shadow"


def test_what_was_held_cannot_be_rolled_back_and_stays_approved(engine):
    decided(engine)
    governance = holding(engine)
    held = next(row for row in governance.changes() if row["status"] == "held")
    with pytest.raises(Refused, match="nothing is to be undone"):
        governance.roll_back(held["change_id"], "sam", "undo", SOON)
    assert status_of(governance, held["proposal_id"]) == "approved"
