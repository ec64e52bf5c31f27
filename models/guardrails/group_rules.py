"""Rules about sums: caps, weekly drift, the loss budget, the exploration floor.

Here: one function per rule, lowering what does not fit; only the exploration floor lifts, and only inside
what every lever rule allows. Not here: order (`planner`), proportional rounding (`states`).

Increases are granted from what today's budgets leave free, never from cuts proposed beside them, so a person
may approve any subset of a plan and the caps still hold. What approved launches may come to spend is not
free either. Where today's budgets already exceed a cap there are only cuts and holds.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from models.guardrails.book import DAYS_A_WEEK, Book, Position, loss_budget_lasts, percent
from models.guardrails.states import UNIT, Claim, LeverKey, billionths, fit_within, money_text

GroupRule = Callable[[Book], None]


def total_cap(book: Book) -> None:
    """All budgets together, worst-case over-delivery included."""
    cap = book.limits.total_daily_cap
    _hold_cap("total_cap", book.positions, book.envelope(cap), cap, None, book)


def track_cap(book: Book) -> None:
    """Each track's budgets, worst-case over-delivery included."""
    for track, members in book.tracks.items():
        if limits := book.track_limits(track):
            cap = limits.daily_cap
            _hold_cap("track_cap", members, book.envelope(cap), cap, track, book)


def _hold_cap(
    rule: str, members: list[Position], envelope: int, cap: Decimal, track: str | None, book: Book
) -> None:
    name = track or "total"
    in_force = sum(position.lever.exposure for position in members)
    risers = [position for position in members if position.rises]
    launched = billionths(book.limits.reserved_of(track))
    reserve = f"{percent(book.limits.overdelivery)} over-delivery reserved"
    if launched:
        reserve += f" and {money_text(launched)} for approved launches"
    if any(position.lever.delivers and position.lever.known_budget is None for position in members):
        why = f"a budget under the {name} cap is unknown, so no increase can be shown to fit"
        _fit(rule, why, 0, [_rise(position, 1) for position in risers], members)
    elif in_force > envelope:
        why = (
            f"budgets in force add up to {money_text(in_force)}, above the {name} cap of {cap:,.2f} "
            f"({money_text(envelope)} with {reserve}), so there are only cuts and holds"
        )
        _fit(rule, why, 0, [_rise(position, 1) for position in risers], members)
    else:
        free = max(0, envelope - in_force - launched)
        why = f"{money_text(free)} is free under the {name} cap of {cap:,.2f} with {reserve}"
        _fit(rule, why, free, [_rise(position, 1) for position in risers], members)
    planned = sum(position.target for position in members if position.lever.delivers)
    if planned <= envelope or in_force <= envelope:
        return
    claims = [_cut(position, position.low_before_pace, 1) for position in members if position.lever.delivers]
    untouchable = planned - sum(claim.wanted - claim.base for claim in claims)
    _fit(rule, why, envelope - untouchable, claims, members)


def channel_envelope(book: Book) -> None:
    """Each channel's budgets within what the media mix gives it; above it, down at the pace of ordinary cuts.

    Budgets are what a platform spends on average, as the envelope is: over-delivery evens out in a week.
    The exploration floor may keep explorers where they are, as what they teach is the mix's evidence too; it
    lifts none above the envelope.
    """
    for envelope in book.limits.channel_envelopes:
        members = [position for position in book.positions if position.lever.key in envelope.levers]
        given = billionths(envelope.daily)
        in_force = sum(position.lever.exposure for position in members)
        why = (
            f"the media mix gives {envelope.channel} {money_text(given)} a day of {envelope.track}, "
            f"and its budgets in force add up to {money_text(in_force)}"
        )
        risers = [_rise(position, 1) for position in members if position.rises]
        _fit("channel_envelope", why, max(0, given - in_force), risers, members)
        planned = sum(position.target for position in members if position.lever.delivers)
        if planned > given and in_force > given:
            claims = [_cut(position, position.low, 1) for position in members if position.lever.delivers]
            untouchable = planned - sum(claim.wanted - claim.base for claim in claims)
            _fit("channel_envelope", why, given - untouchable, claims, members)
        if sum(max(position.lever.exposure, position.high) for position in members) > given:
            for position in members:
                position.high = min(position.high, max(position.lever.current, position.target))


