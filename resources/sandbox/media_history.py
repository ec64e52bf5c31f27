"""The weekly file an agency keeps of the media mix: spend, delivery, claims and outcome by channel.

Here: `studies.weekly_series` as a person would have exported it. Not here: the law of those weeks (`studies`)
and what really caused the orders, which stays in the truth folder.
"""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from resources.sandbox import backend_frames, laws
from resources.sandbox.catalogue import CURRENCY, TRACKS
from resources.sandbox.exports import ExportedFile
from resources.sandbox.ledger import Ledger, observe
from resources.sandbox.studies import channel_name
from resources.sandbox.world import Business

_STREAM = 41
_KEYS = ["week_start", "track", "channel"]


def write_media_history(
    business: Business,
    ledger: Ledger,
    weeks: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    folder: Path,
) -> ExportedFile:
    """Write all weeks into `folder`/agency, made on the morning after the history.

    Args:
        weeks: the business's `weekly_series`.
    """
    frame = media_history(business, ledger, weeks)
    first, last = (date.fromisoformat(day) for day in (frame["week_start"][0], frame["week_start"][-1]))
    span = f"{first}_to_{last + timedelta(days=6)}"
    path = folder / "agency" / f"{business.today:%Y-%m-%d}_media_history_{span}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(path, float_precision=2)
    made = backend_frames.moment(business, business.days - 1, 30)
    os.utime(path, (made, made))
    return ExportedFile("agency/media_history", path, frame.height)


def media_history(
    business: Business, ledger: Ledger, weeks: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
) -> pl.DataFrame:
    """Rows of the file: one per week, track and channel; what the track sold repeats on each.

    Platforms claim of a week's orders what they claim of those the ledger holds, give or take.
    """
    channels, outcomes, contributions = weeks
    rng = laws.generator(business.seed, _STREAM, 0)
    unrest = np.exp(rng.normal(0.0, 0.06, (channels.height, 2)))
    claims = contributions.join(_claims(business, ledger), on=["track", "channel"], how="left")
    caused = claims["incremental_orders"].to_numpy()
    told = channels.with_columns(
        pl.Series("conversions_click", caused * claims["click_ratio"].to_numpy() * unrest[:, 0]),
        pl.Series("conversions_view", caused * claims["view_ratio"].to_numpy() * unrest[:, 1]),
    )
    sold = outcomes.select(
        "week_start",
        "track",
        "new_customers",
        "revenue",
        promotion_share=(pl.col("price_index") < 1).cast(pl.Int64),
    )
    return told.join(sold, on=["week_start", "track"], how="left", maintain_order="left").select(
        *_KEYS,
        pl.lit(CURRENCY).alias("currency"),
        *("spend", "impressions", "clicks", "conversions_click", "conversions_view"),
        *("promotion_share", "new_customers", "revenue"),
    )


def _claims(business: Business, ledger: Ledger) -> pl.DataFrame:
    """Click and view conversions that platforms claim per order caused, by track and channel."""
    last = business.days - 1
    seen = observe(ledger, 0, last, last)
    ad = business.cells.ad[ledger.delivery.cell[seen.rows]]
    lever, levers = business.adsets.lever[business.ads.adset[ad]], business.levers
    count = len(levers.id)
    sums = pl.DataFrame(
        {
            "track": [TRACKS[track].name for track in levers.track],
            "channel": [channel_name(*pair) for pair in zip(levers.platform, levers.audience, strict=True)],
            "click": laws.totals(lever, seen.click_credit / 100.0, count),
            "view": laws.totals(lever, seen.view_credit / 100.0, count),
            "caused": laws.totals(lever, ledger.delivery.expected_incremental[seen.rows], count),
        }
    )
    return (
        sums.group_by("track", "channel")
        .agg(pl.col("click", "view", "caused").sum())
        .select(
            "track",
            "channel",
            click_ratio=pl.col("click") / pl.col("caused"),
            view_ratio=pl.col("view") / pl.col("caused"),
        )
    )
