"""A first impression of the posterior in seconds, nothing compiled or sampled; never for allocations.

Here: the density of `collapsed` in numpy, its mode, draws around it corrected by importance. Not here: the
posterior itself (`collapsed`); diagnostics refuse what comes from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import arviz
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit, logsumexp

from models.mmm.baseline import baseline
from models.mmm.evidence import LiftTest, ReturnPrior
from models.mmm.posterior import MediaPosterior, linear_draws, memory_draws, outcome_density
from models.mmm.response import FloatArray, adstock_weights, saturated
from models.mmm.specification import Specification, fitted_data
from models.mmm.weeks import MediaWeeks

TAIL_FREEDOM = 7
"""Degrees of freedom of the proposals: heavier tails than the posterior's, or weights would be unbounded."""
ROUNDS = 3
_STEP = 1e-4
_BATCH = 1000


def quick_look(
    weeks: MediaWeeks,
    specification: Specification,
    rng: np.random.Generator,
    tests: Sequence[LiftTest] = (),
    returns: Sequence[ReturnPrior] = (),
    draws: int = 1000,
) -> MediaPosterior:
    """Draws by importance from Student t's fitted to the mode, then twice to the weighted draws before.

    Weights are Pareto-smoothed (Vehtari et al. 2024); `importance_tail` of the result is their tail's k:
    above 0.7 the draws are no more than a guess.

    Raises:
        ValueError: as `fitted_data`.
    """
    density = Density(weeks, specification, fitted_data(weeks, specification, tests, returns))
    centre = density.mode()
    spread = np.linalg.cholesky(density.covariance(centre))
    for _ in range(ROUNDS):
        normal = rng.standard_normal((8 * draws, density.dimensions))
        stretch = np.sqrt(TAIL_FREEDOM / rng.chisquare(TAIL_FREEDOM, 8 * draws))
        points = centre + (normal * stretch[:, None]) @ spread.T
        length = ((normal * stretch[:, None]) ** 2).sum(axis=1)
        proposed = -0.5 * (TAIL_FREEDOM + density.dimensions) * np.log1p(length / TAIL_FREEDOM)
        smoothed, tail = arviz.psislw(density(points) - proposed)
        weight = np.exp(smoothed)
        centre = weight @ points
        off = points - centre
        spread = np.linalg.cholesky((off * weight[:, None]).T @ off + 1e-6 * np.eye(density.dimensions))
    # Systematic resampling: one uniform number, so that weights alone decide how often a draw is taken.
    at = np.searchsorted(np.cumsum(weight), (np.arange(draws) + rng.random()) / draws)
    media, effect, noise = density.parameters(points[np.minimum(at, weight.size - 1)])
    posterior = MediaPosterior(
        weeks,
        specification.adstock,
        specification.saturation,
        specification.lags,
        baseline(weeks, specification.prior),
        media,
        effect,
        noise,
        memory=np.empty(0),
        coefficients=np.empty((0, 0)),
        approximate=True,
        importance_tail=float(tail),
    )
    return linear_draws(memory_draws(posterior, specification.prior.memories, rng), rng)


