"""The limits of the guardrails, checked where they are made.

Here: the numbers a person sets, in their own units. Not here: the rules that use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, tzinfo
from decimal import Decimal


@dataclass(frozen=True)
class TrackLimits:
    """One track's money limits, account currency.

    Raises:
        ValueError: a cap that is not positive, or a negative loss budget.
    """

    daily_cap: Decimal
    cac_cap: Decimal
    weekly_loss_budget: Decimal

    def __post_init__(self) -> None:
        if not (self.daily_cap > 0 and self.cac_cap > 0 and self.weekly_loss_budget >= 0):
            raise ValueError("a track needs positive caps and a loss budget that is not negative")


MonthDay = tuple[int, int]


@dataclass(frozen=True)
class FreezeWindow:
    """Days on which nothing rises and nothing is launched: cuts and stops stay allowed.

    Attributes:
        name: what people call it.
        first_day, last_day: both inclusive. Dates, or month and day for a window that comes round every year
            and may reach over New Year.
        track: the only track it freezes; None: all.

    Raises:
        ValueError: one end a date and the other a day of the year, or dates in the wrong order.
    """

    name: str
    first_day: date | MonthDay
    last_day: date | MonthDay
    track: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.first_day, date) and isinstance(self.last_day, date):
            if self.last_day < self.first_day:
                raise ValueError(f"freeze window {self.name}: ends before it begins")
        elif isinstance(self.first_day, date) or isinstance(self.last_day, date):
            raise ValueError(f"freeze window {self.name}: give both days with a year, or both without")

    def covers(self, day: date) -> bool:
        """Whether a day lies in it."""
        if isinstance(self.first_day, date) and isinstance(self.last_day, date):
            return self.first_day <= day <= self.last_day
        of_year = day.month, day.day
        began, ended = self.first_day <= of_year, of_year <= self.last_day  # type: ignore[operator]
        return began and ended if self.first_day <= self.last_day else began or ended  # type: ignore[operator]


@dataclass(frozen=True)
class ChannelEnvelope:
    """What the media mix gives a channel of a track.

    Attributes:
        levers: (platform, account_id, lever_id) of all the channel's levers, those nobody may edit included.
        daily: dollars a day their budgets may rise to together; from above they come down to it step by step.

    Raises:
        ValueError: a negative amount.
    """

    track: str
    channel: str
    levers: frozenset[tuple[str, str, str]]
    daily: Decimal

    def __post_init__(self) -> None:
        if not self.daily >= 0:
            raise ValueError(
                f"channel envelope {self.track} {self.channel}: must be >= 0 (found {self.daily})"
            )


@dataclass(frozen=True)
class GuardrailLimits:
    """Bounds of one decision. Fractions are of the budget they bound; caps are dollars of spend a day.

    Caps bound what the platform may spend at worst: the sum of budgets times (1 + overdelivery). Limits can
    only be tightened: a value looser than the invariant is refused. Freeze windows are days in `timezone`;
    `kill_reason` says who pulled the kill switch and why. `reserved` are dollars a day by track that no lever
    holds yet, for approved launches: nothing rises into them, and nothing is cut for them.
    `channel_envelopes` bound what is planned; no two of them share a lever.

    Raises:
        ValueError: a limit outside its range, named.
    """

    tracks: Mapping[str, TrackLimits]
    total_daily_cap: Decimal
    edit_limit: float = 0.05
    day_limit: float = 0.10
    drift_limit: float = 0.20
    edit_cooldown_hours: int = 72
    stop_probability: float = 0.9
    stop_spend_caps: float = 4.0
    freeze_probability: float = 0.5
    track_raise_probability: float = 0.2
    exploration_floor: float = 0.10
    overdelivery: float = 0.25
    kill_switch: bool = field(default=False)
    kill_reason: str = ""
    freeze_windows: tuple[FreezeWindow, ...] = ()
    timezone: tzinfo = UTC
    reserved: Mapping[str, Decimal] = field(default_factory=dict)
    channel_envelopes: tuple[ChannelEnvelope, ...] = ()

    def __post_init__(self) -> None:
        ranges = {
            "total_daily_cap": (self.total_daily_cap > 0, "> 0"),
            "edit_limit": (0 < self.edit_limit <= 0.05, "in (0, 0.05]"),
            "day_limit": (0 < self.day_limit <= 0.10, "in (0, 0.10]"),
            "drift_limit": (0 < self.drift_limit <= 0.20, "in (0, 0.20]"),
            "edit_cooldown_hours": (self.edit_cooldown_hours >= 72, ">= 72"),
            "stop_probability": (0.9 <= self.stop_probability <= 1, "in [0.9, 1]"),
            "stop_spend_caps": (self.stop_spend_caps >= 4, ">= 4"),
            "freeze_probability": (0 < self.freeze_probability <= 0.5, "in (0, 0.5]"),
            "track_raise_probability": (0 < self.track_raise_probability <= 0.2, "in (0, 0.2]"),
            "exploration_floor": (0 <= self.exploration_floor <= 0.5, "in [0, 0.5]"),
            "overdelivery": (0 <= self.overdelivery <= 1, "in [0, 1]"),
            "reserved": (all(amount >= 0 for amount in self.reserved.values()), ">= 0"),
            "channel_envelopes": (self._share_no_lever(), "of different levers"),
        }
        for name, (holds, allowed) in ranges.items():
            if not holds:
                raise ValueError(f"{name}: must be {allowed} (found {getattr(self, name)!r})")

    def _share_no_lever(self) -> bool:
        levers = [lever for envelope in self.channel_envelopes for lever in envelope.levers]
        return len(levers) == len(set(levers))

    def envelope(self, cap: Decimal) -> Decimal:
        """Largest sum of daily budgets whose worst-case delivery stays within `cap`."""
        return cap / (1 + Decimal(str(self.overdelivery)))

    def reserved_of(self, track: str | None) -> Decimal:
        """What is reserved in a track; None: in all of them together."""
        held = self.reserved.items()
        return sum((amount for name, amount in held if track in (None, name)), Decimal(0))
