"""Channels' response as equally likely concave curves, whatever model drew them.

Here: what choosing spend and planning tests need of a posterior, and who can give it. Not here: fitting
(`collapsed`, `bootstrap`), summaries for people (`curves`).

Curves are those of constant weekly spend (steady state). Pulsed flights answer less to a further dollar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.mmm.bootstrap import BootstrapMix
from models.mmm.posterior import MediaPosterior
from models.mmm.response import SATURATION_PARAMETERS, FloatArray, Saturation, marginal, saturated

LEAST_SHARE = 1e-4
"""Below this share of a channel's scale its curve is the chord to 0: Hill curves rise infinitely steep there,
and no budget is that fine."""


class ChannelDraws(Protocol):
    """Joint draws of increasing concave curves that are 0 at 0."""

    @property
    def channels(self) -> tuple[str, ...]: ...

    @property
    def draws(self) -> int: ...

    def at(self, spend: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Conversions a week and what one further dollar a week adds, (draws, channels) each.

        Args:
            spend: dollars a week, shape (channels,) or (draws, channels).
        """

    def subset(self, channels: Sequence[int]) -> ChannelDraws:
        """The same draws of these channels, by position."""


@dataclass(frozen=True)
class SaturationDraws:
    """Curves of the Bayesian model: largest response times a saturation.

    Attributes:
        parameters: of the saturation by name, (draws, channels), spend in units of `scale`.
        largest: response a week that no spend exceeds, (draws, channels).
        scale: dollars a week, (channels,).

    Raises:
        ValueError: shapes that do not fit, a negative or missing number.
    """

    channels: tuple[str, ...]
    family: Saturation
    parameters: Mapping[str, FloatArray]
    largest: FloatArray
    scale: FloatArray

    def __post_init__(self) -> None:
        _require_curves(self.channels, self.scale, largest=self.largest, **self.parameters)
        if (slope := self.parameters.get("slope")) is not None and (slope > 1).any():
            raise ValueError("a Hill slope above 1 makes an S-curve: no concave program")

    @property
    def draws(self) -> int:
        return int(self.largest.shape[0])

    def at(self, spend: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `ChannelDraws`."""
        units = np.maximum(spend / self.scale, LEAST_SHARE)
        own = dict(self.parameters)
        value = self.largest * saturated(self.family, units, own)
        slope = self.largest / self.scale * marginal(self.family, units, own)
        return _through_zero(spend, self.scale, value, slope)

    def subset(self, channels: Sequence[int]) -> SaturationDraws:
        """See `ChannelDraws`."""
        at = list(channels)
        own = {name: values[:, at] for name, values in self.parameters.items()}
        names = tuple(self.channels[index] for index in at)
        return SaturationDraws(names, self.family, own, self.largest[:, at], self.scale[at])


@dataclass(frozen=True)
class PowerDraws:
    """Curves of the log–log fallback: level · ((1 + spend / scale)^elasticity - 1).

    Attributes:
        level: what the channel's response is a multiple of, conversions a week, (draws, channels).
        elasticity: in [0, 1], (draws, channels).
        scale: dollars a week, (channels,).

    Raises:
        ValueError: shapes that do not fit, a negative or missing number, an elasticity above 1.
    """

    channels: tuple[str, ...]
    level: FloatArray
    elasticity: FloatArray
    scale: FloatArray

    def __post_init__(self) -> None:
        _require_curves(self.channels, self.scale, level=self.level, elasticity=self.elasticity)
        if (self.elasticity > 1).any():
            raise ValueError("elasticities must lie in [0, 1]: beyond, returns do not diminish")

    @property
    def draws(self) -> int:
        return int(self.level.shape[0])

    def at(self, spend: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `ChannelDraws`."""
        grown = np.log1p(spend / self.scale) * self.elasticity
        slope = self.level * self.elasticity * np.exp(grown) / (self.scale + spend)
        return self.level * np.expm1(grown), slope

    def subset(self, channels: Sequence[int]) -> PowerDraws:
        """See `ChannelDraws`."""
        at = list(channels)
        names = tuple(self.channels[index] for index in at)
        return PowerDraws(names, self.level[:, at], self.elasticity[:, at], self.scale[at])


def posterior_draws(posterior: MediaPosterior) -> SaturationDraws:
    """The curves of a fitted model."""
    names = [each.name for each in SATURATION_PARAMETERS[posterior.saturation]]
    return SaturationDraws(
        posterior.weeks.channels,
        posterior.saturation,
        {name: posterior.media[name] for name in names},
        posterior.effect * posterior.weeks.outcome_scale,
        posterior.weeks.spend_scale,
    )


def bootstrap_draws(mix: BootstrapMix) -> PowerDraws:
    """The curves of the fallback, each channel's beside the others as they were."""
    return PowerDraws(mix.weeks.channels, mix.without_each(), mix.elasticity, mix.floor)


def _through_zero(
    spend: FloatArray, scale: FloatArray, value: FloatArray, slope: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The chord to 0 where spend lies below LEAST_SHARE of the scale: no less than concave."""
    below = spend < LEAST_SHARE * scale
    if not np.any(below):
        return value, slope
    chord = value / (LEAST_SHARE * scale)
    return np.where(below, chord * spend, value), np.where(below, chord, slope)


def _require_curves(channels: tuple[str, ...], scale: FloatArray, **arrays: FloatArray) -> None:
    if scale.shape != (len(channels),) or not (scale > 0).all() or not np.isfinite(scale).all():
        raise ValueError("a channel's scale must be a positive number of dollars a week")
    draws = next(iter(arrays.values())).shape[0]
    for name, values in arrays.items():
        if values.shape != (draws, len(channels)) or draws == 0:
            raise ValueError(f"{name} is {values.shape}, not {(draws, len(channels))} with draws")
        if not np.isfinite(values).all() or (values < 0).any():
            raise ValueError(f"{name} must be finite and not negative")
