"""How rates answer to spend and to the weekday.

Here: the slope of each log rate on log spend, and weekday effects, both shrunk to what is known
beforehand. Not here: the level itself (`dynamics`).

Both are observational. A slope is never allowed to promise better rates for more money, and it is
learnt from seven-day differences, so that weekdays cancel and levels do not matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.forecasting.panel import FloatArray, IntArray

WEEK = 7
SLOPE_PRIOR_SD = 0.15
SPEND_RATIO_RANGE = (0.1, 10.0)
"""A slope is trusted this far from usual spend, no further."""


def usual_spend(cost: FloatArray, fallback: FloatArray) -> FloatArray:
    """Geometric mean dollars per day over the last 28 days with spend; `fallback` where there are none."""
    recent = cost[:, -28:]
    spent = recent > 0
    logs = np.where(spent, np.log(np.where(spent, recent, 1.0)), 0.0)
    days = spent.sum(axis=1)
    typical = np.exp(logs.sum(axis=1) / np.maximum(days, 1))
    return np.where(days > 0, typical, np.maximum(fallback, 0.01))


def spend_factor(spend: FloatArray, usual: FloatArray, slope: FloatArray) -> FloatArray:
    """(spend / usual)^slope, the ratio held inside SPEND_RATIO_RANGE."""
    ratio = np.clip(spend / usual, *SPEND_RATIO_RANGE)
    factor: FloatArray = ratio**slope
    return factor


def spend_slope(
    counts: FloatArray, exposure: FloatArray, cost: FloatArray, pool: IntArray, prior: FloatArray
) -> FloatArray:
    """Slope of log(counts / exposure) on log spend per pool, at most 0, shape (series,).

    Least squares on seven-day differences, weighted by how many counts stand behind each, with Huber
    weights (a price change is not a response to spend). The standard error is clustered by day and
    widened by the overlap of the differences; the posterior mean under N(prior, SLOPE_PRIOR_SD²) is used.
    `prior` is the same for all series of a pool.
    """
    slope = np.minimum(prior, 0.0)
    if counts.shape[1] <= WEEK:
        return slope
    usable = (counts > 0) & (exposure > 0) & (cost > 0)
    rate = np.where(usable, np.log(np.where(usable, counts, 1.0) / np.where(usable, exposure, 1.0)), 0.0)
    spend = np.where(usable, np.log(np.where(usable, cost, 1.0)), 0.0)
    information = np.where(usable, 1.0 / (0.01 + 1.0 / (counts + 0.5)), 0.0)
    weight = np.minimum(information[:, WEEK:], information[:, :-WEEK])
    rate_change = rate[:, WEEK:] - rate[:, :-WEEK]
    spend_change = spend[:, WEEK:] - spend[:, :-WEEK]
    for member in np.unique(pool):
        inside = pool == member
        before = float(prior[inside][0])
        slope[inside] = _robust_slope(rate_change[inside], spend_change[inside], weight[inside], before)
    return slope


def _robust_slope(y: FloatArray, x: FloatArray, weight: FloatArray, prior: float) -> float:
    slope = prior
    if not (weight > 0).any():
        return min(slope, 0.0)
    for _ in range(10):
        error = y - slope * x
        scale = 1.4826 * float(np.median(np.abs(error[weight > 0]))) + 1e-6
        huber = weight / np.maximum(1.0, np.abs(error) / (2.0 * scale))
        squares = float((huber * x * x).sum())
        if squares <= 0.0:
            return min(prior, 0.0)
        least_squares = float((huber * x * y).sum()) / squares
        by_day = (huber * x * (y - least_squares * x)).sum(axis=0)
        variance = WEEK * float((by_day**2).sum()) / squares**2 + 1e-6
        trust = 1.0 / variance
        before = 1.0 / SLOPE_PRIOR_SD**2
        slope = (least_squares * trust + prior * before) / (trust + before)
    return min(slope, 0.0)


def weekday_effects(
    counts: FloatArray, exposure: FloatArray, first_weekday: int, pool: IntArray
) -> FloatArray:
    """Log effect of each weekday (0 Monday) on counts / exposure, shape (series, 7).

    Each day is compared with the week centred on it. The account's weekday means are shrunk by
    between / (between + sampling variance), so two weeks of noise do not become a weekday pattern;
    what a series' own weekdays add to them is shrunk once more in the same way.
    """
    effects = np.zeros((pool.size, WEEK))
    n_days = counts.shape[1]
    if n_days < 2 * WEEK + 1:
        return effects
    usable = (counts > 0) & (exposure > 0)
    logs = np.where(usable, np.log(np.where(usable, counts, 1.0) / np.where(usable, exposure, 1.0)), 0.0)
    information = np.where(usable, 1.0 / (0.01 + 1.0 / (counts + 0.5)), 0.0)
    half = WEEK // 2
    windows = np.lib.stride_tricks.sliding_window_view(logs, WEEK, axis=1)
    whole = np.lib.stride_tricks.sliding_window_view(usable, WEEK, axis=1).all(axis=2)
    deviation = logs[:, half : n_days - half] - windows.mean(axis=2)
    weight = np.where(whole, information[:, half : n_days - half], 0.0)
    weekday = (first_weekday + half + np.arange(deviation.shape[1])) % WEEK
    for member in np.unique(pool):
        inside = pool == member
        of_day = weight[inside].sum(axis=0)
        seen = of_day > 0
        daily = (weight[inside] * deviation[inside]).sum(axis=0) / np.where(seen, of_day, 1.0)
        common = _shrunk_weekdays(daily[seen], weekday[seen])
        effects[inside] = common + _own_weekdays(deviation[inside] - common[weekday], weight[inside], weekday)
    return effects


def _shrunk_weekdays(daily: FloatArray, weekday: IntArray) -> FloatArray:
    """Weekday means of one series of deviations, shrunk to none; shape (7,)."""
    number = np.bincount(weekday, minlength=WEEK).astype(float)
    if (number < 2).any():
        return np.zeros(WEEK)
    means = np.bincount(weekday, weights=daily, minlength=WEEK) / number
    within = float(((daily - means[weekday]) ** 2).sum()) / max(daily.size - WEEK, 1)
    sampling = within / number
    between = max(float(means.var(ddof=1)) - float(sampling.mean()), 0.0)
    if between == 0.0:
        return np.zeros(WEEK)
    shrunk = means * between / (between + sampling)
    centred: FloatArray = shrunk - shrunk.mean()
    return centred


def _own_weekdays(deviation: FloatArray, weight: FloatArray, weekday: IntArray) -> FloatArray:
    """What a series' weekdays add to its account's, shrunk to nothing; shape (series, 7)."""
    seen = weight > 0
    number = np.stack([seen[:, weekday == day].sum(axis=1) for day in range(WEEK)], axis=1)
    total = np.stack([(deviation * seen)[:, weekday == day].sum(axis=1) for day in range(WEEK)], axis=1)
    means = total / np.maximum(number, 1)
    within = (((deviation - means[:, weekday]) * seen) ** 2).sum(axis=1) / np.maximum(
        seen.sum(axis=1) - WEEK, 1
    )
    whole: NDArray[np.bool_] = np.asarray((number >= 2).all(axis=1))
    if not whole.any():
        return np.zeros_like(means)
    sampling = within[:, None] / np.maximum(number, 1)
    trust = 1.0 / (0.01 + sampling[whole])
    between = max(float((trust * (means[whole] ** 2 - sampling[whole])).sum() / trust.sum()), 0.0)
    if between == 0.0:
        return np.zeros_like(means)
    own = np.where(whole[:, None], means * between / (between + sampling), 0.0)
    centred: FloatArray = own - own.mean(axis=1, keepdims=True)
    return centred
