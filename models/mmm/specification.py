"""What a media-mix model assumes and what it is fitted to, as numbers without units.

Here: its form, priors, experiments and beliefs about returns, the arrays its density reads. Not here: the
density itself (`collapsed` for sampling, `quick_look` for a first impression).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models.mmm.baseline import BaselinePrior, baseline, remembering_axes
from models.mmm.evidence import LiftTest, ReturnPrior
from models.mmm.response import (
    ADSTOCK_PARAMETERS,
    SATURATION_PARAMETERS,
    Adstock,
    FloatArray,
    Parameter,
    Saturation,
    lagged,
)
from models.mmm.weeks import MediaWeeks

LEAST_EFFECT_SCALE = 0.05
"""A channel of little money may do more than its share."""


@dataclass(frozen=True)
class Specification:
    """The model's form.

    Attributes:
        lags: weeks a week's spend works at most.
        effect_share: prior scale of a channel's largest response, as a multiple of its share of spend, in
            outcome scales: channels with more money are expected to do more. At 1.5 all media together bring
            two thirds of the largest week at their usual spend, give or take as much.
        harvest_share: the same of a channel that harvests demand, as a multiple of what others of its spend
            have: where brand search was switched off, almost nothing was lost (Blake, Nosko & Tadelis 2015).
    """

    adstock: Adstock = "geometric"
    saturation: Saturation = "logistic"
    lags: int = 8
    effect_share: float = 1.5
    harvest_share: float = 0.1
    noise_sd: float = 0.5
    prior: BaselinePrior = field(default_factory=BaselinePrior)

    def media_parameters(self) -> tuple[Parameter, ...]:
        return ADSTOCK_PARAMETERS[self.adstock] + SATURATION_PARAMETERS[self.saturation]

    def parameters(self, weeks: MediaWeeks) -> int:
        """Numbers a fit of these weeks estimates; the drift counts once, its functions are one process."""
        per_channel = len(self.media_parameters()) + 1
        linear = baseline(weeks, replace(self.prior, drift_sd=0.0)).columns.shape[1]
        drift, memory = int(self.prior.drift_sd > 0), int(len(self.prior.memories) > 1)
        return int(per_channel * len(weeks.channels) + linear + drift + memory + 1)


def effect_scale(weeks: MediaWeeks, specification: Specification) -> FloatArray:
    """Prior scale of each channel's largest response, in outcome scales."""
    spent = weeks.spend.sum(axis=0)
    total = spent.sum()
    share = spent / total if total > 0 else np.full(len(weeks.channels), 1 / len(weeks.channels))
    own = np.where(np.isin(weeks.channels, weeks.harvests), specification.harvest_share, 1.0)
    scale: FloatArray = own * np.maximum(specification.effect_share * share, LEAST_EFFECT_SCALE)
    return scale


def fitted_data(
    weeks: MediaWeeks,
    specification: Specification,
    tests: Sequence[LiftTest] = (),
    returns: Sequence[ReturnPrior] = (),
) -> dict[str, np.ndarray[Any, Any]]:
    """What a fit sees, in units of the scales; no tests or returns are one of no weight.

    The baseline's axes and their squared lengths come once per memory, (memories, axes, weeks) and (memories,
    axes).

    Raises:
        ValueError: a test or return of an unknown channel, without a positive error or impossible spend; a
            return of a channel that never spent.
    """
    _refuse(weeks, tests, returns)
    columns, memories = baseline(weeks, specification.prior).columns, specification.prior.memories
    axes, lengths = zip(*(remembering_axes(columns, each) for each in memories), strict=True)
    tested = np.array([weeks.channels.index(test.channel) for test in tests] or [0])
    believed = np.array([weeks.channels.index(each.channel) for each in returns] or [0])
    scale = weeks.spend_scale[tested]
    before = np.array([test.spend for test in tests] or [0.0]) / scale
    spent = weeks.spend.sum(axis=0)
    usual = spent / weeks.number / weeks.spend_scale
    return {
        "lagged_spend": lagged(weeks.spend / weeks.spend_scale, specification.lags),
        "usual_spend": np.where(usual > 0, usual, 1.0),
        "outcome": weeks.outcome / weeks.outcome_scale,
        "memories": np.array(memories),
        "axes": np.stack(axes),
        "lengths": np.stack(lengths),
        "effect_scale": effect_scale(weeks, specification),
        "test_channel": tested,
        "test_before": before,
        "test_after": before + np.array([test.change for test in tests] or [0.0]) / scale,
        "test_lift": np.array([test.lift for test in tests] or [0.0]) / weeks.outcome_scale,
        "test_precision": np.array([(weeks.outcome_scale / test.error) ** 2 for test in tests] or [0.0]),
        "return_channel": believed,
        "return_per_response": weeks.outcome_scale / np.where(spent > 0, spent, 1.0)[believed],
        "return_mean": np.array([each.mean for each in returns] or [0.0]),
        "return_precision": np.array([each.sd**-2 for each in returns] or [0.0]),
    }


def _refuse(weeks: MediaWeeks, tests: Sequence[LiftTest], returns: Sequence[ReturnPrior]) -> None:
    for kind, named in (("lift tests", tests), ("return priors", returns)):
        if strangers := sorted({each.channel for each in named} - set(weeks.channels)):
            raise ValueError(f"{kind} of unknown channels {strangers}; known are {list(weeks.channels)}")
    for test in tests:
        if not test.error > 0 or test.spend < 0 or test.spend + test.change < 0:
            raise ValueError(f"{test}: it needs an error above 0 and spend of at least 0 on both sides")
    for each in returns:
        if not each.sd > 0:
            raise ValueError(f"{each}: it needs a standard deviation above 0")
        if not weeks.spend[:, weeks.channels.index(each.channel)].any():
            raise ValueError(f"{each}: the channel spent nothing in these weeks, so nothing was returned")
