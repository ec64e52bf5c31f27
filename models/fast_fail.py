"""Fast-fail: whether a test-lane ad is too rarely clicked to be worth more impressions.

Here: the closed form per place, and what an ad's places say together. Not here: who is in the test lane
(`int_test_lane_daily`), what is done about it (`arms`).

Fewer than 5 clicks in 1,000 impressions would stop 17 % of ads whose true rate is 0.7 %. P(CTR < 0.5 %) of
a Beta posterior asks for evidence instead, and can be looked at daily.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import betainc

FloatArray = npt.NDArray[np.float64]
_AD = ["platform", "account_id", "ad_id"]
# Two clicks at twice the line: an ad with little delivery keeps the benefit of the doubt.
_PRIOR_CLICKS = 2.0
_PRIOR_RATE_IN_LINES = 2.0


def probability_ctr_below(
    minimum_ctr: float, clicks: npt.ArrayLike, impressions: npt.ArrayLike
) -> FloatArray:
    """P(CTR < minimum) per ad or place, in closed form: the regularised incomplete beta I(minimum; a, b).

    CTR | data ~ Beta(a + clicks, b + impressions - clicks), the prior worth two clicks at twice the minimum.

    Args:
        minimum_ctr: fraction, in (0, 0.5).
        clicks: unique link clicks, may be fractional, (arms,).
        impressions: times shown, (arms,).
    Raises:
        ValueError: negative counts, or a minimum outside (0, 0.5).
    """
    clicked, shown = np.asarray(clicks, dtype=np.float64), np.asarray(impressions, dtype=np.float64)
    if not 0 < minimum_ctr < 0.5 or (clicked < 0).any() or (shown < 0).any():
        raise ValueError("needs minimum_ctr in (0, 0.5), and clicks and impressions of at least 0")
    prior_rate = _PRIOR_RATE_IN_LINES * minimum_ctr
    alpha = _PRIOR_CLICKS + clicked
    beta = _PRIOR_CLICKS / prior_rate - _PRIOR_CLICKS + np.maximum(shown - clicked, 0)
    return np.asarray(betainc(alpha, beta, minimum_ctr), dtype=np.float64)


def failing_ads(
    days: pl.DataFrame, *, minimum_ctr: float, probability: float, excluded_placements: tuple[str, ...]
) -> pl.DataFrame:
    """What each test-lane ad's clicks say so far.

    An ad fails where P(CTR < minimum) over its places together is above `probability` and no single place
    clears it (its own P below 1 - probability): an ad that one place clicks on has a place to go.

    Args:
        days: rows of `int_test_lane_daily`.
        minimum_ctr: fraction.
        probability: in (0.5, 1).
        excluded_placements: places whose clicks are no evidence.
    Returns:
        platform, account_id, ad_id, impressions, unique_link_clicks, p_ctr_below, clears_in (place or null),
        fails; sorted by the key.
    Raises:
        ValueError: as `probability_ctr_below`.
    """
    places = (
        days.filter(~pl.col("placement").is_in(list(excluded_placements)))
        .group_by(*_AD, "placement")
        .agg(pl.col("impressions").sum(), pl.col("unique_link_clicks").sum())
        .sort(*_AD, "placement")
        .pipe(_judged, minimum_ctr)
    )
    cleared = (
        places.filter(pl.col("p_ctr_below") < 1 - probability)
        .group_by(_AD)
        .agg(pl.col("placement").sort_by("p_ctr_below", "placement").first().alias("clears_in"))
    )
    return (
        places.group_by(_AD)
        .agg(pl.col("impressions").sum(), pl.col("unique_link_clicks").sum())
        .pipe(_judged, minimum_ctr)
        .join(cleared, on=_AD, how="left")
        .with_columns(((pl.col("p_ctr_below") > probability) & pl.col("clears_in").is_null()).alias("fails"))
        .sort(_AD)
    )


def _judged(rows: pl.DataFrame, minimum_ctr: float) -> pl.DataFrame:
    clicks, shown = rows["unique_link_clicks"].to_numpy(), rows["impressions"].to_numpy()
    return rows.with_columns(
        pl.Series("p_ctr_below", probability_ctr_below(minimum_ctr, clicks, shown), dtype=pl.Float64)
    )
