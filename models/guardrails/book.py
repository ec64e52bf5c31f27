"""The working state of one decision: positions on their way through the rules, and two verdicts they share.

Here: bounds, positions, limits in whole billionths, who must stop, who explores. Not here: the rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from models.guardrails.limits import GuardrailLimits, TrackLimits
from models.guardrails.states import UNIT, Lever, billionths

DAYS_A_WEEK = 7
UNBOUNDED = 10**40


@dataclass(frozen=True)
class Bound:
    """Budgets a rule allows: low <= b <= high, with the reason in words."""

    low: int
    high: int
    why: str


@dataclass
class Position:
    """One lever on its way through the rules."""

    lever: Lever
    low: int = 0
    high: int = UNBOUNDED
    low_before_pace: int = 0
    target: int = 0
    stops: bool = False
    unpaid: str | None = None  # why its edit would not repay what it costs
    bounds: list[tuple[str, Bound]] = field(default_factory=list)
    moved_by: dict[str, str] = field(default_factory=dict)

    @property
    def rises(self) -> bool:
        return self.target > self.lever.current

    def move(self, rule: str, target: int, why: str) -> None:
        if target != self.target:
            self.target = target
            self.moved_by[rule] = why


class Book:
    """All positions of a decision, their limits in billionths, and who explores."""

    def __init__(self, levers: Iterable[Lever], limits: GuardrailLimits, now: datetime) -> None:
        self.limits = limits
        self.now = now
        self.positions = [Position(lever) for lever in levers]
        self.tracks: dict[str, list[Position]] = {}
        for position in self.positions:
            self.tracks.setdefault(position.lever.track, []).append(position)
        self.edit = parts(limits.edit_limit)
        self.day = parts(limits.day_limit)
        self.drift = parts(limits.drift_limit)
        self.floor = -parts(-limits.exploration_floor)
        self.mixed = {
            track
            for track, members in self.tracks.items()
            if len({position.lever.currency for position in members if position.lever.delivers}) > 1
        }

    def track_limits(self, track: str) -> TrackLimits | None:
        return self.limits.tracks.get(track)

    def envelope(self, cap: Decimal) -> int:
        return billionths(cap) * UNIT // (UNIT - parts(-self.limits.overdelivery))

    def explorers(self, track: str) -> list[Position]:
        return [p for p in self.tracks[track] if explores(p.lever, self.limits)]


def parts(fraction: float) -> int:
    """Billionths of a fraction, rounded down (so limits can only tighten)."""
    return int(Fraction(str(fraction)) * UNIT // 1)


def must_stop(lever: Lever, limits: GuardrailLimits) -> bool:
    """P(CAC > cap) above the limit on enough matured spend, on trusted data, where money still flows."""
    track = limits.tracks.get(lever.track)
    return (
        track is not None
        and lever.eligible
        and lever.status == "active"
        and lever.p_above is not None
        and lever.p_above > limits.stop_probability
        and lever.matured_spend >= billionths(track.cac_cap) * Fraction(str(limits.stop_spend_caps))
    )


def explores(lever: Lever, limits: GuardrailLimits) -> bool:
    """Whether spend on this lever still buys knowledge: the posterior does not yet say which side of the cap.

    A lever that delivers in a known track explores when its matured spend is below `stop_spend_caps` caps
    (the stop rule cannot judge it), or 1 - stop_probability < P(CAC > cap) <= stop_probability (it can, and
    is undecided either way). No posterior counts as undecided.
    """
    track = limits.tracks.get(lever.track)
    if track is None or not lever.delivers or must_stop(lever, limits):
        return False
    untested = lever.matured_spend < billionths(track.cac_cap) * Fraction(str(limits.stop_spend_caps))
    p = 0.5 if lever.p_above is None else lever.p_above
    return untested or 1 - limits.stop_probability < p <= limits.stop_probability


def loss_budget_lasts(levers: Iterable[Lever], track: TrackLimits, edit: int) -> bool:
    """Whether one more full step of every explorer still fits the weekly loss budget."""
    weekly = sum(DAYS_A_WEEK * lever.loss_rate * lever.exposure for lever in levers)
    return weekly * (UNIT + edit) <= billionths(track.weekly_loss_budget) * UNIT * UNIT


def percent(fraction: float) -> str:
    """A fraction for a person: three significant digits."""
    return f"{100 * fraction:.3g} %"
