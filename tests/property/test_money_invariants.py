"""Money invariants 2, 3, 5 and 6 hold for any state, judged by an oracle that shares no code with them.

The oracle works in fractions, from the wording of the invariants. The same oracle judges the verifier: on
hand-made proposals the two must agree about whether anything is wrong.
"""

import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from models.guardrails import (
    STATE_SCHEMA,
    ChannelEnvelope,
    FreezeWindow,
    GuardrailLimits,
    TrackLimits,
    plan_decisions,
    verify_decisions,
)
from models.guardrails.states import Claim, fit_within, read_levers

NOW = datetime(2026, 6, 30, 13, tzinfo=UTC)
_WIDE = Context(prec=60)
THOROUGH = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

# --- adversarial states -------------------------------------------------------------------------------


def odd_or(usual, odd, wild):
    """`usual`, and in wild frames now and then something from `odd`."""
    if not wild:
        return usual
    return st.integers(0, 9).flatmap(lambda roll: st.sampled_from(odd) if roll == 0 else usual)


ODD_MONEY = [None, "0", "0.01", "0.000000001", "99.999999999", "1e15", "12345678901234567890.1", "-5"]
ODD_REAL = [None, math.nan, math.inf, -math.inf, 0.0, 1.0, -1.0, 1e300]


@st.composite
def lever_rows(draw, index, mood):
    """healthy: evidence allows increases, so the sums decide; mixed: any evidence; wild: any nonsense too."""
    wild, healthy = mood == "wild", mood == "healthy"

    def money(*usual):
        value = draw(odd_or(st.sampled_from(usual), ODD_MONEY, wild))
        return None if value is None else Decimal(value)

    def real(*usual):
        return draw(odd_or(st.sampled_from(usual), ODD_REAL, wild))

    def mostly(usual, *odd):
        return draw(odd_or(st.just(usual), odd, wild))

    def near(*shares):
        share = draw(odd_or(st.sampled_from(shares), ["0.5", "2", None], wild))
        if current is None or share is None:
            return None
        return _WIDE.quantize(_WIDE.multiply(current, Decimal(share)), Decimal("1e-9"))

    current = money("500", "500", "120.37", "40", "2000", "80.004999")
    hours = draw(st.sampled_from([None, 72, 100, 500, *([0, 71.9, -3] if wild else [])]))
    return {
        "platform": draw(st.sampled_from(["meta", "google_ads"])),
        "account_id": "a1",
        "lever_id": f"l{index}",
        "track": draw(odd_or(st.sampled_from(["security", "balance"]), ["unassigned", None], wild)),
        "lever_level": "adset",
        "lever_source": mostly("platform", "declared", None),
        "has_lever": mostly(True, False, None),
        "is_shared": mostly(False, True, None),
        "decision_eligible": mostly(True, False, None),
        "status": mostly("active", "paused", None),
        "learning_state": mostly("active", "learning", "limited", None),
        "budget_type": mostly("daily", "lifetime", None),
        "currency": mostly("USD", "EUR", None),
        "current_budget": current,
        "midnight_budget": near("1", "1", "0.97", "0.92", "1.2"),
        "budget_7_days_ago": near("1", "1", "0.97", "0.8", "1.2", "0"),
        "minimum_budget": money("0", "1", "5", "450", "499.999"),
        "budget_increment": money("0.01", "0.01", "0.01", "1", "0.007", "5", "50"),
        "last_edited_at": None if hours is None else NOW - timedelta(hours=hours),
        "thompson_budget": real(1000.0, 1000.0, 515.0, 500.0, 100.0, 0.0, 45.55),
        "matured_spend": money("14000", "14000", "960", "959.99", "0", "100"),
        "p_cac_above_cap": real(
            0.0, 0.02, 0.2, 0.45, *([] if healthy else [0.0999, 0.5, 0.500001, 0.9, 0.93])
        ),
        "track_p_cac_above_cap": real(0.01, 0.2, *([] if healthy else [0.1, 0.21])),
        "expected_loss_rate": real(0.0, 0.001, 0.01, 0.05, 0.3),
        "marginal_contribution": real(0.3, 0.01, *([] if healthy else [-0.2])),
        "track_contribution": real(0.4, 0.1, *([] if healthy else [-0.01])),
    }


