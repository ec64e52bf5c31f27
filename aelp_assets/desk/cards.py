"""What the page shows of each proposal, track and change, gathered from control store, settings and figures.

Here: choosing and comparing. Not here: wording and layout (the templates), reading (`figures`), rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from aelp_assets.decision_report import value_text
from aelp_assets.desk.figures import Figures, forecast_at
from models.guardrails import STATE_SCHEMA, GuardrailLimits
from resources.control.arm_payloads import ARM_TYPES
from resources.control.governance import Governance
from resources.control.records import AELP, FAILED, IN_VAIN, OPEN, Record, Refused, has_begun, key_of

CHANGES_SHOWN = 50
_EDITS = ("raise", "cut", "stop")


@dataclass(frozen=True)
class Interval:
    """Where a lever's CAC lies beside its cap, as shares of the drawing's width; None: beyond it."""

    low: float
    middle: float | None
    high: float
    cap: float
    is_open: bool


@dataclass(frozen=True)
class Card:
    """A proposal that waits.

    Attributes:
        belief: row of `bandit_posteriors`; None: not to be read now.
        forecast: of the first day at the new budget (a stop: at the one in force); None: not forecast.
        cac_cap: of the track; None: the settings no longer know it.
        signups_change: expected, a day. expected_loss, loss_now: beyond the cap, dollars a week at the new
            budget and at the one in force.
        learning_cost: dollars the edit loses while the platform learns again; None where it was not decided.
        rules: that changed what the sampler asked for. replaced: AELP's own, where a person gave another.
        added: dollars a day. may_be_held: approving it draws whether it is held.
        is_alone: the approver's signature is enough. has_signed: the approver did.
        objections: of the guardrails, now.
        disturbs: experiments going on that it would disturb.
    """

    proposal: Record
    before: Decimal
    after: Decimal
    share: float | None
    belief: Record | None
    forecast: Record | None
    interval: Interval | None
    cac_cap: Decimal | None
    signups_change: float | None
    expected_loss: float
    loss_now: float
    learning_cost: float | None
    rules: Sequence[str]
    replaced: Record | None
    added: Decimal
    may_be_held: bool
    is_alone: bool
    has_signed: bool
    signed_by: Sequence[Record]
    objections: Sequence[str]
    disturbs: Sequence[str]
    call: str

    @property
    def is_over(self) -> bool:
        """Even the good end of the CAC lies above the cap."""
        return self._lies_above("cac_p10")

    @property
    def is_doubtful(self) -> bool:
        """The bad end of the CAC lies above the cap."""
        return self._lies_above("cac_p90")

    def _lies_above(self, name: str) -> bool:
        if self.belief is None or self.cac_cap is None:
            return False
        return self.belief[name] is None or self.belief[name] > self.cac_cap


@dataclass(frozen=True)
class TrackCards:
    """A track's proposals with its budgets, dollars a day.

    Attributes:
        in_force, with_approved, with_all: added up as they are, with what is approved, if all of this is.
            None where the stored lever states were changed since.
        cap: of spend; envelope: what budgets may add up to, over-delivery reserved.
        not_proposed: edits decided this morning that nobody can approve, stops first.
    """

    name: str
    morning: date
    cards: Sequence[Card]
    in_force: Decimal | None
    with_approved: Decimal
    with_all: Decimal
    cap: Decimal | None
    envelope: Decimal | None
    overdelivery: float
    not_proposed: Sequence[Record]


@dataclass(frozen=True)
class View:
    """Who looks at which control store, when, and by what limits.

    Attributes:
        elasticity: of signups on budget, in (0, 1), where a decision says none of its own.
    """

    governance: Governance
    limits: GuardrailLimits
    elasticity: float
    approver: str
    now: datetime


def tracks(view: View, figures: Mapping[date, Figures]) -> list[TrackCards]:
    """What waits for a decision by morning, newest first, and track; stops, then what moves most."""
    known = view.governance.proposals(view.now)
    proposals = [row for row in known if row["type"] not in ARM_TYPES]  # those are `arm_cards`'
    open_tracks = sorted(
        {(row["as_of_date"], row["track"]) for row in proposals if row["status"] in OPEN},
        key=lambda pair: (-pair[0].toordinal(), pair[1]),
    )
    found = []
    for morning, track in open_tracks:
        rows = [row for row in proposals if (row["as_of_date"], row["track"]) == (morning, track)]
        cards = [_card(view, row, rows, figures[morning]) for row in rows if row["status"] in OPEN]
        cards.sort(key=lambda card: (card.proposal["type"] != "stop", -abs(card.after - card.before)))
        found.append(_track(view, cards, rows, figures[morning]))
    return found


def _track(view: View, cards: Sequence[Card], rows: Sequence[Record], figures: Figures) -> TrackCards:
    """A track's cards with its sums, as of its newest proposal."""
    newest = max((card.proposal for card in cards), key=lambda row: row["created_at"])
    name = newest["track"]
    known_states = _states(view.governance, newest)
    states = (pl.DataFrame(schema=STATE_SCHEMA) if known_states is None else known_states).filter(
        pl.col("track") == name, pl.col("has_lever"), pl.col("status").ne_missing("paused")
    )
    in_force = {key_of(row): row["current_budget"] or Decimal(0) for row in states.iter_rows(named=True)}
    stops_last = sorted(rows, key=lambda row: row["type"] == "stop")  # a stop ends what was approved before
    approved = {key_of(row): _after(row) for row in stops_last if row["status"] == "approved"}
    waiting = {key_of(card.proposal): card.after for card in cards}
    limit = view.limits.tracks.get(name)
    known = {key_of(row) for row in rows}
    left_out = [
        row
        for key, row in figures.decisions.items()
        if row["track"] == name and row["type"] in _EDITS and key not in known
    ]
    return TrackCards(
        name=name,
        morning=newest["as_of_date"],
        cards=cards,
        in_force=None if known_states is None else sum(in_force.values(), Decimal(0)),
        with_approved=sum((in_force | approved).values(), Decimal(0)),
        with_all=sum((in_force | approved | waiting).values(), Decimal(0)),
        cap=limit.daily_cap if limit else None,
        envelope=view.limits.envelope(limit.daily_cap) if limit else None,
        overdelivery=view.limits.overdelivery,
        not_proposed=sorted(left_out, key=lambda row: (row["type"] != "stop", row["lever_id"])),
    )


