"""Is an account's data plausible: does it behave as advertising does.

Here: statistics over account-days (or undated rows) and the verdict. Not here: checks of single rows
(the landing's) and what an ineligible account is kept from (`eligibility`, `guardrails`).

A guard against made-up, shuffled or wrongly joined data, not against a clever forger: whoever copies a
real account's days passes.

What the thresholds stand on (measured; margins are distances from the threshold):

    check                        threshold   real                          made-up (two accounts)
    spend_moves_with_clicks      >= 0.30     0.98 display, 1.00 KAG        -0.07, -0.01  (margin 0.31)
    clicks_move_with_impressions >= 0.30     0.97 display, 0.97 KAG         0.07,  0.08  (margin 0.22)
    spend_persists               >= 0.20     0.92 display, 0.68 weekly      0.06,  0.10  (margin 0.10)
    ratios_possible              CTR <= 0.9  0.011 display, 0.00018 KAG     0.020, 0.013 (does not tell)
    first_digits                 <= 0.30     0.11 display, 0.07 KAG, 0.04   skipped: too little span
    cost_per_click_steady        <= 60       1.3 display                    3.2, 2.2 (does not tell)

The two correlations carry the verdict. Real values lie two to three times as far from the threshold as
made-up ones, on purpose: few real accounts were at hand, and shutting an honest one out costs more.
The last check is against something else: days of an honest account that its platform reports wrongly for
a while. One such day of forty-six, its clicks a thousandfold, passed all the others and moved a forecast CAC
by more than a factor of two; cents for dollars are a factor of 100.
Twelve accounts of simulated businesses (40 to 542 days, spend held by budgets) all pass, the lowest
correlation 0.34; their first digits lie up to 0.26 from Benford's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

MINIMUM_DAYS = 14
MINIMUM_ROWS = 30
MINIMUM_CORRELATION = 0.3
MINIMUM_PERSISTENCE = 0.2
# Spend held by fixed daily budgets gives clicks nothing to follow: below this spread (standard deviation of
# its logarithm) a missing correlation is excused.
MINIMUM_SPREAD = 0.1
LARGEST_CTR = 0.9
# Wide, because currencies differ by four orders of magnitude.
COST_PER_CLICK = (1e-4, 1e5)
LARGEST_IMPOSSIBLE_SHARE = 0.05
# Wide: a day of bots at fifty times the usual clicks, and a reach campaign beside brand searches (forty times
# the price), happen to honest accounts; cents for dollars are a hundred.
LARGEST_PRICE_FACTOR = 60.0
PRICE_WINDOW = 14  # days on either side
PRICE_DAYS = 35  # newest ones: a day the platform stands by shuts nobody out for longer
PRICE_CLICKS = 30  # of a day, or as many as its spend should have bought: fewer are noise
BENFORD = np.log10(1 + 1 / np.arange(1, 10))
BENFORD_ROWS = 300
LARGEST_BENFORD_DISTANCE = 0.3

# An account is left out when its failed checks weigh 2 or more. Spend that ignores clicks is enough alone,
# as are impossible totals and a day whose price is none. Benford weighs little: minimum bids, equal budgets
# and price points bend first digits in honest accounts too (the display set lies three times as far off as
# sampling explains).
WEIGHTS = {
    "spend_moves_with_clicks": 2.0,
    "clicks_move_with_impressions": 1.0,
    "spend_persists": 1.0,
    "ratios_possible": 2.0,
    "impossible_counts": 1.0,
    "cost_per_click_steady": 2.0,
    "first_digits": 0.5,
}
FATAL_WEIGHT = 2.0
# A verdict in favour needs one of these to have passed: evidence, not its absence.
EVIDENCE = ("spend_moves_with_clicks", "clicks_move_with_impressions", "spend_persists")

Status = Literal["passed", "failed", "skipped"]
AUDIT_SCHEMA = pl.Schema(
    {
        "source": pl.String(),
        "account_id": pl.String(),
        "check_name": pl.String(),
        "status": pl.String(),
        "statistic": pl.Float64(),
        "threshold": pl.Float64(),
        "detail": pl.String(),
        "decision_eligible": pl.Boolean(),
    }
)


@dataclass(frozen=True)
class Check:
    """One check of one account. `statistic` and `threshold` are None when skipped."""

    name: str
    status: Status
    statistic: float | None
    threshold: float | None
    detail: str


@dataclass(frozen=True)
class Series:
    """Totals of an account per day, per period, or per undated row, in order of time where there is one.

    All arrays have shape (n,): days since an epoch in steps of `step` (None: no dates), dollars, counts.
    """

    cost: FloatArray
    impressions: FloatArray
    clicks: FloatArray
    conversions: FloatArray
    day: NDArray[np.int64] | None
    unit: str
    step: int = 1

    def __len__(self) -> int:
        return len(self.cost)

    @property
    def enough(self) -> int:
        return MINIMUM_ROWS if self.day is None else MINIMUM_DAYS


def audit_accounts(account_days: pl.DataFrame, period_rows: pl.DataFrame | None = None) -> pl.DataFrame:
    """Every check of every account, with the account's verdict on each row.

    Args:
        account_days: date, platform, account_id, impressions, clicks, cost (account currency),
            conversions_click, cost_digit_1 … cost_digit_9 (ad rows by leading digit of cost); one row per
            account and day.
        period_rows: platform, account_id, period_start (null: undated), impressions, clicks, cost,
            conversions_click; rows of exports without days. Accounts that also have days are judged by those.

    Returns:
        source, account_id, check_name, status (passed, failed, skipped), statistic, threshold, detail,
        decision_eligible; sorted by account and check.
    """
    rows: list[tuple[object, ...]] = []
    audited = set()
    for (source, account), days in account_days.group_by("platform", "account_id"):
        audited.add((source, account))
        rows += _verdict(source, account, list(_daily_checks(days.sort("date"))))
    if period_rows is not None:
        for (source, account), periods in period_rows.group_by("platform", "account_id"):
            if (source, account) not in audited:
                rows += _verdict(source, account, list(_period_checks(periods)))
    return pl.DataFrame(rows, schema=AUDIT_SCHEMA, orient="row").sort("source", "account_id", "check_name")


def _verdict(source: object, account: object, checks: list[Check]) -> list[tuple[object, ...]]:
    failed = sum(WEIGHTS[check.name] for check in checks if check.status == "failed")
    evidence = any(check.status == "passed" and check.name in EVIDENCE for check in checks)
    eligible = failed < FATAL_WEIGHT and evidence
    return [(source, account, c.name, c.status, c.statistic, c.threshold, c.detail, eligible) for c in checks]


def _daily_checks(days: pl.DataFrame) -> Iterator[Check]:
    series = Series(*_columns(days), day=days["date"].cast(pl.Int32).cast(pl.Int64).to_numpy(), unit="days")
    counts = days.select(pl.col(f"cost_digit_{digit}").sum().cast(pl.Float64) for digit in range(1, 10))
    yield from _series_checks(series)
    yield _steady_prices(days)
    yield first_digits(counts.to_numpy()[0])


def _period_checks(rows: pl.DataFrame) -> Iterator[Check]:
    dated = rows.filter(pl.col("period_start").is_not_null())
    cross_section = Series(*_columns(rows), day=None, unit="rows")
    if dated.height == rows.height:
        totals = (
            dated.group_by("period_start")
            .agg(pl.col("cost", "impressions", "clicks", "conversions_click").sum())
            .sort("period_start")
        )
        day = totals["period_start"].cast(pl.Int32).cast(pl.Int64).to_numpy()
        step = int(np.diff(day).min()) if len(day) > 1 else 1
        yield from _series_checks(Series(*_columns(totals), day=day, unit="periods", step=step))
    else:
        yield from _series_checks(cross_section)
    yield first_digits(leading_digits(cross_section.cost))


def _columns(frame: pl.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    cost, impressions, clicks, conversions = (
        frame[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        for name in ("cost", "impressions", "clicks", "conversions_click")
    )
    return cost, impressions, clicks, conversions


def _series_checks(series: Series) -> Iterator[Check]:
    yield _moves_with("spend_moves_with_clicks", series, series.cost, series.clicks, "spend", "clicks")
    yield _moves_with(
        "clicks_move_with_impressions", series, series.impressions, series.clicks, "impressions", "clicks"
    )
    yield _persistence(series)
    yield _ratios(series)
    yield _impossible(series)


def _skipped(name: str, why: str) -> Check:
    return Check(name, "skipped", None, None, f"Skipped: {why}.")


def _spread(values: FloatArray) -> float:
    positive = values[values > 0]
    return float(np.std(np.log(positive))) if len(positive) > 1 else 0.0


def _moves_with(
    name: str, series: Series, driver: FloatArray, answer: FloatArray, of: str, with_: str
) -> Check:
    """Spearman's rank correlation: monotone, so that saturation and outliers do not hide it."""
    if not driver.any() or not answer.any():
        return _skipped(name, f"no {of if not driver.any() else with_} reported")
    active = (driver > 0) | (answer > 0)
    if active.sum() < series.enough:
        return _skipped(name, f"{int(active.sum())} {series.unit} with delivery, {series.enough} are needed")
    statistic = float(stats.spearmanr(driver, answer).statistic)
    if not statistic >= MINIMUM_CORRELATION and active.all() and _spread(driver) < MINIMUM_SPREAD:
        return _skipped(name, f"{of} hardly varies, so there is nothing for {with_} to follow")
    return Check(
        name,
        "passed" if statistic >= MINIMUM_CORRELATION else "failed",
        statistic,
        MINIMUM_CORRELATION,
        f"Rank correlation of {of} and {with_} over {len(series)} {series.unit} is {statistic:.2f}; "
        f"advertising shows at least {MINIMUM_CORRELATION}.",
    )


