"""Response curves of channels: what a weekly spend adds, what the next dollar adds, and where data end.

Here: summaries of draws on a grid of spend. Not here: choosing spend (`allocation`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import polars as pl

from models.mmm.posterior import MediaPosterior
from models.mmm.response import FloatArray, half_life, marginal
from models.mmm.weeks import MediaWeeks

QUANTILES = (0.1, 0.5, 0.9)
GRID_STEPS = 41
REACH = 1.5
"""The grid ends at this multiple of the largest spend seen; beyond 1 it is extrapolated and says so."""
SATURATED = 0.9


def curves(posterior: MediaPosterior, value: float) -> pl.DataFrame:
    """A row per channel and weekly spend.

    Args:
        value: dollars of revenue per unit of outcome.

    Returns:
        channel, spend (dollars a week), conversions_p10/p50/p90 (incremental, a week at that constant spend),
        revenue_p50, roas_p10/p50/p90 (revenue per dollar; null at 0), marginal_roas_p10/p50/p90 (of the next
        dollar), marginal_cac_p10/p50/p90 (dollars per further conversion; null where infinite), extrapolated.
    """
    return tabulate(posterior.weeks, partial(at_spend, posterior), value)


def tabulate(
    weeks: MediaWeeks, answer: Callable[[int, FloatArray], tuple[FloatArray, FloatArray]], value: float
) -> pl.DataFrame:
    """`curves` of whatever model answers `at_spend` of its channels."""
    parts = []
    for channel, name in enumerate(weeks.channels):
        top = float(weeks.spend[:, channel].max())
        spend = np.linspace(0.0, REACH * (top or 1.0), GRID_STEPS)
        answered, next_dollar = answer(channel, spend)
        low, middle, high = np.quantile(answered, QUANTILES, axis=0)
        step = np.quantile(next_dollar, QUANTILES, axis=0)
        divisor = np.where(spend > 0, spend, np.nan)
        with np.errstate(divide="ignore"):
            cost = 1.0 / step
        parts.append(
            pl.DataFrame(
                {
                    "channel": [name] * GRID_STEPS,
                    "spend": spend,
                    "conversions_p10": low,
                    "conversions_p50": middle,
                    "conversions_p90": high,
                    "revenue_p50": middle * value,
                    **{
                        f"roas_p{q}": values * value / divisor
                        for q, values in zip((10, 50, 90), (low, middle, high), strict=True)
                    },
                    **{f"marginal_roas_p{q}": step[at] * value for at, q in enumerate((10, 50, 90))},
                    # P(cost <= p10) = 10 %: the good end of the cost is the high end of the response.
                    **{f"marginal_cac_p{q}": cost[2 - at] for at, q in enumerate((10, 50, 90))},
                    "extrapolated": spend > top,
                }
            )
        )
    numbers = pl.col(pl.Float64)
    return pl.concat(parts).with_columns(pl.when(numbers.is_finite()).then(numbers))


def at_spend(posterior: MediaPosterior, channel: int, spend: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Conversions a week at constant spend and what one further dollar adds, each (draws, spends)."""
    scale = posterior.weeks.spend_scale[channel]
    own = {name: values[:, channel, None] for name, values in posterior.media.items()}
    top = posterior.effect[:, channel, None] * posterior.weeks.outcome_scale
    answered = posterior.response_of(channel, spend[None, :])
    return answered, top * marginal(posterior.saturation, spend[None, :] / scale, own) / scale


class ChannelFit(Protocol):
    """Draws of any model of the same weeks."""

    @property
    def weeks(self) -> MediaWeeks: ...
    def contributions(self) -> FloatArray: ...
    def carry_over(self) -> FloatArray: ...


def channel_summary(fitted: ChannelFit, value: float) -> pl.DataFrame:
    """A row per channel over the fitted weeks.

    Args:
        value: dollars of revenue per unit of outcome.

    Returns:
        channel, spend (dollars), contribution_p10/p50/p90 (conversions), contribution_share_p50 (of the
        outcome), roas_p10/p50/p90, carry_over_weeks_p10/p50/p90 (half-life).
    """
    weeks = fitted.weeks
    added = fitted.contributions().sum(axis=1)
    spent = weeks.spend.sum(axis=0)
    lives = half_life(fitted.carry_over())
    columns: dict[str, object] = {"channel": list(weeks.channels), "spend": spent}
    with np.errstate(divide="ignore", invalid="ignore"):
        returned = np.where(spent > 0, added * value / spent, np.nan)
    for name, values in (("contribution", added), ("roas", returned), ("carry_over_weeks", lives)):
        for at, quantile in zip((10, 50, 90), np.quantile(values, QUANTILES, axis=0), strict=True):
            columns[f"{name}_p{at}"] = quantile
    columns["contribution_share_p50"] = np.median(added, axis=0) / max(weeks.outcome.sum(), 1e-12)
    numbers = pl.col(pl.Float64)
    return pl.DataFrame(columns).with_columns(pl.when(numbers.is_finite()).then(numbers))


def saturation_spends(posterior: MediaPosterior) -> list[float | None]:
    """Dollars a week at which each channel reaches 90 % of its largest response; None: beyond five times all
    it ever spent."""
    return [_saturation_spend(posterior, channel) for channel in range(len(posterior.weeks.channels))]


def _saturation_spend(posterior: MediaPosterior, channel: int) -> float | None:
    scale = posterior.weeks.spend_scale[channel]
    spend = np.linspace(0.0, 5.0 * scale, 501)
    share = np.median(posterior.response_of(channel, spend[None, :]), axis=0)
    reached = np.flatnonzero(
        share >= SATURATED * np.median(posterior.effect[:, channel]) * posterior.weeks.outcome_scale
    )
    return float(spend[reached[0]]) if reached.size else None
