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

from aelp_assets.desk.figures import Figures, forecast_at
from models.guardrails import STATE_SCHEMA, GuardrailLimits
from resources.control.governance import Governance
from resources.control.records import AELP, OPEN, Record, Refused, key_of

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
        cac_cap: of the track; None: the settings no longer know it.
        signups_change: expected, a day. expected_loss: beyond the cap, dollars a week at the new budget.
        is_interpolated: signups come from the forecast between two budgets, as nobody decided on this one.
        rules: that changed what the sampler asked for. replaced: AELP's own number, where a person gave another.
        added: dollars a day. is_alone: the approver's signature is enough. has_signed: the approver did.
        objections: of the guardrails, now.
    """

    proposal: Record
    before: Decimal
    after: Decimal
    share: float | None
    belief: Record | None
    interval: Interval | None
    cac_cap: Decimal | None
    signups_change: float | None
    expected_loss: float | None
    is_interpolated: bool
    rules: Sequence[str]
    replaced: Record | None
    added: Decimal
    is_alone: bool
    has_signed: bool
    signed_by: Sequence[Record]
    objections: Sequence[str]
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
    """A track's proposals with its budgets, dollars a day: in force, with what is approved, if all is approved.

    Attributes:
        in_force: None where the stored lever states were changed since.
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


def tracks(
    governance: Governance,
    figures: Mapping[date, Figures],
    limits: GuardrailLimits,
    approver: str,
    now: datetime,
) -> list[TrackCards]:
    """What waits for a decision, by morning (newest first) and track; stops first, then by what moves most."""
    proposals = governance.proposals(now)
    open_tracks = sorted(
        {(row["as_of_date"], row["track"]) for row in proposals if row["status"] in OPEN},
        key=lambda pair: (-pair[0].toordinal(), pair[1]),
    )
    approvals = governance.approvals()
    found = []
    for morning, track in open_tracks:
        rows = [row for row in proposals if (row["as_of_date"], row["track"]) == (morning, track)]
        waiting = [row for row in rows if row["status"] in OPEN]
        left = governance.left_to_add(approver, morning)
        cards = [
            _card(row, proposals, approvals, governance, figures[morning], limits, approver, left, now)
            for row in waiting
        ]
        cards.sort(key=lambda card: (card.proposal["type"] != "stop", -abs(card.after - card.before)))
        found.append(_track(track, morning, cards, rows, governance, figures[morning], limits))
    return found


def _track(
    name: str,
    morning: date,
    cards: Sequence[Card],
    rows: Sequence[Record],
    governance: Governance,
    figures: Figures,
    limits: GuardrailLimits,
) -> TrackCards:
    newest = max((card.proposal for card in cards), key=lambda row: row["created_at"])
    states = _states(governance, newest).filter(
        pl.col("track") == name, pl.col("has_lever"), pl.col("status") != "paused"
    )
    in_force = {key_of(row): row["current_budget"] or Decimal(0) for row in states.iter_rows(named=True)}
    approved = {key_of(row): _after(row) for row in rows if row["status"] == "approved"}
    waiting = {key_of(card.proposal): card.after for card in cards}
    limit = limits.tracks.get(name)
    known = {key_of(row) for row in rows}
    left_out = [
        row
        for key, row in figures.decisions.items()
        if row["track"] == name and row["type"] in _EDITS and key not in known
    ]
    return TrackCards(
        name=name,
        morning=morning,
        cards=cards,
        in_force=sum(in_force.values(), Decimal(0)) if in_force else None,
        with_approved=sum((in_force | approved).values(), Decimal(0)),
        with_all=sum((in_force | approved | waiting).values(), Decimal(0)),
        cap=limit.daily_cap if limit else None,
        envelope=limits.envelope(limit.daily_cap) if limit else None,
        overdelivery=limits.overdelivery,
        not_proposed=sorted(left_out, key=lambda row: (row["type"] != "stop", row["lever_id"])),
    )