def _card(view: View, proposal: Record, rows: Sequence[Record], figures: Figures) -> Card:
    """One proposal beside what the warehouse and the other `rows` of its track say of it."""
    key, before, after = key_of(proposal), Decimal(proposal["current_budget"]), _after(proposal)
    belief, decision = figures.beliefs.get(key), figures.decisions.get(key)
    is_decided = decision is not None and decision["proposed_budget"] == after
    limit = view.limits.tracks.get(proposal["track"])
    added = max(Decimal(0), after - before)
    left = view.governance.left_to_add(view.approver, proposal["as_of_date"])
    signed = view.governance.standing_approvals(proposal, view.now)
    replaced = [
        row for row in rows if row["decision_id"] == proposal["decision_id"] and row["proposed_by"] == AELP
    ]
    return Card(
        proposal=proposal,
        before=before,
        after=after,
        share=float(after / before - 1) if before and proposal["type"] != "stop" else None,
        belief=belief,
        forecast=forecast_at(figures.forecasts.get(key, ()), before if proposal["type"] == "stop" else after),
        interval=interval(belief, limit.cac_cap if limit else None),
        cac_cap=limit.cac_cap if limit else None,
        signups_change=signups_change(decision, after, view.elasticity),
        expected_loss=expected_loss(view.governance, proposal, after),
        loss_now=expected_loss(view.governance, proposal, before),
        learning_cost=learning_cost(decision, after),
        rules=json.loads(decision["binding_rules"]) if decision is not None and is_decided else (),
        replaced=replaced[0] if proposal["proposed_by"] != AELP and replaced else None,
        added=added,
        may_be_held=proposal["type"] == "raise" and view.governance.hold.share > 0,
        is_alone=left is None or added <= left or not added or bool(signed),
        has_signed=any(row["approver"] == view.approver for row in signed),
        signed_by=signed,
        objections=objections(view.governance, proposal, view.now),
        disturbs=() if figures.going_on is None else figures.going_on.under(proposal),
        call=json.dumps(json.loads(proposal["payload"])["request"], indent=2, ensure_ascii=False),
    )


def objections(governance: Governance, proposal: Record, now: datetime) -> list[str]:
    """What the guardrails hold against a proposal now, in words."""
    try:
        return [f"{found.rule}: {found.message}" for found in governance.objections(proposal, now)]
    except Refused as refused:
        return [str(refused)]


