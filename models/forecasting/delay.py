"""How much of a young day's conversions has come: completion by age, with its uncertainty.

Here: what share of a day's conversions is known so far, learnt from how earlier days arrived. Not here:
how those arrivals were counted (the mart `conversion_delay`), what the rates make of it (`rates`).

Chain ladder, as reserving does for late claims: from each age to the next the days followed at both grow
by g_j = known at j / known at j - 1, and of what a day will have when it matures at age M,
    F(a) = 1 / (g_{a+1} · … · g_M)
is known at age a. Each log g_j leans on the platform's other accounts and these on other platforms; its
variance is that of the binomial share h_j = 1 - 1/g_j that came at age j, (h / (1 - h)) / n, times a
dispersion, because conversions of one day do not arrive independently. Ages nobody followed on the platform
are not guessed: a day so young that one lies before it says nothing until it is matured. View conversions
are taken to arrive as click conversions do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.forecasting.panel import FloatArray, IntArray, Panel

Account = tuple[str, str]
BORROWED_CONVERSIONS = 20.0
"""How many conversions of an account's own evidence the growth of the level above counts for, at most."""
ARRIVAL_DISPERSION = 2.5
SMALLEST_SHARE = 0.05
LARGEST_LOG_SD = 0.35
"""Below this share, or less sure of it, a day's count says more about its delay than about its rate."""


