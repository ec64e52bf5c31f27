"""How well scores rank creatives within their groups, and which of two rankers is better.

Here: figures over arms that were not learnt from. Not here: fitting (`candidates`), bounds (`conformal`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.ranking.candidates import Fit, Ranker, Scores
from models.ranking.evidence import Arms, difference_in_standard_errors, pairs_within
from models.ranking.kernels import Values, chosen_rows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SIGNIFICANT = 1.96
"""z from which a pair's difference is taken for real."""
_RESAMPLES = 2_000
_SLICES = pl.Schema(
    {
        **{"slice": pl.String(), "arms": pl.Int64(), "pairs": pl.Int64(), "pairs_right": pl.Float64()},
        **{"significant_pairs": pl.Int64(), "significant_pairs_right": pl.Float64()},
    }
)


@dataclass(frozen=True)
class Ranking:
    """Shares of choices a ranker gets right; ties count half.

    Attributes:
        pairs: of all pairs within groups that differ, the better one is scored higher.
        significant_pairs: of those whose difference is more than chance.
        area_under_curve: probability that a pair's score difference is larger where the first was
            significantly better than where it was significantly worse.
        top_one: of the groups with a choice, the highest-scored arm had the highest rate.
        gain: mean relative gain in rate of the highest-scored arm over its group's mean (observed rates).
    """

    pairs: float
    significant_pairs: float
    area_under_curve: float
    top_one: float
    gain: float


def held_out_scores(
    fit: Fit, values: Mapping[str, Values], arms: Arms, fold: IntArray, generator: np.random.Generator
) -> Scores:
    """Scores of each arm by a ranker that learnt from the other folds."""
    return scores_by(fold_rankers(fit, values, arms, fold, generator), values, fold)


def fold_rankers(
    fit: Fit, values: Mapping[str, Values], arms: Arms, fold: IntArray, generator: np.random.Generator
) -> dict[int, Ranker]:
    """For each fold the ranker that learnt from all the others."""
    return {
        number: fit(chosen_values(values, fold != number), arms.subset(fold != number), generator)
        for number in np.unique(fold).tolist()
    }


def scores_by(rankers: Mapping[int, Ranker], values: Mapping[str, Values], number: IntArray) -> Scores:
    """Scores of creatives, each by the ranker of its number; shape (creatives,)."""
    mean, variance = np.full(len(number), np.nan), np.full(len(number), np.nan)
    for name, ranker in rankers.items():
        inside = number == name
        scored = ranker.scores(chosen_values(values, inside))
        mean[inside], variance[inside] = scored.mean, scored.variance
    return Scores(mean, variance)


def chosen_values(values: Mapping[str, Values], chosen: npt.NDArray[np.bool_]) -> dict[str, Values]:
    """Each block's values of these creatives."""
    numbers = np.flatnonzero(chosen)
    return {name: chosen_rows(of_block, numbers) for name, of_block in values.items()}


def ranking(score: FloatArray, arms: Arms) -> Ranking:
    """Figures of one ranker; score has shape (arms,)."""
    return _figures(_Choices(score, arms), np.ones(int(arms.numbered.max()) + 1))


def ranking_by_slice(score: FloatArray, arms: Arms, names: Sequence[str]) -> pl.DataFrame:
    """Where a ranker is right and where not.

    Args:
        score: shape (arms,).
        names: slice of each arm; all arms of a group lie in one.
    Returns:
        slice, arms, pairs that differ, pairs_right, significant_pairs, significant_pairs_right (shares, NULL
        without any), the slices with most arms first.
    """
    choices = _Choices(score, arms)
    of_group = np.empty(int(arms.numbered.max()) + 1, dtype=object)
    of_group[arms.numbered] = np.asarray(names, dtype=object)
    rows = []
    for name, count in zip(*np.unique(np.asarray(names, dtype=str), return_counts=True), strict=True):
        row: dict[str, object] = {"slice": str(name), "arms": int(count)}
        for kind, (right, group) in (("pairs", choices.pairs), ("significant_pairs", choices.significant)):
            inside = right[of_group[group] == name]
            row |= {kind: len(inside), f"{kind}_right": float(inside.mean()) if len(inside) else None}
        rows.append(row)
    return pl.DataFrame(rows, schema=_SLICES).sort("arms", "slice", descending=[True, False])


