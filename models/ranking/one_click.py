"""The binary head for sparse traffic: will an ad get at least one link click, and may that be believed?

Here: P(at least one click) from a calibrated score and how unsure it is, judged on ads with little traffic.
Not here: scores (`ad_scores`), a slate's own guess where nothing scores (`models.slates`).

An ad's expected CTR is that of its placement's other ads, moved by as much of its score's lead as comes true;
so the expected rates of a placement's ads have the placement's rate as their mean. Log-odds are normal around
it, and

    P(at least one click in n impressions) = 1 - E[(1 - p)^n]

is the mean over them. At the expected p it would be too high: (1 - p)^n is convex, so what is unknown of p
makes no click at all likelier. The spread is what ads differ beyond chance from what was expected of them on
their placement: campaigns that differ are in it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import expit, logit

from models.ranking.calibration import chance_calibration_error, expected_calibration_error
from models.ranking.evidence import Arms
from models.ranking.placements import PLACE

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
MOST_EXPECTED_CLICKS = 3.0
"""Clicks expected of an arm at its placement's rate up to which it is sparse: beyond, nearly all have one."""
BESIDE = ("rate", "rate_variance", "lead")
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


@dataclass(frozen=True)
class OneClick:
    """What turns expected rates into P(at least one click).

    Attributes:
        variance: of log-odds around what is expected, beyond sampling.
    """

    variance: float

    def probability(self, ads: pl.DataFrame) -> FloatArray:
        """P(at least one click), shape (ads,); NaN where `BESIDE` is null.

        Args:
            ads: BESIDE (see `beside_others`) and impressions.
        """
        rate, rate_variance, lead, impressions = _columns(ads, *BESIDE, "impressions")
        variance = self.variance + rate_variance
        # A mean is expected: of small rates that is e to the mean of log-odds and half their variance.
        centre = logit(rate) + lead - 0.5 * variance
        rates = expit(centre[:, None] + np.sqrt(variance)[:, None] * _NODES)
        none = np.exp(impressions[:, None] * np.log1p(-rates)) @ (_WEIGHTS / _WEIGHTS.sum())
        return np.asarray(np.clip(1.0 - none, 0.0, 1.0), dtype=np.float64)


@dataclass(frozen=True)
class BinaryFigures:
    """P(at least one click) against what happened, on arms scored by rankers that did not learn from them.

    Attributes:
        arms: how many are sparse; the other figures are NaN without any.
        base_rate: share of them with a click.
        brier: mean squared error of the probability; brier_of_base_rate: of base_rate for each;
            brier_of_placement: of what is said without any score.
        calibration_error: mean gap to the share with a click; chance_error: of it by chance alone.
    """

    arms: int
    base_rate: float = nan
    brier: float = nan
    brier_of_base_rate: float = nan
    brier_of_placement: float = nan
    calibration_error: float = nan
    chance_error: float = nan


def beside_others(
    asked: pl.DataFrame, teachers: pl.DataFrame, score: FloatArray, *, kept: float
) -> pl.DataFrame:
    """Each row of `asked` beside what its placement's other creatives did.

    Args:
        asked: creative (row number), PLACE.
        teachers: creative, PLACE, impressions, clicks of the arms that a placement is known by.
        score: of every creative, by one ranker, shape (creatives,).
        kept: share of a score's difference that comes true (`multipliers.kept_share`).
    Returns:
        `asked` with BESIDE: the others' rate, the sampling variance of its log-odds, and by how much log-odds
        of the creative lead theirs; null where there are no others. Rows keep their order.
    """
    sums = {
        "shown": pl.col("impressions"),
        "clicked": pl.col("clicks"),
        "expected": pl.col("impressions") * pl.col("promise"),
    }
    promise = np.exp(kept * (score - score.mean()))
    told = teachers.with_columns(promise=pl.Series(promise)[teachers["creative"]])
    all_told = told.group_by(PLACE).agg(**{name: sum_.sum() for name, sum_ in sums.items()})
    own = told.group_by(*PLACE, "creative").agg(**{f"own_{name}": sum_.sum() for name, sum_ in sums.items()})
    of_others = {name: pl.col(name) - pl.col(f"own_{name}").fill_null(0) for name in sums}
    found = (
        asked.with_columns(promise=pl.Series(promise)[asked["creative"]])
        .join(all_told, on=PLACE, how="left", maintain_order="left")
        .join(own, on=[*PLACE, "creative"], how="left", maintain_order="left")
        .with_columns(**of_others)
        .with_columns(pl.when(pl.col("shown") > 0).then(pl.col(name)).alias(name) for name in sums)
    )
    return found.with_columns(
        rate=(pl.col("clicked") + 0.5) / (pl.col("shown") + 1.0),
        rate_variance=1.0 / (pl.col("clicked") + 0.5) + 1.0 / (pl.col("shown") - pl.col("clicked") + 0.5),
        lead=(pl.col("promise") * pl.col("shown") / pl.col("expected")).log(),
    ).select(*asked.columns, *BESIDE)


