"""Draws of a media-mix model: what they say week by week, and how they are kept.

Here: drawing the integrated-out baseline back, contributions, predictions, our own table of draws (library
files do not load across versions). Not here: sampling (`collapsed`), curves (`curves`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.mmm.baseline import Baseline
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
        noise: outcome scales, (draws,).
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
        noise = self.noise[:, None] * rng.standard_normal((self.draws, self.weeks.number))
        found: FloatArray = self.expected() + noise * self.weeks.outcome_scale
        return found

    def return_on_spend(self) -> FloatArray:
        """Outcome per dollar over the fitted weeks, shape (draws, channels); 0 where nothing was spent."""
        spent = self.weeks.spend.sum(axis=0)
        found: FloatArray = self.contributions().sum(axis=1) / np.where(spent > 0, spent, np.inf)
        return found

    def table(self) -> pl.DataFrame:
        """The draws as one long table: draw, parameter, channel, value.

        `channel` is null for the noise and names the baseline's column for a coefficient.
        """
        parts = [
            _long(name, values, self.weeks.channels)
            for name, values in [*self.media.items(), ("effect", self.effect)]
        ]
        parts.append(_long("noise", self.noise[:, None], (None,)))
        parts.append(_long("coefficient", self.coefficients, self.columns.names))
        return pl.concat(parts)


def linear_draws(posterior: MediaPosterior, rng: np.random.Generator) -> MediaPosterior:
    """The same draws with the baseline's coefficients drawn from their posterior given the rest.

    Given media and noise, b ~ N(m, V) with V = (I + ZᵀZ/σ²)⁻¹, m = V Zᵀr/σ²: independent in the axes of Z =
    U S Wᵀ, with variance 1 / (1 + S²/σ²) and mean variance · S (Uᵀr) / σ².
    """
    axes, singular, turn = np.linalg.svd(posterior.columns.columns, full_matrices=False)
    media = posterior.contributions().sum(axis=-1) / posterior.weeks.outcome_scale
    residual = posterior.weeks.outcome / posterior.weeks.outcome_scale - media
    precision = 1.0 / posterior.noise[:, None] ** 2
    variance = 1.0 / (1.0 + singular**2 * precision)
    turned = variance * singular * (residual @ axes) * precision
    turned += np.sqrt(variance) * rng.standard_normal(turned.shape)
    coefficients = turned @ turn
    missing = posterior.columns.columns.shape[1] - singular.size
    if missing > 0:  # fewer weeks than columns: what they cannot see keeps its prior
        blind = np.linalg.svd(posterior.columns.columns, full_matrices=True)[2][singular.size :]
        coefficients += rng.standard_normal((posterior.draws, missing)) @ blind
    return replace(posterior, coefficients=coefficients)


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
