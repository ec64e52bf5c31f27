"""Whatever is approved under whatever share: raises alone are held, and held levers keep their budget."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st

from resources.control.holds import HoldRule
from resources.control.records import Refused
from resources.control.store import open_control_store
from resources.control.writer import Writer
from tests.property.test_writer import MOODS
from tests.resources.control.paper_platform import PaperPlatform, running
from tests.resources.control.proposing import NINE, governing, lever, proposed

LEVERS = ("l1", "l2", "l3")
mornings = st.lists(
    st.fixed_dictionaries(dict.fromkeys(LEVERS, st.sampled_from(sorted(MOODS)))), min_size=2, max_size=3
)


@settings(max_examples=20, deadline=None)
@given(mornings, st.floats(0.3, 0.99), st.integers(0, 2**31), st.integers(2, 10))
def test_only_raises_are_held_and_a_held_lever_is_not_raised_before_its_window_ends(moods, share, seed, days):
    with tempfile.TemporaryDirectory() as folder:
        engine = open_control_store(f"sqlite:///{Path(folder) / 'control.sqlite'}")
        rule = HoldRule(share, days, seed)
        governance = governing(engine, mode="sandbox", hold=rule)
        platform = PaperPlatform(**{f"id_{name}": running("500") for name in LEVERS})
        held_until = {}
        for number, morning in enumerate(moods):
            at = NINE + timedelta(days=4 * number)
            for (
                name
            ) in LEVERS:  # each morning begins at the same budgets: what is judged is the morning's step
                platform.values[f"id-{name}"] = running("500")
            for proposal in proposed(
                governance, *(lever(name, **MOODS[morning[name]]) for name in LEVERS), at=at
            ):
                governance.approve(proposal, "sam", "it pays", at)
            Writer(engine, governance, platform, lambda at=at: at + timedelta(minutes=5)).apply()
            for name in LEVERS:
                value = platform.values[f"id-{name}"]
                if held_until.get(name, at) > at:
                    assert value == running("500") or value.status == "paused" or value.budget < 500
            held_until |= {
                row["lever_id"]: at + timedelta(days=days)
                for row in governance.assignments()
                if row["arm"] == "hold" and row["assigned_at"] == at.timestamp()
            }
        kinds = {row["proposal_id"]: row["type"] for row in governance.proposals(NINE)}
        drawn = {row["change_id"]: row for row in governance.assignments()}
        for change in governance.changes():
            event(f"{kinds[change['proposal_id']]} {change['status']}")
            is_held = drawn.get(change["change_id"], {"arm": None})["arm"] == "hold"
            assert (change["status"] == "held") == is_held
            if kinds[change["proposal_id"]] != "raise":
                assert change["change_id"] not in drawn
                assert change["status"] == "applied"
        for change in governance.changes():
            if change["status"] == "applied":
                try:
                    governance.roll_back(change["change_id"], "sam", "undo", NINE, cascade=True)
                except Refused:
                    continue  # more would be spent than a cap or the stop rule allows
        assert all(row["status"] != "held" for row in governance.changes() if row["kind"] == "rollback")
        assert len(governance.assignments()) == len(drawn)
        engine.dispose()