def rank_autocorrelation(values: FloatArray, day: NDArray[np.int64], lag: int) -> float | None:
    """Spearman correlation of a value with the one `lag` days later, over pairs that are both there.

    None where fewer than ten pairs exist or one side is constant.
    """
    _, first, second = np.intersect1d(day + lag, day, return_indices=True)
    if len(first) < 10 or np.ptp(values[first]) == 0 or np.ptp(values[second]) == 0:
        return None
    return float(stats.spearmanr(values[first], values[second]).statistic)


def _persistence(series: Series) -> Check:
    """Budgets and audiences last: today's spend or delivery resembles yesterday's or last week's.

    The largest of four autocorrelations (spend and impressions, lag 1 and one week). Under independence each
    has a standard error of 1/sqrt(n), so the threshold is at least two of those.
    """
    name = "spend_persists"
    if series.day is None:
        return _skipped(name, "the export has no days")
    if len(series) < MINIMUM_DAYS:
        return _skipped(name, f"{len(series)} {series.unit}, {MINIMUM_DAYS} are needed")
    lags = (1, 7) if series.step == 1 else (series.step,)
    found = [
        value
        for values in (series.cost, series.impressions)
        for lag in lags
        if (value := rank_autocorrelation(values, series.day, lag)) is not None
    ]
    if not found:
        return _skipped(name, "spend and impressions do not vary, or too few days follow each other")
    statistic, threshold = max(found), max(MINIMUM_PERSISTENCE, 2.0 / np.sqrt(len(series)))
    if statistic < threshold and (series.cost > 0).all() and _spread(series.cost) < MINIMUM_SPREAD:
        return _skipped(name, "spend hardly varies: it lasts by itself")
    return Check(
        name,
        "passed" if statistic >= threshold else "failed",
        statistic,
        threshold,
        f"Largest rank autocorrelation of spend and impressions (a step and a week) over {len(series)} "
        f"{series.unit} is {statistic:.2f}; {threshold:.2f} is expected where budgets last.",
    )


