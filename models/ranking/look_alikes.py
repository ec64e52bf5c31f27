"""The ads a new one is most like, and what they really delivered.

Here: nearest creatives in one vector space, rates and costs with their intervals. Not here: vectors
(`resources.creative_vectors`), scores (`ad_scores`).

A likeness is a cosine within one space: of texts or of images, one embedder, one set of weights. Likeness in
text and in image are told apart, never averaged.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import betaincinv, gammaincinv

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_ROWS = 1024
_ENDS = (0.025, 0.975)

RESULT_COLUMNS = (
    *("ctr", "ctr_low", "ctr_high", "cvr", "cvr_low", "cvr_high", "cac", "cac_low", "cac_high"),
    *("ctr_index", "ctr_index_low", "ctr_index_high"),
)


def nearest(
    vectors: npt.NDArray[np.floating], content: IntArray, trials: FloatArray, *, count: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """For each creative the most alike others that ran, each content once.

    Args:
        vectors: of one space, any length, shape (creatives, dimensions); a row of NaN is like nothing.
        content: numbered from 0, equal where the vectors are, shape (creatives,). Of one content the creative
            that was shown most stands for all.
        trials: impressions; 0: it never ran and is nobody's look-alike, shape (creatives,).
        count: look-alikes of each, at most.
    Returns:
        creative, its look-alike, cosine: shape (pairs,) each, by creative and falling cosine.
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.asarray(vectors / np.where(length > 0, length, np.nan), dtype=np.float32)
    known = np.asarray(np.isfinite(unit).all(axis=1))
    rivals = _most_shown(content, trials, known)
    asked, alike, cosine = [], [], []
    of_rivals = unit[rivals]
    for start in range(0, len(unit), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(unit)))
        rows = rows[known[rows]]
        likeness = unit[rows] @ of_rivals.T
        # Two of each content are among the rivals, and the creative itself may be one.
        most = min(2 * count + 2, len(rivals))
        ordered = np.argsort(-likeness, axis=1, kind="stable")[:, :most]
        for row, order, alikes in zip(rows, ordered, likeness, strict=True):
            met: set[int] = set()
            for place in order:
                rival = int(rivals[place])
                if rival == row or int(content[rival]) in met:
                    continue
                met.add(int(content[rival]))
                asked.append(int(row))
                alike.append(rival)
                cosine.append(float(alikes[place]))
                if len(met) == count:
                    break
    return (
        np.array(asked, dtype=np.int64),
        np.array(alike, dtype=np.int64),
        np.clip(np.array(cosine, dtype=np.float64), -1.0, 1.0),
    )


def _most_shown(content: IntArray, trials: FloatArray, known: npt.NDArray[np.bool_]) -> IntArray:
    """The two of each content that were shown most: one may be who asks."""
    ran = np.flatnonzero(known & (trials > 0))
    order = ran[np.lexsort((ran, -trials[ran], content[ran]))]
    before = np.r_[-1, -1, content[order]]  # contents are numbered from 0
    return np.asarray(order[before[2:] != before[:-2]], dtype=np.int64)


def delivered_results(sums: pl.DataFrame) -> pl.DataFrame:
    """Rates and costs from sums, with 95 % intervals of counting luck alone.

    CTR and CVR by Jeffreys' beta interval; CAC and the index by a gamma posterior of the rate of a Poisson
    count (Jeffreys). Days differ by more than luck, so true intervals are wider.

    Args:
        sums: impressions, clicks, expected_clicks (impressions at their placements' own rates),
            matured_clicks, matured_cost, conversions (of matured clicks, may be fractional).
    Returns:
        `sums` and RESULT_COLUMNS. ctr_index: clicks / expected_clicks, comparable between ads that ran on
        different placements. cac and its high end are null without a conversion: it has no end.
    """
    of = {
        name: sums[name].cast(pl.Float64).to_numpy()
        for name in sums.columns
        if sums.schema[name].is_numeric()
    }
    clicks = np.minimum(of["clicks"], of["impressions"])
    paid = np.clip(of["conversions"], 0.0, of["matured_clicks"])
    ctr, cvr = _shares(clicks, of["impressions"]), _shares(paid, of["matured_clicks"])
    # A click may bring several conversions: a share has its limit at the clicks, a cost has none.
    bought = np.maximum(of["conversions"], 0.0)
    low, high = _rates(bought)
    cost = of["matured_cost"]
    cac = tuple(_ratio(cost, count) for count in (bought, high, low))
    endless = bought <= 0
    index_low, index_high = _rates(clicks)
    expected = of["expected_clicks"]
    index = tuple(_ratio(count, expected) for count in (clicks, index_low, index_high))
    cac_low = np.where(cost > 0, cac[1], np.nan)
    cac_high = np.where(endless, np.nan, cac[2])
    columns = (*ctr, *cvr, np.where(endless, np.nan, cac[0]), cac_low, cac_high, *index)
    return sums.with_columns(
        pl.Series(name, column).fill_nan(None) for name, column in zip(RESULT_COLUMNS, columns, strict=True)
    )


def _shares(hits: FloatArray, trials: FloatArray) -> tuple[FloatArray, ...]:
    ends = (betaincinv(hits + 0.5, trials - hits + 0.5, end) for end in _ENDS)
    return tuple(np.where(trials > 0, each, np.nan) for each in (_ratio(hits, trials), *ends))


def _rates(count: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ends of a Poisson mean."""
    low, high = (np.asarray(gammaincinv(count + 0.5, end), dtype=np.float64) for end in _ENDS)
    return low, high


def _ratio(one: FloatArray, other: FloatArray) -> FloatArray:
    return np.asarray(np.divide(one, other, out=np.full(len(one), np.nan), where=other > 0))
