"""Rules about one lever: which of its budgets may be proposed, and why, in words.

Here: one small function per rule. Not here: their order and how they combine (`planner`), sums over levers
(`group_rules`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from models.guardrails.book import UNBOUNDED, Book, Bound, Position, must_stop, percent
from models.guardrails.states import UNIT, billionths, money_text

# An edit in any other learning state, an unreported one included, could reset the platform's learning.
_EDITABLE_LEARNING_STATES = ("active", "limited")

LeverRule = Callable[[Position, Book], Bound | None]


def _hold(position: Position, why: str) -> Bound:
    return Bound(position.lever.current, position.lever.current, why)


def _no_raise(position: Position, why: str) -> Bound:
    return Bound(0, position.lever.current, why)


def kill(position: Position, book: Book) -> Bound | None:
    """Nothing at all moves while a person has pulled the switch."""
    if not book.limits.kill_switch:
        return None
    said = f" ({book.limits.kill_reason})" if book.limits.kill_reason else ""
    return _hold(position, f"the kill switch is on{said}, so nothing moves")


def safety_stop(position: Position, book: Book) -> Bound | None:
    """Stop on evidence: see `must_stop`."""
    lever, limits = position.lever, book.limits
    track = book.track_limits(lever.track)
    if track is None or lever.p_above is None or not must_stop(lever, limits):
        return None
    caps = lever.matured_spend / billionths(track.cac_cap)
    return Bound(
        0,
        0,
        f"P(CAC > {track.cac_cap:,.2f}) is {percent(lever.p_above)} after "
        f"{money_text(lever.matured_spend)} of matured spend, {caps:.1f} caps "
        f"(the rule needs more than {percent(limits.stop_probability)} and {limits.stop_spend_caps:g} caps)",
    )


def own_lever(position: Position, book: Book) -> Bound | None:
    """An arm without a budget of its own cannot be edited, only switched or tested."""
    if position.lever.has_lever:
        return None
    return _hold(position, "its budget sits on another entity, so only status and split tests are possible")


def known_track(position: Position, book: Book) -> Bound | None:
    """A lever of no configured track has no caps, so nothing can be shown to be safe."""
    if book.track_limits(position.lever.track) is not None:
        return None
    return _hold(position, f"no caps are set for track {position.lever.track or 'unknown'!r}")


def account_audit(position: Position, book: Book) -> Bound | None:
    """Accounts that failed the plausibility audit, or went stale, are shown and held."""
    if position.lever.eligible:
        return None
    return _hold(position, "its account's data may not drive a decision today")


def active_status(position: Position, book: Book) -> Bound | None:
    """Only what delivers can be edited; enabling is a person's decision."""
    if position.lever.status == "active":
        return None
    return _hold(position, f"its status is {position.lever.status or 'unknown'}")


def known_state(position: Position, book: Book) -> Bound | None:
    """Unknown or inconsistent platform facts: hold."""
    lever = position.lever
    if lever.known_budget is None:
        return _hold(position, "its budget in force is unknown or negative")
    if lever.minimum is None or lever.step is None:
        return _hold(position, "its platform minimum or increment is unknown")
    if lever.minimum > lever.current:
        return _hold(
            position,
            f"its budget lies below the platform minimum of {money_text(lever.minimum)}, "
            "which no allowed step reaches",
        )
    return None


def daily_budget(position: Position, book: Book) -> Bound | None:
    """A lifetime budget is no rate, so a step in it has no meaning here."""
    if position.lever.budget_type == "daily":
        return None
    return _hold(position, f"its budget is {position.lever.budget_type or 'of unknown type'}, not daily")


def learning(position: Position, book: Book) -> Bound | None:
    """No edit while the platform learns, and none while it does not say whether it does."""
    if position.lever.learning_state in _EDITABLE_LEARNING_STATES:
        return None
    state = position.lever.learning_state or "unknown"
    return _hold(position, f"the platform's learning state is {state}, and an edit would reset it")


