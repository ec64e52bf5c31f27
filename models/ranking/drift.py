"""Is the ranker still asked about ads like those it learnt from, and does it still rank what ran since?

Here: measures of drift between creatives learnt from and creatives since, and of scores against what was
delivered after them. Not here: which rows those are (the assets), promotion (`promotion`).

A drift needs a size besides being more than chance: with many creatives every difference is more than chance.
Creatives are taken as drawn one by one; a campaign's variations come together, so limits are somewhat tight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from models.ranking.evaluation import SIGNIFICANT
from models.ranking.evidence import Arms, difference_in_standard_errors, pairs_within

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
FEWEST_NEW = 10
"""New creatives below which nothing is said of them."""
FEWEST_LEARNT = 40
FEWEST_PAIRS = 10
"""Significant pairs below which nothing is said of ranking."""
MOST_NOVEL = 0.25
"""Share of new creatives unlike anything learnt from that is still a small part of the work."""
LEAST_INDEX = 0.25
"""Of the population stability index: the usual mark of a shifted population."""
LEAST_COVERAGE = 0.85
_FAR = 0.95  # of creatives learnt from, each with a nearer neighbour among the others
_BINS = 10
_DRAWS = 1_000
_ROWS = 1024


@dataclass(frozen=True)
class Drift:
    """One measure of drift.

    Attributes:
        kind: novelty, trait, ranking or bounds. name: the space, trait or rate it is of.
        value: the measure; NaN where `not_told` says why.
        low, high: its 95 % interval; NaN: it has none.
        limit: beyond which (below which, for ranking and bounds) it counts as drift.
        learnt, since: creatives learnt from (0: nothing was compared with them) and new since.
        cases: what `value` is a share of: contents, significant pairs, or ads on a placement.
        is_drift: beyond the limit by more than chance.
    """

    kind: str
    name: str
    value: float
    low: float
    high: float
    limit: float
    learnt: int
    since: int
    cases: int
    is_drift: bool
    not_told: str | None = None


def novelty(name: str, learnt: FloatArray, since: FloatArray) -> Drift:
    """Share of new creatives farther from everything learnt from than nineteen in twenty of those are.

    The distance is 1 - cosine to the nearest. Were nothing new, it would be 0.05. The interval is Jeffreys'.

    Args:
        name: of the one space all vectors are of.
        learnt, since: vectors of distinct contents, shape (contents, dimensions).
    """
    if missing := _too_few(len(learnt), len(since)):
        return _untold("novelty", name, missing, MOST_NOVEL, len(learnt), len(since))
    old, new = _unit(learnt), _unit(since)
    usual = np.quantile(_to_nearest(old, old, np.arange(len(old))), _FAR)
    far = int((_to_nearest(new, old, np.full(len(new), -1)) > usual + 1e-6).sum())
    low, high = _interval(far, len(new))
    return Drift(
        "novelty",
        name,
        far / len(new),
        low,
        high,
        MOST_NOVEL,
        len(old),
        len(new),
        len(new),
        low > MOST_NOVEL,
    )


def trait_shifts(
    names: Sequence[str], learnt: FloatArray, since: FloatArray, generator: np.random.Generator
) -> list[Drift]:
    """Population stability index of each trait, with what it would be at most by chance.

    Σ (q - p) ln (q / p) over tenths of the trait among the creatives learnt from, half a creative added to
    each; not measured is a bin of its own. The limit is the 95 % quantile of the largest index of any trait
    when creatives are parted at random (Westfall and Young 1993), LEAST_INDEX at least.

    Args:
        learnt, since: shape (creatives, names); NaN where not measured.
    """
    if missing := _too_few(len(learnt), len(since)):
        return [_untold("trait", name, missing, LEAST_INDEX, len(learnt), len(since)) for name in names]
    binned = [_binned(column, learnt[:, place]) for place, column in enumerate(np.vstack([learnt, since]).T)]
    is_new = np.r_[np.zeros(len(learnt), dtype=bool), np.ones(len(since), dtype=bool)]
    index = _indices(binned, is_new)
    largest = [max(_indices(binned, is_new[generator.permutation(len(is_new))])) for _ in range(_DRAWS)]
    limit = max(LEAST_INDEX, float(np.quantile(largest, 0.95)))
    nan = float("nan")
    return [
        Drift("trait", name, found, nan, nan, limit, len(learnt), len(since), len(since), found > limit)
        for name, found in zip(names, index, strict=True)
    ]


def ranking_since(
    name: str,
    score: FloatArray,
    arms: Arms,
    creative: IntArray,
    *,
    expected: float,
    generator: np.random.Generator,
) -> Drift:
    """Share of significant pairs that scores given before the ads started rank right; ties count half.

    The interval resamples creatives, each pair counting as often as both of its creatives were drawn (a
    creative runs on several placements).

    Args:
        score: given before, any monotone scale, comparable within a group, shape (arms,).
        arms: what the ads then delivered; groups compete.
        creative: of each arm, any numbers, shape (arms,).
        expected: the share when the champion was judged: what it is held to.
    """
    left, right = pairs_within(arms.numbered)
    z = difference_in_standard_errors(arms, left, right)
    chosen = np.abs(z) > SIGNIFICANT
    left, right, z = left[chosen], right[chosen], z[chosen]
    numbers = np.unique(creative, return_inverse=True)[1]
    count = int(numbers.max(initial=-1)) + 1
    if len(z) < FEWEST_PAIRS:
        said = f"{len(z)} significant pairs of ads that started since; {FEWEST_PAIRS} are needed."
        return _untold("ranking", name, said, expected, 0, count)
    difference = score[left] - score[right]
    is_right = np.where(difference == 0, 0.5, (np.sign(difference) == np.sign(z)).astype(np.float64))
    drawn = []
    for _ in range(_DRAWS):
        times = np.bincount(generator.integers(count, size=count), minlength=count)
        weight = (times[numbers[left]] * times[numbers[right]]).astype(np.float64)
        if weight.sum() > 0:
            drawn.append(float((is_right * weight).sum() / weight.sum()))
    low, high = (float(end) for end in np.quantile(drawn, [0.025, 0.975]))
    return Drift(
        "ranking", name, float(is_right.mean()), low, high, expected, 0, count, len(z), high < expected
    )


def bounds_since(
    name: str, lower_bound: FloatArray, rate: FloatArray, creative: IntArray, generator: np.random.Generator
) -> Drift:
    """Share of 90 % lower bounds, told before the ads started, that what they delivered lies above.

    Args:
        lower_bound, rate: told and observed, one per ad and placement, shape (cases,).
        creative: of each case, any numbers; the interval resamples creatives.
    """
    numbers = np.unique(creative, return_inverse=True)[1]
    count = int(numbers.max(initial=-1)) + 1
    if count < FEWEST_NEW:
        said = f"{count} creatives started since with enough delivery; {FEWEST_NEW} are needed."
        return _untold("bounds", name, said, LEAST_COVERAGE, 0, count)
    holds = (rate >= lower_bound).astype(np.float64)
    held, cases = np.bincount(numbers, holds), np.bincount(numbers)
    times = generator.multinomial(count, np.full(count, 1.0 / count), size=_DRAWS)
    drawn = (times @ held) / (times @ cases)
    low, high = (float(end) for end in np.quantile(drawn, [0.025, 0.975]))
    return Drift(
        "bounds",
        name,
        float(holds.mean()),
        low,
        high,
        LEAST_COVERAGE,
        0,
        count,
        len(rate),
        high < LEAST_COVERAGE,
    )


def _too_few(learnt: int, since: int) -> str | None:
    if since < FEWEST_NEW:
        return f"{since} new creatives; {FEWEST_NEW} are needed."
    return f"{learnt} creatives learnt from; {FEWEST_LEARNT} are needed." if learnt < FEWEST_LEARNT else None


def _untold(kind: str, name: str, said: str, limit: float, learnt: int, since: int) -> Drift:
    nan = float("nan")
    return Drift(kind, name, nan, nan, nan, limit, learnt, since, 0, is_drift=False, not_told=said)


def _interval(hits: int, trials: int) -> tuple[float, float]:
    low, high = (float(betaincinv(hits + 0.5, trials - hits + 0.5, end)) for end in (0.025, 0.975))
    return low, high


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), dtype=np.float64)


def _to_nearest(rows: FloatArray, others: FloatArray, itself: IntArray) -> FloatArray:
    """1 - cosine to the nearest of `others`; `itself`: number of each row among them, -1 where it is none."""
    found = np.empty(len(rows))
    for start in range(0, len(rows), _ROWS):
        likeness = rows[start : start + _ROWS] @ others.T
        own = itself[start : start + _ROWS]
        present = np.flatnonzero(own >= 0)
        likeness[present, own[present]] = -np.inf
        found[start : start + _ROWS] = 1.0 - likeness.max(axis=1)
    return found


def _binned(column: FloatArray, learnt: FloatArray) -> IntArray:
    """Tenth of the trait among the creatives learnt from; the last bin: not measured."""
    known = learnt[np.isfinite(learnt)]
    edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS)) if len(known) else np.empty(0)
    # Left: a flag's 0 and 1 fall apart though nine tenths are 0.
    bins = np.searchsorted(edges, column, side="left")
    return np.where(np.isfinite(column), bins, len(edges) + 1).astype(np.int64)


def _indices(binned: list[IntArray], is_new: npt.NDArray[np.bool_]) -> list[float]:
    found = []
    for bins in binned:
        size = int(bins.max()) + 1
        old = np.bincount(bins[~is_new], minlength=size) + 0.5
        new = np.bincount(bins[is_new], minlength=size) + 0.5
        there = old + new > 1.0  # a bin that nobody is in says nothing
        p, q = old[there] / old[there].sum(), new[there] / new[there].sum()
        found.append(float(((q - p) * np.log(q / p)).sum()))
    return found