@dataclass(frozen=True)
class Density:
    """Log posterior density, up to a constant, at many points at once.

    A point holds channels' parameters (log odds where they are shares, else logarithms), the logarithms of
    their responses at usual spend and of the noise.
    """

    weeks: MediaWeeks
    specification: Specification
    data: dict[str, np.ndarray[Any, Any]]

    @property
    def dimensions(self) -> int:
        return len(self.weeks.channels) * (len(self.specification.media_parameters()) + 1) + 1

    def parameters(self, points: FloatArray) -> tuple[dict[str, FloatArray], FloatArray, FloatArray]:
        """Media parameters, effects and noise at points of shape (points, dimensions)."""
        parts = np.split(points[:, :-1], self.dimensions // len(self.weeks.channels), axis=1)
        found = {
            each.name: expit(part) if each.prior == "beta" else np.exp(part)
            for each, part in zip(self.specification.media_parameters(), parts[:-1], strict=True)
        }
        share = saturated(self.specification.saturation, self.data["usual_spend"], found)
        return found, np.exp(parts[-1]) / share, np.exp(points[:, -1])

    def points(self, media: dict[str, FloatArray], effect: FloatArray, noise: FloatArray) -> FloatArray:
        """The inverse of `parameters`."""
        share = saturated(self.specification.saturation, self.data["usual_spend"], media)
        parts = [
            logit(media[each.name]) if each.prior == "beta" else np.log(media[each.name])
            for each in self.specification.media_parameters()
        ]
        return np.hstack([*parts, np.log(effect * share), np.log(noise)[:, None]])

    def __call__(self, points: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # far out; density 0 there
            return np.concatenate(
                [self._batch(points[start : start + _BATCH]) for start in range(0, len(points), _BATCH)]
            )

    def _batch(self, points: FloatArray) -> FloatArray:
        media, effect, noise = self.parameters(points)
        weights = adstock_weights(self.specification.adstock, media, self.specification.lags)
        # Channel by channel (weeks × lags)(lags × points), then points first.
        lagged_spend = self.data["lagged_spend"].transpose(1, 0, 2)
        stock = (lagged_spend @ weights.transpose(1, 2, 0)).transpose(2, 1, 0)
        over_weeks = {name: value[:, None, :] for name, value in media.items()}
        worked = saturated(self.specification.saturation, stock, over_weeks)
        residual = self.data["outcome"] - (worked @ effect[:, :, None])[..., 0]
        found: FloatArray = self._prior(points, media, effect, noise)
        found += self._likelihood(residual, noise) + self._lifts(media, effect)
        returned = (worked.sum(axis=1) * effect)[:, self.data["return_channel"]]
        missed = self.data["return_mean"] - returned * self.data["return_per_response"]
        found += -0.5 * (self.data["return_precision"] * missed**2).sum(axis=1)
        return np.where(np.isfinite(found), found, -np.inf)

    def _prior(
        self, points: FloatArray, media: dict[str, FloatArray], effect: FloatArray, noise: FloatArray
    ) -> FloatArray:
        """Prior densities and the Jacobians of the coordinates."""
        found: FloatArray = -0.5 * (noise / self.specification.noise_sd) ** 2 + points[:, -1]
        found += (-0.5 * (effect / self.data["effect_scale"]) ** 2 + np.log(effect)).sum(axis=1)
        for each in self.specification.media_parameters():
            value = media[each.name]
            if each.prior == "beta":
                found += (each.first * np.log(value) + each.second * np.log1p(-value)).sum(axis=1)
            else:
                found += (each.first * np.log(value) - each.second * value).sum(axis=1)
        return found

    def _likelihood(self, residual: FloatArray, noise: FloatArray) -> FloatArray:
        data = (self.data[name] for name in ("memories", "axes", "lengths"))
        by_memory = [
            outcome_density(residual, noise, memory, axes, lengths)
            for memory, axes, lengths in zip(*data, strict=True)
        ]
        found: FloatArray = logsumexp(by_memory, axis=0)
        return found

    def _lifts(self, media: dict[str, FloatArray], effect: FloatArray) -> FloatArray:
        at, family = self.data["test_channel"], self.specification.saturation
        own = {name: value[:, at] for name, value in media.items()}
        step = saturated(family, self.data["test_after"], own) - saturated(
            family, self.data["test_before"], own
        )
        missed = self.data["test_lift"] - effect[:, at] * step
        found: FloatArray = -0.5 * (self.data["test_precision"] * missed**2).sum(axis=1)
        return found

    def gradient(self, points: FloatArray) -> FloatArray:
        """By central differences, shape (points, dimensions)."""
        steps = _STEP * np.eye(self.dimensions)
        around = points[:, None, None, :] + np.stack([steps, -steps])[None]
        values = self(around.reshape(-1, self.dimensions)).reshape(len(points), 2, self.dimensions)
        found: FloatArray = (values[:, 0] - values[:, 1]) / (2 * _STEP)
        return found

    def mode(self) -> FloatArray:
        """Where the density is highest, from the middle of the priors."""
        channels = len(self.weeks.channels)
        media = {
            each.name: np.full(
                (1, channels),
                each.first / (each.first + each.second) if each.prior == "beta" else each.first / each.second,
            )
            for each in self.specification.media_parameters()
        }
        start = self.points(media, 0.2 * self.data["effect_scale"][None], np.array([0.1]))[0]
        found = minimize(
            lambda point: -float(self(point[None])[0]),
            start,
            jac=lambda point: -self.gradient(point[None])[0],
            method="L-BFGS-B",
        )
        mode: FloatArray = found.x
        return mode

    def covariance(self, mode: FloatArray) -> FloatArray:
        """Inverse of the curvature at the mode; where that is flat, a standard deviation of two at most."""
        steps = 10 * _STEP * np.eye(self.dimensions)
        slopes = self.gradient(np.vstack([mode + steps, mode - steps]))
        curvature = -(slopes[: self.dimensions] - slopes[self.dimensions :]) / (20 * _STEP)
        values, axes = np.linalg.eigh((curvature + curvature.T) / 2)
        found: FloatArray = (axes / np.maximum(values, 0.25)) @ axes.T
        return found
