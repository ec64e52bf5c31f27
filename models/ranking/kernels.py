"""Alike creatives do alike: blocks of what a creative is, each with a likeness of its own, as features.

Here: likenesses of blocks and their sum as a Nyström map. Not here: where blocks come from, the regression on
the map (`regression`).

Late fusion: log-odds are a sum of one function per block, each a Gaussian process, so that a block that says
nothing (or is not there for some creatives) costs nothing. The sum of the blocks' kernels is mapped to
features by landmarks (Williams and Seeger 2001, Using the Nyström method to speed up kernel machines):
φ(x) = L⁻¹ k(Z, x) with L Lᵀ = k(Z, Z), time linear in the arms. Exact processes over 7,600
headlines were no better by more than their folds' noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Likeness = Literal["near", "linear", "words"]
_JITTER = 1e-6
_ROWS = 4_096
_RARE = 3
"""Words of fewer training texts say nothing about another one."""


@dataclass(frozen=True)
class Block:
    """One part of what a creative is, and how likeness in it is measured.

    Attributes:
        name: key of its values.
        likeness: near: exp(-d²/2·length²) of vectors less the training mean, made of unit length, so that
            meaning may matter in any way and what all have in common does not; linear: of
            standardised columns, divided by how many there are; words: cosine of tf-idf over words and pairs.
        variance: of log-odds that the block explains, before any data, between creatives with nothing alike.
        length: of `near`, in distances between unit vectors (0 to 2).
    Raises:
        ValueError: variance or length not positive.
    """

    name: str
    likeness: Likeness
    variance: float
    length: float = 1.0

    def __post_init__(self) -> None:
        if self.variance <= 0 or self.length <= 0:
            raise ValueError(f"{self.name}: variance and length must be positive")


Values = FloatArray | Sequence[str]
"""A block's values: shape (arms, columns), NaN where not available, or the arms' texts."""


class FittedBlock(Protocol):
    """A block as its training creatives taught to read it."""

    @property
    def block(self) -> Block:
        """What it reads."""
        ...

    def likeness(self, values: Values, others: Values) -> FloatArray:
        """Prior covariance of the block's part, shape (values, others)."""
        ...

    def own_variance(self, values: Values) -> FloatArray:
        """Prior variance of each one's part, shape (values,)."""
        ...


@dataclass(frozen=True)
class NearLikeness:
    """Likeness of directions, learnt centre taken off; a row with a value missing is like nothing.

    Attributes:
        centre: mean of the training vectors, shape (columns,).
    """

    block: Block
    centre: FloatArray

    @classmethod
    def fitted(cls, block: Block, values: Values) -> NearLikeness:
        columns = np.asarray(values, dtype=np.float64)
        known = np.isfinite(columns).all(axis=1)
        return cls(block, columns[known].mean(axis=0) if known.any() else np.zeros(columns.shape[1]))

    def likeness(self, values: Values, others: Values) -> FloatArray:
        rows, columns = self._directions(values), self._directions(others)
        known = np.isfinite(rows[:, :1]) & np.isfinite(columns[:, 0])
        distance = 2.0 - 2.0 * np.nan_to_num(rows) @ np.nan_to_num(columns).T
        near = np.exp(-np.maximum(distance, 0.0) / (2.0 * self.block.length**2))
        return np.where(known, self.block.variance * near, 0.0)

    def own_variance(self, values: Values) -> FloatArray:
        known = np.isfinite(self._directions(values)[:, 0])
        return np.where(known, self.block.variance, 0.0)

    def _directions(self, values: Values) -> FloatArray:
        columns = np.asarray(values, dtype=np.float64) - self.centre
        length = np.linalg.norm(columns, axis=1, keepdims=True)
        return columns / np.where(length == 0, 1.0, length)


@dataclass(frozen=True)
class LinearLikeness:
    """Products of standardised columns; a missing value is an ordinary one.

    Attributes:
        centre, scale: what a column is made standard by, shape (columns,) each.
    """

    block: Block
    centre: FloatArray
    scale: FloatArray

    @classmethod
    def fitted(cls, block: Block, values: Values) -> LinearLikeness:
        columns = np.asarray(values, dtype=np.float64)
        known = np.isfinite(columns)
        count = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, columns, 0.0).sum(axis=0) / count
        spread = np.sqrt(np.where(known, (columns - centre) ** 2, 0.0).sum(axis=0) / count)
        return cls(block, centre, np.where(spread > 0, spread, 1.0) * np.sqrt(columns.shape[1]))

    def likeness(self, values: Values, others: Values) -> FloatArray:
        return self.block.variance * self._standard(values) @ self._standard(others).T

    def own_variance(self, values: Values) -> FloatArray:
        return np.asarray(self.block.variance * (self._standard(values) ** 2).sum(axis=1))

    def _standard(self, values: Values) -> FloatArray:
        columns = (np.asarray(values, dtype=np.float64) - self.centre) / self.scale
        return np.where(np.isfinite(columns), columns, 0.0)


