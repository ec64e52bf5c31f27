"""How a rate moves from day to day: a gamma local-level filter, averaged over how fast it may move.

Here: the filter, its predictive score, and the average over candidate dynamics. Not here: what the
counts and exposures are (`rates`), what past errors teach (`trials`), spend response and weekdays
(`response`).

Model, per series: counts n_t with mean m_t · x_t (x exposure), where
    log m_t    = log m_{t-1} + N(0, drift²)                     the level wanders,
    log rate_t = log m_t + N(0, shock²)                         a day has its own luck,
    Var(n_t | rate_t) = dispersion · mean                       counting noise (1: Poisson, 0: none).
The posterior of m_t stays gamma(a, b) by moment matching: the drift inflates 1/a (the log variance),
and a day adds n/d and x/d with d = dispersion + shock² · m · x, so zero counts need no special case.

Nobody knows drift, shock and dispersion after a fortnight, so they are not picked: every candidate on
a grid is run, scored on its own one-day and seven-day-ahead predictions (Student t, four degrees of
freedom, so one price change does not rewrite the history), pooled over the account, and averaged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.forecasting.panel import FloatArray, IntArray
from models.forecasting.response import WEEK
from models.forecasting.trials import Trial, learn_from, width_needed

TAIL_DEGREES = 4.0
SCORED_HORIZONS = (1, 7)
WARM_UP_DAYS = 3
POOLED_WEEKS = 8.0
"""How many weeks of a series' own evidence the account's average evidence counts for."""
USUAL_DRIFT = 0.03
DRIFT_LOG_SD = 0.7
"""Prior on the daily drift, log-normal: two quiet weeks are weak proof that a rate never moves."""
_DRIFTS = (0.002, 0.005, 0.0125, 0.03, 0.07, 0.15, 0.3)
_SHOCKS = (0.003, 0.012, 0.04, 0.1, 0.25, 0.6)
_LARGEST_VARIANCE = 1.0


@dataclass(frozen=True)
class Candidates:
    """Grid of dynamics: standard deviations per day on the log scale, and count dispersion; shape (k,)."""

    drift: FloatArray
    shock: FloatArray
    dispersion: FloatArray


@dataclass(frozen=True)
class Level:
    """Belief about one rate of every series on the last day seen; all shape (series,).

    Attributes:
        log_rate: mean of the log level (at usual spend, on an average weekday).
        log_variance: its variance.
        drift: standard deviation of the level's step from one day to the next.
        shock: standard deviation of a day around its level.
        dispersion: count variance over count mean.
        shared: share of drift and shock variance that the series of an account have in common.
    """

    log_rate: FloatArray
    log_variance: FloatArray
    drift: FloatArray
    shock: FloatArray
    dispersion: FloatArray
    shared: FloatArray


def candidates(dispersions: Sequence[float]) -> Candidates:
    """The grid over drift, shock and these dispersions."""
    drift, shock, dispersion = np.meshgrid(_DRIFTS, _SHOCKS, dispersions, indexing="ij")
    return Candidates(drift.ravel(), shock.ravel(), dispersion.ravel())


def mean_drift_variance(days: int) -> float:
    """Variance of the average of a unit random walk over days 1…h: (h+1)(2h+1)/(6h)."""
    return (days + 1) * (2 * days + 1) / (6 * days)


def filter_level(
    counts: FloatArray,
    exposure: FloatArray,
    prior_rate: FloatArray,
    prior_variance: FloatArray,
    pool: IntArray,
    grid: Candidates,
    *,
    calibrated: bool = True,
) -> Level:
    """Run every candidate over the history and average what they believe today.

    Args:
        counts: numerators, shape (series, days), non-negative.
        exposure: denominators already adjusted for spend and weekday, same shape; a day with
            exposure 0 teaches nothing.
        prior_rate: counts per exposure of each series' parent, positive, shape (series,).
        prior_variance: variance of the log rate around the parent, shape (series,).
        pool: who shares evidence about the dynamics (the account), shape (series,).
        grid: candidate dynamics.
        calibrated: whether the width is adjusted to what past forecasts missed by.
    """
    n_series, n_days = counts.shape
    size = (grid.drift.size, n_series)
    summed_counts, summed_exposure = _running_sum(counts), _running_sum(exposure)
    belief = _Belief(
        rate=np.broadcast_to(prior_rate, size).copy(),
        shape=np.broadcast_to(1.0 / prior_variance, size).copy(),
        started=np.zeros(n_series, dtype=bool),
    )
    earlier: deque[_Belief] = deque(maxlen=max(SCORED_HORIZONS))
    evidence = _Evidence.empty(size)
    trials: list[Trial] = []
    widths: list[Trial] = []
    unseen = _unseen_days(exposure, pool)
    gaps = np.unique(unseen).tolist() if calibrated else []

    for day in range(n_days + 1):
        for horizon in SCORED_HORIZONS:
            # What was believed `horizon` days ago about the days since: known by now, never earlier.
            if day - horizon >= WARM_UP_DAYS:
                made = day - horizon
                observed = summed_counts[:, day] - summed_counts[:, made]
                exposed = summed_exposure[:, day] - summed_exposure[:, made]
                error, variance = _prediction(earlier[-horizon], grid, observed, exposed, horizon)
                evidence.add(horizon, np.where(exposed > 0, _log_student(error, variance), 0.0), exposed > 0)
        if day >= WEEK and day < n_days and (n_days - day) % WEEK == 0:
            observed = summed_counts[:, day + WEEK] - summed_counts[:, day]
            exposed = summed_exposure[:, day + WEEK] - summed_exposure[:, day]
            trials.append(_trial(belief, evidence.weights(grid, pool), grid, observed, exposed))
        if day == n_days:
            break
        for gap in gaps if day >= WEEK else ():
            # The last of these weeks ends on the last day seen: as far ahead as today's forecast must look.
            left = n_days - 2 * gap - WEEK - day
            if left >= 0 and left % WEEK == 0:
                week = slice(day + gap, day + gap + WEEK)
                level = _average(belief, evidence.weights(grid, pool), grid)
                needed = _width_needed(level, counts[:, week].sum(axis=1), exposure[:, week].sum(axis=1), gap)
                widths.append(np.where(unseen == gap, needed, np.nan))
        earlier.append(_Belief(belief.rate.copy(), belief.shape.copy(), belief.started))
        belief.update(counts[:, day], exposure[:, day], grid)

    weights = evidence.weights(grid, pool)
    average = _average(belief, weights, grid)
    lesson = learn_from(trials, widths, pool)
    weekly = np.sqrt(_rate_variance(average, WEEK))
    return Level(
        log_rate=average.log_rate + lesson.bias * weekly,
        log_variance=np.minimum(average.log_variance * lesson.width**2, _LARGEST_VARIANCE),
        drift=average.drift * lesson.width,
        shock=average.shock * lesson.width,
        dispersion=average.dispersion,
        shared=lesson.shared,
    )


def also_uncertain(level: Level, common_deviation: FloatArray) -> Level:
    """The level with one more standard deviation, the same for all series of an account: shape (series,).

    It adds to the level's variance, and of what a week's rates have in common it is all.
    """
    added = common_deviation**2
    week = _rate_variance(level, WEEK)
    return replace(
        level,
        log_variance=np.minimum(level.log_variance + added, _LARGEST_VARIANCE),
        shared=(level.shared * week + added) / (week + added + 1e-12),
    )


def _rate_variance(level: Level, days: int, gap: int = 0) -> FloatArray:
    """Log variance of the mean rate over `days` that begin `gap` days from now, counting noise apart."""
    drifted: FloatArray = (
        level.log_variance + level.drift**2 * (gap + mean_drift_variance(days)) + level.shock**2 / days
    )
    return drifted


@dataclass
class _Belief:
    """Gamma belief about the level under every candidate; mean and shape, each (k, series)."""

    rate: FloatArray
    shape: FloatArray
    started: NDArray[np.bool_]

    def update(self, counts: FloatArray, exposure: FloatArray, grid: Candidates) -> None:
        """Let the level drift one day, then take in the day's count."""
        seen = exposure > 0
        self.started |= seen
        # A lever not yet launched stays at its parent's rate; uncertainty grows only once it has its own.
        inflation = np.where(self.started, grid.drift[:, None] ** 2, 0.0)
        drifted = 1.0 / np.minimum(1.0 / self.shape + inflation, _LARGEST_VARIANCE)
        overdispersion = grid.shock[:, None] ** 2 * self.rate * exposure
        deflation = 1.0 / (grid.dispersion[:, None] + overdispersion + 1e-12)
        gained = drifted + deflation * counts
        updated = gained / (drifted / self.rate + deflation * exposure)
        np.copyto(self.rate, np.maximum(updated, 1e-12), where=seen)
        np.copyto(self.shape, np.where(seen, np.maximum(gained, 1.0 / _LARGEST_VARIANCE), drifted))


