"""From dollars to clicks and signups on one day, given one draw of the rates.

Here: the step that live forecasts and the backtest share. Not here: where the dollars come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.forecasting.draws import Draws, dispersed
from models.forecasting.panel import FloatArray, IntArray
from models.forecasting.rates import Link, RateModel
from models.forecasting.response import SPEND_RATIO_RANGE


@dataclass(frozen=True)
class DayOutcome:
    """Joint draws of one day at one budget, each of shape (levers, draws).

    `signup_mean` still lacks its counting noise: budgets share the day and differ only in that.
    """

    clicks: Draws
    signup_mean: Draws


def median_rate(model: RateModel, link: Link, rows: IntArray, weekday: int) -> FloatArray:
    """exp(level + weekday), at usual spend; NaN where nothing is known of the link; shape (rows,)."""
    if not model.known[link]:
        return np.full(rows.size, np.nan)
    level: FloatArray = np.exp(model.levels[link].log_rate[rows] + model.weekdays[link, rows, weekday])
    return level


def rate_draws(
    model: RateModel, link: Link, rows: IntArray, weekday: int, spend: Draws, deviation: Draws
) -> Draws:
    """Rate of a link at these dollars: level · weekday · (spend / usual)^slope · exp(deviation)."""
    rate = np.exp(deviation)
    rate *= median_rate(model, link, rows, weekday).astype(np.float32)[:, None]
    slope = model.slopes[link, rows]
    if slope.any():
        ratio = spend / model.usual[rows].astype(np.float32)[:, None]
        rate *= np.clip(ratio, *SPEND_RATIO_RANGE, out=ratio) ** slope.astype(np.float32)[:, None]
    return rate


def day_outcome(
    model: RateModel,
    rows: IntArray,
    weekday: int,
    spend: Draws,
    deviations: dict[Link, Draws],
    rng: np.random.Generator,
) -> DayOutcome:
    """Clicks (with counting noise) and expected signups of one day.

    Args:
        spend: dollars, shape (levers, draws).
        deviations: log deviations of CLICKS and SIGNUPS from `PathSampler.next_day`.
        rng: stream of counting noise.
    """
    clicks = rate_draws(model, Link.CLICKS, rows, weekday, spend, deviations[Link.CLICKS])
    clicks *= spend
    clicks = dispersed(clicks, model.levels[Link.CLICKS].dispersion[rows], rng)
    signups = rate_draws(model, Link.SIGNUPS, rows, weekday, spend, deviations[Link.SIGNUPS])
    signups *= clicks
    return DayOutcome(clicks, signups)
