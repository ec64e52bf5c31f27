"""The second opinion: elasticities by a log–log regression, with a block bootstrap for how sure they are.

Here: the named fallback where weeks are too few for the Bayesian model, and the check that flags channels on
which the two disagree. Not here: that model (`collapsed`); this shares neither its form nor its sampler.

log y = Z b + Σ_c e_c log(1 + stock_c / k_c) + ε: outcomes multiply, a channel's curve is a power of its stock
(geometric carry-over, retention on a grid), and k_c, its usual spend, lets spend be 0: the elasticity is e/2
at the usual spend and nears e far above it. e stays in 0–0.95, so every draw's curve is concave.

Ridge towards a prior: brand advertising's long-run elasticity is 0.24 on average over 402 estimates
(Sethuraman, Tellis & Briesch 2011), so channels share 0.24 at the usual spend by how much they spend, each
give or take as much again, at least 0.05. A draw resamples blocks of weeks and draws the prior's centre (for
a linear Gaussian model perturbing prior and data and then optimising samples the posterior): what the weeks
cannot see keeps the prior's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.mmm.baseline import BaselinePrior, baseline
from models.mmm.curves import tabulate
from models.mmm.posterior import MediaPosterior
from models.mmm.response import FloatArray, adstock_weights, half_life, lagged
from models.mmm.weeks import MediaWeeks, Refusal, refusals

PRIOR_ELASTICITY = 0.24
LEAST_SPREAD = 0.05
MOST_ELASTICITY = 0.95
RETENTIONS = (0.0, 0.2, 0.4, 0.6, 0.8)
BLOCK_WEEKS = 6
MOST_STANDARDISED_DIFFERENCE = 2.0
"""Distance of two medians, in joint standard deviations, above which the estimates disagree."""
_LAGS = 13
_BASELINE = BaselinePrior(
    intercept_sd=2.0, control_sd=0.5, yearly_orders=1, yearly_sd=0.3, drift_sd=0.15, demand_sd=0.0
)


@dataclass(frozen=True)
class BootstrapMix:
    """Equally likely draws, to be read like those of the Bayesian model.

    Attributes:
        floor: k, dollars a week, (channels,): mean spend of the weeks that had any.
        retention: of a week's working spend, the share left in the next, (draws, channels).
        elasticity: e, (draws, channels).
        without_media: expected outcome of each week had no channel ever spent, (draws, weeks).
        noise: standard deviation of log outcome.
    """

    weeks: MediaWeeks
    floor: FloatArray
    retention: FloatArray
    elasticity: FloatArray
    without_media: FloatArray
    noise: float

    @property
    def draws(self) -> int:
        return int(self.elasticity.shape[0])

    def carry_over(self) -> FloatArray:
        """Weights over lags, shape (draws, channels, lags)."""
        weights: FloatArray = adstock_weights("geometric", {"retention": self.retention}, _LAGS)
        return weights

    def expected(self) -> FloatArray:
        """Expected outcome of each fitted week, shape (draws, weeks)."""
        found: FloatArray = self.without_media * np.exp(self._lifts().sum(axis=-1))
        return found

    def contributions(self) -> FloatArray:
        """Outcome each week would have lost without the channel, shape (draws, weeks, channels).

        Effects multiply, so these add up to more than the channels' joint effect.
        """
        found: FloatArray = -self.expected()[..., None] * np.expm1(-self._lifts())
        return found

    def return_on_spend(self) -> FloatArray:
        """Outcome per dollar over the fitted weeks, shape (draws, channels); 0 where nothing was spent."""
        spent = self.weeks.spend.sum(axis=0)
        found: FloatArray = self.contributions().sum(axis=1) / np.where(spent > 0, spent, np.inf)
        return found

    def marginal_return(self) -> FloatArray:
        """Outcome of the next weekly dollar at each channel's usual weekly spend, shape (draws, channels)."""
        usual = self.weeks.spend.mean(axis=0)
        each = [self.at_spend(at, usual[at : at + 1])[1] for at in range(usual.size)]
        return np.hstack(each)

    def response_of(self, channel: int, spend: FloatArray) -> FloatArray:
        """Outcome a week at constant weekly spend of one channel, the others as they were; spend is
        broadcast against (draws, 1)."""
        return self.at_spend(channel, np.atleast_1d(spend))[0]

    def at_spend(self, channel: int, spend: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Outcome a week at constant spend and what one further dollar adds, each (draws, spends)."""
        power, floor = self.elasticity[:, channel, None], self.floor[channel]
        others = self.without_each()[:, channel, None]
        relative = 1.0 + spend / floor
        return others * (relative**power - 1.0), others * power * relative ** (power - 1.0) / floor

    def curves(self, value: float) -> pl.DataFrame:
        """The same table as `models.mmm.curves.curves`."""
        return tabulate(self.weeks, self.at_spend, value)

    def without_each(self) -> FloatArray:
        """Mean outcome a week had that channel alone never spent, shape (draws, channels)."""
        lost = self.expected()[..., None] * np.exp(-self._lifts())
        found: FloatArray = lost.mean(axis=1)
        return found

    def half_lives(self) -> FloatArray:
        """Weeks until half of a week's spend has worked, shape (draws, channels)."""
        return half_life(self.carry_over())

    def _lifts(self) -> FloatArray:
        """What each channel adds to the log outcome, shape (draws, weeks, channels)."""
        stock = np.einsum("tcl,dcl->dtc", lagged(self.weeks.spend, _LAGS), self.carry_over())
        found: FloatArray = self.elasticity[:, None, :] * np.log1p(stock / self.floor)
        return found


def parameters(weeks: MediaWeeks) -> int:
    """Numbers a fit estimates: elasticity and retention of each channel, the baseline's; the drift is one."""
    return 2 * len(weeks.channels) + len(weeks.control_names) + 2 * _BASELINE.yearly_orders + 3


def bootstrap_refusals(weeks: MediaWeeks) -> list[Refusal]:
    """Why this model, too, would not be honest; a week without any outcome has no logarithm."""
    found = refusals(weeks, parameters(weeks))
    empty = int((weeks.outcome <= 0).sum())
    if empty:
        detail = f"{empty} of {weeks.number} weeks have no conversion: a log–log model needs some in each."
        found.append(Refusal("weeks_without_outcome", (), detail))
    return found


def fit_bootstrap(weeks: MediaWeeks, rng: np.random.Generator, draws: int = 400) -> BootstrapMix:
    """Fit.

    Raises:
        ValueError: the weeks are refused (`bootstrap_refusals`): what for.
    """
    if reasons := bootstrap_refusals(weeks):
        raise ValueError("; ".join(reason.detail for reason in reasons))
    design = _Design(weeks)
    retention, coefficients, noise = design.estimate()
    retentions = np.empty((draws, len(weeks.channels)))
    found = np.empty((draws, coefficients.size))
    for draw in range(draws):
        counts = _block_counts(weeks.number, rng)
        centre = design.centre + design.spread * rng.standard_normal(design.centre.size)
        chosen, found[draw], _ = design.search(counts, centre, noise, retention, sweeps=1)
        retentions[draw] = np.array(RETENTIONS)[chosen]
    columns = len(weeks.channels)
    # E exp(ε) = exp(σ²/2): the logarithm's mean is the outcome's median.
    log_level = found[:, columns:] @ design.baseline.T + design.offset + noise**2 / 2
    return BootstrapMix(weeks, design.floor, retentions, found[:, :columns], np.exp(log_level), noise)


def disagreements(ours: MediaPosterior | BootstrapMix, other: MediaPosterior | BootstrapMix) -> pl.DataFrame:
    """A row per channel: where two models of the same weeks tell different returns.

    Returns:
        channel, roas_p5/p50/p95 and other_p5/p50/p95 (outcome per dollar), standardised_difference (ours
        less the other's, in joint standard deviations), disagrees: the 90 % intervals do not overlap, or
        that difference is above MOST_STANDARDISED_DIFFERENCE in size.

    Raises:
        ValueError: the channels differ.
    """
    names = ours.weeks.channels
    if names != other.weeks.channels:
        raise ValueError(f"one model has channels {names}, the other {other.weeks.channels}")
    return compare_returns(names, ours.return_on_spend(), other.return_on_spend())


def compare_returns(names: Sequence[str], ours: FloatArray, other: FloatArray) -> pl.DataFrame:
    """`disagreements` of draws as they are, each (draws, channels)."""
    mine, its = (np.quantile(draws, (0.05, 0.5, 0.95), axis=0) for draws in (ours, other))
    joint = np.sqrt(ours.var(axis=0) + other.var(axis=0))
    difference = (mine[1] - its[1]) / np.where(joint > 0, joint, 1.0)
    apart = (mine[0] > its[2]) | (mine[2] < its[0])
    columns: dict[str, object] = {"channel": list(names)}
    for label, quantiles in (("roas", mine), ("other", its)):
        columns |= {f"{label}_p{level}": row for level, row in zip((5, 50, 95), quantiles, strict=True)}
    columns["standardised_difference"] = difference
    columns["disagrees"] = apart | (np.abs(difference) > MOST_STANDARDISED_DIFFERENCE)
    return pl.DataFrame(columns)


class _Design:
    """Columns of every channel at every retention, then the baseline's, so that a search only picks some."""

    def __init__(self, weeks: MediaWeeks) -> None:
        self.channels = len(weeks.channels)
        spent = weeks.spend.sum(axis=0)
        active = np.maximum((weeks.spend > 0).sum(axis=0), 1)
        self.floor: FloatArray = np.where(spent > 0, spent / active, 1.0)
        past = lagged(weeks.spend, _LAGS)
        weights = adstock_weights("geometric", {"retention": np.array(RETENTIONS)}, _LAGS)
        media = np.log1p((past @ weights.T) / self.floor[:, None])
        self.baseline = baseline(weeks, _BASELINE).columns
        self.columns = np.hstack([media.reshape(weeks.number, -1), self.baseline])
        logged = np.log(weeks.outcome)
        self.offset = float(logged.mean())
        self.answer: FloatArray = logged - self.offset
        share = spent / max(spent.sum(), 1e-12)
        own = self.baseline.shape[1]
        # Twice the elasticity at the usual spend.
        centre, spread = 2 * PRIOR_ELASTICITY * share, 2 * np.maximum(PRIOR_ELASTICITY * share, LEAST_SPREAD)
        self.centre: FloatArray = np.concatenate([centre, np.zeros(own)])
        self.spread: FloatArray = np.concatenate([spread, np.ones(own)])

    def estimate(self) -> tuple[list[int], FloatArray, float]:
        """Retentions (places on the grid), coefficients and noise of all weeks as they are."""
        ones = np.ones(self.answer.size)
        noise = float(self.answer.std()) or 1e-3
        chosen = [1] * self.channels
        for _ in range(4):
            chosen, coefficients, _ = self.search(ones, self.centre, noise, chosen, sweeps=2)
            residual = self.answer - self.columns[:, self._picked(chosen)] @ coefficients
            freedom = max(self.answer.size - 2 * self.channels - 5, 1)
            noise = max(float(np.sqrt(residual @ residual / freedom)), 1e-4)
        return chosen, coefficients, noise

    def search(
        self, counts: FloatArray, centre: FloatArray, noise: float, start: Sequence[int], sweeps: int
    ) -> tuple[list[int], FloatArray, float]:
        """Coordinate descent over retentions of the penalised least squares of weighted weeks."""
        weighted = self.columns * counts[:, None] / noise**2
        gram, cross = self.columns.T @ weighted, weighted.T @ self.answer
        chosen = list(start)
        coefficients, loss = self._solve(gram, cross, centre, chosen)
        for _ in range(sweeps):
            for channel in range(self.channels):
                for place in range(len(RETENTIONS)):
                    tried = [*chosen[:channel], place, *chosen[channel + 1 :]]
                    found, its = self._solve(gram, cross, centre, tried)
                    if its < loss - 1e-12:
                        chosen, coefficients, loss = tried, found, its
        return chosen, coefficients, loss

    def _picked(self, chosen: Sequence[int]) -> list[int]:
        media = [channel * len(RETENTIONS) + place for channel, place in enumerate(chosen)]
        first = self.channels * len(RETENTIONS)
        return [*media, *range(first, first + self.baseline.shape[1])]

    def _solve(
        self, gram: FloatArray, cross: FloatArray, centre: FloatArray, chosen: Sequence[int]
    ) -> tuple[FloatArray, float]:
        """Ridge with elasticities held at the end of 0–0.95 that they would leave, and its loss."""
        at = self._picked(chosen)
        precision = 1.0 / self.spread**2
        matrix = gram[np.ix_(at, at)] + np.diag(precision)
        target = cross[at] + precision * centre
        found, held = np.zeros(len(at)), np.zeros(len(at), dtype=bool)
        for _ in range(self.channels + 1):
            free = ~held
            found[free] = np.linalg.solve(
                matrix[np.ix_(free, free)], target[free] - matrix[np.ix_(free, held)] @ found[held]
            )
            outside = (found < 0) | (found > MOST_ELASTICITY)
            outside[self.channels :] = False
            if not (outside & free).any():
                break
            held |= outside
            found[outside] = np.clip(found[outside], 0.0, MOST_ELASTICITY)
        return found, float(0.5 * found @ matrix @ found - target @ found)


def _block_counts(weeks: int, rng: np.random.Generator) -> FloatArray:
    """How often each week is drawn when blocks that wrap around fill the series."""
    starts = rng.integers(0, weeks, size=-(-weeks // BLOCK_WEEKS))
    drawn = ((starts[:, None] + np.arange(BLOCK_WEEKS)) % weeks).reshape(-1)[:weeks]
    return np.bincount(drawn, minlength=weeks).astype(float)