@st.composite
def state_frames(draw, most=7):
    count = draw(st.integers(1, most))
    mood = draw(st.sampled_from(["healthy", "healthy", "mixed", "wild", "wild"]))
    rows = [draw(lever_rows(index, mood)) for index in range(count)]
    return pl.DataFrame(rows, schema=STATE_SCHEMA)


# With all days they hold, one by one: that is how the oracle knows them.
WINDOWS = {
    (FreezeWindow("June", date(2026, 6, 1), date(2026, 6, 30)),): {(6, day) for day in range(1, 31)},
    (FreezeWindow("July", date(2026, 7, 1), date(2026, 7, 4), "security"),): {(7, 1), (7, 2), (7, 3), (7, 4)},
    (FreezeWindow("each summer", (6, 30), (7, 2), "balance"),): {(6, 30), (7, 1), (7, 2)},
    (FreezeWindow("all but June", (7, 1), (5, 31)),): {
        (month, day) for month in range(1, 13) if month != 6 for day in range(1, 32)
    },
}


CHANNELS = {
    f"{platform} {low}": frozenset((platform, "a1", f"l{index}") for index in range(low, low + 4))
    for platform in ("meta", "google_ads")
    for low in (0, 4)
}
ENVELOPES = ["0", "500", "1010.01", "2000", "40000", "1e15"]


@st.composite
def guardrail_limits(draw):
    def track(cac_cap):
        return TrackLimits(
            Decimal(draw(st.sampled_from(["30000", "30000", "1260", "2500.55", "100", "1e12"]))),
            Decimal(cac_cap),
            Decimal(draw(st.sampled_from(["6000", "6000", "0", "50", "300"]))),
        )

    return GuardrailLimits(
        tracks={"security": track("240"), "balance": track("200")},
        total_daily_cap=Decimal(draw(st.sampled_from(["60000", "60000", "5000", "700", "1e13"]))),
        edit_limit=draw(st.sampled_from([0.05, 0.05, 0.013])),
        day_limit=draw(st.sampled_from([0.10, 0.10, 0.033])),
        drift_limit=draw(st.sampled_from([0.2, 0.2, 0.01])),
        exploration_floor=draw(st.sampled_from([0.1, 0.1, 0.0, 0.5])),
        overdelivery=draw(st.sampled_from([0.25, 0.25, 0.0, 1.0])),
        kill_switch=draw(st.integers(0, 14)) == 9,
        freeze_windows=draw(st.sampled_from([(), (), (), *WINDOWS])),
        # 13:00 in UTC is the 30th there, and the 1st of July already on Kiritimati
        timezone=draw(st.sampled_from([UTC, UTC, ZoneInfo("Pacific/Kiritimati")])),
        # a track that is none still counts in the total
        reserved=draw(
            st.dictionaries(
                st.sampled_from(["security", "balance", "gone"]),
                st.sampled_from([Decimal("0.01"), Decimal("120.5"), Decimal(1_000), Decimal(24_000)]),
                max_size=2,
            )
        ),
        channel_envelopes=tuple(
            ChannelEnvelope("security", name, levers, Decimal(draw(st.sampled_from(ENVELOPES))))
            for name, levers in CHANNELS.items()
            if draw(st.booleans())
        ),
    )


# --- the oracle ---------------------------------------------------------------------------------------