@dataclass(frozen=True)
class DelayCurve:
    """Completion of one account, shape (maturity + 1,): index is the age in days, the last one is matured.

    Attributes:
        share: of the conversions known at maturity, how many are known at an age; 0 where nobody knows.
        log_sd: standard deviation of log share.
    """

    share: FloatArray
    log_sd: FloatArray

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Whether a day of that age says something about its rate, shape (maturity + 1,)."""
        usable: NDArray[np.bool_] = (self.share >= SMALLEST_SHARE) & (self.log_sd <= LARGEST_LOG_SD)
        return usable


@dataclass(frozen=True)
class Completion:
    """What is known so far of each day of a panel, each of shape (series, days).

    Attributes:
        share: expected share of the day's conversions in hand; 0 where the day is not to be used.
        log_sd: its uncertainty on the log scale; 0 on matured days.
    """

    share: FloatArray
    log_sd: FloatArray

    @property
    def settled(self) -> FloatArray:
        """1 on days counted as they are, else 0."""
        settled: FloatArray = ((self.share > 0) & (self.log_sd == 0)).astype(float)
        return settled


def fit_delay(delay: pl.DataFrame, maturity_days: Mapping[Account, int]) -> dict[Account, DelayCurve]:
    """Completion by age of every account whose maturity is given and whose platform was followed.

    Args:
        delay: rows of `conversion_delay`: platform, account_id, age, conversions_known and
            conversions_known_before (of the days followed at this age and the age before, NULL where none).
        maturity_days: age from which a cohort counts as complete, by (platform, account_id).
    Raises:
        ValueError: a negative number of known conversions or of days.
    """
    steps = delay.select(
        "platform",
        "account_id",
        "age",
        now=pl.col("conversions_known").cast(pl.Float64),
        before=pl.col("conversions_known_before").cast(pl.Float64),
    ).filter(pl.col("now").is_not_null() & pl.col("before").is_not_null() & (pl.col("age") >= 1))
    if steps.filter((pl.col("now") < 0) | (pl.col("before") < 0)).height:
        raise ValueError("conversion_delay: known conversions must not be negative")
    if any(days < 0 for days in maturity_days.values()):
        raise ValueError("maturity_days must be 0 or more")
    curves = {}
    for (platform, account_id), maturity in sorted(maturity_days.items()):
        on_platform = steps.filter(pl.col("platform") == platform)
        if on_platform.is_empty():
            continue
        own = pl.col("account_id") == account_id
        parts = (
            steps.filter(pl.col("platform") != platform),
            on_platform.filter(~own),
            on_platform.filter(own),
        )
        levels = [_by_age(rows, maturity) for rows in parts]
        curves[platform, account_id] = _curve(levels, maturity)
    return curves


def completion_so_far(
    panel: Panel,
    maturity_days: int | Mapping[Account, int],
    *,
    delay: pl.DataFrame | None = None,
    ages: pl.DataFrame | None = None,
) -> Completion:
    """How complete each day's conversions in the panel are.

    A day pulled at an age below maturity has the share its account's curve gives that age. Without a curve,
    or where the counts were pulled after the panel's morning (so that they are not what was known then),
    only matured days count.

    Args:
        maturity_days: for all accounts, or by (platform, account_id).
        delay: rows of `conversion_delay`; see `fit_delay`. None: matured days only.
        ages: date, platform, account_id, age: at how many days the counts in hand were last pulled.
    Raises:
        ValueError: negative maturity_days or conversions.
    """
    accounts = panel.series.select("platform", "account_id").rows()
    by_account = (
        dict.fromkeys(accounts, maturity_days)
        if isinstance(maturity_days, int)
        else {account: maturity_days[account] for account in accounts}
    )
    if any(days < 0 for days in by_account.values()):
        raise ValueError("maturity_days must be 0 or more")
    of_morning = panel.days - np.arange(panel.days)
    matured = of_morning[None, :] >= np.array([by_account[account] for account in accounts])[:, None]
    share, log_sd = matured.astype(float), np.zeros(matured.shape)
    if delay is None or ages is None:
        return Completion(share, log_sd)
    pulled = _pulled_ages(panel, ages)
    for account, curve in fit_delay(delay, by_account).items():
        pulled_at = pulled.get(account)
        if pulled_at is None:
            continue
        age = np.clip(pulled_at, 0, by_account[account])
        usable = (pulled_at >= 0) & (pulled_at <= of_morning) & curve.usable[age]
        rows = [row for row, own in enumerate(accounts) if own == account]
        share[rows] = np.where(usable, curve.share[age], share[rows])
        log_sd[rows] = np.where(usable, curve.log_sd[age], 0.0)
    return Completion(share, log_sd)


def _by_age(steps: pl.DataFrame, maturity: int) -> tuple[FloatArray, FloatArray]:
    """Conversions known at each age and by the same days at the age before, shape (maturity + 1,)."""
    sums = (
        steps.filter(pl.col("age") <= maturity)
        .group_by("age")
        .agg(pl.col("now").sort().sum(), pl.col("before").sort().sum())
    )
    now, before = np.zeros(maturity + 1), np.zeros(maturity + 1)
    at = sums["age"].to_numpy()
    now[at], before[at] = sums["now"].to_numpy(), sums["before"].to_numpy()
    return now, before


def _curve(levels: list[tuple[FloatArray, FloatArray]], maturity: int) -> DelayCurve:
    """Completion of the last of the levels: other platforms, other accounts of the platform, the account."""
    growth, known = np.ones(maturity + 1), np.zeros(maturity + 1)
    for now, before in levels:
        # Never more than the level above knows itself, or nothing borrowed from nothing would look sure.
        borrowed = np.minimum(BORROWED_CONVERSIONS, known)
        known = now + borrowed * growth + 0.5
        growth = known / (before + borrowed + 0.5)
    # What a platform took back counts as much as what came.
    came = np.minimum(np.abs(1.0 - 1.0 / growth) + 0.5 / known, 0.95)
    variance = ARRIVAL_DISPERSION * came / ((1.0 - came) * known)
    followed = (levels[1][1] > 0) | (levels[2][1] > 0)
    after = slice(1, None)
    log_share = np.append(-_sum_from(np.log(growth)[after]), 0.0)
    log_sd = np.append(np.sqrt(_sum_from(variance[after])), 0.0)
    guessed = np.append(_sum_from((~followed[after]).astype(float)) > 0, False)
    return DelayCurve(share=np.where(guessed, 0.0, np.exp(log_share)), log_sd=np.where(guessed, 0.0, log_sd))


def _sum_from(values: FloatArray) -> FloatArray:
    """Sum from each place to the end."""
    summed: FloatArray = values[::-1].cumsum()[::-1]
    return summed


def _pulled_ages(panel: Panel, ages: pl.DataFrame) -> dict[Account, IntArray]:
    """Age at the last pull by account, shape (days,); -1 where none is known."""
    placed = ages.select(
        "platform",
        "account_id",
        pl.col("age").cast(pl.Int64),
        day=(pl.col("date") - pl.lit(panel.first_day)).dt.total_days(),
    ).filter(pl.col("day").is_between(0, panel.days - 1))
    found: dict[Account, IntArray] = {}
    for platform, account_id, age, day in placed.iter_rows():
        found.setdefault((platform, account_id), np.full(panel.days, -1, dtype=np.int64))[day] = age
    return found
