"""How far each channel's weekly spend may move, and which rule says so.

Here: the rules a person sets, their meaning as one interval per channel. Not here: choosing spend inside
them (`allocation`), checking what was chosen (`allocation_check`, which shares no code with this).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.mmm.channel_draws import ChannelDraws
from models.mmm.response import FloatArray

_HALVINGS = 34  # of a range of a few per cent: below a millionth of a cent


@dataclass(frozen=True)
class SpendRules:
    """What an allocation must keep to; None leaves a rule out.

    Attributes:
        budget: dollars a week in all, at most; what cannot be placed well stays unspent.
        step: largest change of a channel, as a share of its current spend.
        day: largest distance from the spend at the start of day, as a share of it.
        marginal_cac_cap: dollars per further conversion that a channel may cost at most,
        cap_probability: with at least this probability.
        portfolio_cac_cap: dollars: this times the mean of the worst draws' conversions must cover the spend.
        tail: share of draws that counts as the worst.
        minimum, maximum: dollars a week, by channel.
        may_not_rise: channels that keep their spend or lose some, with the reason.

    Raises:
        ValueError: a rule outside its range, named.
    """

    budget: float = np.inf
    step: float | None = 0.05
    day: float | None = 0.10
    marginal_cac_cap: float | None = None
    cap_probability: float = 0.9
    portfolio_cac_cap: float | None = None
    tail: float = 0.1
    minimum: Mapping[str, float] = field(default_factory=dict)
    maximum: Mapping[str, float] = field(default_factory=dict)
    may_not_rise: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        caps = (self.marginal_cac_cap, self.portfolio_cac_cap)
        ranges = {
            "budget": (self.budget >= 0, ">= 0"),
            "step": (self.step is None or 0 <= self.step <= 1, "in [0, 1]"),
            "day": (self.day is None or 0 <= self.day <= 1, "in [0, 1]"),
            "marginal_cac_cap, portfolio_cac_cap": (all(cap is None or cap > 0 for cap in caps), "> 0"),
            "cap_probability": (0 < self.cap_probability <= 1, "in (0, 1]"),
            "tail": (0 < self.tail <= 1, "in (0, 1]"),
            "minimum": (all(0 <= each < np.inf for each in self.minimum.values()), ">= 0 and finite"),
            "maximum": (all(each >= 0 for each in self.maximum.values()), ">= 0"),
        }
        for name, (holds, allowed) in ranges.items():
            if not holds:
                raise ValueError(f"{name}: must be {allowed}")

    def require_known(self, channels: tuple[str, ...]) -> None:
        """Raise ValueError where a rule names a channel there is not."""
        named = {*self.minimum, *self.maximum, *self.may_not_rise}
        if strangers := sorted(named - set(channels)):
            raise ValueError(f"rules name unknown channels {strangers}; known are {list(channels)}")


@dataclass(frozen=True)
class SpendBounds:
    """Dollars a week and the rule behind each end, (channels,) each.

    `reachable` is False where no spend meets all of a channel's rules: there it holds or is cut.
    """

    low: FloatArray
    high: FloatArray
    low_rule: tuple[str, ...]
    high_rule: tuple[str, ...]
    reachable: npt.NDArray[np.bool_]


def spend_bounds(
    draws: ChannelDraws, current: FloatArray, rules: SpendRules, start_of_day: FloatArray | None = None
) -> SpendBounds:
    """The interval of every channel.

    A channel's marginal CAC rises with its spend in every draw, so that P(marginal CAC <= cap) falls, and the
    rule on it is an upper bound, found by bisection.

    Args:
        current: dollars a week now, (channels,).
        start_of_day: dollars a week when the day began; None: current.
    Raises:
        ValueError: spend that is negative or not finite, an unknown channel, a channel nothing bounds above.
    """
    rules.require_known(draws.channels)
    morning = current if start_of_day is None else start_of_day
    for name, spend in (("current", current), ("start_of_day", morning)):
        if spend.shape != (len(draws.channels),) or not np.isfinite(spend).all() or (spend < 0).any():
            raise ValueError(f"{name} must hold a finite spend of at least 0 for each channel")
    lows, highs = _sides(draws.channels, current, morning, rules)
    low, low_rule = _tightest(lows, np.argmax)
    high, high_rule = _tightest(highs, np.argmin)
    if unbounded := [name for name, top in zip(draws.channels, high, strict=True) if not np.isfinite(top)]:
        raise ValueError(f"nothing bounds {unbounded} above: give a step, a maximum or a budget")
    reachable = low <= high
    if rules.marginal_cac_cap is not None:
        capped, within = _cap_bound(draws, rules, low, high)
        high_rule = np.where(reachable & (capped < high), "marginal_cac", high_rule)
        high, reachable = np.where(reachable, capped, high), reachable & within
    # No spend meets every rule: hold or cut, as far down as the rules that allow holding let it.
    allowed = {name: np.where(bound <= current, bound, 0.0) for name, bound in lows.items()}
    cut, cut_rule = _tightest(allowed, np.argmax)
    return SpendBounds(
        np.where(reachable, low, cut),
        np.where(reachable, high, current),
        tuple(str(name) for name in np.where(reachable, low_rule, cut_rule)),
        tuple(str(name) for name in np.where(reachable, high_rule, "hold_or_cut")),
        reachable,
    )


def probability_within_cap(draws: ChannelDraws, spend: FloatArray, cap: float) -> FloatArray:
    """P(marginal CAC <= cap) at a spend, (channels,): the share of draws whose next dollar adds 1 / cap."""
    _, slopes = draws.at(spend)
    shares: FloatArray = (slopes * cap >= 1.0).mean(axis=0)
    return shares


def _sides(
    channels: tuple[str, ...], current: FloatArray, morning: FloatArray, rules: SpendRules
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Lower and upper bounds by the rule that sets them; of equal ones the first is named."""
    frozen = np.array([name in rules.may_not_rise for name in channels])
    lows = {"minimum": np.array([rules.minimum.get(name, 0.0) for name in channels])}
    highs = {
        "may_not_rise": np.where(frozen, current, np.inf),
        "maximum": np.array([rules.maximum.get(name, np.inf) for name in channels]),
    }
    for rule, share, start in (("step", rules.step, current), ("day", rules.day, morning)):
        if share is not None:
            lows[rule], highs[rule] = (1 - share) * start, (1 + share) * start
    highs["budget"] = np.full(len(channels), rules.budget)
    return lows, highs


def _tightest(
    sides: Mapping[str, FloatArray], choose: Callable[..., npt.NDArray[np.intp]]
) -> tuple[FloatArray, npt.NDArray[np.str_]]:
    stacked = np.array(list(sides.values()))
    at = choose(stacked, axis=0)
    return stacked[at, np.arange(stacked.shape[1])], np.array(list(sides))[at]


def _cap_bound(
    draws: ChannelDraws, rules: SpendRules, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """The largest spend up to `high` within the cap, and whether `low` is; for low <= high alone."""
    assert rules.marginal_cac_cap is not None
    cap, least = rules.marginal_cac_cap, rules.cap_probability - 1e-12
    within = probability_within_cap(draws, low, cap) >= least
    over = probability_within_cap(draws, high, cap) < least
    sought = np.flatnonzero(within & over & (low <= high))
    capped = high.copy()
    if sought.size:
        some = draws.subset([int(channel) for channel in sought])
        inside, outside = low[sought], high[sought]
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            good = probability_within_cap(some, middle, cap) >= least
            inside, outside = np.where(good, middle, inside), np.where(good, outside, middle)
        capped[sought] = inside
    return capped, within
