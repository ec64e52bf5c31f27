"""Forecasts of what a lever's budget buys, with their uncertainty: one rate model, several uses.

Here: rates pooled from lever to track (`rates`), how late conversions come (`delay`), days unlike the others
(`events`), joint draws (`draws`), forecasts per lever and budget (`levers`), what a signup is by each count
(`economics`), the 30-day outlook (`outlook`), the CAC identity (`identity`). Not here: scoring against the
past (`models.accuracy`), placement baselines (`models.baselines`), what may be spent.
"""

from models.forecasting.delay import completion_so_far
from models.forecasting.economics import Economics, fit_economics
from models.forecasting.events import Event
from models.forecasting.identity import cac_identity
from models.forecasting.levers import METRICS, forecast_levers
from models.forecasting.outlook import forecast_outlook
from models.forecasting.panel import build_panel
from models.forecasting.rates import RateModel, fit_rates

__all__ = [
    "METRICS",
    "Economics",
    "Event",
    "RateModel",
    "build_panel",
    "cac_identity",
    "completion_so_far",
    "fit_economics",
    "fit_rates",
    "forecast_levers",
    "forecast_outlook",
]
