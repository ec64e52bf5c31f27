"""A second opinion: does a set of decisions keep the money invariants?

Here: one check per invariant, written from the invariants and sharing no rule with the planner; the writer
and the blocking check judge every proposal with it, hand-made ones too. Not here: how to repair a violation.

Any subset of a plan may be approved, so sums are taken at their worst: a budget counts at the larger of
what is in force and what is proposed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any

import polars as pl

from models.guardrails.limits import FreezeWindow, GuardrailLimits, TrackLimits

_TYPES = ("raise", "cut", "stop", "hold", "split_test")
_CENT = Decimal("0.01")
_ZERO = Decimal(0)
_KEY = ("platform", "account_id", "lever_id")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Violation:
    """One broken invariant: which rule, at which lever (or track, for sums), and what is wrong."""

    rule: str
    where: str
    message: str


def verify_decisions(
    decisions: pl.DataFrame, states: pl.DataFrame, limits: GuardrailLimits, now: datetime
) -> list[Violation]:
    """Every violation of invariants 2, 3, 5 and 6 in `decisions`; empty if there is none.

    Args:
        decisions: platform, account_id, lever_id, type, advisory, current_budget, proposed_budget; any
            subset of the levers, others count as unchanged.
        states: columns of `STATE_SCHEMA`, all levers. Within a day perhaps `overspends` too: whether today's
            spend passes what the platform may spend at worst, which demands a stop as evidence does.
        limits: the guardrails.
        now: the moment of the check, with a time zone.

    Raises:
        polars.exceptions.ColumnNotFoundError: a needed column is missing.
        ValueError: `now` without a time zone.
    """
    if now.tzinfo is None:
        raise ValueError("now: needs a time zone")
    with localcontext(Context(prec=80)):
        levers: dict[tuple[str, ...], Row] = {_key(row): row for row in states.iter_rows(named=True)}
        rows = decisions.select(*_KEY, "type", "advisory", "current_budget", "proposed_budget")
        found: list[Violation] = []
        proposed: dict[tuple[str, ...], Row] = {}
        for row in rows.iter_rows(named=True):
            key = _key(row)
            if key not in levers:
                found.append(Violation("real_lever", "/".join(key), "no such lever is known"))
            elif key in proposed:
                found.append(Violation("one_decision", "/".join(key), "more than one decision for a lever"))
            else:
                proposed[key] = row
        for key, decision in proposed.items():
            check = _LeverCheck(decision, levers[key], limits, now)
            found += [Violation(rule, "/".join(key), message) for rule, message in check.violations()]
        found += _verify_sums(proposed, levers, limits)
    return found


def _key(row: Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in _KEY)


def _decimal(value: object) -> Decimal | None:
    """A money value or rate as an exact decimal; None where unknown, NaN, infinite or negative."""
    if isinstance(value, Decimal):
        return value if value.is_finite() and value >= 0 else None
    if isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        return Decimal(str(value))
    return None


def _plain(amount: object) -> str:
    """An amount for a person: no zeros beyond the cents."""
    known = _decimal(amount)
    if known is None:
        return "unknown"
    cents = known.quantize(_CENT)
    return f"{cents if cents == known else known.normalize():,f}"


def _probability(value: object) -> float | None:
    return value if isinstance(value, float) and math.isfinite(value) else None


def _budget(state: Row) -> Decimal:
    """Budget in force; 0 where unknown or where the arm has none of its own."""
    known = _decimal(state["current_budget"])
    return known if known is not None and state["has_lever"] else _ZERO


def _delivers(state: Row) -> bool:
    return bool(state["has_lever"]) and state["status"] != "paused"


def _breaks_stop_rule(state: Row, track: TrackLimits | None, limits: GuardrailLimits) -> bool:
    p = _probability(state["p_cac_above_cap"])
    spend = _decimal(state["matured_spend"]) or _ZERO
    if state.get("overspends") is True:
        return bool(state["has_lever"]) and state["status"] == "active"
    return (
        track is not None
        and state["decision_eligible"] is True
        and state["status"] == "active"
        and p is not None
        and p > limits.stop_probability
        and spend >= Decimal(str(limits.stop_spend_caps)) * track.cac_cap
    )


def _is_exploring(state: Row, track: TrackLimits, limits: GuardrailLimits) -> bool:
    if not _delivers(state) or _breaks_stop_rule(state, track, limits):
        return False
    spend = _decimal(state["matured_spend"]) or _ZERO
    if spend < Decimal(str(limits.stop_spend_caps)) * track.cac_cap:
        return True
    p = _probability(state["p_cac_above_cap"])
    return p is None or 1 - limits.stop_probability < p <= limits.stop_probability


def _is_inside(today: date, window: FreezeWindow) -> bool:
    """Whether today is one of the days from the window's first to its last, counted on from the first."""
    first, last = window.first_day, window.last_day
    if isinstance(first, date):
        return isinstance(last, date) and not (today < first or today > last)
    if isinstance(last, date):
        return False
    days = (today.month, today.day), first, last
    place, begins, ends = (31 * (month - 1) + day - 1 for month, day in days)
    return (place - begins) % (12 * 31) <= (ends - begins) % (12 * 31)