def _states(governance: Governance, proposal: Record) -> pl.DataFrame | None:
    """The levers as they were; None where they were changed since, which `objections` says."""
    try:
        return governance.lever_states(proposal["states_hash"])
    except Refused:
        return None


def _after(proposal: Record) -> Decimal:
    return Decimal(0) if proposal["type"] == "stop" else Decimal(proposal["proposed_budget"])


def signups_change(decision: Record | None, budget: Decimal, elasticity: float) -> float | None:
    """Expected signups a day won or lost at a budget: the decision's own number along its own curve.

    At budget c in force, b brings E[λ] c ((b/c)^ε - 1), so one decided budget tells any other.

    Args:
        decision: row of `bandit_decisions`.
        elasticity: of signups on budget, in (0, 1), where the decision says none of its own.
    Returns:
        None where nothing was decided, or the decision was to change nothing.
    """
    if decision is None or not decision["current_budget"]:
        return None
    current = decision["current_budget"]
    own = decision.get("elasticity")  # NULL, or absent from a copy, where it was decided without curves
    slope = elasticity if own is None else own
    decided, asked = (float(each / current) ** slope - 1 for each in (decision["proposed_budget"], budget))
    return decision["expected_signups_change"] * asked / decided if decided else None


def learning_cost(decision: Record | None, budget: Decimal) -> float | None:
    """Dollars lost while the platform learns: the decision's own number, in proportion to the budget.

    Args:
        decision: row of `bandit_decisions`.
    Returns:
        None where nothing was decided, or the decision was to change nothing and another budget is asked of.
    """
    if decision is None:
        return None
    decided = decision["proposed_budget"]
    if budget == decided:
        return float(decision["learning_cost"])
    return decision["learning_cost"] * float(budget / decided) if decision["learning_cost"] else None


def expected_loss(governance: Governance, proposal: Record, budget: Decimal) -> float:
    """Dollars a week beyond the cap, as `bandit_decisions` counts them: seven budgets at the loss rate.

    It comes with the lever states, so it is known while the warehouse is not; an unknown rate loses all.
    """
    states = _states(governance, proposal)
    known = [] if states is None else states.iter_rows(named=True)
    here = [row for row in known if key_of(row) == key_of(proposal)]
    rate = here[0]["expected_loss_rate"] if here else None
    return 7 * float(budget) * (1.0 if rate is None else rate)


def interval(belief: Record | None, cac_cap: Decimal | None) -> Interval | None:
    """The drawing of a lever's CAC: twice the cap wide, so that all levers of a track can be compared."""
    if belief is None or cac_cap is None:
        return None
    width = 2 * float(cac_cap)
    low, middle, high = (
        None if belief[name] is None else belief[name] / width for name in ("cac_p10", "cac_p50", "cac_p90")
    )
    return Interval(
        low=min(0.99, 1.0 if low is None else low),
        middle=None if middle is None or middle > 1 else middle,
        high=min(1.0, 1.0 if high is None else high),
        cap=0.5,
        is_open=high is None or high > 1,
    )


def changes(view: View) -> list[dict[str, Any]]:
    """The change feed, newest first; which stand, which were undone, and what came after them."""
    rows = view.governance.changes()
    undoing = {row["undoes"]: row for row in rows if row["undoes"]}
    undone = {change for change, rollback in undoing.items() if rollback["status"] not in IN_VAIN}
    names = {row["proposal_id"]: row["entity_name"] for row in view.governance.proposals(view.now)}
    found = []
    for position, row in enumerate(rows[:CHANGES_SHOWN]):
        later = [
            other["change_id"]
            for other in rows[:position]
            if key_of(other) == key_of(row) and _took_place(other) and other["change_id"] not in undone
        ]
        found.append(
            {
                **row,
                "name": names[row["proposal_id"]] or row["lever_id"],
                "before": value_text(row["before"]),
                "after": value_text(row["after"]),
                "call": json.dumps(json.loads(row["request"]), indent=2, ensure_ascii=False),
                "stands": _took_place(row) and row["change_id"] not in undone,
                "undoing": undoing.get(row["change_id"]),
                "later": later,
            }
        )
    return found


def _took_place(change: Record) -> bool:
    """Whether an edit was made, or is still to be: only such a one can be undone."""
    is_void = change["status"] == "held" or (change["status"] in FAILED and not has_begun(change))
    return change["kind"] == "apply" and not is_void
