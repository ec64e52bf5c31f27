"""Draws of a media-mix model: what they say week by week, and how they are kept.

Here: drawing the integrated-out baseline back, contributions, predictions, our own table of draws (library
files do not load across versions). Not here: sampling (`collapsed`), curves (`curves`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy.special import logsumexp

from models.mmm.baseline import Baseline, forgotten, remembering_axes
from models.mmm.response import Adstock, FloatArray, Saturation, adstock_weights, lagged, saturated
from models.mmm.weeks import MediaWeeks


@dataclass(frozen=True)
class MediaPosterior:
    """Equally likely draws.

    Attributes:
        weeks: what was fitted.
        lags: weeks of carry-over.
        columns: the baseline's columns.
        media: parameters of adstock and saturation by name, each (draws, channels), spend in spend scales.
        effect: largest response a week, outcome scales, (draws, channels).
        noise: what is new in a week, outcome scales, (draws,).
        memory: correlation of what is left with the week before, (draws,).
        coefficients: of the baseline's columns, (draws, columns).
        chains: the draws are so many chains one after another.
        divergences: of the sampler.
        energy: of the sampler, (chains, draws per chain); None where it has none.
        approximate: a quick look, not a sample of the posterior; nothing may be allocated by it.
        importance_tail: of a quick look, its weights' Pareto k; above 0.7 it is no more than a guess.
    """

    weeks: MediaWeeks
    adstock: Adstock
    saturation: Saturation
    lags: int
    columns: Baseline
    media: dict[str, FloatArray]
    effect: FloatArray
    noise: FloatArray
    memory: FloatArray
    coefficients: FloatArray
    chains: int = 1
    divergences: int = 0
    energy: FloatArray | None = None
    approximate: bool = False
    importance_tail: float | None = None

    @property
    def draws(self) -> int:
        return int(self.noise.size)

    def carry_over(self) -> FloatArray:
        """Weights over lags, shape (draws, channels, lags)."""
        weights: FloatArray = adstock_weights(self.adstock, self.media, self.lags)
        return weights

    def response(self, spend: FloatArray) -> FloatArray:
        """Outcome a week at constant weekly spend.

        Args:
            spend: dollars a week, broadcast against (…, draws, channels).
        """
        share = saturated(self.saturation, spend / self.weeks.spend_scale, self.media)
        found: FloatArray = self.weeks.outcome_scale * self.effect * share
        return found

    def response_of(self, channel: int, spend: FloatArray) -> FloatArray:
        """The same of one channel; spend broadcast against (draws, 1)."""
        own = {name: values[:, channel, None] for name, values in self.media.items()}
        share = saturated(self.saturation, spend / self.weeks.spend_scale[channel], own)
        found: FloatArray = self.weeks.outcome_scale * self.effect[:, channel, None] * share
        return found

    def contributions(self) -> FloatArray:
        """Outcome each channel added in each fitted week, shape (draws, weeks, channels)."""
        spend = lagged(self.weeks.spend / self.weeks.spend_scale, self.lags)
        weights = self.carry_over()
        found = np.empty((self.draws, *self.weeks.spend.shape))
        for channel in range(spend.shape[1]):
            stock = weights[:, channel] @ spend[:, channel].T
            own = {name: values[:, channel, None] for name, values in self.media.items()}
            found[:, :, channel] = self.effect[:, channel, None] * saturated(self.saturation, stock, own)
        scaled: FloatArray = found * self.weeks.outcome_scale
        return scaled

    def baseline(self) -> FloatArray:
        """Outcome a week without media, shape (draws, weeks)."""
        found: FloatArray = self.coefficients @ self.columns.columns.T * self.weeks.outcome_scale
        return found

    def expected(self) -> FloatArray:
        """Expected outcome of each fitted week, shape (draws, weeks)."""
        found: FloatArray = self.baseline() + self.contributions().sum(axis=-1)
        return found

    def predicted(self, rng: np.random.Generator) -> FloatArray:
        """Outcomes that might have come, shape (draws, weeks)."""
        left = self.noise[:, None] * rng.standard_normal((self.draws, self.weeks.number))
        left[:, 0] /= np.sqrt(1.0 - self.memory**2)
        for week in range(1, self.weeks.number):
            left[:, week] += self.memory * left[:, week - 1]
        found: FloatArray = self.expected() + left * self.weeks.outcome_scale
        return found

    def spread(self) -> FloatArray:
        """Standard deviation of a week's outcome around its expectation, outcome units a week, (draws,)."""
        found: FloatArray = self.weeks.outcome_scale * self.noise / np.sqrt(1.0 - self.memory**2)
        return found

    def news(self) -> FloatArray:
        """What the fitted weeks bring beyond what the week before lets expect, (draws, weeks)."""
        return forgotten((self.weeks.outcome - self.expected()).T, self.memory).T

    def return_on_spend(self) -> FloatArray:
        """Outcome per dollar over the fitted weeks, shape (draws, channels); 0 where nothing was spent."""
        spent = self.weeks.spend.sum(axis=0)
        found: FloatArray = self.contributions().sum(axis=1) / np.where(spent > 0, spent, np.inf)
        return found

    def table(self) -> pl.DataFrame:
        """The draws as one long table: draw, parameter, channel, value.

        `channel` is null for noise and memory and names the baseline's column for a coefficient.
        """
        parts = [
            _long(name, values, self.weeks.channels)
            for name, values in [*self.media.items(), ("effect", self.effect)]
        ]
        parts += [
            _long(name, values[:, None], (None,))
            for name, values in (("noise", self.noise), ("memory", self.memory))
        ]
        parts.append(_long("coefficient", self.coefficients, self.columns.names))
        return pl.concat(parts)