def _loss_rate(state: Row) -> Decimal:
    value = state["expected_loss_rate"]
    if not isinstance(value, float) or not math.isfinite(value):
        return Decimal(1)
    return min(max(_ZERO, Decimal(value)), Decimal(1))


class _LeverCheck:
    """Checks of one decision against its lever."""

    def __init__(self, row: Row, state: Row, limits: GuardrailLimits, now: datetime) -> None:
        self.row, self.state, self.limits, self.now = row, state, limits, now
        self.track = limits.tracks.get(str(state["track"]))
        self.current = _budget(state)
        self.type = row["type"]

    def violations(self) -> Iterator[tuple[str, str]]:
        proposed, seen = self.row["proposed_budget"], self.row["current_budget"]
        proposed = Decimal(str(proposed)) if isinstance(proposed, int | float) else proposed
        if not isinstance(proposed, Decimal) or not proposed.is_finite() or proposed < 0:
            yield "amount", f"proposed budget {proposed} is not an amount of money"
            return
        if seen is None or Decimal(str(seen)) != self.current:
            yield "stale", f"the decision was made at {_plain(seen)}, but {_plain(self.current)} is in force"
        if self.row["advisory"] is not (self.state["lever_source"] != "platform"):
            yield "advisory", "advisory must be true exactly for levers that no platform reported"
        step = proposed - self.current
        expected = {"raise": step > 0, "cut": step < 0, "stop": proposed == 0}
        if self.type not in _TYPES or not expected.get(self.type, step == 0):
            yield "type", f"type {self.type} does not describe {_plain(self.current)} -> {_plain(proposed)}"
        must_stop = _breaks_stop_rule(self.state, self.track, self.limits)
        if self.limits.kill_switch:
            if step != 0 or self.type not in ("hold",):
                yield "kill", "the kill switch is on"
            return
        if must_stop and self.type != "stop":
            yield "safety_stop", "P(CAC > cap) and matured spend, or today's spend, demand a stop"
        if self.type == "stop":
            if not must_stop:
                yield "safety_stop", "a stop without its evidence"
            return
        if not self.state["has_lever"]:
            if step != 0 or self.type not in ("split_test", "hold"):
                yield "real_lever", "an arm without its own lever gets status or split-test proposals only"
            return
        if self.type == "split_test":
            yield "type", "a lever of its own needs no split test to be edited"
        if step != 0:
            yield from self._edit(proposed, step)

    def _edit(self, proposed: Decimal, step: Decimal) -> Iterator[tuple[str, str]]:
        state, limits = self.state, self.limits
        held = {
            "known_track": self.track is None,
            "account_audit": state["decision_eligible"] is not True,
            "active_status": state["status"] != "active",
            "daily_budget": state["budget_type"] != "daily",
            "learning": state["learning_state"] not in ("active", "limited"),
            "known_state": _decimal(state["current_budget"]) is None,
        }
        for rule, broken in held.items():
            if broken:
                yield rule, "this lever may not be edited"
        edited = state["last_edited_at"]
        if edited is not None and self.now - edited < timedelta(hours=limits.edit_cooldown_hours):
            yield "cooldown", f"edited at {edited}, less than {limits.edit_cooldown_hours} hours ago"
        increment, minimum = _decimal(state["budget_increment"]), _decimal(state["minimum_budget"])
        if not increment or proposed % increment or proposed % _CENT:
            whole = f"whole increments of {_plain(increment)} and whole cents"
            yield "increment", f"{_plain(proposed)} is not in {whole}"
        if increment and abs(step) < increment:
            yield "increment", f"a step of {_plain(abs(step))} is below the increment {_plain(increment)}"
        if minimum is None or proposed < minimum:
            yield "minimum", f"{_plain(proposed)} is below the platform minimum {_plain(minimum)}"
        if step > 0:
            yield from self._raise(proposed)

    def _raise(self, proposed: Decimal) -> Iterator[tuple[str, str]]:
        state, limits = self.state, self.limits
        if proposed > self.current * (1 + Decimal(str(limits.edit_limit))):
            step = f"{_plain(self.current)} -> {_plain(proposed)}"
            yield "pace", f"{step} is more than {limits.edit_limit:.0%} in one edit"
        midnight = _decimal(state["midnight_budget"])
        if midnight is None or proposed > midnight * (1 + Decimal(str(limits.day_limit))):
            before = f"midnight's {_plain(midnight)}"
            yield "pace", f"{_plain(proposed)} is more than {limits.day_limit:.0%} above {before}"
        today = self.now.astimezone(limits.timezone).date()
        for window in limits.freeze_windows:
            if window.track in (None, state["track"]) and _is_inside(today, window):
                yield "seasonal_freeze", f"nothing rises during {window.name}"
        if state["is_shared"] is not False:
            yield "shared_budget", "a shared budget may not be raised"
        track_p = _probability(state["track_p_cac_above_cap"])
        if track_p is None or track_p > limits.track_raise_probability:
            yield "track_evidence", f"the track's P(CAC > cap) is {track_p}"
        p = _probability(state["p_cac_above_cap"])
        if p is None or p > limits.freeze_probability:
            yield "freeze", f"P(CAC > cap) is {p}"
        for name in ("marginal_contribution", "track_contribution"):
            margin = _probability(state[name])
            if margin is None or margin <= 0:
                yield "contribution", f"{name} is {margin}"


