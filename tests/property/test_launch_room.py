"""Raises and launches together keep every cap, whoever signs which of them in whatever order.

The oracle adds up what people signed, in fractions; it does not ask the store what anything reserves.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import polars as pl
from hypothesis import event, given, settings
from hypothesis import strategies as st

from models.guardrails import GuardrailLimits, TrackLimits, plan_decisions
from resources.control.authority import Approver
from resources.control.records import Refused
from resources.control.store import open_control_store
from tests.resources.control.proposing import (
    LAUNCH,
    NINE,
    TEN,
    governing,
    lever,
    put_launches,
    states_of,
    targets_of,
)

TRACKS = ("balance", "security")
BUDGETS = ("current_budget", "midnight_budget", "budget_7_days_ago")


@st.composite
def mornings(draw):
    """Levers of both tracks, launches, limits they may or may not fit under, and an order of signing."""
    levers = [
        lever(
            f"l{number}",
            track=draw(st.sampled_from(TRACKS)),
            status=draw(st.sampled_from(["active", "active", "active", "paused"])),
            thompson_budget=1e6,
            **dict.fromkeys(BUDGETS, Decimal(draw(st.integers(100, 400)) * 10)),
        )
        for number in range(draw(st.integers(2, 4)))
    ]
    launches = [
        replace(
            LAUNCH,
            launch_id=f"launch_{number}",
            creative_id=f"c{number}",
            track=draw(st.sampled_from(TRACKS)),
            daily_budget=Decimal(draw(st.integers(15_000, 50_000))) / 100,
        )
        for number in range(draw(st.integers(2, 4)))
    ]
    # Each fits alone, not all of them together.
    room = {name: Decimal(draw(st.integers(200, 900))) for name in (*TRACKS, None)}
    running = {
        name: sum(row["current_budget"] for row in levers if name in (None, row["track"])) for name in room
    }
    caps = {name: max(Decimal(1), (running[name] + room[name]) * Decimal("1.25")) for name in room}
    limits = GuardrailLimits(
        tracks={name: TrackLimits(caps[name], Decimal(240), Decimal(1_000_000)) for name in TRACKS},
        total_daily_cap=caps[None],
        exploration_floor=0.0,
    )
    return levers, launches, limits, draw(st.randoms(use_true_random=False))


@settings(max_examples=40, deadline=None)
@given(mornings(), st.sampled_from(["shadow", "sandbox"]))
def test_what_people_signed_fits_under_every_cap_at_every_moment(morning, mode):
    levers, launches, limits, random = morning
    engine = open_control_store("sqlite:///:memory:")
    governance = governing(engine, mode=mode, limits=limits, approvers=[Approver("sam")])
    states = states_of(*levers)
    decisions = plan_decisions(states, limits, NINE).with_columns(decision_id="d-" + pl.col("lever_id"))
    about = {"as_of_date": NINE.date(), "settings_hash": "s", "now": NINE}
    governance.propose(decisions, states, targets_of(states), **about)
    put_launches(governance, *launches, states=states)
    waiting = [row for row in governance.proposals(NINE) if row["status"] == "pending"]
    random.shuffle(waiting)
    signed = {}
    for row in waiting:
        try:
            governance.approve(row["proposal_id"], "sam", "fine", TEN)
        except Refused:
            event(f"refused {row['type']}")
            continue
        event(f"approved {row['type']}")
        signed[row["lever_id"]] = row
        if row["type"] == "launch" and random.random() < 0.2:
            governance.roll_back(governance.changes()[0]["change_id"], "sam", "no", TEN)
            del signed[row["lever_id"]]
        for name in (*TRACKS, None):
            cap = limits.total_daily_cap if name is None else limits.tracks[name].daily_cap
            assert spent(levers, signed, name) * Fraction(5, 4) <= cap
    engine.dispose()


def spent(levers, signed, track) -> Fraction:
    """Dollars a day at worst: each running lever at the larger of its budgets, and everything launched."""
    total = Fraction(0)
    for row in levers:
        if row["status"] == "active" and track in (None, row["track"]):
            asked = signed.get(row["lever_id"], {"proposed_budget": "0"})["proposed_budget"]
            total += max(Fraction(row["current_budget"]), Fraction(asked))
    launched = [row for row in signed.values() if row["type"] == "launch" and track in (None, row["track"])]
    return total + sum(Fraction(row["proposed_budget"]) for row in launched)
