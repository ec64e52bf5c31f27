"""From scores within a group to rates on a placement: what its ads do there, and a bound below.

Here: a placement's level, scores put on it. Not here: who scores (`candidates`), who may (`promotion`).

A ranker tells log-odds up to a level of each group. The level is the placement's: its ads' rate, at what
those ads score on average.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import expit, logit, ndtr

from models.ranking.candidates import Scores
from models.ranking.conformal import ConformalBound

FloatArray = npt.NDArray[np.float64]
PLACE = ("track", "platform", "placement")

PLACEMENT_LEVELS_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(PLACE, pl.String()),
        **dict.fromkeys(("average", "successes", "trials"), pl.Float64()),
    }
)


def placement_levels(score: FloatArray, deliveries: pl.DataFrame) -> pl.DataFrame:
    """What is known of each placement: PLACEMENT_LEVELS_SCHEMA, a row per track, platform and placement.

    Args:
        score: of every creative, shape (creatives,).
        deliveries: creative (row number), track, platform, placement, trials, successes.
    Returns:
        average: score of the delivered ads by trials; successes and trials: their sums.
    """
    return (
        deliveries.with_columns(score=pl.Series(score)[deliveries["creative"]])
        .group_by(PLACE, maintain_order=True)
        .agg(
            average=(pl.col("score") * pl.col("trials")).sum() / pl.col("trials").sum(),
            successes=pl.col("successes").sum(),
            trials=pl.col("trials").sum(),
        )
        .cast(PLACEMENT_LEVELS_SCHEMA)
    )


def rated(
    asked: pl.DataFrame,
    scored: Scores,
    levels: pl.DataFrame,
    bound: ConformalBound,
    *,
    screening_impressions: int,
) -> dict[str, FloatArray]:
    """Rate, its lower bound and P(above the placement's average ad), for each row of `asked`.

    Args:
        asked: creative (row number of `scored`), track, platform, placement.
        levels: of `placement_levels`; a placement it does not hold has no rate (NaN).
        screening_impressions: traffic that the bound is of.
    Returns:
        score, lower_bound, p_above; shape (rows,) each. p_above is NaN where the ranker cannot tell.
    """
    rate, relative = _beside_the_average(asked, scored.mean, levels)
    creative = asked["creative"].to_numpy()
    margin = bound.margin(asked["placement"].to_list(), np.nan_to_num(rate) * screening_impressions)
    level = logit(rate)
    return {
        "score": expit(level + relative),
        "lower_bound": expit(level + relative - margin),
        # Under a normal posterior.
        "p_above": np.asarray(ndtr(relative / np.sqrt(scored.variance[creative])), dtype=np.float64),
    }


def rate_multiplier(
    asked: pl.DataFrame, score: FloatArray, levels: pl.DataFrame, *, kept: float
) -> FloatArray:
    """Expected rate over the placement's own, for each row of `asked`; shape (rows,).

    Args:
        asked, levels: as for `rated`.
        score: of every creative, by the ranker behind `levels`.
        kept: share of a score's difference that comes true.
    """
    rate, relative = _beside_the_average(asked, score, levels)
    return np.asarray(expit(logit(rate) + kept * relative) / rate, dtype=np.float64)


def _beside_the_average(
    asked: pl.DataFrame, score: FloatArray, levels: pl.DataFrame
) -> tuple[FloatArray, FloatArray]:
    """Rate of the placement, and how far a creative's score lies above that of its average ad."""
    at = asked.join(levels, on=PLACE, how="left", maintain_order="left")
    rate = ((at["successes"] + 0.5) / (at["trials"] + 1.0)).to_numpy().astype(np.float64)
    return rate, score[at["creative"].to_numpy()] - at["average"].to_numpy().astype(np.float64)
