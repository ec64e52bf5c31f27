"""How much of a budget gets spent: a share per lever, learnt from days whose budget is known.

Here: belief about the share and how it varies from day to day. Not here: budgets in force (`book`), spend of
levers whose budget is only declared (`rates`).

log share of a day = common + own + weekday + noise. The common part says that platforms deliver more or less
than supposed everywhere at once; it and a lever's own part have half of the prior's variance each, so what
one lever shows moves the others, and errors of a total do not average out. A platform may spend more than a
daily budget on a day and less on others: shares above 1 are believed where they are seen. Days in a row are
alike, so a run of them counts less than as many days apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from models.forecasting.panel import FloatArray, IntArray
from models.forecasting.trials import COVERED, NORMAL_P90

WINDOW_DAYS = 28
LEAST_SHARE, MOST_SHARE = 0.05, 2.0
"""A day outside (an ad disapproved, a day of a double budget) is read as one at these."""
DAY_SD, DAY_SD_WORTH = 0.12, 30.0
"""Prior standard deviation of a day's log share, and its worth in days."""
DAYS_ALIKE = 3.0
"""So many days in a row tell a lever's level as one day apart would."""
OUTLYING = 3.0
"""Prior standard deviations from which on a lever says no more of the others: it has reasons of its own."""


@dataclass(frozen=True)
class Delivery:
    """Belief about the log share of budget that levers spend on a day of no weekday.

    Attributes:
        mean: (levers,).
        common_sd: of an error that all levers share.
        own_sd: of the rest, (levers,).
        day_sd: of one day around it, as wide as the middle 80 % of days are.
    """

    mean: FloatArray
    common_sd: float
    own_sd: FloatArray
    day_sd: float


def days_of_known_budget(snapshots: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Days on which an active lever's budget is known, beside what it spent.

    Snapshots begin when AELP does. A lever's first one tells of earlier days too: since its last edit its
    budget was the same. The day of the edit and the next are left out, one of them is split between two
    budgets and zones differ; so are days without spend, on which it may have been paused.

    Args:
        snapshots: date, platform, account_id, lever_id, current_budget, status, last_edited_at (UTC; null:
            unknown).
        days: date, platform, account_id, lever_id, cost.

    Returns:
        date, platform, account_id, lever_id, budget, cost.
    """
    key = ["platform", "account_id", "lever_id"]
    active = snapshots.filter(pl.col("status") == "active").with_columns(budget="current_budget")
    spent = days.select("date", *key, "cost")
    seen = active.join(spent, on=["date", *key]).select("date", *key, "budget", "cost")
    first = (
        snapshots.sort("date")
        .group_by(key)
        .first()
        .filter(pl.col("status") == "active")
        .select(*key, budget="current_budget", since=pl.col("last_edited_at").dt.date(), until="date")
    )
    unchanged = (pl.col("date") > pl.col("since").dt.offset_by("1d")) & (pl.col("date") < pl.col("until"))
    before = spent.join(first, on=key).filter(unchanged, pl.col("cost") > 0)
    return pl.concat([seen, before.select(seen.columns)])


def learn_delivery(days: pl.DataFrame, weekdays: FloatArray, *, mean: float, strength: float) -> Delivery:
    """The belief after the last 28 known days of each lever.

    Args:
        days: lever (position), date, budget (dollars, above 0), cost (dollars).
        weekdays: log effect of each weekday on a lever's spend, (levers, 7), Monday first.
        mean: prior share of budget spent, in (0, 1].
        strength: its worth in days: the prior is as wide as a Beta of that strength.
    """
    levers = len(weekdays)
    prior_variance = (1.0 - mean) / (mean * (strength + 1.0)) / 2
    newest = days.sort("lever", "date").group_by("lever", maintain_order=True).tail(WINDOW_DAYS)
    lever: IntArray = newest["lever"].cast(pl.Int64).to_numpy()
    share = (newest["cost"].cast(pl.Float64) / newest["budget"].cast(pl.Float64)).to_numpy()
    weekday = newest["date"].dt.weekday().to_numpy() - 1
    told = np.log(np.clip(share, LEAST_SHARE, MOST_SHARE)) - weekdays[lever, weekday]
    number = np.bincount(lever, minlength=levers).astype(float)
    level = np.bincount(lever, told, minlength=levers) / np.maximum(number, 1.0)
    free = max(float((number - 1.0)[number > 0].sum()), 0.0)
    seen_sd = _day_sd(told - level[lever], number[lever])
    day_sd = float(np.sqrt((DAY_SD_WORTH * DAY_SD**2 + free * seen_sd**2) / (DAY_SD_WORTH + free)))
    error = day_sd**2 * DAYS_ALIKE / np.maximum(number, 1e-9)
    expected = np.log(mean)
    # Common part: what each lever says of it, less sure by its own part and its noise.
    weight = np.where(number > 0, 1.0 / (prior_variance + error), 0.0)
    precision = 1.0 / prior_variance + weight.sum()
    most = OUTLYING * np.sqrt(2 * prior_variance)
    common = expected + float((weight * np.clip(level - expected, -most, most)).sum()) / precision
    trust = np.where(number > 0, prior_variance / (prior_variance + error), 0.0)
    own_variance = prior_variance * (1.0 - trust)
    return Delivery(
        common + trust * (level - common),
        float(np.sqrt(1.0 / precision)),
        np.sqrt(own_variance),
        day_sd,
    )


def _day_sd(left: FloatArray, number: FloatArray) -> float:
    """Standard deviation of the normal that has 80 % of these residuals between its p10 and p90.

    A few days far off (an ad in review, a double budget) would widen the interval of every other day, if the
    root mean square were taken.

    Args:
        left: log shares around their lever's mean, (days,).
        number: days of that lever, which its mean has drawn nearer to them; of a single day nothing is left.
    """
    several = number > 1
    if not several.any():
        return 0.0
    size = np.abs(left[several]) * np.sqrt(number[several] / (number[several] - 1.0))
    return float(np.quantile(size, COVERED, method="hazen")) / NORMAL_P90
