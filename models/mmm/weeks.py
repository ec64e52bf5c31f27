"""Weeks of a media mix, and the reasons why they cannot carry a model.

Here: the data's shape, its scales, and honest refusals. Not here: the mart (`mmm_input_weekly`), estimation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

import numpy as np

from models.mmm.response import FloatArray

WEEKS_PER_PARAMETER = 3.0
"""Fewer weeks than this per parameter leave the priors to answer (Jin et al. 2017 §5 find two years
prior-bound at 4)."""
LEAST_VARIATION = 0.05
"""Standard deviation over mean of weekly spend below which no response to it can be seen."""
MOST_INFLATION = 20.0
"""Variance inflation (1 / (1 - R²) of a channel's spend on the others') above which channels move as one."""


@dataclass(frozen=True)
class MediaWeeks:
    """Consecutive whole weeks.

    Attributes:
        first_day: first day of the first week.
        channels: their names.
        spend: dollars a week, shape (weeks, channels).
        outcome: reward units a week, shape (weeks,).
        controls: what else moves the outcome (promotions, prices), shape (weeks, controls); standardise them.
        control_names: their names.
        harvests: channels that meet demand others made (brand search), whose spend is that demand's.

    Raises:
        ValueError: shapes that do not fit, a channel named twice, negative or missing numbers, a harvesting
            channel that is none of these.
    """

    first_day: date
    channels: tuple[str, ...]
    spend: FloatArray
    outcome: FloatArray
    controls: FloatArray
    control_names: tuple[str, ...] = ()
    harvests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        weeks = self.outcome.shape[0]
        if len(set(self.channels)) < len(self.channels):
            raise ValueError(f"channels {list(self.channels)} are not distinct")
        if self.spend.shape != (weeks, len(self.channels)):
            raise ValueError(f"spend is {self.spend.shape}, not {(weeks, len(self.channels))}")
        if self.controls.shape != (weeks, len(self.control_names)):
            raise ValueError(f"controls are {self.controls.shape}, not {(weeks, len(self.control_names))}")
        for name, values in (("spend", self.spend), ("outcome", self.outcome)):
            if not np.isfinite(values).all() or (values < 0).any():
                raise ValueError(f"{name} must be finite and not negative")
        if not np.isfinite(self.controls).all():
            raise ValueError("controls must be finite")
        if strangers := sorted(set(self.harvests) - set(self.channels)):
            raise ValueError(f"{strangers} are said to harvest demand; channels are {list(self.channels)}")

    @property
    def number(self) -> int:
        return int(self.outcome.shape[0])

    @property
    def days(self) -> list[date]:
        """First day of each week."""
        return [self.first_day + timedelta(weeks=week) for week in range(self.number)]

    @cached_property
    def spend_scale(self) -> FloatArray:
        """Largest weekly spend by channel, dollars; 1 for a channel that never spent."""
        top = self.spend.max(axis=0)
        scale: FloatArray = np.where(top > 0, top, 1.0)
        return scale

    @cached_property
    def outcome_scale(self) -> float:
        return float(self.outcome.max()) or 1.0

    def before(self, weeks: int) -> MediaWeeks:
        """The first so many weeks."""
        return replace(
            self, spend=self.spend[:weeks], outcome=self.outcome[:weeks], controls=self.controls[:weeks]
        )


@dataclass(frozen=True)
class Refusal:
    """Why a model of these weeks would not be honest, and what would change that."""

    reason: str
    channels: tuple[str, ...]
    detail: str


def refusals(weeks: MediaWeeks, parameters: int) -> list[Refusal]:
    """Everything that stands against fitting: too few weeks, spend that never moves, channels that move as
    one.

    Args:
        parameters: of the model one would fit, linear ones included.
    """
    found = []
    needed = int(np.ceil(WEEKS_PER_PARAMETER * parameters))
    if weeks.number < needed:
        detail = f"{weeks.number} whole weeks for {parameters} parameters; {needed} are needed."
        found.append(Refusal("too_few_weeks", (), detail))
    if not weeks.outcome.any():
        found.append(Refusal("no_outcome", (), "No week has a conversion: check the reward and the tracks."))
    still = _still(weeks)
    for name, variation in still.items():
        detail = (
            f"{name} varies by {variation:.1%} of its mean (at least {LEAST_VARIATION:.0%} are needed): "
            "a test week at other spend would show what it does."
        )
        found.append(Refusal("spend_is_constant", (name,), detail))
    return found + _collinear(weeks, [name for name in weeks.channels if name not in still])


def _still(weeks: MediaWeeks) -> dict[str, float]:
    means, spread = weeks.spend.mean(axis=0), weeks.spend.std(axis=0)
    variation = np.where(means > 0, spread / np.where(means > 0, means, 1.0), 0.0)
    named = zip(weeks.channels, variation, strict=True)
    return {name: float(value) for name, value in named if value < LEAST_VARIATION}


def _collinear(weeks: MediaWeeks, names: Sequence[str]) -> list[Refusal]:
    """Groups of channels none of which can be told from the others."""
    if len(names) < 2 or weeks.number <= len(names) + 1:
        return []
    columns = [weeks.channels.index(name) for name in names]
    spend = weeks.spend[:, columns] - weeks.spend[:, columns].mean(axis=0)
    spend = spend / spend.std(axis=0)
    correlation = spend.T @ spend / weeks.number
    inflation = np.diag(np.linalg.pinv(correlation + 1e-9 * np.eye(len(names))))
    found, told = [], set()
    for at in np.argsort(-inflation):
        if inflation[at] < MOST_INFLATION or names[at] in told:
            continue
        partner = int(np.argmax(np.where(np.arange(len(names)) == at, -1.0, np.abs(correlation[at]))))
        pair = tuple(sorted((names[at], names[partner])))
        told |= set(pair)
        detail = (
            f"{pair[0]} and {pair[1]} move together (correlation {correlation[at, partner]:.2f}, variance "
            f"inflation {inflation[at]:.0f}): merge them, or hold one still while the other moves."
        )
        found.append(Refusal("channels_move_together", pair, detail))
    return found
