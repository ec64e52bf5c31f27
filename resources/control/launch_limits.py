"""What a launch must keep besides an approval: paused, no frozen day, a fifth of its track's cap, room.

Here: one launch judged beside the levers in force and what is approved for its morning (money invariant 5).
Not here: edits of levers (`models.guardrails`), what a launch consists of (`launch_payloads`), what earlier
launches hold (`launch_reserves`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from models.guardrails import GuardrailLimits, Violation
from resources.control.launch_payloads import Launch
from resources.control.records import Record, key_of

LAUNCH = "launch"
# The invariant itself; the settings' launch_share can only be smaller.
_LARGEST_SHARE = Decimal("0.2")
_ZERO = Decimal(0)


def as_row(launch: Launch) -> dict[str, Any]:
    """A launch in the columns of a proposal: a lever that does not exist yet, from nothing to its budget."""
    lane = "screened on its click rate" if launch.lane == "test" else "in the main lane"
    reason = f"Launch creative {launch.creative_id} at {launch.daily_budget:,.2f} a day, {lane}, paused."
    return {
        "platform": launch.platform,
        "account_id": launch.account_id,
        "lever_id": launch.launch_id,
        "type": LAUNCH,
        "decision_id": launch.launch_id,
        "track": launch.track,
        "reason": reason,
        "current_budget": _ZERO,
        "proposed_budget": launch.daily_budget,
    }


def violations(
    proposal: Record,
    approved: Sequence[Record],
    states: pl.DataFrame,
    limits: GuardrailLimits,
    now: datetime,
) -> list[Violation]:
    """The limits a launch breaks.

    Args:
        proposal: a launch, stored or only thought of.
        approved: what is approved for its morning, launches and edits.
        states: `STATE_SCHEMA`, all levers of that morning.
        limits: with what all other approved launches hold, as `reserved`.
        now: the moment of the check; no launch passes on, or to start on, a frozen day.
    """
    return [*_violations(proposal, approved, states, limits), *_frozen(proposal, limits, now)]


def _violations(
    proposal: Record,
    approved: Sequence[Record],
    states: pl.DataFrame,
    limits: GuardrailLimits,
) -> Iterator[Violation]:
    where, budget = proposal["lever_id"], Decimal(proposal["proposed_budget"])
    track = limits.tracks.get(proposal["track"])
    if track is None:
        yield Violation("known_track", where, f"{proposal['track']} is no track of the settings")
        return
    payload = json.loads(proposal["payload"])
    after = payload["after"]
    if after["status"] != "paused" or Decimal(after["budget"]) != budget or budget <= 0:
        yield Violation("launch", where, "a launch starts paused, at the budget that is proposed")
    others = [row for row in approved if row["type"] == LAUNCH and key_of(row) != key_of(proposal)]
    launched = budget + _sum(row for row in others if row["track"] == proposal["track"])
    if launched > _LARGEST_SHARE * track.daily_cap:
        yield Violation(
            "launch_share",
            where,
            f"{launched:,.2f} would be launched, above a fifth of {track.daily_cap:,.2f}",
        )
    of_track = _running(states.filter(pl.col("track") == proposal["track"]))
    currencies = {payload["target"].get("currency") or "", *of_track["currency"].fill_null("")}
    if len(currencies) > 1:
        yield Violation("one_currency", where, f"a launch into a track of currencies {sorted(currencies)}")
    for cap, name in ((track.daily_cap, proposal["track"]), (limits.total_daily_cap, None)):
        levers = states if name is None else states.filter(pl.col("track") == name)
        edits = [row for row in approved if row["type"] != LAUNCH and name in (None, row["track"])]
        in_force = _at_worst(levers, edits)
        if in_force is None:
            yield Violation(
                "cap", where, "a budget under the cap is unknown, so no launch can be shown to fit"
            )
            continue
        beside = limits.reserved_of(name)
        if in_force + beside + budget > limits.envelope(cap):
            launches = f" beside {beside:,.2f} a day of approved launches" if beside else ""
            yield Violation(
                "cap", where, f"it does not fit under the {name or 'total'} cap of {cap:,.2f}{launches}"
            )


def _frozen(proposal: Record, limits: GuardrailLimits, now: datetime) -> Iterator[Violation]:
    days = [now.astimezone(limits.timezone).date(), *_start(proposal, limits)]
    for window in limits.freeze_windows:
        if window.track in (None, proposal["track"]) and any(map(window.covers, days)):
            yield Violation(
                "seasonal_freeze",
                proposal["lever_id"],
                f"nothing is launched during {window.name}; it is planned anew after its last day",
            )


def _start(proposal: Record, limits: GuardrailLimits) -> list[date]:
    """The day it would start; none where its payload, rendered by older code, does not say it apart."""
    said = json.loads(proposal["payload"]).get("launch", {}).get("starts_at")
    return [] if said is None else [datetime.fromisoformat(said).astimezone(limits.timezone).date()]


def _at_worst(levers: pl.DataFrame, edits: Sequence[Record]) -> Decimal | None:
    """Daily budgets that may be spent: of each lever the larger of what is in force and what is approved."""
    larger = {key_of(row): Decimal(row["proposed_budget"]) for row in edits if row["type"] != "stop"}
    total = _ZERO
    for row in _running(levers).iter_rows(named=True):
        if row["current_budget"] is None:
            return None
        total += max(row["current_budget"], larger.get(key_of(row), _ZERO))
    return total


def _running(levers: pl.DataFrame) -> pl.DataFrame:
    return levers.filter(pl.col("has_lever"), pl.col("status").ne_missing("paused"))


def _sum(rows: Iterator[Record]) -> Decimal:
    return sum((Decimal(row["proposed_budget"]) for row in rows), _ZERO)
