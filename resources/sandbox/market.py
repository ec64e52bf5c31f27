"""Demand and price through the year: weekday, season, events.

Here: the simulated market's calendar, by date. Not here: anything about one advertiser's account.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from resources.sandbox.catalogue import PLATFORMS, TRACKS
from resources.sandbox.laws import FloatArray, autoregression

# name, (month, first day, last day), demand factor by track, price factor
EVENTS: tuple[tuple[str, tuple[int, int, int], tuple[float, float], float], ...] = (
    ("New Year", (1, 2, 9), (1.12, 1.15), 0.85),
    ("Data Privacy Day", (1, 27, 29), (1.18, 1.00), 1.00),
    ("Tax season", (4, 6, 15), (1.10, 0.97), 1.00),
    ("Mental Health week", (5, 11, 17), (1.00, 1.12), 1.02),
    ("Memorial Day", (5, 22, 25), (0.90, 0.92), 1.08),
    ("Independence Day", (7, 3, 5), (0.86, 0.88), 0.96),
    ("Back to school", (8, 12, 31), (1.03, 1.18), 1.06),
    ("Black Friday week", (11, 20, 30), (1.25, 1.15), 1.38),
    ("Christmas", (12, 23, 27), (0.78, 0.84), 0.92),
)


def event_on(day: date) -> str:
    """Name of the event that day falls in, or ""."""
    for name, (month, first, last), _, _ in EVENTS:
        if day.month == month and first <= day.day <= last:
            return name
    return ""


def demand_and_price(
    rng: np.random.Generator, start: date, days: int
) -> tuple[FloatArray, FloatArray, list[str]]:
    """Demand (days, tracks), price (days, platforms), both about 1, and each day's event or ""."""
    dates = [start + timedelta(days=day) for day in range(days)]
    weekday = np.array([day.weekday() for day in dates])
    month = np.array([day.month + (day.day - 1) / 31 for day in dates])
    names = [event_on(day) for day in dates]
    effects = {name: (demand, price) for name, _, demand, price in EVENTS}
    demand = np.empty((days, len(TRACKS)))
    slow = autoregression(rng, days, len(TRACKS), 0.05, 0.95)
    for index, track in enumerate(TRACKS):
        season = 1.0 + track.summer * np.cos(2 * np.pi * (month - track.peak_month) / 12)
        event = np.array([effects[name][0][index] if name else 1.0 for name in names])
        demand[:, index] = np.array(track.weekday)[weekday] * season * event * np.exp(slow[:, index])
    # Advertisers crowd in towards the year's end and leave in January.
    crowd = (
        1.0 + 0.16 * np.exp(-np.square((month - 12.2) / 1.2)) - 0.10 * np.exp(-np.square((month - 1.6) / 0.7))
    )
    weekend = np.array([1.0, 1.0, 1.01, 1.02, 1.03, 0.97, 0.95])[weekday]
    event_price = np.array([effects[name][1] if name else 1.0 for name in names])
    wander = autoregression(rng, days, len(PLATFORMS), 0.06, 0.85)
    price = (crowd * weekend * event_price)[:, None] * np.exp(wander)
    return demand, price, names
