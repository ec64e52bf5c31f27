"""Weeks in which randomisation itself was broken, found in an archive of tests.

Here: a scan over all runs of weeks for too many tests whose shares are off. Not here: the single test's
sample ratio (`split_test_validity`).

A single test with odd shares may be its own fault. Where a quarter of a month's tests fail, the machine
that splits is broken, and tests of that month that pass are only those too small to show it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats
from scipy.special import xlogy

FAILING = 0.01
"""A sample ratio this unlikely is a failure; sound tests fail this often."""
BROKEN_SHARE = 0.25
"""Of a window's tests that must fail for it to be broken. Archives of sound machines show a few times the
nominal rate of failures, test by test; that alone says nothing of the tests that pass."""
FALSE_ALARM = 0.001
"""Chance that an archive of sound tests shows any window, over all the runs of weeks it can be cut into."""

WINDOW_SCHEMA = pl.Schema(
    {
        "first": pl.Date(),
        "last": pl.Date(),
        "tests": pl.Int64(),
        "failing": pl.Int64(),
        "p_value": pl.Float64(),
    }
)
"""`first` and `last` are the first and last week, by the day they start on; p_value is after the scan."""

IntArray = npt.NDArray[np.int64]


def broken_windows(tests: pl.DataFrame) -> pl.DataFrame:
    """Runs of weeks in which more tests fail than sound tests would, and too many to trust the others.

    A run of weeks with k of n tests failing scores its likelihood ratio against `FAILING` (Kulldorff 1997, A
    spatial scan statistic, for a known rate) less the logarithm of the number of runs over `FALSE_ALARM`: the
    binomial tail is at most e to the minus ratio (Chernoff), so by Bonferroni a sound archive has a run that
    scores above 0 with probability `FALSE_ALARM` at most. Of all ways to choose runs with at least
    `BROKEN_SHARE` failing, that of the highest score is taken, and neighbours are told as one.

    Args:
        tests: week (the day it starts on), sample_ratio_p (null: left out); one row per test.
    Returns:
        `WINDOW_SCHEMA`, by first.
    """
    weeks = (
        tests.drop_nulls()
        .group_by("week")
        .agg(
            pl.len().cast(pl.Int64).alias("tests"),
            (pl.col("sample_ratio_p") <= FAILING).sum().cast(pl.Int64).alias("failing"),
        )
        .sort("week")
    )
    ran, failing = weeks["tests"].to_numpy(), weeks["failing"].to_numpy()
    runs = len(ran) * (len(ran) + 1) / 2
    rows = []
    for first, stop in _best_runs(ran, failing, runs):
        n, k = int(ran[first:stop].sum()), int(failing[first:stop].sum())
        p = min(1.0, runs * float(stats.binom.sf(k - 1, n, FAILING)))
        rows.append((weeks["week"][first], weeks["week"][stop - 1], n, k, p))
    return pl.DataFrame(rows, schema=WINDOW_SCHEMA, orient="row")


def _best_runs(ran: IntArray, failing: IntArray, runs: float) -> list[tuple[int, int]]:
    """Runs of weeks (first, one after the last) whose scores add up to the most, by dynamic programming."""
    best, begins = np.zeros(len(ran) + 1), np.full(len(ran) + 1, -1)
    for stop in range(1, len(ran) + 1):
        n, k = (np.cumsum(counts[stop - 1 :: -1])[::-1][:stop] for counts in (ran, failing))
        share = k / n
        ratio = xlogy(k, share / FAILING) + xlogy(n - k, (1 - share) / (1 - FAILING))
        score = np.where(share >= BROKEN_SHARE, ratio - np.log(runs / FALSE_ALARM), -np.inf) + best[:stop]
        begin = int(np.argmax(score))
        best[stop] = best[stop - 1]
        if score[begin] > best[stop]:
            best[stop], begins[stop] = score[begin], begin
    found: list[tuple[int, int]] = []
    stop = len(ran)
    while stop > 0:
        first = int(begins[stop])
        if first < 0:
            stop -= 1
            continue
        last_stop = stop
        if found and found[-1][0] == stop:
            last_stop = found.pop()[1]
        found.append((first, last_stop))
        stop = first
    return found[::-1]
