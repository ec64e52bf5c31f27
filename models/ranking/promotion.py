"""Which ranker scores new ads: the best on weeks none of them learnt from, and only if it earns it.

Here: evaluating candidates on later arms, comparing with the previous champion, reasons to refuse. Not here:
where rankers are kept (the assets).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.ranking.calibration import (
    chance_calibration_error,
    expected_calibration_error,
    pairwise_calibration,
)
from models.ranking.candidates import Fit
from models.ranking.conformal import ConformalBound, conformal_bound
from models.ranking.evaluation import (
    Ranking,
    better_by,
    chosen_values,
    held_out_scores,
    precision_at,
    ranking,
    ranking_by_slice,
)
from models.ranking.evidence import Arms, pairs_that_differ, within_groups
from models.ranking.kernels import Values
from models.ranking.splits import cluster_folds

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BOUND_ERROR = 0.1
MOST_CALIBRATION_ERROR = 0.05
COVERAGE_RANGE = (0.85, 0.95)
"""Of 90 % bounds in a stratum: beyond it a bound tells something else than it says."""
FEWEST_JUDGED = 400
"""Arms of a stratum from which its coverage is told from 85 or 95 % (binomial, three standard errors)."""


@dataclass(frozen=True)
class Judged:
    """A ranker on arms it did not learn from.

    Attributes:
        figures: shares of choices it gets right.
        precision_at_5, precision_at_10: see `precision_at`.
        calibration_error: of P(better) between two arms of a group.
        chance_error: the calibration error that perfect probabilities would show on as few arms.
        coverage: of 90 % lower bounds by traffic stratum, 0 the least traffic.
        arms_in_stratum: how many arms each of these shares is of.
    """

    figures: Ranking
    precision_at_5: float
    precision_at_10: float
    calibration_error: float
    chance_error: float
    coverage: tuple[float, ...]
    arms_in_stratum: tuple[int, ...]


@dataclass(frozen=True)
class Promotion:
    """Who scores from now on.

    Attributes:
        champion: name of the candidate.
        judged: every candidate's figures on the later arms.
        refusals: why the champion must not score; empty where it may.
        slices: the champion's `ranking_by_slice` of the later arms, by placement.
    """

    champion: str
    judged: Mapping[str, Judged]
    refusals: tuple[str, ...]
    slices: pl.DataFrame


def relative_log_odds(arms: Arms) -> FloatArray:
    """Observed log-odds less the group's mean by trials; shape (arms,)."""
    return within_groups(arms.log_odds, arms.numbered, arms.trials)


def relative_score(score: FloatArray, arms: Arms) -> FloatArray:
    """Scores less the group's mean by trials, which are known before anything is clicked; shape (arms,)."""
    return within_groups(score, arms.numbered, arms.trials)


def expected_successes(arms: Arms, rate: float) -> FloatArray:
    """Traffic: what each arm's trials bring at an ordinary rate, known before it runs."""
    return arms.trials * rate


def bound_of(score: FloatArray, arms: Arms, placement: Sequence[str], rate: float) -> ConformalBound:
    """90 % lower bounds from held-out scores."""
    return conformal_bound(
        relative_score(score, arms),
        relative_log_odds(arms),
        placement,
        expected_successes(arms, rate),
        error=BOUND_ERROR,
    )


def judge(
    learnt: FloatArray,
    arms: Arms,
    placement: Sequence[str],
    later_score: FloatArray,
    later: Arms,
    later_placement: Sequence[str],
) -> Judged:
    """A ranker on later arms, its calibration and bounds from its held-out scores on earlier ones.

    Args:
        learnt: held-out scores of the earlier arms, shape (arms,).
        later_score: of the later arms, by the ranker fitted on all earlier ones.
    """
    rate = float(arms.successes.sum() / arms.trials.sum())
    bound = bound_of(learnt, arms, placement, rate)
    one, other, z = pairs_that_differ(later)
    probability = _probability_better(learnt, arms, later_score[one] - later_score[other])
    traffic = expected_successes(later, rate)
    lower = relative_score(later_score, later) - bound.margin(later_placement, traffic)
    covered = relative_log_odds(later) >= lower
    strata = bound.traffic(traffic)
    # Each pair both ways round: which arm comes first in the data says nothing.
    both_ways = np.concatenate([probability, 1.0 - probability])
    numbers = range(len(bound.edges) + 1)
    return Judged(
        ranking(later_score, later),
        precision_at(later_score, later, 5),
        precision_at(later_score, later, 10),
        expected_calibration_error(both_ways, np.concatenate([z > 0, z < 0])),
        chance_calibration_error(both_ways, independent=min(1.0, len(later) / max(len(z), 1))),
        tuple(_share(covered[strata == number]) for number in numbers),
        tuple(int((strata == number).sum()) for number in numbers),
    )


