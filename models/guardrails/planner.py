"""From requests to decisions: every rule applied in one fixed order.

Here: the order (`RULES`), how rules combine, the decision frame and its sentence. Not here: what a rule says
(`lever_rules`, `group_rules`), an independent check of the result (`verify`).

How rules combine. Each lever rule allows an interval; going down the list, a rule can only narrow what the
rules above it left (an interval that misses it altogether collapses to its nearest end). The request is
clipped into the result. Then the group rules run from the lowest to the highest, so the higher one has the
last word. No rule raises a lever above what every rule allows; what cannot be placed is left unspent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from models.guardrails import group_rules, lever_rules
from models.guardrails.book import Book, Position, must_stop
from models.guardrails.group_rules import GroupRule
from models.guardrails.lever_rules import LeverRule
from models.guardrails.limits import GuardrailLimits
from models.guardrails.states import CENT, UNIT, LeverKey, amount, money_text, read_levers


@dataclass(frozen=True)
class Rule:
    """One rule with its rank: kill > safety stop > caps > exploration floor > media mix > pace."""

    name: str
    rank: str
    lever: LeverRule | None = None
    group: GroupRule | None = None


# Highest first. "real levers" says what can be edited at all, so a cap never counts on a cut that cannot be
# made; "raise" says which levers may rise, so neither floor nor request overrides evidence.
RULES = (
    Rule("kill", "kill", lever=lever_rules.kill),
    Rule("safety_stop", "safety stop", lever=lever_rules.safety_stop),
    Rule("own_lever", "real levers", lever=lever_rules.own_lever),
    Rule("known_track", "real levers", lever=lever_rules.known_track),
    Rule("account_audit", "real levers", lever=lever_rules.account_audit),
    Rule("active_status", "real levers", lever=lever_rules.active_status),
    Rule("known_state", "real levers", lever=lever_rules.known_state),
    Rule("daily_budget", "real levers", lever=lever_rules.daily_budget),
    Rule("learning", "real levers", lever=lever_rules.learning),
    Rule("cooldown", "real levers", lever=lever_rules.cooldown),
    Rule("minimum", "real levers", lever=lever_rules.minimum),
    Rule("total_cap", "caps", group=group_rules.total_cap),
    Rule("track_cap", "caps", group=group_rules.track_cap),
    Rule("weekly_drift", "caps", group=group_rules.weekly_drift),
    Rule("seasonal_freeze", "raise", lever=lever_rules.seasonal_freeze),
    Rule("shared_budget", "raise", lever=lever_rules.shared_budget),
    Rule("one_currency", "raise", lever=lever_rules.one_currency),
    Rule("track_evidence", "raise", lever=lever_rules.track_evidence),
    Rule("contribution", "raise", lever=lever_rules.contribution),
    Rule("freeze", "raise", lever=lever_rules.freeze),
    Rule("loss_budget", "exploration floor", group=group_rules.loss_budget),
    Rule("exploration_floor", "exploration floor", group=group_rules.exploration_floor),
    Rule("channel_envelope", "media mix", group=group_rules.channel_envelope),
    Rule("pace", "pace", lever=lever_rules.pace),
    Rule("increment", "pace", lever=lever_rules.increment),
)

# No rule: the request itself is dropped, so nothing that a rule demands waits for it.
_LEARNING_COST = "learning_cost"
_ALL_PAID: Mapping[LeverKey, str] = {}
_DECISION_SCHEMA = pl.Schema(
    {
        "platform": pl.String(),
        "account_id": pl.String(),
        "track": pl.String(),
        "lever_id": pl.String(),
        "lever_level": pl.String(),
        "lever_source": pl.String(),
        "advisory": pl.Boolean(),
        "type": pl.String(),
        "current_budget": pl.Decimal(38, 9),
        "thompson_budget": pl.Decimal(38, 9),
        "proposed_budget": pl.Decimal(38, 9),
        "change_fraction": pl.Float64(),
        "binding_rules": pl.String(),
        "reason": pl.String(),
        "p_cac_above_cap": pl.Float64(),
        "track_p_cac_above_cap": pl.Float64(),
        "expected_loss": pl.Float64(),
    }
)


def plan_decisions(
    states: pl.DataFrame,
    limits: GuardrailLimits,
    now: datetime,
    *,
    unpaid: Mapping[LeverKey, str] = _ALL_PAID,
) -> pl.DataFrame:
    """One decision per lever: raise, cut, stop, hold or split_test.

    Args:
        states: columns of `STATE_SCHEMA`; every lever whose budget counts towards a cap must be present,
            including those that may not be edited.
        limits: the guardrails.
        now: the moment of the decision, with a time zone.
        unpaid: levers whose edit would not repay its learning cost, with why: they ask for no change. Stops
            and what a rule demands go on.

    Returns:
        platform, account_id, track, lever_id, lever_level, lever_source, advisory, type, current_budget (0
        where unknown), thompson_budget (in cents), proposed_budget (whole increments and cents),
        change_fraction, binding_rules (JSON list, highest rule first), reason, p_cac_above_cap,
        track_p_cac_above_cap (null where unknown), expected_loss (dollars a week at the proposed budget);
        sorted by key.

    Raises:
        ValueError: missing columns, null or duplicate keys, `now` without a time zone.
    """
    if now.tzinfo is None:
        raise ValueError("now: needs a time zone")
    book = Book(read_levers(states), limits, now)
    for position in book.positions:
        position.unpaid = unpaid.get(position.lever.key)
        _narrow(position, book)
    for rule in reversed(RULES):
        if rule.group is not None:
            rule.group(book)
    return pl.DataFrame(
        [_decision(position, book) for position in book.positions], schema=_DECISION_SCHEMA, orient="row"
    )


def _narrow(position: Position, book: Book) -> None:
    lever = position.lever
    for rule in RULES:
        if rule.name == "pace":
            position.low_before_pace = position.low
        bound = rule.lever(position, book) if rule.lever else None
        if bound is not None:
            position.bounds.append((rule.name, bound))
            low = min(max(bound.low, position.low), position.high)
            position.high = min(max(bound.high, position.low), position.high)
            position.low = low
    position.stops = must_stop(lever, book.limits) and not book.limits.kill_switch
    wanted = min(max(_wish(position), position.low), position.high)
    if wanted < lever.current and position.low < position.high:
        # Towards the budget in force: an ordinary cut is never larger than asked.
        wanted = lever.ceil_step(wanted)
        wanted = lever.current if wanted > lever.largest_after_cut else wanted
    position.target = wanted if wanted <= lever.current else lever.settle(wanted, lever.current)


def _wish(position: Position) -> int:
    return _request(position) if position.unpaid is None else position.lever.current


def _request(position: Position) -> int:
    request = position.lever.request
    return position.lever.current if request is None else request


def _binding(position: Position) -> dict[str, str]:
    """Rules between the request and the answer, highest first, each with its words."""
    value, found = _wish(position), dict(position.moved_by)
    if position.unpaid is not None and position.target == position.lever.current:
        found[_LEARNING_COST] = position.unpaid
    if found and position.target == position.lever.current:
        return _by_rank(found)  # a sum left nothing of the change; the size of a step no longer matters
    for name, bound in position.bounds:
        clipped = min(max(value, bound.low), bound.high)
        # Rounding to a step is only worth a word where it leaves nothing of the request.
        if clipped != value and (name != "increment" or position.target == position.lever.current):
            found[name] = bound.why
        value = clipped
        if value == position.target:
            break
    if value != position.target == position.lever.current and not found:
        found["increment"] = f"the platform's step is {money_text(position.lever.step or 0)}"
    return _by_rank(found)


def _by_rank(found: dict[str, str]) -> dict[str, str]:
    return {name: found[name] for name in (*(rule.name for rule in RULES), _LEARNING_COST) if name in found}


def _decision(position: Position, book: Book) -> tuple[object, ...]:
    lever = position.lever
    binding = _binding(position)
    kind = _kind(position, book)
    change = position.target / lever.current - 1 if lever.current else 0.0
    return (
        *lever.key[:2],
        lever.track,
        lever.key[2],
        lever.level,
        "declared" if lever.declared else "platform",
        lever.declared,
        kind,
        amount(lever.current),
        amount((_request(position) + CENT // 2) // CENT * CENT),
        amount(position.target),
        change,
        json.dumps(list(binding)),
        _reason(position, kind, list(binding.values())),
        lever.p_above,
        lever.track_p_above,
        7 * position.target * lever.loss_rate / UNIT / UNIT if lever.delivers else 0.0,
    )


def _kind(position: Position, book: Book) -> str:
    lever = position.lever
    if position.stops:
        return "stop"
    if not lever.has_lever:
        # What such an arm is worth inside its campaign is confounded by delivery: only a test can say.
        testable = lever.eligible and lever.status == "active" and not book.limits.kill_switch
        track = book.track_limits(lever.track)
        return "split_test" if testable and track and _undecided(position, book) else "hold"
    if position.target == lever.current:
        return "hold"
    return "raise" if position.rises else "cut"


def _undecided(position: Position, book: Book) -> bool:
    p, stop = position.lever.p_above, book.limits.stop_probability
    return p is None or 1 - stop < p <= stop


def _reason(position: Position, kind: str, why: list[str]) -> str:
    lever = position.lever
    before, after = money_text(lever.current), money_text(position.target)
    asked = (
        "the sampler asks for no change"
        if lever.request is None
        else f"the sampler asks for {lever.request_shown:,.2f}"
    )
    if lever.p_above is not None:
        asked += f" at P(CAC > cap) {100 * lever.p_above:.0f} %"
    opening = {
        "raise": f"Raise from {before} to {after} a day: {asked}",
        "cut": f"Cut from {before} to {after} a day: {asked}",
        "stop": f"Stop, now at {before} a day",
        "hold": f"Hold at {before} a day: {asked}",
        "split_test": f"Split-test it: {asked}",
    }[kind]
    separator = ": " if kind == "stop" else "; "
    sentence = opening + (separator + "; ".join(why) if why else "")
    return sentence + ("; advisory, as the export declares this lever." if lever.declared else ".")
