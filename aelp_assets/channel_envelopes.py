"""What the media mix gives each channel, as the bandits' decision takes it.

Here: levers of a channel, the newest allocation that still holds. Not here: allocating (`media_mix`), how
levers share an envelope (`models.bandits`), how budgets come down to it (`models.guardrails`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

from models.guardrails import ChannelEnvelope
from resources.settings import Settings

_LEVER = ["platform", "account_id", "lever_id"]
_SCHEMA = {
    **dict.fromkeys(("track", "channel", *_LEVER), pl.String),
    "envelope": pl.Decimal(38, 9),
    "allocated_on": pl.Date,
}


def channel_levers(budget_levers: pl.DataFrame, channels: pl.DataFrame, morning: date) -> pl.DataFrame:
    """Levers of each account's newest snapshot with their channel; a lever of several campaigns has none.

    Args:
        budget_levers: snapshots; later ones than the morning's are ignored.
        channels: platform, account_id, campaign_id, channel.

    Returns:
        platform, account_id, lever_id, track, channel, in_force (dollars a day; 0 while paused).
    """
    known = budget_levers.filter(pl.col("date") <= morning)
    newest = known.filter(pl.col("date") == pl.col("date").max().over("platform", "account_id"))
    in_force = pl.when(pl.col("status") == "paused").then(0).otherwise("current_budget").fill_null(0)
    campaign = ["platform", "account_id", "campaign_id"]
    return newest.join(channels.select(*campaign, "channel"), on=campaign).select(
        *_LEVER, "track", "channel", in_force.cast(pl.Decimal(38, 9)).alias("in_force")
    )


def envelopes_frame(
    allocations: pl.DataFrame, levers: pl.DataFrame, settings: Settings, morning: date
) -> pl.DataFrame:
    """Each lever under an envelope that holds this morning; none where the mix only advises.

    An allocation holds for `envelope_days`: without a newer one the bandits are then free of it.

    Args:
        allocations: `mmm_allocations`.
        levers: of `channel_levers`.

    Returns:
        track, channel, platform, account_id, lever_id, envelope (dollars a day), allocated_on.
    """
    oldest = morning - timedelta(days=settings.media_mix.envelope_days)
    held = allocations.filter(
        pl.col("as_of_date").is_between(oldest, morning, closed="right"), pl.col("envelope").is_not_null()
    )
    newest = held.filter(pl.col("as_of_date") == pl.col("as_of_date").max().over("track"))
    given = newest.select("track", "channel", "envelope", allocated_on="as_of_date")
    return levers.join(given, on=["track", "channel"]).select(list(_SCHEMA)).cast(_SCHEMA).sort(*_LEVER)  # type: ignore[arg-type]


def channel_envelopes(frames: Mapping[str, pl.DataFrame]) -> tuple[ChannelEnvelope, ...]:
    """The envelopes of a decision's stored inputs; older ones have none."""
    stored = frames.get("channel_envelopes")
    if stored is None:
        return ()
    of_channel = ["track", "channel", "envelope"]
    by_channel = stored.sort(of_channel).partition_by(of_channel, as_dict=True)
    return tuple(
        ChannelEnvelope(track, channel, frozenset(rows.select(_LEVER).iter_rows()), daily)
        for (track, channel, daily), rows in by_channel.items()
    )