def exact(value):
    """A fraction; None for anything that is not a non-negative finite number."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)) or value < 0:
        return None
    return Fraction(value)


def finite(value):
    return value is not None and math.isfinite(value)


class World:
    """States and proposals seen by the oracle: plain dictionaries of fractions."""

    def __init__(self, states, decisions, bounds):
        self.bounds = bounds
        self.states = {(r["platform"], r["account_id"], r["lever_id"]): r for r in states.to_dicts()}
        self.plans = {(r["platform"], r["account_id"], r["lever_id"]): r for r in decisions.to_dicts()}

    def now(self, key):
        state = self.states[key]
        return (exact(state["current_budget"]) or Fraction(0)) if state["has_lever"] else Fraction(0)

    def then(self, key):
        plan = self.plans.get(key)
        return self.now(key) if plan is None else Fraction(plan["proposed_budget"])

    def runs(self, key):
        return bool(self.states[key]["has_lever"]) and self.states[key]["status"] != "paused"

    def worst(self, key):
        return max(self.now(key), self.then(key)) if self.runs(key) else Fraction(0)

    def limit(self, name):
        return Fraction(str(getattr(self.bounds, name)))

    def track(self, key):
        return self.bounds.tracks.get(self.states[key]["track"])

    def judged(self, key):
        spend = exact(self.states[key]["matured_spend"]) or 0
        return spend >= self.limit("stop_spend_caps") * Fraction(self.track(key).cac_cap)

    def condemned(self, key):
        state = self.states[key]
        if state.get("overspends"):
            return bool(state["has_lever"]) and state["status"] == "active"
        return (
            self.track(key) is not None
            and state["decision_eligible"] is True
            and state["status"] == "active"
            and finite(state["p_cac_above_cap"])
            and state["p_cac_above_cap"] > self.bounds.stop_probability
            and self.judged(key)
        )

    def teaches(self, key):
        if not self.runs(key) or self.condemned(key):
            return False
        p = self.states[key]["p_cac_above_cap"]
        stop = self.bounds.stop_probability
        return not self.judged(key) or not finite(p) or (1 - stop < p <= stop)

    def loss(self, key):
        rate = self.states[key]["expected_loss_rate"]
        return min(max(Fraction(0), Fraction(rate)), Fraction(1)) if finite(rate) else Fraction(1)


def broken_invariants(states, decisions, bounds):
    """Names of broken invariants; empty when all hold."""
    world = World(states, decisions, bounds)
    broken = set()
    for key, plan in world.plans.items():
        state, now, kind = world.states[key], world.now(key), plan["type"]
        if plan["proposed_budget"] is None or plan["proposed_budget"] < 0:
            return {"no negative amount"}
        then = world.then(key)
        if Fraction(plan["current_budget"]) != now:
            broken.add("compare and set")
        moves = {"raise": then > now, "cut": then < now, "stop": then == 0, "hold": then == now}
        if not moves.get(kind, kind == "split_test" and then == now and not state["has_lever"]):
            broken.add("type")
        if plan["advisory"] is not (state["lever_source"] != "platform"):
            broken.add("advisory")
        if bounds.kill_switch:
            if kind != "hold":
                broken.add("kill")
            continue
        if world.condemned(key) != (kind == "stop"):
            broken.add("stop exactly on evidence")
        if kind == "stop" or then == now:
            continue
        if not (
            state["has_lever"]
            and state["status"] == "active"
            and state["decision_eligible"] is True
            and state["budget_type"] == "daily"
            and state["learning_state"] in ("active", "limited")
            and exact(state["current_budget"]) is not None
            and world.track(key) is not None
            and (state["last_edited_at"] is None or NOW - state["last_edited_at"] >= timedelta(hours=72))
        ):
            broken.add("only real, settled levers")
        step = exact(state["budget_increment"])
        if not step or then % step or then % Fraction(1, 100) or abs(then - now) < step:
            broken.add("whole steps")
        least = exact(state["minimum_budget"])
        if least is None or then < least:
            broken.add("minimum")
        if then > now:
            midnight = exact(state["midnight_budget"])
            if then > now * (1 + world.limit("edit_limit")):
                broken.add("edit limit")
            if midnight is None or then > midnight * (1 + world.limit("day_limit")):
                broken.add("day limit")
            local = NOW.astimezone(bounds.timezone)
            (window,) = bounds.freeze_windows or (None,)
            if (
                window is not None
                and (local.month, local.day) in WINDOWS[window,]
                and window.track in (None, state["track"])
            ):
                broken.add("nothing rises in a freeze window")
            if not (
                state["is_shared"] is False
                and finite(state["p_cac_above_cap"])
                and state["p_cac_above_cap"] <= bounds.freeze_probability
                and finite(state["track_p_cac_above_cap"])
                and state["track_p_cac_above_cap"] <= bounds.track_raise_probability
                and all(
                    finite(state[name]) and state[name] > 0
                    for name in ("marginal_contribution", "track_contribution")
                )
            ):
                broken.add("raise on evidence")
    return broken | sums_broken(world)


def sums_broken(world):
    broken = set()
    for envelope in world.bounds.channel_envelopes:
        keys = envelope.levers & world.states.keys()
        raised = any(world.then(key) > world.now(key) for key in keys)
        if raised and sum(world.worst(key) for key in keys) > Fraction(envelope.daily):
            broken.add("channel envelope")
    groups = {None: list(world.states)}
    for key, state in world.states.items():
        if world.track(key) is not None:
            groups.setdefault(state["track"], []).append(key)
    for name, keys in groups.items():
        raised = [key for key in keys if world.then(key) > world.now(key)]
        cap = world.bounds.total_daily_cap if name is None else world.bounds.tracks[name].daily_cap
        unknown = any(world.runs(k) and exact(world.states[k]["current_budget"]) is None for k in keys)
        launched = sum(Fraction(v) for k, v in world.bounds.reserved.items() if name in (None, k))
        worst = (launched + sum(world.worst(key) for key in keys)) * (1 + world.limit("overdelivery"))
        if raised and (unknown or worst > Fraction(cap)):
            broken.add("caps")
        if name is None:
            continue
        if raised and len({world.states[k]["currency"] or "" for k in keys if world.runs(k)}) > 1:
            broken.add("one currency")
        before = {k: exact(world.states[k]["budget_7_days_ago"]) or Fraction(0) for k in keys}
        base = sum(before[k] for k in keys if world.states[k]["has_lever"])
        drift_now = sum(max(0, world.now(k) - before[k]) for k in keys if world.runs(k))
        drift = sum(max(0, world.worst(k) - before[k]) for k in keys if world.runs(k))
        if drift > drift_now and drift > world.limit("drift_limit") * base:
            broken.add("drift")
        full = 1 + world.limit("overdelivery")
        bursting = sum(world.now(k) for k in keys if world.runs(k)) * full > Fraction(cap) or sum(
            world.now(k) for k in world.states if world.runs(k)
        ) * full > Fraction(world.bounds.total_daily_cap)
        broken |= exploration_broken(world, name, keys, raised, bursting)
    return broken


def exploration_broken(world, name, keys, raised, bursting):
    broken = set()
    budget = Fraction(world.bounds.tracks[name].weekly_loss_budget)
    explorers = [k for k in keys if world.teaches(k)]
    worst_loss = sum(7 * world.loss(k) * world.worst(k) for k in explorers)
    if worst_loss > budget and set(raised) & set(explorers):
        broken.add("loss budget")
    loss_now = sum(7 * world.loss(k) * world.now(k) for k in explorers)
    lasts = loss_now * (1 + world.limit("edit_limit")) <= budget
    kept = sum(min(world.now(k), world.then(k)) for k in explorers)
    rest = sum(world.worst(k) for k in keys if world.runs(k) and k not in explorers)
    below = kept < world.limit("exploration_floor") * (kept + rest)
    if lasts and below and any(world.now(k) for k in explorers):
        cut = any(world.then(k) < world.now(k) for k in explorers)
        if set(raised) - set(explorers) or (cut and not bursting):
            broken.add("exploration floor")
    return broken


# --- properties ---------------------------------------------------------------------------------------


@THOROUGH
@given(state_frames(), guardrail_limits())
def test_no_plan_breaks_an_invariant(states, bounds):
    decisions = plan_decisions(states, bounds, NOW)
    for happened in {
        *decisions["type"],
        *(rule for row in decisions["binding_rules"] for rule in json.loads(row)),
    }:
        event(happened)
    assert broken_invariants(states, decisions, bounds) == set()
    assert verify_decisions(decisions, states, bounds, NOW) == []
    assert decisions.height == states.height
    assert decisions["reason"].null_count() == 0


@THOROUGH
@given(state_frames(), guardrail_limits(), st.randoms(use_true_random=False))
def test_any_approved_subset_keeps_the_invariants_of_sums(states, bounds, random):
    decisions = plan_decisions(states, bounds, NOW)
    approved = decisions.filter(
        pl.Series([random.random() < 0.5 for _ in range(decisions.height)], dtype=pl.Boolean)
    )
    assert broken_invariants(states, approved, bounds) == set()


@THOROUGH
@given(state_frames(), guardrail_limits(), st.data())
def test_verifier_and_oracle_agree_on_hand_made_proposals(states, bounds, data):
    decisions = plan_decisions(states, bounds, NOW)
    victim = data.draw(st.integers(0, decisions.height - 1))
    row = decisions.row(victim, named=True)
    factor = data.draw(st.sampled_from(["0", "0.5", "0.97", "1", "1.01", "1.04", "1.05", "1.06", "3", "-1"]))
    proposed = _WIDE.quantize(
        _WIDE.multiply(row["current_budget"], Decimal(factor)),
        Decimal(data.draw(st.sampled_from(["0.01", "0.01", "1", "0.000000001"]))),
    )
    assume(abs(proposed) < Decimal(10) ** 28)
    kind = data.draw(
        st.sampled_from(
            [
                "raise"
                if proposed > row["current_budget"]
                else "cut"
                if proposed < row["current_budget"]
                else "hold"
            ]
            * 6
            + ["stop", "split_test", "hold"]
        )
    )
    if data.draw(st.integers(0, 3)) == 3:  # today's spend demands a stop somewhere, which no plan knows of
        runaway = data.draw(st.integers(0, states.height - 1))
        states = states.with_columns((pl.int_range(pl.len()) == runaway).alias("overspends"))
    rows = decisions.to_dicts()
    rows[victim] |= {"proposed_budget": proposed, "type": kind}
    forged = pl.DataFrame(rows, schema=decisions.schema)
    broken = broken_invariants(states, forged, bounds)
    found = verify_decisions(forged, states, bounds, NOW)
    event("broken" if broken else "kept")
    assert bool(found) == bool(broken), (found, broken)


@settings(THOROUGH, max_examples=100)
@given(state_frames(), guardrail_limits(), st.randoms(use_true_random=False))
def test_row_order_is_irrelevant(states, bounds, random):
    order = list(range(states.height))
    random.shuffle(order)
    assert plan_decisions(states[order], bounds, NOW).equals(plan_decisions(states, bounds, NOW))


@settings(THOROUGH, max_examples=150)
@given(state_frames(), guardrail_limits())
def test_budgets_in_force_above_a_cap_are_never_raised(states, bounds):
    """The infeasible case by itself: hold or cut, never raise."""
    states = states.with_columns(pl.col("current_budget").fill_null(Decimal(1)) + Decimal(40_000_000_000_000))
    decisions = plan_decisions(states, bounds, NOW)
    active = states.filter(
        pl.col("has_lever").fill_null(False) & (pl.col("status").fill_null("") != "paused")
    )
    if active.height:
        assert "raise" not in decisions["type"].to_list()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_large_healthy_account_does_move(seed):
    """Zero violations would be cheap if nothing ever moved: it moves, to the cent, and repeats itself."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(300):
        current = Decimal(round(rng.uniform(20, 150), 2)).quantize(Decimal("0.01"))
        p = float(rng.beta(1, 4))
        rows.append(
            {
                "platform": "meta",
                "account_id": "a1",
                "lever_id": f"l{index:03d}",
                "track": "security" if index % 2 else "balance",
                "lever_level": "adset",
                "lever_source": "platform",
                "has_lever": True,
                "is_shared": False,
                "decision_eligible": True,
                "status": "active",
                "learning_state": "active" if rng.random() < 0.9 else "learning",
                "budget_type": "daily",
                "currency": "USD",
                "current_budget": current,
                "midnight_budget": current,
                "budget_7_days_ago": current,
                "minimum_budget": Decimal(1),
                "budget_increment": Decimal("0.01"),
                "last_edited_at": None,
                "thompson_budget": float(current) * float(rng.uniform(0.5, 2)),
                "matured_spend": Decimal(3000),
                "p_cac_above_cap": p,
                "track_p_cac_above_cap": 0.05,
                "expected_loss_rate": 0.1 * p,
                "marginal_contribution": float(rng.normal(0.2, 0.1)),
                "track_contribution": 0.3,
            }
        )
    states = pl.DataFrame(rows, schema=STATE_SCHEMA)
    bounds = GuardrailLimits(
        # 2 % of room in each track once 25 % over-delivery is reserved.
        tracks={
            name: TrackLimits(
                sum(r["current_budget"] for r in rows if r["track"] == name) * Decimal("1.275"),
                Decimal(240),
                Decimal(6000),
            )
            for name in ("security", "balance")
        },
        total_daily_cap=Decimal(60_000),
    )
    decisions = plan_decisions(states, bounds, NOW)
    assert broken_invariants(states, decisions, bounds) == set()
    kinds = dict(decisions["type"].value_counts().iter_rows())
    assert kinds["raise"] > 60
    assert kinds["cut"] > 60
    shuffled = states.sample(fraction=1, shuffle=True, seed=seed)
    assert decisions.equals(plan_decisions(shuffled, bounds, NOW))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_sharing_room_is_exact_fair_and_wastes_no_step(data):
    count = data.draw(st.integers(1, 6))
    increments = [data.draw(st.sampled_from(["0.01", "1", "5", "0.07"])) for _ in range(count)]
    row = dict.fromkeys(STATE_SCHEMA) | {"platform": "meta", "account_id": "a1", "has_lever": True}
    levers = read_levers(
        pl.DataFrame(
            [
                row
                | {
                    "lever_id": f"l{i}",
                    "current_budget": Decimal(data.draw(st.sampled_from(["100", "33.333", "250.07"]))),
                    "budget_increment": Decimal(increments[i]),
                }
                for i in range(count)
            ],
            schema=STATE_SCHEMA,
        )
    )
    claims = []
    for lever in levers:
        wish = lever.settle(lever.current + data.draw(st.integers(0, 30 * 10**9)), lever.current)
        claims.append(Claim(lever, wish, lever.current, data.draw(st.sampled_from([1, 1, 3])), lever.current))
    room = data.draw(st.integers(-(10**9), 80 * 10**9))
    granted = fit_within(room, claims)
    spent = sum(claim.cost(granted[claim.lever.key]) for claim in claims)
    assert spent <= max(0, room)
    for claim in claims:
        value = granted[claim.lever.key]
        assert claim.base <= value <= claim.wanted
        assert value == claim.lever.current or value % claim.lever.step == 0
    total = sum(claim.cost(claim.wanted) for claim in claims)
    if total <= room:
        assert all(granted[claim.lever.key] == claim.wanted for claim in claims)
