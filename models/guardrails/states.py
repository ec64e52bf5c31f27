"""What the guardrails know of a lever, and exact arithmetic on its budget grid.

Here: the state frame's schema, its reading into whole billionths of a currency unit, steps and rounding.
Not here: rules. Budgets are integers throughout, because a float sum can hide a cent above a cap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from fractions import Fraction

import polars as pl

UNIT = 10**9  # billionths: the resolution of NUMERIC
CENT = UNIT // 100
_EXACT = Context(prec=60)  # NUMERIC has 38 digits, decimal's default context only 28
_MOST = 10**15 * UNIT  # a request beyond this is a direction, not a number

_MONEY = pl.Decimal(38, 9)
STATE_SCHEMA = pl.Schema(
    {
        "platform": pl.String(),
        "account_id": pl.String(),
        "lever_id": pl.String(),
        "track": pl.String(),
        "lever_level": pl.String(),
        "lever_source": pl.String(),  # platform, or declared by a mapping
        "has_lever": pl.Boolean(),  # false: an arm whose budget sits elsewhere (an ad in a CBO campaign)
        "is_shared": pl.Boolean(),
        "decision_eligible": pl.Boolean(),
        "status": pl.String(),
        "learning_state": pl.String(),
        "budget_type": pl.String(),
        "currency": pl.String(),
        "current_budget": _MONEY,
        "midnight_budget": _MONEY,  # at the start of the account's day; null: unknown, so no increase
        "budget_7_days_ago": _MONEY,  # null: a new lever, counted from 0; 0: paused then
        "minimum_budget": _MONEY,
        "budget_increment": _MONEY,
        "last_edited_at": pl.Datetime("us", "UTC"),  # null: no edit on record
        "thompson_budget": pl.Float64(),  # null: the sampler asks for no change
        "matured_spend": _MONEY,  # in the posterior's window
        "p_cac_above_cap": pl.Float64(),
        "track_p_cac_above_cap": pl.Float64(),
        "expected_loss_rate": pl.Float64(),  # E[max(0, 1 - cap * λ)], in [0, 1]; null counts as 1
        "marginal_contribution": pl.Float64(),  # contribution of one more dollar, net of that dollar
        "track_contribution": pl.Float64(),  # contribution of an average dollar of the track, net
    }
)

LeverKey = tuple[str, str, str]


@dataclass(frozen=True)
class Lever:
    """One row of the state frame; money in billionths, unknown or impossible values None."""

    key: LeverKey
    track: str
    level: str
    declared: bool
    has_lever: bool
    is_shared: bool
    eligible: bool
    status: str
    learning_state: str
    budget_type: str
    currency: str
    known_budget: int | None
    midnight: int | None
    week_ago: int
    minimum: int | None
    step: int | None
    last_edited_at: datetime | None
    request: int | None
    request_shown: float
    matured_spend: int
    p_above: float | None
    track_p_above: float | None
    loss_rate: int
    marginal_contribution: float | None
    track_contribution: float | None

    @property
    def current(self) -> int:
        """Budget in force; 0 where unknown or where the arm has none of its own."""
        return self.known_budget or 0 if self.has_lever else 0

    @property
    def delivers(self) -> bool:
        """Whether its budget can be spent today; anything but `paused` counts."""
        return self.has_lever and self.status != "paused"

    @property
    def exposure(self) -> int:
        """Daily budget that counts towards caps."""
        return self.current if self.delivers else 0

    # --- the grid: budgets a change may land on ---

    def floor_step(self, value: int) -> int:
        step = self.step or CENT
        return value // step * step

    def ceil_step(self, value: int) -> int:
        step = self.step or CENT
        return -(-value // step) * step

    @property
    def smallest_raise(self) -> int:
        return self.ceil_step(self.current + (self.step or CENT))

    @property
    def largest_after_cut(self) -> int:
        return self.floor_step(self.current - (self.step or CENT))

    def lowest(self, bound: int) -> int:
        """Smallest reachable budget >= bound: on the grid and a whole step away, or unchanged."""
        lowest = self.ceil_step(max(bound, 0))
        return lowest if lowest <= self.largest_after_cut else self.current

    def settle(self, value: int, lowest: int) -> int:
        """Largest reachable budget <= value (never below `lowest`, which must be reachable)."""
        if value >= self.smallest_raise:
            return self.floor_step(value)
        if value >= self.current:
            return self.current
        return max(min(self.floor_step(value), self.largest_after_cut), lowest)

    def next_up(self, value: int) -> int:
        """The reachable budget after `value`."""
        if value >= self.current:
            return max(self.smallest_raise, self.floor_step(value) + (self.step or CENT))
        up = value + (self.step or CENT)
        return up if up <= self.largest_after_cut else self.current


def read_levers(states: pl.DataFrame) -> list[Lever]:
    """The levers of a state frame, sorted by key.

    Raises:
        ValueError: a missing column, a column of another type, a null key or a duplicate key.
    """
    missing = [name for name in STATE_SCHEMA if name not in states.columns]
    if missing:
        raise ValueError(f"states: missing columns {missing}")
    frame = states.select(STATE_SCHEMA.names()).cast(dict(STATE_SCHEMA.items()))
    key = ["platform", "account_id", "lever_id"]
    if frame.select(pl.any_horizontal(pl.col(key).is_null()).any()).item() or (
        frame.select(key).is_duplicated().any()
    ):
        raise ValueError("states: (platform, account_id, lever_id) must be present and unique")
    return [_read(row) for row in frame.sort(key).iter_rows(named=True)]


def _read(row: dict[str, object]) -> Lever:
    def text(name: str) -> str:
        value = row[name]
        return value if isinstance(value, str) else ""

    def number(name: str) -> float | None:
        value = row[name]
        return value if isinstance(value, float) and math.isfinite(value) else None

    def money(name: str) -> int | None:
        value = row[name]
        return billionths(value) if isinstance(value, Decimal) and value >= 0 else None

    edited = row["last_edited_at"]
    increment = money("budget_increment")
    request, current = number("thompson_budget"), money("current_budget")
    loss_rate = number("expected_loss_rate")
    return Lever(
        key=(text("platform"), text("account_id"), text("lever_id")),
        track=text("track"),
        level=text("lever_level"),
        declared=text("lever_source") != "platform",
        has_lever=row["has_lever"] is True,
        is_shared=row["is_shared"] is not False,
        eligible=row["decision_eligible"] is True,
        status=text("status"),
        learning_state=text("learning_state"),
        budget_type=text("budget_type"),
        currency=text("currency"),
        known_budget=current,
        midnight=money("midnight_budget"),
        week_ago=money("budget_7_days_ago") or 0,
        minimum=money("minimum_budget"),
        # A change must be whole increments and whole cents: the least common multiple is both.
        step=math.lcm(increment, CENT) if increment else None,
        last_edited_at=edited if isinstance(edited, datetime) else None,
        request=None if request is None else max(0, min(_MOST, int(Fraction(request) * UNIT))),
        request_shown=(current or 0) / UNIT if request is None else request,
        matured_spend=money("matured_spend") or 0,
        p_above=number("p_cac_above_cap"),
        track_p_above=number("track_p_cac_above_cap"),
        loss_rate=UNIT if loss_rate is None else math.ceil(Fraction(min(max(loss_rate, 0.0), 1.0)) * UNIT),
        marginal_contribution=number("marginal_contribution"),
        track_contribution=number("track_contribution"),
    )


def billionths(value: Decimal) -> int:
    """Exact integer billionths of a decimal with at most nine places."""
    return int(value.scaleb(9, _EXACT))


def amount(value: int) -> Decimal:
    """The exact decimal of billionths."""
    return Decimal(value).scaleb(-9, _EXACT)


def money_text(value: int) -> str:
    """Billionths for a person, to the cent."""
    return f"{amount(value):,.2f}"


@dataclass
class Claim:
    """A wish for `wanted`, to be met between `base` and `wanted`.

    Budget p costs weight * max(0, p - offset) of the shared room; offset >= base, so `base` is free.
    """

    lever: Lever
    wanted: int
    base: int
    weight: int
    offset: int

    def cost(self, value: int) -> int:
        return self.weight * max(0, value - self.offset)


def fit_within(room: int, claims: Iterable[Claim]) -> dict[LeverKey, int]:
    """Reachable budgets whose costs add up to at most `room`, in proportion to what each claim costs.

    Largest remainder: everyone gets the whole steps of their proportional share, then the steps left over go
    one by one to the largest remainders (ties by key). Without room every claim gets its free part.
    """
    ordered = sorted(claims, key=lambda claim: claim.lever.key)
    costs = [claim.cost(claim.wanted) for claim in ordered]
    total = sum(costs)
    if total <= max(0, room):
        return {claim.lever.key: claim.wanted for claim in ordered}
    room = max(0, room)
    granted: dict[LeverKey, int] = {}
    remainders: list[tuple[int, int]] = []
    for index, (claim, cost) in enumerate(zip(ordered, costs, strict=True)):
        share = cost * room // total
        ceiling = claim.offset + share // claim.weight if claim.weight else claim.wanted
        value = claim.lever.settle(min(claim.wanted, ceiling), claim.base)
        granted[claim.lever.key] = value
        remainders.append((claim.cost(value) - share, index))
    left = room - sum(claim.cost(granted[claim.lever.key]) for claim in ordered)
    for _, index in sorted(remainders):
        claim = ordered[index]
        value = granted[claim.lever.key]
        up = claim.lever.next_up(value)
        step = claim.cost(up) - claim.cost(value)
        if up <= claim.wanted and step <= left:
            granted[claim.lever.key] = up
            left -= step
    return granted