@dataclass(frozen=True)
class WordsLikeness:
    """Cosine of tf-idf over words and pairs of words.

    Attributes:
        vocabulary: words and pairs; word i has the weight idf[i].
        idf: inverse document frequencies, shape (words,).
    """

    block: Block
    vocabulary: tuple[str, ...]
    idf: FloatArray

    @classmethod
    def fitted(cls, block: Block, values: Values) -> WordsLikeness:
        vectorizer = _vectorizer(min_df=_RARE)
        try:
            vectorizer.fit(values)
        except ValueError:  # no word is in so many texts
            return cls(block, ("-",), np.ones(1))
        terms = tuple(str(term) for term in vectorizer.get_feature_names_out())
        return cls(block, terms, np.asarray(vectorizer.idf_, dtype=np.float64))

    def likeness(self, values: Values, others: Values) -> FloatArray:
        product = self._known.transform(values) @ self._known.transform(others).T
        return np.asarray(self.block.variance * product.toarray(), dtype=np.float64)

    def own_variance(self, values: Values) -> FloatArray:
        rows = self._known.transform(values)
        return np.asarray(self.block.variance * rows.multiply(rows).sum(axis=1)).ravel()

    @cached_property
    def _known(self) -> TfidfVectorizer:
        vectorizer = _vectorizer(vocabulary=list(self.vocabulary))
        vectorizer.idf_ = self.idf
        return vectorizer


def _vectorizer(**options: object) -> TfidfVectorizer:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - a second to import

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **options)


_LIKENESSES: Mapping[Likeness, Callable[[Block, Values], FittedBlock]] = {
    "near": NearLikeness.fitted,
    "linear": LinearLikeness.fitted,
    "words": WordsLikeness.fitted,
}


@dataclass(frozen=True)
class KernelMap:
    """Features whose products approach the sum of the blocks' likenesses.

    Attributes:
        blocks: what counts.
        landmarks: values of the training creatives that span the map, by block name.
        root: lower triangular root of the landmarks' likeness, shape (landmarks, landmarks).
    """

    blocks: tuple[FittedBlock, ...]
    landmarks: Mapping[str, Values]
    root: FloatArray

    def features(self, values: Mapping[str, Values]) -> FloatArray:
        """Shape (creatives, landmarks)."""
        likeness = _likeness(self.blocks, values, self.landmarks)
        whitened = solve_triangular(self.root, likeness.T, lower=True)
        return np.ascontiguousarray(whitened.T, dtype=np.float64)

    def parts(self, values: Mapping[str, Values], coefficients: FloatArray) -> dict[str, FloatArray]:
        """What each block adds to `features(values) @ coefficients`; shape (creatives,) each."""
        of_landmarks = solve_triangular(self.root, coefficients, lower=True, trans="T")
        found = {}
        for fitted in self.blocks:
            name = fitted.block.name
            pieces = np.array_split(np.arange(len(values[name])), 1 + len(values[name]) // _ROWS)
            found[name] = np.concatenate(
                [
                    fitted.likeness(chosen_rows(values[name], rows), self.landmarks[name]) @ of_landmarks
                    for rows in pieces
                ]
            )
        return found

    def unexplained(self, values: Mapping[str, Values], features: FloatArray) -> FloatArray:
        """Prior variance that no landmark tells of: creatives like none before; shape (creatives,)."""
        own = np.sum([fitted.own_variance(values[fitted.block.name]) for fitted in self.blocks], axis=0)
        return np.asarray(np.maximum(np.asarray(own) - (features * features).sum(axis=1), 0.0))


def fit_kernel_map(
    blocks: Sequence[Block],
    values: Mapping[str, Values],
    *,
    landmarks: int,
    generator: np.random.Generator,
) -> KernelMap:
    """The map that training creatives span.

    Args:
        blocks: what counts.
        values: of the training creatives, by block name.
        landmarks: how many training creatives span the map.
        generator: chooses them.
    Raises:
        ValueError: a block without values, or fewer than two creatives.
    """
    missing = [block.name for block in blocks if block.name not in values]
    if missing:
        raise ValueError(f"no values for {', '.join(missing)}")
    count = len(values[blocks[0].name])
    if count < 2:
        raise ValueError("a ranker needs two creatives or more")
    fitted = tuple(_LIKENESSES[block.likeness](block, values[block.name]) for block in blocks)
    # A creative that ran in ten campaigns is one landmark.
    distinct = np.unique(same_creatives([values[block.name] for block in blocks], count))
    chosen = np.sort(generator.choice(distinct, min(landmarks, len(distinct)), replace=False))
    of_landmarks = {block.name: chosen_rows(values[block.name], chosen) for block in blocks}
    among = _likeness(fitted, of_landmarks, of_landmarks)
    # Nothing known of any creative leaves zeros: 1 keeps the map finite, and its features nothing.
    among[np.diag_indices_from(among)] += _JITTER * (np.trace(among) / len(among) or 1.0)
    return KernelMap(fitted, of_landmarks, np.ascontiguousarray(cholesky(among, lower=True)))


def _likeness(
    blocks: Sequence[FittedBlock], values: Mapping[str, Values], others: Mapping[str, Values]
) -> FloatArray:
    parts = [fitted.likeness(values[fitted.block.name], others[fitted.block.name]) for fitted in blocks]
    return np.asarray(np.sum(parts, axis=0), dtype=np.float64)


def same_creatives(blocks: Sequence[Values], count: int) -> IntArray:
    """For each row the first that has the same values in every block, shape (count,)."""
    seen: dict[tuple[object, ...], int] = {}
    return np.fromiter(
        (
            seen.setdefault(
                tuple(
                    of_block[row].tobytes() if isinstance(of_block, np.ndarray) else of_block[row]
                    for of_block in blocks
                ),
                row,
            )
            for row in range(count)
        ),
        dtype=np.int64,
        count=count,
    )


def chosen_rows(values: Values, numbers: IntArray) -> Values:
    """A block's values of these creatives, by number."""
    if isinstance(values, np.ndarray):
        return np.asarray(values[numbers], dtype=np.float64)
    return [values[number] for number in numbers.tolist()]