@dataclass
class _Evidence:
    """Log scores of the predictions whose outcome is known, per horizon."""

    score: dict[int, FloatArray]
    number: dict[int, FloatArray]

    @classmethod
    def empty(cls, size: tuple[int, int]) -> _Evidence:
        return cls(
            {h: np.zeros(size) for h in SCORED_HORIZONS}, {h: np.zeros(size[1]) for h in SCORED_HORIZONS}
        )

    def add(self, horizon: int, score: FloatArray, seen: NDArray[np.bool_]) -> None:
        self.score[horizon] += score
        self.number[horizon] += seen

    def weights(self, grid: Candidates, pool: IntArray) -> FloatArray:
        """Posterior weight of each candidate per series, shape (k, series).

        The evidence counts weeks, not days times series: the series of an account share their shocks,
        so adding up their log scores would make a fortnight look like a year.
        """
        weeks = self.number[1] / WEEK
        own = np.zeros_like(self.score[1])
        for horizon in SCORED_HORIZONS:
            own += self.score[horizon] / np.maximum(self.number[horizon], 1.0) * weeks
        log_weight = own - 0.5 * (np.log(grid.drift / USUAL_DRIFT) / DRIFT_LOG_SD)[:, None] ** 2
        for member in np.unique(pool):
            inside = pool == member
            total_weeks = weeks[inside].sum()
            if total_weeks > 0:
                average = own[:, inside].sum(axis=1, keepdims=True) / total_weeks
                log_weight[:, inside] += POOLED_WEEKS * average
        weight = np.exp(log_weight - log_weight.max(axis=0))
        posterior: FloatArray = weight / weight.sum(axis=0)
        return posterior


