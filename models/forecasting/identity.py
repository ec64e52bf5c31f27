"""The CAC identity: CPM / (1,000 · CTR · CVR) is dollars per signup.

Here: holding the placement baselines against the forecasts. A forecast that promises a CAC its own
rates cannot give is wrong somewhere, however plausible each number looks alone.
"""

from __future__ import annotations

import polars as pl


def cac_identity(baselines: pl.DataFrame, outlook: pl.DataFrame) -> pl.DataFrame:
    """CAC implied by the track's rates beside the CAC forecast, per track.

    Args:
        baselines: PLACEMENT_BASELINES; the rows of placement `all` are used (ratios of sums).
        outlook: FORECAST_OUTLOOK; the median CAC of the whole horizon is used, which no tail moves.
    Returns:
        track, identity_cac, forecast_cac (dollars per signup, NULL when infinite), relative_gap =
        forecast / identity - 1 (NULL when either is): what trend, mix, budget response and delay
        correction move the forecast away from the window's average.
    """
    identity = baselines.filter((pl.col("placement") == "all") & (pl.col("weighting") == "spend")).select(
        "track", identity_cac=pl.col("cpm") / (1000.0 * pl.col("ctr") * pl.col("cvr"))
    )
    forecast = outlook.filter((pl.col("horizon") == "total") & (pl.col("track") != "combined")).select(
        "track", forecast_cac=pl.col("cac_p50")
    )
    finite = [
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name)
        for name in ("identity_cac", "forecast_cac")
    ]
    return (
        identity.join(forecast, on="track", how="full", coalesce=True)
        .with_columns(finite)
        .with_columns(relative_gap=pl.col("forecast_cac") / pl.col("identity_cac") - 1.0)
        .sort("track")
    )
