"""All that a slate may launch is what `launch_limits` then lets people sign, launch after launch.

Launches of earlier mornings reserve as `launch_reserves` says: as long as their ad sets do not run.
"""

from __future__ import annotations

import json
from decimal import Decimal

import polars as pl
from hypothesis import event, given, settings
from hypothesis import strategies as st

from aelp_assets.planning import committed_budgets, held_budgets, running_levers
from models.guardrails import GuardrailLimits, TrackLimits, plan_decisions
from models.slates import launch_budgets
from resources.control import launch_limits, launch_reserves
from resources.control.records import BUDGET, LEVER
from tests.resources.control.proposing import NINE, lever, states_of

TRACKS = ("balance", "security")
BUDGETS = ("current_budget", "midnight_budget", "budget_7_days_ago")
WIDE = GuardrailLimits(
    tracks={name: TrackLimits(Decimal(10**9), Decimal(240), Decimal(10**9)) for name in TRACKS},
    total_daily_cap=Decimal(10**9),
    exploration_floor=0.0,
)


@st.composite
def mornings(draw):
    """Levers, earlier launches with the levers they became, and caps that all of it may not fit under."""
    budgets = st.sampled_from(["0", "80.005", "500", "1234.56", "2000"]).map(Decimal)
    known = draw(st.booleans())
    levers = [
        lever(
            f"l{number}",
            track=draw(st.sampled_from([*TRACKS, *TRACKS, "unassigned"])),
            account_id=(account := draw(st.sampled_from(["a1", "a1", "ineligible"]))),
            decision_eligible=account == "a1",
            has_lever=draw(st.sampled_from([True, True, True, False])),
            status=draw(st.sampled_from(["active", "active", "active", "paused", None])),
            p_cac_above_cap=draw(st.sampled_from([0.02, 0.02, 0.95])),
            **dict.fromkeys(BUDGETS, draw(budgets if known else budgets | st.none())),
        )
        for number in range(draw(st.integers(0, 5)))
    ]
    made = st.none() | st.sampled_from([f"l{number}" for number in range(6)])
    earlier = [
        (draw(st.sampled_from(TRACKS)), number, draw(made), draw(st.integers(1, 60_000)) * Decimal("0.01"))
        for number in range(draw(st.integers(0, 3)))
    ]
    cap = st.integers(100_000, 1_500_000).map(lambda cents: cents * Decimal("0.01"))
    overdelivery = draw(st.sampled_from([0.25, 0.0, 0.3]))
    return levers, earlier, {name: draw(cap) for name in (*TRACKS, None)}, overdelivery, draw(st.data())


@settings(max_examples=300, deadline=None)
@given(mornings())
def test_a_slate_s_money_is_never_more_than_may_then_be_signed(morning):
    levers, earlier, caps, overdelivery, data = morning
    states = states_of(*levers)
    decided = pl.col("decision_eligible") & pl.col("track").is_in(TRACKS)
    decisions = plan_decisions(states, WIDE, NINE).join(states.filter(decided), on=LEVER, how="semi")
    launched = pl.DataFrame(
        [(track, f"launch_{number}", "meta", "a1", at, money) for track, number, at, money in earlier],
        schema=dict.fromkeys(("track", "launch_id", *LEVER), pl.String) | {"budget": BUDGET},
        orient="row",
    )
    running = running_levers(states)
    money = launch_budgets(
        committed_budgets(running, decisions, held_budgets(launched, running)),
        {name: caps[name] for name in TRACKS},
        caps[None],
        launch_share=0.2,
        overdelivery=overdelivery,
    )
    reserved = dict.fromkeys(TRACKS, Decimal(0))
    for track, _, at, amount in earlier:
        reserved[track] += 0 if ("meta", "a1", at) in launch_reserves.running(states) else amount
    signed = [
        row
        for row in decisions.filter(pl.col("type") != "hold").iter_rows(named=True)
        if data.draw(st.booleans())
    ]
    for track in data.draw(st.permutations(TRACKS)):
        if not money[track]:
            event("nothing to launch")
            continue
        limits = GuardrailLimits(
            tracks={name: TrackLimits(caps[name], Decimal(240), Decimal(6_000)) for name in TRACKS},
            total_daily_cap=caps[None],
            overdelivery=overdelivery,
            reserved=reserved,
        )
        launch = launch_of(track, money[track])
        assert launch_limits.violations(launch, signed, states, limits, NINE) == []
        event("signed")
        signed.append(launch)
        reserved = reserved | {track: reserved[track] + money[track]}


def launch_of(track: str, budget: Decimal) -> dict[str, object]:
    return {
        **{"platform": "meta", "account_id": "a1", "lever_id": f"launch_{track}", "type": "launch"},
        **{"track": track, "proposed_budget": str(budget)},
        "payload": json.dumps(
            {"target": {"currency": "USD"}, "after": {"status": "paused", "budget": str(budget)}}
        ),
    }