def _prediction(
    belief: _Belief, grid: Candidates, observed: FloatArray, exposed: FloatArray, days: int
) -> tuple[FloatArray, FloatArray]:
    """Log error of a sum over `days` and the variance it was believed to have; each (k, series)."""
    dispersion = grid.dispersion[:, None]
    # Half a count keeps the log of an empty window finite where counts are noisy; where they are
    # not (clicks that are what is paid for) an empty window with spend is simply very unlikely.
    offset = 0.5 * np.minimum(dispersion, 1.0) + 1e-6
    expected = belief.rate * exposed
    error = np.log((observed + offset) / (expected + offset))
    variance = (
        1.0 / belief.shape
        + grid.drift[:, None] ** 2 * mean_drift_variance(days)
        + grid.shock[:, None] ** 2 / days
        + dispersion / (expected + 0.5)
    )
    return error, variance


def _average(belief: _Belief, weights: FloatArray, grid: Candidates) -> Level:
    """One level per series from all candidates.

    Standard deviations are averaged, not variances: the p10-p90 width of a mixture of widths is
    close to their mean, while the mean variance is ruled by the widest candidate.
    """
    log_rate = np.log(belief.rate)
    mean = (weights * log_rate).sum(axis=0)
    spread = (weights * (log_rate - mean) ** 2).sum(axis=0)
    return Level(
        log_rate=mean,
        log_variance=(weights / np.sqrt(belief.shape)).sum(axis=0) ** 2 + spread,
        drift=grid.drift @ weights,
        shock=grid.shock @ weights,
        dispersion=(np.sqrt(grid.dispersion) @ weights) ** 2,
        shared=np.full(mean.size, np.nan),
    )


def _trial(
    belief: _Belief, weights: FloatArray, grid: Candidates, observed: FloatArray, exposed: FloatArray
) -> Trial:
    """What the averaged forecast of that day got wrong over the following week."""
    level = _average(belief, weights, grid)
    error, of_counts = _missed_by(level, observed, exposed)
    of_rate = _rate_variance(level, WEEK)
    # Where counting noise is most of the variance the error says little about the rate.
    telling = (exposed > 0) & (of_counts < of_rate)
    return np.where(telling, error / np.sqrt(of_rate + of_counts), np.nan)


def _width_needed(level: Level, observed: FloatArray, exposed: FloatArray, gap: int) -> Trial:
    """How wide the forecast of a week that began `gap` days later should have been."""
    error, of_counts = _missed_by(level, observed, exposed)
    return np.where(exposed > 0, width_needed(error, _rate_variance(level, WEEK, gap), of_counts), np.nan)


def _missed_by(level: Level, observed: FloatArray, exposed: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log error of a week's count and the variance that counting noise gives it."""
    expected = np.exp(level.log_rate) * exposed
    offset = 0.5 * np.minimum(level.dispersion, 1.0) + 1e-6
    return np.log((observed + offset) / (expected + offset)), level.dispersion / (expected + 0.5)


def _unseen_days(exposure: FloatArray, pool: IntArray) -> IntArray:
    """Days at the end without exposure in the whole pool (conversions still arriving), per series."""
    unseen = np.full(pool.size, exposure.shape[1])
    for member in np.unique(pool):
        seen = np.flatnonzero((exposure[pool == member] > 0).any(axis=0))
        if seen.size:
            unseen[pool == member] -= seen[-1] + 1
    return unseen


def _running_sum(values: FloatArray) -> FloatArray:
    return np.concatenate([np.zeros((values.shape[0], 1)), values.cumsum(axis=1)], axis=1)


def _log_student(error: FloatArray, variance: FloatArray) -> FloatArray:
    """Log density of a Student t with scale² = variance, up to a constant."""
    return -0.5 * np.log(variance) - 0.5 * (TAIL_DEGREES + 1.0) * np.log1p(
        error * error / (TAIL_DEGREES * variance)
    )