def _ratios(series: Series) -> Check:
    name = "ratios_possible"
    cost, impressions, clicks = series.cost.sum(), series.impressions.sum(), series.clicks.sum()
    if impressions <= 0 or clicks <= 0:
        return _skipped(name, "no impressions or no clicks reported")
    ctr, cost_per_click = clicks / impressions, cost / clicks
    low, high = COST_PER_CLICK
    possible = ctr <= LARGEST_CTR and (cost == 0 or low <= cost_per_click <= high)
    return Check(
        name,
        "passed" if possible else "failed",
        float(ctr),
        LARGEST_CTR,
        f"Click rate {ctr:.3%} and cost per click {cost_per_click:.4g} over all {series.unit}; "
        f"possible are up to {LARGEST_CTR:.0%} and {low:g} to {high:g}.",
    )


def _impossible(series: Series) -> Check:
    name = "impossible_counts"
    if not series.impressions.any():
        return _skipped(name, "no impressions reported")
    share = float((series.clicks > series.impressions).mean())
    return Check(
        name,
        "passed" if share <= LARGEST_IMPOSSIBLE_SHARE else "failed",
        share,
        LARGEST_IMPOSSIBLE_SHARE,
        f"{share:.1%} of {len(series)} {series.unit} have more clicks than impressions.",
    )


