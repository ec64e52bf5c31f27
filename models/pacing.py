"""Spend within a day: its expected course, and where what was spent so far will end.

Here: the share of a day's spend by hour, the day's end as an interval, what passes a platform's worst case.
Not here: up to which hour spend is known (`spend_readings`), proposing anything (`aelp_assets.pacing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

HOURS = 24
_PRIOR_DAYS = 3.0  # how many days of evidence the even course is worth
_WEEKDAY_DAYS = 4.0  # how many days of its own a weekday needs to count as much as all of them
_PRIOR_CONCENTRATION = 30.0  # half a day's share then varies by 0.09 from day to day
_LOG_SPREAD = 0.5  # standard deviation of log(day's spend / planned), before anything was spent
_GRID = 1500
_REACH = 30.0  # the grid ends at so many times the planned spend, or what was spent
_KEY = ["platform", "account_id", "lever_id"]
_ACCOUNT = ["platform", "account_id"]

PACING_SCHEMA = pl.Schema(
    {
        "platform": pl.String(),
        "account_id": pl.String(),
        "track": pl.String(),
        "lever_id": pl.String(),
        "date": pl.Date(),
        "hour": pl.Int64(),
        "budget": pl.Decimal(38, 9),
        "worst_case": pl.Float64(),
        "expected_share": pl.Float64(),
        "expected_spend": pl.Float64(),
        "spend": pl.Float64(),
        "spend_reported": pl.Float64(),
        "day_end_p10": pl.Float64(),
        "day_end_p50": pl.Float64(),
        "day_end_p90": pl.Float64(),
        "p_above_worst_case": pl.Float64(),
        "reading": pl.String(),
        "reading_reason": pl.String(),
        "read_at": pl.Datetime("us", "UTC"),
        "reporting_delay_hours": pl.Float64(),
    }
)
_OF_READING = ["date", "reading", "reading_reason", "read_at", "reporting_delay_hours"]


@dataclass(frozen=True)
class DayCourse:
    """How a day's spend is spread over it.

    Attributes:
        shares: expected share spent by the end of each hour, shape (24,), rising to 1.
        concentration: of the Beta distribution of a day's share around it; larger is steadier.
    """

    shares: FloatArray
    concentration: float


def day_course(history: pl.DataFrame, day: date) -> DayCourse:
    """The course of `day` in one account, from earlier days: its weekday's, shrunk to all days', to even.

    Args:
        history: date, hour, spend (of that hour), day_spend (of the whole day), hours_over (how many hours
            were over when the day was read last). What came after is spread evenly over the rest.
    """
    even = np.arange(1, HOURS + 1) / HOURS
    courses, weekdays = [], []
    for (past,), rows in history.filter(pl.col("date") < day).group_by("date", maintain_order=True):
        spent = np.zeros(HOURS)
        np.add.at(spent, rows["hour"].to_numpy(), rows["spend"].to_numpy())
        total, over = max(float(rows["day_spend"][0]), spent.sum()), int(rows["hours_over"][0])
        if total > 0 and over > 0 and isinstance(past, date):
            shares = spent.cumsum() / total
            left = np.arange(1, HOURS - over + 1) / max(1, HOURS - over)
            shares[over:] = shares[over - 1] + (1 - shares[over - 1]) * left
            courses.append(shares)
            weekdays.append(past.weekday())
    if not courses:
        return DayCourse(even, _PRIOR_CONCENTRATION)
    seen = np.array(courses)
    usual = (_PRIOR_DAYS * even + seen.sum(axis=0)) / (_PRIOR_DAYS + len(seen))
    own = seen[np.array(weekdays) == day.weekday()]
    shares = (_WEEKDAY_DAYS * usual + own.sum(axis=0)) / (_WEEKDAY_DAYS + len(own))
    # Var(share) = m (1 - m) / (concentration + 1): each hour of each day estimates the same number.
    m = usual[:-1]
    spread = float((((seen[:, :-1] - m) ** 2) / (m * (1 - m))).mean())
    prior = 1 / (_PRIOR_CONCENTRATION + 1)
    variance = (_PRIOR_DAYS * prior + len(seen) * spread) / (_PRIOR_DAYS + len(seen))
    return DayCourse(shares, float(np.clip(1 / variance - 1, 2.0, 2000.0)))


def day_end(
    spent: FloatArray, shares: FloatArray, planned: FloatArray, ceilings: FloatArray, concentration: float
) -> tuple[FloatArray, FloatArray]:
    """Where days end: quantiles p10, p50, p90 of the day's spend, shape (3, n), and P(spend > ceiling), (n,).

    A day's spend T is lognormal around what is planned, the share S spent so far Beta(κ m, κ (1 - m)), and
    spent = S T; so p(T | spent) ∝ p(T) Beta(spent / T) / T, taken on a grid of log T. Where nothing is spent
    yet, the share says nothing of T and only the rest of the plan is to come.

    Args:
        spent: dollars so far, shape (n,), not negative.
        shares: expected share of the day that is over, in (0, 1], shape (n,).
        planned: expected spend of a whole day, positive, shape (n,).
        ceilings: dollars, shape (n,).
        concentration: κ.
    Raises:
        ValueError: a negative spend, a share outside (0, 1], or a plan that is not positive.
    """
    if (spent < 0).any() or (shares <= 0).any() or (shares > 1 + 1e-9).any() or (planned <= 0).any():
        raise ValueError("spend must not be negative, shares lie in (0, 1], plans be positive")
    open_share = np.maximum(1 - shares, 1e-9)
    centre = np.where(spent > 0, planned, planned * open_share)
    low, high = np.maximum(spent, centre * 1e-3), _REACH * np.maximum(spent, centre)
    steps = np.linspace(0.0, 1.0, _GRID)
    totals = low[:, None] * (high / low)[:, None] ** steps
    weight = -(((np.log(totals) - np.log(centre)[:, None]) / _LOG_SPREAD) ** 2) / 2
    inside = np.clip(spent[:, None] / totals, 1e-9, 1 - 1e-9)
    m = np.clip(shares, 1e-6, 1 - 1e-6)[:, None]
    told = (concentration * m - 1) * np.log(inside) + (concentration * (1 - m) - 1) * np.log1p(-inside)
    weight = weight + np.where(spent[:, None] > 0, told - np.log(totals), 0.0)
    weight = np.exp(weight - weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    below = weight.cumsum(axis=1)
    quantiles = np.array(
        [
            [np.interp(q, row, total) for row, total in zip(below, totals, strict=True)]
            for q in (0.1, 0.5, 0.9)
        ]
    )
    above = np.where(totals > ceilings[:, None], weight, 0.0).sum(axis=1)
    over = shares >= 1 - 1e-9
    return np.where(over, spent, quantiles), np.where(over, (spent > ceilings).astype(float), above)


def pacing_plan(
    levers: pl.DataFrame,
    today: pl.DataFrame,
    readings: pl.DataFrame,
    history: pl.DataFrame,
    *,
    overdelivery: Mapping[str, float],
    other_overdelivery: float,
    delivery_mean: float,
) -> pl.DataFrame:
    """Each lever's day hour by hour: what is expected, what was spent, where it will end (`PACING_SCHEMA`).

    Only settled hours are judged; what is told of later ones is kept as `spend_reported`, a lower bound.

    Args:
        levers: platform, account_id, track, lever_id, budget (dollars a day, positive).
        today: platform, account_id, lever_id, hour (null: of the whole day so far), spend (not negative).
        readings: a row of `spend_readings.SCHEMA` for every account of `levers`.
        history: rows of `day_course` with platform and account_id.
        overdelivery: how far above a daily budget a platform may spend on one day, by platform.
        other_overdelivery: of platforms not named there.
        delivery_mean: share of a budget that is usually spent.
    Raises:
        ValueError: an account has no reading; as `day_end`.
    """
    told = {(row["platform"], row["account_id"]): row for row in readings.iter_rows(named=True)}
    parts = []
    for (platform, account_id), members in levers.sort(_KEY).group_by(_ACCOUNT, maintain_order=True):
        reading = told.get((str(platform), str(account_id)))
        if reading is None:
            raise ValueError(f"{platform} account {account_id} has levers and no reading")
        mine = (pl.col("platform") == platform) & (pl.col("account_id") == account_id)
        course = day_course(history.filter(mine), reading["date"])
        above = 1 + overdelivery.get(str(platform), other_overdelivery)
        parts.append(_of_account(members, today.filter(mine), reading, course, above, delivery_mean))
    return pl.concat(parts) if parts else pl.DataFrame(schema=PACING_SCHEMA)


def _of_account(
    levers: pl.DataFrame,
    today: pl.DataFrame,
    reading: Mapping[str, Any],
    course: DayCourse,
    above: float,
    delivery_mean: float,
) -> pl.DataFrame:
    budget = levers["budget"].cast(pl.Float64).to_numpy()
    settled, reported = _known_hours(reading)
    spent = np.zeros((levers.height, HOURS))
    places = {lever: place for place, lever in enumerate(levers["lever_id"])}
    for lever, hour, spend in today.select("lever_id", "hour", "spend").iter_rows():
        if lever in places:
            spent[places[lever], max(0, reading["hours_over"] - 1) if hour is None else hour] += spend
    spent = spent.cumsum(axis=1)
    shape = (levers.height, HOURS)
    shares = np.broadcast_to(course.shares, shape)
    planned = np.broadcast_to((budget * delivery_mean)[:, None], shape)
    worst = np.broadcast_to((budget * above)[:, None], shape)
    ends, p_above = np.full((3, *shape), np.nan), np.full(shape, np.nan)
    if settled.any():
        given = [each[:, settled].ravel() for each in (spent, shares, planned, worst)]
        quantiles, beyond = day_end(given[0], given[1], given[2], given[3], course.concentration)
        ends[:, :, settled] = quantiles.reshape(3, levers.height, -1)
        p_above[:, settled] = beyond.reshape(levers.height, -1)
    numbers = {
        "worst_case": worst,
        "expected_share": shares,
        "expected_spend": shares * planned,
        "spend": spent,
        "spend_reported": spent,
        "day_end_p10": ends[0],
        "day_end_p50": ends[1],
        "day_end_p90": ends[2],
        "p_above_worst_case": p_above,
    }
    judged = ("spend", "day_end_p10", "day_end_p50", "day_end_p90", "p_above_worst_case")
    known = dict.fromkeys(judged, settled) | {"spend_reported": reported}
    return (
        levers.select(*_ACCOUNT, "track", "lever_id", "budget")
        .select(pl.all().repeat_by(HOURS).explode())
        .with_columns(
            pl.Series("hour", np.tile(np.arange(HOURS), levers.height)),
            *(pl.Series(n, v.ravel()) for n, v in numbers.items()),
            *(pl.lit(reading[name], dtype=PACING_SCHEMA[name]).alias(name) for name in _OF_READING),
        )
        .with_columns(
            pl.when(pl.Series(np.tile(hours, levers.height))).then(pl.col(name)).alias(name)
            for name, hours in known.items()
        )
        .select(PACING_SCHEMA.names())
        .cast(dict(PACING_SCHEMA.items()))
    )


def _known_hours(reading: Mapping[str, Any]) -> tuple[BoolArray, BoolArray]:
    """Which hours of a day are settled, and of which at least something is told; shape (24,) each.

    A single figure of the day is known at one hour's end: before it nobody can tell.
    """
    hours, over, begun = np.arange(HOURS), reading["hours_over"], reading["hours_begun"]
    if reading["by_hour"]:
        return hours < over, hours < begun
    return (hours == over - 1), (hours >= max(0, over - 1)) & (hours < begun)


def overspends(plan: pl.DataFrame, probability: float) -> pl.DataFrame:
    """The first hour at which each lever's spend passed its worst case, or would with P > `probability`.

    What is told of hours not settled yet is enough for the first: spend only grows.

    Args:
        plan: of `pacing_plan`.
        probability: in (0, 1).

    Returns:
        The plan's rows of those hours with `kind`: spend_above_worst_case or day_end_above_worst_case.
    """
    passed = (pl.col("spend_reported") > pl.col("worst_case")).fill_null(False)
    kinds = {
        "spend_above_worst_case": passed,
        "day_end_above_worst_case": ~passed & (pl.col("p_above_worst_case") > probability),
    }
    found = [
        plan.filter(condition)
        .sort("hour")
        .unique(_KEY, keep="first", maintain_order=True)
        .with_columns(pl.lit(kind).alias("kind"))
        for kind, condition in kinds.items()
    ]
    return pl.concat(found).sort(*_KEY, "hour", "kind")
