"""p10, p50, p90 as every output table means them: P(value <= pXX) = XX %, infinite is NULL.

Here: taking quantiles of draws and checking that a table's quantiles are in order. Not here: where the
draws come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

LEVELS = (0.1, 0.5, 0.9)
NAMES = ("p10", "p50", "p90")


def quantile_rows(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Quantiles along the last axis of (rows, draws): the smallest v with P(value <= v) >= level.

    Infinite values sort last, so a quantile is infinite exactly when that share of draws is.
    """
    ordered = np.sort(values, axis=1)
    draws = values.shape[1]
    at = [min(max(int(np.ceil(level * draws)) - 1, 0), draws - 1) for level in LEVELS]
    return ordered[:, at].astype(np.float64)


def out_of_order(rows: pl.DataFrame, metrics: Sequence[str]) -> int:
    """Rows in which some metric breaks p10 <= p50 <= p90, NULL counting as infinite."""
    broken = pl.lit(False)
    for metric in metrics:
        low, middle, high = (pl.col(f"{metric}_{name}").fill_null(float("inf")) for name in NAMES)
        broken = broken | (low > middle) | (middle > high)
    return rows.filter(broken).height