def better_by(
    score: FloatArray, rival: FloatArray, arms: Arms, cluster: IntArray, generator: np.random.Generator
) -> dict[str, tuple[float, float, float]]:
    """What `score` has over `rival`, by figure: difference, and the 2.5 % and 97.5 % of a paired bootstrap.

    Clusters are resampled, both rankers on the same ones. A figure that no resample could be told of has NaN
    for its ends: nothing is proved.
    """
    one, other = _Choices(score, arms), _Choices(rival, arms)
    group_cluster = np.empty(int(arms.numbered.max()) + 1, dtype=np.int64)
    group_cluster[arms.numbered] = np.unique(cluster, return_inverse=True)[1]
    clusters = int(group_cluster.max()) + 1
    even = np.ones(len(group_cluster))
    observed = _difference(_figures(one, even), _figures(other, even))
    drawn = []
    for _ in range(_RESAMPLES):
        times = np.bincount(generator.integers(clusters, size=clusters), minlength=clusters)
        weight = times[group_cluster].astype(np.float64)
        drawn.append(_difference(_figures(one, weight), _figures(other, weight)))
    ends = {name: _middle([difference[name] for difference in drawn]) for name in observed}
    return {name: (observed[name], float(ends[name][0]), float(ends[name][1])) for name in observed}


def _middle(drawn: list[float]) -> FloatArray:
    """The 2.5 % and 97.5 % of what is a number; NaN where nothing is."""
    told = np.array(drawn)[~np.isnan(drawn)]
    return np.quantile(told, [0.025, 0.975]) if len(told) else np.full(2, np.nan)


def precision_at(score: FloatArray, arms: Arms, count: int) -> float:
    """Of the `count` arms that lead their group by most, the share with a rate above their group's mean.

    Arms lead by their score less the group's mean score.
    """
    numbered = arms.numbered
    sizes = np.bincount(numbered)
    lead = score - (np.bincount(numbered, score) / sizes)[numbered]
    mean_rate = np.bincount(numbered, arms.successes) / np.bincount(numbered, arms.trials)
    first = np.argsort(-lead, kind="stable")[:count]
    return float(np.mean(arms.rate[first] > mean_rate[numbered[first]]))


class _Choices:
    """A ranker's choices, each with the group it was made in."""

    def __init__(self, score: FloatArray, arms: Arms) -> None:
        left, right = pairs_within(arms.numbered)
        difference = score[left] - score[right]
        z = difference_in_standard_errors(arms, left, right)
        right_one = np.where(difference == 0, 0.5, (np.sign(difference) == np.sign(z)).astype(float))
        unequal, significant = z != 0, np.abs(z) > SIGNIFICANT
        self.pairs = right_one[unequal], arms.numbered[left][unequal]
        self.significant = right_one[significant], arms.numbered[left][significant]
        # Each pair both ways round, so that the order of arms in the data cannot matter.
        self.margin = np.concatenate([difference[significant], -difference[significant]])
        self.first_better = np.concatenate([z[significant] > 0, z[significant] < 0])
        self.margin_group = np.concatenate([self.significant[1], self.significant[1]])
        self.order = np.argsort(self.margin, kind="stable")
        groups = int(arms.numbered.max()) + 1
        highest, best = np.full(groups, -np.inf), np.full(groups, -np.inf)
        np.maximum.at(highest, arms.numbered, score)
        np.maximum.at(best, arms.numbered, arms.rate)
        chosen = score >= highest[arms.numbered]
        among = np.bincount(arms.numbered[chosen], minlength=groups)
        hit = (arms.rate >= best[arms.numbered])[chosen]
        top = np.bincount(arms.numbered[chosen], hit, minlength=groups) / among
        chosen_rate = np.bincount(arms.numbered[chosen], arms.rate[chosen], minlength=groups) / among
        sizes = np.bincount(arms.numbered)
        mean_rate = np.bincount(arms.numbered, arms.rate) / sizes
        gain = np.divide(chosen_rate, mean_rate, out=np.ones(groups), where=mean_rate > 0) - 1.0
        several = np.flatnonzero(sizes > 1)  # the only arm of a group is its best without any choice
        self.top, self.gain = (top[several], several), (gain[several], several)


def _figures(choices: _Choices, weight: FloatArray) -> Ranking:
    def mean(values: tuple[FloatArray, IntArray]) -> float:
        of_choice = weight[values[1]]
        total = of_choice.sum()
        return float((values[0] * of_choice).sum() / total) if total else float("nan")

    return Ranking(
        mean(choices.pairs),
        mean(choices.significant),
        _area(choices, weight),
        mean(choices.top),
        mean(choices.gain),
    )


def _area(choices: _Choices, weight: FloatArray) -> float:
    """Mann–Whitney over margins, ties half, pairs weighted by how often their group was drawn."""
    order = choices.order
    of_pair = weight[choices.margin_group][order]
    positive = of_pair * choices.first_better[order]
    negative = of_pair - positive
    _, start = np.unique(choices.margin[order], return_index=True)
    if not len(start):
        return float("nan")
    tied_positive, tied_negative = np.add.reduceat(positive, start), np.add.reduceat(negative, start)
    below = np.cumsum(tied_negative) - tied_negative
    total = tied_positive.sum() * tied_negative.sum()
    return float((tied_positive * (below + 0.5 * tied_negative)).sum() / total) if total else float("nan")


def _difference(one: Ranking, other: Ranking) -> dict[str, float]:
    return {name: getattr(one, name) - getattr(other, name) for name in Ranking.__dataclass_fields__}
