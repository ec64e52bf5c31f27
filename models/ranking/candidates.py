"""Ways to rank creatives that compete for the job: the named baselines and ours, behind one call.

Here: fitting on arms and predicting log-odds of others. Not here: which is promoted (`promotion`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from models.ranking.evidence import Arms, within_groups
from models.ranking.kernels import Block, KernelMap, Values, fit_kernel_map, same_creatives
from models.ranking.regression import Regression, Scale, fit_regression, likeliest_scale

if TYPE_CHECKING:
    from lightgbm import Booster

FloatArray = npt.NDArray[np.float64]
TEXT, IMAGE, TRAITS, WORDS = "text", "image", "traits", "words"
"""Blocks: vectors of the text and of the image, measured features, the words themselves."""
BLOCKS = (
    Block(TEXT, "near", 0.08),
    Block(IMAGE, "near", 0.04),
    Block(TRAITS, "linear", 0.01),
    Block(WORDS, "words", 0.02),
)
"""Prior variances of log-odds, tried on Upworthy's headlines up to 2014; their common scale is fitted."""
LANDMARKS = 2_000
_SCALE_LANDMARKS = 600
_RIDGE_PENALTY = 10.0
"""Of 1, 3, 10, 30 the best on Upworthy's folds: the baseline is not made weak."""


@dataclass(frozen=True)
class Scores:
    """Log-odds beyond the group's level, comparable within a group only.

    Attributes:
        mean: shape (creatives,).
        variance: of `mean`'s error for the creative's true log-odds; NaN where a candidate cannot tell.
    """

    mean: FloatArray
    variance: FloatArray


class Ranker(Protocol):
    """A fitted candidate."""

    def scores(self, values: Mapping[str, Values]) -> Scores:
        """Of creatives, from their blocks' values."""
        ...


Fit = Callable[[Mapping[str, Values], Arms, np.random.Generator], Ranker]


@dataclass(frozen=True)
class KernelRanker:
    """Gaussian processes over what creatives are, by landmarks; knows how unsure it is."""

    features: KernelMap
    regression: Regression

    def scores(self, values: Mapping[str, Values]) -> Scores:
        """See `Ranker`; the variance includes what no feature tells."""
        features = self.features.features(values)
        scale = self.regression.scale
        variance = (
            self.regression.variance(features)
            + scale.amplitude * self.features.unexplained(values, features)
            + scale.own_variance
            + scale.extra_variance
        )
        return Scores(self.regression.mean(features), variance)


def fit_kernel(values: Mapping[str, Values], arms: Arms, generator: np.random.Generator) -> KernelRanker:
    """Our candidate over every block of BLOCKS that has values; the scale is the likeliest one."""
    blocks = [block for block in BLOCKS if block.name in values]
    creative = same_creatives([values[block.name] for block in blocks], len(arms))
    few = fit_kernel_map(blocks, values, landmarks=_SCALE_LANDMARKS, generator=generator)
    scale: Scale = likeliest_scale(few.features(values), arms, creative)
    features = fit_kernel_map(blocks, values, landmarks=LANDMARKS, generator=generator)
    return KernelRanker(features, fit_regression(features.features(values), arms, creative, scale))


@dataclass(frozen=True)
class RidgeRanker:
    """A line through the text's vector; cannot tell how unsure it is. coefficients: shape (dimensions,)."""

    coefficients: FloatArray

    def scores(self, values: Mapping[str, Values]) -> Scores:
        """See `Ranker`."""
        mean = _vectors(values) @ self.coefficients
        return Scores(mean, np.full(len(mean), np.nan))


def fit_ridge_of(penalty: float) -> Fit:
    """Named baseline: ridge on the text's vector alone, both sides centred within groups, unweighted."""

    def fit(values: Mapping[str, Values], arms: Arms, generator: np.random.Generator) -> Ranker:
        del generator
        even = np.ones(len(arms))
        vectors = within_groups(_vectors(values), arms.numbered, even)
        target = within_groups(arms.log_odds, arms.numbered, even)
        penalised = vectors.T @ vectors + penalty * np.eye(vectors.shape[1])
        return RidgeRanker(np.asarray(np.linalg.solve(penalised, vectors.T @ target), dtype=np.float64))

    return fit


@dataclass(frozen=True)
class TreesRanker:
    """LightGBM's trees over the columns of the named blocks; cannot tell how unsure it is.

    Attributes:
        trees: LightGBM's own text, which gives back the same trees to the last bit.
        names: of the blocks, in the order of the columns.
    """

    trees: str
    names: tuple[str, ...]

    def scores(self, values: Mapping[str, Values]) -> Scores:
        """See `Ranker`."""
        mean = np.asarray(self._booster.predict(_columns(values, self.names), num_threads=1))
        return Scores(mean, np.full(len(mean), np.nan))

    @cached_property
    def _booster(self) -> Booster:
        import lightgbm  # noqa: PLC0415 - a second to import

        return lightgbm.Booster(model_str=self.trees)


def fit_trees(values: Mapping[str, Values], arms: Arms, generator: np.random.Generator) -> Ranker:
    """Named baseline: LightGBM on all columns, log-odds centred within groups, weighted by their variance."""
    import lightgbm  # noqa: PLC0415 - a second to import

    names = tuple(name for name in (TEXT, IMAGE, TRAITS) if name in values)
    weights = 1.0 / (arms.log_odds_variance + 0.01)
    target = within_groups(arms.log_odds, arms.numbered, weights)
    parameters = {
        "objective": "regression",
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_data_in_leaf": 40,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
        "seed": int(generator.integers(2**31)),
        "deterministic": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(_columns(values, names), label=target, weight=weights)
    return TreesRanker(lightgbm.train(parameters, data, num_boost_round=200).model_to_string(), names)


def _vectors(values: Mapping[str, Values]) -> FloatArray:
    """Vectors of the texts, of length zero where there is none."""
    if TEXT not in values:
        return np.zeros((len(next(iter(values.values()))), 1))
    return np.nan_to_num(np.asarray(values[TEXT], dtype=np.float64))


def _columns(values: Mapping[str, Values], names: tuple[str, ...]) -> FloatArray:
    return np.concatenate([np.asarray(values[name], dtype=np.float64) for name in names], axis=1)


CANDIDATES: Mapping[str, Fit] = {
    "kernel": fit_kernel,
    "ridge": fit_ridge_of(_RIDGE_PENALTY),
    "trees": fit_trees,
}