def _steady_prices(days: pl.DataFrame) -> Check:
    """The largest factor between a day's cost per click and the median of the days around it.

    Cost per click, because both what it divides show in it, and no campaign's share of impressions does.
    """
    name = "cost_per_click_steady"
    age = (pl.col("date").max() - pl.col("date")).dt.total_days()
    bought = days.select(
        "date", "clicks", is_judged=age < PRICE_DAYS, age=age, cost=pl.col("cost").cast(pl.Float64)
    ).filter(pl.col("age") < PRICE_DAYS + PRICE_WINDOW, pl.col("cost") > 0, pl.col("clicks") > 0)
    if bought["is_judged"].sum() < MINIMUM_DAYS:
        return _skipped(name, f"{bought['is_judged'].sum()} of the last {PRICE_DAYS} days have paid clicks")
    price = (bought["cost"] / bought["clicks"]).to_numpy()
    day = bought["date"].cast(pl.Int32).to_numpy()
    around = np.abs(day[:, None] - day[None, :]) <= PRICE_WINDOW
    usual = np.nanmedian(np.where(around, price, np.nan), axis=1)
    factor = np.maximum(price / usual, usual / price)
    clicks = np.maximum(bought["clicks"].to_numpy(), bought["cost"].to_numpy() / usual)
    factor[(clicks < PRICE_CLICKS) | ~bought["is_judged"].to_numpy()] = 1.0
    worst = int(np.argmax(factor))
    statistic = float(factor[worst])
    return Check(
        name,
        "passed" if statistic <= LARGEST_PRICE_FACTOR else "failed",
        statistic,
        LARGEST_PRICE_FACTOR,
        f"On {bought['date'][worst]} a click cost {price[worst]:.4g}, in the weeks around it "
        f"{usual[worst]:.4g}: a factor of {statistic:.3g}; up to {LARGEST_PRICE_FACTOR:g} is possible.",
    )


def leading_digits(values: FloatArray) -> FloatArray:
    """Counts of the leading digits 1 to 9 of positive values, shape (9,)."""
    positive = values[values > 0]
    # A hair above the power of ten: 0.3 / 10**-1 is 2.9999999999999996.
    digits = np.floor(positive / 10.0 ** np.floor(np.log10(positive)) * (1 + 1e-12)).astype(int)
    return np.bincount(np.clip(digits, 1, 9), minlength=10)[1:].astype(np.float64)


def first_digits(counts: FloatArray) -> Check:
    """Benford's law on ad-row costs: total variation distance, half of sum |p - log10(1 + 1/d)|.

    Args:
        counts: rows by leading digit, shape (9,).

    Meant for costs over two or more orders of magnitude. Digits alone cannot show the span, so every
    digit must occur at least five times: costs inside one order of magnitude lack some.
    """
    name = "first_digits"
    total = float(counts.sum())
    if total < BENFORD_ROWS:
        return _skipped(name, f"{total:.0f} ad rows with cost, {BENFORD_ROWS} are needed")
    if counts.min() < 5:
        return _skipped(name, "costs do not span two orders of magnitude")
    distance = float(0.5 * np.abs(counts / total - BENFORD).sum())
    return Check(
        name,
        "passed" if distance <= LARGEST_BENFORD_DISTANCE else "failed",
        distance,
        LARGEST_BENFORD_DISTANCE,
        f"Leading digits of {total:,.0f} ad costs lie {distance:.2f} from Benford's law (0: the same).",
    )
