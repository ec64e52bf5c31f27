"""The next 30 days by track and combined, at the budgets in force: FORECAST_OUTLOOK.

Here: adding up joint draws. Not here: the draws (`book`), other budgets (`levers`).

A total is a sum of draws, never of quantiles. Levers of a track share part of their shocks, so the
total is as uncertain as the world it adds up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import polars as pl

from models.forecasting.book import draw_days, lever_book
from models.forecasting.draws import dispersed
from models.forecasting.panel import FloatArray
from models.forecasting.rates import Link, RateModel
from models.quantiles import quantile_rows

COMBINED = "combined"


def forecast_outlook(
    model: RateModel,
    levers: pl.DataFrame,
    delivery: pl.DataFrame,
    as_of_date: date,
    *,
    cac_caps: Mapping[str, float],
    minimum_daily_signups: Mapping[str, float],
    outlook_days: int,
    delivery_mean: float,
    delivery_strength: float,
    draws: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Spend, signups and CAC per day and in total, by track and combined.

    Args:
        model, levers, delivery, delivery_mean, delivery_strength, draws, rng: as `forecast_levers`;
            with a generator of the same seed the two see the same paths of rates and delivery.
        cac_caps: dollars per signup, by track.
        minimum_daily_signups: by track; a total is held against minimum · days.
        outlook_days: days from as_of_date on.
    Returns:
        FORECAST_OUTLOOK: tracks sorted, then `combined`; days, then the total. Means of parts add up
        to the mean of their total. Money is added up as it is: one currency is assumed.
    Raises:
        ValueError: a track without a cap or minimum, and as `lever_book`.
    """
    book = lever_book(
        model, levers, delivery, delivery_mean=delivery_mean, delivery_strength=delivery_strength
    )
    track_of_lever = book.levers["track"].to_list()
    tracks = sorted(set(track_of_lever))
    lacking = [track for track in tracks if track not in cac_caps or track not in minimum_daily_signups]
    if lacking:
        raise ValueError(f"no CAC cap or minimum for the tracks {lacking}")
    if not tracks:
        return _frame([], as_of_date)
    # shape (tracks, days, draws); float64 because thousands of levers are added up
    spend = np.zeros((len(tracks), outlook_days, draws))
    signups = np.zeros_like(spend)
    for block in draw_days(
        model,
        book,
        as_of_date,
        days=outlook_days,
        draws=draws,
        seed=int(rng.integers(2**62)),
        with_impressions=False,
    ):
        dispersion = model.levels[Link.SIGNUPS].dispersion[book.rows[block.positions]]
        counted = dispersed(block.outcome.signup_mean, dispersion, block.noise)
        for index, track in enumerate(tracks):
            own = [i for i, position in enumerate(block.positions) if track_of_lever[position] == track]
            if own:
                spend[index, block.day] += block.spend[own].sum(axis=0, dtype=np.float64)
                signups[index, block.day] += counted[own].sum(axis=0, dtype=np.float64)
    spend_means, signup_means = spend.mean(axis=2), signups.mean(axis=2)

    rows = []
    for index, track in enumerate(tracks):
        cap, minimum = float(cac_caps[track]), float(minimum_daily_signups[track])
        rows += _track_rows(
            track,
            as_of_date,
            spend[index],
            signups[index],
            spend_means[[index]],
            signup_means[[index]],
            cap,
            minimum,
        )
    rows += _track_rows(
        COMBINED, as_of_date, spend.sum(axis=0), signups.sum(axis=0), spend_means, signup_means, None, None
    )
    return _frame(rows, as_of_date)


def _track_rows(
    track: str,
    as_of_date: date,
    spend: FloatArray,
    signups: FloatArray,
    spend_means: FloatArray,
    signup_means: FloatArray,
    cap: float | None,
    minimum: float | None,
) -> list[dict[str, object]]:
    """One row per day and one for the total; draws of shape (days, draws), means of parts (parts, days)."""
    days = spend.shape[0]
    horizons = [("day", day, spend[day], signups[day], [day], 1) for day in range(days)]
    horizons.append(("total", days - 1, spend.sum(axis=0), signups.sum(axis=0), list(range(days)), days))
    rows = []
    for horizon, last, dollars, counted, summed, length in horizons:
        with np.errstate(divide="ignore", invalid="ignore"):
            cac = np.where(counted > 0, dollars / counted, np.inf)
        known = bool(np.isfinite(counted).all())
        row: dict[str, object] = {
            "track": track,
            "horizon": horizon,
            "target_date": as_of_date + timedelta(days=last),
            "spend_mean": math.fsum(spend_means[:, summed].ravel()),
            "signups_mean": math.fsum(signup_means[:, summed].ravel()) if known else None,
            "p_cac_within_cap": float((cac <= cap).mean()) if known and cap is not None else None,
            "p_meets_minimum": float((counted >= minimum * length).mean())
            if known and minimum is not None
            else None,
        }
        for metric, values in (("spend", dollars), ("signups", counted), ("cac", cac)):
            found = quantile_rows(values[None, :])[0] if metric == "spend" or known else np.full(3, np.nan)
            for level, value in zip(("p10", "p50", "p90"), found, strict=True):
                row[f"{metric}_{level}"] = float(value) if np.isfinite(value) else None
        rows.append(row)
    return rows


def _frame(rows: list[dict[str, object]], as_of_date: date) -> pl.DataFrame:
    quantiles = [f"{metric}_p{level}" for metric in ("spend", "signups", "cac") for level in (10, 50, 90)]
    measures = [*quantiles, "spend_mean", "signups_mean", "p_cac_within_cap", "p_meets_minimum"]
    schema = {"track": pl.String, "horizon": pl.String, "target_date": pl.Date} | dict.fromkeys(
        measures, pl.Float64
    )
    return pl.DataFrame(rows, schema=schema).with_columns(pl.lit(as_of_date).alias("as_of_date"))