def _verify_sums(
    proposed: Mapping[tuple[str, ...], Row],
    levers: Mapping[tuple[str, ...], Row],
    limits: GuardrailLimits,
) -> Iterator[Violation]:
    plans = [_Plan(state, proposed.get(key)) for key, state in levers.items()]
    launched = sum(limits.reserved.values(), _ZERO)
    yield from _verify_cap(plans, launched, limits.total_daily_cap, limits, "total")
    for envelope in limits.channel_envelopes:
        budgets = [plan for key, plan in zip(levers, plans, strict=True) if key in envelope.levers]
        worst = sum((plan.worst for plan in budgets), _ZERO)
        if worst > envelope.daily and any(plan.rises for plan in budgets):
            said = f"budgets may add up to {_plain(worst)}, above the media mix's {_plain(envelope.daily)}"
            yield Violation("channel_envelope", f"{envelope.track} {envelope.channel}", said)
    tracks: dict[str, list[_Plan]] = {}
    for plan in plans:
        tracks.setdefault(str(plan.state["track"]), []).append(plan)
    for name, members in tracks.items():
        track = limits.tracks.get(name)
        if track is None:
            continue  # any edit there is already a violation
        launched = limits.reserved.get(name, _ZERO)
        yield from _verify_cap(members, launched, track.daily_cap, limits, name)
        yield from _verify_drift(members, limits, name)
        over_cap = any(
            sum((plan.in_force for plan in sharing), _ZERO) * (1 + Decimal(str(limits.overdelivery))) > cap
            for sharing, cap in ((plans, limits.total_daily_cap), (members, track.daily_cap))
        )
        yield from _verify_exploration(members, track, limits, name, over_cap=over_cap)
        currencies = {plan.state["currency"] or "" for plan in members if plan.delivers}
        if len(currencies) > 1 and any(plan.rises for plan in members):
            yield Violation(
                "one_currency", name, f"an increase in a track of currencies {sorted(currencies)}"
            )


