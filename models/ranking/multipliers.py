"""How much of a score's promise comes true: what a new ad's rate may be multiplied by.

Here: the slope of held-out results on held-out scores, the multipliers in force on a morning. Not here:
scores (`ad_scores`), what a multiplier does to forecasts (`models.forecasting`) and slates (`models.slates`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from models.ranking.evidence import Arms, within_groups

FloatArray = npt.NDArray[np.float64]
_PRIOR_PRECISION = 1.0
"""Of the slope around 0: a promise nobody has seen kept is worth nothing."""
LARGEST_MULTIPLIER = 2.0
"""No score moves a rate further than this, or its inverse, whatever a ranker says."""
_CREATIVE = ["track", "platform", "account_id", "creative_id"]


def multipliers_in_force(scores: pl.DataFrame) -> pl.DataFrame:
    """What creatives' rates are expected to be beside their placement's, by the newest scores.

    Args:
        scores: rows of AD_SCORES, of one morning or several.
    Returns:
        track, platform, account_id, creative_id, placement, ctr_multiplier, cvr_multiplier (within
        LARGEST_MULTIPLIER of 1, which is a rate that nothing may score) of the creatives with either,
        delivered_impressions, and has_run: whether it delivered anywhere in its track. No row where the
        newest ranking scored nothing.
    """
    rates = ["ctr_multiplier", "cvr_multiplier"]
    return (
        scores.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
        # Also where its placement is too small for a score, it ran.
        .with_columns(has_run=pl.col("delivered_impressions").sum().over(_CREATIVE) > 0)
        .filter(pl.any_horizontal(pl.col(rates).is_not_null()))
        .select(
            *_CREATIVE,
            "placement",
            pl.col(rates).fill_null(1.0).clip(1.0 / LARGEST_MULTIPLIER, LARGEST_MULTIPLIER),
            "delivered_impressions",
            "has_run",
        )
    )


def lever_multipliers(multipliers: pl.DataFrame, arms: pl.DataFrame) -> pl.DataFrame:
    """What the scores of a lever's creatives say of its CTR and CVR, beside its track's levers.

    The mean over its ads, by what their creatives delivered; an ad without a score counts as 1.

    Args:
        multipliers: of `multipliers_in_force`.
        arms: platform, account_id, ad_id, creative_id, lever_id, track (int_arm_levers).
    Returns:
        platform, account_id, lever_id, ctr_multiplier, cvr_multiplier of levers with a scored creative.
    """
    rates = ["ctr_multiplier", "cvr_multiplier"]
    # Sums must not follow the input's order.
    by_creative = (
        multipliers.sort(*_CREATIVE, "placement")
        .group_by(_CREATIVE, maintain_order=True)
        .agg(pl.col(rates).log().mean().exp(), pl.col("delivered_impressions").sum())
    )
    ads = (
        arms.filter(pl.col("lever_id").is_not_null())
        .join(by_creative, on=_CREATIVE, how="left")
        .with_columns(weight=pl.col("delivered_impressions").fill_null(0) + 1.0)
        .sort("platform", "account_id", "ad_id")
    )
    lever = ["platform", "account_id", "lever_id"]
    return (
        ads.filter(pl.col("ctr_multiplier").is_not_null().any().over(lever))
        .group_by(lever, maintain_order=True)
        .agg((pl.col(rates).fill_null(1.0) * pl.col("weight")).sum() / pl.col("weight").sum())
        .sort(lever)
    )


def kept_share(held_out: FloatArray, arms: Arms) -> float:
    """Share of a score's difference within a group that shows in the log-odds, between 0 and 1.

    Weighted least squares through the groups' means with a N(0, 1) prior on the slope, weights by sampling
    variance and what varies beyond it (DerSimonian and Laird 1986, one step). At most 1: more than a ranker
    says is never promised on its behalf.

    Args:
        held_out: scores by rankers that did not learn from the arm, shape (arms,).
    """
    sampling = arms.log_odds_variance
    share, residual = _slope(held_out, arms, 1.0 / sampling)
    beyond = max(float(np.average(residual**2 - sampling, weights=1.0 / sampling)), 0.0)
    share, _ = _slope(held_out, arms, 1.0 / (sampling + beyond))
    return float(np.clip(share, 0.0, 1.0))


def _slope(score: FloatArray, arms: Arms, weights: FloatArray) -> tuple[float, FloatArray]:
    """Posterior mean of the slope, and what it leaves of each arm's log-odds."""
    said = within_groups(score, arms.numbered, weights)
    found = within_groups(arms.log_odds, arms.numbered, weights)
    slope = float((weights * said * found).sum() / ((weights * said**2).sum() + _PRIOR_PRECISION))
    return slope, found - slope * said
