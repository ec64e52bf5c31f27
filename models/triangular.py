"""The classic forecast, kept as the named method to beat: triangular draws of CPM, CTR and CVR.

Here: what a planner's spreadsheet does with a rate card, as well as it can be done. Not here: our own
forecast (`models.forecasting`), the scores of either (`models.accuracy`).

The method, as practised:
  * Hygiene: a pool's day whose CPM, CTR or CVR lies more than three standard deviations from the pool's
    mean is dropped (it also drops real peaks). A pool is the levers of one account and track.
  * Rate card: p10, p50, p90 of the pool's remaining daily rates are the low end, mode and high end of a
    triangular law each. The three are drawn independently.
  * Multipliers: a lever's rate is the pool's times the lever's own rate over the pool's so far, and times
    its weekday's.
  * Delivery: 85 % of a budget is spent; a single number, without an interval.
  * Signups = dollars / CPM · 1,000 · CTR · CVR. A scenario is one draw of the three rates for the whole
    horizon; counts have no noise of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.forecasting.panel import MEASURES, FloatArray, Panel
from models.quantiles import LEVELS

BoolArray = NDArray[np.bool_]

DELIVERY = 0.85
_OUTLIER_DEVIATIONS = 3.0
_WEEK = 7
_RATES = (("cost", "impressions"), ("clicks", "impressions"), ("conversions", "clicks"))
"""Numerator and denominator of CPM / 1,000, CTR and CVR."""


def triangular_draws(
    panel: Panel,
    spend_ahead: FloatArray,
    *,
    horizons: Iterable[int],
    draws: int,
    rng: np.random.Generator,
) -> Iterator[tuple[tuple[str, int], FloatArray]]:
    """Draws of clicks, conversions and spend per series, a (metric, horizon) at a time: all would be large.

    Args:
        panel: the past, ending the day before the forecast.
        spend_ahead: dollars a day that clicks and conversions are given, shape (series, days ahead).
        horizons: days ahead, summed; none longer than `spend_ahead`.
    Yields:
        (metric, horizon) and draws of shape (series, draws); of spend (series, 1), for it is 85 % of the
        budget; daily sums carry no budgets, so the dearest day of the last week stands in for it.
    """
    clean = _without_outliers(panel)
    cards, factors, weekdays = _rate_cards(clean), _multipliers(clean), _weekday_multipliers(clean)
    uniforms = rng.random((3, draws))
    budget = panel.cost[:, -_WEEK:].max(axis=1, initial=0.0)
    for horizon in horizons:
        days = np.arange(horizon)
        # Days are weighted by what their weekday makes of a dollar; the scenario's rates are common to them.
        ahead = (panel.days + days) % _WEEK
        clicks_worth = weekdays[1, ahead] / weekdays[0, ahead]
        dollars = spend_ahead[:, :horizon]
        cpi, ctr, cvr = (_triangular(cards[rate], uniforms[rate]) for rate in range(3))
        with np.errstate(divide="ignore", invalid="ignore"):
            per_dollar = np.where(cpi > 0, ctr / cpi, 0.0)[panel.group]
        lever_clicks = factors[1] / factors[0]
        clicks = (lever_clicks * (dollars * clicks_worth).sum(axis=1))[:, None] * per_dollar
        worth = clicks_worth * weekdays[2, ahead]
        lever_signups = lever_clicks * factors[2]
        signups = (lever_signups * (dollars * worth).sum(axis=1))[:, None] * per_dollar * cvr[panel.group]
        yield ("clicks", horizon), clicks
        yield ("conversions", horizon), signups
        yield ("spend", horizon), (DELIVERY * budget * horizon)[:, None]


def _without_outliers(panel: Panel) -> Panel:
    """The panel with nothing on the days dropped from each pool."""
    dropped = np.zeros(panel.cost.shape, dtype=bool)
    for pool in np.unique(panel.group):
        members = panel.group == pool
        for rate in _daily_rates(panel, members):
            known = rate[~np.isnan(rate)]
            if known.size > 1:
                with np.errstate(invalid="ignore"):
                    far = np.abs(rate - known.mean()) > _OUTLIER_DEVIATIONS * known.std(ddof=1)
                dropped |= members[:, None] & far
    cost, impressions, clicks, conversions = (
        np.where(dropped, 0.0, getattr(panel, name)) for name in MEASURES
    )
    return replace(panel, cost=cost, impressions=impressions, clicks=clicks, conversions=conversions)


def _daily_rates(panel: Panel, members: BoolArray) -> list[FloatArray]:
    """Daily ratios of sums of a pool, NaN on days without; one per rate, shape (days,)."""
    return [
        _ratio(getattr(panel, above)[members].sum(axis=0), getattr(panel, below)[members].sum(axis=0))
        for above, below in _RATES
    ]


def _rate_cards(panel: Panel) -> FloatArray:
    """Low end, mode and high end of each rate's daily values per pool, shape (rates, pools, 3)."""
    pools = int(panel.group.max(initial=-1)) + 1
    cards = np.zeros((len(_RATES), pools, len(LEVELS)))
    for pool in range(pools):
        for place, rate in enumerate(_daily_rates(panel, panel.group == pool)):
            known = rate[~np.isnan(rate)]
            if known.size:
                cards[place, pool] = np.quantile(known, LEVELS)
    return cards


def _multipliers(panel: Panel) -> FloatArray:
    """Each lever's rate over its pool's, ratios of sums so far, shape (rates, series); 1 where unknown."""
    factors = np.ones((len(_RATES), panel.series.height))
    for place, (above, below) in enumerate(_RATES):
        own = _ratio(getattr(panel, above).sum(axis=1), getattr(panel, below).sum(axis=1))
        for pool in np.unique(panel.group):
            members = panel.group == pool
            usual = _ratio(getattr(panel, above)[members].sum(), getattr(panel, below)[members].sum())
            factors[place, members] = own[members] / usual if usual > 0 else np.nan
    factors[~np.isfinite(factors)] = 1.0
    factors[0, factors[0] == 0] = 1.0  # impressions nobody paid for say nothing about their price
    return factors


def _weekday_multipliers(panel: Panel) -> FloatArray:
    """Rate of each weekday over the rate of all days, whole account, shape (rates, 7), by day index mod 7."""
    factors = np.ones((len(_RATES), _WEEK))
    for place, (above, below) in enumerate(_RATES):
        over, under = getattr(panel, above).sum(axis=0), getattr(panel, below).sum(axis=0)
        usual = _ratio(over.sum(), under.sum())
        for weekday in range(_WEEK):
            rate = _ratio(over[weekday::_WEEK].sum(), under[weekday::_WEEK].sum())
            if rate > 0 and usual > 0:
                factors[place, weekday] = rate / usual
    return factors


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)


def _triangular(cards: FloatArray, uniforms: FloatArray) -> FloatArray:
    """Draws of each pool's triangular law by its inverse CDF, shape (pools, draws)."""
    low, mode, high = (cards[:, [place]] for place in range(3))
    width = high - low
    at_mode = np.where(width > 0, (mode - low) / np.where(width > 0, width, 1.0), 0.5)
    rising = low + np.sqrt(uniforms * width * (mode - low))
    falling = high - np.sqrt((1.0 - uniforms) * width * (high - mode))
    draws: FloatArray = np.where(uniforms < at_mode, rising, falling)
    return draws
