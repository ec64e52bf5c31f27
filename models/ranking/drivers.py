"""What goes with a creative's score: parts of its lead over its rivals by block, and measured traits.

Here: a score's leads, their split over blocks, their association with measured traits. Not here: rankers
(`candidates`), look-alikes (`look_alikes`).

Both are read off the scores of a whole field, so they are told alike for every candidate, and both are
correlational: an ad remade to have the trait need not score, let alone do, as well.

Blocks: leads are told by a sum of one function per block that the candidate reads, by the kernels and prior
variances of `candidates.BLOCKS` (late fusion, Duvenaud et al. 2011, Additive Gaussian processes). The sum
splits exactly; how much of the leads it tells of creatives left out is said beside it. Where blocks go
together (a theme has its words and its pictures), the split between them is the prior's.

Traits: each alone, the lead's slope on the trait, standard errors clustered by content with the jackknife's
correction (Bell and McCaffrey 2002, CR3) and the effective number of contents as degrees of freedom
(Carter, Schnepel and Steigerwald 2017); those kept are told from nothing at a false discovery rate of 10 %
(Benjamini and Hochberg 1995). One trait's contribution includes what goes with it, so they do not add up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import svd
from scipy.special import logit
from scipy.stats import false_discovery_control
from scipy.stats import t as students

from models.ranking.candidates import BLOCKS, IMAGE, TEXT, TRAITS, WORDS
from models.ranking.evidence import within_groups
from models.ranking.kernels import Values, chosen_rows, fit_kernel_map
from models.ranking.populations import OF_TESTS, WITH_TESTS
from models.ranking.two_towers import READ, TOWERS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BLOCKS_READ: Mapping[str, tuple[str, ...]] = {
    "kernel": (TEXT, IMAGE, TRAITS, WORDS),
    "ridge": (TEXT,),
    "trees": (TEXT, IMAGE, TRAITS),
    TOWERS: READ,
}
"""What each candidate looks at: nothing else can have moved its score."""
FALSE_DISCOVERIES = 0.1
_LANDMARKS = 400
_MOST_FITTED = 4_000  # of a field: enough for 400 landmarks, and seconds
_PENALTIES = tuple(10.0**power for power in range(-6, 3))
_MOST_LEVERAGE = 0.5
_FEWEST = 20
"""Creatives of a field below which nothing is told of what goes with scores."""


@dataclass(frozen=True)
class BlockParts:
    """A field's leads, split over blocks.

    Attributes:
        parts: log-odds by block, group means taken out, shape (creatives,) each.
        told: share of the leads' variance that the parts' sum tells of creatives left out of its fit (at most
            1; at or below 0 it tells nothing); NaN where nothing could be fitted.
    """

    parts: Mapping[str, FloatArray]
    told: float


@dataclass(frozen=True)
class TraitAssociations:
    """The traits that scores go with.

    Attributes:
        names: those kept.
        contribution, low, high: log-odds that a creative's lead goes with its trait, and its 95 % interval,
            shape (creatives, names); NaN where the trait was not measured.
        average: of the trait in the creative's group, shape (creatives, names).
        tried: how many traits were looked at.
    """

    names: tuple[str, ...]
    contribution: FloatArray
    low: FloatArray
    high: FloatArray
    average: FloatArray
    tried: int


def blocks_read(candidate: str) -> tuple[str, ...]:
    """What a candidate looks at, whoever taught it."""
    return BLOCKS_READ[candidate.removesuffix(WITH_TESTS).removesuffix(OF_TESTS)]


def leads(score: FloatArray, place: IntArray, creative: IntArray) -> FloatArray:
    """Log-odds by which creatives are scored above their rivals' average; shape (creatives,).

    Placements of a track differ by a level alone, so a creative leads by the same on each; the mean over them
    is taken.

    Args:
        score: rates in (0, 1), NaN where nothing scored; one per creative and placement, shape (rows,).
        place, creative: of each row, numbered from 0, shape (rows,).
    Returns:
        NaN for a creative without a score.
    """
    scored = np.isfinite(score)
    count = int(creative.max(initial=-1)) + 1
    if not scored.any():
        return np.full(count, np.nan)
    places = np.unique(place[scored], return_inverse=True)[1]
    relative = within_groups(logit(score[scored]), places, np.ones(int(scored.sum())))
    of_creative = creative[scored]
    rows = np.bincount(of_creative, minlength=count)
    total = np.bincount(of_creative, relative, minlength=count)
    return np.asarray(np.divide(total, rows, out=np.full(count, np.nan), where=rows > 0))


def block_parts(
    lead: FloatArray,
    values: Mapping[str, Values],
    group: IntArray,
    *,
    read: Sequence[str],
    generator: np.random.Generator,
) -> BlockParts:
    """Split leads over the blocks that were read.

    Args:
        lead: of `leads`, no NaN, shape (creatives,).
        values: blocks of the creatives, one row each.
        group: creatives that are compared, numbered from 0 without gaps, shape (creatives,).
        read: names of blocks.
    """
    blocks = [block for block in BLOCKS if block.name in read and block.name in values]
    if len(lead) < _FEWEST or not blocks or not np.ptp(lead) > 0:
        return BlockParts({}, float("nan"))
    known = {block.name: values[block.name] for block in blocks}
    chosen = np.sort(generator.permutation(len(lead))[:_MOST_FITTED]).astype(np.int64)
    of_chosen = {name: chosen_rows(rows, chosen) for name, rows in known.items()}
    kernel = fit_kernel_map(blocks, of_chosen, landmarks=_LANDMARKS, generator=generator)
    numbered = np.unique(group[chosen], return_inverse=True)[1].astype(np.int64)
    even = np.ones(len(chosen))
    features = within_groups(kernel.features(of_chosen), numbered, even)
    target = within_groups(lead[chosen], numbered, even)
    coefficients, told = _best_ridge(features, target, np.bincount(numbered)[numbered])
    everyone = np.ones(len(lead))
    parts = {
        name: within_groups(part, group, everyone) for name, part in kernel.parts(known, coefficients).items()
    }
    return BlockParts(parts, told)


def _best_ridge(features: FloatArray, target: FloatArray, group_size: IntArray) -> tuple[FloatArray, float]:
    """Coefficients of the penalty with the least leave-one-out error, and the share of variance it tells.

    Errors left out are e / (1 - h - 1/n), h the leverage and n the size of the group whose mean is taken off.
    """
    left, singular, right = svd(features, full_matrices=False)
    along = left.T @ target
    found = []
    for penalty in _PENALTIES:
        kept = singular**2 / (singular**2 + penalty)
        leverage = (left * left) @ kept + 1.0 / group_size
        error = (target - left @ (kept * along)) / np.maximum(1.0 - leverage, 1e-6)
        found.append((float((error * error).sum()), penalty))
    least, penalty = min(found)
    coefficients = right.T @ (singular / (singular**2 + penalty) * along)
    alone = target / np.maximum(1.0 - 1.0 / group_size, 1e-6)  # told by the group's mean of the others
    return np.asarray(coefficients, dtype=np.float64), 1.0 - least / float((alone * alone).sum())


def trait_associations(
    lead: FloatArray, traits: FloatArray, names: Sequence[str], group: IntArray, cluster: IntArray
) -> TraitAssociations:
    """Which measured traits scores go with, and how far each creative's lead goes with its own.

    Args:
        lead: of `leads`, no NaN, shape (creatives,).
        traits: shape (creatives, names); NaN where not measured.
        group: creatives that are compared, numbered from 0 without gaps, shape (creatives,).
        cluster: creatives of one content, any numbers, shape (creatives,).
    """
    tried = {
        name: found
        for name, column in zip(names, traits.T, strict=True)
        if (found := _association(lead, column, group, cluster)) is not None
    }
    adjusted = false_discovery_control([found.p_value for found in tried.values()]) if tried else []
    kept = {
        name: found
        for (name, found), share in zip(tried.items(), adjusted, strict=True)
        if share <= FALSE_DISCOVERIES
    }
    contribution = _side_by_side([found.slope * found.centred for found in kept.values()], len(lead))
    margin = _side_by_side([found.margin * np.abs(found.centred) for found in kept.values()], len(lead))
    return TraitAssociations(
        tuple(kept),
        contribution,
        contribution - margin,
        contribution + margin,
        _side_by_side([found.average for found in kept.values()], len(lead)),
        len(tried),
    )


def _side_by_side(columns: list[FloatArray], rows: int) -> FloatArray:
    return np.column_stack(columns) if columns else np.empty((rows, 0))


@dataclass(frozen=True)
class _Association:
    """Of one trait: slope of the lead and half its 95 % interval, per unit of the trait."""

    slope: float
    margin: float
    p_value: float
    average: FloatArray
    centred: FloatArray


def _association(
    lead: FloatArray, trait: FloatArray, group: IntArray, cluster: IntArray
) -> _Association | None:
    """None where too few were measured, all are the same, or one content alone differs."""
    known = np.isfinite(trait)
    clusters = np.unique(cluster[known], return_inverse=True)[1]
    several = int(clusters.max(initial=-1)) + 1
    if known.sum() < _FEWEST or several < _FEWEST:
        return None
    size = np.bincount(group, known.astype(float))
    average = np.divide(
        np.bincount(group, np.where(known, trait, 0.0)), size, out=np.full(len(size), np.nan), where=size > 0
    )[group]
    centred = trait - average
    here = centred[known]
    scale = float((here * here).sum())
    if not scale > 1e-12 * float(np.abs(trait[known]).max() ** 2 + 1e-300) * known.sum():
        return None
    numbered = np.unique(group[known], return_inverse=True)[1].astype(np.int64)
    target = within_groups(lead[known], numbered, np.ones(int(known.sum())))
    slope = float((here * target).sum() / scale)
    # Each cluster's pull as if it were left out: what a single content has is no association.
    leverage = np.bincount(clusters, here * here) / scale
    if leverage.max() > _MOST_LEVERAGE:
        return None
    pulls = np.bincount(clusters, here * (target - slope * here)) / (1.0 - leverage)
    error = float(np.sqrt((pulls * pulls).sum() * (several - 1) / several) / scale)
    freedom = float(1.0 / (leverage * leverage).sum())  # a few contents tell nearly all of a rare trait
    if error <= 0:
        return None
    return _Association(
        slope,
        float(students.ppf(0.975, freedom)) * error,
        float(2.0 * students.sf(abs(slope) / error, freedom)),
        average,
        centred,
    )