def _card(
    proposal: Record,
    proposals: Sequence[Record],
    approvals: Sequence[Record],
    governance: Governance,
    figures: Figures,
    limits: GuardrailLimits,
    approver: str,
    left: Decimal | None,
    now: datetime,
) -> Card:
    key, before, after = key_of(proposal), Decimal(proposal["current_budget"]), _after(proposal)
    track, belief, decision = (
        limits.tracks.get(proposal["track"]),
        figures.beliefs.get(key),
        figures.decisions.get(key),
    )
    is_decided = decision is not None and decision["proposed_budget"] == after
    signups, loss = (
        (decision["expected_signups_change"], decision["expected_loss"])
        if decision is not None and is_decided
        else (_signups_change(figures, proposal), _expected_loss(governance, proposal))
    )
    added = max(Decimal(0), after - before)
    signed = [
        row
        for row in approvals
        if row["proposal_id"] == proposal["proposal_id"] and row["verdict"] == "approve"
    ]
    replaced = [
        row
        for row in proposals
        if row["decision_id"] == proposal["decision_id"] and row["proposed_by"] == AELP
    ]
    by_hand = proposal["proposed_by"] != AELP
    cac_cap = track.cac_cap if track else None
    return Card(
        proposal=proposal,
        before=before,
        after=after,
        share=float(after / before - 1) if before and proposal["type"] != "stop" else None,
        belief=belief,
        interval=interval(belief, cac_cap),
        cac_cap=cac_cap,
        signups_change=signups,
        expected_loss=loss,
        is_interpolated=not is_decided and signups is not None,
        rules=json.loads(decision["binding_rules"]) if decision is not None and is_decided else (),
        replaced=replaced[0] if by_hand and replaced else None,
        added=added,
        is_alone=left is None or added <= left or not added or bool(signed),
        has_signed=any(row["approver"] == approver for row in signed),
        signed_by=signed,
        objections=_objections(governance, proposal, now),
        call=json.dumps(json.loads(proposal["payload"])["request"], indent=2, ensure_ascii=False),
    )


def _objections(governance: Governance, proposal: Record, now: datetime) -> list[str]:
    try:
        return [f"{found.rule}: {found.message}" for found in governance.objections(proposal, now)]
    except Refused as refused:
        return [str(refused)]


def _states(governance: Governance, proposal: Record) -> pl.DataFrame:
    """The levers as they were; none where they were changed since, which `_objections` says."""
    try:
        return governance.lever_states(proposal["states_hash"])
    except Refused:
        return pl.DataFrame(schema=STATE_SCHEMA)


def _after(proposal: Record) -> Decimal:
    return Decimal(0) if proposal["type"] == "stop" else Decimal(proposal["proposed_budget"])


def _signups_change(figures: Figures, proposal: Record) -> float | None:
    """Median signups a day, as forecast of the new budget less as forecast of the one in force."""
    forecasts = figures.forecasts.get(key_of(proposal), ())
    ends = [forecast_at(forecasts, Decimal(proposal[f"{name}_budget"])) for name in ("proposed", "current")]
    after, before = [None if end is None else end["signups_p50"] for end in ends]
    return None if after is None or before is None else float(after - before)


def _expected_loss(governance: Governance, proposal: Record) -> float:
    """As `bandit_decisions` counts it: seven days of the budget at the lever's loss rate, unknown being all."""
    states = _states(governance, proposal)
    here = [row for row in states.iter_rows(named=True) if key_of(row) == key_of(proposal)]
    rate = here[0]["expected_loss_rate"] if here else None
    return 7 * float(_after(proposal)) * (1.0 if rate is None else rate)


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


def changes(governance: Governance) -> list[dict[str, Any]]:
    """The change feed, newest first; which stand, which were undone, and what came after them."""
    rows = governance.changes()
    undone = {row["undoes"]: row for row in rows if row["undoes"]}
    found = []
    for position, row in enumerate(rows):
        later = [
            other["change_id"]
            for other in rows[:position]
            if key_of(other) == key_of(row) and other["kind"] == "apply" and other["change_id"] not in undone
        ]
        found.append(
            {
                **row,
                "before": json.loads(row["before"]),
                "after": json.loads(row["after"]),
                "call": json.dumps(json.loads(row["request"]), indent=2, ensure_ascii=False),
                "stands": row["kind"] == "apply" and row["change_id"] not in undone,
                "undone_by": undone.get(row["change_id"]),
                "later": later,
            }
        )
    return found