class _Plan:
    """A lever's budget in force and at its worst under any subset of the decisions."""

    def __init__(self, state: Row, row: Row | None) -> None:
        self.state = state
        self.delivers = _delivers(state)
        self.current = _budget(state)
        after = _decimal(row["proposed_budget"]) if row is not None else None
        self.proposed = self.current if after is None else after
        self.rises = self.proposed > self.current
        self.worst = max(self.current, self.proposed) if self.delivers or self.rises else _ZERO
        self.in_force = self.current if self.delivers else _ZERO


def _verify_cap(
    plans: list[_Plan], launched: Decimal, cap: Decimal, limits: GuardrailLimits, name: str
) -> Iterator[Violation]:
    """`launched`: dollars a day of approved launches under this cap that no plan holds."""
    if not any(plan.rises for plan in plans):
        return  # above the cap without an increase is infeasible, and holding is allowed
    if any(plan.delivers and _decimal(plan.state["current_budget"]) is None for plan in plans):
        yield Violation("cap", name, "an increase although a budget under this cap is unknown")
    budgets = sum((plan.worst for plan in plans), launched)
    worst = budgets * (1 + Decimal(str(limits.overdelivery)))
    if worst > cap:
        beside = f", {_plain(launched)} a day of approved launches among it," if launched else ""
        said = f"worst-case delivery {_plain(worst)}{beside} exceeds the cap {_plain(cap)}"
        yield Violation("cap", name, said)


def _verify_drift(plans: list[_Plan], limits: GuardrailLimits, name: str) -> Iterator[Violation]:
    def week_ago(plan: _Plan) -> Decimal:
        return _decimal(plan.state["budget_7_days_ago"]) or _ZERO

    base = sum((week_ago(plan) for plan in plans if plan.state["has_lever"]), _ZERO)
    before = sum((max(_ZERO, plan.in_force - week_ago(plan)) for plan in plans), _ZERO)
    after = sum((max(_ZERO, plan.worst - week_ago(plan)) for plan in plans), _ZERO)
    # Increases that only win back what a lever had a week ago add no drift.
    if after > before and after > Decimal(str(limits.drift_limit)) * base:
        yield Violation(
            "weekly_drift", name, f"increases of {_plain(after)} over seven days on {_plain(base)}"
        )


def _verify_exploration(
    plans: list[_Plan], track: TrackLimits, limits: GuardrailLimits, name: str, *, over_cap: bool
) -> Iterator[Violation]:
    explorers = [plan for plan in plans if _is_exploring(plan.state, track, limits)]
    others = [plan for plan in plans if plan.delivers and plan not in explorers]

    def loss(budget: Callable[[_Plan], Decimal]) -> Decimal:
        return sum((7 * _loss_rate(plan.state) * budget(plan) for plan in explorers), _ZERO)

    worst_loss = loss(lambda plan: plan.worst)
    if any(plan.rises for plan in explorers) and worst_loss > track.weekly_loss_budget:
        yield Violation("loss_budget", name, f"exploration may lose {worst_loss:.2f} a week")
    lasts = loss(lambda plan: plan.in_force) * (1 + Decimal(str(limits.edit_limit))) <= (
        track.weekly_loss_budget
    )
    kept = sum((min(plan.in_force, plan.proposed) for plan in explorers), _ZERO)
    spent = kept + sum((plan.worst for plan in others), _ZERO)
    floor = Decimal(str(limits.exploration_floor))
    if lasts and kept < floor * spent and any(plan.in_force for plan in explorers):
        if any(plan.rises for plan in others):
            yield Violation("exploration_floor", name, "an exploiting lever rises below the floor")
        # Caps outrank the floor, so above a cap an explorer may be cut.
        if not over_cap and any(plan.proposed < plan.current for plan in explorers):
            yield Violation("exploration_floor", name, "an exploring lever is cut below the floor")