def cooldown(position: Position, book: Book) -> Bound | None:
    """One edit per lever per 72 hours; an edit dated in the future counts as just made."""
    edited = position.lever.last_edited_at
    if edited is None or book.now - edited >= timedelta(hours=book.limits.edit_cooldown_hours):
        return None
    age = (book.now - edited) / timedelta(hours=1)
    return _hold(
        position, f"it was edited {age:.0f} hours ago and {book.limits.edit_cooldown_hours} must pass"
    )


def minimum(position: Position, book: Book) -> Bound | None:
    """No cut below the platform's minimum."""
    lowest = position.lever.minimum or 0
    return Bound(lowest, UNBOUNDED, f"the platform minimum is {money_text(lowest)}")


def shared_budget(position: Position, book: Book) -> Bound | None:
    """A shared budget may fall, never rise."""
    if not position.lever.is_shared:
        return None
    return _no_raise(position, "it is shared, or not known not to be, so an increase could leave this track")


def seasonal_freeze(position: Position, book: Book) -> Bound | None:
    """On a season's most expensive days nothing rises; what must stop or shrink still may."""
    today = book.now.astimezone(book.limits.timezone).date()
    for window in book.limits.freeze_windows:
        if window.track in (None, position.lever.track) and window.covers(today):
            return _no_raise(position, f"nothing rises during {window.name}")
    return None


def one_currency(position: Position, book: Book) -> Bound | None:
    """Sums over several currencies mean nothing."""
    if position.lever.track not in book.mixed:
        return None
    return _no_raise(position, "its track mixes currencies, so no sum can be held against a cap")


def track_evidence(position: Position, book: Book) -> Bound | None:
    """Increases need the track's P(CAC > cap) at or below the limit."""
    p, limit = position.lever.track_p_above, book.limits.track_raise_probability
    if p is not None and p <= limit:
        return None
    shown = "unknown" if p is None else percent(p)
    return _no_raise(
        position, f"the track's P(CAC > cap) is {shown} and increases need {percent(limit)} or less"
    )


def contribution(position: Position, book: Book) -> Bound | None:
    """CAC within its cap can still lose money: the next dollar must earn more than itself."""
    margin, track = position.lever.marginal_contribution, position.lever.track_contribution
    if margin is not None and track is not None and margin > 0 and track > 0:
        return None
    if margin is None or track is None:
        return _no_raise(position, "its contribution margin is unknown")
    value, whose = (margin, "one more dollar here") if margin <= 0 else (track, "an average track dollar")
    return _no_raise(position, f"{whose} loses {-value:.3g} of contribution")


def freeze(position: Position, book: Book) -> Bound | None:
    """Evidence too thin to stop on can be enough not to raise on."""
    p, limit = position.lever.p_above, book.limits.freeze_probability
    if p is not None and p <= limit:
        return None
    shown = "unknown" if p is None else percent(p)
    return _no_raise(position, f"P(CAC > cap) is {shown}, above {percent(limit)}, which freezes increases")


def pace(position: Position, book: Book) -> Bound | None:
    """Size of one step. Stops and cuts for a cap outrank it: decreases are exempt by invariant 5."""
    lever = position.lever
    current = lever.current
    high = current + current * book.edit // UNIT
    low = current - current * book.edit // UNIT
    why = f"one edit moves at most {percent(book.limits.edit_limit)}"
    if lever.midnight is None:
        return Bound(low, current, "midnight's budget is unknown, so the day's allowance is too")
    day_high = lever.midnight + lever.midnight * book.day // UNIT
    day_low = lever.midnight - lever.midnight * book.day // UNIT
    if day_high < high or day_low > low:
        share = percent(book.limits.day_limit)
        why += f" and the day at most {share} of midnight's {money_text(lever.midnight)}"
    return Bound(min(current, max(low, day_low)), max(current, min(high, day_high)), why)


def increment(position: Position, book: Book) -> Bound | None:
    """Only whole platform steps; if not even one fits between the bounds above, the lever holds."""
    lever = position.lever
    high = lever.floor_step(position.high)
    return Bound(
        lever.lowest(position.low),
        high if high >= lever.smallest_raise else lever.current,
        f"the platform's step is {money_text(lever.step or 0)}",
    )