def outcome_density(
    residual: FloatArray, noise: FloatArray, memory: float, axes: FloatArray, lengths: FloatArray
) -> FloatArray:
    """Log density of the outcome under one memory up to a constant, coefficients integrated out; (draws,).

    Args:
        residual: outcome less media, outcome scales, (draws, weeks).
        axes, lengths: `remembering_axes` of the baseline's columns.
    """
    news, variance = forgotten(residual.T, memory).T, noise[:, None] ** 2
    inside = residual @ axes.T
    outside = ((news**2).sum(axis=1) - (inside**2).sum(axis=1)) / variance[:, 0]
    spread = (axes.shape[1] - axes.shape[0]) * np.log(variance[:, 0])
    spread += np.log(variance + lengths).sum(axis=1)
    within = (inside**2 / (variance + lengths)).sum(axis=1)
    found: FloatArray = -0.5 * (spread + outside + within - np.log(1.0 - memory**2))
    return found


def memory_draws(
    posterior: MediaPosterior, memories: Sequence[float], rng: np.random.Generator
) -> MediaPosterior:
    """The same draws with what is left's memory drawn from its posterior given media and noise."""
    residual = _without_media(posterior)
    density = np.empty((posterior.draws, len(memories)))
    for at, memory in enumerate(memories):
        axes, lengths = remembering_axes(posterior.columns.columns, memory)
        density[:, at] = outcome_density(residual, posterior.noise, memory, axes, lengths)
    chances = np.exp(density - logsumexp(density, axis=1, keepdims=True))
    drawn = (rng.random((posterior.draws, 1)) > np.cumsum(chances, axis=1)).sum(axis=1)
    return replace(posterior, memory=np.array(memories)[np.minimum(drawn, len(memories) - 1)])


def linear_draws(posterior: MediaPosterior, rng: np.random.Generator) -> MediaPosterior:
    """The same draws with the baseline's coefficients drawn from their posterior given the rest.

    Given media, noise and memory, b ~ N(m, V) with V = (I + ZᵀZ/σ²)⁻¹, m = V Zᵀr/σ², Z and r freed of the
    memory: independent in the axes of Z = U S Wᵀ, with variance 1 / (1 + S²/σ²) and mean variance ·
    S (Uᵀr) / σ².
    """
    residual = _without_media(posterior)
    coefficients = np.empty((posterior.draws, posterior.columns.columns.shape[1]))
    for memory in np.unique(posterior.memory):
        among = posterior.memory == memory
        columns = forgotten(posterior.columns.columns, memory)
        news = forgotten(residual[among].T, memory).T
        coefficients[among] = _coefficients(columns, news, posterior.noise[among], rng)
    return replace(posterior, coefficients=coefficients)


def _without_media(posterior: MediaPosterior) -> FloatArray:
    """Outcome less media, outcome scales, (draws, weeks)."""
    left: FloatArray = posterior.weeks.outcome - posterior.contributions().sum(axis=-1)
    return left / posterior.weeks.outcome_scale


def _coefficients(
    columns: FloatArray, news: FloatArray, noise: FloatArray, rng: np.random.Generator
) -> FloatArray:
    axes, singular, turn = np.linalg.svd(columns, full_matrices=False)
    precision = 1.0 / noise[:, None] ** 2
    variance = 1.0 / (1.0 + singular**2 * precision)
    turned = variance * singular * (news @ axes) * precision
    turned += np.sqrt(variance) * rng.standard_normal(turned.shape)
    found: FloatArray = turned @ turn
    missing = columns.shape[1] - singular.size
    if missing > 0:  # fewer weeks than columns: what they cannot see keeps its prior
        blind = np.linalg.svd(columns, full_matrices=True)[2][singular.size :]
        found += rng.standard_normal((noise.size, missing)) @ blind
    return found


def _long(name: str, values: FloatArray, channels: tuple[str | None, ...]) -> pl.DataFrame:
    draws, columns = values.shape
    return pl.DataFrame(
        {
            "draw": np.repeat(np.arange(draws), columns),
            "parameter": pl.Series([name], dtype=pl.String).new_from_index(0, draws * columns),
            "channel": pl.Series(list(channels) * draws, dtype=pl.String),
            "value": values.reshape(-1),
        }
    )
