"""Folds that do not leak: what nearly repeats stays together, and later weeks are judged by earlier ones.

Here: which groups belong together, folds, time splits. Not here: what is fitted on them (`evaluation`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
NEAR_DUPLICATE = 0.8
"""Cosine of two texts' vectors from which one rewords the other (as Upworthy's repeated headlines do)."""
_ROWS = 1024


def near_duplicate_clusters(
    vectors: npt.NDArray[np.floating], linked: list[IntArray], *, likeness: float = NEAR_DUPLICATE
) -> IntArray:
    """Arms that may not be parted: near-duplicate texts, and whatever else they have in common.

    Args:
        vectors: of unit length, shape (arms, dimensions); a row of NaN is like nothing.
        linked: further numberings (groups, shared images, tests), equal numbers belong together; negative
            numbers link nothing; shape (arms,) each.
        likeness: cosine from which two texts are near duplicates.
    Returns:
        Cluster of each arm, numbered from 0, shape (arms,).
    """
    count = len(vectors)
    left, right, nodes = [], [], count
    known = np.nan_to_num(np.asarray(vectors, dtype=np.float32))
    for start in range(0, count, _ROWS):
        one, other = np.nonzero(known[start : start + _ROWS] @ known.T >= likeness)
        left.append(one + start)
        right.append(other)
    for numbers in linked:
        members = np.flatnonzero(numbers >= 0)
        _, shared = np.unique(numbers[members], return_inverse=True)
        left.append(members)
        right.append(shared + nodes)
        nodes += int(shared.max(initial=-1)) + 1
    rows, columns = np.concatenate(left), np.concatenate(right)
    edges = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(nodes, nodes))
    _, component = connected_components(edges, directed=False)
    return np.unique(component[:count], return_inverse=True)[1].astype(np.int64)


def cluster_folds(cluster: IntArray, folds: int, generator: np.random.Generator) -> IntArray:
    """A fold for each arm, clusters whole, sizes even; shape (arms,), 0 to folds - 1.

    Raises:
        ValueError: fewer clusters than folds.
    """
    numbers, sizes = np.unique(cluster, return_counts=True)
    if len(numbers) < folds:
        raise ValueError(f"{len(numbers)} clusters cannot make {folds} folds")
    shuffled = generator.permutation(len(numbers))
    largest_first = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    filled = np.zeros(folds)
    fold = np.empty(len(numbers), dtype=np.int64)
    for index in largest_first:
        fold[index] = filled.argmin()
        filled[fold[index]] += sizes[index]
    return fold[np.searchsorted(numbers, cluster)]


def earlier_and_later(
    period: IntArray, cluster: IntArray, *, later_share: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Arms to learn from and later ones to judge by; what the later ones repeat is in neither.

    Args:
        period: when each arm ran (a number that grows), shape (arms,).
        cluster: of `near_duplicate_clusters`.
        later_share: of the arms, in (0, 1).
    """
    start = np.quantile(period, 1.0 - later_share, method="higher")
    later = period >= start
    earlier = ~later & ~np.isin(cluster, np.unique(cluster[later]))
    return earlier, later
