"""Figures for asset metadata, by subject.

Here: the names that assets draw by. Not here: numbers that are not already in a frame.

Every figure can be drawn from an empty frame: a morning without an eligible account still has its plots,
and they say that there is nothing to draw.
"""

from aelp_assets.plots.creatives import ad_scores, creative_fatigue, creative_rates
from aelp_assets.plots.decisions import budget_moves, cac_by_lever, slate_budgets
from aelp_assets.plots.experiments import experiment_calendar, lift_sequences, split_test_lifts
from aelp_assets.plots.forecasts import coverage_intervals, forecast_by_lever, forecast_review, outlook_fan
from aelp_assets.plots.media_mix import (
    channel_allocations,
    channel_returns,
    media_mix_curves,
    response_curves,
)
from aelp_assets.plots.monitoring import change_waterfall
from aelp_assets.plots.rates import baseline_ranges, context_rates

__all__ = [
    "ad_scores",
    "baseline_ranges",
    "budget_moves",
    "cac_by_lever",
    "change_waterfall",
    "channel_allocations",
    "channel_returns",
    "context_rates",
    "coverage_intervals",
    "creative_fatigue",
    "creative_rates",
    "experiment_calendar",
    "forecast_by_lever",
    "forecast_review",
    "lift_sequences",
    "media_mix_curves",
    "outlook_fan",
    "response_curves",
    "slate_budgets",
    "split_test_lifts",
]