def held_out(
    asked: pl.DataFrame,
    teachers: pl.DataFrame,
    scores: Mapping[int, FloatArray],
    fold: IntArray,
    *,
    kept: float,
) -> pl.DataFrame:
    """`beside_others` by the ranker that did not learn from each creative; rows keep their order.

    Args:
        scores: of every creative, by number of the ranker.
        fold: that number, shape (creatives,); it is added as the column `fold`.
    """
    numbered = asked.with_row_index("place_in_asked").with_columns(fold=pl.Series(fold)[asked["creative"]])
    parts = [
        beside_others(numbered.filter(pl.col("fold") == number), teachers, score, kept=kept)
        for number, score in scores.items()
    ]
    return pl.concat(parts).sort("place_in_asked").drop("place_in_asked")


def fit_one_click(arms: pl.DataFrame) -> OneClick:
    """The head from arms with traffic enough: moments after DerSimonian and Laird (1986), one step.

    Args:
        arms: BESIDE, impressions, clicks.
    """
    rate, rate_variance, lead, impressions, clicks = _columns(
        arms.drop_nulls(list(BESIDE)), *BESIDE, "impressions", "clicks"
    )
    if len(rate) < 2:
        return OneClick(0.0)
    counted = Arms(np.zeros(len(rate), dtype=np.int64), impressions, clicks)
    chance = counted.log_odds_variance + rate_variance
    off = counted.log_odds - logit(rate) - lead
    off = off - np.average(off, weights=1.0 / chance)
    beyond = float((off**2 / chance).sum() - (len(rate) - 1))
    weight = float((1.0 / chance).sum() - (1.0 / chance**2).sum() / (1.0 / chance).sum())
    return OneClick(max(beyond / weight, 0.0))


def judge_one_click(arms: pl.DataFrame, *, fewest_impressions: int) -> BinaryFigures:
    """The head on sparse arms, its variance each time from arms of other folds.

    Args:
        arms: of `held_out`, with impressions and clicks. Sparse are those that MOST_EXPECTED_CLICKS are
            expected of, at most, at the rate of their placement's others.
        fewest_impressions: of the arms that the variance is from.
    """
    known = arms.drop_nulls(list(BESIDE))
    sparse = known.filter(pl.col("impressions") * pl.col("rate") <= MOST_EXPECTED_CLICKS)
    if sparse.is_empty():
        return BinaryFigures(0)
    said, unscored, clicked = [], [], []
    for (number,), part in sparse.group_by("fold", maintain_order=True):
        others = known.filter(pl.col("fold") != number, pl.col("impressions") >= fewest_impressions)
        said.append(fit_one_click(others).probability(part))
        without = [rows.with_columns(lead=pl.lit(0.0)) for rows in (others, part)]
        unscored.append(fit_one_click(without[0]).probability(without[1]))
        clicked.append((part["clicks"] > 0).to_numpy())
    probability, alone, outcome = (np.concatenate(parts) for parts in (said, unscored, clicked))
    base_rate = float(outcome.mean())
    return BinaryFigures(
        len(outcome),
        base_rate,
        float(np.mean((probability - outcome) ** 2)),
        base_rate * (1.0 - base_rate),
        float(np.mean((alone - outcome) ** 2)),
        expected_calibration_error(probability, outcome),
        chance_calibration_error(probability, independent=1.0),
    )


def _columns(rows: pl.DataFrame, *names: str) -> tuple[FloatArray, ...]:
    return tuple(rows[name].cast(pl.Float64).fill_null(nan).to_numpy() for name in names)
