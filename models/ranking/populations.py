"""Whose arms teach a ranking, and whose judge it: the account's own ads, or split tests of whatever source.

Here: arms of one population, when there are too few of them, a candidate that learns from a second population
too. Not here: choosing between candidates (`promotion`), reading ads (`ad_scores`) and tests (`split_tests`).

A headline that won in an archive need not win in a shop. So the own ads judge wherever they are enough, and
whether tests of elsewhere help is not assumed: every candidate stands with and without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.ranking.candidates import Fit, Ranker
from models.ranking.evidence import Arms
from models.ranking.kernels import Values, chosen_rows
from models.ranking.splits import earlier_and_later

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ADS, TESTS = "ads", "split_tests"
WITH_TESTS, OF_TESTS = "_with_tests", "_of_tests"
"""Endings of candidates' names: learnt from ads and split tests, and from split tests alone."""


@dataclass(frozen=True)
class Population:
    """Arms that competed among themselves.

    Attributes:
        name: ADS or TESTS.
        arms: in groups of two or more.
        creative: row of the blocks that each arm showed, shape (arms,).
        placement: of each arm; a split test's is TESTS.
        period, last_day: when each began, and was last counted, days, shape (arms,).
        cluster: of `near_duplicate_clusters`, shape (arms,).
    """

    name: str
    arms: Arms
    creative: IntArray
    placement: list[str]
    period: IntArray
    last_day: IntArray
    cluster: IntArray

    def subset(self, chosen: BoolArray) -> Population:
        """These arms alone."""
        return Population(
            self.name,
            self.arms.subset(chosen),
            self.creative[chosen],
            [self.placement[number] for number in np.flatnonzero(chosen)],
            self.period[chosen],
            self.last_day[chosen],
            self.cluster[chosen],
        )

    def values(self, values: Mapping[str, Values]) -> dict[str, Values]:
        """The blocks, one row per arm."""
        return {name: chosen_rows(of_block, self.creative) for name, of_block in values.items()}


def population_of(name: str, rows: pl.DataFrame, group: list[str], cluster: IntArray) -> Population:
    """The arms of `rows` that have a rival.

    Args:
        rows: `group`, creative, placement, first_day, last_day, trials, successes.
        group: columns that name what arms competed in.
        cluster: of each row of the blocks, shape (creatives,).
    """
    rivals = rows.filter(pl.col("creative").n_unique().over(group) > 1).sort(*group, "creative")
    creative = rivals["creative"].to_numpy().astype(np.int64)
    numbers = rivals.select(pl.struct(group).rank("dense")).to_series().to_numpy().astype(np.int64)
    trials, successes = (rivals[count].to_numpy().astype(np.float64) for count in ("trials", "successes"))
    began, ended = (
        rivals[day].to_physical().to_numpy().astype(np.int64) for day in ("first_day", "last_day")
    )
    return Population(
        name,
        Arms(numbers, trials, successes),
        creative,
        rivals["placement"].to_list(),
        began,
        ended,
        cluster[creative],
    )


def too_few(of: Population, *, fewest_creatives: int, folds: int, later_share: float) -> tuple[str, ...]:
    """Why the arms cannot teach and judge a ranking, one sentence each; none where they can."""
    count = len(np.unique(of.creative))
    what, where = (
        ("creatives", "campaign and placement") if of.name == ADS else ("arms of split tests", "test")
    )
    if count < fewest_creatives:
        return (f"{count} {what} competed with enough delivery; {fewest_creatives} are needed.",)
    earlier, later = earlier_and_later(of.period, of.cluster, later_share=later_share)
    if len(np.unique(of.cluster[earlier])) < folds:
        return (f"The earlier {what} are fewer than {folds} kinds: most are rewordings of one another.",)
    for name, chosen in (("earlier", earlier), ("later", later)):
        if len(np.unique(of.arms.group[chosen])) == int(chosen.sum()):
            return (f"No two {name} {what} competed in one {where}.",)
    return ()


def further_teachers(tests: Population, delivered: IntArray, *, before: int | None) -> Population:
    """The tests that may teach beside ads: none that repeats one, or its result would be known beforehand.

    Args:
        delivered: clusters of all ads that ran, whether they are judged or had no rival.
        before: day from which the judged ads are the later ones: tests from then on are not known yet. None:
            all are.
    """
    known = ~np.isin(tests.cluster, delivered)
    if before is not None:
        known &= tests.period < before
    left = tests.subset(known)
    sizes = np.bincount(left.arms.numbered) if len(left.arms) else np.empty(0)
    return left.subset(sizes[left.arms.numbered] > 1) if len(left.arms) else left


def taught_too(fit: Fit, values: Mapping[str, Values], further: Population) -> Fit:
    """The candidate that learns from `further` besides whatever it is given.

    Args:
        values: blocks that `further` points into.
    """
    of_further = further.values(values)

    def fitted(own: Mapping[str, Values], arms: Arms, generator: np.random.Generator) -> Ranker:
        both = Arms(
            np.concatenate([arms.numbered, -1 - further.arms.numbered]),
            np.concatenate([arms.trials, further.arms.trials]),
            np.concatenate([arms.successes, further.arms.successes]),
        )
        return fit({name: _joined(own[name], of_further[name]) for name in own}, both, generator)

    return fitted


def _joined(one: Values, other: Values) -> Values:
    if isinstance(one, np.ndarray):
        return np.concatenate([one, np.asarray(other)])
    return [*one, *other]