def weekly_drift(book: Book) -> None:
    """Σ max(0, b - b7) / Σ b7 per track. Beyond the limit a second approver is needed; not proposed.

    b7 is what could be spent seven days ago: 0 of a lever that was paused then (`bandits.levers_today`).
    """
    for members in book.tracks.values():
        base = sum(position.lever.week_ago for position in members if position.lever.has_lever)
        drifted = sum(
            max(0, position.lever.exposure - position.lever.week_ago)
            for position in members
            if position.lever.delivers
        )
        room = base * book.drift // UNIT - drifted
        claims = [
            Claim(
                position.lever,
                position.target,
                position.lever.current,
                1,
                max(position.lever.current, position.lever.week_ago),
            )
            for position in members
            if position.rises
        ]
        share = f"{100 * drifted / base:.1f} %" if base else "without a base"
        why = (
            f"the track's increases over seven days are already {share} of {money_text(base)} "
            f"({percent(book.limits.drift_limit)} allowed), and more needs a second approver"
        )
        _fit("weekly_drift", why, room, claims, members)


def loss_budget(book: Book) -> None:
    """Σ over explorers of 7 * budget * E[loss per dollar] <= the track's weekly loss budget."""
    for track in book.tracks:
        limits = book.track_limits(track)
        if limits is None:
            continue
        explorers = book.explorers(track)
        weights = {p.lever.key: DAYS_A_WEEK * p.lever.loss_rate for p in explorers}
        budget = billionths(limits.weekly_loss_budget) * UNIT
        in_force = sum(weights[p.lever.key] * p.lever.exposure for p in explorers)
        expected = money_text(in_force // UNIT)
        why = (
            f"exploring levers are expected to lose {expected} a week at budgets in force "
            f"and the track's loss budget is {limits.weekly_loss_budget:,.2f}"
        )
        exhausted = in_force > budget  # then nobody explores more, not even where it seems to cost nothing
        risers = [_rise(p, 1 if exhausted else weights[p.lever.key]) for p in explorers if p.rises]
        _fit("loss_budget", why, budget - in_force, risers, explorers)
        if exhausted:
            claims = [_cut(p, p.low, weights[p.lever.key]) for p in explorers]
            free = sum(
                claim.weight * (p.target - claim.base) for p, claim in zip(explorers, claims, strict=True)
            )
            planned = sum(weights[p.lever.key] * p.target for p in explorers)
            _fit("loss_budget", why, budget - (planned - free), claims, explorers)


def exploration_floor(book: Book) -> None:
    """At least this share of a track's budget stays with levers that still teach, while losses allow.

    First their cuts are dropped, then they are raised inside their own bounds; exploiting levers may rise
    only as far as the share still holds if none of the explorers' increases is approved.
    """
    for track, members in book.tracks.items():
        limits = book.track_limits(track)
        explorers = book.explorers(track)
        if (
            limits is None
            or not book.floor
            or not any(p.lever.exposure for p in explorers)
            or not loss_budget_lasts((p.lever for p in explorers), limits, book.edit)
        ):
            continue
        inside = {p.lever.key for p in explorers}
        others = [p for p in members if p.lever.key not in inside and p.lever.delivers]
        kept = sum(min(p.lever.current, p.target) for p in explorers)
        rest = sum(max(p.lever.current, p.target) for p in others)
        if kept * UNIT >= book.floor * (kept + rest):
            continue
        in_force = sum(p.lever.current for p in explorers)
        held = in_force + sum(p.lever.current for p in others)
        why = (
            f"exploring levers hold {100 * in_force / held if held else 0:.1f} % of the track's budgets and "
            f"the floor is {percent(book.limits.exploration_floor)}"
        )
        for position in explorers:
            if position.target < position.lever.current:
                position.move("exploration_floor", position.lever.current, why)
        room = in_force * (UNIT - book.floor) // book.floor - sum(p.lever.current for p in others)
        _fit("exploration_floor", why, room, [_rise(p, 1) for p in others if p.rises], members)
        planned = sum(p.target for p in explorers)
        short = book.floor * (planned + sum(p.target for p in others)) - UNIT * planned
        if short > 0:
            wishes = [_lift(p) for p in explorers if p.high > p.target]
            _fit("exploration_floor", why, short // (UNIT - book.floor) + 1, wishes, explorers)


def _rise(position: Position, weight: int) -> Claim:
    current = position.lever.current
    return Claim(position.lever, position.target, current, weight, current)


def _lift(position: Position) -> Claim:
    return Claim(position.lever, position.high, position.target, 1, position.target)


def _cut(position: Position, bound: int, weight: int) -> Claim:
    base = min(position.target, position.lever.lowest(bound))
    return Claim(position.lever, position.target, base, weight, base)


def _fit(rule: str, why: str, room: int, claims: list[Claim], members: list[Position]) -> None:
    if not claims:
        return
    granted: dict[LeverKey, int] = fit_within(room, claims)
    for position in members:
        if position.lever.key in granted:
            position.move(rule, granted[position.lever.key], why)