def _share(found: npt.NDArray[np.bool_]) -> float:
    return float(found.mean()) if len(found) else float("nan")


def _probability_better(learnt: FloatArray, arms: Arms, difference: FloatArray) -> FloatArray:
    """Of the first of two arms, by their scores' difference; a half where no earlier pair differs."""
    left, right, z = pairs_that_differ(arms)
    if not len(z) or not len(difference):
        return np.full(len(difference), 0.5)
    return pairwise_calibration(learnt[left] - learnt[right], z > 0).probability(difference)


def promote(
    candidates: Mapping[str, Fit],
    values: Mapping[str, Values],
    arms: Arms,
    placement: Sequence[str],
    cluster: IntArray,
    earlier: npt.NDArray[np.bool_],
    later: npt.NDArray[np.bool_],
    *,
    champion: str | None,
    folds: int,
    generator: np.random.Generator,
    doubted: Collection[str] = (),
) -> Promotion:
    """Fit every candidate on earlier arms and judge it on later ones.

    The best share of significant pairs wins, but a previous champion stays unless the winner is better by
    more than chance (paired bootstrap over clusters): changing the judge of every ad costs people's trust.

    Args:
        placement: of each arm.
        cluster: of `near_duplicate_clusters`.
        earlier, later: of `earlier_and_later`.
        champion: the candidate that scored so far; None at first.
        doubted: candidates that only win by more than chance over the best of the others, or as champion.
    """
    before, after = arms.subset(earlier), arms.subset(later)
    places = np.asarray(placement, dtype=object)
    known, asked = chosen_values(values, earlier), chosen_values(values, later)
    fold = cluster_folds(cluster[earlier], folds, generator)
    judged, scores = {}, {}
    for name, fit in candidates.items():
        held_out = held_out_scores(fit, known, before, fold, generator).mean
        scores[name] = fit(known, before, generator).scores(asked).mean
        judged[name] = judge(
            held_out, before, places[earlier].tolist(), scores[name], after, places[later].tolist()
        )
    best = max(judged, key=lambda name: judged[name].figures.significant_pairs)
    stays = champion if champion in judged else None
    if stays is None and best in doubted:
        others = [name for name in judged if name not in doubted]
        stays = max(others, key=lambda name: judged[name].figures.significant_pairs, default=None)
    if stays is not None and stays != best:
        gain = better_by(scores[best], scores[stays], after, cluster[later], generator)
        # Where no pair is significant the interval is not a number, and proves nothing.
        if not gain["significant_pairs"][1] > 0:
            best = stays
    slices = ranking_by_slice(scores[best], after, places[later].tolist())
    return Promotion(best, judged, refusals(judged[best]), slices)


def refusals(judged: Judged) -> tuple[str, ...]:
    """Why a ranker must not score, one sentence each; none where it may."""
    said = []
    if not judged.figures.significant_pairs > 0.5:
        said.append(
            f"{judged.figures.significant_pairs:.1%} of the pairs that really differ are ranked right: "
            "no better than a coin."
        )
    if not judged.calibration_error - judged.chance_error <= MOST_CALIBRATION_ERROR:
        said.append(
            f"Probabilities are off by {judged.calibration_error:.3f} on average, {judged.chance_error:.3f} "
            f"of it by chance; {MOST_CALIBRATION_ERROR:g} at most beyond chance is allowed."
        )
    low, high = COVERAGE_RANGE
    for stratum, (share, count) in enumerate(zip(judged.coverage, judged.arms_in_stratum, strict=True)):
        if count >= FEWEST_JUDGED and not low <= share <= high:
            said.append(
                f"90 % bounds cover {share:.1%} of the {count} arms in traffic stratum {stratum + 1}; "
                f"{low:.0%} to {high:.0%} is allowed."
            )
    return tuple(said)
